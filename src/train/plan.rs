//! What a network computes of the patches of a batch: maps from maps, in order.
//!
//! Networks are trained step by step in the order in which they are evaluated; a step is a matrix
//! product of windows, a sum, or a shuffle of pixels, with an activation behind it or none.

use super::windows::Windows;
use crate::model::Activation;
use crate::network::{
    self, Border, Gather, LinearShape, Network, NetworkError, Op, PatchGrid, Source, StageGrid,
};
use crate::size::Size;

/// The number of the map that the noisy patches are.
pub(super) const IMAGE: usize = 0;

/// The sizes of a map of one patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) pixels: usize,
    pub(super) channels: usize,
}

impl Extent {
    pub(super) fn values(self) -> usize {
        self.pixels * self.channels
    }

    /// The map that a grid is of.
    fn of(grid: &PatchGrid) -> Extent {
        Extent { pixels: grid.pixels(), channels: grid.features() / grid.pixels() }
    }
}

/// One step: what it makes is the map behind those before it.
pub(super) struct Step {
    pub(super) work: Work,
    pub(super) activation: Option<Activation>,
}

pub(super) enum Work {
    /// Windows of maps, side by side, times the weights of a layer.
    Product(Product),
    /// Value i of a pixel block is value `places[i]` of the map `of`.
    Shuffle { of: usize, places: Vec<u32> },
}

pub(super) struct Product {
    /// The number of the layer.
    pub(super) layer: usize,
    pub(super) reads: Vec<Read>,
    /// Values of a row: all windows.
    pub(super) width: usize,
    /// Maps that are added to the product.
    pub(super) adds: Vec<usize>,
}

/// Windows of a map.
pub(super) struct Read {
    pub(super) map: usize,
    pub(super) windows: Windows,
    /// The first of a row's values that are its own.
    pub(super) column: usize,
    /// What lies beyond a border of zeros.
    pub(super) beyond: f32,
}

/// A network for patches of one size.
pub(super) struct Plan {
    /// The sizes of all maps: the patches, maps of noise levels as they are read, then one a step.
    pub(super) extents: Vec<Extent>,
    /// Maps that are there before the first step.
    pub(super) given: usize,
    pub(super) steps: Vec<Step>,
    /// The pixel of the patch that each value of the last map says something of.
    pub(super) predicted: Vec<u32>,
}

impl Plan {
    /// The plan for patches of side `patch`. What lies beyond a patch is what lies beyond an image,
    /// zeros of the image being `outside`. Networks on patches that overlap see the patch as one of
    /// them, and nothing beyond.
    ///
    /// # Errors
    /// [`NetworkError`] if the patch is too small.
    pub(super) fn new<L: LinearShape>(
        network: &Network<L, ()>,
        activation: Activation,
        patch: usize,
        outside: f32,
    ) -> Result<Plan, NetworkError> {
        let size = Size::new(patch, patch);
        let pixels: Vec<u32> = (0..patch as u32 * patch as u32).collect();
        let mut grids = network.grids(size)?;
        let whole = network.grid(size)?;
        let mut predicted = whole.centres(0..whole.rows(), &pixels);
        if on_patches(network) {
            let alone = Gather { pad: 0, stride: 1, ..*network.gather() };
            grids[0].reads = vec![PatchGrid::new(size, 1, &alone)?];
            grids[0].size = Size::new(1, 1);
            grids[0].out = Size::new(1, 1);
            let pad = network.gather().pad;
            let centre = |at: &u32| {
                let (y, x) = (*at as usize / patch, *at as usize % patch);
                (pad..patch - pad).contains(&y) && (pad..patch - pad).contains(&x)
            };
            predicted = pixels.into_iter().filter(centre).collect();
        }
        let mut builder = Builder::new(&grids, outside);
        for grid in &grids {
            builder.stage(network, grid, activation);
        }
        Ok(Plan { predicted, ..builder.plan })
    }

    /// Windows of all products: (largest number in a patch, smallest).
    pub(super) fn rows(&self) -> (usize, usize) {
        let rows = self.steps.iter().filter_map(|step| match &step.work {
            Work::Product(product) => Some(product.reads[0].windows.rows()),
            Work::Shuffle { .. } => None,
        });
        rows.fold((1, usize::MAX), |(most, least), rows| (most.max(rows), least.min(rows)))
    }
}

/// Whether a network is one of dense layers on patches, which are mirrored at the image's border.
pub(super) fn on_patches<L: LinearShape>(network: &Network<L, ()>) -> bool {
    network.stages().len() == 1 && network.gather().border == Border::Reflect
}

/// A plan in the making.
struct Builder {
    plan: Plan,
    /// The maps of the plan that those of the network are.
    numbers: Vec<usize>,
    /// Maps of noise levels that are read already.
    planes: usize,
    layers: usize,
    outside: f32,
}

impl Builder {
    fn new(grids: &[StageGrid], outside: f32) -> Self {
        let mut extents = vec![Extent::of(&grids[0].reads[0])];
        for grid in grids {
            let reads = grid.stage.reads.iter().zip(&grid.reads);
            let planes = reads.filter(|(read, _)| read.from == Source::Plane);
            extents.extend(planes.map(|(_, grid)| Extent::of(grid)));
        }
        let (given, steps, predicted) = (extents.len(), Vec::new(), Vec::new());
        let plan = Plan { extents, given, steps, predicted };
        Builder { plan, numbers: vec![IMAGE], planes: IMAGE + 1, layers: 0, outside }
    }

    /// The steps of a stage.
    fn stage<L: LinearShape>(
        &mut self,
        network: &Network<L, ()>,
        grid: &StageGrid,
        activation: Activation,
    ) {
        let mut reads = Vec::new();
        for op in &network.ops()[grid.stage.ops.clone()] {
            match op {
                Op::Gather(_) => reads = self.reads(grid),
                Op::Linear(l) => {
                    let reads = match std::mem::take(&mut reads) {
                        none if none.is_empty() => vec![self.own(grid.rows())],
                        some => some,
                    };
                    let product =
                        Product { layer: self.layers, reads, width: l.inputs(), adds: Vec::new() };
                    self.layers += 1;
                    let extent = Extent { pixels: grid.rows(), channels: l.outputs() };
                    self.push(Work::Product(product), extent);
                }
                Op::Add(maps) => {
                    let maps = maps.iter().map(|map| self.numbers[*map]);
                    if let Some(Step { work: Work::Product(p), .. }) = self.plan.steps.last_mut() {
                        p.adds.extend(maps);
                    }
                }
                Op::Activation(()) => {
                    if let Some(step) = self.plan.steps.last_mut() {
                        step.activation = Some(activation);
                    }
                }
                Op::Shuffle(factor) => self.shuffle(grid, *factor),
                Op::Residual | Op::Mean | Op::Fold(_) => {}
            }
        }
        self.numbers.push(self.plan.extents.len() - 1);
    }

    fn push(&mut self, work: Work, extent: Extent) {
        self.plan.steps.push(Step { work, activation: None });
        self.plan.extents.push(extent);
    }

    /// What a stage reads.
    fn reads(&mut self, grid: &StageGrid) -> Vec<Read> {
        let mut column = 0;
        let reads = grid.stage.reads.iter().zip(&grid.reads).zip(&grid.stage.channels);
        let read = |((read, grid), channels): ((&network::Read, &PatchGrid), &usize)| {
            let map = match read.from {
                Source::Map(number) => self.numbers[number],
                Source::Plane => {
                    self.planes += 1;
                    self.planes - 1
                }
            };
            let beyond = if map == IMAGE { self.outside } else { 0.0 };
            let windows = Windows::new(grid);
            let own = column;
            column += windows.taps() * channels;
            Read { map, windows, column: own, beyond }
        };
        reads.map(read).collect()
    }

    /// The map that was made last, pixel by pixel.
    fn own(&self, rows: usize) -> Read {
        let map = self.plan.extents.len() - 1;
        Read { map, windows: Windows::pixel_by_pixel(rows), column: 0, beyond: 0.0 }
    }

    fn shuffle(&mut self, grid: &StageGrid, factor: usize) {
        let of = self.plan.extents.len() - 1;
        let width = self.plan.extents[of].channels;
        let placement = grid.placement(0..grid.rows(), width);
        let features: Vec<u32> = (0..(grid.rows() * width) as u32).collect();
        let mut places = vec![0; grid.map_values(width)];
        placement.put(&placement.select(features), &mut places);
        let extent = Extent { pixels: grid.out.pixels(), channels: width / (factor * factor) };
        self.push(Work::Shuffle { of, places }, extent);
    }
}
