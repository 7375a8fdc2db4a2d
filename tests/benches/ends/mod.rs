//! Both ends of an extension of correlated OTs that is set up, for the benches.

use ppdenoise::crypto::garble::Delta;
use ppdenoise::crypto::ot::BASE_OTS;
use ppdenoise::crypto::ot::base::{self, BaseSender};
use ppdenoise::crypto::ot::extension::{
    FieldBits, SmallFieldReceiver, SmallFieldSender, base_choices,
};
use ppdenoise::kernels::AesBackend;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The sender's offset, the same for all.
pub(crate) fn delta() -> Delta {
    Delta::from_uniform(*b"a uniform offset")
}

/// The sender with [`delta`] and the receiver.
pub(crate) fn extension(field: FieldBits) -> (SmallFieldSender, SmallFieldReceiver) {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let (backend, delta) = (AesBackend::active(), delta());
    let (base, m1) = BaseSender::new(&mut rng, b"bench");
    let choices = base_choices(&delta, field);
    let (keys, m2) = base::receive(&mut rng, b"bench", &choices, &m1).expect("a point");
    let pairs = base.finish(BASE_OTS, &m2).expect("points");
    let (receiver, m3) =
        SmallFieldReceiver::new(&mut rng, field, backend, &pairs).expect("base OTs");
    (SmallFieldSender::new(delta, field, backend, &keys, &m3).expect("base OTs"), receiver)
}
