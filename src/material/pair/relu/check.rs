//! Whether both servers' shares of exact ReLUs fit together: for what is opened and thrown away.

use crate::kernels::{RELU_BLOCK, ReluShares, relu_complement};
use crate::material::ReluMaterial;
use crate::numbers::fixed::low_mask;
use crate::numbers::relu::{Lane, ReluShape};
use crate::numbers::ring::Ring;

/// Both servers' material of some ReLUs, S0's first; never of one that is used.
pub(crate) struct OpenedRelus<'a>(pub [&'a ReluMaterial; 2]);

impl OpenedRelus<'_> {
    /// The first relation of docs/protocols.md that a ReLU breaks, if one does: all bits of all vectors, every product
    /// of masks, R, M and FM, F and FR, with d = f xor rho_m.
    ///
    /// One server's shares, all masks and the relations determine the other's: those are compared bit by bit.
    pub(crate) fn fault<R: Ring>(&self) -> Option<&'static str> {
        let [s0, s1] = self.0;
        if s0.count() != s1.count() {
            return Some("the number of ReLUs");
        }
        let (mut ours, mut expected) = (ReluShares::<R>::zeros(), ReluShares::<R>::zeros());
        let blocks = s0.count().div_ceil(RELU_BLOCK);
        (0..blocks).find_map(|block| {
            for (material, shares) in [(s0, &mut ours), (s1, &mut expected)] {
                material.digits(block, shares);
                material.results(block, shares);
            }
            let count = (s0.count() - block * RELU_BLOCK).min(RELU_BLOCK);
            relu_complement(s0.shape(), &ours.masks[..count], &mut expected);
            (0..count).find_map(|i| fault_at(s0.shape(), [&ours, &expected], i))
        })
    }
}

fn fault_at<R: Ring>(
    shape: &ReluShape,
    [found, expected]: [&ReluShares<R>; 2],
    i: usize,
) -> Option<&'static str> {
    let differ = |lane: Lane| {
        if lane.bits == 0 {
            return false;
        }
        let [found, expected] = [found, expected].map(|s| s.words[lane.word][i].to_u64());
        (found ^ expected) >> lane.shift & low_mask(lane.bits) != 0
    };
    if shape.digits().iter().any(|digit| differ(digit.lane)) {
        return Some("the vectors of the digits");
    }
    if shape.alarm.is_some_and(|(_, lane)| differ(lane)) {
        return Some("the vector of the alarm");
    }
    if shape.products.into_iter().any(differ) {
        return Some("the products of masks");
    }
    let lanes = [(shape.high, "R"), (shape.top, "M"), (shape.chosen_top, "FM")];
    if let Some((_, name)) = lanes.into_iter().find(|(lane, _)| differ(*lane)) {
        return Some(name);
    }
    if found.f[i] != expected.f[i] {
        return Some("F");
    }
    (found.f_rho[i] != expected.f_rho[i]).then_some("FR")
}
