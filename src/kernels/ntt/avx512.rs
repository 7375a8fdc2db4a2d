//! Transforms modulo the Goldilocks prime on vectors of 8 lanes (AVX-512 F).
#![allow(unsafe_code)]

use super::{EPSILON, GOLDILOCKS, LANES, Lanes, Ntt};
use crate::avx512::Avx512;
use crate::ntt;
use core::arch::x86_64::*;

/// A vector; only the functions below that have the instructions make one.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Lanes(__m512i);

impl Avx512Lanes {
    /// [`Ntt::forward`].
    pub(crate) fn forward(ntt: &Ntt, from: &[u64], out: &mut [u64]) {
        assert!(Avx512::new().is_some(), "backend is available");
        // SAFETY: the features were detected.
        unsafe { forward(ntt, from, out) }
    }

    /// [`Ntt::product`].
    pub(crate) fn product(ntt: &Ntt, a: &[u64], b: &[u64], out: &mut [u64]) {
        assert!(Avx512::new().is_some(), "backend is available");
        // SAFETY: the features were detected.
        unsafe { product(ntt, a, b, out) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn forward(ntt: &Ntt, from: &[u64], out: &mut [u64]) {
    ntt::forward::<Avx512Lanes>(ntt, from, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn product(ntt: &Ntt, a: &[u64], b: &[u64], out: &mut [u64]) {
    ntt::product::<Avx512Lanes>(ntt, a, b, out);
}

// SAFETY of every block below: these functions are inlined into `forward` and `product`, which run only
// where the features were detected; nothing else makes an `Avx512Lanes`. Loads and stores are unaligned
// ones of arrays of 64 bytes.
impl Lanes for Avx512Lanes {
    #[inline(always)]
    fn splat(value: u64) -> Self {
        // SAFETY: as said above.
        Avx512Lanes(unsafe { _mm512_set1_epi64(value as i64) })
    }

    #[inline(always)]
    fn load(from: &[u64; LANES]) -> Self {
        // SAFETY: as said above.
        Avx512Lanes(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [u64; LANES]) {
        // SAFETY: as said above.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        // SAFETY: as said above.
        Avx512Lanes(unsafe {
            let epsilon = _mm512_set1_epi64(EPSILON as i64);
            let (a1, b1) = (_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
            let (p00, p01) = (_mm512_mul_epu32(a, b), _mm512_mul_epu32(a, b1));
            let (p10, p11) = (_mm512_mul_epu32(a1, b), _mm512_mul_epu32(a1, b1));
            // Neither sum overflows: (2^32 - 1)^2 + 2^32 - 1 < 2^64.
            let mid = _mm512_add_epi64(p10, _mm512_srli_epi64::<32>(p00));
            let low = _mm512_add_epi64(p01, _mm512_and_si512(mid, epsilon));
            let carries =
                _mm512_add_epi64(_mm512_srli_epi64::<32>(mid), _mm512_srli_epi64::<32>(low));
            let hi = _mm512_add_epi64(p11, carries);
            // The odd halves from the low halves of `low`.
            let lo = _mm512_mask_shuffle_epi32::<0xa0>(p00, 0xaaaa, low);
            let top = _mm512_srli_epi64::<32>(hi);
            let t = _mm512_sub_epi64(lo, top);
            let t = _mm512_mask_sub_epi64(t, _mm512_cmplt_epu64_mask(lo, top), t, epsilon);
            let m = _mm512_mul_epu32(hi, epsilon);
            let r = _mm512_add_epi64(t, m);
            _mm512_mask_add_epi64(r, _mm512_cmplt_epu64_mask(r, m), r, epsilon)
        })
    }

    #[inline(always)]
    fn add(self, canonical: Self) -> Self {
        // SAFETY: as said above.
        Avx512Lanes(unsafe {
            let sum = _mm512_add_epi64(self.0, canonical.0);
            let carry = _mm512_cmplt_epu64_mask(sum, canonical.0);
            _mm512_mask_add_epi64(sum, carry, sum, _mm512_set1_epi64(EPSILON as i64))
        })
    }

    #[inline(always)]
    fn sub(self, canonical: Self) -> Self {
        // SAFETY: as said above.
        Avx512Lanes(unsafe {
            let difference = _mm512_sub_epi64(self.0, canonical.0);
            let borrow = _mm512_cmplt_epu64_mask(self.0, canonical.0);
            let epsilon = _mm512_set1_epi64(EPSILON as i64);
            _mm512_mask_sub_epi64(difference, borrow, difference, epsilon)
        })
    }

    #[inline(always)]
    fn canonical(self) -> Self {
        // SAFETY: as said above.
        Avx512Lanes(unsafe {
            let p = _mm512_set1_epi64(GOLDILOCKS as i64);
            _mm512_min_epu64(self.0, _mm512_sub_epi64(self.0, p))
        })
    }

    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let r = rows.map(|row| row.0);
        // SAFETY: as said above.
        unsafe {
            // Pairs of rows, then pairs of pairs, then halves.
            let lo = [0, 2, 4, 6].map(|i| _mm512_unpacklo_epi64(r[i], r[i + 1]));
            let hi = [0, 2, 4, 6].map(|i| _mm512_unpackhi_epi64(r[i], r[i + 1]));
            let quarter = |x: [__m512i; 4]| {
                let (a, b) = (
                    _mm512_shuffle_i64x2::<0x88>(x[0], x[1]),
                    _mm512_shuffle_i64x2::<0xdd>(x[0], x[1]),
                );
                let (c, d) = (
                    _mm512_shuffle_i64x2::<0x88>(x[2], x[3]),
                    _mm512_shuffle_i64x2::<0xdd>(x[2], x[3]),
                );
                [
                    _mm512_shuffle_i64x2::<0x88>(a, c),
                    _mm512_shuffle_i64x2::<0x88>(b, d),
                    _mm512_shuffle_i64x2::<0xdd>(a, c),
                    _mm512_shuffle_i64x2::<0xdd>(b, d),
                ]
            };
            let (even, odd) = (quarter(lo), quarter(hi));
            std::array::from_fn(|j| Avx512Lanes(if j % 2 == 0 { even[j / 2] } else { odd[j / 2] }))
        }
    }
}
