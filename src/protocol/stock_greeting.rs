//! The greeting of two servers that take material from folders: which sets both have, and under which mask of the
//! weights they compute next.
//!
//! Each server sends its [`Stock`]; everything in it is public. Both come to the same [`InCommon`]; the session that
//! follows begins with [`super::greet`] on just these sets.

use super::ProtocolError;
use super::handshake::{Purpose, SetFacts, differs, greeting, parse_body, parse_greeting, small};
use crate::ids::Party;
use crate::ids::codec::{Decode, Encode};
use crate::ids::{Digest, ModelId, TripleSetId, WeightMaskId};
use crate::size::Size;
use crate::wire::{Channel, Tag};

/// The most sets that a server tells of: its greeting fits the limit of small structures.
pub(crate) const MAX_STOCK: usize = 512;

/// What a server says of the material in its folder; public throughout.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Stock {
    /// Which party it plays.
    pub party: Party,
    /// The model's id.
    pub model_id: ModelId,
    /// The digest of the model's public description.
    pub public_digest: Digest,
    /// Its sets that have slots left, what is to be used first in front; at most `MAX_STOCK`.
    pub sets: Vec<StockedSet>,
    /// The mask under which there is material for images that the session before had none for.
    pub wanted: Option<WeightMaskId>,
}

/// A set of a server's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StockedSet {
    /// What it is for.
    pub facts: SetFacts,
    /// The mask of the weights under which it was made.
    pub mask: WeightMaskId,
    /// The lowest slot that this server's ledger leaves.
    pub next: u64,
}

/// What both servers have, the same at both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InCommon {
    /// The sets of the next session, all under one mask, in the order in which they are used: server 0's. None if
    /// the two have no set with a slot left in common.
    pub sets: Vec<TripleSetId>,
    /// Sets under other masks that both have: the sizes of their images, and the mask.
    pub elsewhere: Vec<(Size, WeightMaskId)>,
    /// Sets of this server's of which the other one has no half.
    pub lonely: Vec<TripleSetId>,
}

/// Exchanges what both have in their folders.
///
/// Cost: 1 round. Security: nothing sent depends on a share or a seed. Who the peer is was settled by the channel.
/// Which slots are free is agreed on later, image by image: a server that names too low a slot here gains nothing.
///
/// # Errors
/// [`ProtocolError::SameParty`], [`ProtocolError::Mismatch`] naming the first field that differs,
/// [`ProtocolError::Net`] for a peer that is no such server.
pub(crate) fn compare_stock(
    ours: &Stock,
    channel: &mut dyn Channel,
) -> Result<InCommon, ProtocolError> {
    let greeting = greeting(Purpose::Stock, agreed(ours)?, &small(ours)?);
    channel.send(Tag::Hello, 0, greeting)?;
    let theirs = channel.expect(Tag::Hello)?.payload;
    let (digest, body) = parse_greeting(Purpose::Stock, &theirs)?;
    let theirs: Stock = parse_body(body, digest, agreed)?;
    if ours.party == theirs.party {
        return Err(ProtocolError::SameParty(ours.party.index()));
    }
    differs("the model", ours.model_id.short(), theirs.model_id.short())?;
    differs("the model's description", ours.public_digest.short(), theirs.public_digest.short())?;
    Ok(in_common(ours, &theirs))
}

/// The digest over what must be equal at both servers.
fn agreed(stock: &Stock) -> Result<Digest, ProtocolError> {
    Ok(Digest::of(&small(&(stock.model_id, stock.public_digest))?))
}

fn in_common(ours: &Stock, theirs: &Stock) -> InCommon {
    let (first, second) = match ours.party {
        Party::S0 => (ours, theirs),
        Party::S1 => (theirs, ours),
    };
    let half = |set: &StockedSet, of: &Stock| {
        of.sets.iter().find(|o| (o.facts, o.mask) == (set.facts, set.mask)).map(|o| o.next)
    };
    let is_left = |set: &&StockedSet| {
        half(set, second).is_some_and(|next| set.next.max(next) < set.facts.slots)
    };
    let both: Vec<&StockedSet> = first.sets.iter().filter(is_left).collect();
    let wanted = first.wanted.filter(|_| first.wanted == second.wanted);
    let chosen = both.iter().find(|set| Some(set.mask) == wanted).or(both.first());
    let mask = chosen.map(|set| set.mask);
    let (here, elsewhere): (Vec<&StockedSet>, Vec<&StockedSet>) =
        both.iter().partition(|s| Some(s.mask) == mask);
    InCommon {
        sets: here.into_iter().map(|set| set.facts.set_id).collect(),
        elsewhere: elsewhere.into_iter().map(|set| (set.facts.size, set.mask)).collect(),
        lonely: ours
            .sets
            .iter()
            .filter(|set| half(set, theirs).is_none())
            .map(|set| set.facts.set_id)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Fingerprint;
    use crate::ids::SessionId;
    use crate::material::Origin;
    use crate::numbers::ring::RingBits;
    use crate::protocol::{Identity, greet};
    use crate::wire::{MAGIC, pair};
    use proptest::prelude::*;

    const SLOTS: u64 = 4;

    /// A set by the bytes of its id and mask, and its next slot.
    fn set((id, mask, next): (u8, u8, u64)) -> StockedSet {
        let facts = SetFacts {
            set_id: TripleSetId::from_bytes([id; 16]),
            size: Size::new(id.into(), 9),
            slots: SLOTS,
            batch_rows: 128,
            origin: Origin::Dealt,
        };
        StockedSet { facts, mask: WeightMaskId::from_bytes([mask; 16]), next }
    }

    fn stock(party: Party, sets: &[(u8, u8, u64)], wanted: Option<u8>) -> Stock {
        Stock {
            party,
            model_id: ModelId::from_bytes([1; 16]),
            public_digest: Digest::of(b"public"),
            sets: sets.iter().copied().map(set).collect(),
            wanted: wanted.map(|mask| WeightMaskId::from_bytes([mask; 16])),
        }
    }

    fn meet(a: &Stock, b: &Stock) -> [Result<InCommon, ProtocolError>; 2] {
        let (mut left, mut right) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| compare_stock(b, &mut right));
            [compare_stock(a, &mut left), other.join().unwrap()]
        })
    }

    fn ids(sets: &[TripleSetId]) -> Vec<u8> {
        sets.iter().map(|set| set.as_bytes()[0]).collect()
    }

    #[test]
    fn both_come_to_server_0s_order_of_what_both_have() {
        let a = stock(Party::S0, &[(5, 1, 0), (3, 1, 2), (4, 1, 0), (7, 1, 0), (6, 2, 0)], None);
        // 4 is used up by this one's ledger, 7 is not there, and 8 only here.
        let b =
            stock(Party::S1, &[(8, 1, 0), (6, 2, 0), (3, 1, 3), (4, 1, SLOTS), (5, 1, 0)], None);
        let [at_a, at_b] = meet(&a, &b).map(Result::unwrap);
        assert_eq!((ids(&at_a.sets), ids(&at_b.sets)), (vec![5, 3], vec![5, 3]));
        assert_eq!(at_a.elsewhere, at_b.elsewhere);
        assert_eq!(at_a.elsewhere, [(Size::new(6, 9), WeightMaskId::from_bytes([2; 16]))]);
        assert_eq!((ids(&at_a.lonely), ids(&at_b.lonely)), (vec![7], vec![8]));
    }

    #[test]
    fn another_mask_is_taken_if_both_want_it() {
        let sets = [(1, 1, 0), (2, 2, 0)];
        for (a, b, expected) in
            [(Some(2), Some(2), 2), (Some(2), None, 1), (None, Some(2), 1), (Some(3), Some(3), 1)]
        {
            let (a, b) = (stock(Party::S0, &sets, a), stock(Party::S1, &sets, b));
            for found in meet(&a, &b) {
                assert_eq!(ids(&found.unwrap().sets), [expected]);
            }
        }
        let none = meet(&stock(Party::S0, &[], Some(1)), &stock(Party::S1, &sets, Some(1)));
        assert!(none.into_iter().all(|found| found.unwrap().sets.is_empty()));
    }

    #[test]
    fn what_differs_is_named_at_both_ends() {
        let a = stock(Party::S0, &[], None);
        let other = Stock { model_id: ModelId::from_bytes([2; 16]), ..stock(Party::S1, &[], None) };
        for (b, text) in [(&other, "the model"), (&a, "party 0")] {
            for result in meet(&a, b) {
                assert!(result.unwrap_err().to_string().contains(text), "{text}");
            }
        }
    }

    /// One server was given a folder, the other one files.
    #[test]
    fn a_server_with_named_files_is_told() {
        let named = Identity {
            party: Party::S1,
            server: Fingerprint::from_bytes([1; 16]),
            nonce: SessionId::from_bytes([7; 16]),
            model_id: ModelId::from_bytes([1; 16]),
            public_digest: Digest::of(b"public"),
            weight_mask_id: WeightMaskId::from_bytes([2; 16]),
            ring: RingBits::L32,
            engine: "lut".into(),
            sets: Vec::new(),
            opened_weights: None,
        };
        let (mut left, mut right) = pair();
        let errors = std::thread::scope(|scope| {
            let other = scope.spawn(|| greet(&named, &mut right).unwrap_err());
            let ours = compare_stock(&stock(Party::S0, &[], None), &mut left).unwrap_err();
            [ours, other.join().unwrap()]
        });
        for error in errors {
            assert!(error.to_string().contains("with a folder of triples"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_greeting_is_parsed_or_refused(mut tail: Vec<u8>, cut in 0usize..200, flip: usize, byte: u8) {
            let ours = stock(Party::S0, &[(1, 1, 0), (2, 1, 3)], Some(1));
            let mut good = greeting(Purpose::Stock, agreed(&ours).unwrap(), &small(&ours).unwrap());
            let read = |bytes: &[u8]| {
                let (digest, body) = parse_greeting(Purpose::Stock, bytes)?;
                parse_body::<Stock>(body, digest, agreed)
            };
            prop_assert_eq!(read(&good).unwrap(), ours.clone());
            let at = flip % good.len();
            good[at] = byte;
            if let Ok(theirs) = read(&good) {
                let theirs = Stock { party: Party::S1, ..theirs };
                prop_assert!(in_common(&ours, &theirs).sets.len() <= ours.sets.len());
            }
            good.truncate(cut);
            let _ = read(&good);
            tail.splice(0..0, MAGIC);
            let _ = read(&tail);
        }
    }
}
