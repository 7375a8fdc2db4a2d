//! Uniform blocks from a 128-bit seed: AES-128 in counter mode.

use super::Block;
use crate::kernels::{AesBackend, AesKey};
use crate::secret::Secret;

/// A stream of uniform blocks, each with its own position; wiped on drop, opaque in `Debug`.
///
/// Security: AES-128 is a pseudorandom permutation; use a seed for at most 2^40 blocks.
#[derive(Debug)]
pub struct BlockStream {
    seed: Secret<Block>,
    backend: AesBackend,
    next: u64,
}

impl BlockStream {
    /// The stream of a uniform seed.
    pub fn new(seed: Block, backend: AesBackend) -> Self {
        BlockStream { seed: Secret::new(seed), backend, next: 0 }
    }

    /// The next `out.len()` blocks.
    pub fn fill(&mut self, out: &mut [Block]) {
        AesKey::new(self.backend, self.seed.expose().0).counter_mode(self.next, out);
        self.next += out.len() as u64;
    }

    /// The next `count` blocks.
    pub fn take(&mut self, count: usize) -> Vec<Block> {
        let mut out = vec![Block::ZERO; count];
        self.fill(&mut out);
        out
    }

    /// The position of the next block.
    pub fn position(&self) -> u64 {
        self.next
    }
}
