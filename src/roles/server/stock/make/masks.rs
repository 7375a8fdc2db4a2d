//! The mask X of the weights and its hints: which one both servers have, or a new one.

use super::HintDigest;
use crate::artefact::{DrawnMask, HintsWriter, KeptHints, KeptMask, MaskStore, random_seed};
use crate::files::FormatError;
use crate::ids::Digest;
use crate::ids::Party;
use crate::material::pair::linear::{Holder, LinearPlan, MaskNonce};
use crate::protocol::{
    Common, HINTS, HintMessage, KnownMask, LinearSetUp, PairLinear, ProtocolError, confirm,
};
use crate::roles::observer::Observer;
use crate::roles::server::ServiceError;
use crate::roles::server::{ServerEvent, ServerPhase};
use crate::wire::{Channel, NetError, Tag};

/// What the state folder has.
pub(super) struct Kept {
    mask: Option<(KeptMask, Option<KeptHints>)>,
}

impl Kept {
    pub(super) fn find(store: &MaskStore<'_>, plan: &LinearPlan) -> Result<Self, FormatError> {
        let hints = |mask: KeptMask| {
            let hints = store.hints(mask.id(), plan);
            (mask, hints)
        };
        Ok(Kept { mask: store.find()?.map(hints) })
    }

    /// What the other server may know of it.
    pub(super) fn known(&self) -> Option<KnownMask> {
        let (mask, hints) = self.mask.as_ref()?;
        Some(KnownMask { id: mask.id(), hints: hints.as_ref().map(|hints| hints.digests) })
    }
}

/// Hints on both sides of the link, as they are before set-up.
pub(super) struct Hints {
    ours: Option<KeptHints>,
    mask_known: bool,
}

/// The mask that both have kept, or else a new one, which is durable when this returns.
pub(super) fn agree(
    store: &MaskStore<'_>,
    kept: Kept,
    theirs: Option<KnownMask>,
    channel: &mut dyn Channel,
) -> Result<(KeptMask, Hints), ServiceError> {
    let known = kept.known();
    if let (Some((mask, hints)), Some(theirs)) = (kept.mask, theirs)
        && mask.id() == theirs.id
    {
        if let (Some(ours), Some(theirs)) = (&hints, theirs.hints) {
            same_hints(ours.digests, theirs)?;
        }
        return Ok((mask, Hints { ours: hints, mask_known: true }));
    }
    // One of the two lost its state, or there was none: whatever the other has is of no more use.
    let drawn = DrawnMask::draw(store)?;
    let ours = *random_seed()?.expose();
    let theirs = channel.exchange(Tag::PairSetUp, &ours)?;
    let theirs: [u8; 32] = theirs.try_into().map_err(|_| broken("sent no nonce"))?;
    let nonces = match store.party {
        Party::S0 => [ours, theirs],
        Party::S1 => [theirs, ours],
    };
    let mask = drawn.named(store, nonces.map(MaskNonce));
    store.store(&mask)?;
    if let Some(old) = known {
        store.remove(old.id)?;
    }
    Ok((mask, Hints { ours: None, mask_known: false }))
}

/// The mask in use, and this server as its holder.
pub(super) struct Setting<'a> {
    pub(super) store: &'a MaskStore<'a>,
    pub(super) mask: &'a KeptMask,
    pub(super) holder: &'a Holder,
}

/// What set-up leaves.
pub(super) struct Ready<'a> {
    pub(super) linear: PairLinear<'a>,
    pub(super) mask_known: bool,
    /// Bytes of hints.
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// Sends and receives the hints that are missing, keeps them, and confirms that both servers have the same.
pub(super) fn set_up<'a>(
    setting: &Setting<'a>,
    hints: Hints,
    channel: &mut dyn Channel,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<Ready<'a>, ServiceError> {
    let Setting { store, mask, holder } = setting;
    let plan = holder.plan();
    let (kept, digests) = match hints.ours {
        Some(KeptHints { peer, digests }) => (Some(peer), Some(digests)),
        None => (None, None),
    };
    let mut file = match kept {
        Some(_) => None,
        None => Some(store.keep_hints(mask.id(), plan)?),
    };
    if file.is_some() {
        observer.event(ServerEvent::Phase(ServerPhase::Hints));
    }
    let total = plan.hint_pieces().count() as f64;
    let (mut ours, mut theirs, mut pieces) = (HintDigest::default(), HintDigest::default(), 0.0);
    let set_up =
        LinearSetUp { holder, name: mask.name().clone(), kept, fresh: *random_seed()?.expose() };
    let linear = PairLinear::set_up(set_up, channel, &mut |message| {
        match message {
            HintMessage::Sent(bytes) => ours.add(bytes),
            HintMessage::Received(piece, bytes) => {
                theirs.add(bytes);
                file.as_mut().map_or(Ok(()), |file| file.add(piece, bytes))?;
                pieces += 1.0;
                observer.progress(pieces / total);
            }
        }
        Ok(())
    })?;
    let digests = all_digests(holder, digests, [&ours, &theirs])?;
    confirm(&Common { mask: mask.id(), hints: digests }, channel)?;
    file.map_or(Ok(()), |file: HintsWriter| file.commit(&digests))?;
    let mask_known = hints.mask_known;
    Ok(Ready { linear, mask_known, sent: ours.1, received: theirs.1 })
}

/// The digests of both servers' hints. Hints that were sent again must be the same bytes (R3); ours that the other
/// server has kept while we have not are computed again.
fn all_digests(
    holder: &Holder,
    kept: Option<[Digest; 2]>,
    [ours, theirs]: [&HintDigest; 2],
) -> Result<[Digest; 2], ServiceError> {
    let own = match (ours.1, kept) {
        (0, Some(kept)) => kept[holder.party().index()],
        (0, None) => {
            let mut digest = HintDigest::default();
            holder.plan().hint_pieces().for_each(|piece| digest.add(&holder.hint(&piece)));
            digest.digest()
        }
        _ => ours.digest(),
    };
    let other = match kept {
        Some(kept) => kept[holder.party().other().index()],
        None => theirs.digest(),
    };
    let digests = match holder.party() {
        Party::S0 => [own, other],
        Party::S1 => [other, own],
    };
    if let Some(kept) = kept {
        same_hints(kept, digests)?;
    }
    Ok(digests)
}

fn same_hints(ours: [Digest; 2], theirs: [Digest; 2]) -> Result<(), ProtocolError> {
    for (what, (ours, theirs)) in HINTS.into_iter().zip(ours.into_iter().zip(theirs)) {
        if ours != theirs {
            let (ours, theirs) = (ours.short(), theirs.short());
            return Err(ProtocolError::Mismatch { what, ours, theirs });
        }
    }
    Ok(())
}

fn broken(text: &str) -> ProtocolError {
    NetError::Protocol(text.into()).into()
}
