//! Which images the two servers denoise, and in which order: those that both have, by id.

use crate::ids::{ImageId, SessionId};
use crate::protocol::{ProtocolError, listed};
use crate::roles::server::ServiceError;
use crate::roles::server::supply::MAX_IMAGES;
use crate::wire::{Channel, NetError, Tag};
use std::collections::BTreeMap;

/// Images named in an error.
const SHOWN: usize = 16;
/// An id, and the session of a result or zeros.
const ENTRY_LEN: usize = ImageId::LEN + SessionId::LEN;
const LAST: u8 = 1;
const EXACT: u8 = 2;

/// What a server tells of its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageList {
    /// The images of which it has shares, and the session of the result that it has already.
    pub images: BTreeMap<ImageId, Option<SessionId>>,
    /// This is its last round.
    pub last: bool,
    /// It takes these images or none.
    pub exact: bool,
}

/// What both settle, the same at both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Images to be denoised, in this order.
    pub(super) images: Vec<ImageId>,
    /// Images of which both have the result of one session.
    pub(super) done: Vec<ImageId>,
    /// Whether this is the last round.
    pub(super) last: bool,
}

/// Exchanges lists of images. Cost: 1 round. Everything in them is public.
///
/// # Errors
/// [`ProtocolError::Mismatch`] if one of the two insists on its list and the other's differs.
pub(super) fn agree(ours: &ImageList, channel: &mut dyn Channel) -> Result<Agreed, ServiceError> {
    channel.send(Tag::Images, 0, ours.to_bytes())?;
    let theirs = ImageList::from_bytes(&channel.expect(Tag::Images)?.payload)
        .ok_or_else(|| NetError::Protocol("sent a malformed list of images".into()))?;
    if (ours.exact || theirs.exact) && !ours.images.keys().eq(theirs.images.keys()) {
        let (ours, theirs) = (ours.named(), theirs.named());
        return Err(ProtocolError::Mismatch { what: "the images", ours, theirs }.into());
    }
    let both = ours.images.iter().filter_map(|(id, session)| {
        theirs.images.get(id).map(|other| (*id, session.is_some() && session == other))
    });
    let (done, images): (Vec<_>, Vec<_>) = both.partition(|(_, done)| *done);
    let ids = |list: Vec<(ImageId, bool)>| list.into_iter().map(|(id, _)| id).collect();
    Ok(Agreed { images: ids(images), done: ids(done), last: ours.last || theirs.last })
}

impl ImageList {
    /// The message: flags, then an entry an image.
    pub fn to_bytes(&self) -> Vec<u8> {
        let flags = u8::from(self.last) * LAST + u8::from(self.exact) * EXACT;
        let mut bytes = Vec::with_capacity(1 + ENTRY_LEN * self.images.len());
        bytes.push(flags);
        for (id, session) in &self.images {
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(
                session.map_or([0; SessionId::LEN], |s| *s.as_bytes()).as_slice(),
            );
        }
        bytes
    }

    /// Nothing for what no server sends: another length, flags without meaning, ids that do not grow.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&flags, entries) = bytes.split_first()?;
        let (entries, rest) = entries.as_chunks::<ENTRY_LEN>();
        if !rest.is_empty() || flags > LAST + EXACT || entries.len() > MAX_IMAGES {
            return None;
        }
        let mut images = BTreeMap::new();
        for entry in entries {
            let (id, session) = entry.split_first_chunk::<{ ImageId::LEN }>()?;
            let session = <[u8; SessionId::LEN]>::try_from(session).ok()?;
            let (id, none) = (ImageId::from_bytes(*id), session == [0; SessionId::LEN]);
            if images.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return None;
            }
            images.insert(id, (!none).then(|| SessionId::from_bytes(session)));
        }
        Some(ImageList { images, last: flags & LAST != 0, exact: flags & EXACT != 0 })
    }

    fn named(&self) -> String {
        listed(self.images.keys().take(SHOWN).map(ImageId::short), self.images.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pair;
    use proptest::prelude::*;

    fn offer(images: &[(u8, u8)], last: bool, exact: bool) -> ImageList {
        let image = |&(id, session): &(u8, u8)| {
            let session = (session > 0).then(|| SessionId::from_bytes([session; 16]));
            (ImageId::from_bytes([id; 16]), session)
        };
        ImageList { images: images.iter().map(image).collect(), last, exact }
    }

    fn meet(a: &ImageList, b: &ImageList) -> [Result<Agreed, ServiceError>; 2] {
        let (mut left, mut right) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| agree(b, &mut right));
            [agree(a, &mut left), other.join().unwrap()]
        })
    }

    #[test]
    fn both_take_what_both_have_in_the_order_of_ids() {
        let a = offer(&[(5, 0), (1, 0), (3, 0), (7, 9)], false, false);
        let b = offer(&[(3, 0), (4, 0), (5, 0), (7, 9)], true, false);
        for round in meet(&a, &b) {
            let ids = |list: &[u8]| list.iter().map(|&b| ImageId::from_bytes([b; 16])).collect();
            let expected = Agreed { images: ids(&[3, 5]), done: ids(&[7]), last: true };
            assert_eq!(round.unwrap(), expected);
        }
    }

    /// Half of a pair, and halves of different sessions, are of no use.
    #[test]
    fn an_image_is_done_if_both_have_the_result_of_one_session() {
        let a = offer(&[(1, 9), (2, 9), (3, 0), (4, 9)], true, false);
        let b = offer(&[(1, 8), (2, 0), (3, 9), (4, 9)], true, false);
        for round in meet(&a, &b) {
            let round = round.unwrap();
            assert_eq!((round.images.len(), round.done.len()), (3, 1));
        }
    }

    #[test]
    fn a_server_that_insists_is_told_what_differs() {
        for (a, b) in [(true, false), (false, true), (true, true)] {
            let (ours, theirs) = (offer(&[(1, 0)], true, a), offer(&[(1, 0), (2, 0)], true, b));
            for result in meet(&ours, &theirs) {
                let text = result.unwrap_err().to_string();
                assert!(text.contains("disagree on the images") && text.contains("02020202"));
            }
            let [same, _] = meet(&ours, &ImageList { exact: b, ..ours.clone() });
            assert_eq!(same.unwrap().images.len(), 1);
        }
    }

    proptest! {
        #[test]
        fn any_list_is_read_as_it_was_written_or_refused(bytes: Vec<u8>, flip: usize, value: u8) {
            if let Some(offer) = ImageList::from_bytes(&bytes) {
                prop_assert_eq!(offer.to_bytes(), bytes);
            }
            let good = offer(&[(1, 0), (2, 7), (9, 0)], true, false);
            let mut bytes = good.to_bytes();
            prop_assert_eq!(ImageList::from_bytes(&bytes), Some(good));
            let at = flip % bytes.len();
            bytes[at] = value;
            if let Some(offer) = ImageList::from_bytes(&bytes) {
                prop_assert_eq!(offer.to_bytes(), bytes);
            }
        }
    }
}
