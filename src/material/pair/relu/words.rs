//! A server's finished shares of a block, packed as its file has them.

use super::half::Half;
use crate::kernels::RELU_BLOCK;
use crate::numbers::fixed::low_mask;
use crate::numbers::relu::{MAX_WORDS, ReluShape};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

/// A server's shares of a block of exact ReLUs: the mask elements, the packed words, F and FR, each for all elements. No
/// unused bit is set. Opaque in `Debug`.
pub(crate) struct ReluWords<R: Ring> {
    count: usize,
    planes: Zeroizing<Vec<R>>,
}

impl<R: Ring> std::fmt::Debug for ReluWords<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReluWords({})", self.count)
    }
}

impl<R: Ring> ReluWords<R> {
    /// The shares of even and of odd elements.
    pub(super) fn pack(shape: &ReluShape, halves: [&Half; 2]) -> Self {
        let count = halves.iter().map(|half| half.transfers.count).sum();
        let planes = shape.words() + 3;
        let mut words = ReluWords { count, planes: Zeroizing::new(vec![R::ZERO; planes * count]) };
        for (first, half) in halves.into_iter().enumerate() {
            for i in 0..half.transfers.count {
                let (masks, packed) = packed(shape, half, i);
                let tail = [half.f[i], half.f_signed[i]];
                let all = std::iter::once(masks).chain(packed[..shape.words()].iter().copied());
                for (plane, word) in all.chain(tail).enumerate() {
                    words.planes[plane * count + 2 * i + first] = R::from_u64(word);
                }
            }
        }
        words
    }

    /// ReLUs in the block.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Puts the block, whose first element is `first`, into a chunk of made material.
    ///
    /// # Panics
    /// Unless `first` is a multiple of [`RELU_BLOCK`] and the chunk has room: a bug of the caller.
    pub(crate) fn write(&self, chunk: &mut [u8], first: usize) {
        assert!(first.is_multiple_of(RELU_BLOCK));
        if self.count == 0 {
            return;
        }
        let planes = self.planes.len() / self.count;
        let bytes = planes * R::BYTES;
        let out = &mut chunk[first * bytes..][..self.count * bytes];
        for (block, out) in out.chunks_mut(RELU_BLOCK * bytes).enumerate() {
            let elements = out.len() / bytes;
            for (plane, out) in out.chunks_exact_mut(elements * R::BYTES).enumerate() {
                let from = plane * self.count + block * RELU_BLOCK;
                ring::copy_to_le_bytes(out, &self.planes[from..][..elements]);
            }
        }
    }
}

/// An element's mask word, rho in its low n bits, and its packed words.
fn packed(shape: &ReluShape, half: &Half, i: usize) -> (u64, [u64; MAX_WORDS]) {
    let (n, signed) = (shape.bits(), half.signed[i]);
    let masks = signed & low_mask(n) | half.mask_bits(i) << n;
    let mut words = [0; MAX_WORDS];
    let mut put = |lane: crate::numbers::relu::Lane, value: u64| {
        words[lane.word] |= (value & low_mask(lane.bits)) << lane.shift;
    };
    for vectors in &half.vectors {
        put(vectors.lane, vectors.prefix(i));
    }
    put(shape.high, signed >> n);
    put(shape.top, half.top[i]);
    put(shape.chosen_top, half.f_top[i]);
    let mut products = half.products(i);
    for lane in shape.products.into_iter().filter(|lane| lane.bits > 0) {
        put(lane, products);
        products >>= lane.bits;
    }
    (masks, words)
}
