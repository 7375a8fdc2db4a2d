//! The noise that a network which reads the plane is told of: one level, or that of each pixel.

use crate::image::ImageError;
use crate::model::ModelError;
use crate::network::{Padding, Source, Stage};
use crate::size::Size;
use std::borrow::Cow;
use std::ops::Range;

/// The noise that a network which reads the plane is told of, in network units; others do not read it.
#[derive(Clone, Copy, Debug)]
pub enum NoisePlane<'a> {
    /// The same everywhere.
    Level(f64),
    /// Of each pixel of the image, row by row. A network that works on blocks of pixels is told their mean.
    Pixels(&'a [f64]),
}

impl From<f64> for NoisePlane<'_> {
    fn from(level: f64) -> Self {
        NoisePlane::Level(level)
    }
}

/// The plane of an image, continued as the image is.
pub(super) enum Continued {
    Level(f32),
    Pixels { levels: Vec<f64>, size: Size },
}

impl Continued {
    pub(super) fn new(plane: NoisePlane<'_>, padding: Padding) -> Result<Self, ModelError> {
        let Size { height, width } = padding.size();
        match plane {
            NoisePlane::Level(level) => Ok(Continued::Level(level as f32)),
            NoisePlane::Pixels(levels) if levels.len() == height * width => {
                Ok(Continued::Pixels { levels: padding.pad(levels), size: padding.padded() })
            }
            NoisePlane::Pixels(levels) => {
                Err(ImageError::PixelCount { height, width, found: levels.len() }.into())
            }
        }
    }

    /// What a stage reads, whose rows at a scale of 1 are `block` pixels apart.
    pub(super) fn of(&self, stage: &Stage, block: usize) -> StagePlane {
        let (levels, size) = match self {
            Continued::Level(level) => return StagePlane::Level(*level),
            Continued::Pixels { levels, size } => (levels, *size),
        };
        let read = stage.reads.iter().find(|read| read.from == Source::Plane);
        let cell = read.map(|read| block * stage.scale / read.gather.stride);
        // Most stages do not read it.
        StagePlane::Cells(cell.map_or_else(Vec::new, |cell| means(levels, size, cell)))
    }
}

/// The means over cells of `side` x `side` pixels, of which the last may be cut.
fn means(levels: &[f64], Size { height, width }: Size, side: usize) -> Vec<f32> {
    let (rows, columns) = (height.div_ceil(side), width.div_ceil(side));
    let mut sums = vec![(0f64, 0usize); rows * columns];
    for (y, line) in levels.chunks_exact(width).enumerate() {
        for (x, level) in line.iter().enumerate() {
            let (sum, pixels) = &mut sums[y / side * columns + x / side];
            (*sum, *pixels) = (*sum + level, *pixels + 1);
        }
    }
    sums.into_iter().map(|(sum, pixels)| (sum / pixels as f64) as f32).collect()
}

/// The plane as a stage reads it.
pub(super) enum StagePlane {
    Level(f32),
    Cells(Vec<f32>),
}

impl StagePlane {
    pub(super) fn run(&self, run: Range<usize>) -> Cow<'_, [f32]> {
        match self {
            StagePlane::Level(level) => Cow::Owned(vec![*level; run.len()]),
            StagePlane::Cells(cells) => Cow::Borrowed(&cells[run]),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::image::ImageError;
    use crate::model::{FloatModel, ModelError, NoisePlane, load_npz};
    use crate::size::Size;
    use std::io::Cursor;

    /// Sides that are no multiples of what the network needs, so that it is continued.
    const SIZE: Size = Size::new(38, 170);

    /// A network on blocks of 2 x 2 pixels and on a grid of a quarter that is told the noise.
    fn told() -> FloatModel {
        let npz = include_bytes!("../../../fixtures/models/default.npz");
        load_npz(Cursor::new(&npz[..]), None).unwrap()
    }

    fn denoised<'a>(model: &FloatModel, plane: impl Into<NoisePlane<'a>>) -> Vec<f32> {
        let image: Vec<f32> =
            (0..SIZE.pixels()).map(|i| 0.5 + 0.3 * (i as f32 * 0.61).sin()).collect();
        let activation = |v: &mut [f32]| model.activation.apply(v);
        model.denoise_at(&image, SIZE, plane, &activation, &mut |_| ()).unwrap()
    }

    #[test]
    fn a_map_of_one_level_is_that_level() {
        let model = told();
        let level = model.plane(25.0);
        let map = vec![level; SIZE.pixels()];
        assert_eq!(denoised(&model, NoisePlane::Pixels(&map)), denoised(&model, level));
    }

    #[test]
    fn each_half_is_denoised_by_its_own_level() {
        let model = told();
        let (left, right) = (model.plane(10.0), model.plane(60.0));
        let half = |at: usize| if at % SIZE.width < SIZE.width / 2 { left } else { right };
        let map: Vec<f64> = (0..SIZE.pixels()).map(half).collect();
        let found = denoised(&model, NoisePlane::Pixels(&map));
        let (of_left, of_right) = (denoised(&model, left), denoised(&model, right));
        let differ = |other: &[f32], columns: std::ops::Range<usize>| {
            let here = |(i, _): &(usize, _)| columns.contains(&(i % SIZE.width));
            let pairs = found.iter().zip(other).enumerate().filter(here);
            pairs.map(|(_, (a, b))| (a - b).abs()).fold(0f32, f32::max)
        };
        // The last columns are far from the first half: further than the network sees of a pixel.
        assert!(differ(&of_left, 0..6) < 0.002 && differ(&of_left, 164..170) > 0.02);
        assert!(differ(&of_right, 164..170) < 0.002 && differ(&of_right, 0..6) > 0.02);
    }

    #[test]
    fn a_map_of_another_size_is_refused() {
        let model = told();
        let activation = |v: &mut [f32]| model.activation.apply(v);
        let (image, map) = ([0.5; 32 * 32], NoisePlane::Pixels(&[0.1; 31]));
        let found = model.denoise_at(&image, Size::new(32, 32), map, &activation, &mut |_| ());
        let error = found.unwrap_err();
        assert!(
            matches!(error, ModelError::Image(ImageError::PixelCount { found: 31, .. })),
            "{error}"
        );
    }
}
