//! Pictures that are no photographs: the extremes of what a network may be given, drawn from formulas.
//!
//! Photographs leave the values inside a network far from what other pictures reach. A calibration that is to hold for
//! scans of print, test charts and screens looks at these as well: bars and lines of every short period and several
//! directions, checkers, zone plates, dithers, grids, noise of two levels, bars like text, black and white.

use super::GreyImage;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::f64::consts::PI;

/// Rows and columns of each, more than the largest field of view of usual networks.
const SIDE: usize = 96;
/// Directions of lines, in degrees.
const DIRECTIONS: [f64; 8] = [0.0, 90.0, 45.0, 135.0, 15.0, 30.0, 60.0, 105.0];
/// Periods of lines, in pixels.
const PERIODS: std::ops::RangeInclusive<usize> = 2..=8;
/// Of what is drawn at random.
const SEED: u64 = 7;

const BLACK: f32 = 0.0;
const WHITE: f32 = 255.0;

/// The pictures, of grey levels 0 to 255; always the same.
pub(crate) fn patterns() -> Vec<GreyImage> {
    let mut all: Vec<GreyImage> = PERIODS
        .flat_map(|period| DIRECTIONS.map(|degrees| lines(period as f64, degrees)))
        .collect();
    all.extend([1, 2, 3, 4].map(|side| bilevel(|y, x| (y / side + x / side) % 2 == 0)));
    all.extend([2, 3, 4, 6, 8].map(|period| bilevel(|y, x| y % period == 0 || x % period == 0)));
    all.extend([zone_plate(false), zone_plate(true), ordered_dither(), error_diffusion()]);
    all.extend([0.5, 0.1, 0.9].map(random_pixels));
    all.extend([text(1), text(2), draw(|_, _| BLACK), draw(|_, _| WHITE)]);
    all
}

fn draw(level: impl Fn(usize, usize) -> f32) -> GreyImage {
    let pixels = (0..SIDE * SIDE).map(|i| level(i / SIDE, i % SIDE)).collect();
    GreyImage::new(SIDE, SIDE, pixels).expect("levels are finite")
}

fn bilevel(white: impl Fn(usize, usize) -> bool) -> GreyImage {
    draw(|y, x| if white(y, x) { WHITE } else { BLACK })
}

/// Black and white lines, as wide as one another.
fn lines(period: f64, degrees: f64) -> GreyImage {
    let (sin, cos) = (degrees * PI / 180.0).sin_cos();
    // A little aside, so that no pixel is on an edge.
    bilevel(|y, x| ((y as f64 * cos + x as f64 * sin + 0.25) / period).rem_euclid(1.0) < 0.5)
}

/// Rings that become narrower until they have a period of two pixels at the border.
fn zone_plate(two_levels: bool) -> GreyImage {
    let middle = SIDE as f64 / 2.0;
    draw(|y, x| {
        let (dy, dx) = (y as f64 - middle, x as f64 - middle);
        let wave = (PI * (dy * dy + dx * dx) / (2.0 * middle)).cos();
        match two_levels {
            true if wave > 0.0 => WHITE,
            true => BLACK,
            false => (127.5 + 127.5 * wave) as f32,
        }
    })
}

/// A slope from black to white by the Bayer matrix of 4 x 4.
fn ordered_dither() -> GreyImage {
    const BAYER: [[usize; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
    bilevel(|y, x| x * 16 > (BAYER[y % 4][x % 4] * SIDE).max(1))
}

/// The same slope by Floyd and Steinberg's weights.
fn error_diffusion() -> GreyImage {
    let slope = |i: usize| (i % SIDE) as f32 * WHITE / (SIDE - 1) as f32;
    let mut levels: Vec<f32> = (0..SIDE * SIDE).map(slope).collect();
    for i in 0..levels.len() {
        let (y, x) = (i / SIDE, i % SIDE);
        let nearest = if levels[i] < 127.5 { BLACK } else { WHITE };
        let error = levels[i] - nearest;
        levels[i] = nearest;
        let (left, right, below) = (x > 0, x + 1 < SIDE, y + 1 < SIDE);
        let to = [
            (right, i + 1, 7.0),
            (below && left, i + SIDE - 1, 3.0),
            (below, i + SIDE, 5.0),
            (below && right, i + SIDE + 1, 1.0),
        ];
        for (_, to, part) in to.into_iter().filter(|(inside, ..)| *inside) {
            levels[to] += error * part / 16.0;
        }
    }
    GreyImage::new(SIDE, SIDE, levels).expect("levels are finite")
}

/// Pixels that are white with this probability, each by itself.
fn random_pixels(white: f64) -> GreyImage {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let below = (white * f64::from(u32::MAX)) as u32;
    let pixels = (0..SIDE * SIDE).map(|_| if rng.next_u32() < below { WHITE } else { BLACK });
    GreyImage::new(SIDE, SIDE, pixels.collect()).expect("levels are finite")
}

/// Lines of upright black bars on white, `width` pixels wide each, some joined at the top or the bottom.
fn text(width: usize) -> GreyImage {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED + width as u64);
    let (line, letter) = (8 * width, 4 * width);
    let strokes: Vec<u32> = (0..SIDE * SIDE).map(|_| rng.next_u32()).collect();
    bilevel(|y, x| {
        let (row, column) = (y % line / width, x % letter / width);
        let stroke = strokes[y / line * SIDE + x / letter];
        let ink = match (row, column) {
            (6.., _) | (_, 3) => false,
            (0, _) => stroke & 1 == 1 || column == 0,
            (5, _) => stroke & 2 == 2 || column == 0,
            (_, 0) => true,
            (2 | 3, 1) => stroke & 4 == 4,
            (_, 1) => false,
            _ => stroke & 8 == 8,
        };
        !ink
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Every picture is another, within the grey levels, and but for black and white has both.
    #[test]
    fn pictures_differ_and_use_their_levels() {
        let all = patterns();
        assert!(all.len() > 70, "{}", all.len());
        let of = |image: &GreyImage| image.pixels().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(all.iter().map(of).collect::<HashSet<_>>().len(), all.len());
        let mut flat = 0;
        for image in &all {
            let pixels = image.pixels();
            assert!(pixels.iter().all(|v| (BLACK..=WHITE).contains(v)));
            let (low, high) =
                pixels.iter().fold((WHITE, BLACK), |(a, b), v| (a.min(*v), b.max(*v)));
            flat += usize::from(low == high);
            assert!(low == high || (low < 10.0 && high > 245.0), "{low} {high}");
        }
        assert_eq!(flat, 2);
        assert!(patterns().iter().map(of).eq(all.iter().map(of)));
    }

    #[test]
    fn lines_have_their_period_and_direction() {
        let across = lines(6.0, 0.0);
        let level = |image: &GreyImage, y: usize, x: usize| image.pixels()[y * SIDE + x];
        for (y, x) in (0..SIDE - 6).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
            assert_eq!(level(&across, y, x), level(&across, y + 6, x));
            assert_eq!(level(&across, y, x), level(&across, y, 0));
            assert_ne!(level(&across, y, x), level(&across, y + 3, x));
        }
        let diagonal = lines(4.0, 45.0);
        for at in 1..SIDE {
            assert_eq!(level(&diagonal, at, SIDE - 1 - at), level(&diagonal, 0, SIDE - 1));
        }
    }

    /// A dither has the mean of what it stands for.
    #[test]
    fn dithers_keep_the_mean() {
        for dither in [ordered_dither(), error_diffusion()] {
            let mean = dither.pixels().iter().sum::<f32>() / (SIDE * SIDE) as f32;
            assert!((mean - 127.5).abs() < 8.0, "{mean}");
        }
    }
}
