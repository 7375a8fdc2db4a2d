//! Seeds and the addressed pseudo-random generator.
//!
//! A stream is named by a [`Seed`] and a [`Domain`] (what it is for, slot, op); within it every
//! element has a fixed position. Batch size, batch order and thread count therefore never change
//! what a party derives (docs/protocols.md, correlated randomness).
//!
//! Subkeys come from BLAKE3 in keyed mode. Shares of models and images and the weight masks come from
//! ChaCha20 (`rand_chacha`, [`Stream`]); the correlated randomness of a slot, a hundred bytes an
//! activation at S1, from AES-128 in counter mode ([`BulkStream`]), which is several times faster
//! where the processor has AES instructions (docs/benchmarks.md, generators).

use crate::kernels::{AesBackend, AesKey};
use crate::numbers::block::Block;
use crate::numbers::ring::Ring;
use crate::secret::Secret;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// What a stream is for. The discriminants are part of the file formats: never reuse a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// S1's share of the weights and biases of an op.
    ModelShare = 1,
    /// S1's share of an image.
    ImageShare = 2,
    /// A party's share of the mask X of an op's weights (from the dealer key).
    WeightMask = 3,
    /// The seed of a party's share of every X of one model.
    WeightMaskSeed = 4,
    /// The public id of a model's X.
    WeightMaskId = 5,
    /// A party's share of the mask Y of an op's input.
    InputMask = 6,
    /// S1's share of Z = XY.
    Product = 7,
    /// A party's share of the lookup mask rho.
    LookupMask = 8,
    /// A party's share of m, the mask of the value sum.
    ValueMask = 9,
    /// A party's share of m', the mask of the slope sum.
    SlopeMask = 10,
    /// S1's share of the one-hot vector of rho's high part.
    OneHot = 11,
    // 12 was S1's share of K1 = W, which the one-hot vectors tell.
    /// S1's share of K2 = W rho_lo.
    LookupKey2 = 13,
    /// S1's share of K3 = -W m + W rho_lo m'.
    LookupKey3 = 14,
    /// A party's share of a, of a square pair (a, a^2).
    SquareRoot = 15,
    /// S1's share of a^2.
    Square = 16,
    /// A party's share of an exact ReLU's rho and masks u, v, d.
    ReluMask = 17,
    /// S1's shares of the packed words of exact ReLUs, of F and of FR, one after the other.
    ReluWords = 18,
    /// The high bits of the public ring elements of a model, op and direction.
    RingHigh = 32,
    /// Their low bits.
    RingLow = 33,
    /// The secrets and errors of a hint, by op.
    HintSeed = 34,
    /// A row's ternary secret of a hint.
    HintSecret = 35,
    /// A row's error of a hint.
    HintNoise = 36,
    /// The secret and the errors of one batch of ciphertexts.
    BatchSeed = 37,
    /// Its ternary secret.
    BatchSecret = 38,
    /// Its errors.
    BatchNoise = 39,
    /// What both servers add to what they round, by op, direction and batch.
    RoundingMask = 40,
    /// A server's seed of the slots of a set that two servers make.
    MadeSlots = 41,
    /// Its secret randomness in the session in which they make it.
    MadeSession = 42,
    /// A and K of an image's range alarm, from a seed that both servers have.
    AlarmKey = 43,
    /// A session's seed of these, from both servers' parts.
    AlarmSeed = 44,
    /// What only the cloud adds to what it rounds, by op, direction and batch.
    FloodingNoise = 45,
    /// The factors of a session's range alarms, where one party alone has them, by image.
    AlarmFactor = 46,
    /// A server's seed of its share of a made X, and that of its hints.
    MadeMask = 47,
}

/// The address of a stream under one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Domain {
    /// What the stream is for.
    pub purpose: Purpose,
    /// The slot, or 0 where there is none.
    pub slot: u64,
    /// The index of the op in the network, or 0 where there is none.
    pub op: u32,
}

impl Domain {
    /// A domain that belongs to no slot and no op.
    pub fn of(purpose: Purpose) -> Self {
        Domain { purpose, slot: 0, op: 0 }
    }

    /// A domain of one op.
    pub fn op(purpose: Purpose, op: usize) -> Self {
        Domain { purpose, slot: 0, op: op as u32 }
    }
}

/// A 256-bit seed. Opaque in `Debug`, wiped on drop, never cloned.
#[derive(Debug)]
pub struct Seed(Secret<[u8; 32]>);

impl Seed {
    /// The byte length of a seed.
    pub const LEN: usize = 32;

    /// A seed from bytes that are already uniform.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Seed(Secret::new(bytes))
    }

    /// The bytes, to be written into the file of the one party that may have them.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// An independent seed for `domain` and extra public bytes (an id, for instance).
    pub fn derive(&self, domain: Domain, context: &[u8]) -> Seed {
        let mut hasher = blake3::Hasher::new_keyed(self.expose());
        hasher.update(b"ppdenoise prg v2");
        hasher.update(&(domain.purpose as u32).to_le_bytes());
        hasher.update(&domain.slot.to_le_bytes());
        hasher.update(&domain.op.to_le_bytes());
        hasher.update(context);
        Seed::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The stream at `domain`.
    pub fn stream(&self, domain: Domain) -> Stream {
        Stream { rng: ChaCha20Rng::from_seed(*self.derive(domain, &[]).expose()) }
    }

    /// The bulk stream at `domain`. Its bytes differ from those of [`Seed::stream`]; a purpose uses
    /// the one or the other, never both.
    pub fn bulk(&self, domain: Domain) -> BulkStream {
        let seed = self.derive(domain, b"aes-128-ctr");
        let key = u128::from_le_bytes(std::array::from_fn(|i| seed.expose()[i]));
        BulkStream { key: AesKey::new(AesBackend::active(), key) }
    }
}

/// A seekable stream of uniform elements.
pub struct Stream {
    rng: ChaCha20Rng,
}

impl Stream {
    /// Fills `out` with the elements at positions `first ..`, each `R::BYTES` long.
    pub fn fill<R: Ring>(&mut self, first: u64, out: &mut [R]) {
        self.rng.set_word_pos(u128::from(first) * (R::BYTES as u128 / 4));
        self.rng.fill_bytes(bytemuck::cast_slice_mut(out));
        if cfg!(target_endian = "big") {
            for v in out.iter_mut() {
                let le = v.to_u64().swap_bytes() >> (64 - R::BITS);
                *v = R::from_u64(le);
            }
        }
    }

    /// The elements at positions `first .. first + n`.
    pub fn take<R: Ring>(&mut self, first: u64, n: usize) -> Vec<R> {
        let mut out = vec![R::ZERO; n];
        self.fill(first, &mut out);
        out
    }
}

/// A seekable stream of uniform elements for the bulk of the correlated randomness.
///
/// Block i of the stream is AES-128 of the number i (little-endian) under a key that belongs to one
/// domain of one seed. Security: AES as a pseudo-random permutation; q blocks differ from uniform
/// ones by at most q^2 / 2^129, which is 2^-65 for 2^32 blocks, more than ten times
/// the longest stream of a 512x512 image with the paper-size network (2^28.3 blocks). A key gives
/// 2^40 blocks: those from 2^40 e on, numbered from 0 again, are under the key that is block 2^63 + e
/// of the first.
pub struct BulkStream {
    key: AesKey,
}

/// The blocks of one key.
const BLOCKS_A_KEY: u64 = 1 << 40;
/// The blocks of the first key that are the others.
const KEYS: u64 = 1 << 63;

/// Blocks made at a time where the output is not aligned to blocks.
const SCRATCH: usize = 64;

impl BulkStream {
    /// Fills `out` with the elements at positions `first ..`, each `R::BYTES` long.
    pub fn fill<R: Ring>(&self, first: u64, out: &mut [R]) {
        self.fill_bytes(first * R::BYTES as u64, bytemuck::cast_slice_mut(out));
        if cfg!(target_endian = "big") {
            for v in out.iter_mut() {
                *v = R::from_u64(v.to_u64().swap_bytes() >> (64 - R::BITS));
            }
        }
    }

    /// The elements at positions `first .. first + n`.
    pub fn take<R: Ring>(&self, first: u64, n: usize) -> Vec<R> {
        let mut out = vec![R::ZERO; n];
        self.fill(first, &mut out);
        out
    }

    fn fill_bytes(&self, first: u64, out: &mut [u8]) {
        const BLOCK: usize = Block::BYTES;
        let mut at = first / BLOCK as u64;
        let skip = (first % BLOCK as u64) as usize;
        let (head, rest) = out.split_at_mut(((BLOCK - skip) % BLOCK).min(out.len()));
        if !head.is_empty() {
            head.copy_from_slice(&self.block(at)[skip..skip + head.len()]);
            at += 1;
        }
        let (middle, tail) = rest.split_at_mut(rest.len() / BLOCK * BLOCK);
        let blocks = (middle.len() / BLOCK) as u64;
        match bytemuck::try_cast_slice_mut::<u8, Block>(middle) {
            Ok(aligned) if cfg!(target_endian = "little") => self.blocks(at, aligned),
            _ => self.fill_unaligned(at, middle),
        }
        if !tail.is_empty() {
            tail.copy_from_slice(&self.block(at + blocks)[..tail.len()]);
        }
    }

    /// Whole blocks by way of a small buffer.
    fn fill_unaligned(&self, mut at: u64, out: &mut [u8]) {
        let mut scratch = [Block::ZERO; SCRATCH];
        for out in out.chunks_mut(SCRATCH * Block::BYTES) {
            let (blocks, _) = out.as_chunks_mut::<16>();
            let scratch = &mut scratch[..blocks.len()];
            self.blocks(at, scratch);
            blocks.iter_mut().zip(&*scratch).for_each(|(o, b)| *o = b.0.to_le_bytes());
            at += blocks.len() as u64;
        }
    }

    fn block(&self, at: u64) -> [u8; 16] {
        let mut block = [Block::ZERO];
        self.blocks(at, &mut block);
        block[0].0.to_le_bytes()
    }

    /// The blocks from a position on, each under the key that it belongs to.
    fn blocks(&self, mut at: u64, mut out: &mut [Block]) {
        while !out.is_empty() {
            let (number, first) = (at / BLOCKS_A_KEY, at % BLOCKS_A_KEY);
            let left = usize::try_from(BLOCKS_A_KEY - first).unwrap_or(usize::MAX);
            let (now, later) = out.split_at_mut(left.min(out.len()));
            match number {
                0 => self.key.counter_mode(first, now),
                _ => {
                    let mut key = [Block::ZERO];
                    self.key.counter_mode(KEYS + number, &mut key);
                    AesKey::new(AesBackend::active(), key[0].0).counter_mode(first, now);
                }
            }
            at += now.len() as u64;
            out = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seed() -> Seed {
        Seed::from_bytes([9; 32])
    }

    #[test]
    fn chacha20_known_answer() {
        // RFC 8439 appendix A.1, test vectors 1 and 2 (zero key, zero nonce): the stream of
        // `rand_chacha` is the ChaCha20 key stream, so another implementation can read our files.
        let mut stream = Stream { rng: ChaCha20Rng::from_seed([0; 32]) };
        assert_eq!(stream.take::<u32>(0, 2), [0xade0_b876, 0x903d_f1a0]);
        assert_eq!(stream.take::<u32>(16, 1), [0xbee7_079f]);
    }

    #[test]
    fn domains_are_independent() {
        let a: Vec<u64> = seed().stream(Domain::op(Purpose::InputMask, 1)).take(0, 64);
        let b: Vec<u64> = seed().stream(Domain::op(Purpose::InputMask, 3)).take(0, 64);
        let c: Vec<u64> = seed().stream(Domain::op(Purpose::LookupMask, 1)).take(0, 64);
        let slot = Domain { purpose: Purpose::InputMask, slot: 1, op: 1 };
        let d: Vec<u64> = seed().stream(slot).take(0, 64);
        for (i, x) in [&a, &b, &c, &d].iter().enumerate() {
            for y in [&a, &b, &c, &d].iter().skip(i + 1) {
                assert!(x.iter().zip(y.iter()).all(|(p, q)| p != q));
            }
        }
    }

    #[test]
    fn aes_128_known_answer() {
        // Block 7 against the `aes` crate, so that another implementation can read our files.
        use aes::cipher::{BlockCipherEncrypt, KeyInit};
        let key = [0x2b; 16];
        let stream =
            BulkStream { key: AesKey::new(AesBackend::active(), u128::from_le_bytes(key)) };
        let mut expected = aes::Block::default();
        expected[0] = 7;
        aes::Aes128::new(&key.into()).encrypt_block(&mut expected);
        let got: Vec<u32> = stream.take(7 * 4, 4);
        assert_eq!(bytemuck::cast_slice::<u32, u8>(&got), expected.as_slice());
    }

    /// Behind 2^40 blocks there is another key, wherever a request begins.
    #[test]
    fn a_key_is_used_for_as_many_blocks_as_is_said() {
        let new = |key: u128| AesKey::new(AesBackend::active(), key);
        let bulk = BulkStream { key: new(5) };
        let mut keys = [Block::ZERO; 2];
        new(5).counter_mode(KEYS + 1, &mut keys);
        let [second, third] = keys;
        let words = |key: u128, first: u64| {
            let mut out = [Block::ZERO; 2];
            new(key).counter_mode(first, &mut out);
            bytemuck::cast_slice::<Block, u32>(&out).to_vec()
        };
        for (number, before, behind) in [(1, 5, second.0), (2, second.0, third.0)] {
            let expected = [words(before, BLOCKS_A_KEY - 2), words(behind, 0)].concat();
            let first = 4 * (number * BLOCKS_A_KEY - 2);
            assert!(bulk.take::<u32>(first, 16) == expected, "key {number}");
            for skew in 1..16 {
                let part: Vec<u32> = bulk.take(first + skew, 16 - skew as usize);
                assert!(part == expected[skew as usize..], "key {number}, {skew}");
            }
        }
    }

    #[test]
    fn the_two_generators_share_nothing() {
        let domain = Domain::of(Purpose::InputMask);
        let a: Vec<u64> = seed().stream(domain).take(0, 64);
        let b: Vec<u64> = seed().bulk(domain).take(0, 64);
        assert!(a.iter().all(|x| !b.contains(x)));
    }

    proptest! {
        #[test]
        fn a_bulk_element_has_one_value_however_it_is_reached(
            first in 0usize..500, n in 0usize..2000, skew in 0usize..4,
        ) {
            let bulk = seed().bulk(Domain::of(Purpose::OneHot));
            let whole: Vec<u32> = bulk.take(0, 2500);
            // `skew` moves the output off the alignment of blocks.
            let mut part = vec![0u32; skew + n];
            bulk.fill(first as u64, &mut part[skew..]);
            prop_assert_eq!(&part[skew..], &whole[first..first + n]);
            let narrow: Vec<u64> = bulk.take(first as u64 / 2, 100);
            let bytes: &[u8] = bytemuck::cast_slice(&whole);
            prop_assert_eq!(bytemuck::cast_slice::<u64, u8>(&narrow), &bytes[first / 2 * 8..][..800]);
        }

        #[test]
        fn an_element_has_one_value_however_it_is_reached(first in 0u64..500, n in 0usize..200) {
            let whole: Vec<u32> = seed().stream(Domain::of(Purpose::OneHot)).take(0, 700);
            let part: Vec<u32> = seed().stream(Domain::of(Purpose::OneHot)).take(first, n);
            prop_assert_eq!(&part[..], &whole[first as usize..first as usize + n]);
            let wide: Vec<u64> = seed().stream(Domain::of(Purpose::OneHot)).take(0, 350);
            let half = first / 2;
            let narrow: Vec<u64> = seed().stream(Domain::of(Purpose::OneHot)).take(half, 100);
            prop_assert_eq!(&narrow[..], &wide[half as usize..half as usize + 100]);
        }
    }
}
