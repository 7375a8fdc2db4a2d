//! Where to look: two parts of an image that show something.

use super::{GreyImage, ImageError, Rect};

/// Two rectangles of `height` x `width` with the most detail: the sum, over their pixels, of the
/// differences to the pixels on the right and below, each counted up to 16 grey levels.
///
/// The first has the most detail of all that leave room for a second; the second the most of those
/// at least its own size away from the first, or, if there is none, of those that do not overlap
/// it. Ties go to the topmost, then leftmost. Pick them on the clean image where there is one:
/// noise counts as detail too.
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
    let sums = Sums::new(image);
    let best = |allowed: &dyn Fn(&Rect) -> bool| -> Option<Rect> {
        let mut best: Option<(f64, Rect)> = None;
        for top in 0..=image.height() - height {
            for left in 0..=image.width() - width {
                let rect = Rect { top, left, height, width };
                let detail = sums.over(&rect);
                if best.is_none_or(|(most, _)| detail > most) && allowed(&rect) {
                    best = Some((detail, rect));
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

/// A single strong edge (the body against the background) should not outweigh fine structure.
const DETAIL_CAP: f64 = 16.0;

/// The detail of every rectangle that begins at the top left corner.
struct Sums {
    stride: usize,
    sums: Vec<f64>,
}

impl Sums {
    fn new(image: &GreyImage) -> Sums {
        let (width, pixels) = (image.width(), image.pixels());
        let stride = width + 1;
        let mut sums = vec![0.0; stride * (image.height() + 1)];
        for y in 0..image.height() {
            let mut line = 0.0;
            for x in 0..width {
                let here = y * width + x;
                let right = if x + 1 < width { here + 1 } else { here };
                let below = if y + 1 < image.height() { here + width } else { here };
                line += step(pixels, here, right) + step(pixels, here, below);
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + line;
            }
        }
        Sums { stride, sums }
    }

    fn over(&self, r: &Rect) -> f64 {
        let (top, bottom) = (r.top * self.stride, (r.top + r.height) * self.stride);
        let (left, right) = (r.left, r.left + r.width);
        self.sums[bottom + right] - self.sums[bottom + left] - self.sums[top + right]
            + self.sums[top + left]
    }
}

fn step(pixels: &[f32], a: usize, b: usize) -> f64 {
    (f64::from(pixels[a]) - f64::from(pixels[b])).abs().min(DETAIL_CAP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_busiest_places_are_found() {
        let (h, w) = (60, 80);
        let mut pixels = vec![100.0; h * w];
        for (top, left, contrast) in [(5, 50, 4.0), (40, 10, 6.0)] {
            for i in 0..64 {
                let (y, x) = (top + i / 8, left + i % 8);
                pixels[y * w + x] += if (y + x) % 2 == 0 { contrast } else { -contrast };
            }
        }
        // One long strong edge is not detail.
        pixels[20 * w..30 * w].fill(255.0);
        let image = GreyImage::new(h, w, pixels).unwrap();
        let crops = pick_crops(&image, 8, 8).unwrap();
        assert_eq!((crops[0].top, crops[0].left), (40, 10));
        assert_eq!((crops[1].top, crops[1].left), (5, 50));
    }

    /// The busiest place is the middle, and taking it would leave no room.
    #[test]
    fn the_first_leaves_room_for_the_second() {
        let pixels = (0..12).map(|i| if i == 5 || i == 6 { 200.0 * (i - 5) as f32 } else { 50.0 });
        let image = GreyImage::new(1, 12, pixels.collect()).unwrap();
        let [a, b] = pick_crops(&image, 1, 6).unwrap();
        assert!(!a.overlaps(&b));
        assert!(matches!(pick_crops(&image, 1, 7), Err(ImageError::NoRoom { .. })));
        assert!(matches!(pick_crops(&image, 2, 2), Err(ImageError::NoRoom { .. })));
        assert!(matches!(pick_crops(&image, 0, 2), Err(ImageError::NoRoom { .. })));
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
