//! How linear ops are packed into ring elements, and a slot's work into batches.

use super::{HINTS_PER_PIECE, LinearError, MASKS_PER_PIECE};
use crate::crypto::rlwe::{N, Profile};
use crate::model::{ActivationSpec, LinearSpec, PublicModel};
use crate::network::{Gather, LinearShape, Network, Stage, StageGrid};
use crate::numbers::ring::RingBits;
use std::ops::Range;

/// The largest kernel that goes by tiles: half of a tile's side, so that a quarter of it counts.
const MAX_TILE_KERNEL: usize = 32;

/// Where the columns of an op's products lie in ring elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packing {
    /// A column a coefficient, a feature a ciphertext: n + 1 ciphertexts for 4,096 columns.
    Columns,
    /// A tile of the padded maps, line after line, a channel a ciphertext: c + 1 ciphertexts a tile.
    Tiles(TileShape),
}

/// A tile of a convolution of stride 1 over one or several maps. It depends on the kernels alone, so that one
/// hint serves images of every size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileShape {
    /// k: side of the smallest window that holds every kernel around one pixel.
    pub kernel: usize,
    /// The maps that it reads, a channel of each a ciphertext, one map's behind the other's.
    pub maps: Vec<TileMap>,
    /// Lines of the padded maps in a tile.
    pub lines: usize,
    /// Columns of the padded maps in a tile.
    pub columns: usize,
}

/// A map of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileMap {
    /// Features a pixel.
    pub channels: usize,
    /// Side of its kernel.
    pub kernel: usize,
    /// Lines, and columns, of a window before its kernel begins.
    pub inset: usize,
}

impl TileShape {
    fn new(kernel: usize, maps: Vec<TileMap>) -> Self {
        // Of the shapes with at most 4,096 coefficients: 1.13 coefficients a pixel of 256x256 and of 512x512
        // for k = 3, 1.25 and 1.19 for k = 5.
        let (lines, columns) = if kernel <= 5 { (132, 31) } else { (64, 64) };
        TileShape { kernel, maps, lines, columns }
    }

    /// The tile of a stage, if it reads its maps with a stride of 1 and kernels for which it is worth it.
    fn of_stage(stage: &Stage) -> Option<Self> {
        let reads = || {
            let maps = stage.reads.iter().zip(&stage.channels);
            maps.filter(|(read, _)| read.number().is_some()).map(|(read, c)| (read.gather, *c))
        };
        let before = reads().map(|(gather, _)| gather.pad).max()?;
        let kernel = reads().map(|(gather, _)| before - gather.pad + gather.patch).max()?;
        let whole = reads().all(|(gather, _)| gather.stride == 1);
        let map = |(gather, channels): (Gather, usize)| TileMap {
            channels,
            kernel: gather.patch,
            inset: before - gather.pad,
        };
        (whole && tiled(kernel)).then(|| TileShape::new(kernel, reads().map(map).collect()))
    }

    /// Ciphertexts that hold its maps.
    fn channels(&self) -> usize {
        self.maps.iter().map(|map| map.channels).sum()
    }

    /// Lines and columns of windows that lie inside a tile.
    pub fn windows(&self) -> (usize, usize) {
        (self.lines - self.kernel + 1, self.columns - self.kernel + 1)
    }
}

/// Ring elements that are read at the same neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementRun {
    /// Which.
    pub elements: Range<usize>,
    /// The feature that the first of them is at the first neighbour. Features are neighbour after neighbour,
    /// an element's each.
    pub first_column: usize,
    /// By how many coefficients each neighbour lies behind the first pixel of a window.
    pub shifts: Vec<usize>,
}

/// A linear op, as both servers pack it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpPlan {
    /// Its index in the network.
    pub op: usize,
    /// n: inputs that have a mask.
    pub inputs: usize,
    /// Columns of X, the first n of which meet them.
    pub columns: usize,
    /// m.
    pub outputs: usize,
    /// Where its columns lie.
    pub packing: Packing,
}

impl OpPlan {
    /// That of a linear op of a network.
    pub(super) fn of(
        network: &Network<LinearSpec, ActivationSpec>,
        op: usize,
        spec: &LinearSpec,
    ) -> Self {
        let stage = network.stage_of(op);
        let tile = (stage.first_linear() == op).then(|| TileShape::of_stage(stage)).flatten();
        OpPlan {
            op,
            inputs: network.masked_inputs(op),
            columns: spec.inputs(),
            outputs: spec.outputs(),
            packing: tile.map_or(Packing::Columns, Packing::Tiles),
        }
    }

    /// Ring elements that hold a batch of the input.
    pub fn elements(&self) -> usize {
        match &self.packing {
            Packing::Columns => self.inputs,
            Packing::Tiles(tile) => tile.channels(),
        }
    }

    /// The runs of ring elements that are read at the same neighbours.
    pub fn runs(&self) -> Vec<ElementRun> {
        let Packing::Tiles(tile) = &self.packing else {
            let elements = 0..self.inputs;
            return vec![ElementRun { elements, first_column: 0, shifts: vec![0] }];
        };
        let (mut runs, mut element, mut first_column) = (Vec::new(), 0, 0);
        for map in &tile.maps {
            let of =
                |i: usize| (map.inset + i / map.kernel) * tile.columns + map.inset + i % map.kernel;
            let shifts: Vec<usize> = (0..map.kernel * map.kernel).map(of).collect();
            let elements = element..element + map.channels;
            let columns = shifts.len() * map.channels;
            runs.push(ElementRun { elements, first_column, shifts });
            (element, first_column) = (element + map.channels, first_column + columns);
        }
        runs
    }

    /// The messages of a batch: runs of ciphertexts, the last of which is that of 0.
    pub fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        runs(self.elements() + 1, MASKS_PER_PIECE)
    }

    /// The batches of `slots` images whose stage has this grid, in order.
    pub fn parts(&self, grid: &StageGrid, slots: usize) -> Vec<Part> {
        let rows = grid.rows();
        let Packing::Tiles(tile) = &self.packing else {
            return runs(rows * slots, N).map(Part::Columns).collect();
        };
        let ((height, width), (lines, columns)) = (grid.size, tile.windows());
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
    profile: Profile,
    ops: Vec<OpPlan>,
}

impl LinearPlan {
    /// The plan of a model: convolutions of stride 1 by tiles, all else by columns. An op that reads several
    /// maps is one product, whatever kernels it reads them with.
    ///
    /// # Errors
    /// [`LinearError::Ring`] for a model in another ring than Z_2^32.
    pub fn new(public: &PublicModel, profile: Profile) -> Result<Self, LinearError> {
        if public.ring != RingBits::L32 {
            return Err(LinearError::Ring { bits: public.ring.bits() });
        }
        let network = &public.network;
        let plan = |(op, spec): (usize, &LinearSpec)| OpPlan::of(network, op, spec);
        Ok(LinearPlan { profile, ops: network.linears().map(plan).collect() })
    }

    /// The parameters of its ciphertexts and hints.
    pub fn profile(&self) -> Profile {
        self.profile
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
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise hinted matrix ole v2 packing");
        self.profile.numbers().iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
        *hasher.update(&self.bytes()).finalize().as_bytes()
    }

    /// What a hint is for, as bytes: all ops and how they are packed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let numbers = self.ops.iter().flat_map(|plan| {
            let mut numbers = vec![plan.op, plan.inputs, plan.columns, plan.outputs];
            if let Packing::Tiles(t) = &plan.packing {
                numbers.extend([t.kernel, t.lines, t.columns]);
                numbers.extend(t.maps.iter().flat_map(|m| [m.channels, m.kernel, m.inset]));
            }
            // Their count comes first, so that no two plans have the same bytes.
            std::iter::once(numbers.len()).chain(numbers)
        });
        numbers.flat_map(|v| (v as u64).to_le_bytes()).collect()
    }

    #[cfg(test)]
    pub(crate) fn of(ops: Vec<OpPlan>) -> Self {
        LinearPlan { profile: Profile::Q88, ops }
    }

    #[cfg(test)]
    pub(crate) fn with(self, profile: Profile) -> Self {
        LinearPlan { profile, ..self }
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
impl OpPlan {
    /// For each column of X that meets a masked input the ring element and the coefficients that it lies behind
    /// the first pixel of a window.
    pub(crate) fn places(&self) -> Vec<(usize, usize)> {
        let of_run = |run: ElementRun| {
            let shifts = run.shifts.clone();
            let of = move |shift: usize| run.elements.clone().map(move |element| (element, shift));
            shifts.into_iter().flat_map(of).collect::<Vec<_>>()
        };
        self.runs().into_iter().flat_map(of_run).collect()
    }
}

#[cfg(test)]
impl TileShape {
    /// A tile of another shape, of one map.
    pub(crate) fn shaped(kernel: usize, channels: usize, lines: usize, columns: usize) -> Self {
        TileShape { kernel, maps: vec![TileMap { channels, kernel, inset: 0 }], lines, columns }
    }

    /// That of a kernel, of one map.
    pub(crate) fn of_kernel(kernel: usize, channels: usize) -> Self {
        TileShape::new(kernel, vec![TileMap { channels, kernel, inset: 0 }])
    }
}
