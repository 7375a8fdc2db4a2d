//! How linear ops are packed into ring elements, and a slot's work into batches.

use super::{HINTS_PER_PIECE, LinearError, MASKS_PER_PIECE};
use crate::crypto::rlwe;
use crate::crypto::rlwe::N;
use crate::model::{LinearSpec, PublicModel};
use crate::network::{LinearShape, PatchGrid};
use crate::numbers::ring::RingBits;
use std::ops::Range;

/// The largest kernel that goes by tiles: half of a tile's side, so that a quarter of it counts.
const MAX_TILE_KERNEL: usize = 32;

/// Where the columns of an op's products lie in ring elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// A column a coefficient, a feature a ciphertext: n + 1 ciphertexts for 4,096 columns.
    Columns,
    /// A tile of the padded map, line after line, a channel a ciphertext: c + 1 ciphertexts a tile.
    Tiles(TileShape),
}

/// A tile of a convolution of stride 1. It depends on the kernel alone, so that one hint serves images
/// of every size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileShape {
    /// k.
    pub kernel: usize,
    /// Features a pixel of the map.
    pub channels: usize,
    /// Lines of the padded map in a tile.
    pub lines: usize,
    /// Columns of the padded map in a tile.
    pub columns: usize,
}

impl TileShape {
    fn new(kernel: usize, channels: usize) -> Self {
        // Of the shapes with at most 4,096 coefficients: 1.13 coefficients a pixel of 256x256 and of 512x512
        // for k = 3, 1.25 and 1.19 for k = 5.
        let (lines, columns) = if kernel <= 5 { (132, 31) } else { (64, 64) };
        TileShape { kernel, channels, lines, columns }
    }

    /// Lines and columns of windows that lie inside a tile.
    pub fn windows(&self) -> (usize, usize) {
        (self.lines - self.kernel + 1, self.columns - self.kernel + 1)
    }
}

/// A linear op, as both servers pack it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpPlan {
    /// Its index in the network.
    pub op: usize,
    /// n.
    pub inputs: usize,
    /// m.
    pub outputs: usize,
    /// Where its columns lie.
    pub packing: Packing,
}

impl OpPlan {
    /// Ring elements that hold a batch of the input.
    pub fn elements(&self) -> usize {
        match &self.packing {
            Packing::Columns => self.inputs,
            Packing::Tiles(tile) => tile.channels,
        }
    }

    /// By how many coefficients each neighbour of a window lies behind its first; features are neighbour
    /// after neighbour, an element's each.
    pub fn shifts(&self) -> Vec<usize> {
        match &self.packing {
            Packing::Columns => vec![0],
            Packing::Tiles(tile) => {
                let of = |i: usize| i / tile.kernel * tile.columns + i % tile.kernel;
                (0..tile.kernel * tile.kernel).map(of).collect()
            }
        }
    }

    /// The messages of a batch: runs of ciphertexts, the last of which is that of 0.
    pub fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        runs(self.elements() + 1, MASKS_PER_PIECE)
    }

    /// The batches of `slots` images whose stage has this grid, in order.
    pub fn parts(&self, grid: &PatchGrid, slots: usize) -> Vec<Part> {
        let rows = grid.rows();
        let Packing::Tiles(tile) = &self.packing else {
            return runs(rows * slots, N).map(Part::Columns).collect();
        };
        let ((height, width), (lines, columns)) = (grid.map_size(), tile.windows());
        let mut parts = Vec::new();
        for slot in 0..slots {
            for top in (0..height).step_by(lines) {
                for left in (0..width).step_by(columns) {
                    let lines = top..height.min(top + lines);
                    let columns = left..width.min(left + columns);
                    parts.push(Part::Tile { slot, lines, columns, width, rows });
                }
            }
        }
        parts
    }
}

/// The columns of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Patches, counted on from slot to slot.
    Columns(Range<usize>),
    /// Pixels of a map.
    Tile {
        /// The slot, from 0.
        slot: usize,
        /// Lines of the map.
        lines: Range<usize>,
        /// Columns of the map.
        columns: Range<usize>,
        /// Columns of the whole map.
        width: usize,
        /// Pixels of the whole map.
        rows: usize,
    },
}

impl Part {
    /// For each column of the batch the coefficient that it lies in and its patch, counted on from slot to
    /// slot.
    pub fn places(&self, plan: &OpPlan) -> Vec<(usize, usize)> {
        match (self, &plan.packing) {
            (Part::Columns(columns), _) => columns.clone().enumerate().collect(),
            (Part::Tile { slot, lines, columns, width, rows }, Packing::Tiles(tile)) => {
                let line = |y: usize| {
                    let (row, first) = (slot * rows + (lines.start + y) * width, y * tile.columns);
                    columns.clone().enumerate().map(move |(x, column)| (first + x, row + column))
                };
                (0..lines.len()).flat_map(line).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Coefficients that hold something.
    pub fn coefficients(&self, plan: &OpPlan) -> usize {
        match &plan.packing {
            Packing::Columns => self.places(plan).len(),
            Packing::Tiles(tile) => tile.lines * tile.columns,
        }
    }
}

/// Hints of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintPiece {
    /// Which op of the plan.
    pub index: usize,
    /// Rows of X.
    pub rows: Range<usize>,
}

/// The linear ops of a model, as both servers pack them; the same for images of every size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearPlan {
    ops: Vec<OpPlan>,
}

impl LinearPlan {
    /// The plan of a model: convolutions of stride 1 by tiles, all else by columns.
    ///
    /// # Errors
    /// [`LinearError::Ring`] for a model in another ring than Z_2^32.
    pub fn new(public: &PublicModel) -> Result<Self, LinearError> {
        if public.ring != RingBits::L32 {
            return Err(LinearError::Ring { bits: public.ring.bits() });
        }
        let stages = public.network.stages();
        let plan = |(op, spec): (usize, &LinearSpec)| {
            let stage = stages.iter().find(|stage| stage.first_linear() == op);
            let packing = match stage {
                Some(stage) if stage.gather.stride == 1 && tiled(stage.gather.patch) => {
                    Packing::Tiles(TileShape::new(stage.gather.patch, stage.channels))
                }
                _ => Packing::Columns,
            };
            OpPlan { op, inputs: spec.inputs(), outputs: spec.outputs(), packing }
        };
        Ok(LinearPlan { ops: public.network.linears().map(plan).collect() })
    }

    /// The ops in order.
    pub fn ops(&self) -> &[OpPlan] {
        &self.ops
    }

    /// The messages that hold all hints of a direction, in order.
    pub fn hint_pieces(&self) -> impl Iterator<Item = HintPiece> {
        let of = |(index, plan): (usize, &OpPlan)| {
            runs(plan.outputs, HINTS_PER_PIECE).map(move |rows| HintPiece { index, rows })
        };
        self.ops.iter().enumerate().flat_map(of)
    }

    /// A public digest of the packing and of the parameters of [`crate::crypto::rlwe`]: hints fit no other.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise hinted matrix ole v1 packing");
        let numbers = [rlwe::N as u32, rlwe::Q_BITS, rlwe::MASK_BITS, rlwe::HINT_BITS];
        numbers.iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
        *hasher.update(&self.bytes()).finalize().as_bytes()
    }

    /// What a hint is for, as bytes: all ops and how they are packed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let numbers = self.ops.iter().flat_map(|plan| {
            let tile = match &plan.packing {
                Packing::Columns => [0; 4],
                Packing::Tiles(t) => [t.kernel, t.channels, t.lines, t.columns],
            };
            [plan.op, plan.inputs, plan.outputs].into_iter().chain(tile)
        });
        numbers.flat_map(|v| (v as u64).to_le_bytes()).collect()
    }

    #[cfg(test)]
    pub(crate) fn of(ops: Vec<OpPlan>) -> Self {
        LinearPlan { ops }
    }
}

fn tiled(kernel: usize) -> bool {
    (2..=MAX_TILE_KERNEL).contains(&kernel)
}

/// 0 to `count` in runs of `most`.
fn runs(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    (0..count).step_by(most).map(move |first| first..count.min(first + most))
}

#[cfg(test)]
impl TileShape {
    /// A tile of another shape.
    pub(crate) fn shaped(kernel: usize, channels: usize, lines: usize, columns: usize) -> Self {
        TileShape { kernel, channels, lines, columns }
    }

    /// That of a kernel.
    pub(crate) fn of_kernel(kernel: usize, channels: usize) -> Self {
        TileShape::new(kernel, channels)
    }
}
