//! What survives pixel encryption by the structure itself: |v - 127.5| of every pixel, without key or training.

use crate::image::metrics::{Quality, quality_8bit};
use crate::image::{GreyImage, ImageError};
use crate::lab::error::LabError;

/// Between black and white.
const MID: f32 = 127.5;

/// The picture folded at mid grey: every level as far above it as it was from it. The same for an image and its
/// encryption under any key.
pub(super) fn folded(image: &GreyImage) -> Result<GreyImage, ImageError> {
    each(image, |v| MID + (v - MID).abs())
}

/// The folded picture turned to the dark side.
pub(super) fn turned(folded: &GreyImage) -> Result<GreyImage, ImageError> {
    each(folded, |v| 2.0 * MID - v)
}

/// How good a folded picture is as the picture: on the side of mid grey that suits it better, which the eye chooses.
pub(super) fn either_side(clean: &GreyImage, folded: &GreyImage) -> Result<Quality, LabError> {
    let bright = quality_8bit(clean, folded)?;
    let dark = quality_8bit(clean, &turned(folded)?)?;
    Ok(if bright.psnr_db >= dark.psnr_db { bright } else { dark })
}

/// The distances of a pixel's channels from mid grey, sorted: what of a colour image survives the shuffle too.
pub(super) fn distances(planes: &[GreyImage]) -> Vec<Vec<f32>> {
    let pixels = planes.first().map_or(0, |plane| plane.pixels().len());
    let pixel = |i: usize| {
        let mut all: Vec<f32> = planes.iter().map(|p| (p.pixels()[i] - MID).abs()).collect();
        all.sort_by(f32::total_cmp);
        all
    };
    (0..pixels).map(pixel).collect()
}

fn each(image: &GreyImage, level: impl Fn(f32) -> f32) -> Result<GreyImage, ImageError> {
    let pixels = image.pixels().iter().map(|v| level(*v)).collect();
    GreyImage::new(image.height(), image.width(), pixels)
}

#[cfg(test)]
mod tests {
    use super::super::encryption::Key;
    use super::*;
    use crate::size::Size;
    use proptest::prelude::*;

    fn plane(levels: &[u8]) -> GreyImage {
        GreyImage::new(12, 16, levels.iter().copied().map(f32::from).collect()).unwrap()
    }

    fn levels() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 12 * 16)
    }

    proptest! {
        /// Under every key, to the last bit.
        #[test]
        fn distances_survive(grey in levels(), seed in any::<[u8; 32]>()) {
            let image = plane(&grey);
            let encrypted = Key::new(seed, Size::new(12, 16), 1).encrypt_grey(&image).unwrap();
            prop_assert_eq!(folded(&encrypted).unwrap(), folded(&image).unwrap());
        }

        #[test]
        fn distances_of_colours_survive(
            red in levels(), green in levels(), blue in levels(), seed in any::<[u8; 32]>()
        ) {
            let planes = [plane(&red), plane(&green), plane(&blue)];
            let encrypted = Key::new(seed, Size::new(12, 16), 3).encrypt(&planes).unwrap();
            prop_assert_eq!(distances(&encrypted), distances(&planes));
        }

        /// A picture on one side of mid grey is had back entirely.
        #[test]
        fn a_dark_or_bright_picture_is_recovered(
            grey in levels(), bright in any::<bool>(), seed in any::<[u8; 32]>()
        ) {
            let side = |v: &u8| if bright { 128 + v / 2 } else { v / 2 };
            let image = plane(&grey.iter().map(side).collect::<Vec<u8>>());
            let encrypted = Key::new(seed, Size::new(12, 16), 1).encrypt_grey(&image).unwrap();
            let found = folded(&encrypted).unwrap();
            prop_assert_eq!(either_side(&image, &found).unwrap().psnr_db, f64::INFINITY);
        }
    }

    #[test]
    fn the_better_side_is_taken() {
        let image = plane(&[200; 192]);
        let mostly = GreyImage::new(12, 16, vec![190.0; 192]).unwrap();
        let dark = turned(&mostly).unwrap();
        assert_eq!(dark.pixels()[0], 65.0);
        let found = [&mostly, &dark].map(|f| either_side(&image, f).unwrap().psnr_db);
        assert_eq!(found[0], found[1]);
        assert!(found[0] > 28.0);
    }
}
