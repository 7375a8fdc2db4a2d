//! What a user asks of the cloud, and the answers: small public structures, a frame each.

use super::Denied;
use crate::ids::codec::{Decode, Encode, decode_small, encode_small};
use crate::ids::{ImageId, TripleSetId};
use crate::model::{NOISE_RUNGS, PublicModel};
use crate::roles::server::AgreedImage;
use crate::size::Size;
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
    Denoise { images: Vec<Asked>, sets: Vec<TripleSetId> },
}

/// What the cloud is told of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Asked {
    /// A random id, new for each request.
    pub(super) id: ImageId,
    pub(super) height: u32,
    pub(super) width: u32,
    /// The nearest of few public levels of noise ([`crate::model::Trained::rung`]), for a model that is told the noise.
    pub(super) rung: Option<u8>,
}

impl Asked {
    /// Rows and columns.
    pub(super) fn size(&self) -> Size {
        Size::new(self.height as usize, self.width as usize)
    }

    /// What both parties work with: the noise level of the rung, at the user as at the cloud.
    ///
    /// # Errors
    /// [`Denied::Noise`] for a level that the model is not told, or none for one that is.
    pub(super) fn subject(&self, model: &PublicModel) -> Result<AgreedImage, Denied> {
        let trained = model.trained();
        let Asked { id, rung, .. } = *self;
        let plane = match (rung, trained.reads_plane) {
            (None, false) => 0,
            (Some(rung), true) => model.plane(trained.level_of(rung)),
            _ => return Err(Denied::Noise),
        };
        Ok(AgreedImage { id, size: self.size(), plane })
    }
}

/// Refuses a request that the cloud would not take from anybody, whatever it has of the user: the first thing it
/// does with bytes from a user.
///
/// # Errors
/// [`Denied::Malformed`], [`Denied::TooMany`], [`Denied::Sizes`], [`Denied::Noise`], [`Denied::Repeated`].
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
                if images.iter().any(|image| image.rung.is_some_and(|rung| rung >= NOISE_RUNGS)) {
                    return Err(Denied::Noise);
                }
                let ids: HashSet<_> = images.iter().map(|image| image.id).collect();
                let named: HashSet<_> = sets.iter().collect();
                if (ids.len(), named.len()) == (images.len(), sets.len()) {
                    Ok(())
                } else {
                    Err(Denied::Repeated)
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
    use proptest::prelude::*;

    fn image(id: u8, height: u32) -> Asked {
        Asked { id: ImageId::from_bytes([id; 16]), height, width: 40, rung: None }
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
        let denoise = |images: Vec<Asked>, sets| Request::Denoise { images, sets };
        let more = [images, vec![image(200, 30)]].concat();
        for (bad, text) in [
            (Request::Status { sets: sets(MAX_SETS + 1) }, "257 sets of triples at a time"),
            (Request::Make { height: 9, width: 9, slots: 0 }, "0 slots at a time"),
            (Request::Make { height: 9, width: 9, slots: MAX_SLOTS + 1 }, "1025 slots"),
            (denoise(more, sets(1)), "65 images"),
            (denoise(vec![], sets(1)), "0 images"),
            (denoise(vec![image(1, 30)], vec![]), "0 sets"),
            (denoise(vec![image(1, 30), image(2, 31)], sets(1)), "several sizes"),
            (denoise(vec![Asked { rung: Some(NOISE_RUNGS), ..image(1, 30) }], sets(1)), "noise"),
            (denoise(vec![image(1, 30), image(1, 30)], sets(1)), "named twice"),
            (denoise(vec![image(1, 30)], [sets(1), sets(1)].concat()), "named twice"),
        ] {
            let found = received(&bad).unwrap_err().to_string();
            assert!(found.contains(text), "{found}");
        }
    }

    /// The names of the fields of a request, each once, in their order.
    fn fields(request: &Request) -> Vec<String> {
        let text = format!("{request:?}");
        let names = text.split(": ").filter_map(|part| part.rsplit([' ', '{', '[']).next());
        let mut found: Vec<String> = Vec::new();
        // Behind the last one there is only a value.
        for name in names.take(text.matches(": ").count()) {
            if !found.iter().any(|known| known == name) {
                found.push(name.into());
            }
        }
        found
    }

    /// What stands in backquotes.
    fn quoted(text: &str) -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(String::from).collect()
    }

    /// The pages name each field that leaves a user, and no other: docs/wire.md by request, docs/one-cloud.md with what
    /// it tells.
    #[test]
    fn requests_have_the_fields_that_the_pages_name() {
        let page = |name: &str| std::fs::read_to_string(format!("docs/{name}.md")).unwrap();
        let (wire, one_cloud) = (page("wire"), page("one-cloud"));
        let asked = Asked { rung: Some(3), ..image(1, 30) };
        let mut all = Vec::new();
        for (kind, request) in [
            ("0 status", Request::Status { sets: sets(1) }),
            ("1 make", Request::Make { height: 1, width: 2, slots: 3 }),
            ("2 denoise", Request::Denoise { images: vec![asked], sets: sets(1) }),
        ] {
            let row = wire.lines().find(|line| line.starts_with(&format!("| {kind} |"))).unwrap();
            let found = fields(&request);
            assert_eq!(quoted(row.split('|').nth(2).unwrap()), found, "{kind}");
            all.extend(found.into_iter().filter(|name| name != "images"));
        }
        let section =
            one_cloud.split("## What passes").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let mut told: Vec<String> =
            rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap())).collect();
        all.sort();
        all.dedup();
        told.sort();
        assert_eq!(told, all);
        let cloud = one_cloud.lines().find(|line| line.starts_with("| the cloud |")).unwrap();
        for word in ["sizes", "numbers", "noise"] {
            assert!(cloud.contains(word), "who learns what: the cloud learns {word}");
        }
    }

    /// Two levels of noise that are alike make the same request, and one that the model reads none of is not told.
    #[test]
    fn a_level_of_noise_is_told_by_its_rung_or_not_at_all() {
        use crate::graphs::{May, random_graph};
        use crate::model::{Method, QuantiseOptions, Ranges, quantise};
        use crate::numbers::ring::RingBits;
        let options = QuantiseOptions {
            ring: RingBits::L32,
            method: Method::Relu { alarm: false },
            interval: 1.0,
            ranges: Ranges::Calibrated { margin: 1.5 },
            one_cloud: true,
        };
        for reads in [true, false] {
            let models = (0..).map(|seed| random_graph(seed, May { linear: false, plane: true }));
            let mut publics =
                models.filter_map(|model| Some(quantise(&model, &options).ok()?.public));
            let public = publics.find(|public| public.network.reads_plane() == reads).unwrap();
            let trained = public.trained();
            let of = |noise: f64| Asked { rung: trained.told(noise), ..image(1, 30) };
            let (a, b) = (of(trained.sigma / 2.0), of(trained.sigma / 2.0 * 1.03));
            assert_eq!(encode_small(&a).unwrap(), encode_small(&b).unwrap());
            assert_eq!(a.rung.is_some(), reads);
            let plane = a.subject(&public).unwrap().plane;
            let expected = if reads { public.plane(trained.sigma / 2.0) } else { 0 };
            assert_eq!(plane, expected);
            let other = Asked { rung: if reads { None } else { Some(1) }, ..a };
            assert_eq!(other.subject(&public), Err(Denied::Noise));
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
