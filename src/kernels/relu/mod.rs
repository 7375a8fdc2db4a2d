//! The local steps of the exact ReLU, block by block.
//!
//! Plain loops without branches over elements side by side; each backend compiles them for its instructions, so
//! that the compiler vectorises them there. The usual shapes are constants in their own copies of the loops.
//!
//! Security: values are opened, masked or shares, and no step branches on a share or addresses memory by one.
//! What is opened (z, the masked bits of the digits, c) decides shifts.

mod element;
#[cfg(test)]
mod tests;

use super::loops::{Loop, Loops};
use super::{Backend, active, with_kernel};
use crate::ids::Party;
use crate::numbers::relu::{MAX_WORDS, ReluShape, Slope, Zone};
use crate::numbers::ring::Ring;
use element::{Terms, borrow, complement, digits, lower, upper};
use std::fmt;

/// ReLUs whose steps are taken together: their material stays in the second-level cache. A multiple of 64, so
/// that their packed openings are whole words.
pub const RELU_BLOCK: usize = 512;

/// One server's material of up to [`RELU_BLOCK`] ReLUs. Every array is by element. Opaque in `Debug`.
#[derive(Clone)]
pub struct ReluShares<R> {
    /// The share of rho in the low n bits, above them one XOR share each of u_1 .. u_(D-1), v_2 .. v_D and d.
    pub masks: [R; RELU_BLOCK],
    /// The packed words: lanes of XOR shares (vectors, products) and of additive ones (R, M, FM).
    pub words: [[R; RELU_BLOCK]; MAX_WORDS],
    /// \[f\], f = rho_m xor d.
    pub f: [R; RELU_BLOCK],
    /// \[f rho~\].
    pub f_rho: [R; RELU_BLOCK],
}

impl<R> fmt::Debug for ReluShares<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReluShares(..)")
    }
}

impl<R: Ring> ReluShares<R> {
    /// No material yet. On the heap, being tens of kilobytes.
    pub fn zeros() -> Box<Self> {
        let row = [R::ZERO; RELU_BLOCK];
        Box::new(ReluShares { masks: row, words: [row; MAX_WORDS], f: row, f_rho: row })
    }
}

/// Step 2: from the opened `z` (n bits) and a server's material, what it keeps of the digits. The low
/// [`ReluShape::opened_bits`] bits of `kept` are its share of the masked bits eq_j xor u_j and lt_j xor v_j, to be
/// opened; above them are its shares of lt_1, of the alarm bit ([`relu_alarms`]), of the products and of the masks.
///
/// # Panics
/// If the lengths differ or exceed [`RELU_BLOCK`]: a bug of the caller.
pub fn relu_digits<R: Ring>(
    shape: &ReluShape,
    party: Party,
    z: &[R],
    shares: &ReluShares<R>,
    kept: &mut [R],
) {
    relu_digits_with(active(), shape, party, z, shares, kept);
}

/// [`relu_digits`] on a given backend.
///
/// # Panics
/// As [`relu_digits`], or if the processor lacks the backend.
pub fn relu_digits_with<R: Ring>(
    backend: Backend,
    shape: &ReluShape,
    party: Party,
    z: &[R],
    shares: &ReluShares<R>,
    kept: &mut [R],
) {
    check([z.len(), kept.len()]);
    run(backend, Digits { opened: Opened::at(party, shape, z, shares), kept });
}

/// The alarm bits of what [`relu_digits`] kept, 64 to a word, the first one lowest; bits beyond the last are 0.
///
/// # Panics
/// Unless there are as many words as the bits take: a bug of the caller.
pub fn relu_alarms<R: Ring>(shape: &ReluShape, kept: &[R], words: &mut [u64]) {
    assert_eq!(words.len(), kept.len().div_ceil(64), "words of {} alarm bits", kept.len());
    let at = shape.opened_bits() + 1;
    for (word, kept) in words.iter_mut().zip(kept.chunks(64)) {
        let bits = kept.iter().map(|v| v.to_u64() >> at & 1);
        *word = bits.rev().fold(0, |word, bit| word << 1 | bit);
    }
}

/// Step 3: from what a server `kept` and the share of the masked bits that the other sent, its share of c = bw xor d,
/// one bit, in place of what it kept.
///
/// # Panics
/// If the lengths differ or exceed [`RELU_BLOCK`]: a bug of the caller.
pub fn relu_borrows<R: Ring>(shape: &ReluShape, party: Party, theirs: &[R], kept: &mut [R]) {
    relu_borrows_with(active(), shape, party, theirs, kept);
}

/// [`relu_borrows`] on a given backend.
///
/// # Panics
/// As [`relu_borrows`], or if the processor lacks the backend.
pub fn relu_borrows_with<R: Ring>(
    backend: Backend,
    shape: &ReluShape,
    party: Party,
    theirs: &[R],
    kept: &mut [R],
) {
    check([theirs.len(), kept.len()]);
    run(backend, Borrows { shape, one: one_at(party), theirs, kept });
}

/// Step 4: from the opened `z` and c (bit 0 of `c`) and a server's material, its share of the result, in place of `c`.
///
/// # Panics
/// If the lengths differ or exceed [`RELU_BLOCK`]: a bug of the caller.
pub fn relu_results<R: Ring>(
    shape: &ReluShape,
    slope: Slope,
    party: Party,
    z: &[R],
    shares: &ReluShares<R>,
    c: &mut [R],
) {
    relu_results_with(active(), shape, slope, party, z, shares, c);
}

/// [`relu_results`] on a given backend.
///
/// # Panics
/// As [`relu_results`], or if the processor lacks the backend.
pub fn relu_results_with<R: Ring>(
    backend: Backend,
    shape: &ReluShape,
    slope: Slope,
    party: Party,
    z: &[R],
    shares: &ReluShares<R>,
    c: &mut [R],
) {
    check([z.len(), c.len()]);
    run(backend, Results { opened: Opened::at(party, shape, z, shares), slope, c });
}

/// Turns one server's shares of the first `count` ReLUs into the other's, whose mask elements are `others`: the
/// dealer makes S0's material from S1's. Unused bits of the words become 0.
///
/// # Panics
/// If `others` holds more than [`RELU_BLOCK`] elements: a bug of the caller.
pub fn relu_complement<R: Ring>(shape: &ReluShape, others: &[R], shares: &mut ReluShares<R>) {
    relu_complement_with(active(), shape, others, shares);
}

/// [`relu_complement`] on a given backend.
///
/// # Panics
/// As [`relu_complement`], or if the processor lacks the backend.
pub fn relu_complement_with<R: Ring>(
    backend: Backend,
    shape: &ReluShape,
    others: &[R],
    shares: &mut ReluShares<R>,
) {
    check([others.len(), others.len()]);
    run(backend, Complement { shape, others, shares });
}

#[inline]
fn check([a, b]: [usize; 2]) {
    assert!(a == b && a <= RELU_BLOCK, "blocks of {a} and {b} ReLUs, at most {RELU_BLOCK}");
}

/// S0 holds the constants of XOR shares.
fn one_at<R: Ring>(party: Party) -> R {
    match party {
        Party::S0 => R::ONE,
        Party::S1 => R::ZERO,
    }
}

fn run(backend: Backend, work: impl Loop) {
    with_kernel!(backend, kernel => kernel.run(work));
}

/// Runs `$body` with `$known` bound to the shape: a constant where it is one that networks use.
macro_rules! by_shape {
    ($shape:expr, $known:ident => $body:expr) => {
        by_shape!($shape, $known => $body, 13 14 15 16 17 18)
    };
    ($shape:expr, $known:ident => $body:expr, $($bits:literal)*) => {
        match $shape {
            $(shape if is(usual!($bits), shape) => {
                if let Some($known) = usual!($bits) {
                    $body
                }
            })*
            $known => $body,
        }
    };
}

/// A shape that networks use, as a constant.
macro_rules! usual {
    ($bits:literal) => {
        const { &ReluShape::of::<R>($bits, Some(Zone::THREE)) }
    };
}

#[inline]
fn is(usual: &Option<ReluShape>, shape: &ReluShape) -> bool {
    usual.as_ref() == Some(shape)
}

/// A block of ReLUs whose z is opened, at one server.
struct Opened<'a, R> {
    shape: &'a ReluShape,
    one: R,
    z: &'a [R],
    shares: &'a ReluShares<R>,
}

impl<'a, R: Ring> Opened<'a, R> {
    fn at(party: Party, shape: &'a ReluShape, z: &'a [R], shares: &'a ReluShares<R>) -> Self {
        Opened { shape, one: one_at(party), z, shares }
    }
}

struct Digits<'a, R> {
    opened: Opened<'a, R>,
    kept: &'a mut [R],
}

impl<R: Ring> Loop for Digits<'_, R> {
    #[inline(always)]
    fn run(self) {
        let Digits { opened: Opened { shape, one, z, shares }, kept } = self;
        assert!(z.len() <= RELU_BLOCK && kept.len() == z.len());
        by_shape!(shape, shape => {
            for i in 0..z.len() {
                kept[i] = digits(shape, one, z[i], shares, i);
            }
        });
    }
}

struct Borrows<'a, R> {
    shape: &'a ReluShape,
    one: R,
    theirs: &'a [R],
    kept: &'a mut [R],
}

impl<R: Ring> Loop for Borrows<'_, R> {
    #[inline(always)]
    fn run(self) {
        let Borrows { shape, one, theirs, kept } = self;
        assert!(theirs.len() == kept.len());
        by_shape!(shape, shape => {
            for (kept, theirs) in kept.iter_mut().zip(theirs) {
                *kept = borrow(shape, one, *kept, *theirs);
            }
        });
    }
}

struct Results<'a, R> {
    opened: Opened<'a, R>,
    slope: Slope,
    c: &'a mut [R],
}

impl<R: Ring> Loop for Results<'_, R> {
    #[inline(always)]
    fn run(self) {
        let Results { opened: Opened { shape, one, z, shares }, slope, c } = self;
        assert!(z.len() <= RELU_BLOCK && c.len() == z.len());
        by_shape!(shape, shape => {
            if slope == Slope::RELU {
                for i in 0..z.len() {
                    c[i] = upper(&Terms::of(shape, one, z[i], shares, i), c[i]);
                }
            } else {
                let [up, down] = [slope.above, slope.below].map(R::from_i64);
                for i in 0..z.len() {
                    let terms = Terms::of(shape, one, z[i], shares, i);
                    let (above, below) = (upper(&terms, c[i]), lower(&terms, c[i]));
                    c[i] = above.mul(up).add(below.mul(down));
                }
            }
        });
    }
}

struct Complement<'a, R> {
    shape: &'a ReluShape,
    others: &'a [R],
    shares: &'a mut ReluShares<R>,
}

impl<R: Ring> Loop for Complement<'_, R> {
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "the index is that of all other rows too")]
    fn run(self) {
        let Complement { shape, others, shares } = self;
        assert!(others.len() <= RELU_BLOCK);
        by_shape!(shape, shape => {
            for i in 0..others.len() {
                complement(shape, others[i], shares, i);
            }
        });
    }
}
