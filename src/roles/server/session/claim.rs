//! How two servers agree on a slot that neither has ever used.
//!
//! Both offer the next free slot of their ledgers and take the larger; each marks it durably and
//! tells the other; only when both have marked it may anything depend on it. A slot that one side
//! marked and the other did not is lost, never reused. No lock is held while waiting for the peer.
//!
//! Instead of a slot a server may offer to leave the image out, or to end the session before it.

use super::Session;
use crate::files::ledger::{Ledger, Mark};
use crate::ids::{ImageId, SessionId, TripleSetId};
use crate::numbers::ring::Ring;
use crate::protocol::Engine;
use crate::roles::server::ServiceError;
use crate::roles::server::supply::AgreedImage;
use crate::size::Size;
use crate::wire::{Channel, NetError, Tag};

/// Attempts before other sessions of the same set are held responsible.
const ATTEMPTS: u32 = 32;

/// What a server offers for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// The next free slot of its ledger.
    Slot(u64),
    /// To leave the image out.
    Decline,
    /// To end the session.
    Stop,
}

impl Offer {
    /// In the place of slots, of which no set has so many.
    const DECLINE: u64 = u64::MAX;
    const STOP: u64 = u64::MAX - 1;

    fn to_bytes(self) -> [u8; 8] {
        let number = match self {
            Offer::Slot(slot) => slot,
            Offer::Decline => Self::DECLINE,
            Offer::Stop => Self::STOP,
        };
        number.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        match u64::from_le_bytes(bytes) {
            Self::DECLINE => Offer::Decline,
            Self::STOP => Offer::Stop,
            slot => Offer::Slot(slot),
        }
    }

    /// Tells the other server, and takes its offer. Cost: 1 round.
    fn exchange(self, channel: &mut dyn Channel) -> Result<Offer, NetError> {
        channel.send(Tag::SlotOffer, 0, self.to_bytes().to_vec())?;
        let theirs = channel.expect(Tag::SlotOffer)?.payload;
        let theirs = <[u8; 8]>::try_from(theirs.as_slice())
            .map_err(|_| NetError::Protocol("sent a malformed slot offer".into()))?;
        Ok(Offer::from_bytes(theirs))
    }
}

struct Claim {
    /// The sets that suit the image, with their slots, in an order that is the same at both servers.
    sets: Vec<(TripleSetId, u64)>,
    /// Its rows and columns.
    size: Size,
    image: ImageId,
    session: SessionId,
}

/// A slot of one of several sets, by the set's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotOf {
    pub(super) set: usize,
    pub(super) slot: u64,
}

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// A slot that both have marked.
    Slot(SlotOf),
    /// The image is left out.
    Declined,
    /// The session ends.
    Stopped,
}

/// Agrees on and marks a slot of the first set that has one. Cost: 2 rounds unless other sessions
/// interfere, and 1 for each set that is used up.
///
/// `usable` judges a slot, and takes its material, after it is marked and before the other server is
/// told: if it refuses, neither server sends anything under the slot.
///
/// # Errors
/// [`ServiceError::NoSlotLeft`], at both servers; [`ServiceError::SlotsContended`], that of `usable`,
/// and those of ledger and channel.
fn claim(
    ledger: &mut Ledger,
    claim: &Claim,
    channel: &mut dyn Channel,
    mut usable: impl FnMut(SlotOf) -> Result<(), ServiceError>,
) -> Result<Claimed, ServiceError> {
    for (number, &(set, slots)) in claim.sets.iter().enumerate() {
        let mut attempts = 0..ATTEMPTS;
        loop {
            if attempts.next().is_none() {
                return Err(ServiceError::SlotsContended(ATTEMPTS));
            }
            let ours = ledger.next_slot(set)?;
            let slot = match Offer::Slot(ours).exchange(channel)? {
                Offer::Decline => return Ok(Claimed::Declined),
                Offer::Stop => return Ok(Claimed::Stopped),
                Offer::Slot(theirs) => ours.max(theirs),
            };
            if slot >= slots {
                break;
            }
            let mark = ledger.mark(set, slot, claim.image, claim.session)?;
            let marked = matches!(mark, Mark::Marked);
            if marked {
                usable(SlotOf { set: number, slot })?;
            }
            channel.send(Tag::Marked, 0, vec![u8::from(marked)])?;
            match channel.expect(Tag::Marked)?.payload[..] {
                [1] if marked => return Ok(Claimed::Slot(SlotOf { set: number, slot })),
                [0 | 1] => {}
                _ => return Err(NetError::Protocol("sent a malformed mark".into()).into()),
            }
        }
    }
    let slots = claim.sets.iter().map(|(_, slots)| slots).sum();
    let names: Vec<String> = claim.sets.iter().map(|(set, _)| set.short()).collect();
    Err(ServiceError::NoSlotLeft { slots, set: names.join(", "), size: claim.size })
}

/// Leaves an image out, in place of a claim.
///
/// # Errors
/// Those of the channel.
pub(super) fn decline(channel: &mut dyn Channel) -> Result<Claimed, ServiceError> {
    Ok(match Offer::Decline.exchange(channel)? {
        Offer::Stop => Claimed::Stopped,
        Offer::Slot(_) | Offer::Decline => Claimed::Declined,
    })
}

/// Ends the session, in place of a claim.
///
/// # Errors
/// Those of the channel.
pub(super) fn stop(channel: &mut dyn Channel) -> Result<(), ServiceError> {
    Offer::Stop.exchange(channel)?;
    Ok(())
}

impl<R: Ring, E: Engine<R>> Session<'_, '_, R, E> {
    /// A slot of a set for the image's size; the number is that of the set among all.
    pub(super) fn claim(
        &mut self,
        image: &AgreedImage,
        channel: &mut dyn Channel,
    ) -> Result<Claimed, ServiceError> {
        let inputs = &self.inputs;
        let size = image.size;
        let suitable: Vec<usize> =
            (0..inputs.sets.len()).filter(|&i| inputs.sets[i].size() == size).collect();
        let facts = |&i: &usize| {
            let fields = inputs.sets[i].triples.fields();
            (fields.set_id, fields.slots)
        };
        let wanted = Claim {
            sets: suitable.iter().map(facts).collect(),
            size,
            image: image.id,
            session: self.agreement.session,
        };
        let mut gone = None;
        let of_all = |SlotOf { set, slot }: SlotOf| SlotOf { set: suitable[set], slot };
        let usable = |slot: SlotOf| {
            let slot = of_all(slot);
            let taken = inputs.take_material(slot.set, slot.slot);
            gone = taken.is_err().then_some(slot);
            taken
        };
        let claimed = claim(self.job.ledger, &wanted, channel, usable);
        if let (Err(ServiceError::SlotGone { .. }), Some(gone)) = (&claimed, gone) {
            // The refusal is the error to tell; what is not passed over now is refused next time.
            let _ = self.pass_over(gone, &wanted);
        }
        Ok(match claimed {
            Ok(Claimed::Slot(found)) => {
                let last = found.slot + 1 == wanted.sets[found.set].1;
                let gone = found.set + usize::from(last);
                suitable[..gone].iter().for_each(|&set| self.used_up[set] = true);
                Claimed::Slot(of_all(found))
            }
            Err(error @ ServiceError::NoSlotLeft { .. }) => {
                suitable.iter().for_each(|&set| self.used_up[set] = true);
                return Err(error);
            }
            other => other?,
        })
    }

    /// Marks the slots behind one whose material is gone as far as theirs is gone too: a ledger that
    /// was lost is told of them once.
    fn pass_over(
        &mut self,
        SlotOf { set, slot }: SlotOf,
        claim: &Claim,
    ) -> Result<(), ServiceError> {
        let triples = &self.inputs.sets[set].triples;
        let last = triples.next_whole(slot)?.saturating_sub(1);
        if last > slot {
            let set = triples.fields().set_id;
            // Taken or marked, nobody gets it any more.
            let _ = self.job.ledger.mark(set, last, claim.image, claim.session)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_eight_bytes_of_which_the_last_two_numbers_are_no_slots() {
        for (offer, number) in [
            (Offer::Slot(0), 0),
            (Offer::Slot(u64::MAX - 2), u64::MAX - 2),
            (Offer::Stop, u64::MAX - 1),
            (Offer::Decline, u64::MAX),
        ] {
            assert_eq!(offer.to_bytes(), number.to_le_bytes());
            assert_eq!(Offer::from_bytes(offer.to_bytes()), offer);
        }
    }
}
