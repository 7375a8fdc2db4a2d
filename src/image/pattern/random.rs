//! Pictures that are no photographs, drawn at random: print, charts, screens.

use super::super::GreyImage;
use super::shapes::{self, WHITE, draw};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::f64::consts::PI;

/// Black and white levels that differ by less make no picture.
const CONTRAST: f64 = 32.0;

/// Random choices.
struct Dice(ChaCha8Rng);

impl Dice {
    /// From one number up to another.
    fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// The same, as many between 1 and 2 as between 2 and 4.
    fn by_ratio(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.within(0.0, 1.0))
    }

    /// A whole number from one to another, both included.
    fn whole(&mut self, low: usize, high: usize) -> usize {
        self.within(low as f64, (high + 1) as f64) as usize
    }

    fn is_true(&mut self) -> bool {
        self.0.next_u32() & 1 == 1
    }

    /// Degrees: upright, level and diagonal as often as all others.
    fn direction(&mut self) -> f64 {
        if self.is_true() { 45.0 * self.whole(0, 3) as f64 } else { self.within(0.0, 180.0) }
    }
}

/// Whether there is ink at row and column, or how much.
type Ink = Box<dyn Fn(usize, usize) -> f64>;

/// A kind of picture.
type Kind = fn(&mut Dice, usize) -> Ink;

const KINDS: [Kind; 11] =
    [hatching, grid, modules, ordered, diffused, screen, text, strokes, rings, shapes_of_two, flat];

/// A picture of `side` rows and columns of grey levels 0 to 255 that follows from `seed`.
///
/// Every kind is as likely as any other: hatching, grids and checkers, modules, ordered dithers, error diffusion,
/// screens, bars like text, strokes, zone plates, shapes of two levels, flat areas and slopes. Half of them are of
/// black and white, the others of two levels between.
pub fn drawn(side: usize, seed: u64) -> GreyImage {
    let dice = &mut Dice(ChaCha8Rng::seed_from_u64(seed));
    let ink = KINDS[dice.whole(0, KINDS.len() - 1)](dice, side);
    let (paper, full) = levels(dice);
    draw(side, |y, x| (paper + (full - paper) * ink(y, x)) as f32)
}

/// Levels of paper and ink.
fn levels(dice: &mut Dice) -> (f64, f64) {
    let white = f64::from(WHITE);
    let (dark, light) = if dice.is_true() {
        (0.0, white)
    } else {
        let dark = dice.within(0.0, white - CONTRAST);
        (dark, dice.within(dark + CONTRAST, white))
    };
    if dice.is_true() { (light, dark) } else { (dark, light) }
}

fn of_two(inked: impl Fn(usize, usize) -> bool + 'static) -> Ink {
    Box::new(move |y, x| f64::from(u8::from(inked(y, x))))
}

/// Lines of any period, direction and width; half the time crossed by others. A third are smooth waves.
fn hatching(dice: &mut Dice, _: usize) -> Ink {
    let mut one = || {
        let wave = shapes::wave(dice.by_ratio(2.0, 12.0), dice.direction(), dice.within(0.0, 12.0));
        (wave, dice.within(0.2, 0.8), dice.is_true())
    };
    let ((a, width, _), (b, other, crossed)) = (one(), one());
    match dice.whole(0, 2) {
        0 => Box::new(move |y, x| 0.5 + 0.5 * (2.0 * PI * a(y, x)).cos()),
        _ => of_two(move |y, x| a(y, x) < width || crossed && b(y, x) < other),
    }
}

fn grid(dice: &mut Dice, _: usize) -> Ink {
    let period = dice.whole(2, 16);
    let (width, down, right) = (dice.whole(1, period / 2), dice.whole(0, 15), dice.whole(0, 15));
    let (lines, checkers) = (shapes::grid(period, width), shapes::checkers(period / 2));
    if dice.is_true() {
        of_two(move |y, x| lines(y + down, x + right))
    } else {
        of_two(move |y, x| checkers(y + down, x + right))
    }
}

/// Noise of two levels and codes of square modules.
fn modules(dice: &mut Dice, side: usize) -> Ink {
    // A single pixel as often as 2 and 3 pixels together.
    let (module, white) = (dice.by_ratio(1.0, 9.0) as usize, dice.within(0.05, 0.95));
    let seed = u64::from(dice.0.next_u32());
    of_two(shapes::random_pixels(side, seed, module, white))
}

/// A smooth picture, 0 to 1: a slope, or a few waves longer than 24 pixels.
fn tone(dice: &mut Dice, side: usize) -> impl Fn(usize, usize) -> f64 + 'static {
    let mut one = || {
        let long = dice.by_ratio(24.0, 8.0 * side.max(24) as f64);
        (shapes::wave(long, dice.within(0.0, 360.0), dice.within(0.0, long)), dice.within(0.2, 1.0))
    };
    let waves: Vec<_> = (0..3).map(|_| one()).collect();
    let total: f64 = waves.iter().map(|wave| wave.1).sum();
    move |y, x| {
        let of = |(wave, part): &(_, f64)| {
            let wave: &dyn Fn(usize, usize) -> f64 = wave;
            part * (2.0 * PI * wave(y, x)).cos()
        };
        0.5 + 0.5 * waves.iter().map(of).sum::<f64>() / total
    }
}

fn ordered(dice: &mut Dice, side: usize) -> Ink {
    let (bits, tone) = (dice.whole(1, 3) as u32, tone(dice, side));
    let (threshold, count) = (shapes::bayer(bits), f64::from(4u32.pow(bits)));
    of_two(move |y, x| tone(y, x) * count > threshold(y, x) as f64 + 0.5)
}

fn diffused(dice: &mut Dice, side: usize) -> Ink {
    let tone = tone(dice, side);
    let image = shapes::error_diffusion(side, |y, x| WHITE * tone(y, x) as f32);
    of_two(move |y, x| image.pixels()[y * side + x] > 0.0)
}

/// Dots or lines that grow with the tone.
fn screen(dice: &mut Dice, side: usize) -> Ink {
    let (period, degrees) = (dice.by_ratio(3.0, 10.0), dice.direction());
    let [along, across] = [0.0, 90.0].map(|turn| shapes::wave(period, degrees + turn, 0.0));
    let (dots, tone) = (dice.is_true(), tone(dice, side));
    of_two(move |y, x| {
        let [a, b] = [along(y, x), across(y, x)].map(|phase| 0.5 + 0.5 * (2.0 * PI * phase).cos());
        tone(y, x) > if dots { (a + b) / 2.0 } else { a }
    })
}

fn text(dice: &mut Dice, side: usize) -> Ink {
    let (width, seed) = (dice.whole(1, 4), u64::from(dice.0.next_u32()));
    let bars = shapes::text(side, seed, width);
    if dice.is_true() {
        of_two(bars)
    } else {
        // Turned, so that they lie.
        of_two(move |y, x| bars(x, y))
    }
}

/// Straight strokes and circles, some with soft edges.
fn strokes(dice: &mut Dice, side: usize) -> Ink {
    let far = side as f64;
    let mut one = || {
        let round = dice.is_true();
        let (y, x) = (dice.within(0.0, far), dice.within(0.0, far));
        let (sin, cos) = (dice.direction() * PI / 180.0).sin_cos();
        (round, (y, x), (sin, cos), dice.by_ratio(3.0, far.max(4.0)), dice.by_ratio(0.6, 3.0))
    };
    let all: Vec<_> = (0..12).map(|_| one()).collect();
    let (count, soft) = (dice.whole(2, all.len()), dice.is_true());
    Box::new(move |y, x| {
        let most = all.iter().take(count).fold(0.0f64, |most, stroke| {
            let (round, middle, (sin, cos), length, width) = *stroke;
            let (dy, dx) = (y as f64 - middle.0, x as f64 - middle.1);
            let away = if round {
                (dy.hypot(dx) - length / 2.0).abs()
            } else {
                let beyond = ((dy * sin + dx * cos).abs() - length / 2.0).max(0.0);
                (dy * cos - dx * sin).hypot(beyond)
            };
            most.max((width / 2.0 + 0.5 - away).clamp(0.0, 1.0))
        });
        if soft { most } else { most.round() }
    })
}

fn rings(dice: &mut Dice, side: usize) -> Ink {
    let far = side as f64;
    let [row, column] = [(); 2].map(|()| dice.within(-far, 2.0 * far));
    let wave = shapes::rings(row, column, dice.by_ratio(2.0 * far, 8.0 * far));
    if dice.is_true() {
        of_two(move |y, x| wave(y, x) > 0.0)
    } else {
        Box::new(move |y, x| 0.5 + 0.5 * wave(y, x))
    }
}

/// Where a smooth picture is beyond a level.
fn shapes_of_two(dice: &mut Dice, side: usize) -> Ink {
    let (tone, level) = (tone(dice, side), dice.within(0.3, 0.7));
    of_two(move |y, x| tone(y, x) > level)
}

/// One level, a few, or a smooth change.
fn flat(dice: &mut Dice, side: usize) -> Ink {
    let (tone, steps, level) = (tone(dice, side), dice.whole(2, 8) as f64, dice.within(0.0, 1.0));
    match dice.whole(0, 2) {
        0 => Box::new(move |_, _| level),
        1 => Box::new(move |y, x| (tone(y, x) * steps).round() / steps),
        _ => Box::new(tone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        /// Any seed and side gives a picture within the grey levels, the same every time.
        #[test]
        fn any_seed_draws(side in 1usize..80, seed: u64) {
            let image = drawn(side, seed);
            prop_assert_eq!((image.height(), image.width()), (side, side));
            let pixels = image.pixels();
            prop_assert!(pixels.iter().all(|v| (0.0..=255.0).contains(v)));
            let again = drawn(side, seed);
            prop_assert_eq!(pixels, again.pixels());
        }
    }

    /// Each kind has ink and paper in most of its pictures, and two seeds give two pictures.
    #[test]
    fn kinds_use_both_levels() {
        for (number, kind) in KINDS.iter().enumerate() {
            let (mut both, mut all) = (0, HashSet::new());
            for seed in 0..40 {
                let ink = kind(&mut Dice(ChaCha8Rng::seed_from_u64(seed)), 48);
                let image = draw(48, |y, x| ink(y, x) as f32);
                let pixels = image.pixels();
                assert!(pixels.iter().all(|v| (0.0..=1.0).contains(v)), "{number}");
                let has = |range: std::ops::Range<f32>| pixels.iter().any(|v| range.contains(v));
                both += usize::from(has(-1.0..0.4) && has(0.6..2.0));
                all.insert(pixels.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            }
            assert!(both >= 15 && all.len() >= 30, "kind {number}: {both}, {}", all.len());
        }
    }

    /// Half are black and white but for soft edges; the others have levels between, as far apart as said.
    #[test]
    fn levels_are_apart() {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(1));
        let all: Vec<(f64, f64)> = (0..400).map(|_| levels(&mut dice)).collect();
        assert!(all.iter().all(|(a, b)| (a - b).abs() >= CONTRAST));
        let full = all.iter().filter(|(a, b)| (a - b).abs() == 255.0).count();
        let dark = all.iter().filter(|(paper, ink)| paper < ink).count();
        assert!((160..240).contains(&full) && (160..240).contains(&dark), "{full} {dark}");
    }
}
