//! What a user asks of the cloud, and the answers: small public structures, a frame each.

use super::Denied;
use crate::ids::TripleSetId;
use crate::ids::codec::{Decode, Encode, decode_small, encode_small};
use crate::roles::server::Subject;
use crate::wire::{Channel, NetError, Tag};
use std::collections::HashSet;

/// The most images of a request.
pub const MAX_IMAGES: usize = 64;
/// The most sets of triples that a user and the cloud keep.
pub const MAX_SETS: usize = 256;
/// The most slots of a set: a file of material is written in one go.
pub(super) const MAX_SLOTS: u32 = 1024;

/// What a user asks for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Request {
    /// Which of these sets, all that the user has, the cloud has too. Others of this user it removes.
    Status { sets: Vec<TripleSetId> },
    /// To make a set of material together.
    Make { height: u32, width: u32, slots: u32 },
    /// To denoise images of one size with these sets.
    Denoise { images: Vec<Subject>, sets: Vec<TripleSetId> },
}

/// Refuses a request that the cloud would not take from anybody, whatever it has of the user: the first thing it
/// does with bytes from a user.
///
/// # Errors
/// [`Denied::Malformed`], [`Denied::TooMany`], [`Denied::Sizes`], [`Denied::Repeated`].
pub fn check_request(payload: &[u8]) -> Result<(), Denied> {
    Request::receive(payload).map(drop)
}

/// What the cloud says before it does it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Answer {
    Status(Status),
    /// Both begin to make the set.
    Make,
    /// Both begin to denoise.
    Denoise,
}

/// What the cloud has of a user.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Status {
    /// For each set that was named the lowest slot that the cloud's ledger leaves, nothing for one that the
    /// cloud has not.
    pub(super) next: Vec<Option<u64>>,
    /// Images for which slots may still be made today.
    pub(super) images_left: u64,
}

impl Request {
    /// What a user sent. Takes no more memory than a small structure does.
    pub(super) fn receive(payload: &[u8]) -> Result<Request, Denied> {
        let request: Request =
            decode_small(payload).map_err(|e| Denied::Malformed { why: e.to_string() })?;
        request.check().map(|()| request)
    }

    /// Whether the numbers are in their bounds, whatever they are about.
    fn check(&self) -> Result<(), Denied> {
        let within = |what, found: usize, least: usize, most| match found {
            found if (least..=most).contains(&found) => Ok(()),
            found => Err(Denied::TooMany { what, found, most }),
        };
        match self {
            Request::Status { sets } => within("sets of triples", sets.len(), 0, MAX_SETS),
            Request::Make { slots, .. } => within("slots", *slots as usize, 1, MAX_SLOTS as usize),
            Request::Denoise { images, sets } => {
                within("images", images.len(), 1, MAX_IMAGES)?;
                within("sets of triples", sets.len(), 1, MAX_SETS)?;
                if images.iter().any(|image| image.size() != images[0].size()) {
                    return Err(Denied::Sizes);
                }
                let ids: HashSet<_> = images.iter().map(|image| image.id).collect();
                let named: HashSet<_> = sets.iter().collect();
                match (ids.len(), named.len()) == (images.len(), sets.len()) {
                    true => Ok(()),
                    false => Err(Denied::Repeated),
                }
            }
        }
    }

    /// Asks, and takes the answer.
    ///
    /// # Errors
    /// [`NetError::Refused`] if the cloud does not do it.
    pub(super) fn ask(&self, channel: &mut dyn Channel) -> Result<Answer, NetError> {
        send(channel, Tag::Request, self)?;
        let answer = channel.expect(Tag::Granted)?.payload;
        decode_small(&answer)
            .map_err(|e| NetError::Protocol(format!("sent a malformed answer: {e}")))
    }
}

impl Answer {
    pub(super) fn send(&self, channel: &mut dyn Channel) -> Result<(), NetError> {
        send(channel, Tag::Granted, self)
    }
}

fn send<T: Encode>(channel: &mut dyn Channel, tag: Tag, value: &T) -> Result<(), NetError> {
    let bytes = encode_small(value).map_err(|e| NetError::Protocol(format!("is asked for {e}")))?;
    channel.send(tag, 0, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ImageId;
    use proptest::prelude::*;

    fn image(id: u8, height: u32) -> Subject {
        Subject { id: ImageId::from_bytes([id; 16]), height, width: 40, plane: 0 }
    }

    fn sets(count: usize) -> Vec<TripleSetId> {
        let id = |i: usize| std::array::from_fn(|at| (i >> (8 * (at % 4))) as u8);
        (0..count).map(|i| TripleSetId::from_bytes(id(i))).collect()
    }

    fn received(request: &Request) -> Result<Request, Denied> {
        Request::receive(&encode_small(request).unwrap())
    }

    #[test]
    fn the_largest_requests_fit_and_more_is_refused() {
        let images: Vec<_> = (0..MAX_IMAGES as u8).map(|id| image(id, 30)).collect();
        for good in [
            Request::Status { sets: sets(MAX_SETS) },
            Request::Status { sets: vec![] },
            Request::Make { height: 1, width: u32::MAX, slots: MAX_SLOTS },
            Request::Denoise { images: images.clone(), sets: sets(MAX_SETS) },
        ] {
            assert_eq!(received(&good).unwrap(), good);
        }
        let denoise = |images: Vec<Subject>, sets| Request::Denoise { images, sets };
        let more = [images, vec![image(200, 30)]].concat();
        for (bad, text) in [
            (Request::Status { sets: sets(MAX_SETS + 1) }, "257 sets of triples at a time"),
            (Request::Make { height: 9, width: 9, slots: 0 }, "0 slots at a time"),
            (Request::Make { height: 9, width: 9, slots: MAX_SLOTS + 1 }, "1025 slots"),
            (denoise(more, sets(1)), "65 images"),
            (denoise(vec![], sets(1)), "0 images"),
            (denoise(vec![image(1, 30)], vec![]), "0 sets"),
            (denoise(vec![image(1, 30), image(2, 31)], sets(1)), "several sizes"),
            (denoise(vec![image(1, 30), image(1, 30)], sets(1)), "named twice"),
            (denoise(vec![image(1, 30)], [sets(1), sets(1)].concat()), "named twice"),
        ] {
            let found = received(&bad).unwrap_err().to_string();
            assert!(found.contains(text), "{found}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_refused(bytes: Vec<u8>, kind in 0u8..4) {
            let bytes = [&[kind][..], &bytes].concat();
            if let Ok(request) = Request::receive(&bytes) {
                prop_assert!(request.check().is_ok());
                prop_assert_eq!(received(&request).unwrap(), request);
            }
        }
    }
}
