//! What the `gc` engine keeps for a session: oblivious transfers and its side of the garbling.

use crate::crypto::garble::hash::Hasher;
use crate::crypto::garble::{
    BlockStream, Delta, EvaluateCircuit, Evaluator, GarbleCircuit, Garbler, SessionTweaks,
};
use crate::crypto::ot::SemiHonestCotSender;
use crate::crypto::ot::extension::{FieldBits, SmallFieldReceiver, SmallFieldSender};
use crate::crypto::prg::Seed;
use crate::ids::Party;
use crate::protocol::{OtSession, ProtocolError};
use crate::wire::Channel;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::Arc;

/// What a server keeps for all activations of a session. Every counter in it runs in step with the
/// other server's.
pub struct GcSession {
    pub(crate) side: Side,
    /// The active labels of S1's own inputs, which S0 derives too.
    pub(crate) common: BlockStream,
    /// Correlated OTs in which this server is the sender.
    pub(crate) sender: SmallFieldSender,
    /// Correlated OTs in which it is the receiver.
    pub(crate) receiver: SmallFieldReceiver,
    pub(crate) hasher: Hasher,
    pub(crate) tweaks: SessionTweaks,
}

/// What the two servers do differently.
#[derive(Clone)]
pub(crate) enum Side {
    /// S1.
    Garbler(Arc<dyn GarbleCircuit>),
    /// S0.
    Evaluator(Arc<dyn EvaluateCircuit>),
}

impl GcSession {
    /// Sets a session up with the other server; `seed` is this server's fresh secret randomness.
    ///
    /// Cost and security: [`OtSession::set_up`].
    ///
    /// # Errors
    /// As there.
    pub fn set_up(
        party: Party,
        seed: &Seed,
        channel: &mut dyn Channel,
    ) -> Result<Self, ProtocolError> {
        let mut rng = ChaCha20Rng::from_seed(*seed.expose());
        let session = OtSession::set_up(party, FieldBits::FOUR, &mut rng, channel)?;
        let OtSession { party, sender, receiver, hasher, tweaks, common } = session;
        let side = match party {
            Party::S0 => Side::Evaluator(Arc::new(Evaluator::new(hasher))),
            // S1's offset is that of its garbling: the OTs in which it sends deliver wire labels.
            Party::S1 => {
                let offset = Delta::from_uniform(sender.delta().expose().0.to_le_bytes());
                Side::Garbler(Arc::new(Garbler::new(offset, hasher)))
            }
        };
        Ok(GcSession { side, common, sender, receiver, hasher, tweaks })
    }

    /// Which server this is.
    pub(crate) fn party(&self) -> Party {
        match self.side {
            Side::Evaluator(_) => Party::S0,
            Side::Garbler(_) => Party::S1,
        }
    }
}
