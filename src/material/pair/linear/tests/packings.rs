//! Tiles of convolutions, and parts.

use super::*;
use crate::material::{Origin, SlotView};
use crate::model::{ActivationSpec, LinearSpec};
use crate::network::{Border, Fold, Gather, Network, Op, Read, StageGrid, gaussian_window};
use crate::size::Size;
use std::ops::Range;

type PublicNetwork = Network<LinearSpec, ActivationSpec>;

/// A linear op that reads the image, or maps made of it, on a size.
struct Lab {
    network: PublicNetwork,
    grid: StageGrid,
    plan: OpPlan,
}

impl Lab {
    /// One map of `channels`, the image where it is 1.
    fn new(gather: Gather, size: Size, channels: usize, outputs: usize) -> Self {
        match channels {
            1 => Lab::of(&[Read::map(0, gather)], &[], size, outputs),
            _ => Lab::of(&[Read::map(1, gather)], &[channels], size, outputs),
        }
    }

    /// An op behind stages that make maps of these channels.
    fn of(reads: &[Read], channels: &[usize], size: Size, outputs: usize) -> Self {
        let singles = channels.iter().map(|channels| (*channels, Gather::convolution(1)));
        Lab::behind(&singles.collect::<Vec<_>>(), reads, size, outputs)
    }

    /// An op behind stages that read the image so and make maps of these channels.
    fn behind(stages: &[(usize, Gather)], reads: &[Read], size: Size, outputs: usize) -> Self {
        let channels: Vec<usize> = stages.iter().map(|(channels, _)| *channels).collect();
        let linear = |inputs: usize, outputs| {
            Op::Linear(LinearSpec { inputs, outputs, out_frac: 0, flooding: None })
        };
        let single = Gather::convolution(1);
        let mut ops = Vec::new();
        for (channels, gather) in stages {
            ops.extend([Op::read(0, *gather), linear(gather.patch.pow(2), *channels)]);
        }
        let read = |read: &Read| {
            let channels = read.number().filter(|map| *map > 0).map_or(1, |map| channels[map - 1]);
            read.gather.patch.pow(2) * channels
        };
        let inner = reads[0].gather.inner();
        let predicts = if channels.is_empty() { inner } else { 1 };
        ops.extend([Op::Gather(reads.to_vec()), linear(reads.iter().map(read).sum(), outputs)]);
        let of_map = reads[0].number().filter(|map| *map > 0);
        let scale = reads[0].gather.stride * of_map.map_or(1, |map| stages[map - 1].1.stride);
        if scale > 1 && predicts == 1 {
            ops.push(Op::Shuffle(scale));
        }
        if predicts == 1 {
            // Makes an image of it, whatever it is.
            let features = outputs / (scale * scale);
            ops.extend([Op::read(channels.len() + 1, single), linear(features, 1)]);
        }
        ops.push(Op::Fold(Fold { patch: predicts, window: gaussian_window(predicts) }));
        let network = Network::new(ops).unwrap();
        let grid = network.grids(size).unwrap().swap_remove(channels.len());
        let op = grid.stage.first_linear();
        let (_, spec) = network.linears().find(|(at, _)| *at == op).unwrap();
        let plan = OpPlan::of(&network, op, spec);
        Lab { network, grid, plan }
    }

    fn check(&self, slots: usize) {
        let (rows, m) = (self.grid.rows(), self.plan.outputs);
        let x = words(1, m * self.plan.inputs);
        let world = World::new(self.plan.clone(), x.clone());
        let seeds = [seed(21), seed(22)];
        let views = [Party::S0, Party::S1].map(|party| -> Vec<SlotView<'_>> {
            (0..slots as u64)
                .map(|s| SlotView::new(party, &seeds[party.index()], s, Origin::Made))
                .collect()
        });
        let mut shares = [0, 1].map(|_| vec![0; slots * rows * m]);
        for part in &self.plan.parts(&self.grid, slots) {
            let y =
                [0, 1].map(|i| batch_input(&self.plan, part, &self.network, &self.grid, &views[i]));
            let [h, e] = world.shares(part, [&y[0], &y[1]], slots * rows, |_| ());
            shares[0] = sum(&shares[0], &h);
            shares[1] = sum(&shares[1], &e);
        }
        // By definition: patches of the sum of both masks.
        let mut expected = Vec::new();
        for (first, second) in views[0].iter().zip(&views[1]) {
            let y = self.grid.gather_masked(0..rows, |map, run| {
                let mask = |view: &SlotView<'_>| {
                    view.input_mask::<u32>(self.network.maps()[map].op, run.clone())
                };
                sum(&mask(first), &mask(second))
            });
            expected.extend(product(&x, self.plan.inputs, &y));
        }
        let wrong = off(&shares, &expected);
        assert!(wrong <= 2, "{wrong} off");
    }
}

fn zeros(kernel: usize) -> Gather {
    Gather::convolution(kernel)
}

#[test]
fn convolutions_by_tiles_are_patches_times_weights() {
    // More than one tile in either direction, the last ones partly full; kernels of 1 go by columns.
    Lab::new(zeros(3), Size::new(133, 40), 2, 3).check(1);
    Lab::new(zeros(5), Size::new(9, 31), 3, 2).check(2);
    Lab::new(zeros(1), Size::new(70, 66), 3, 2).check(1);
    let mirrored = Gather { border: Border::Reflect, ..zeros(3) };
    Lab::new(mirrored, Size::new(20, 33), 1, 2).check(1);
    // More than one pixel is predicted; a map of one pixel; a large kernel.
    Lab::new(
        Gather { patch: 9, stride: 1, pad: 3, border: Border::Reflect },
        Size::new(70, 12),
        1,
        9,
    )
    .check(1);
    Lab::new(zeros(3), Size::new(1, 1), 2, 2).check(2);
}

/// With a stride each phase of a map is a map of its own, if a patch reads more pixels than there are phases.
#[test]
fn strides_are_phases() {
    let strided = |patch, stride, pad| Gather { patch, stride, pad, border: Border::Zero };
    for (gather, size, tiled) in [
        (strided(3, 2, 1), Size::new(270, 67), true),
        (strided(3, 2, 1), Size::new(1, 1), true),
        (strided(3, 2, 0), Size::new(9, 12), true),
        (strided(6, 2, 2), Size::new(65, 62), true),
        (strided(7, 3, 4), Size::new(20, 31), true),
        // Two of three phases along an axis.
        (strided(8, 3, 2), Size::new(30, 14), true),
        (strided(2, 2, 0), Size::new(9, 12), false),
        (strided(1, 2, 0), Size::new(9, 12), false),
        (strided(2, 3, 0), Size::new(9, 12), false),
    ] {
        let outputs = gather.stride.pow(2);
        let lab = Lab::of(&[Read::map(1, gather)], &[2], size, outputs);
        assert_eq!(matches!(lab.plan.packing, Packing::Tiles(_)), tiled, "{gather:?}");
        lab.check(2);
    }
    // The image in blocks, which is continued to whole ones.
    for size in [Size::new(66, 40), Size::new(33, 21), Size::new(2, 2)] {
        let lab = Lab::new(strided(6, 2, 2), size, 1, 4);
        assert!(matches!(lab.plan.packing, Packing::Tiles(_)));
        lab.check(2);
    }
    // Beside a map of the windows' own size, and the image beside both.
    let reads =
        [Read::map(2, zeros(3)), Read::map(1, strided(5, 2, 2)), Read::map(0, strided(6, 2, 2))];
    let stages = [(3, zeros(1)), (2, strided(2, 2, 0))];
    let lab = Lab::behind(&stages, &reads, Size::new(66, 80), 4);
    assert!(matches!(lab.plan.packing, Packing::Tiles(_)));
    lab.check(2);
}

/// Several maps lie in one tile, whatever kernels they are read with.
#[test]
fn maps_side_by_side_are_patches_times_weights() {
    let mirrored = Gather { border: Border::Reflect, ..zeros(5) };
    let early = Gather { pad: 0, ..zeros(2) };
    for (reads, tiled) in [
        (vec![Read::map(1, zeros(3)), Read::map(2, zeros(3))], true),
        (vec![Read::map(1, zeros(1)), Read::map(0, mirrored), Read::map(2, zeros(3))], true),
        (vec![Read::map(2, early), Read::map(1, zeros(1)), Read::map(2, zeros(5))], true),
        (vec![Read::map(1, zeros(1)), Read::map(2, zeros(1))], false),
    ] {
        // The image is read in any case, and every map by somebody.
        let lab = Lab::of(&reads, &[2, 3], Size::new(35, 33), 2);
        assert_eq!(matches!(lab.plan.packing, Packing::Tiles(_)), tiled);
        lab.check(2);
    }
}

/// The last window of a tile must not reach into what wraps around: one column more is wrong.
#[test]
fn windows_stay_inside_a_tile() {
    let tile = TileShape::of_kernel(3, 1);
    let (lines, columns) = tile.windows();
    assert_eq!((lines, columns), (130, 29));
    assert!(tile.lines * tile.columns <= N);
    let plan = tiles(tile.clone(), 1);
    let last = (lines - 1) * tile.columns + columns - 1;
    let furthest = plan.places().into_iter().map(|(_, shift)| shift).max().unwrap();
    assert_eq!(last + furthest, tile.lines * tile.columns - 1);
    for kernel in 2..=32 {
        let tile = TileShape::of_kernel(kernel, 1);
        assert!(tile.lines * tile.columns <= N && tile.windows().0 * tile.windows().1 >= N / 4);
    }
}

#[test]
fn parts_cover_every_patch_once() {
    let cover = |plan: &OpPlan, grid: &StageGrid, slots: usize| {
        let mut seen = vec![0; grid.rows() * slots];
        for part in plan.parts(grid, slots) {
            let places = part.places(plan);
            assert!(places.iter().all(|(at, _)| *at < part.coefficients(plan)));
            places.iter().for_each(|(_, row)| seen[*row] += 1);
        }
        assert!(seen.iter().all(|n| *n == 1));
    };
    for size in [Size::new(1, 1), Size::new(130, 29), Size::new(131, 30), Size::new(300, 64)] {
        let lab = Lab::new(zeros(3), size, 1, 1);
        cover(&lab.plan, &lab.grid, 2);
        cover(&columns(1, 9, 1), &lab.grid, 3);
    }
    let runs: Vec<Range<usize>> = columns(1, 96, 1).pieces().collect();
    assert_eq!(runs, [0..96, 96..97]);
}
