//! Both ends of an extension, set up in one place: for tests and benches, here and in the packages above.

use super::BASE_OTS;
use super::base::{self, BaseSender};
use super::extension::{FieldBits, SmallFieldReceiver, SmallFieldSender, base_choices};
use crate::garble::Delta;
use crate::kernels::AesBackend;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// A sender's offset, the same for all.
pub fn delta() -> Delta {
    Delta::from_uniform(*b"a uniform offset")
}

/// The sender with this offset and the receiver, after base OTs; all randomness is from `seed`.
///
/// # Panics
/// If a message of one end is not what the other expects: a bug.
pub fn extension(
    field: FieldBits,
    delta: Delta,
    seed: u8,
) -> (SmallFieldSender, SmallFieldReceiver) {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let (backend, choices) = (AesBackend::active(), base_choices(&delta, field));
    let (base_sender, point) = BaseSender::new(&mut rng, b"test");
    let (keys, points) = base::receive(&mut rng, b"test", &choices, &point).expect("a point");
    let pairs = base_sender.finish(BASE_OTS, &points).expect("points");
    let (receiver, trees) =
        SmallFieldReceiver::new(&mut rng, field, backend, &pairs).expect("base OTs");
    let sender = SmallFieldSender::new(delta, field, backend, &keys, &trees).expect("base OTs");
    (sender, receiver)
}
