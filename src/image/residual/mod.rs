//! Whether what a denoiser took away looks like the noise that it was told.
//!
//! A denoiser of noise with standard deviation sigma takes away about sigma, and never much more: what it takes
//! away beyond that was picture. So the root mean square of the residual, noisy less denoised, is compared with
//! the noise told, over windows from one block to the whole picture. The levels are those that the network works
//! on, where the noise is Gaussian of one sigma.
//!
//! Whoever has the noisy picture takes the residual itself ([`Residual::of`]); the receiver of two servers has a
//! [`Sketch`] of the noisy picture, from which the energy of each block is estimated.

mod sketch;
mod window;

pub use sketch::Sketch;

use super::Rect;
use ppdenoise_base::size::Size;
use std::fmt;
use window::{Sums, Windows};

/// Rows and columns of a block, of pictures of up to [`MAX_BLOCKS`].
const BLOCK: usize = 16;
/// The most blocks: those of a picture of 4096 x 4096. Larger pictures have larger blocks.
const MAX_BLOCKS: usize = 1 << 16;

/// What a residual may reach, as a multiple of (noise + 1): a quarter more than was told, which is the noise of a flat
/// picture that was told 20 % too low. The + 1 is for roundings and for what networks lose at low noise.
///
/// docs/numerics.md has the measurement.
const LIMIT: f64 = 1.25;

/// How many standard deviations of chance are added for a window: one in 10^9 windows reaches them.
const CHANCE: f64 = 6.0;

/// The energy of a residual, block by block. Opaque in `Debug`: it tells where a picture has structure.
#[derive(Clone)]
pub struct Residual {
    size: Size,
    /// Blocks row by row.
    blocks: Vec<Block>,
}

/// One block of a residual.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block {
    /// The sum of squares, measured or estimated.
    energy: f64,
    /// Pixels; 0 where nothing is known.
    pixels: f64,
    /// The degrees of freedom of the sum: pixels if it was measured, projections if it was estimated.
    freedom: f64,
}

/// A residual that is no noise of the level told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Implausible {
    /// Where it is furthest beyond what noise reaches.
    pub place: Rect,
    /// Its root mean square there, as a multiple of the noise told.
    pub times: f64,
    /// The noise told, in levels that the network works on.
    pub noise: f64,
}

impl fmt::Debug for Residual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Residual(..)")
    }
}

impl std::error::Error for Implausible {}

impl fmt::Display for Implausible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rect { top, left, height, width } = self.place;
        let (bottom, right) = (top + height - 1, left + width - 1);
        write!(
            f,
            "denoising takes away {:.1} times the noise told at rows {top} to {bottom}, columns {left} to {right}",
            self.times
        )
    }
}

impl Residual {
    /// The residual of a picture of `size` = (rows, columns): `noisy` less `denoised`, row by row, in levels that
    /// the network works on.
    pub fn of(
        size: Size,
        noisy: impl IntoIterator<Item = f64>,
        denoised: impl IntoIterator<Item = f64>,
    ) -> Residual {
        let grid = Grid::of(size);
        let mut blocks = vec![Block { energy: 0.0, pixels: 0.0, freedom: 0.0 }; grid.count()];
        for (pixel, (noisy, denoised)) in noisy.into_iter().zip(denoised).enumerate() {
            let block = &mut blocks[grid.block(pixel)];
            block.energy += (noisy - denoised).powi(2);
            block.pixels += 1.0;
            block.freedom += 1.0;
        }
        Residual { size, blocks }
    }

    /// Refuses a residual that is larger than noise of standard deviation `noise` makes it.
    ///
    /// Windows of 1, 3, 9, .. blocks a side and the whole picture are judged; each may exceed the limit by as much
    /// as chance allows for its degrees of freedom, so that large windows are judged closely and small ones catch
    /// what is wrong in one place.
    ///
    /// # Errors
    /// [`Implausible`] for the window that is furthest beyond its limit.
    pub fn judge(&self, noise: f64) -> Result<(), Implausible> {
        let grid = Grid::of(self.size);
        let Size { height: rows, width: columns } = grid.counts();
        let sums = Sums::new(&self.blocks, columns);
        let mut worst: Option<(f64, Implausible)> = None;
        for window in Windows::new(rows, columns) {
            let block = sums.over(&window);
            if block.pixels == 0.0 {
                continue;
            }
            let rms = (block.energy / block.pixels).sqrt();
            let most = LIMIT * (noise + 1.0) * chance(block.freedom).sqrt();
            let beyond = rms / most;
            if beyond > 1.0 && worst.is_none_or(|(most, _)| beyond > most) {
                let place = grid.pixels(&window);
                worst = Some((beyond, Implausible { place, times: rms / noise.max(1.0), noise }));
            }
        }
        worst.map_or(Ok(()), |(_, found)| Err(found))
    }
}

/// How far the mean of so many squares of standard normals exceeds 1 with [`CHANCE`]: Wilson and Hilferty's cube for
/// the chi-square distribution (1931).
fn chance(freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom.max(1.0));
    (1.0 - spread + CHANCE * spread.sqrt()).powi(3)
}

/// The blocks of a picture; those at its end may be cut.
#[derive(Clone, Copy)]
struct Grid {
    /// Rows and columns of the picture.
    size: Size,
    /// Rows and columns of a block.
    side: usize,
}

impl Grid {
    fn of(size: Size) -> Self {
        let mut grid = Grid { size, side: BLOCK };
        while grid.count() > MAX_BLOCKS {
            grid.side *= 2;
        }
        grid
    }

    /// Rows and columns of blocks.
    fn counts(self) -> Size {
        self.size.map(|side| side.div_ceil(self.side))
    }

    fn count(self) -> usize {
        self.counts().pixels()
    }

    /// The block of a pixel.
    fn block(self, pixel: usize) -> usize {
        let (row, column) = (pixel / self.size.width, pixel % self.size.width);
        row / self.side * self.counts().width + column / self.side
    }

    /// The pixels of a window of blocks.
    fn pixels(self, blocks: &Rect) -> Rect {
        let side = |first: usize, count: usize, all: usize| {
            let from = first * self.side;
            (from, ((first + count) * self.side).min(all) - from)
        };
        let (top, height) = side(blocks.top, blocks.height, self.size.height);
        let (left, width) = side(blocks.left, blocks.width, self.size.width);
        Rect { top, left, height, width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GreyImage, add_gaussian};
    use proptest::prelude::*;

    pub(super) fn noise(size: Size, sigma: f64, seed: u64) -> Vec<f64> {
        let black = GreyImage::new(size.height, size.width, vec![0.0; size.pixels()]).unwrap();
        let noisy = add_gaussian(&black, sigma, seed).unwrap();
        noisy.pixels().iter().map(|&v| f64::from(v)).collect()
    }

    fn zeros(size: Size) -> Vec<f64> {
        vec![0.0; size.pixels()]
    }

    /// Noise of the level told, whatever the size, is never refused; a tenth more everywhere is seen in a large
    /// picture.
    #[test]
    fn noise_passes_and_half_as_much_again_does_not() {
        let sizes = [(1, 1), (3, 5), (16, 16), (17, 40), (97, 97), (256, 256)];
        for (seed, (height, width)) in sizes.into_iter().enumerate() {
            let size = Size::new(height, width);
            for sigma in [2.0, 25.0, 75.0] {
                let residual = Residual::of(size, noise(size, sigma, seed as u64), zeros(size));
                assert_eq!(residual.judge(sigma), Ok(()), "{size:?} at {sigma}");
            }
        }
        let size = Size::new(256, 256);
        let found = Residual::of(size, noise(size, 37.5, 1), zeros(size)).judge(25.0).unwrap_err();
        assert!((found.times - 1.5).abs() < 0.2, "{found}");
    }

    /// One block of a quiet picture in which a structure went.
    #[test]
    fn the_place_is_named() {
        let size = Size::new(200, 100);
        let mut noisy = noise(size, 5.0, 1);
        for row in 165..173 {
            noisy[row * 100 + 50..row * 100 + 60].fill(90.0);
        }
        let found = Residual::of(size, noisy, zeros(size)).judge(5.0).unwrap_err();
        let inside = |from: usize, length: usize, at: usize| (from..from + length).contains(&at);
        assert!(inside(found.place.top, found.place.height, 168), "{found}");
        assert!(inside(found.place.left, found.place.width, 55), "{found}");
        assert!(found.to_string().contains("times the noise told at rows 160 to "), "{found}");
    }

    #[test]
    fn large_pictures_have_no_more_blocks() {
        for size in [
            Size::new(4096, 4096),
            Size::new(4097, 4096),
            Size::new(1 << 28, 1),
            Size::new(16_384, 16_384),
        ] {
            let grid = Grid::of(size);
            assert!(
                grid.count() <= MAX_BLOCKS && grid.count() * grid.side.pow(2) * 5 >= size.pixels()
            );
        }
        assert_eq!(Grid::of(Size::new(4096, 4096)).side, 16);
        assert_eq!(Grid::of(Size::new(4097, 4096)).side, 32);
    }

    #[test]
    fn chance_shrinks_with_what_is_measured() {
        assert!((chance(8.0) - 7.67).abs() < 0.01, "{}", chance(8.0));
        assert!((chance(72.0) - 2.354).abs() < 0.002);
        assert!(chance(1e9) < 1.001);
        assert!(chance(0.0).is_finite());
    }

    proptest! {
        /// Any picture of any size is judged without a panic, and a residual of 0 is plausible.
        #[test]
        fn any_size_is_judged(height in 1usize..70, width in 1usize..70, level in -300.0f64..300.0) {
            let size = Size::new(height, width);
            let flat = vec![level; height * width];
            prop_assert_eq!(Residual::of(size, flat.clone(), flat.clone()).judge(5.0), Ok(()));
            if let Err(found) = Residual::of(size, flat, zeros(size)).judge(5.0) {
                prop_assert!(found.place.is_inside(height, width));
            }
        }
    }
}
