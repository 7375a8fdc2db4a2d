//! The dealer: from public shapes and seeds to S0's explicit material.

use super::{SlotView, weight_mask};
use crate::fixed::low_mask;
use crate::kernels::{PackedWeights, matmul_acc, one_hot_words, xor_one_hot};
use crate::lookup::SlopeTable;
use crate::model::{ActivationSpec, PublicModel};
use crate::network::{NetworkError, Op, PatchGrid};
use crate::party::Party;
use crate::prg::{Purpose, Seed};
use crate::ring::{self, Ring};
use std::ops::Range;

/// What one server's triples file holds beside explicit material.
#[derive(Debug)]
pub struct PartySeeds {
    /// Expands to the party's share of every X of the model.
    pub weight_mask: Seed,
    /// Expands to the party's shares in every slot.
    pub slots: Seed,
}

/// Makes the explicit material of S0, tile by tile.
pub struct Dealer<'a, R: Ring> {
    public: &'a PublicModel,
    grid: PatchGrid,
    seeds: [&'a PartySeeds; 2],
    weight_masks: Vec<PackedWeights<R>>,
    image_mask: (Option<u64>, Vec<R>),
}

impl<'a, R: Ring> Dealer<'a, R> {
    /// A dealer for images of `size`; expands and packs X.
    ///
    /// # Errors
    /// As [`crate::network::Network::grid`].
    pub fn new(
        public: &'a PublicModel,
        size: (usize, usize),
        seeds: [&'a PartySeeds; 2],
    ) -> Result<Self, NetworkError> {
        let pack = |(op, l): (usize, &crate::model::LinearSpec)| {
            let mut x = weight_mask::<R>(&seeds[0].weight_mask, op, l.weights());
            ring::add_assign(&mut x, &weight_mask(&seeds[1].weight_mask, op, l.weights()));
            PackedWeights::pack(l.outputs, l.inputs, &x)
        };
        Ok(Dealer {
            public,
            grid: public.network.grid(size)?,
            seeds,
            weight_masks: public.network.linears().map(pack).collect(),
            image_mask: (None, Vec::new()),
        })
    }

    /// (op, bytes) of S0's chunks for the patches `rows` of `slot`, in the order of
    /// [`super::MaterialLayout::chunks`].
    pub fn tile(&mut self, slot: u64, rows: Range<usize>) -> Vec<(usize, Vec<u8>)> {
        let views =
            [Party::S0, Party::S1].map(|p| SlotView::new(p, &self.seeds[p.index()].slots, slot));
        let mut chunks = Vec::new();
        let (mut linear, mut width, mut gathered) = (0, 0, false);
        for (op, step) in self.public.network.ops().iter().enumerate() {
            match step {
                Op::Gather(_) => gathered = true,
                Op::Linear(l) => {
                    let y = if std::mem::take(&mut gathered) {
                        self.draw_image_mask(op, slot, &views);
                        self.grid.gather(rows.clone(), &self.image_mask.1)
                    } else {
                        both(&views, |v| v.input_mask(op, scaled(&rows, l.inputs)))
                    };
                    let at = scaled(&rows, l.outputs);
                    let mut z = vec![R::ZERO; at.len()];
                    matmul_acc(&self.weight_masks[linear], &y, &mut z);
                    let other: Vec<R> =
                        views[1].stream(Purpose::Product, op).take(at.start as u64, at.len());
                    ring::sub_assign(&mut z, &other);
                    chunks.push((op, ring::to_le_bytes(&z)));
                    (linear, width) = (linear + 1, l.outputs);
                }
                Op::Activation(spec) => {
                    let at = scaled(&rows, width);
                    let chunk = match spec {
                        ActivationSpec::Lookup(table) => lookup_chunk::<R>(&views, op, at, table),
                        ActivationSpec::Piecewise(_) => square_chunk::<R>(&views, op, at),
                    };
                    chunks.push((op, chunk));
                }
                Op::Residual | Op::Mean | Op::Fold(_) => {}
            }
        }
        chunks
    }

    /// Makes `image_mask` the mask of `slot`; tiles of one slot share it.
    fn draw_image_mask(&mut self, op: usize, slot: u64, views: &[SlotView; 2]) {
        if self.image_mask.0 != Some(slot) {
            let mask = both(views, |v| v.input_mask(op, 0..self.grid.pixels()));
            self.image_mask = (Some(slot), mask);
        }
    }
}

/// The elements that belong to patches `rows` when each has `features`.
fn scaled(rows: &Range<usize>, features: usize) -> Range<usize> {
    rows.start * features..rows.end * features
}

/// The sum of both parties' shares.
fn both<R: Ring>(views: &[SlotView; 2], share: impl Fn(&SlotView) -> Vec<R>) -> Vec<R> {
    let mut sum = share(&views[0]);
    ring::add_assign(&mut sum, &share(&views[1]));
    sum
}

/// S0's shares of a^2 for the square pairs (a, a^2).
fn square_chunk<R: Ring>(views: &[SlotView; 2], op: usize, at: Range<usize>) -> Vec<u8> {
    let mut squares: Vec<R> = both(views, |v| v.square_root(op, at.clone()));
    squares.iter_mut().for_each(|a| *a = a.mul(*a));
    let other: Vec<R> = views[1].stream(Purpose::Square, op).take(at.start as u64, at.len());
    ring::sub_assign(&mut squares, &other);
    ring::to_le_bytes(&squares)
}

fn lookup_chunk<R: Ring>(
    views: &[SlotView; 2],
    op: usize,
    at: Range<usize>,
    table: &SlopeTable,
) -> Vec<u8> {
    let (hi, lo) = (table.hi, table.lo);
    let rho: Vec<R> = both(views, |v| v.rho(op, at.clone(), hi + lo));
    let take = |v: &SlotView, purpose| v.stream(purpose, op).take::<R>(at.start as u64, at.len());
    let value_mask = both(views, |v| take(v, Purpose::ValueMask));
    let slope_mask = both(views, |v| take(v, Purpose::SlopeMask));
    let mut one_hot = views[1].one_hot_share(op, at.clone(), hi);
    let positions: Vec<u32> =
        rho.iter().map(|r| ((r.to_u64() >> lo) & low_mask(hi)) as u32).collect();
    xor_one_hot(hi, &mut one_hot, &positions);
    let words = one_hot_words(hi);
    let mut keys =
        [Purpose::LookupKey1, Purpose::LookupKey2, Purpose::LookupKey3].map(|p| take(&views[1], p));
    for (i, &position) in positions.iter().enumerate() {
        let (rho_hi, rho_lo) = (position as usize, rho[i].to_u64() & low_mask(lo));
        // S0's bit at rho_hi: set means the one-hot entry is S0's, W = +1, else S1's, W = -1.
        let set = R::from_u64(one_hot[i * words + rho_hi / 64] >> (rho_hi % 64) & 1);
        let w = set.add(set).sub(R::ONE);
        let w_rho = w.mul(R::from_u64(rho_lo));
        let k3 = w_rho.mul(slope_mask[i]).sub(w.mul(value_mask[i]));
        for (key, k) in keys.iter_mut().zip([w, w_rho, k3]) {
            key[i] = k.sub(key[i]);
        }
    }
    let mut bytes = ring::to_le_bytes(&one_hot);
    keys.iter().for_each(|key| bytes.extend(ring::to_le_bytes(key)));
    bytes
}
