//! Where to look: two parts of an image that show something.

use super::{GreyImage, ImageError, Rect};
use ppdenoise_base::size::Size;

/// Two rectangles of `height` x `width` with the most structure.
///
/// Structure is the sum of the differences between neighbouring means of 4x4 pixels, each counted
/// up to 16 grey levels: means, because fine random texture (grass, noise) shows little. The first
/// has the most of all rectangles that leave room for a second; the second the most of those at
/// least its own size away from the first, or, if there is none, of those that do not overlap it.
/// Ties go to the topmost, then leftmost.
///
/// # Errors
/// [`ImageError::NoRoom`] if two such rectangles do not fit.
pub fn pick_crops(image: &GreyImage, height: usize, width: usize) -> Result<[Rect; 2], ImageError> {
    let no_room = || ImageError::NoRoom {
        height,
        width,
        image_height: image.height(),
        image_width: image.width(),
    };
    if height == 0 || width == 0 || height > image.height() || width > image.width() {
        return Err(no_room());
    }
    let structure = Sums::of_structure(image);
    let best = |allowed: &dyn Fn(&Rect) -> bool| -> Option<Rect> {
        let mut best: Option<(f64, Rect)> = None;
        for top in 0..=image.height() - height {
            for left in 0..=image.width() - width {
                let rect = Rect { top, left, height, width };
                let found = structure.over(&rect);
                if best.is_none_or(|(most, _)| found > most) && allowed(&rect) {
                    best = Some((found, rect));
                }
            }
        }
        best.map(|(_, rect)| rect)
    };
    let leaves_room = |r: &Rect| {
        let beside = |from: usize, len: usize, side: usize| from >= len || side - from >= 2 * len;
        beside(r.top, height, image.height()) || beside(r.left, width, image.width())
    };
    let first = best(&leaves_room).ok_or_else(no_room)?;
    let surroundings = Rect {
        top: first.top.saturating_sub(height),
        left: first.left.saturating_sub(width),
        height: first.top.min(height) + 2 * height,
        width: first.left.min(width) + 2 * width,
    };
    let second = best(&|r| !r.overlaps(&surroundings)).or_else(|| best(&|r| !r.overlaps(&first)));
    Ok([first, second.ok_or_else(no_room)?])
}

/// Side of the squares whose means are compared.
const BLOCK: usize = 4;
/// A single strong edge (the body against the background) should not outweigh fine structure.
const STEP_CAP: f64 = 16.0;

/// The sum over every rectangle that begins at the top left corner.
struct Sums {
    stride: usize,
    sums: Vec<f64>,
}

impl Sums {
    fn new(height: usize, width: usize, value: impl Fn(usize, usize) -> f64) -> Sums {
        let stride = width + 1;
        let mut sums = vec![0.0; stride * (height + 1)];
        for y in 0..height {
            let mut line = 0.0;
            for x in 0..width {
                line += value(y, x);
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + line;
            }
        }
        Sums { stride, sums }
    }

    /// The structure of an image: each step between two means counts where the squares meet.
    fn of_structure(image: &GreyImage) -> Sums {
        let Size { height, width } = image.size();
        let levels = Sums::new(height, width, |y, x| f64::from(image.pixels()[y * width + x]));
        let mean = |top, left| {
            levels.over(&Rect { top, left, height: BLOCK, width: BLOCK }) / (BLOCK * BLOCK) as f64
        };
        let step = |a: f64, b: f64| (a - b).abs().min(STEP_CAP);
        // Whether squares from `from` on, `count` in a row, lie inside a side.
        let fit = |from: Option<usize>, count: usize, side: usize| {
            from.filter(|f| f + count * BLOCK <= side)
        };
        Sums::new(height, width, |y, x| {
            let mut total = 0.0;
            let (middle_y, middle_x) = (y.checked_sub(BLOCK / 2), x.checked_sub(BLOCK / 2));
            let (before_y, before_x) = (y.checked_sub(BLOCK), x.checked_sub(BLOCK));
            if let (Some(t), Some(l)) = (fit(middle_y, 1, height), fit(before_x, 2, width)) {
                total += step(mean(t, l), mean(t, l + BLOCK));
            }
            if let (Some(t), Some(l)) = (fit(before_y, 2, height), fit(middle_x, 1, width)) {
                total += step(mean(t, l), mean(t + BLOCK, l));
            }
            total
        })
    }

    fn over(&self, r: &Rect) -> f64 {
        let (top, bottom) = (r.top * self.stride, (r.top + r.height) * self.stride);
        let (left, right) = (r.left, r.left + r.width);
        self.sums[bottom + right] - self.sums[bottom + left] - self.sums[top + right]
            + self.sums[top + left]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn structure_is_found_and_neither_edges_nor_texture() {
        let (h, w) = (60, 80);
        // Texture of single pixels all over the lower half, its mean that of the upper half.
        let texture = |i: usize| if (i / w + i % w).is_multiple_of(2) { 130.0 } else { 70.0 };
        let level = |i: usize| if i / w >= 30 { texture(i) } else { 100.0 };
        let mut pixels: Vec<f32> = (0..h * w).map(level).collect();
        // One long edge, far from what follows, and so strong that only the cap keeps it out.
        pixels.chunks_exact_mut(w).for_each(|row| row[75..77].fill(255.0));
        // Chequers of 4x4 pixels, the stronger ones below.
        for (top, left, contrast) in [(4, 40, 10.0), (40, 10, 15.0)] {
            for (y, x) in (0..256).map(|i| (i / 16, i % 16)) {
                let sign = if (y / 4 + x / 4) % 2 == 0 { 1.0 } else { -1.0 };
                pixels[(top + y) * w + left + x] += sign * contrast;
            }
        }
        let image = GreyImage::new(h, w, pixels).unwrap();
        let [a, b] = pick_crops(&image, 16, 16).unwrap();
        let near = |r: Rect, top, left| r.top.abs_diff(top) <= 4 && r.left.abs_diff(left) <= 4;
        assert!(near(a, 40, 10) && near(b, 4, 40), "{a}, {b}");
    }

    #[test]
    fn rows_and_columns_count_alike() {
        let level = |y: usize, x: usize| ((y * 37 + x * x * 11 + y * x) % 64) as f32;
        let of = |h: usize, w: usize, level: &dyn Fn(usize, usize) -> f32| {
            let pixels = (0..h * w).map(|i| level(i / w, i % w)).collect();
            Sums::of_structure(&GreyImage::new(h, w, pixels).unwrap())
        };
        let (upright, lying) = (of(19, 27, &level), of(27, 19, &|y, x| level(x, y)));
        for (top, left) in (0..10).flat_map(|t| (0..15).map(move |l| (t, l))) {
            let a = upright.over(&Rect { top, left, height: 9, width: 12 });
            let b = lying.over(&Rect { top: left, left: top, height: 12, width: 9 });
            assert!(a > 0.0 && (a - b).abs() < 1e-6, "{top}, {left}: {a} {b}");
        }
    }

    /// The busiest place is the middle, and taking it would leave no room.
    #[test]
    fn the_first_leaves_room_for_the_second() {
        let level = |i: usize| if i % 24 < 12 { 50.0 } else { 200.0 };
        let image = GreyImage::new(4, 24, (0..96).map(level).collect()).unwrap();
        let structure = Sums::of_structure(&image);
        let at = |left| structure.over(&Rect { top: 0, left, height: 4, width: 12 });
        assert!(at(6) > at(0) && at(6) > at(12));
        let [a, b] = pick_crops(&image, 4, 12).unwrap();
        assert!(!a.overlaps(&b));
        for (height, width) in [(4, 13), (5, 2), (0, 2), (2, 0)] {
            let refused = pick_crops(&image, height, width);
            assert!(matches!(refused, Err(ImageError::NoRoom { .. })), "{height}x{width}");
        }
    }

    proptest! {
        #[test]
        fn two_that_fit_are_found_inside_and_apart(
            (h, w, ch, cw) in (1usize..24, 1usize..24, 1usize..12, 1usize..12),
            seed: u32,
        ) {
            let level = |i: usize| (seed.wrapping_mul(i as u32 * 2 + 1) >> 24) as f32;
            let image = GreyImage::new(h, w, (0..h * w).map(level).collect()).unwrap();
            let fits = ch <= h && cw <= w && (2 * ch <= h || 2 * cw <= w);
            match pick_crops(&image, ch, cw) {
                Ok([a, b]) => {
                    prop_assert!(fits && !a.overlaps(&b));
                    prop_assert!(image.crop(a).is_ok() && image.crop(b).is_ok());
                }
                Err(_) => prop_assert!(!fits),
            }
        }
    }
}
