//! The greeting of two servers that make material: that both make the same, and which mask of the weights both
//! still have.
//!
//! Each server sends its [`MakerIdentity`]; everything in it is public. Once masks and hints are there, both
//! confirm them ([`confirm`]).

use super::ProtocolError;
use super::handshake::{
    Purpose, SHOWN, broken, differs, greeting, listed, parse_body, parse_greeting, plain, small,
};
use crate::crypto::rlwe::Profile;
use crate::ids::Party;
use crate::ids::codec::{Decode, Encode};
use crate::ids::{Digest, Fingerprint, ModelId, WeightMaskId};
use crate::numbers::ring::RingBits;
use crate::size::Size;
use crate::wire::{Channel, Tag};
use std::num::NonZeroU32;

/// What a server says of itself and of the material to be made; public throughout.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MakerIdentity {
    /// Which party it plays.
    pub party: Party,
    /// The fingerprint of its key.
    pub server: Fingerprint,
    /// Fresh from the operating system, for the session and the ids of the sets.
    pub nonce: [u8; 32],
    /// The model's id.
    pub model_id: ModelId,
    /// The digest of the model's public description: ops, scales, tables, engine.
    pub public_digest: Digest,
    pub ring: RingBits,
    /// The name of the activation engine.
    pub engine: String,
    /// The parameters of the linear ops.
    pub parameters: Parameters,
    /// The digest of how the linear ops are packed.
    pub packing: Digest,
    /// The sets to be made.
    pub sets: Vec<WantedSet>,
    /// The mask that it has kept for this model and this other server, if any.
    pub mask: Option<KnownMask>,
    /// Mbit/s that the line carries, if it was told.
    pub line: Option<NonZeroU32>,
}

/// Those of [`crate::crypto::rlwe`]: degree, bits of the modulus, bits sent of a ciphertext and of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Parameters(pub [u32; 4]);

impl Parameters {
    /// Those of a profile.
    pub(crate) fn of(profile: Profile) -> Self {
        Parameters(profile.numbers())
    }
}

/// A set of material that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct WantedSet {
    /// Rows and columns of the images it is for.
    pub size: Size,
    pub slots: u64,
    /// Patches a batch.
    pub batch_rows: u32,
}

/// A mask of the weights that a server has kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct KnownMask {
    /// The mask.
    pub id: WeightMaskId,
    /// The digests of both servers' hints, S0's first, if it has kept them.
    pub hints: Option<[Digest; 2]>,
}

/// Exchanges identities and compares them; the other server's.
///
/// Cost: 1 round. Security: nothing sent depends on a share or a seed. Who the peer is was settled by the
/// channel.
///
/// # Errors
/// [`ProtocolError::SameParty`], [`ProtocolError::Mismatch`] naming the first field that differs,
/// [`ProtocolError::Net`] for a peer that is no such server.
pub(crate) fn greet_maker(
    ours: &MakerIdentity,
    channel: &mut dyn Channel,
) -> Result<MakerIdentity, ProtocolError> {
    let greeting = greeting(Purpose::Make, agreed(ours)?, &small(ours)?);
    channel.send(Tag::Hello, 0, greeting)?;
    let theirs = channel.expect(Tag::Hello)?.payload;
    let (digest, body) = parse_greeting(Purpose::Make, &theirs)?;
    let theirs = parse_body(body, digest, agreed)?;
    compare(ours, &theirs)?;
    Ok(theirs)
}

/// The digest over everything that must be equal at both servers before masks are agreed on.
fn agreed(identity: &MakerIdentity) -> Result<Digest, ProtocolError> {
    let neutral = MakerIdentity {
        party: Party::S0,
        server: Fingerprint::from_bytes([0; Fingerprint::LEN]),
        nonce: [0; 32],
        mask: None,
        line: None,
        ..identity.clone()
    };
    Ok(Digest::of(&small(&neutral)?))
}

fn compare(ours: &MakerIdentity, theirs: &MakerIdentity) -> Result<(), ProtocolError> {
    if ours.party == theirs.party {
        return Err(ProtocolError::SameParty(ours.party.index()));
    }
    let both = [ours, theirs];
    let field = |what, tell: &dyn Fn(&MakerIdentity) -> String| {
        let [a, b] = both.map(tell);
        differs(what, a, b)
    };
    let sets = |i: &MakerIdentity, tell: fn(&WantedSet) -> String| {
        listed(i.sets.iter().take(SHOWN).map(tell), i.sets.len())
    };
    field("the engine", &|i| plain(&i.engine))?;
    field("the model", &|i| i.model_id.short())?;
    field("the model's description", &|i| i.public_digest.short())?;
    field("the ring", &|i| i.ring.bits().to_string())?;
    field("the parameters of linear ops", &|i| format!("{:?}", i.parameters.0))?;
    field("the packing of linear ops", &|i| i.packing.short())?;
    field("the image size", &|i| sets(i, |set| format!("{}x{}", set.size.height, set.size.width)))?;
    field("the number of slots", &|i| sets(i, |set| set.slots.to_string()))?;
    field("the batch size", &|i| sets(i, |set| set.batch_rows.to_string()))?;
    let [a, b] = [agreed(ours)?, agreed(theirs)?].map(|digest| digest.to_string());
    differs("the job", a, b)
}

/// What both must have the same of before any material is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Common {
    /// The mask of the weights.
    pub mask: WeightMaskId,
    /// The digests of both servers' hints, S0's first.
    pub hints: [Digest; 2],
}

/// Confirms the mask and the hints of both directions.
///
/// Cost: 1 round of 80 bytes. Security: hints are no secret between the two.
///
/// # Errors
/// [`ProtocolError::Mismatch`] naming what differs, [`ProtocolError::Net`].
pub(crate) fn confirm(ours: &Common, channel: &mut dyn Channel) -> Result<(), ProtocolError> {
    let [first, second] = &ours.hints;
    let bytes = [&ours.mask.as_bytes()[..], first.as_bytes(), second.as_bytes()].concat();
    let theirs = channel.exchange(Tag::Hello, &bytes)?;
    let short = || broken("sent a confirmation that is cut off".into());
    let (mask, hints) = theirs.split_first_chunk().ok_or_else(short)?;
    let (theirs_first, hints) = hints.split_first_chunk().ok_or_else(short)?;
    let theirs_second = hints.first_chunk().ok_or_else(short)?;
    differs("the weight mask", ours.mask.short(), WeightMaskId::from_bytes(*mask).short())?;
    differs(HINTS[0], first.short(), Digest::from_bytes(*theirs_first).short())?;
    differs(HINTS[1], second.short(), Digest::from_bytes(*theirs_second).short())
}

/// What [`ProtocolError::Mismatch`] calls the hints of each server.
pub(crate) const HINTS: [&str; 2] = ["the hints of server 0", "the hints of server 1"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Identity, greet};
    use crate::wire::{MAGIC, WIRE_VERSION, pair};
    use proptest::prelude::*;

    fn identity(party: Party) -> MakerIdentity {
        MakerIdentity {
            party,
            server: Fingerprint::from_bytes([party.index() as u8; 16]),
            nonce: [7 + party.index() as u8; 32],
            model_id: ModelId::from_bytes([1; 16]),
            public_digest: Digest::of(b"public"),
            ring: RingBits::L32,
            engine: "lut".into(),
            parameters: Parameters::of(Profile::Q88),
            packing: Digest::of(b"packing"),
            sets: vec![WantedSet { size: Size::new(64, 48), slots: 2, batch_rows: 128 }],
            mask: None,
            line: None,
        }
    }

    fn both<T: Send>(
        run: impl Fn(Party, &mut dyn Channel) -> Result<T, ProtocolError> + Sync,
    ) -> [Result<T, ProtocolError>; 2] {
        let (mut left, mut right) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| run(Party::S1, &mut right));
            [run(Party::S0, &mut left), other.join().unwrap()]
        })
    }

    fn names(what: &str, results: [Result<(), ProtocolError>; 2]) {
        for result in results {
            match result {
                Err(ProtocolError::Mismatch { what: found, .. }) => assert_eq!(found, what),
                other => panic!("{what}: {other:?}"),
            }
        }
    }

    #[test]
    fn every_difference_is_named_at_both_ends() {
        type Edit = fn(&mut MakerIdentity);
        let edits: [(&str, Edit); 10] = [
            ("the engine", |i| i.engine = "gc".into()),
            ("the model", |i| i.model_id = ModelId::from_bytes([9; 16])),
            ("the model's description", |i| i.public_digest = Digest::of(b"other")),
            ("the ring", |i| i.ring = RingBits::L64),
            ("the parameters of linear ops", |i| i.parameters.0[2] = 80),
            ("the packing of linear ops", |i| i.packing = Digest::of(b"other")),
            ("the image size", |i| i.sets[0].size = Size::new(48, 64)),
            ("the image size", |i| i.sets.clear()),
            ("the number of slots", |i| i.sets[0].slots = 3),
            ("the batch size", |i| i.sets[0].batch_rows = 64),
        ];
        for (what, edit) in edits {
            let results = both(|party, channel| {
                let mut ours = identity(party);
                if party == Party::S1 {
                    edit(&mut ours);
                }
                greet_maker(&ours, channel).map(drop)
            });
            names(what, results);
        }
        let same = both(|_, channel| greet_maker(&identity(Party::S1), channel).map(drop));
        assert!(same.into_iter().all(|r| matches!(r, Err(ProtocolError::SameParty(1)))));
        let known = KnownMask { id: WeightMaskId::from_bytes([3; 16]), hints: None };
        let [theirs, _] = both(|party, channel| {
            let mask = (party == Party::S1).then_some(known);
            greet_maker(&MakerIdentity { mask, ..identity(party) }, channel)
        });
        assert_eq!(theirs.unwrap().mask, Some(known));
    }

    /// One makes, the other would denoise: told at both ends, before anything else is compared.
    #[test]
    fn another_command_is_named() {
        let results = both(|party, channel| match party {
            Party::S0 => greet_maker(&identity(party), channel).map(drop),
            Party::S1 => {
                let identity = Identity {
                    party,
                    server: Fingerprint::from_bytes([1; 16]),
                    nonce: crate::ids::SessionId::from_bytes([7; 16]),
                    model_id: ModelId::from_bytes([1; 16]),
                    public_digest: Digest::of(b"public"),
                    weight_mask_id: WeightMaskId::from_bytes([2; 16]),
                    ring: RingBits::L32,
                    engine: "lut".into(),
                    sets: Vec::new(),
                    opened_weights: None,
                };
                greet(&identity, channel).map(drop)
            }
        });
        names("the command", results);
    }

    #[test]
    fn masks_and_hints_are_confirmed() {
        let common = Common {
            mask: WeightMaskId::from_bytes([3; 16]),
            hints: [b"one", b"two"].map(|text| Digest::of(text)),
        };
        let met = |edit: fn(&mut Common)| {
            both(move |party, channel| {
                let mut ours = common;
                if party == Party::S1 {
                    edit(&mut ours);
                }
                confirm(&ours, channel)
            })
        };
        assert!(met(|_| ()).iter().all(Result::is_ok));
        names("the weight mask", met(|c| c.mask = WeightMaskId::from_bytes([4; 16])));
        names(HINTS[0], met(|c| c.hints[0] = Digest::of(b"other")));
        names(HINTS[1], met(|c| c.hints[1] = Digest::of(b"other")));
    }

    proptest! {
        #[test]
        fn any_greeting_is_parsed_or_refused(tail: Vec<u8>, at: usize, byte: u8, sets in 0usize..2000) {
            let mut other = identity(Party::S1);
            other.sets = vec![other.sets[0]; sets];
            let mut body = small(&other).unwrap();
            let at = at % body.len();
            body[at] ^= byte;
            body.extend(&tail);
            if let Ok(theirs) = crate::ids::codec::decode_small::<MakerIdentity>(&body)
                && let Err(e) = compare(&identity(Party::S0), &theirs)
            {
                prop_assert!(e.to_string().len() < 1000);
            }
            let bytes = [&MAGIC[..], &WIRE_VERSION.to_le_bytes(), &tail].concat();
            let _ = parse_greeting(Purpose::Make, &bytes);
        }
    }
}
