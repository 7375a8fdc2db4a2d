//! Oblivious transfers between the two servers: base OTs, their extension in both directions, the
//! session's hash.

use super::ProtocolError;
use crate::crypto::garble::hash::Hasher;
use crate::crypto::garble::{Block, BlockStream, Delta, SessionTweaks};
use crate::crypto::ot::BASE_OTS;
use crate::crypto::ot::base;
use crate::crypto::ot::base::BaseSender;
use crate::crypto::ot::extension::{FieldBits, SmallFieldReceiver, SmallFieldSender, base_choices};
use crate::ids::Party;
use crate::kernels::AesBackend;
use crate::wire::{Channel, NetError, Tag};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// One server's transfers with the other. Every counter in it runs in step with the other server's.
pub(crate) struct OtSession {
    pub(super) party: Party,
    /// Correlated OTs in which this server is the sender.
    pub(super) sender: SmallFieldSender,
    /// Correlated OTs in which it is the receiver.
    pub(super) receiver: SmallFieldReceiver,
    pub(super) hasher: Hasher,
    pub(super) tweaks: SessionTweaks,
    /// Blocks that both servers know: S1's labels of its own inputs, where it garbles.
    pub(super) common: BlockStream,
}

impl OtSession {
    /// Sets the transfers up with the other server, over the same `field` there; `rng` is this server's fresh secret
    /// randomness.
    ///
    /// Cost: 3 rounds and 8.3 KB each way. Security: semi-honest; base OTs after Chou and Orlandi
    /// (2015) on ristretto255, extension after Roy (SoftSpokenOT, Crypto 2022).
    ///
    /// # Errors
    /// [`ProtocolError::Net`] from the channel, [`ProtocolError::Ot`] for malformed messages.
    pub(crate) fn set_up(
        party: Party,
        field: FieldBits,
        rng: &mut impl CryptoRng,
        channel: &mut dyn Channel,
    ) -> Result<Self, ProtocolError> {
        let backend = AesBackend::active();
        let mut offset = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *offset);
        let (ours, theirs) = match party {
            Party::S0 => (&b"S0 sends"[..], &b"S1 sends"[..]),
            Party::S1 => (&b"S1 sends"[..], &b"S0 sends"[..]),
        };
        // The sender of the extension is the receiver of its base OTs.
        let (base_sender, point) = BaseSender::new(rng, theirs);
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let hello = round(channel, [&nonce[..], &point].concat())?;
        let (their_nonce, their_point) = hello.split_at_checked(32).ok_or_else(malformed)?;
        let choices = base_choices(&Delta::from_uniform(*offset), field);
        let (keys, points) = base::receive(rng, ours, &choices, their_point)?;
        let pairs = base_sender.finish(BASE_OTS, &round(channel, points)?)?;
        let (receiver, trees) = SmallFieldReceiver::new(rng, field, backend, &pairs)?;
        let trees = round(channel, trees)?;
        let sender =
            SmallFieldSender::new(Delta::from_uniform(*offset), field, backend, &keys, &trees)?;
        let block = |bytes: &[u8], at: usize| {
            let mut block = [0; 16];
            block.copy_from_slice(&bytes[at..at + 16]);
            u128::from_le_bytes(block)
        };
        // Both nonces make the salt; the second half of S1's seeds the labels of its own inputs,
        // which S0 may know: they say nothing without the bits they stand for.
        let salt = block(&nonce, 0) ^ block(their_nonce, 0);
        let (hasher, tweaks) = Hasher::session(salt.to_le_bytes(), backend);
        let common = match party {
            Party::S0 => block(their_nonce, 16),
            Party::S1 => block(&nonce, 16),
        };
        let common = BlockStream::new(Block(common), backend);
        Ok(OtSession { party, sender, receiver, hasher, tweaks, common })
    }
}

fn round(channel: &mut dyn Channel, message: Vec<u8>) -> Result<Vec<u8>, ProtocolError> {
    channel.send(Tag::EngineSetup, 0, message)?;
    Ok(channel.expect(Tag::EngineSetup)?.payload)
}

fn malformed() -> ProtocolError {
    NetError::Protocol("sent a malformed set-up message".into()).into()
}
