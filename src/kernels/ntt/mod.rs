//! Negacyclic number-theoretic transforms modulo the Goldilocks prime p = 2^64 - 2^32 + 1.
//!
//! Products in Z_p\[t\]/(t^n + 1): transform both factors, multiply point by point, transform back. The
//! coefficients are seen as 8 rows of n/8. Three stages work across the rows; then the rows become the
//! lanes of vectors of 8, so that no later stage has to move values between lanes. Values between stages
//! are any 64-bit representatives mod p: only what is added or subtracted is made canonical.
//!
//! No step branches on, or addresses memory by, a coefficient.

#[cfg(target_arch = "x86_64")]
mod avx512;

use super::{Backend, active};
#[cfg(target_arch = "x86_64")]
use avx512::Avx512Lanes;

/// p.
pub const GOLDILOCKS: u64 = 0xffff_ffff_0000_0001;
/// 2^64 mod p.
pub(super) const EPSILON: u64 = 0xffff_ffff;
/// Rows that the coefficients are seen as, and lanes of a vector.
pub(super) const LANES: usize = 8;

/// Eight values mod p.
///
/// Each is any 64-bit representative, a canonical one where the name says so.
pub(super) trait Lanes: Copy {
    fn splat(value: u64) -> Self;
    fn load(from: &[u64; LANES]) -> Self;
    fn store(self, to: &mut [u64; LANES]);
    /// The product; the result need not be canonical.
    fn mul(self, other: Self) -> Self;
    /// The sum with a canonical value.
    fn add(self, canonical: Self) -> Self;
    /// The difference to a canonical value.
    fn sub(self, canonical: Self) -> Self;
    /// The representative below p.
    fn canonical(self) -> Self;
    /// Lane j of vector i becomes lane i of vector j.
    fn transpose(rows: [Self; LANES]) -> [Self; LANES];
}

/// Plain Rust; the compiler has a 64-bit by 64-bit product.
#[derive(Clone, Copy)]
struct PortableLanes([u64; LANES]);

#[inline(always)]
fn reduce(x: u128) -> u64 {
    let (lo, hi) = (x as u64, (x >> 64) as u64);
    let (t, borrow) = lo.overflowing_sub(hi >> 32);
    let t = t.wrapping_sub(EPSILON & u64::from(borrow).wrapping_neg());
    let (r, carry) = t.overflowing_add((hi & EPSILON) * EPSILON);
    r.wrapping_add(EPSILON & u64::from(carry).wrapping_neg())
}

#[inline(always)]
fn canonical(v: u64) -> u64 {
    v.min(v.wrapping_sub(GOLDILOCKS))
}

/// The canonical product mod p.
fn mul_mod(a: u64, b: u64) -> u64 {
    canonical(reduce(u128::from(a) * u128::from(b)))
}

impl PortableLanes {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        PortableLanes(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for PortableLanes {
    #[inline(always)]
    fn splat(value: u64) -> Self {
        PortableLanes([value; LANES])
    }
    #[inline(always)]
    fn load(from: &[u64; LANES]) -> Self {
        PortableLanes(*from)
    }
    #[inline(always)]
    fn store(self, to: &mut [u64; LANES]) {
        *to = self.0;
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| reduce(u128::from(a) * u128::from(b)))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| {
            let (s, carry) = a.overflowing_add(b);
            s.wrapping_add(EPSILON & u64::from(carry).wrapping_neg())
        })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| {
            let (d, borrow) = a.overflowing_sub(b);
            d.wrapping_sub(EPSILON & u64::from(borrow).wrapping_neg())
        })
    }
    #[inline(always)]
    fn canonical(self) -> Self {
        PortableLanes(self.0.map(canonical))
    }
    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        std::array::from_fn(|j| PortableLanes(std::array::from_fn(|i| rows[i].0[j])))
    }
}

/// The roots of unity for one length.
pub struct Ntt {
    len: usize,
    forward: Roots,
    inverse: Roots,
    /// 1 / n.
    scale: u64,
}

/// Powers of a 2n-th root of unity, or of its inverse.
struct Roots {
    /// Of the three stages across rows, by 2^stage + block; entry 0 is not used.
    rows: [u64; LANES],
    /// Of the later stages, by 2^stage + block within a row; lane r is that of row r.
    lanes: Vec<[u64; LANES]>,
}

impl Roots {
    fn new(len: usize, root: u64) -> Self {
        let mut powers = vec![1u64; len];
        for i in 1..len {
            powers[i] = mul_mod(powers[i - 1], root);
        }
        let bits = len.trailing_zeros();
        // Stage with `blocks` blocks, block i: the power of the index with its bits reversed.
        let at = |index: usize| powers[index.reverse_bits() >> (usize::BITS - bits)];
        let lane = |index: usize, row: usize| {
            let blocks = 1usize << index.checked_ilog2().unwrap_or(0);
            at(LANES * blocks + row * blocks + (index - blocks.min(index)))
        };
        let mut lanes: Vec<[u64; LANES]> = vec![[1; LANES]];
        lanes.extend((1..len / LANES).map(|i| std::array::from_fn(|row| lane(i, row))));
        Roots { rows: std::array::from_fn(at), lanes }
    }
}

impl Ntt {
    /// Transforms of length `len`.
    ///
    /// # Panics
    /// If `len` is no power of two of 64 to 2^31: a bug of the caller.
    pub fn new(len: usize) -> Self {
        assert!(len.is_power_of_two() && (64..=1 << 31).contains(&len), "no length {len}");
        let power = |mut base: u64, mut exponent: u64| {
            let mut result = 1;
            while exponent > 0 {
                if exponent & 1 == 1 {
                    result = mul_mod(result, base);
                }
                base = mul_mod(base, base);
                exponent >>= 1;
            }
            result
        };
        // 7 generates the multiplicative group.
        let root = power(7, (GOLDILOCKS - 1) / (2 * len as u64));
        let invert = |v| power(v, GOLDILOCKS - 2);
        Ntt {
            len,
            forward: Roots::new(len, root),
            inverse: Roots::new(len, invert(root)),
            scale: invert(len as u64),
        }
    }

    /// n.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to transform; there always is.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// `out` = the transform of `coefficients`, any representatives mod p. Its order is the business
    /// of `inverse`; point-by-point products do not mind.
    ///
    /// # Panics
    /// If a length is not n: a bug of the caller.
    pub fn forward(&self, coefficients: &[u64], out: &mut [u64]) {
        self.forward_with(active(), coefficients, out);
    }

    /// [`Ntt::forward`] on a given backend.
    ///
    /// # Panics
    /// As [`Ntt::forward`], and if the processor lacks the backend.
    pub fn forward_with(&self, backend: Backend, coefficients: &[u64], out: &mut [u64]) {
        assert_eq!((coefficients.len(), out.len()), (self.len, self.len));
        match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 | Backend::Amx => Avx512Lanes::forward(self, coefficients, out),
            _ => forward::<PortableLanes>(self, coefficients, out),
        }
    }

    /// `out` = the canonical coefficients of the product whose factors have the transforms `a`, `b`.
    ///
    /// # Panics
    /// If a length is not n: a bug of the caller.
    pub fn product(&self, a: &[u64], b: &[u64], out: &mut [u64]) {
        self.product_with(active(), a, b, out);
    }

    /// [`Ntt::product`] on a given backend.
    ///
    /// # Panics
    /// As [`Ntt::product`], and if the processor lacks the backend.
    pub fn product_with(&self, backend: Backend, a: &[u64], b: &[u64], out: &mut [u64]) {
        assert_eq!([a.len(), b.len(), out.len()], [self.len; 3]);
        match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 | Backend::Amx => Avx512Lanes::product(self, a, b, out),
            _ => product::<PortableLanes>(self, a, b, out),
        }
    }
}

/// x, y to x + w y, x - w y.
#[inline(always)]
fn butterfly<V: Lanes>(x: V, y: V, w: V) -> (V, V) {
    let v = y.mul(w).canonical();
    (x.add(v), x.sub(v))
}

/// x, y to x + y, w (x - y).
#[inline(always)]
fn unbutterfly<V: Lanes>(x: V, y: V, w: V) -> (V, V) {
    let v = y.canonical();
    (x.add(v), x.sub(v).mul(w))
}

#[inline(always)]
pub(super) fn forward<V: Lanes>(ntt: &Ntt, from: &[u64], out: &mut [u64]) {
    let columns = ntt.len / LANES;
    let root = |i: usize| V::splat(ntt.forward.rows[i]);
    let roots: [V; LANES] = std::array::from_fn(root);
    let blocks = out.as_chunks_mut::<LANES>().0;
    for (i, out) in blocks.chunks_exact_mut(LANES).enumerate() {
        let row = |r: usize| V::load(&from[r * columns..][..columns].as_chunks().0[i]);
        let mut v: [V; LANES] = std::array::from_fn(row);
        for (half, first) in [(4, 1), (2, 2), (1, 4)] {
            for block in 0..first {
                for r in 2 * half * block..2 * half * block + half {
                    (v[r], v[r + half]) = butterfly(v[r], v[r + half], roots[first + block]);
                }
            }
        }
        for (out, v) in out.iter_mut().zip(V::transpose(v)) {
            v.store(out);
        }
    }
    let mut first = 1;
    let mut half = columns / 2;
    // Two stages at a time: half as much is loaded and stored.
    while half > 1 {
        for (block, values) in blocks.chunks_exact_mut(2 * half).enumerate() {
            let root = |at: usize| V::load(&ntt.forward.lanes[at]);
            let upper = root(first + block);
            let lower = [0, 1].map(|i| root(2 * (first + block) + i));
            let (front, back) = values.split_at_mut(half);
            let (f0, f1) = front.split_at_mut(half / 2);
            let (b0, b1) = back.split_at_mut(half / 2);
            for (((f0, f1), b0), b1) in f0.iter_mut().zip(f1).zip(b0).zip(b1) {
                let (x0, y0) = butterfly(V::load(f0), V::load(b0), upper);
                let (x1, y1) = butterfly(V::load(f1), V::load(b1), upper);
                let (x0, x1) = butterfly(x0, x1, lower[0]);
                let (y0, y1) = butterfly(y0, y1, lower[1]);
                x0.store(f0);
                x1.store(f1);
                y0.store(b0);
                y1.store(b1);
            }
        }
        first *= 4;
        half /= 4;
    }
    if half == 1 {
        for (block, pair) in blocks.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let w = V::load(&ntt.forward.lanes[first + block]);
            let (x, y) = butterfly(V::load(&pair[0]), V::load(&pair[1]), w);
            x.store(&mut pair[0]);
            y.store(&mut pair[1]);
        }
    }
}

#[inline(always)]
pub(super) fn product<V: Lanes>(ntt: &Ntt, a: &[u64], b: &[u64], out: &mut [u64]) {
    let columns = ntt.len / LANES;
    let factors = a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0);
    let mut values: Vec<[u64; LANES]> = vec![[0; LANES]; columns];
    for (value, (a, b)) in values.iter_mut().zip(factors) {
        V::load(a).mul(V::load(b)).store(value);
    }
    let root = |at: usize| V::load(&ntt.inverse.lanes[at]);
    let mut first = columns / 2;
    let mut half = 1;
    if columns.ilog2() % 2 == 1 {
        for (block, pair) in values.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let (x, y) = unbutterfly(V::load(&pair[0]), V::load(&pair[1]), root(first + block));
            x.store(&mut pair[0]);
            y.store(&mut pair[1]);
        }
        (first, half) = (first / 2, 2);
    }
    // Stages of `half` and of `2 * half`.
    while half < columns {
        for (block, values) in values.chunks_exact_mut(4 * half).enumerate() {
            let upper = root(first / 2 + block);
            let lower = [0, 1].map(|i| root(first + 2 * block + i));
            let (front, back) = values.split_at_mut(2 * half);
            let (f0, f1) = front.split_at_mut(half);
            let (b0, b1) = back.split_at_mut(half);
            for (((f0, f1), b0), b1) in f0.iter_mut().zip(f1).zip(b0).zip(b1) {
                let (x0, x1) = unbutterfly(V::load(f0), V::load(f1), lower[0]);
                let (y0, y1) = unbutterfly(V::load(b0), V::load(b1), lower[1]);
                let (x0, y0) = unbutterfly(x0, y0, upper);
                let (x1, y1) = unbutterfly(x1, y1, upper);
                x0.store(f0);
                x1.store(f1);
                y0.store(b0);
                y1.store(b1);
            }
        }
        first /= 4;
        half *= 4;
    }
    let roots: [V; LANES] = std::array::from_fn(|i| V::splat(ntt.inverse.rows[i]));
    let scale = V::splat(ntt.scale);
    for (i, values) in values.chunks_exact(LANES).enumerate() {
        let mut v = V::transpose(std::array::from_fn(|c| V::load(&values[c])));
        for (half, first) in [(1, 4), (2, 2), (4, 1)] {
            for block in 0..first {
                for r in 2 * half * block..2 * half * block + half {
                    (v[r], v[r + half]) = unbutterfly(v[r], v[r + half], roots[first + block]);
                }
            }
        }
        for (r, v) in v.into_iter().enumerate() {
            let row = &mut out[r * columns..][..columns];
            v.mul(scale).canonical().store(&mut row.as_chunks_mut().0[i]);
        }
    }
    zeroize::Zeroize::zeroize(&mut values);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{available, words};

    fn multiply(ntt: &Ntt, backend: Backend, a: &[u64], b: &[u64]) -> Vec<u64> {
        let hat = |v: &[u64]| {
            let mut out = vec![0; v.len()];
            ntt.forward_with(backend, v, &mut out);
            out
        };
        let mut out = vec![0; a.len()];
        ntt.product_with(backend, &hat(a), &hat(b), &mut out);
        out
    }

    /// The definition: t^n = -1.
    fn schoolbook(a: &[u64], b: &[u64]) -> Vec<u64> {
        let n = a.len();
        let mut sums = vec![0u64; n];
        for (i, &a) in a.iter().enumerate() {
            for (j, &b) in b.iter().enumerate() {
                let term = mul_mod(a, b);
                let term = if i + j < n { term } else { canonical(GOLDILOCKS - term) };
                let at = &mut sums[(i + j) % n];
                *at = ((u128::from(*at) + u128::from(term)) % u128::from(GOLDILOCKS)) as u64;
            }
        }
        sums
    }

    #[test]
    fn every_pair_of_monomials() {
        for len in [64, 128, 256] {
            let ntt = Ntt::new(len);
            let monomial = |at: usize| {
                let mut v = vec![0u64; len];
                v[at] = 1;
                v
            };
            for backend in available() {
                for (i, j) in (0..len).flat_map(|i| (0..len).step_by(len / 64).map(move |j| (i, j)))
                {
                    let mut expected = vec![0; len];
                    expected[(i + j) % len] = if i + j < len { 1 } else { GOLDILOCKS - 1 };
                    let got = multiply(&ntt, backend, &monomial(i), &monomial(j));
                    assert_eq!(got, expected, "{backend}: t^{i} t^{j} of {len}");
                }
            }
        }
    }

    #[test]
    fn random_and_extreme_products_are_the_schoolbooks() {
        for len in [64, 128, 512, 4096] {
            let ntt = Ntt::new(len);
            // Also representatives from p on.
            let mut a: Vec<u64> = words(1, len);
            a[..4].copy_from_slice(&[u64::MAX, GOLDILOCKS, GOLDILOCKS - 1, 0]);
            for b in [words(2, len), vec![u64::MAX; len], vec![GOLDILOCKS - 1; len]] {
                let expected = schoolbook(&a, &b);
                for backend in available() {
                    let got = multiply(&ntt, backend, &a, &b);
                    assert!(got == expected, "{backend}, {len} coefficients");
                }
            }
        }
    }

    #[test]
    fn representatives_at_the_edges_are_reduced() {
        let edge = [0, 1, EPSILON, 1 << 32, GOLDILOCKS - 1, GOLDILOCKS, GOLDILOCKS + 1, u64::MAX];
        for (a, b) in edge.into_iter().flat_map(|a| edge.map(|b| (a, b))) {
            let p = u128::from(GOLDILOCKS);
            let expected = (u128::from(a) * u128::from(b) % p) as u64;
            assert_eq!(mul_mod(a, b), expected);
            let [x, y] = [a, b].map(PortableLanes::splat);
            let y = y.canonical();
            let sum = (u128::from(a) + u128::from(b)) % p;
            assert_eq!(u128::from(x.add(y).canonical().0[0]), sum);
            let difference = (u128::from(a) + 2 * p - u128::from(y.0[0])) % p;
            assert_eq!(u128::from(x.sub(y).canonical().0[0]), difference);
        }
    }
}
