//! Trees of seeds of which the peer learns all leaves but one.
//!
//! Goldreich, Goldwasser, Micali: a node's children are the first two blocks of its stream. The
//! owner offers, for each level, the xor of all left and of all right nodes; one OT a level gives
//! the peer the sum of the side that its path does *not* take, and with it every leaf but its own.

use crate::garble::{Block, BlockStream};
use crate::kernels::AesBackend;
use zeroize::Zeroize;

/// The children of every node of a level.
fn expand(level: &[Block], backend: AesBackend) -> Vec<Block> {
    level.iter().flat_map(|&node| BlockStream::new(node, backend).take(2)).collect()
}

fn side_sum(level: &[Block], side: usize) -> Block {
    level.iter().skip(side).step_by(2).fold(Block::ZERO, |sum, &b| sum ^ b)
}

/// The 2^depth leaves of a tree, and for each level the sums of its left and its right nodes.
pub(super) fn full_tree(
    root: Block,
    depth: u32,
    backend: AesBackend,
) -> (Vec<Block>, Vec<[Block; 2]>) {
    let mut level = vec![root];
    let mut sums = Vec::with_capacity(depth as usize);
    for _ in 0..depth {
        let mut next = expand(&level, backend);
        std::mem::swap(&mut level, &mut next);
        next.zeroize();
        sums.push([side_sum(&level, 0), side_sum(&level, 1)]);
    }
    (level, sums)
}

/// The leaves of a peer's tree but the one at `hole`, which comes back as zero. `sums[i]` is the
/// sum of level i on the side away from the hole's path; the path's first step is the hole's
/// highest bit.
pub(super) fn punctured_tree(hole: usize, sums: &[Block], backend: AesBackend) -> Vec<Block> {
    let depth = sums.len();
    let mut level = vec![Block::ZERO];
    for (i, &sum) in sums.iter().enumerate() {
        let path = hole >> (depth - i);
        let mut next = expand(&level, backend);
        next[2 * path] = Block::ZERO;
        next[2 * path + 1] = Block::ZERO;
        let away = 1 - (hole >> (depth - 1 - i) & 1);
        next[2 * path + away] = sum ^ side_sum(&next, away);
        std::mem::swap(&mut level, &mut next);
        next.zeroize();
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hole_of_every_depth() {
        for depth in 1..=4u32 {
            let (leaves, sums) = full_tree(Block(depth.into()), depth, AesBackend::Portable);
            assert_eq!(leaves.len(), 1 << depth);
            for hole in 0..leaves.len() {
                let away = |i: usize| 1 - (hole >> (depth as usize - 1 - i) & 1);
                let known: Vec<Block> = (0..depth as usize).map(|i| sums[i][away(i)]).collect();
                let mut expected = leaves.clone();
                expected[hole] = Block::ZERO;
                assert!(punctured_tree(hole, &known, AesBackend::Portable) == expected);
            }
        }
    }
}
