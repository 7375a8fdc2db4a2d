//! Uniform blocks from a 128-bit seed: AES-128 in counter mode.

use super::Block;
use crate::kernels::{AesBackend, AesKey};
use crate::secret::Secret;

/// A stream of uniform blocks, each with its own position; wiped on drop, opaque in `Debug`.
///
/// Security: AES-128 is a pseudorandom permutation, and q of its blocks differ from uniform ones by at
/// most q^2 / 2^129. A seed gives 2^40 blocks; the stream goes on with the next seed, which is a block of
/// the present one that is never part of the stream.
#[derive(Debug)]
pub struct BlockStream {
    seed: Secret<Block>,
    backend: AesBackend,
    /// Seeds before this one.
    spent: u64,
    /// The block of this seed that is next.
    next: u64,
}

/// The blocks of one seed.
const BLOCKS_A_SEED: u64 = 1 << 40;
/// The block that is the seed after it.
const NEXT_SEED: u64 = 1 << 63;

impl BlockStream {
    /// The stream of a uniform seed.
    pub fn new(seed: Block, backend: AesBackend) -> Self {
        BlockStream { seed: Secret::new(seed), backend, spent: 0, next: 0 }
    }

    /// The next `out.len()` blocks.
    pub fn fill(&mut self, out: &mut [Block]) {
        let mut rest = out;
        loop {
            let key = AesKey::new(self.backend, self.seed.expose().0);
            let left = usize::try_from(BLOCKS_A_SEED - self.next).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at_mut(left.min(rest.len()));
            key.counter_mode(self.next, now);
            self.next += now.len() as u64;
            if later.is_empty() {
                return;
            }
            let mut seed = [Block::ZERO];
            key.counter_mode(NEXT_SEED, &mut seed);
            self.seed = Secret::new(seed[0]);
            (self.spent, self.next) = (self.spent + 1, 0);
            rest = later;
        }
    }

    /// The next `count` blocks.
    pub fn take(&mut self, count: usize) -> Vec<Block> {
        let mut out = vec![Block::ZERO; count];
        self.fill(&mut out);
        out
    }

    /// The position of the next block.
    pub fn position(&self) -> u64 {
        self.spent * BLOCKS_A_SEED + self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No seed gives a block more, however the blocks are taken, on every backend.
    #[test]
    fn a_seed_is_used_for_as_many_blocks_as_is_said() {
        for backend in AesBackend::available() {
            let of = |seed: Block, first: u64| {
                let mut out = [Block::ZERO; 3];
                AesKey::new(backend, seed.0).counter_mode(first, &mut out);
                out
            };
            let at_the_end =
                || BlockStream { next: BLOCKS_A_SEED - 3, ..BlockStream::new(Block(7), backend) };
            let mut last = [Block::ZERO];
            AesKey::new(backend, 7).counter_mode(NEXT_SEED, &mut last);
            let expected = [of(Block(7), BLOCKS_A_SEED - 3), of(last[0], 0)].concat();
            let mut at_once = at_the_end();
            assert!(at_once.take(6) == expected, "{backend:?}");
            assert_eq!(at_once.position(), BLOCKS_A_SEED + 3);
            let mut singly = at_the_end();
            let blocks: Vec<Block> = (0..6).flat_map(|_| singly.take(1)).collect();
            assert!(blocks == expected, "{backend:?}");
            assert_eq!((singly.spent, singly.next), (1, 3));
        }
    }
}
