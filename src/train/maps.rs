//! Maps between convolutions of stride 1: gathered into the rows of a matrix product, and rows added back.

use super::architecture::KERNEL;

/// Pixels around each map, so that every window lies in it.
const BORDER: usize = KERNEL / 2;

/// Features of every pixel of some patches, borders included; a pixel's channels together.
struct Map {
    channels: usize,
    cells: Vec<f32>,
}

/// The maps that the layers of a convolutional network after the first read, for some patches at once.
/// A row is a pixel: line after line, patch after patch.
///
/// Memory: 4 bytes for each channel of a pixel and layer; a gathered row is nine times as long.
pub(super) struct Maps {
    /// The first pixel of each row's window.
    windows: Vec<usize>,
    /// Pixels of a line.
    line: usize,
    values: Vec<Map>,
    /// Loss by the values that some layer reads.
    slopes: Map,
}

impl Maps {
    /// For `patches` maps of side `side`; `channels` that each layer from the second on reads.
    pub(super) fn new(patches: usize, side: usize, channels: &[usize]) -> Self {
        let line = side + 2 * BORDER;
        let window = |row: usize| {
            let (patch, y, x) = (row / (side * side), row / side % side, row % side);
            (patch * line + y) * line + x
        };
        let map = |channels| {
            let cells = vec![0.0; patches * line * line * channels];
            Map { channels, cells }
        };
        Maps {
            windows: (0..patches * side * side).map(window).collect(),
            line,
            values: channels.iter().copied().map(map).collect(),
            slopes: map(channels.iter().copied().max().unwrap_or(0)),
        }
    }

    /// Where the values of the row's own pixel are in what [`Maps::gather`] gives for a layer.
    pub(super) fn own(&self, layer: usize) -> usize {
        KERNEL * KERNEL / 2 * self.values[layer - 1].channels
    }

    /// Sets what layer `layer` reads at the pixel of a row.
    pub(super) fn set(&mut self, layer: usize, row: usize, pixel: &[f32]) {
        let middle = BORDER * self.line + BORDER;
        let Map { channels, cells } = &mut self.values[layer - 1];
        cells[(self.windows[row] + middle) * *channels..][..*channels].copy_from_slice(pixel);
    }

    /// The window of a row: 3 x 3 pixels, `out` has room for all their channels.
    pub(super) fn gather(&self, layer: usize, row: usize, out: &mut [f32]) {
        let Map { channels, cells } = &self.values[layer - 1];
        let (run, first) = (KERNEL * channels, self.windows[row]);
        for (y, out) in out.chunks_exact_mut(run).enumerate() {
            out.copy_from_slice(&cells[(first + y * self.line) * channels..][..run]);
        }
    }

    /// From loss by gathered values, a row for each pixel, to loss by the values that `layer` reads.
    pub(super) fn scatter(&mut self, layer: usize, rows: &[f32]) {
        let channels = self.values[layer - 1].channels;
        self.slopes.channels = channels;
        let cells = &mut self.slopes.cells;
        cells.fill(0.0);
        let run = KERNEL * channels;
        for (row, first) in rows.chunks_exact(KERNEL * run).zip(&self.windows) {
            for (y, part) in row.chunks_exact(run).enumerate() {
                let to = &mut cells[(first + y * self.line) * channels..][..run];
                to.iter_mut().zip(part).for_each(|(t, v)| *t += v);
            }
        }
    }

    /// What [`Maps::scatter`] found for the pixel of a row.
    pub(super) fn slope(&self, row: usize) -> &[f32] {
        let Map { channels, cells } = &self.slopes;
        &cells[(self.windows[row] + BORDER * self.line + BORDER) * channels..][..*channels]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Gather, PatchGrid};

    const SIDE: usize = 4;
    const ROWS: usize = 2 * SIDE * SIDE;

    fn value(i: usize) -> f32 {
        ((i * 37 + 11) % 101) as f32 - 50.0
    }

    /// Gathered rows are those of the networks that images go through, patch by patch.
    #[test]
    fn windows_are_those_of_a_convolution() {
        for (layer, channels) in [(1, 1), (2, 3)] {
            let mut maps = Maps::new(2, SIDE, &[1, 3]);
            let all: Vec<f32> = (0..ROWS * channels).map(value).collect();
            let pixels = all.chunks_exact(channels).enumerate();
            pixels.for_each(|(row, pixel)| maps.set(layer, row, pixel));
            let gather = Gather::convolution(KERNEL);
            let grid = PatchGrid::new((SIDE, SIDE), channels, &gather).unwrap();
            let mut row = vec![0.0; 9 * channels];
            for (patch, map) in all.chunks_exact(SIDE * SIDE * channels).enumerate() {
                for pixel in 0..SIDE * SIDE {
                    maps.gather(layer, patch * SIDE * SIDE + pixel, &mut row);
                    assert_eq!(row, grid.gather(pixel..pixel + 1, map, 0));
                    let own = &row[maps.own(layer)..][..channels];
                    assert_eq!(own, &map[pixel * channels..][..channels]);
                }
            }
        }
    }

    /// Scattering is the transpose of gathering: <gather(x), y> = <x, scatter(y)>.
    #[test]
    fn scattering_is_the_transpose_of_gathering() {
        let mut maps = Maps::new(2, SIDE, &[1, 3]);
        let x: Vec<f32> = (0..ROWS * 3).map(value).collect();
        let y: Vec<f32> = (0..ROWS * 27).map(|i| value(i + 7)).collect();
        x.chunks_exact(3).enumerate().for_each(|(row, pixel)| maps.set(2, row, pixel));
        let (mut row, mut gathered) = (vec![0.0; 27], 0.0);
        for (r, y) in y.chunks_exact(27).enumerate() {
            maps.gather(2, r, &mut row);
            gathered += row.iter().zip(y).map(|(a, b)| a * b).sum::<f32>();
        }
        // Twice: the second must not see the first.
        maps.scatter(2, &y);
        maps.scatter(2, &y);
        let scattered =
            |r: usize| -> f32 { maps.slope(r).iter().zip(&x[3 * r..]).map(|(a, b)| a * b).sum() };
        assert_eq!(gathered, (0..ROWS).map(scattered).sum::<f32>());
    }
}
