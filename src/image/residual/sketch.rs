//! A sketch of a picture: random projections of each block, from which the receiver estimates a residual that it
//! cannot compute.

use super::{Block, Grid, MAX_BLOCKS, Residual};
use ppdenoise_base::size::Size;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use std::fmt;
use zeroize::Zeroize;

/// Random +-1 projections of each block: the square of each has the mean of the block's energy, and their relative
/// spread is the root of 2 over their number. So many that a picture of 128 x 128 is judged nearly as closely as by
/// whoever has the noisy one.
const PROJECTIONS: usize = 32;

/// What stands for a projection that 16 bits do not hold: of a flat block under signs that are all but one-sided.
const BEYOND: i16 = i16::MIN;

/// 32 projections of each block (16 x 16 pixels) of a noisy picture, rounded to levels.
///
/// Projections are linear: those of the noisy picture less those of the denoised one are those of the residual.
/// Signs follow from a seed that whoever computes the result does not know: an error that would hide from the signs
/// cannot be chosen.
///
/// Security: secret, as the picture is; 1 number for 8 pixels. Opaque in `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    seed: [u8; Sketch::SEED],
    /// The noise told, in 1/1024 of a level.
    noise: u32,
    projections: Vec<i16>,
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sketch(..)")
    }
}

impl Drop for Sketch {
    fn drop(&mut self) {
        self.seed.zeroize();
        self.projections.zeroize();
    }
}

impl zeroize::ZeroizeOnDrop for Sketch {}

impl Sketch {
    /// Bytes of a seed.
    pub const SEED: usize = 32;
    /// The most bytes of a sketch.
    pub const MAX_BYTES: usize =
        Sketch::SEED + size_of::<u32>() + MAX_BLOCKS * PROJECTIONS * size_of::<i16>();
    /// Steps of a level in which the noise is kept.
    const NOISE_STEPS: f64 = 1024.0;

    /// The sketch of a noisy picture of `size` = (rows, columns) with noise of standard deviation `noise`. Levels
    /// are those that the network works on, about 0. `seed` is random and serves once.
    pub fn of(
        size: Size,
        levels: impl IntoIterator<Item = f64>,
        noise: f64,
        seed: [u8; Sketch::SEED],
    ) -> Sketch {
        let kept = |value: f64| match value.round() {
            value if value.abs() > f64::from(i16::MAX) => BEYOND,
            value => value as i16,
        };
        let projections = project(size, levels, seed).into_iter().flatten().map(kept).collect();
        let noise = (noise * Sketch::NOISE_STEPS).round() as u32;
        Sketch { seed, noise, projections }
    }

    /// The noise told, in levels.
    pub fn noise(&self) -> f64 {
        f64::from(self.noise) / Sketch::NOISE_STEPS
    }

    /// Bytes of the sketch of a picture of `size` = (rows, columns).
    pub fn bytes(size: Size) -> usize {
        Sketch::SEED + size_of::<u32>() + Grid::of(size).count() * PROJECTIONS * size_of::<i16>()
    }

    /// The estimated residual of a denoised picture; nothing if the sketch is of a picture of another size.
    ///
    /// Error: over a window of m blocks the estimate of the energy spreads by the root of 2 / (32 m); rounding adds
    /// a twelfth of a level squared to a block.
    pub fn residual(
        &self,
        size: Size,
        denoised: impl IntoIterator<Item = f64>,
    ) -> Option<Residual> {
        let grid = Grid::of(size);
        if self.projections.len() != grid.count() * PROJECTIONS {
            return None;
        }
        let denoised = project(size, denoised, self.seed);
        let Size { width: columns, .. } = grid.counts();
        let blocks = self.projections.chunks_exact(PROJECTIONS).zip(denoised).enumerate();
        let blocks = blocks.map(|(number, (noisy, denoised))| {
            let known = noisy.iter().zip(denoised).filter(|(p, _)| **p != BEYOND);
            let squares = known.map(|(&p, q)| (f64::from(p) - q).powi(2));
            let (sum, count) = squares.fold((0.0, 0.0), |(sum, count), s| (sum + s, count + 1.0));
            let place =
                super::Rect { top: number / columns, left: number % columns, height: 1, width: 1 };
            let place = grid.pixels(&place);
            match count {
                0.0 => Block { energy: 0.0, pixels: 0.0, freedom: 0.0 },
                _ => Block { energy: sum / count, pixels: place.pixels() as f64, freedom: count },
            }
        });
        Some(Residual { size, blocks: blocks.collect() })
    }

    /// Seed, noise (u32), projections (i16 each), little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.seed.to_vec();
        bytes.extend_from_slice(&self.noise.to_le_bytes());
        bytes.extend(self.projections.iter().flat_map(|p| p.to_le_bytes()));
        bytes
    }

    /// What [`Sketch::to_bytes`] wrote; nothing for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Sketch> {
        let (seed, rest) = bytes.split_first_chunk()?;
        let (noise, rest) = rest.split_first_chunk()?;
        let pairs = rest.chunks_exact(2);
        let whole = pairs.remainder().is_empty() && rest.len().is_multiple_of(2 * PROJECTIONS);
        let projections = pairs.map(|p| i16::from_le_bytes([p[0], p[1]])).collect();
        whole.then_some(Sketch { seed: *seed, noise: u32::from_le_bytes(*noise), projections })
    }
}

/// The projections of each block: bit k of a pixel's random word is its sign in projection k.
fn project(
    size: Size,
    levels: impl IntoIterator<Item = f64>,
    seed: [u8; Sketch::SEED],
) -> Vec<[f64; PROJECTIONS]> {
    let grid = Grid::of(size);
    let mut sums = vec![[0.0; PROJECTIONS]; grid.count()];
    let mut rng = ChaCha12Rng::from_seed(seed);
    let mut levels = levels.into_iter();
    for row in 0..size.height {
        let blocks = &mut sums[row / grid.side * grid.counts().width..];
        for (column, level) in levels.by_ref().take(size.width).enumerate() {
            let signs = rng.next_u32();
            for (k, sum) in blocks[column / grid.side].iter_mut().enumerate() {
                *sum += if signs >> k & 1 == 1 { -level } else { level };
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;
    use proptest::prelude::*;

    const SEED: [u8; 32] = [7; 32];

    fn picture(size: Size) -> Vec<f64> {
        (0..size.pixels()).map(|i| 100.0 * ((i % size.width) as f64 / 9.0).sin()).collect()
    }

    /// 500 sketches of noise of the level told: none is refused, and the mean estimate is right.
    #[test]
    fn estimates_are_unbiased_and_noise_passes() {
        let (size, sigma) = (Size::new(64, 48), 10.0);
        let clean = picture(size);
        let mut energy = 0.0;
        for seed in 0..500u64 {
            let noisy: Vec<f64> =
                clean.iter().zip(noise(size, sigma, seed)).map(|(a, b)| a + b).collect();
            let mut signs = SEED;
            signs[..8].copy_from_slice(&seed.to_le_bytes());
            let sketch = Sketch::of(size, noisy, sigma, signs);
            let residual = sketch.residual(size, clean.iter().copied()).unwrap();
            energy += residual.blocks.iter().map(|b| b.energy).sum::<f64>();
            assert_eq!(residual.judge(sketch.noise()), Ok(()));
        }
        let rms = (energy / (500.0 * 64.0 * 48.0)).sqrt();
        assert!((rms - sigma).abs() < 0.1, "{rms}");
    }

    /// A dither that was smoothed away: 60 levels up and down, where noise of 5 was told.
    #[test]
    fn a_structure_that_went_is_seen() {
        let size = Size::new(128, 128);
        let noisy = noise(size, 5.0, 1).into_iter().enumerate();
        let noisy: Vec<f64> = noisy
            .map(|(i, v)| v + if (i + i / 128).is_multiple_of(2) { 30.0 } else { -30.0 })
            .collect();
        let sketch = Sketch::of(size, noisy, 5.0, SEED);
        let found = sketch.residual(size, vec![0.0; 128 * 128]).unwrap().judge(5.0).unwrap_err();
        assert!((found.times - 6.0).abs() < 2.0, "{found}");
    }

    /// Noise of 5 where twice its energy of picture went too, which is 3 dB worse than doing nothing: seen by almost
    /// every seed in 128 x 128 pixels.
    #[test]
    fn what_is_three_decibels_worse_is_seen() {
        let (size, sigma) = (Size::square(128), 5.0);
        let refused = (0..100u64).filter(|&seed| {
            let mut signs = SEED;
            signs[..8].copy_from_slice(&seed.to_le_bytes());
            let sketch = Sketch::of(size, noise(size, 3f64.sqrt() * sigma, seed), sigma, signs);
            let residual = sketch.residual(size, vec![0.0; size.pixels()]).unwrap();
            residual.judge(sketch.noise()).is_err()
        });
        assert!(refused.count() >= 95);
    }

    #[test]
    fn projections_that_do_not_fit_are_left_out() {
        let size = Size::new(16, 16);
        let sketch = Sketch::of(size, vec![30_000.0; 256], 5.0, SEED);
        assert!(sketch.projections.contains(&BEYOND));
        let residual = sketch.residual(size, vec![30_000.0; 256]).unwrap();
        assert_eq!(residual.judge(5.0), Ok(()));
        assert!(residual.blocks[0].freedom < 32.0);
    }

    #[test]
    fn another_size_has_no_residual() {
        let sketch = Sketch::of(Size::new(40, 40), picture(Size::new(40, 40)), 5.0, SEED);
        assert!(sketch.residual(Size::new(40, 60), picture(Size::new(40, 60))).is_none());
        assert_eq!(sketch.to_bytes().len(), Sketch::bytes(Size::new(40, 40)));
        assert_eq!(Sketch::bytes(Size::new(512, 512)), 36 + 64 * 1024);
    }

    proptest! {
        #[test]
        fn bytes_are_a_sketch_or_refused(mut bytes: Vec<u8>, height in 1usize..40, width in 1usize..40) {
            if let Some(sketch) = Sketch::from_bytes(&bytes) {
                prop_assert_eq!(&sketch.to_bytes(), &bytes);
                let _ = sketch.residual(Size::new(16, 16), vec![0.0; 256]).map(|r| r.judge(sketch.noise()));
            }
            let sketch = Sketch::of(Size::new(height, width), picture(Size::new(height, width)), 5.0, SEED);
            prop_assert!(Sketch::from_bytes(&sketch.to_bytes()) == Some(sketch.clone()));
            bytes.truncate(3);
            prop_assert!(Sketch::from_bytes(&[sketch.to_bytes(), bytes.clone()].concat()).is_none() || bytes.is_empty());
        }
    }
}
