//! The dealer's part: S0's words from both servers' seeds.

use super::ReluMaterial;
use crate::crypto::prg::Purpose;
use crate::kernels::{RELU_BLOCK, ReluShares, relu_complement};
use crate::material::{Chunk, Origin, SlotView};
use crate::numbers::relu::ReluShape;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use rayon::prelude::*;
use std::ops::Range;

/// S0's explicit chunk for ReLUs `at` of op `op`; `views` are both servers' of one dealt slot, S0's first.
///
/// Cost: about as much as reading it; blocks are shared out among the threads of the current pool.
/// Security: S0's words are the material less S1's share, which is its seed's: uniform given all else. rho and every mask
/// have a fresh part from either seed (rules E1 to E3); f follows from rho and d, never d from rho.
///
/// # Panics
/// Unless the views are S0's and S1's of a dealt slot and the shape is of the ring: a bug of the caller.
pub fn deal_relus<R: Ring>(
    views: &[SlotView<'_>; 2],
    op: usize,
    at: Range<usize>,
    shape: &ReluShape,
) -> Vec<u8> {
    let ours = views[0].stream(Purpose::ReluMask, op);
    let theirs = ReluMaterial::new::<R>(&views[1], op, at.clone(), *shape, Chunk::default());
    let theirs = theirs.expect("S1's material of a dealt slot needs no chunk");
    let each = Origin::Dealt.relu_bytes(shape);
    let mut bytes = vec![0; at.len() * each];
    let blocks = bytes.par_chunks_mut(RELU_BLOCK * each).enumerate();
    blocks.for_each_init(
        || (ReluShares::<R>::zeros(), [R::ZERO; RELU_BLOCK]),
        |(shares, masks), (block, bytes)| {
            let masks = &mut masks[..bytes.len() / each];
            ours.fill((at.start + block * RELU_BLOCK) as u64, masks);
            theirs.digits(block, shares);
            theirs.results(block, shares);
            relu_complement(shape, masks, shares);
            let words = shares.words[..shape.words()].iter();
            let planes = words.chain([&shares.f, &shares.f_rho]);
            for (out, plane) in bytes.chunks_exact_mut(masks.len() * R::BYTES).zip(planes) {
                ring::copy_to_le_bytes(out, &plane[..masks.len()]);
            }
        },
    );
    bytes
}
