//! AES gates and hashes on x86-64: a block at a time (AES-NI) and four at a time (VAES, AVX-512).
//!
//! Every entry checks that the machine has the instructions and that the lengths agree, so callers
//! need no `unsafe`. `portable.rs` is the definition; the tests compare every entry with it.
#![allow(unsafe_code)]

use super::{EvalAnd, GarbleAnd};
use crate::numbers::block::Block;
use std::arch::x86_64::*;
use zeroize::Zeroize;

/// An AES-128 key schedule as eleven blocks.
#[derive(Clone)]
pub(crate) struct RoundKeys([Block; 11]);

impl Drop for RoundKeys {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

pub(crate) fn has_aes_ni() -> bool {
    is_x86_feature_detected!("aes") && is_x86_feature_detected!("sse4.1")
}

pub(crate) fn has_vaes() -> bool {
    has_aes_ni() && is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx512f")
}

impl RoundKeys {
    /// Expands a key.
    pub(crate) fn new(key: [u8; 16]) -> Self {
        assert!(has_aes_ni());
        // SAFETY: the machine has AES-NI and SSE4.1.
        unsafe { expand_key(Block(u128::from_le_bytes(key))) }
    }
}

pub(crate) fn ni_hash(keys: &RoundKeys, x: &[Block], out: &mut [Block]) {
    assert!(has_aes_ni() && x.len() == out.len());
    // SAFETY: the machine has AES-NI and SSE4.1.
    unsafe { ni::hash(keys, x, out) }
}

pub(crate) fn ni_counter_mode(keys: &RoundKeys, start: u64, out: &mut [Block]) {
    assert!(has_aes_ni());
    // SAFETY: the machine has AES-NI and SSE4.1.
    unsafe { ni::counter_mode(keys, start, out) }
}

pub(crate) fn ni_garble(g: &RoundKeys, e: &RoundKeys, delta: Block, gate: GarbleAnd<'_>) {
    assert!(has_aes_ni());
    // SAFETY: the machine has AES-NI and SSE4.1.
    unsafe { ni::garble(g, e, delta, gate, 0) }
}

pub(crate) fn ni_eval(g: &RoundKeys, e: &RoundKeys, gate: EvalAnd<'_>) {
    assert!(has_aes_ni());
    // SAFETY: the machine has AES-NI and SSE4.1.
    unsafe { ni::eval(g, e, gate, 0) }
}

pub(crate) fn vaes_hash(keys: &RoundKeys, x: &[Block], out: &mut [Block]) {
    assert!(has_vaes() && x.len() == out.len());
    // SAFETY: the machine has VAES, AVX-512F and AES-NI.
    unsafe { vaes::hash(keys, x, out) }
}

pub(crate) fn vaes_counter_mode(keys: &RoundKeys, start: u64, out: &mut [Block]) {
    assert!(has_vaes());
    // SAFETY: the machine has VAES, AVX-512F and AES-NI.
    unsafe { vaes::counter_mode(keys, start, out) }
}

pub(crate) fn vaes_garble(g: &RoundKeys, e: &RoundKeys, delta: Block, gate: GarbleAnd<'_>) {
    assert!(has_vaes());
    // SAFETY: the machine has VAES, AVX-512F and AES-NI.
    unsafe { vaes::garble(g, e, delta, gate) }
}

pub(crate) fn vaes_eval(g: &RoundKeys, e: &RoundKeys, gate: EvalAnd<'_>) {
    assert!(has_vaes());
    // SAFETY: the machine has VAES, AVX-512F and AES-NI.
    unsafe { vaes::eval(g, e, gate) }
}

pub(crate) fn vaes_xor(out: &mut [Block], a: &[Block], b: &[Block]) {
    assert!(has_vaes() && a.len() == out.len() && b.len() == out.len());
    // SAFETY: the machine has AVX-512F.
    unsafe { vaes::xor(out, a, b) }
}

#[target_feature(enable = "aes,sse4.1")]
fn expand_key(key: Block) -> RoundKeys {
    // The round constant is an immediate, so each round is spelt out by the macro.
    macro_rules! rounds {
        ($keys:ident, $($i:literal $rcon:literal),*) => {$(
            let last = ni::load(&$keys[$i - 1]);
            let assist = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$rcon>(last));
            let mut k = last;
            k = _mm_xor_si128(k, _mm_slli_si128::<4>(k));
            k = _mm_xor_si128(k, _mm_slli_si128::<8>(k));
            ni::store(&mut $keys[$i], _mm_xor_si128(k, assist));
        )*};
    }
    let mut keys = [key; 11];
    rounds!(keys, 1 0x01, 2 0x02, 3 0x04, 4 0x08, 5 0x10, 6 0x20, 7 0x40, 8 0x80, 9 0x1b, 10 0x36);
    RoundKeys(keys)
}

/// A block at a time. Several independent blocks go through the rounds together, and out-of-order
/// execution overlaps instances, so the AES unit is kept busy.
mod ni {
    use super::*;

    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    pub(crate) fn load(block: &Block) -> __m128i {
        // SAFETY: 16 readable bytes, no alignment needed.
        unsafe { _mm_loadu_si128(std::ptr::from_ref(block).cast()) }
    }

    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    pub(crate) fn store(block: &mut Block, v: __m128i) {
        // SAFETY: 16 writable bytes, no alignment needed.
        unsafe { _mm_storeu_si128(std::ptr::from_mut(block).cast(), v) }
    }

    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    fn sigma(x: __m128i) -> __m128i {
        let high = _mm_slli_si128::<8>(_mm_srli_si128::<8>(x));
        _mm_xor_si128(_mm_shuffle_epi32::<0x4e>(x), high)
    }

    /// v where the colour bit of `label` is set, else zero.
    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    fn keep_if_coloured(label: __m128i, v: __m128i) -> __m128i {
        let mask = _mm_srai_epi32::<31>(_mm_slli_epi32::<31>(label));
        _mm_and_si128(_mm_shuffle_epi32::<0>(mask), v)
    }

    /// The first half of `x` goes through `keys[0]`, the second through `keys[1]`.
    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    fn encrypt<const N: usize>(keys: [&RoundKeys; 2], mut x: [__m128i; N]) -> [__m128i; N] {
        let key = |j: usize, round: usize| load(&keys[j * 2 / N].0[round]);
        for (j, x) in x.iter_mut().enumerate() {
            *x = _mm_xor_si128(*x, key(j, 0));
        }
        for round in 1..10 {
            for (j, x) in x.iter_mut().enumerate() {
                *x = _mm_aesenc_si128(*x, key(j, round));
            }
        }
        for (j, x) in x.iter_mut().enumerate() {
            *x = _mm_aesenclast_si128(*x, key(j, 10));
        }
        x
    }

    /// E(x) xor x.
    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    fn compress<const N: usize>(keys: [&RoundKeys; 2], x: [__m128i; N]) -> [__m128i; N] {
        let mut y = encrypt(keys, x);
        for (y, x) in y.iter_mut().zip(x) {
            *y = _mm_xor_si128(*y, x);
        }
        y
    }

    #[target_feature(enable = "aes,sse4.1")]
    pub(crate) fn hash(keys: &RoundKeys, x: &[Block], out: &mut [Block]) {
        for (x, out) in x.iter().zip(out) {
            let [y, _] = compress([keys, keys], [sigma(load(x)), _mm_setzero_si128()]);
            store(out, y);
        }
    }

    #[target_feature(enable = "aes,sse4.1")]
    pub(crate) fn counter_mode(keys: &RoundKeys, start: u64, out: &mut [Block]) {
        let mut at = start;
        for chunk in out.chunks_mut(8) {
            let x: [__m128i; 8] =
                std::array::from_fn(|i| _mm_set_epi64x(0, at.wrapping_add(i as u64) as i64));
            let y = encrypt([keys, keys], x);
            chunk.iter_mut().zip(y).for_each(|(b, y)| store(b, y));
            at = at.wrapping_add(8);
        }
    }

    /// Garbles the instances from `first` on.
    #[target_feature(enable = "aes,sse4.1")]
    pub(crate) fn garble(
        g: &RoundKeys,
        e: &RoundKeys,
        delta: Block,
        gate: GarbleAnd<'_>,
        first: usize,
    ) {
        let n = gate.len();
        let delta = load(&delta);
        let sigma_delta = sigma(delta);
        for i in first..n {
            let (a, b) = (load(&gate.a[i]), load(&gate.b[i]));
            let (sa, sb) = (sigma(a), sigma(b));
            let x = [sa, _mm_xor_si128(sa, sigma_delta), sb, _mm_xor_si128(sb, sigma_delta)];
            let [a0, a1, b0, b1] = compress([g, e], x);
            let tg = _mm_xor_si128(_mm_xor_si128(a0, a1), keep_if_coloured(b, delta));
            let half = _mm_xor_si128(b0, b1);
            let wg = _mm_xor_si128(a0, keep_if_coloured(a, tg));
            let we = _mm_xor_si128(b0, keep_if_coloured(b, half));
            store(&mut gate.table_g[i], tg);
            store(&mut gate.table_e[i], _mm_xor_si128(half, a));
            store(&mut gate.out[i], _mm_xor_si128(wg, we));
        }
    }

    /// Evaluates the instances from `first` on.
    #[target_feature(enable = "aes,sse4.1")]
    pub(crate) fn eval(g: &RoundKeys, e: &RoundKeys, gate: EvalAnd<'_>, first: usize) {
        let n = gate.len();
        for i in first..n {
            let (a, b) = (load(&gate.a[i]), load(&gate.b[i]));
            let [ha, hb] = compress([g, e], [sigma(a), sigma(b)]);
            let wg = _mm_xor_si128(ha, keep_if_coloured(a, load(&gate.table_g[i])));
            let te = _mm_xor_si128(load(&gate.table_e[i]), a);
            let we = _mm_xor_si128(hb, keep_if_coloured(b, te));
            store(&mut gate.out[i], _mm_xor_si128(wg, we));
        }
    }
}

/// Four blocks to a vector.
mod vaes {
    use super::*;

    /// Blocks in a vector.
    const LANES: usize = 4;

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(blocks: &[Block]) -> __m512i {
        let blocks = &blocks[..LANES];
        // SAFETY: the slice has 64 readable bytes; no alignment needed.
        unsafe { _mm512_loadu_si512(blocks.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(blocks: &mut [Block], v: __m512i) {
        let blocks = &mut blocks[..LANES];
        // SAFETY: the slice has 64 writable bytes; no alignment needed.
        unsafe { _mm512_storeu_si512(blocks.as_mut_ptr().cast(), v) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,aes,sse4.1")]
    fn broadcast(block: &Block) -> __m512i {
        _mm512_broadcast_i32x4(ni::load(block))
    }

    #[inline]
    #[target_feature(enable = "avx512f,aes,sse4.1")]
    fn schedule(keys: &RoundKeys) -> [__m512i; 11] {
        keys.0.each_ref().map(|k| broadcast(k))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn sigma(x: __m512i) -> __m512i {
        // Swap the halves of each block, and add the high half to the new high half.
        let swapped = _mm512_shuffle_epi32::<0x4e>(x);
        _mm512_mask_xor_epi64(swapped, 0b1010_1010, swapped, x)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn keep_if_coloured(label: __m512i, v: __m512i) -> __m512i {
        let mask = _mm512_srai_epi32::<31>(_mm512_slli_epi32::<31>(label));
        _mm512_and_si512(_mm512_shuffle_epi32::<0>(mask), v)
    }

    /// The first half of `x` goes through `g`, the second through `e`.
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn encrypt<const N: usize>(
        g: &[__m512i; 11],
        e: &[__m512i; 11],
        mut x: [__m512i; N],
    ) -> [__m512i; N] {
        for (j, x) in x.iter_mut().enumerate() {
            *x = _mm512_xor_si512(*x, if j < N / 2 { g[0] } else { e[0] });
        }
        for round in 1..10 {
            for (j, x) in x.iter_mut().enumerate() {
                *x = _mm512_aesenc_epi128(*x, if j < N / 2 { g[round] } else { e[round] });
            }
        }
        for (j, x) in x.iter_mut().enumerate() {
            *x = _mm512_aesenclast_epi128(*x, if j < N / 2 { g[10] } else { e[10] });
        }
        x
    }

    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn compress<const N: usize>(
        g: &[__m512i; 11],
        e: &[__m512i; 11],
        x: [__m512i; N],
    ) -> [__m512i; N] {
        let mut y = encrypt(g, e, x);
        for (y, x) in y.iter_mut().zip(x) {
            *y = _mm512_xor_si512(*y, x);
        }
        y
    }

    #[target_feature(enable = "avx512f")]
    pub(crate) fn xor(out: &mut [Block], a: &[Block], b: &[Block]) {
        let wide = out.chunks_exact_mut(LANES);
        for ((out, a), b) in wide.zip(a.chunks_exact(LANES)).zip(b.chunks_exact(LANES)) {
            store(out, _mm512_xor_si512(load(a), load(b)));
        }
        for i in out.len() / LANES * LANES..out.len() {
            out[i] = a[i] ^ b[i];
        }
    }

    #[target_feature(enable = "avx512f,vaes,aes,sse4.1")]
    pub(crate) fn hash(keys: &RoundKeys, x: &[Block], out: &mut [Block]) {
        const STEP: usize = 8 * LANES;
        let k = schedule(keys);
        let whole = x.len() / STEP * STEP;
        for (x, out) in x[..whole].chunks_exact(STEP).zip(out.chunks_exact_mut(STEP)) {
            let input: [__m512i; 8] = std::array::from_fn(|j| sigma(load(&x[LANES * j..])));
            let y = compress(&k, &k, input);
            y.iter().enumerate().for_each(|(j, &y)| store(&mut out[LANES * j..], y));
        }
        ni::hash(keys, &x[whole..], &mut out[whole..]);
    }

    #[target_feature(enable = "avx512f,vaes,aes,sse4.1")]
    pub(crate) fn counter_mode(keys: &RoundKeys, start: u64, out: &mut [Block]) {
        const STEP: usize = 8 * LANES;
        let k = schedule(keys);
        let whole = out.len() / STEP * STEP;
        let mut at = start;
        for out in out[..whole].chunks_exact_mut(STEP) {
            let x: [__m512i; 8] = std::array::from_fn(|j| {
                let c = |i: u64| at.wrapping_add(LANES as u64 * j as u64 + i) as i64;
                _mm512_set_epi64(0, c(3), 0, c(2), 0, c(1), 0, c(0))
            });
            let y = encrypt(&k, &k, x);
            y.iter().enumerate().for_each(|(j, &y)| store(&mut out[LANES * j..], y));
            at = at.wrapping_add(STEP as u64);
        }
        ni::counter_mode(keys, at, &mut out[whole..]);
    }

    #[target_feature(enable = "avx512f,vaes,aes,sse4.1")]
    pub(crate) fn garble(g: &RoundKeys, e: &RoundKeys, delta: Block, gate: GarbleAnd<'_>) {
        let whole = gate.len() / LANES * LANES;
        let (kg, ke) = (schedule(g), schedule(e));
        let wide_delta = broadcast(&delta);
        let sigma_delta = sigma(wide_delta);
        for i in (0..whole).step_by(LANES) {
            let (a, b) = (load(&gate.a[i..]), load(&gate.b[i..]));
            let (sa, sb) = (sigma(a), sigma(b));
            let x = [sa, _mm512_xor_si512(sa, sigma_delta), sb, _mm512_xor_si512(sb, sigma_delta)];
            let [a0, a1, b0, b1] = compress(&kg, &ke, x);
            let tg = _mm512_xor_si512(_mm512_xor_si512(a0, a1), keep_if_coloured(b, wide_delta));
            let half = _mm512_xor_si512(b0, b1);
            let wg = _mm512_xor_si512(a0, keep_if_coloured(a, tg));
            let we = _mm512_xor_si512(b0, keep_if_coloured(b, half));
            store(&mut gate.table_g[i..], tg);
            store(&mut gate.table_e[i..], _mm512_xor_si512(half, a));
            store(&mut gate.out[i..], _mm512_xor_si512(wg, we));
        }
        ni::garble(g, e, delta, gate, whole);
    }

    #[target_feature(enable = "avx512f,vaes,aes,sse4.1")]
    pub(crate) fn eval(g: &RoundKeys, e: &RoundKeys, gate: EvalAnd<'_>) {
        let whole = gate.len() / LANES * LANES;
        let (kg, ke) = (schedule(g), schedule(e));
        for i in (0..whole).step_by(LANES) {
            let (a, b) = (load(&gate.a[i..]), load(&gate.b[i..]));
            let [ha, hb] = compress(&kg, &ke, [sigma(a), sigma(b)]);
            let wg = _mm512_xor_si512(ha, keep_if_coloured(a, load(&gate.table_g[i..])));
            let te = _mm512_xor_si512(load(&gate.table_e[i..]), a);
            let we = _mm512_xor_si512(hb, keep_if_coloured(b, te));
            store(&mut gate.out[i..], _mm512_xor_si512(wg, we));
        }
        ni::eval(g, e, gate, whole);
    }
}
