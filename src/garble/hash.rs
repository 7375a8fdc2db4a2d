//! The tweakable circular correlation robust hash, from AES.
//!
//! H(x, t) = E_{salt xor t}(sigma(x)) xor sigma(x), with sigma(a || b) = (a xor b) || a and E =
//! AES-128: the construction of Guo, Katz, Wang, Weng, Yu, "Better concrete security for half-gates
//! garbling (in the multi-instance setting)" (Crypto 2020). The tweak is the cipher's key, so an
//! attacker's precomputed blocks help against those inputs only that share a tweak. Here all
//! instances of a batch share it: a tweak belongs to (gate half, batch), the key schedule is paid
//! once for thousands of blocks, and inside a batch the AES is a fixed-key one. With AES an ideal
//! cipher, p cipher calls of an attacker succeed with probability about 2 p mu / 2^129 for mu uses
//! of a tweak; mu is at most 2 [`MAX_BATCH`](super::MAX_BATCH) = 2^14, which leaves about 114 bits
//! whatever the number of gates in a session. (With one fixed key for all gates, as is usual, some
//! 2^33 gates of a large image would leave fewer than 96; the alternative with a proof, two
//! fixed-key calls a hash, costs twice as much and loses the same.) Sigma, a linear orthomorphism,
//! is what makes the hash *circular* correlation robust: the two labels' difference may appear in
//! the plaintext.
//!
//! The pads of oblivious transfers use the same hash on x = w xor c delta for public, non-zero c in
//! GF(2^128): each is one point unknown to the receiver, as delta is, so the same argument holds.

use super::tweak::{SessionTweaks, Tweak};
use super::{Block, portable};

#[cfg(target_arch = "x86_64")]
use super::aes_x86;

/// How AES is computed; the same results whichever is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The `aes` crate, on any machine.
    Portable,
    /// AES instructions of x86-64, a block at a time.
    AesNi,
    /// AES instructions on 512-bit vectors (VAES with AVX-512).
    Vaes,
}

impl Backend {
    /// The fastest backend of this machine.
    pub fn detect() -> Self {
        *Self::available().last().unwrap_or(&Backend::Portable)
    }

    /// Every backend of this machine, the slowest first.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Backend::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(aes_x86::has_aes_ni().then_some(Backend::AesNi));
            found.extend(aes_x86::has_vaes().then_some(Backend::Vaes));
        }
        found
    }
}

/// The keys of one tweak.
pub(super) enum TweakKey {
    Portable(Box<portable::Key>),
    #[cfg(target_arch = "x86_64")]
    X86(aes_x86::RoundKeys),
}

/// The hash family of a session. Public: the salt is known to both parties.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    salt: u128,
    backend: Backend,
}

impl Hasher {
    /// The hash and the tweak counters of a session. `salt` is public and fresh for each session,
    /// so that no precomputation helps against two of them. A backend that is not
    /// [`Backend::available`] here makes every later call panic.
    pub fn session(salt: [u8; 16], backend: Backend) -> (Hasher, SessionTweaks) {
        (Hasher { salt: u128::from_le_bytes(salt), backend }, SessionTweaks::new())
    }

    /// A hash without counters, for measuring it alone.
    pub fn detached(salt: [u8; 16], backend: Backend) -> Hasher {
        Self::session(salt, backend).0
    }

    /// How AES is computed.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// `out[i]` = H(`x[i]`, tweak).
    ///
    /// # Panics
    /// If the lengths differ: a bug of the caller.
    pub fn hash_into(&self, tweak: Tweak, x: &[Block], out: &mut [Block]) {
        assert_eq!(x.len(), out.len());
        match self.key(tweak) {
            TweakKey::Portable(key) => portable::hash(&key, x, out),
            #[cfg(target_arch = "x86_64")]
            TweakKey::X86(key) => match self.backend {
                Backend::Vaes => aes_x86::vaes_hash(&key, x, out),
                _ => aes_x86::ni_hash(&key, x, out),
            },
        }
    }

    /// `out[i]` = AES of counter `start + i` under `key`: a generator of uniform blocks.
    pub(crate) fn counter_mode(backend: Backend, key: Block, start: u64, out: &mut [Block]) {
        match Self::schedule(backend, key.0) {
            TweakKey::Portable(key) => portable::counter_mode(&key, start, out),
            #[cfg(target_arch = "x86_64")]
            TweakKey::X86(key) => match backend {
                Backend::Vaes => aes_x86::vaes_counter_mode(&key, start, out),
                _ => aes_x86::ni_counter_mode(&key, start, out),
            },
        }
    }

    pub(super) fn key(&self, tweak: Tweak) -> TweakKey {
        Self::schedule(self.backend, self.salt ^ tweak.number())
    }

    fn schedule(backend: Backend, key: u128) -> TweakKey {
        let bytes = key.to_le_bytes();
        match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi | Backend::Vaes => TweakKey::X86(aes_x86::RoundKeys::new(bytes)),
            _ => TweakKey::Portable(Box::new(portable::Key::new(bytes))),
        }
    }

    /// One AND gate for some instances, the garbler's side: table halves and output zero labels
    /// from the input zero labels. All slices have the same length.
    pub(super) fn garble_and(&self, keys: &[TweakKey; 2], delta: Block, gate: GarbleAnd<'_>) {
        match keys {
            #[cfg(target_arch = "x86_64")]
            [TweakKey::X86(g), TweakKey::X86(e)] => match self.backend {
                Backend::Vaes => aes_x86::vaes_garble(g, e, delta, gate),
                _ => aes_x86::ni_garble(g, e, delta, gate),
            },
            [TweakKey::Portable(g), TweakKey::Portable(e)] => portable::garble(g, e, delta, gate),
            #[cfg(target_arch = "x86_64")]
            _ => unreachable!("both keys come from one backend"),
        }
    }

    /// `out[i]` = `a[i]` xor `b[i]`.
    pub(super) fn xor(&self, out: &mut [Block], a: &[Block], b: &[Block]) {
        match self.backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes => aes_x86::vaes_xor(out, a, b),
            _ => out.iter_mut().zip(a).zip(b).for_each(|((o, &a), &b)| *o = a ^ b),
        }
    }

    /// One AND gate for some instances, the evaluator's side: output labels from active labels.
    pub(super) fn eval_and(&self, keys: &[TweakKey; 2], gate: EvalAnd<'_>) {
        match keys {
            #[cfg(target_arch = "x86_64")]
            [TweakKey::X86(g), TweakKey::X86(e)] => match self.backend {
                Backend::Vaes => aes_x86::vaes_eval(g, e, gate),
                _ => aes_x86::ni_eval(g, e, gate),
            },
            [TweakKey::Portable(g), TweakKey::Portable(e)] => portable::eval(g, e, gate),
            #[cfg(target_arch = "x86_64")]
            _ => unreachable!("both keys come from one backend"),
        }
    }
}

/// The slices of one AND gate at the garbler, one element an instance.
pub(super) struct GarbleAnd<'a> {
    pub(super) a: &'a [Block],
    pub(super) b: &'a [Block],
    pub(super) table_g: &'a mut [Block],
    pub(super) table_e: &'a mut [Block],
    pub(super) out: &'a mut [Block],
}

impl GarbleAnd<'_> {
    /// Checks that all slices have one length, and returns it.
    pub(super) fn len(&self) -> usize {
        let n = self.a.len();
        let others = [self.b.len(), self.table_g.len(), self.table_e.len(), self.out.len()];
        assert_eq!(others, [n; 4]);
        n
    }
}

/// The slices of one AND gate at the evaluator, one element an instance.
pub(super) struct EvalAnd<'a> {
    pub(super) a: &'a [Block],
    pub(super) b: &'a [Block],
    pub(super) table_g: &'a [Block],
    pub(super) table_e: &'a [Block],
    pub(super) out: &'a mut [Block],
}

impl EvalAnd<'_> {
    /// Checks that all slices have one length, and returns it.
    pub(super) fn len(&self) -> usize {
        let n = self.a.len();
        let others = [self.b.len(), self.table_g.len(), self.table_e.len(), self.out.len()];
        assert_eq!(others, [n; 4]);
        n
    }
}

/// sigma(a || b) = (a xor b) || a: linear, and so is x -> sigma(x) xor x; both are bijections.
#[inline(always)]
pub(super) fn sigma(x: Block) -> Block {
    let (hi, lo) = ((x.0 >> 64) as u64, x.0 as u64);
    Block(u128::from(hi ^ lo) << 64 | u128::from(hi))
}
