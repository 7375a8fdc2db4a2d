//! How two servers agree on a slot that neither has ever used.
//!
//! Both offer the next free slot of their ledgers and take the larger; each marks it durably and
//! tells the other; only when both have marked it may anything depend on it. A slot that one side
//! marked and the other did not is lost, never reused. No lock is held while waiting for the peer.

use super::ServiceError;
use crate::format::ledger::{Ledger, Mark};
use crate::format::{ImageId, SessionId, TripleSetId};
use crate::net::{Channel, NetError, Tag};

/// Attempts before other sessions of the same set are held responsible.
const ATTEMPTS: u32 = 32;

pub(super) struct Claim {
    pub(super) set: TripleSetId,
    pub(super) slots: u64,
    pub(super) image: ImageId,
    pub(super) session: SessionId,
}

/// Agrees on and marks a slot. Cost: 2 rounds unless other sessions interfere.
///
/// `usable` judges a slot after it is marked and before the other server is told: if it refuses,
/// neither server sends anything under the slot.
///
/// # Errors
/// [`ServiceError::NoSlotLeft`], [`ServiceError::SlotsContended`], that of `usable`, and those of
/// ledger and channel.
pub(super) fn claim(
    ledger: &mut Ledger,
    claim: &Claim,
    channel: &mut dyn Channel,
    usable: impl Fn(u64) -> Result<(), ServiceError>,
) -> Result<u64, ServiceError> {
    for _ in 0..ATTEMPTS {
        let ours = ledger.next_slot(claim.set)?;
        channel.send(Tag::SlotOffer, 0, ours.to_le_bytes().to_vec())?;
        let theirs = channel.expect(Tag::SlotOffer)?.payload;
        let theirs = <[u8; 8]>::try_from(theirs.as_slice())
            .map_err(|_| NetError::Protocol("sent a malformed slot offer".into()))?;
        let slot = ours.max(u64::from_le_bytes(theirs));
        if slot >= claim.slots {
            return Err(ServiceError::NoSlotLeft { slots: claim.slots, set: claim.set.short() });
        }
        let mark = ledger.mark(claim.set, slot, claim.image, claim.session)?;
        let marked = matches!(mark, Mark::Marked);
        if marked {
            usable(slot)?;
        }
        channel.send(Tag::Marked, 0, vec![u8::from(marked)])?;
        match channel.expect(Tag::Marked)?.payload[..] {
            [1] if marked => return Ok(slot),
            [0 | 1] => {}
            _ => return Err(NetError::Protocol("sent a malformed mark".into()).into()),
        }
    }
    Err(ServiceError::SlotsContended(ATTEMPTS))
}
