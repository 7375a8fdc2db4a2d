//! U Y_i: the part of a linear layer that depends on no input and can be computed ahead of time.

use crate::kernels::{PackedWeights, matmul_acc_by_rows};
use crate::material::SlotView;
use crate::model::PublicModel;
use crate::network::{Op, PatchGrid, Stage};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use std::ops::Range;
use zeroize::Zeroizing;

/// The opened weights U of a model, packed for products with masks.
pub struct MaskProducts<R: Ring> {
    layers: Vec<(usize, PackedWeights<R>)>,
}

impl<R: Ring> MaskProducts<R> {
    /// Packs U, one row-major vector a linear op, in order.
    pub fn new(public: &PublicModel, opened: &[Vec<R>]) -> Self {
        let pack = |((op, l), u): ((usize, &crate::model::LinearSpec), &Vec<R>)| {
            (op, PackedWeights::pack(l.outputs, l.inputs, u))
        };
        MaskProducts { layers: public.network.linears().zip(opened).map(pack).collect() }
    }

    /// `acc` += U Y_i for one batch.
    ///
    /// Shapes: mask share Y_i p x n, `acc` p x m, row-major by patch. Cost: local.
    pub fn add(&self, op: usize, mask: &[R], acc: &mut [R]) {
        let found = self.layers.iter().find(|(at, _)| *at == op);
        let (_, weights) = found.expect("only called for the linear ops it was made from");
        matmul_acc_by_rows(weights, mask, acc, |_| ());
    }

    /// U Y_i of every linear op for patches `rows` of a stage, as little-endian bytes in the order of
    /// [`crate::material::MaterialLayout::products`]. `grid` is the stage's.
    pub fn tile(
        &self,
        public: &PublicModel,
        (stage, grid): (&Stage, &PatchGrid),
        slot: &SlotView<'_>,
        rows: Range<usize>,
    ) -> Vec<Vec<u8>> {
        let mut products = Vec::new();
        for op in stage.ops.clone() {
            if let Op::Linear(l) = &public.network.ops()[op] {
                let mask = match op == stage.first_linear() {
                    true => gathered_mask(slot, op, grid, rows.clone()),
                    false => slot.input_mask(op, rows.start * l.inputs..rows.end * l.inputs),
                };
                let mut acc = vec![R::ZERO; rows.len() * l.outputs];
                self.add(op, &mask, &mut acc);
                products.push(ring::to_le_bytes(&acc));
            }
        }
        products
    }
}

/// The share of Y that patches `rows` read of a masked map; `op` is the linear op behind the gather.
pub(super) fn gathered_mask<R: Ring>(
    slot: &SlotView<'_>,
    op: usize,
    grid: &PatchGrid,
    rows: Range<usize>,
) -> Vec<R> {
    let lines = grid.sources(rows.clone());
    let mask = Zeroizing::new(slot.input_mask::<R>(op, lines.clone()));
    grid.gather(rows, &mask, lines.start)
}
