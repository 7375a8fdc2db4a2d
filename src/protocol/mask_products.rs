//! U Y_i: the part of a linear layer that depends on no input and can be computed ahead of time.

use crate::correlation::SlotView;
use crate::kernels::{PackedWeights, matmul_acc_by_rows};
use crate::model::PublicModel;
use crate::network::{Op, PatchGrid};
use crate::ring::{self, Ring};
use std::ops::Range;

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

    /// U Y_i of every linear op for the patches `rows` of a slot, as little-endian bytes in the order
    /// of [`crate::correlation::MaterialLayout::products`]. `image_mask` is this server's share of the
    /// mask of the image.
    pub fn tile(
        &self,
        public: &PublicModel,
        grid: &PatchGrid,
        slot: &SlotView<'_>,
        image_mask: &[R],
        rows: Range<usize>,
    ) -> Vec<Vec<u8>> {
        let (mut products, mut gathered) = (Vec::new(), false);
        for (op, step) in public.network.ops().iter().enumerate() {
            match step {
                Op::Gather(_) => gathered = true,
                Op::Linear(l) => {
                    let mask = if std::mem::take(&mut gathered) {
                        grid.gather(rows.clone(), image_mask)
                    } else {
                        slot.input_mask(op, rows.start * l.inputs..rows.end * l.inputs)
                    };
                    let mut acc = vec![R::ZERO; rows.len() * l.outputs];
                    self.add(op, &mask, &mut acc);
                    products.push(ring::to_le_bytes(&acc));
                }
                _ => {}
            }
        }
        products
    }
}
