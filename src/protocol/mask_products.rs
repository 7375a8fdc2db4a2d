//! U Y_i: the part of a linear layer that depends on no input and can be computed ahead of time.

use crate::kernels::{PackedWeights, matmul_acc_by_rows};
use crate::material::{SlotView, first_columns};
use crate::model::PublicModel;
use crate::network::{Op, StageGrid};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use std::ops::Range;
use zeroize::Zeroizing;

/// The opened weights U of a model, packed for products with masks.
pub(crate) struct MaskProducts<R: Ring> {
    layers: Vec<(usize, PackedWeights<R>)>,
}

impl<R: Ring> MaskProducts<R> {
    /// Packs the columns of U that meet masked inputs; U is one row-major vector a linear op, in order.
    pub(crate) fn new(public: &PublicModel, opened: &[Vec<R>]) -> Self {
        let pack = |((op, l), u): ((usize, &crate::model::LinearSpec), &Vec<R>)| {
            let masked = public.network.masked_inputs(op);
            (op, PackedWeights::pack(l.outputs, masked, &first_columns(u, l.inputs, masked)))
        };
        MaskProducts { layers: public.network.linears().zip(opened).map(pack).collect() }
    }

    /// `acc` += U Y_i for one batch.
    ///
    /// Shapes: mask share Y_i p x n (inputs that have a mask), `acc` p x m, row-major by patch. Cost: local.
    pub(crate) fn add(&self, op: usize, mask: &[R], acc: &mut [R]) {
        let found = self.layers.iter().find(|(at, _)| *at == op);
        let (_, weights) = found.expect("only called for the linear ops it was made from");
        matmul_acc_by_rows(weights, mask, acc, |_| ());
    }

    /// U Y_i of every linear op for patches `rows` of a stage, as little-endian bytes in the order of
    /// [`crate::material::MaterialLayout::products`].
    pub(crate) fn batch(
        &self,
        public: &PublicModel,
        grid: &StageGrid,
        slot: &SlotView<'_>,
        rows: Range<usize>,
    ) -> Vec<Vec<u8>> {
        let (network, mut products) = (&public.network, Vec::new());
        for op in grid.stage.ops.clone() {
            if let Op::Linear(l) = &network.ops()[op] {
                let mask = match network.inner_mask(op) {
                    None => gathered_mask(slot, public, grid, rows.clone()),
                    Some(op) => slot.input_mask(op, rows.start * l.inputs..rows.end * l.inputs),
                };
                let mask = Zeroizing::new(mask);
                let mut acc = vec![R::ZERO; rows.len() * l.outputs];
                self.add(op, &mask, &mut acc);
                products.push(ring::to_le_bytes(&acc));
            }
        }
        products
    }
}

/// The share of Y that patches `rows` of a stage read of masked maps.
pub(super) fn gathered_mask<R: Ring>(
    slot: &SlotView<'_>,
    public: &PublicModel,
    grid: &StageGrid,
    rows: Range<usize>,
) -> Vec<R> {
    let mask = |map: usize, run| slot.input_mask::<R>(public.network.maps()[map].op, run);
    grid.gather_masked(rows, |map, run| Zeroizing::new(mask(map, run)))
}
