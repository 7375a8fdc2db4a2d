//! The dealer: from public shapes and seeds to S0's explicit material.

use super::{
    BatchSpan, Chunk, LookupMasks, LookupMaterial, Origin, SlotView, deal_relus, first_columns,
    weight_mask,
};
use crate::crypto::prg::{Purpose, Seed};
use crate::ids::Party;
use crate::kernels::{PackedWeights, matmul_acc_by_rows, one_hot_words, xor_one_hot};
use crate::model::{ActivationSpec, LinearSpec, PublicModel};
use crate::network::{NetworkError, Op, StageGrid};
use crate::numbers::fixed::low_mask;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::numbers::slope_table::SlopeTable;
use crate::size::Size;
use rayon::prelude::*;
use std::ops::Range;

/// What one server's triples file holds beside explicit material.
#[derive(Debug)]
pub struct PartySeeds {
    /// Expands to the party's share of every X of the model.
    pub weight_mask: Seed,
    /// Expands to the party's shares in every slot.
    pub slots: Seed,
}

/// Makes the explicit material of S0, batch by batch.
pub struct Dealer<'a, R: Ring> {
    public: &'a PublicModel,
    grids: Vec<StageGrid>,
    seeds: [&'a PartySeeds; 2],
    /// X by op, of its columns that meet masked inputs; nothing where the op is not linear.
    weight_masks: Vec<Option<PackedWeights<R>>>,
}

/// A slot in the making: what all its batches need.
pub struct DealtSlot<'d, R: Ring> {
    dealer: &'d Dealer<'d, R>,
    views: [SlotView<'d>; 2],
}

impl<'a, R: Ring> Dealer<'a, R> {
    /// A dealer for images of `size`; expands and packs X.
    ///
    /// # Errors
    /// As [`crate::network::Network::grid`].
    pub fn new(
        public: &'a PublicModel,
        size: Size,
        seeds: [&'a PartySeeds; 2],
    ) -> Result<Self, NetworkError> {
        let pack = |op: usize, l: &LinearSpec| {
            let mut x = weight_mask::<R>(&seeds[0].weight_mask, op, l.weights());
            ring::add_assign(&mut x, &weight_mask(&seeds[1].weight_mask, op, l.weights()));
            let masked = public.network.masked_inputs(op);
            PackedWeights::pack(l.outputs, masked, &first_columns(&x, l.inputs, masked))
        };
        let mut weight_masks: Vec<_> = public.network.ops().iter().map(|_| None).collect();
        public.network.linears().for_each(|(op, l)| weight_masks[op] = Some(pack(op, l)));
        Ok(Dealer { public, grids: public.network.grids(size)?, seeds, weight_masks })
    }

    /// Begins a slot.
    pub fn slot(&self, slot: u64) -> DealtSlot<'_, R> {
        let views = [Party::S0, Party::S1]
            .map(|p| SlotView::new(p, &self.seeds[p.index()].slots, slot, Origin::Dealt));
        DealtSlot { dealer: self, views }
    }
}

impl<R: Ring> DealtSlot<'_, R> {
    /// (op, bytes) of S0's chunks for a batch, in the order of
    /// [`super::MaterialLayout::chunks`]. Batches may be made in any order, and at the same time.
    pub fn batch(&self, BatchSpan { stage, rows }: BatchSpan) -> Vec<(usize, Vec<u8>)> {
        let (dealer, views) = (self.dealer, &self.views);
        let (grid, network) = (&dealer.grids[stage], &dealer.public.network);
        let mut chunks = Vec::new();
        let mut width = 0;
        for op in grid.stage.ops.clone() {
            match &network.ops()[op] {
                Op::Linear(l) => {
                    let y = match network.inner_mask(op) {
                        None => grid.gather_masked(rows.clone(), |map, run| {
                            input_mask::<R>(views, network.maps()[map].op, run)
                        }),
                        Some(op) => input_mask(views, op, scaled(&rows, l.inputs)),
                    };
                    let weights = dealer.weight_masks[op].as_ref();
                    let weights = weights.expect("packed for every linear op");
                    let at = scaled(&rows, l.outputs);
                    chunks.push((op, product_chunk(views, op, at, weights, &y)));
                    width = l.outputs;
                }
                Op::Activation(spec) => {
                    let at = scaled(&rows, width);
                    let chunk = match spec {
                        ActivationSpec::Lookup(table) => lookup_chunk::<R>(views, op, at, table),
                        ActivationSpec::Piecewise(_) => square_chunk::<R>(views, op, at),
                        ActivationSpec::Exact(relu) => {
                            let shape = relu.shape::<R>();
                            let shape =
                                shape.expect("checked when the description was read or made");
                            deal_relus::<R>(views, op, at, &shape)
                        }
                    };
                    chunks.push((op, chunk));
                }
                Op::Gather(_)
                | Op::Add(_)
                | Op::Shuffle(_)
                | Op::Residual
                | Op::Mean
                | Op::Fold(_) => {}
            }
        }
        chunks
    }
}

/// The elements that belong to patches `rows` when each has `features`.
fn scaled(rows: &Range<usize>, features: usize) -> Range<usize> {
    rows.start * features..rows.end * features
}

/// The mask that belongs to op `op`: the sum of both parties' shares.
fn input_mask<R: Ring>(views: &[SlotView; 2], op: usize, at: Range<usize>) -> Vec<R> {
    let mut y = views[0].input_mask(op, at.clone());
    views[1].add_stream(Purpose::InputMask, op, at.start, &mut y);
    y
}

/// S0's share of Z = X Y.
fn product_chunk<R: Ring>(
    views: &[SlotView; 2],
    op: usize,
    at: Range<usize>,
    weights: &PackedWeights<R>,
    y: &[R],
) -> Vec<u8> {
    let mut z = vec![R::ZERO; at.len()];
    views[1].add_stream(Purpose::Product, op, at.start, &mut z);
    z.iter_mut().for_each(|z| *z = z.neg());
    matmul_acc_by_rows(weights, y, &mut z, |_| ());
    ring::to_le_bytes(&z)
}

/// S0's shares of a^2 for the square pairs (a, a^2).
fn square_chunk<R: Ring>(views: &[SlotView; 2], op: usize, at: Range<usize>) -> Vec<u8> {
    let mut squares: Vec<R> = views[0].square_root(op, at.clone());
    views[1].add_stream(Purpose::SquareRoot, op, at.start, &mut squares);
    squares.iter_mut().for_each(|a| *a = a.mul(*a).neg());
    views[1].add_stream(Purpose::Square, op, at.start, &mut squares);
    squares.iter_mut().for_each(|a| *a = a.neg());
    ring::to_le_bytes(&squares)
}

/// Lookups made at a time: their material stays in the second-level cache.
const BLOCK: usize = 512;

fn lookup_chunk<R: Ring>(
    views: &[SlotView; 2],
    op: usize,
    at: Range<usize>,
    table: &SlopeTable,
) -> Vec<u8> {
    let (count, words) = (at.len(), one_hot_words(table.hi));
    let ours = views[0].lookup_masks(op, at.clone(), table.input_bits());
    let theirs = views[1].lookup::<R>(op, at, table.hi, table.lo, Chunk::default());
    let theirs = theirs.expect("S1's material needs no chunk");
    let mut bytes = vec![0; count * Origin::Dealt.lookup_bytes(table.hi, R::BYTES)];
    let (one_hot, keys) = bytes.split_at_mut(count * words * 8);
    let (k2, k3) = keys.split_at_mut(count * R::BYTES);
    let keys = k2.par_chunks_mut(BLOCK * R::BYTES).zip(k3.par_chunks_mut(BLOCK * R::BYTES));
    let blocks = one_hot.par_chunks_mut(BLOCK * words * 8).zip(keys).enumerate();
    blocks.for_each_init(
        || LookupBlock::<R>::new(words),
        |block, (i, (one_hot, (k2, k3)))| {
            block.make(&ours, &theirs, i * BLOCK, k2.len() / R::BYTES, table.hi, table.lo);
            ring::copy_to_le_bytes(one_hot, &block.one_hot);
            for (out, key) in [k2, k3].into_iter().zip(&block.keys) {
                ring::copy_to_le_bytes(out, key);
            }
        },
    );
    bytes
}

/// Working memory of [`BLOCK`] lookups.
struct LookupBlock<R> {
    words: usize,
    rho: Vec<R>,
    value_mask: Vec<R>,
    slope_mask: Vec<R>,
    scratch: [Vec<R>; 2],
    positions: Vec<u32>,
    one_hot: Vec<u64>,
    keys: [Vec<R>; 2],
}

impl<R: Ring> LookupBlock<R> {
    fn new(words: usize) -> Self {
        let zeros = || vec![R::ZERO; BLOCK];
        LookupBlock {
            words,
            rho: zeros(),
            value_mask: zeros(),
            slope_mask: zeros(),
            scratch: [zeros(), zeros()],
            positions: vec![0; BLOCK],
            one_hot: vec![0; BLOCK * words],
            keys: [zeros(), zeros()],
        }
    }

    /// S0's one-hot vectors and keys of `n` lookups from `first` on.
    fn make(
        &mut self,
        ours: &LookupMasks,
        theirs: &LookupMaterial,
        first: usize,
        n: usize,
        hi: u32,
        lo: u32,
    ) {
        self.resize(n);
        let [scratch, other] = &mut self.scratch;
        ours.dealt_rho(first, &mut self.rho);
        theirs.rho(first, scratch);
        ring::add_assign(&mut self.rho, scratch);
        ours.sum_masks(first, [&mut self.value_mask, &mut self.slope_mask]);
        theirs.sum_masks(first, [&mut *scratch, &mut *other]);
        ring::add_assign(&mut self.value_mask, scratch);
        ring::add_assign(&mut self.slope_mask, other);
        let [k2, k3] = &mut self.keys;
        theirs.one_hot(first, &mut self.one_hot);
        theirs.keys(first, [&mut *k2, &mut *k3]);
        for (position, rho) in self.positions.iter_mut().zip(&self.rho) {
            *position = (rho.to_u64() >> lo & low_mask(hi)) as u32;
        }
        xor_one_hot(hi, &mut self.one_hot, &self.positions);
        for i in 0..n {
            let position = self.positions[i] as usize;
            // S0's bit at rho_hi: set means the one-hot entry is S0's, W = +1, else S1's, W = -1.
            let word = self.one_hot[i * self.words + position / 64];
            let set = R::from_u64(word >> (position % 64) & 1);
            let w = set.add(set).sub(R::ONE);
            let w_rho = w.mul(R::from_u64(self.rho[i].to_u64() & low_mask(lo)));
            k2[i] = w_rho.sub(k2[i]);
            k3[i] = w_rho.mul(self.slope_mask[i]).sub(w.mul(self.value_mask[i])).sub(k3[i]);
        }
    }

    fn resize(&mut self, n: usize) {
        let [a, b] = &mut self.scratch;
        let [k2, k3] = &mut self.keys;
        for v in [&mut self.rho, &mut self.value_mask, &mut self.slope_mask, a, b, k2, k3] {
            v.resize(n, R::ZERO);
        }
        self.positions.resize(n, 0);
        self.one_hot.resize(n * self.words, 0);
    }
}
