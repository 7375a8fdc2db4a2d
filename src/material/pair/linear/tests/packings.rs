//! Tiles of convolutions, and parts.

use super::*;
use crate::material::{Origin, SlotView};
use crate::network::{Border, Gather, PatchGrid, Stage};
use std::ops::Range;

struct Lab {
    stage: Stage,
    grid: PatchGrid,
    plan: OpPlan,
}

impl Lab {
    fn new(gather: Gather, size: (usize, usize), channels: usize, outputs: usize) -> Self {
        let stage = Stage { ops: 0..2, channels, gather };
        let grid = PatchGrid::new(size, channels, &gather).unwrap();
        let inputs = gather.patch * gather.patch * channels;
        let plan = match gather.patch {
            1 => columns(1, inputs, outputs),
            kernel => tiles(TileShape::of_kernel(kernel, channels), outputs),
        };
        Lab { stage, grid, plan }
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
                [0, 1].map(|i| batch_input(&self.plan, part, (&self.stage, &self.grid), &views[i]));
            let [h, e] = world.shares(part, [&y[0], &y[1]], slots * rows, |_| ());
            shares[0] = sum(&shares[0], &h);
            shares[1] = sum(&shares[1], &e);
        }
        // By definition: patches of the sum of both masks.
        let mut expected = Vec::new();
        for (first, second) in views[0].iter().zip(&views[1]) {
            let masks = |view: &SlotView<'_>| view.input_mask::<u32>(1, 0..self.grid.features());
            let (a, b) = (masks(first), masks(second));
            let y = self.grid.gather(0..rows, &sum(&a, &b), 0);
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
    Lab::new(zeros(3), (133, 40), 2, 3).check(1);
    Lab::new(zeros(5), (9, 31), 3, 2).check(2);
    Lab::new(zeros(1), (70, 66), 3, 2).check(1);
    let mirrored = Gather { border: Border::Reflect, ..zeros(3) };
    Lab::new(mirrored, (20, 33), 1, 2).check(1);
    // More than one pixel is predicted; a map of one pixel; a large kernel.
    Lab::new(Gather { patch: 9, stride: 1, pad: 3, border: Border::Reflect }, (70, 12), 1, 2)
        .check(1);
    Lab::new(zeros(3), (1, 1), 2, 2).check(2);
}

/// The last window of a tile must not reach into what wraps around: one column more is wrong.
#[test]
fn windows_stay_inside_a_tile() {
    let tile = TileShape::of_kernel(3, 1);
    let (lines, columns) = tile.windows();
    assert_eq!((lines, columns), (130, 29));
    assert!(tile.lines * tile.columns <= N);
    let plan = tiles(tile, 1);
    let last = (lines - 1) * tile.columns + columns - 1;
    let furthest = plan.shifts().into_iter().max().unwrap();
    assert_eq!(last + furthest, tile.lines * tile.columns - 1);
    for kernel in 2..=32 {
        let tile = TileShape::of_kernel(kernel, 1);
        assert!(tile.lines * tile.columns <= N && tile.windows().0 * tile.windows().1 >= N / 4);
    }
}

#[test]
fn parts_cover_every_patch_once() {
    let cover = |plan: &OpPlan, grid: &PatchGrid, slots: usize| {
        let mut seen = vec![0; grid.rows() * slots];
        for part in plan.parts(grid, slots) {
            let places = part.places(plan);
            assert!(places.iter().all(|(at, _)| *at < part.coefficients(plan)));
            places.iter().for_each(|(_, row)| seen[*row] += 1);
        }
        assert!(seen.iter().all(|n| *n == 1));
    };
    for size in [(1, 1), (130, 29), (131, 30), (300, 64)] {
        let lab = Lab::new(zeros(3), size, 1, 1);
        cover(&lab.plan, &lab.grid, 2);
        cover(&columns(1, 9, 1), &lab.grid, 3);
    }
    let runs: Vec<Range<usize>> = columns(1, 96, 1).pieces().collect();
    assert_eq!(runs, [0..96, 96..97]);
}
