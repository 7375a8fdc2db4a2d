//! Pictures that are no photographs: the extremes of what a network may be given, drawn from formulas.
//!
//! Photographs leave the values inside a network far from what other pictures reach, and a network that has seen
//! nothing else takes the structure of print for noise. Calibration looks at a fixed list ([`patterns`]): bars and
//! lines of every short period and several directions, checkers, zone plates, dithers, grids, noise of two levels, bars
//! like text, black and white. Training draws its own at random ([`drawn`]).

#[cfg(feature = "train")]
mod random;
mod shapes;

#[cfg(feature = "train")]
pub use random::drawn;

use super::GreyImage;
use shapes::{BLACK, WHITE};

/// Rows and columns of each, more than the largest field of view of usual networks.
const SIDE: usize = 96;
/// Directions of lines, in degrees.
const DIRECTIONS: [f64; 8] = [0.0, 90.0, 45.0, 135.0, 15.0, 30.0, 60.0, 105.0];
/// Periods of lines, in pixels.
const PERIODS: std::ops::RangeInclusive<usize> = 2..=8;
/// Of what is drawn at random.
const SEED: u64 = 7;

/// The pictures, of grey levels 0 to 255; always the same.
pub fn patterns() -> Vec<GreyImage> {
    let mut all: Vec<GreyImage> = PERIODS
        .flat_map(|period| DIRECTIONS.map(|degrees| lines(period as f64, degrees)))
        .collect();
    all.extend([1, 2, 3, 4].map(|side| bilevel(shapes::checkers(side))));
    all.extend([2, 3, 4, 6, 8].map(|period| bilevel(shapes::grid(period, 1))));
    all.extend([zone_plate(false), zone_plate(true), ordered_dither(), error_diffusion()]);
    all.extend([0.5, 0.1, 0.9].map(|white| bilevel(shapes::random_pixels(SIDE, SEED, 1, white))));
    all.extend([text(1), text(2), draw(|_, _| BLACK), draw(|_, _| WHITE)]);
    all
}

fn draw(level: impl Fn(usize, usize) -> f32) -> GreyImage {
    shapes::draw(SIDE, level)
}

fn bilevel(white: impl Fn(usize, usize) -> bool) -> GreyImage {
    draw(|y, x| if white(y, x) { WHITE } else { BLACK })
}

/// Black and white lines, as wide as one another; a little aside, so that no pixel is on an edge.
fn lines(period: f64, degrees: f64) -> GreyImage {
    let wave = shapes::wave(period, degrees, 0.25);
    bilevel(|y, x| wave(y, x) < 0.5)
}

/// Rings that become narrower until they have a period of two pixels at the border.
fn zone_plate(two_levels: bool) -> GreyImage {
    let middle = SIDE as f64 / 2.0;
    let wave = shapes::rings(middle, middle, 2.0 * middle);
    if two_levels {
        bilevel(|y, x| wave(y, x) > 0.0)
    } else {
        draw(|y, x| (127.5 + 127.5 * wave(y, x)) as f32)
    }
}

/// A slope from black to white by the Bayer matrix of 4 x 4.
fn ordered_dither() -> GreyImage {
    let threshold = shapes::bayer(2);
    bilevel(|y, x| x * 16 > (threshold(y, x) * SIDE).max(1))
}

/// The same slope by Floyd and Steinberg's weights.
fn error_diffusion() -> GreyImage {
    shapes::error_diffusion(SIDE, |_, x| x as f32 * WHITE / (SIDE - 1) as f32)
}

/// Lines of upright black bars on white, `width` pixels wide each, some joined at the top or the bottom.
fn text(width: usize) -> GreyImage {
    let ink = shapes::text(SIDE, SEED + width as u64, width);
    bilevel(|y, x| !ink(y, x))
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

    /// Ranges of calibrated models follow from them: they stay what they are to the bit.
    #[test]
    fn pictures_stay_the_same() {
        let mut hasher = blake3::Hasher::new();
        for image in patterns() {
            for level in image.pixels() {
                hasher.update(&level.to_le_bytes());
            }
        }
        let found = hasher.finalize().to_hex();
        assert_eq!(&found[..16], "23a6b844884d0e01");
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
