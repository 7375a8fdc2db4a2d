//! Material of the exact ReLU: what a dealer makes, and a server's view of it, whoever made it.
//!
//! With a dealer S1's shares of everything are seeds'; S0 has seeds for rho and the masks u, v and d, and explicit words
//! for the rest, 24 bytes a ReLU for n = 17 in the 32-bit ring (docs/protocols.md, exact ReLU). If the servers made it
//! between themselves ([`crate::material::pair::relu`]), both have everything explicitly, 28 bytes. An explicit chunk
//! goes by blocks of [`RELU_BLOCK`] ReLUs; of each block come, if they are explicit, the elements of rho and the masks,
//! then the packed words, word by word, then F, then FR.

mod deal;
#[cfg(test)]
mod tests;

pub use deal::deal_relus;

use super::{Chunk, Origin, SlotView};
use crate::crypto::prg::{BulkStream, Purpose};
use crate::ids::Party;
use crate::kernels::{RELU_BLOCK, ReluShares};
use crate::numbers::relu::ReluShape;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use std::ops::Range;

/// Where S1's shares of the next word begin in its stream, in elements: more ReLUs than any op has.
const PLANE: u64 = 1 << 36;

/// A party's material for a range of exact ReLUs, expanded block by block as it is needed.
///
/// Blocks of [`RELU_BLOCK`] are counted from the start of the range; the last may be shorter.
pub struct ReluMaterial {
    at: Range<usize>,
    shape: ReluShape,
    source: Source,
}

/// Where rho and the masks come from, and everything else.
enum Source {
    /// S0 with a dealer.
    Dealt { masks: Box<BulkStream>, words: Chunk },
    /// S1 with a dealer.
    Seed { masks: Box<BulkStream>, words: Box<BulkStream> },
    /// Either server without one.
    Made(Chunk),
}

impl ReluMaterial {
    /// What `slot` holds for ReLUs `at` of op `op`; `explicit` is the chunk, empty for a party with none.
    ///
    /// `None` if the chunk has another length than the range, or the shape is not of the ring.
    pub fn new<R: Ring>(
        slot: &SlotView<'_>,
        op: usize,
        at: Range<usize>,
        shape: ReluShape,
        explicit: Chunk,
    ) -> Option<Self> {
        let stream = |purpose| Box::new(slot.stream(purpose, op));
        let bytes = if slot.origin().explicit_at(slot.party()) {
            slot.origin().relu_bytes(&shape)
        } else {
            0
        };
        if shape.ring_bits() != R::BITS
            || at.end as u64 > PLANE
            || explicit.len() != at.len() * bytes
        {
            return None;
        }
        let source = match (slot.origin(), slot.party()) {
            (Origin::Made, _) => Source::Made(explicit),
            (Origin::Dealt, Party::S0) => {
                Source::Dealt { masks: stream(Purpose::ReluMask), words: explicit }
            }
            (Origin::Dealt, Party::S1) => {
                let (masks, words) = (stream(Purpose::ReluMask), stream(Purpose::ReluWords));
                Source::Seed { masks, words }
            }
        };
        Some(ReluMaterial { at, shape, source })
    }

    /// A server's made chunk of some ReLUs, whatever slot they are of; `None` if it is not one of the shape.
    pub fn made<R: Ring>(shape: ReluShape, chunk: Chunk) -> Option<Self> {
        let (bytes, len) = (Origin::Made.relu_bytes(&shape), chunk.len());
        let fits = shape.ring_bits() == R::BITS && len.is_multiple_of(bytes);
        fits.then(|| ReluMaterial { at: 0..len / bytes, shape, source: Source::Made(chunk) })
    }

    /// ReLUs in the range.
    pub fn count(&self) -> usize {
        self.at.len()
    }

    /// How they are cut and packed.
    pub fn shape(&self) -> &ReluShape {
        &self.shape
    }

    /// Shares of rho of a block, in Z_2^n; `out` is as long as the block.
    pub fn rho<R: Ring>(&self, block: usize, out: &mut [R]) {
        self.masks(block, out);
        let mask = R::from_u64((1 << self.shape.bits()) - 1);
        out.iter_mut().for_each(|v| *v = v.and(mask));
    }

    /// What a block's second and third opening need: masks and packed words.
    pub fn digits<R: Ring>(&self, block: usize, out: &mut ReluShares<R>) {
        let len = self.block_len(block);
        self.masks(block, &mut out.masks[..len]);
        for word in 0..self.shape.words() {
            self.plane(block, word, &mut out.words[word][..len]);
        }
    }

    /// What a block's results need: rho, the words with R, M and FM, and F and FR.
    pub fn results<R: Ring>(&self, block: usize, out: &mut ReluShares<R>) {
        let len = self.block_len(block);
        self.masks(block, &mut out.masks[..len]);
        let words = self.shape.words();
        for word in (0..words).filter(|&word| self.shape.serves_results(word)) {
            self.plane(block, word, &mut out.words[word][..len]);
        }
        self.plane(block, words, &mut out.f[..len]);
        self.plane(block, words + 1, &mut out.f_rho[..len]);
    }

    /// Elements of rho's and the masks' shares.
    fn masks<R: Ring>(&self, block: usize, out: &mut [R]) {
        match &self.source {
            Source::Dealt { masks, .. } | Source::Seed { masks, .. } => {
                masks.fill((self.at.start + block * RELU_BLOCK) as u64, out);
            }
            Source::Made(chunk) => self.read(chunk, Origin::Made, block, 0, out),
        }
    }

    /// ReLUs of a block.
    fn block_len(&self, block: usize) -> usize {
        self.count().saturating_sub(block * RELU_BLOCK).min(RELU_BLOCK)
    }

    /// Word `plane` of a block, behind the packed words F and FR.
    fn plane<R: Ring>(&self, block: usize, plane: usize, out: &mut [R]) {
        match &self.source {
            Source::Dealt { words, .. } => self.read(words, Origin::Dealt, block, plane, out),
            Source::Made(chunk) => self.read(chunk, Origin::Made, block, 1 + plane, out),
            Source::Seed { words, .. } => {
                let first = self.at.start + block * RELU_BLOCK;
                words.fill(plane as u64 * PLANE + first as u64, out);
            }
        }
    }

    /// Plane `plane` of a block of an explicit chunk.
    fn read<R: Ring>(
        &self,
        chunk: &Chunk,
        origin: Origin,
        block: usize,
        plane: usize,
        out: &mut [R],
    ) {
        let start =
            block * RELU_BLOCK * origin.relu_bytes(&self.shape) + plane * out.len() * R::BYTES;
        let copied = ring::copy_from_le_bytes(out, &chunk[start..][..out.len() * R::BYTES]);
        debug_assert!(copied.is_some(), "lengths were checked when the material was made");
    }
}
