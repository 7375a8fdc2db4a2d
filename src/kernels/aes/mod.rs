//! AES-128 as the garbling needs it: hashes, counter mode and whole AND gates of a batch.
//!
//! What the functions mean is told where garbling hashes (`crypto::garble::hash`); here is only how they are computed.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::{Backend, active};
use crate::numbers::block::Block;

/// How AES is computed; the same results whichever is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AesBackend {
    /// The `aes` crate, on any machine. On x86-64 it is compiled without the processor's instructions
    /// (`.cargo/config.toml`), elsewhere it finds them by itself.
    Portable,
    /// AES instructions of x86-64, a block at a time.
    AesNi,
    /// AES instructions on 512-bit vectors (VAES with AVX-512).
    Vaes,
}

impl AesBackend {
    /// The one that goes with the kernels' backend in use.
    pub fn active() -> Self {
        Self::of(active())
    }

    /// The fastest AES of this machine that needs no more than `backend` stands for: AES-NI goes
    /// with AVX2 and VAES with AVX-512, but not every processor that has the one has the other.
    pub fn of(backend: Backend) -> Self {
        let limit = match backend {
            Backend::Portable => 1,
            Backend::Avx2 => 2,
            Backend::Avx512 | Backend::Amx => 3,
        };
        let available = Self::available();
        available[limit.min(available.len()) - 1]
    }

    /// Every one of this machine, the slowest first.
    pub fn available() -> Vec<Self> {
        let mut found = vec![AesBackend::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            // VAES is counted only where AES-NI is there too, so the order has no gap.
            found.extend(x86::has_aes_ni().then_some(AesBackend::AesNi));
            found.extend(x86::has_vaes().then_some(AesBackend::Vaes));
        }
        found
    }
}

/// An expanded key and the instructions that use it.
pub struct AesKey(Schedule);

enum Schedule {
    Portable(Box<portable::Key>),
    #[cfg(target_arch = "x86_64")]
    AesNi(x86::RoundKeys),
    #[cfg(target_arch = "x86_64")]
    Vaes(x86::RoundKeys),
}

impl AesKey {
    /// Expands a key, little-endian. A backend that this machine lacks panics.
    pub fn new(backend: AesBackend, key: u128) -> Self {
        let bytes = key.to_le_bytes();
        AesKey(match backend {
            #[cfg(target_arch = "x86_64")]
            AesBackend::AesNi => Schedule::AesNi(x86::RoundKeys::new(bytes)),
            #[cfg(target_arch = "x86_64")]
            AesBackend::Vaes => Schedule::Vaes(x86::RoundKeys::new(bytes)),
            _ => Schedule::Portable(Box::new(portable::Key::new(bytes))),
        })
    }

    /// `out[i]` = E(sigma(`x[i]`)) xor sigma(`x[i]`).
    ///
    /// # Panics
    /// If the lengths differ: a bug of the caller.
    #[inline]
    pub fn hash(&self, x: &[Block], out: &mut [Block]) {
        assert_eq!(x.len(), out.len());
        match &self.0 {
            Schedule::Portable(key) => portable::hash(key, x, out),
            #[cfg(target_arch = "x86_64")]
            Schedule::AesNi(key) => x86::ni_hash(key, x, out),
            #[cfg(target_arch = "x86_64")]
            Schedule::Vaes(key) => x86::vaes_hash(key, x, out),
        }
    }

    /// `out[i]` = E(start + i): a generator of uniform blocks.
    #[inline]
    pub fn counter_mode(&self, start: u64, out: &mut [Block]) {
        match &self.0 {
            Schedule::Portable(key) => portable::counter_mode(key, start, out),
            #[cfg(target_arch = "x86_64")]
            Schedule::AesNi(key) => x86::ni_counter_mode(key, start, out),
            #[cfg(target_arch = "x86_64")]
            Schedule::Vaes(key) => x86::vaes_counter_mode(key, start, out),
        }
    }
}

/// One AND gate for some instances, the garbler's side: table halves and output zero labels from
/// the input zero labels. All slices have the same length, and both keys one backend.
#[inline]
pub fn garble_and(keys: &[AesKey; 2], delta: Block, gate: GarbleAnd<'_>) {
    match (&keys[0].0, &keys[1].0) {
        (Schedule::Portable(g), Schedule::Portable(e)) => portable::garble(g, e, delta, gate),
        #[cfg(target_arch = "x86_64")]
        (Schedule::AesNi(g), Schedule::AesNi(e)) => x86::ni_garble(g, e, delta, gate),
        #[cfg(target_arch = "x86_64")]
        (Schedule::Vaes(g), Schedule::Vaes(e)) => x86::vaes_garble(g, e, delta, gate),
        #[cfg(target_arch = "x86_64")]
        _ => unreachable!("both keys come from one backend"),
    }
}

/// One AND gate for some instances, the evaluator's side: output labels from active labels. As
/// [`garble_and`] otherwise.
#[inline]
pub fn eval_and(keys: &[AesKey; 2], gate: EvalAnd<'_>) {
    match (&keys[0].0, &keys[1].0) {
        (Schedule::Portable(g), Schedule::Portable(e)) => portable::eval(g, e, gate),
        #[cfg(target_arch = "x86_64")]
        (Schedule::AesNi(g), Schedule::AesNi(e)) => x86::ni_eval(g, e, gate),
        #[cfg(target_arch = "x86_64")]
        (Schedule::Vaes(g), Schedule::Vaes(e)) => x86::vaes_eval(g, e, gate),
        #[cfg(target_arch = "x86_64")]
        _ => unreachable!("both keys come from one backend"),
    }
}

/// `out[i]` = `a[i]` xor `b[i]`.
#[inline]
pub fn xor_blocks(backend: AesBackend, out: &mut [Block], a: &[Block], b: &[Block]) {
    match backend {
        #[cfg(target_arch = "x86_64")]
        AesBackend::Vaes => x86::vaes_xor(out, a, b),
        _ => out.iter_mut().zip(a).zip(b).for_each(|((o, &a), &b)| *o = a ^ b),
    }
}

/// The slices of one AND gate at the garbler, one element an instance.
pub struct GarbleAnd<'a> {
    /// Zero labels of the first input.
    pub a: &'a [Block],
    /// Zero labels of the second input.
    pub b: &'a [Block],
    /// To: the garbler's half of the table.
    pub table_g: &'a mut [Block],
    /// To: the evaluator's half of the table.
    pub table_e: &'a mut [Block],
    /// To: zero labels of the output.
    pub out: &'a mut [Block],
}

impl GarbleAnd<'_> {
    /// Checks that all slices have one length, and returns it.
    pub(crate) fn len(&self) -> usize {
        let n = self.a.len();
        let others = [self.b.len(), self.table_g.len(), self.table_e.len(), self.out.len()];
        assert_eq!(others, [n; 4]);
        n
    }
}

/// The slices of one AND gate at the evaluator, one element an instance.
pub struct EvalAnd<'a> {
    /// Active labels of the first input.
    pub a: &'a [Block],
    /// Active labels of the second input.
    pub b: &'a [Block],
    /// The garbler's half of the table.
    pub table_g: &'a [Block],
    /// The evaluator's half of the table.
    pub table_e: &'a [Block],
    /// To: active labels of the output.
    pub out: &'a mut [Block],
}

impl EvalAnd<'_> {
    /// Checks that all slices have one length, and returns it.
    pub(crate) fn len(&self) -> usize {
        let n = self.a.len();
        let others = [self.b.len(), self.table_g.len(), self.table_e.len(), self.out.len()];
        assert_eq!(others, [n; 4]);
        n
    }
}

/// sigma(a || b) = (a xor b) || a: linear, and so is x -> sigma(x) xor x; both are bijections.
#[inline(always)]
pub(crate) fn sigma(x: Block) -> Block {
    let (hi, lo) = ((x.0 >> 64) as u64, x.0 as u64);
    Block(u128::from(hi ^ lo) << 64 | u128::from(hi))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_backend_limits_the_instructions() {
        assert_eq!(AesBackend::of(Backend::Portable), AesBackend::Portable);
        let [avx2, avx512] = [Backend::Avx2, Backend::Avx512].map(AesBackend::of);
        assert_eq!(AesBackend::of(Backend::Amx), avx512);
        assert_ne!(avx2, AesBackend::Vaes);
        assert_eq!(Some(&avx512), AesBackend::available().last(), "the best there is");
        assert_eq!(avx2 == AesBackend::Portable, avx512 == AesBackend::Portable);
    }
}
