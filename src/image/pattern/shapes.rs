//! What pictures are drawn of: functions of row and column.

use super::super::GreyImage;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::f64::consts::PI;

pub(super) const BLACK: f32 = 0.0;
pub(super) const WHITE: f32 = 255.0;

/// A square picture whose levels are finite.
pub(super) fn draw(side: usize, level: impl Fn(usize, usize) -> f32) -> GreyImage {
    let pixels = (0..side * side).map(|i| level(i / side, i % side)).collect();
    GreyImage::new(side, side, pixels).expect("levels are finite")
}

/// Where a pixel is within a period, 0 to 1, across lines of a direction in degrees; `aside` is in pixels.
pub(super) fn wave(period: f64, degrees: f64, aside: f64) -> impl Fn(usize, usize) -> f64 + Copy {
    let (sin, cos) = (degrees * PI / 180.0).sin_cos();
    move |y, x| ((y as f64 * cos + x as f64 * sin + aside) / period).rem_euclid(1.0)
}

/// Squares of `side` pixels, every other one.
pub(super) fn checkers(side: usize) -> impl Fn(usize, usize) -> bool {
    move |y, x| (y / side + x / side).is_multiple_of(2)
}

/// Rows and columns of `width` pixels, once a period.
pub(super) fn grid(period: usize, width: usize) -> impl Fn(usize, usize) -> bool {
    move |y, x| y % period < width || x % period < width
}

/// Rings around the middle in `row` and `column`, -1 to 1, that become narrower outwards; `spread` pixels are twice the
/// radius at which they have a period of two pixels.
pub(super) fn rings(row: f64, column: f64, spread: f64) -> impl Fn(usize, usize) -> f64 {
    move |y, x| {
        let (dy, dx) = (y as f64 - row, x as f64 - column);
        (PI * (dy * dy + dx * dx) / spread).cos()
    }
}

/// Bayer's matrix of 2^`bits` rows, whose entries are the numbers below 4^`bits`.
pub(super) fn bayer(bits: u32) -> impl Fn(usize, usize) -> usize {
    move |y, x| {
        let quarter = |bit: u32| [0, 2, 3, 1][2 * (y >> bit & 1) + (x >> bit & 1)];
        (0..bits).fold(0, |entry, bit| 4 * entry + quarter(bit))
    }
}

/// Black and white in place of `level`, by Floyd and Steinberg's weights.
pub(super) fn error_diffusion(side: usize, level: impl Fn(usize, usize) -> f32) -> GreyImage {
    let mut levels: Vec<f32> = (0..side * side).map(|i| level(i / side, i % side)).collect();
    for i in 0..levels.len() {
        let (y, x) = (i / side, i % side);
        let nearest = if levels[i] < 127.5 { BLACK } else { WHITE };
        let error = levels[i] - nearest;
        levels[i] = nearest;
        let (left, right, below) = (x > 0, x + 1 < side, y + 1 < side);
        let to = [
            (right, i + 1, 7.0),
            (below && left, (i + side).wrapping_sub(1), 3.0),
            (below, i + side, 5.0),
            (below && right, i + side + 1, 1.0),
        ];
        for (_, to, part) in to.into_iter().filter(|(inside, ..)| *inside) {
            levels[to] += error * part / 16.0;
        }
    }
    GreyImage::new(side, side, levels).expect("levels are finite")
}

/// Squares of `module` pixels that are white with this probability, each by itself, on a picture of a side and a seed.
pub(super) fn random_pixels(
    side: usize,
    seed: u64,
    module: usize,
    white: f64,
) -> impl Fn(usize, usize) -> bool {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let below = (white * f64::from(u32::MAX)) as u32;
    let across = side.div_ceil(module);
    let all: Vec<bool> = (0..across * across).map(|_| rng.next_u32() < below).collect();
    move |y, x| all[y / module * across + x / module]
}

/// The ink of lines of upright bars of `width` pixels, some joined at the top or the bottom, on a picture of a side and
/// a seed.
pub(super) fn text(side: usize, seed: u64, width: usize) -> impl Fn(usize, usize) -> bool {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (line, letter) = (8 * width, 4 * width);
    let strokes: Vec<u32> = (0..side * side).map(|_| rng.next_u32()).collect();
    move |y, x| {
        let (row, column) = (y % line / width, x % letter / width);
        let stroke = strokes[y / line * side + x / letter];
        match (row, column) {
            (6.., _) | (_, 3) => false,
            (0, _) => stroke & 1 == 1 || column == 0,
            (5, _) => stroke & 2 == 2 || column == 0,
            (_, 0) => true,
            (2 | 3, 1) => stroke & 4 == 4,
            (_, 1) => false,
            _ => stroke & 8 == 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bayer's matrix of four rows as it is printed, and that of eight: every number once.
    #[test]
    fn bayers_matrix_is_bayers() {
        const FOUR: [[usize; 4]; 4] =
            [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
        let four = bayer(2);
        for (y, x) in (0..16).map(|i| (i / 4, i % 4)) {
            assert_eq!(four(y, x), FOUR[y][x], "{y} {x}");
            assert_eq!(four(y + 4, x + 8), FOUR[y][x]);
        }
        let eight = bayer(3);
        let mut all: Vec<usize> = (0..64).map(|i| eight(i / 8, i % 8)).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..64));
    }

    #[test]
    fn modules_are_squares_of_one_level() {
        let white = random_pixels(20, 3, 6, 0.5);
        for (y, x) in (0..400).map(|i| (i / 20, i % 20)) {
            assert_eq!(white(y, x), white(y / 6 * 6, x / 6 * 6));
        }
        let count = (0..400).filter(|i| random_pixels(20, 3, 1, 0.25)(i / 20, i % 20)).count();
        assert!((60..140).contains(&count), "{count}");
    }
}
