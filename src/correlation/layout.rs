//! Which chunks a slot's explicit material at S0 consists of, in file order.

use crate::kernels::one_hot_words;
use crate::model::{ActivationSpec, LinearSpec, PublicModel};
use crate::network::{NetworkError, Op};
use std::ops::Range;

/// Patches a tile unless messages would become too large.
const TILE_ROWS: usize = 128;
/// The largest opening of one batch, in bytes; well under the wire's frame limit.
const MAX_OPENING: usize = 8 << 20;
/// The largest opening that a frame of the wire takes (`net::MAX_PAYLOAD`).
const MAX_PAYLOAD: usize = 16 << 20;
/// The most patches a tile may have in any format.
const MAX_TILE_ROWS: usize = 1 << 16;
/// The explicit material of one slot: chunks keyed (op, tile), all ops of a tile together, so that
/// it can be consumed as a stream.
#[derive(Clone, Debug)]
pub struct MaterialLayout {
    rows: usize,
    tile_rows: usize,
    /// (op, bytes a patch) of every op with explicit material.
    ops: Vec<(usize, usize)>,
}

impl MaterialLayout {
    /// The layout for images of `size` in tiles of `tile_rows` patches.
    ///
    /// # Errors
    /// As [`crate::network::Network::grid`].
    pub fn new(
        public: &PublicModel,
        size: (usize, usize),
        tile_rows: usize,
    ) -> Result<Self, NetworkError> {
        let grid = public.network.grid(size)?;
        Ok(MaterialLayout { rows: grid.rows(), tile_rows, ops: bytes_per_row(public) })
    }

    /// The layout of the products alone: one ring element for each output of each linear op.
    pub fn products(self, public: &PublicModel) -> Self {
        let ring = public.ring.bytes();
        let ops = public.network.linears().map(|(op, l)| (op, l.outputs * ring)).collect();
        MaterialLayout { ops, ..self }
    }

    /// The largest tile for which every opening of a batch fits a frame.
    pub fn max_tile_rows(public: &PublicModel) -> usize {
        (MAX_PAYLOAD / Self::largest_message(public)).clamp(1, MAX_TILE_ROWS)
    }

    /// The tile size that suits a model.
    pub fn default_tile_rows(public: &PublicModel) -> usize {
        (MAX_OPENING / Self::largest_message(public)).clamp(1, TILE_ROWS)
    }

    /// Bytes of the largest opening of one patch.
    pub fn largest_message(public: &PublicModel) -> usize {
        let ring = public.ring.bytes();
        let message =
            |(_, spec, width): (_, &ActivationSpec, usize)| spec.message_bytes(ring) * width;
        public.network.activations().map(message).max().unwrap_or(1).max(1)
    }

    /// Number of patches.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of tiles.
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(self.tile_rows)
    }

    /// The patches of a tile.
    pub fn tile(&self, tile: usize) -> Range<usize> {
        let first = tile * self.tile_rows;
        first..self.rows.min(first + self.tile_rows)
    }

    /// (op, bytes) of the chunks of a tile, in file order.
    pub fn chunks(&self, tile: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let rows = self.tile(tile).len();
        self.ops.iter().map(move |&(op, bytes)| (op, bytes * rows))
    }

    /// Chunks of a slot.
    pub fn chunks_per_slot(&self) -> u64 {
        (self.tiles() * self.ops.len()) as u64
    }

    /// Payload bytes of a slot.
    pub fn bytes_per_slot(&self) -> u64 {
        let per_row: u64 = self.ops.iter().map(|&(_, bytes)| bytes as u64).sum();
        per_row * self.rows as u64
    }
}

fn bytes_per_row(public: &PublicModel) -> Vec<(usize, usize)> {
    let ring = public.ring.bytes();
    let mut width = 0;
    let bytes = |(i, op): (usize, &Op<LinearSpec, ActivationSpec>)| match op {
        Op::Linear(l) => {
            width = l.outputs;
            Some((i, width * ring))
        }
        Op::Activation(ActivationSpec::Lookup(table)) => {
            Some((i, width * (8 * one_hot_words(table.hi) + 3 * ring)))
        }
        Op::Activation(ActivationSpec::Piecewise(_)) => Some((i, width * ring)),
        Op::Gather(_) | Op::Residual | Op::Mean | Op::Fold(_) => None,
    };
    public.network.ops().iter().enumerate().filter_map(bytes).collect()
}
