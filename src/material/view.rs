//! One server's view of a slot: its shares of masks and products, wherever they come from.

use super::{Chunk, Origin};
use crate::crypto::prg::{BulkStream, Domain, Purpose, Seed};
use crate::ids::Party;
use crate::kernels::one_hot_words;
use crate::numbers::fixed::low_mask;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use std::ops::Range;

/// A party's seed for one slot, and how to read what it implies.
///
/// Every method may be called more than once and for any range of elements; using the result under
/// a second image is what the ledger forbids.
pub struct SlotView<'a> {
    party: Party,
    seed: &'a Seed,
    slot: u64,
    origin: Origin,
}

impl<'a> SlotView<'a> {
    /// The view of `party` on `slot` with its seed of the triple set, which `origin` made.
    pub fn new(party: Party, seed: &'a Seed, slot: u64, origin: Origin) -> Self {
        SlotView { party, seed, slot, origin }
    }

    /// Whose view it is.
    pub fn party(&self) -> Party {
        self.party
    }

    /// Who made the slot.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether the party has explicit material.
    fn is_explicit(&self) -> bool {
        self.origin.explicit_at(self.party)
    }

    /// The slot.
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// The share of the mask Y that belongs to op `op`, elements `at`: of the map that the stage makes whose last
    /// op it is, of the image for op 0 ([`crate::network::Map::op`]), or, within a stage, of what an activation
    /// gave a linear op, row-major.
    ///
    /// Security: a mask is that of the values, not of an op that reads them. V = A - Y is opened once, whoever reads
    /// it; each reader has an X of its own, so U = G - X and the shares of Z = X Y tell as little as if all
    /// readers were one op with their rows below one another.
    pub fn input_mask<R: Ring>(&self, op: usize, at: Range<usize>) -> Vec<R> {
        self.stream(Purpose::InputMask, op).take(at.start as u64, at.len())
    }

    /// Adds the share of Z = X Y of op `op`, elements `at`, to `acc`; `explicit` is the
    /// chunk, empty for a party with none.
    ///
    /// `None` if the chunk has another length than the range.
    pub fn add_product<R: Ring>(
        &self,
        op: usize,
        at: Range<usize>,
        explicit: &[u8],
        acc: &mut [R],
    ) -> Option<()> {
        if self.is_explicit() {
            ring::add_le_bytes(acc, explicit)
        } else {
            self.add_stream(Purpose::Product, op, at.start, acc);
            Some(())
        }
    }

    /// The shares of a and a^2 of the square pairs of op `op`, elements `at`; `explicit` is the
    /// chunk, empty for a party with none.
    ///
    /// `None` if the chunk has another length than the range.
    pub fn square_pairs<R: Ring>(
        &self,
        op: usize,
        at: Range<usize>,
        explicit: &[u8],
    ) -> Option<(Vec<R>, Vec<R>)> {
        let squares = if self.is_explicit() {
            ring::from_le_bytes(explicit).filter(|s: &Vec<R>| s.len() == at.len())?
        } else {
            self.stream(Purpose::Square, op).take(at.start as u64, at.len())
        };
        Some((self.square_root(op, at), squares))
    }

    /// The lookup material of op `op` for activations `at`, a table of `hi` and `lo` bits;
    /// `explicit` is the chunk, empty for a party with none.
    ///
    /// `None` if the chunk has another length than the range.
    pub fn lookup<R: Ring>(
        &self,
        op: usize,
        at: Range<usize>,
        hi: u32,
        lo: u32,
        explicit: Chunk,
    ) -> Option<LookupMaterial> {
        let words = one_hot_words(hi);
        let source = if self.is_explicit() {
            let length = at.len() * self.origin.lookup_bytes(hi, R::BYTES);
            (explicit.len() == length).then_some(Source::Explicit(explicit, self.origin))?
        } else {
            Source::Seed(Box::new(SeedSource {
                one_hot: self.stream(Purpose::OneHot, op),
                keys: KEYS.map(|purpose| self.stream(purpose, op)),
            }))
        };
        Some(LookupMaterial { masks: self.lookup_masks(op, at, hi + lo), hi, words, source })
    }

    /// The masks of activations `at` that the seed implies; `bits` = hi + lo.
    pub(crate) fn lookup_masks(&self, op: usize, at: Range<usize>, bits: u32) -> LookupMasks {
        LookupMasks {
            at,
            bits,
            input_mask: self.stream(Purpose::LookupMask, op),
            sum_masks: [Purpose::ValueMask, Purpose::SlopeMask].map(|p| self.stream(p, op)),
        }
    }

    /// The share of a.
    pub(crate) fn square_root<R: Ring>(&self, op: usize, at: Range<usize>) -> Vec<R> {
        self.stream(Purpose::SquareRoot, op).take(at.start as u64, at.len())
    }

    pub(super) fn stream(&self, purpose: Purpose, op: usize) -> BulkStream {
        self.seed.bulk(Domain { purpose, slot: self.slot, op: op as u32 })
    }

    /// `acc` += the elements of a stream from `first` on.
    pub(super) fn add_stream<R: Ring>(
        &self,
        purpose: Purpose,
        op: usize,
        first: usize,
        acc: &mut [R],
    ) {
        let stream = self.stream(purpose, op);
        let mut scratch = [R::ZERO; SCRATCH];
        for (i, acc) in acc.chunks_mut(SCRATCH).enumerate() {
            let scratch = &mut scratch[..acc.len()];
            stream.fill((first + i * SCRATCH) as u64, scratch);
            ring::add_assign(acc, scratch);
        }
    }
}

/// Elements expanded at a time where they are consumed at once: they stay in the nearest cache.
const SCRATCH: usize = 1024;

/// The purposes of K2 and K3, in the order of the explicit chunk.
const KEYS: [Purpose; 2] = [Purpose::LookupKey2, Purpose::LookupKey3];

/// The number of rho behind K2 and K3 in a made chunk.
const RHO: usize = KEYS.len();

/// A party's lookup material for a range of activations, expanded piece by piece as it is needed.
///
/// Elements are counted from the start of the range; every method fills whole slices.
pub struct LookupMaterial {
    masks: LookupMasks,
    hi: u32,
    words: usize,
    source: Source,
}

/// The masks among a party's lookup material that its seed implies: m, m', and rho if it is dealt.
pub(crate) struct LookupMasks {
    at: Range<usize>,
    bits: u32,
    input_mask: BulkStream,
    /// Of m and m'.
    sum_masks: [BulkStream; 2],
}

impl LookupMasks {
    /// Shares of a dealt rho, in Z_2^n (n = hi + lo), of the elements from `first` on.
    pub(crate) fn dealt_rho<R: Ring>(&self, first: usize, out: &mut [R]) {
        self.input_mask.fill((self.at.start + first) as u64, out);
        let mask = R::from_u64(low_mask(self.bits));
        out.iter_mut().for_each(|v| *v = v.and(mask));
    }

    /// Shares of m and m' from `first` on.
    pub(crate) fn sum_masks<R: Ring>(&self, first: usize, out: [&mut [R]; 2]) {
        for (stream, out) in self.sum_masks.iter().zip(out) {
            stream.fill((self.at.start + first) as u64, out);
        }
    }
}

/// Where the one-hot vectors and K come from.
enum Source {
    /// The one-hot words of all activations, then K2, K3, and rho if it is made.
    Explicit(Chunk, Origin),
    /// S1 with dealt material.
    Seed(Box<SeedSource>),
}

struct SeedSource {
    one_hot: BulkStream,
    keys: [BulkStream; 2],
}

impl LookupMaterial {
    /// Activations in the range.
    pub fn count(&self) -> usize {
        self.masks.at.len()
    }

    /// Words of one one-hot vector.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Shares of m and m' from `first` on.
    pub fn sum_masks<R: Ring>(&self, first: usize, out: [&mut [R]; 2]) {
        self.masks.sum_masks(first, out);
    }

    /// Shares of rho, in Z_2^n (n = hi + lo), of the elements from `first` on.
    pub fn rho<R: Ring>(&self, first: usize, out: &mut [R]) {
        match &self.source {
            Source::Explicit(chunk, Origin::Made) => self.read(chunk, RHO, first, out),
            Source::Explicit(_, Origin::Dealt) | Source::Seed(_) => {
                self.masks.dealt_rho(first, out);
            }
        }
    }

    /// Elements from `first` on of vector `number` behind the one-hot words of an explicit chunk.
    fn read<R: Ring>(&self, chunk: &Chunk, number: usize, first: usize, out: &mut [R]) {
        let vectors = &chunk[self.count() * self.words * 8..];
        let start = (number * self.count() + first) * R::BYTES;
        read_le(&vectors[start..][..out.len() * R::BYTES], out);
    }

    /// XOR shares of the one-hot vectors of rho_hi from `first` on, [`LookupMaterial::words`] each.
    /// Of a vector shorter than a word only the low bits are used.
    pub fn one_hot(&self, first: usize, out: &mut [u64]) {
        match &self.source {
            Source::Explicit(chunk, _) => {
                let bytes = &chunk[first * self.words * 8..][..out.len() * 8];
                read_le(bytes, out);
            }
            Source::Seed(seed) => {
                seed.one_hot.fill(((self.masks.at.start + first) * self.words) as u64, out);
                if self.hi < 6 {
                    out.iter_mut().for_each(|w| *w &= low_mask(1 << self.hi));
                }
            }
        }
    }

    /// Shares of K2 = W rho_lo and K3 = -W m + W rho_lo m' from `first` on. A share of K1 = W is the
    /// popcount of the one-hot share, negated at S1.
    pub fn keys<R: Ring>(&self, first: usize, out: [&mut [R]; 2]) {
        match &self.source {
            Source::Explicit(chunk, _) => {
                for (number, out) in out.into_iter().enumerate() {
                    self.read(chunk, number, first, out);
                }
            }
            Source::Seed(seed) => {
                for (stream, out) in seed.keys.iter().zip(out) {
                    stream.fill((self.masks.at.start + first) as u64, out);
                }
            }
        }
    }
}

/// Elements from as many bytes as they take.
fn read_le<R: Ring>(bytes: &[u8], out: &mut [R]) {
    let copied = ring::copy_from_le_bytes(out, bytes);
    debug_assert!(copied.is_some(), "lengths were checked when the material was made");
}
