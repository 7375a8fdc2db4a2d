//! Trees of seeds of which the peer learns all leaves but one.
//!
//! Goldreich, Goldwasser, Micali: a node's children are the first two blocks of its stream. The
//! owner offers, for each level, the xor of all left and of all right nodes; one OT a level gives
//! the peer the sum of the side that its path does *not* take, and with it every leaf but its own.

use crate::garble::{Block, BlockStream};
use crate::kernels::AesBackend;
use zeroize::{Zeroize, Zeroizing};

/// The children of every node of a level.
fn expand(level: &[Block], backend: AesBackend) -> Zeroizing<Vec<Block>> {
    let mut next = Zeroizing::new(Vec::with_capacity(2 * level.len()));
    for &node in level {
        let mut children = [Block::ZERO; 2];
        BlockStream::new(node, backend).fill(&mut children);
        next.extend_from_slice(&children);
        children.zeroize();
    }
    next
}

fn side_sum(level: &[Block], side: usize) -> Block {
    level.iter().skip(side).step_by(2).fold(Block::ZERO, |sum, &b| sum ^ b)
}

/// The 2^depth leaves of a tree, and for each level the sums of its left and its right nodes.
pub(super) fn full_tree(
    root: Block,
    depth: u32,
    backend: AesBackend,
) -> (Zeroizing<Vec<Block>>, Zeroizing<Vec<[Block; 2]>>) {
    let mut level = Zeroizing::new(vec![root]);
    let mut sums = Zeroizing::new(Vec::with_capacity(depth as usize));
    for _ in 0..depth {
        level = expand(&level, backend);
        sums.push([side_sum(&level, 0), side_sum(&level, 1)]);
    }
    (level, sums)
}

/// The leaves of a peer's tree but the one at `hole`, which comes back as zero. `sums[i]` is the
/// sum of level i on the side away from the hole's path; the path's first step is the hole's
/// highest bit.
///
/// The hole is secret: every node is written at every level, on the path or not.
pub(super) fn punctured_tree(
    hole: usize,
    sums: &[Block],
    backend: AesBackend,
) -> Zeroizing<Vec<Block>> {
    let depth = sums.len();
    let mut level = Zeroizing::new(vec![Block::ZERO]);
    for (i, &sum) in sums.iter().enumerate() {
        let path = hole >> (depth - i);
        let away_is_right = hole >> (depth - 1 - i) & 1 == 0;
        let mut next = expand(&level, backend);
        for (node, children) in next.chunks_exact_mut(2).enumerate() {
            children.iter_mut().for_each(|child| *child = child.keep_if(node != path));
        }
        let known = [side_sum(&next, 0), side_sum(&next, 1)];
        let missing = sum ^ known[0].keep_if(!away_is_right) ^ known[1].keep_if(away_is_right);
        for (node, children) in next.chunks_exact_mut(2).enumerate() {
            let here = missing.keep_if(node == path);
            children[0] ^= here.keep_if(!away_is_right);
            children[1] ^= here.keep_if(away_is_right);
        }
        level = next;
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
                let mut expected = leaves.to_vec();
                expected[hole] = Block::ZERO;
                assert!(*punctured_tree(hole, &known, AesBackend::Portable) == expected);
            }
        }
    }
}
