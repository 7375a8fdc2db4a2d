//! How linear ops are packed into ring elements, and a slot's work into batches.

use super::{HINTS_PER_PIECE, LinearError, MASKS_PER_PIECE};
use crate::crypto::rlwe::{N, Profile};
use crate::model::{ActivationSpec, LinearSpec, PublicModel};
use crate::network::{Border, Gather, LinearShape, Network, Stage, StageGrid};
use crate::numbers::ring::RingBits;
use crate::size::Size;
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

/// A tile of a convolution over one or several maps. It depends on the kernels and strides alone, so that one hint
/// serves images of every size.
///
/// A map that is read with a stride s is as many maps as it has *phases*, each of every s-th line and column, which are
/// read with a stride of 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileShape {
    /// k: side of the smallest window that holds every kernel around one pixel.
    pub kernel: usize,
    /// The maps that it reads, a channel of each phase a ciphertext, one map's behind the other's.
    pub maps: Vec<TileMap>,
    /// Lines of the padded maps in a tile.
    pub lines: usize,
    /// Columns of the padded maps in a tile.
    pub columns: usize,
}

/// A map of a tile, its lines and columns counted in those of the windows: `stride` lines of the map are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileMap {
    /// Features a pixel.
    pub channels: usize,
    /// Side of a patch, in pixels of the map.
    pub patch: usize,
    /// Pixels of the map from window to window.
    pub stride: usize,
    /// Pixels of the map in a patch before the one that the window is for.
    pub pad: usize,
    /// Lines, and columns, of a window before the map's kernel begins.
    pub inset: usize,
}

/// A pixel of a patch along an axis: which line of its window it lies on, and in which phase.
struct Tap {
    line: usize,
    phase: usize,
}

impl TileMap {
    fn new(channels: usize, gather: &Gather) -> Self {
        let Gather { patch, stride, pad, .. } = *gather;
        TileMap { channels, patch, stride, pad, inset: 0 }
    }

    /// Lines of the kernel before the pixel that the window is for.
    pub fn before(&self) -> usize {
        self.pad.div_ceil(self.stride)
    }

    /// Side of the kernel.
    pub fn kernel(&self) -> usize {
        self.before() + (self.patch - self.pad).div_ceil(self.stride)
    }

    /// Where a pixel of a patch lies along an axis.
    fn tap(&self, pixel: usize) -> Tap {
        let at = pixel + self.stride * self.before() - self.pad;
        Tap { line: at / self.stride, phase: at % self.stride }
    }

    /// The phases along an axis that a patch reads, rising.
    fn phases(&self) -> Vec<usize> {
        let mut phases: Vec<usize> = (0..self.patch).map(|pixel| self.tap(pixel).phase).collect();
        phases.sort_unstable();
        phases.dedup();
        phases
    }

    /// Ciphertexts that hold it.
    pub fn elements(&self) -> usize {
        self.phases().len().pow(2) * self.channels
    }

    /// Its pixels that are coefficients of a tile of so many lines and columns, if `padded` has `stride` times as many
    /// of each: a row a coefficient, an entry an element.
    pub fn spread<T: Copy>(&self, size: Size, padded: &[T]) -> Vec<T> {
        let Size { height: lines, width: columns } = size;
        let (phases, width) = (self.phases(), columns * self.stride);
        let mut all = Vec::with_capacity(lines * columns * self.elements());
        for (line, column) in (0..lines * columns).map(|i| (i / columns, i % columns)) {
            for (y, x) in phases.iter().flat_map(|y| phases.iter().map(move |x| (y, x))) {
                let at = (line * self.stride + y) * width + column * self.stride + x;
                all.extend_from_slice(&padded[at * self.channels..][..self.channels]);
            }
        }
        all
    }

    /// The runs of its elements, the first of which is `element`, with columns of X from `column` on.
    fn runs(&self, element: usize, column: usize, line: usize) -> Vec<ElementRun> {
        let phases = self.phases();
        let both = phases.iter().flat_map(|y| phases.iter().map(move |x| (*y, *x)));
        both.enumerate()
            .map(|(number, phase)| {
                let first = element + number * self.channels;
                let taps = (0..self.patch * self.patch).filter_map(|pixel| {
                    let (y, x) = (self.tap(pixel / self.patch), self.tap(pixel % self.patch));
                    let shift = (self.inset + y.line) * line + self.inset + x.line;
                    let column = column + pixel * self.channels;
                    ((y.phase, x.phase) == phase).then_some(Neighbour { column, shift })
                });
                ElementRun { elements: first..first + self.channels, neighbours: taps.collect() }
            })
            .collect()
    }
}

impl TileShape {
    fn new(kernel: usize, maps: Vec<TileMap>) -> Self {
        // Of the shapes with at most 4,096 coefficients: 1.13 coefficients a pixel of 256x256 and of 512x512
        // for k = 3, 1.25 and 1.19 for k = 5.
        let (lines, columns) = if kernel <= 5 { (132, 31) } else { (64, 64) };
        TileShape { kernel, maps, lines, columns }
    }

    /// The tile of an op that reads maps, if it takes fewer ciphertexts than columns do.
    fn of_stage(network: &Network<LinearSpec, ActivationSpec>, stage: &Stage) -> Option<Self> {
        let reads = || {
            let maps = stage.reads.iter().zip(&stage.channels);
            maps.filter_map(|(read, c)| Some((read.number()?, read.gather, *c)))
        };
        let frame = network.gather();
        let (inner, multiple) = (frame.inner(), network.multiple());
        // The last patch of an image lies at its border: that is a place like the others if the continued image is a
        // whole number of predicted patches. What a mirror shows behind the padding is in no phase.
        let whole = inner.is_multiple_of(frame.stride) && multiple.is_multiple_of(frame.stride);
        let regular = |number: usize, gather: &Gather| {
            gather.stride == 1 || gather.border == Border::Zero && (number > 0 || whole)
        };
        if !reads().all(|(number, gather, _)| regular(number, &gather)) {
            return None;
        }
        let mut maps: Vec<_> = reads().map(|(_, gather, c)| TileMap::new(c, &gather)).collect();
        let before = maps.iter().map(TileMap::before).max()?;
        maps.iter_mut().for_each(|map| map.inset = before - map.before());
        let kernel = maps.iter().map(|map| map.inset + map.kernel()).max()?;
        if kernel > MAX_TILE_KERNEL {
            return None;
        }
        let tile = TileShape::new(kernel, maps);
        let (lines, columns) = tile.windows();
        (tile.elements() * N < stage.masked_inputs() * lines * columns).then_some(tile)
    }

    /// Ciphertexts that hold its maps.
    fn elements(&self) -> usize {
        self.maps.iter().map(TileMap::elements).sum()
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
    /// At which.
    pub neighbours: Vec<Neighbour>,
}

/// A neighbour at which ring elements are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The column of X that meets the first of them; the others follow.
    pub column: usize,
    /// By how many coefficients it lies behind the first pixel of a window.
    pub shift: usize,
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
        let reads = stage.first_linear() == op;
        let tile = reads.then(|| TileShape::of_stage(network, stage)).flatten();
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
            Packing::Tiles(tile) => tile.elements(),
        }
    }

    /// The runs of ring elements that are read at the same neighbours.
    pub fn runs(&self) -> Vec<ElementRun> {
        let Packing::Tiles(tile) = &self.packing else {
            let neighbours = vec![Neighbour { column: 0, shift: 0 }];
            return vec![ElementRun { elements: 0..self.inputs, neighbours }];
        };
        let (mut runs, mut element, mut column) = (Vec::new(), 0, 0);
        for map in &tile.maps {
            runs.extend(map.runs(element, column, tile.columns));
            (element, column) =
                (element + map.elements(), column + map.patch * map.patch * map.channels);
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
        let (Size { height, width }, (lines, columns)) = (grid.size, tile.windows());
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
    /// The plan of a model: convolutions by tiles, all else by columns. An op that reads several maps is one product,
    /// whatever kernels and strides it reads them with.
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
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise hinted matrix ole v3 packing");
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
                numbers.extend(
                    t.maps.iter().flat_map(|m| [m.channels, m.patch, m.stride, m.pad, m.inset]),
                );
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

/// 0 to `count` in runs of `most`.
fn runs(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    (0..count).step_by(most).map(move |first| first..count.min(first + most))
}

#[cfg(test)]
impl OpPlan {
    /// For each column of X that meets a masked input the ring element and the coefficients that it lies behind
    /// the first pixel of a window.
    pub(crate) fn places(&self) -> Vec<(usize, usize)> {
        let mut places = vec![(0, 0); self.inputs];
        for ElementRun { elements, neighbours } in self.runs() {
            for Neighbour { column, shift } in neighbours {
                let meet = &mut places[column..column + elements.len()];
                meet.iter_mut().zip(elements.clone()).for_each(|(place, e)| *place = (e, shift));
            }
        }
        places
    }
}

#[cfg(test)]
impl TileShape {
    /// A tile of another shape, of one map.
    pub(crate) fn shaped(kernel: usize, channels: usize, lines: usize, columns: usize) -> Self {
        let maps = vec![TileMap::new(channels, &Gather::convolution(kernel))];
        TileShape { kernel, maps, lines, columns }
    }

    /// That of a kernel, of one map.
    pub(crate) fn of_kernel(kernel: usize, channels: usize) -> Self {
        TileShape::new(kernel, vec![TileMap::new(channels, &Gather::convolution(kernel))])
    }
}
