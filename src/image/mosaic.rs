//! Colour pictures as one grey one, for networks that denoise the three planes together.
//!
//! Each pixel becomes a square of 2x2 grey levels: red and green, below them blue and a ground that is the same everywhere. What a network sees of
//! blocks of 2b x 2b of the mosaic is what one for colours sees of blocks of b x b; all that lies between the gateway
//! and the receiver handles the mosaic like any grey picture.

use super::{GreyImage, ImageError};
use ppdenoise_base::network::{MAX_PIXELS, SQUARE};
use ppdenoise_base::size::Size;

/// Where in the square of a pixel red, green and blue are; the ground is at the other place.
pub const PLACES: [(usize, usize); 3] = [(0, 0), (0, 1), (1, 0)];

/// The mosaic of red, green and blue on a ground of this level.
///
/// # Errors
/// [`ImageError::Grey`] for a single plane, [`ImageError::Planes`] for any other number, [`ImageError::PlaneSize`] if they differ in size,
/// [`ImageError::ColourTooLarge`].
pub fn mosaic(planes: &[GreyImage], ground: f32) -> Result<GreyImage, ImageError> {
    let first = match planes {
        [_] => return Err(ImageError::Grey),
        [first, _, _] => first,
        _ => return Err(ImageError::Planes { found: planes.len() }),
    };
    let expected = first.size();
    if let Some(found) = planes.iter().map(GreyImage::size).find(|&found| found != expected) {
        return Err(ImageError::PlaneSize { expected, found });
    }
    let size = of_picture(expected)?;
    let width = size.width;
    let mut pixels = vec![ground; size.pixels()];
    for (plane, (down, right)) in planes.iter().zip(PLACES) {
        let lines = pixels.chunks_exact_mut(width).skip(down).step_by(SQUARE);
        for (to, from) in lines.zip(plane.pixels.chunks_exact(expected.width)) {
            to.iter_mut().skip(right).step_by(SQUARE).zip(from).for_each(|(to, from)| *to = *from);
        }
    }
    GreyImage::new(size.height, width, pixels)
}

/// The plane with every pixel as a square of equal levels: what is known of each pixel, for all places of its square.
///
/// # Errors
/// [`ImageError::ColourTooLarge`].
pub fn in_squares(plane: &GreyImage) -> Result<GreyImage, ImageError> {
    let (size, width) = (of_picture(plane.size())?, plane.width());
    let at = |i: usize| (i / size.width / SQUARE) * width + i % size.width / SQUARE;
    let pixels = (0..size.pixels()).map(|i| plane.pixels[at(i)]).collect();
    GreyImage::new(size.height, size.width, pixels)
}

/// Whether a place of a mosaic is ground.
pub fn is_ground(row: usize, column: usize) -> bool {
    row % SQUARE == 1 && column % SQUARE == 1
}

/// The size of the mosaic of a picture.
fn of_picture(Size { height, width }: Size) -> Result<Size, ImageError> {
    let most = MAX_PIXELS / (SQUARE * SQUARE);
    match height.checked_mul(width) {
        Some(pixels) if pixels <= most => Ok(Size::new(SQUARE * height, SQUARE * width)),
        _ => Err(ImageError::ColourTooLarge { height, width, most }),
    }
}

/// Red, green and blue of a mosaic.
///
/// # Errors
/// [`ImageError::NoMosaic`] for odd sides.
pub fn of_mosaic(mosaic: &GreyImage) -> Result<Vec<GreyImage>, ImageError> {
    let Size { height, width } = mosaic.size();
    if !(height.is_multiple_of(SQUARE) && width.is_multiple_of(SQUARE)) {
        return Err(ImageError::NoMosaic { height, width });
    }
    let plane = |(down, right): (usize, usize)| {
        let lines = mosaic.pixels.chunks_exact(width).skip(down).step_by(SQUARE);
        let pixels = lines.flat_map(|line| line[right..].iter().step_by(SQUARE).copied());
        GreyImage::new(height / SQUARE, width / SQUARE, pixels.collect())
    };
    PLACES.into_iter().map(plane).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn planes(Size { height, width }: Size) -> Vec<GreyImage> {
        let plane = |base: f32| {
            let pixels = (0..height * width).map(|i| base + i as f32).collect();
            GreyImage::new(height, width, pixels).unwrap()
        };
        [0.0, 100.0, 200.0].map(plane).into()
    }

    #[test]
    fn a_pixel_becomes_a_square() {
        let found = mosaic(&planes(Size::new(1, 2)), 7.0).unwrap();
        assert_eq!(found.size(), Size::new(2, 4));
        assert_eq!(found.pixels, [0.0, 100.0, 1.0, 101.0, 200.0, 7.0, 201.0, 7.0]);
    }

    proptest! {
        #[test]
        fn planes_come_back(height in 1usize..9, width in 1usize..9) {
            let planes = planes(Size::new(height, width));
            let back = of_mosaic(&mosaic(&planes, 0.0).unwrap()).unwrap();
            prop_assert!(back == planes);
        }
    }

    #[test]
    fn what_is_known_of_a_pixel_is_at_all_places_of_its_square() {
        let plane = planes(Size::new(2, 3)).remove(0);
        let found = in_squares(&plane).unwrap();
        assert_eq!(found.size(), Size::new(4, 6));
        let lines = [[0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0, 5.0, 5.0]];
        assert_eq!(found.pixels, [lines[0], lines[0], lines[1], lines[1]].concat());
        let ground: Vec<bool> = (0..8).map(|i| is_ground(i / 4, i % 4)).collect();
        assert_eq!(ground, [false, false, false, false, false, true, false, true]);
    }

    /// Before there is memory for it.
    #[test]
    fn a_picture_whose_mosaic_is_too_large_is_refused_in_its_own_size() {
        assert!(of_picture(Size::new(8192, 8192)).is_ok());
        for size in [Size::new(8192, 8193), Size::new(usize::MAX, 2)] {
            let error = of_picture(size).unwrap_err().to_string();
            assert!(error.contains(&format!("{}x{}", size.height, size.width)), "{error}");
        }
    }

    #[test]
    fn what_is_no_mosaic_is_refused() {
        let grey = planes(Size::new(3, 4));
        assert!(matches!(of_mosaic(&grey[0]), Err(ImageError::NoMosaic { height: 3, width: 4 })));
        assert!(matches!(mosaic(&grey[..2], 0.0), Err(ImageError::Planes { found: 2 })));
        assert!(matches!(mosaic(&grey[..1], 0.0), Err(ImageError::Grey)));
        assert!(matches!(mosaic(&[], 0.0), Err(ImageError::Planes { found: 0 })));
        let other = planes(Size::new(4, 3)).remove(0);
        let mixed = [grey[0].clone(), other, grey[2].clone()];
        assert!(matches!(mosaic(&mixed, 0.0), Err(ImageError::PlaneSize { .. })));
    }
}
