//! The eight orientations of a picture, by which results of one network are averaged.
//!
//! A network of convolutions does not treat a picture and its mirror image alike. The mean of its results for several
//! orientations, each turned back, has less of the error that depends on the direction ("self-ensemble": Timofte,
//! Rothe, Van Gool, Seven ways to improve example-based single image super resolution, CVPR 2016).

use super::{GreyImage, ImageError, Rect};
use ppdenoise_base::size::Size;
use serde::Serialize;
use std::fmt;

/// How a picture lies, by the numbers of TIFF's tag 274 and of EXIF: 1 as it is, 2 mirrored left to right, 3 turned by
/// 180 degrees, 4 mirrored top to bottom, 5 to 8 these with rows and columns exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Orientation(u8);

impl Orientation {
    /// As it is.
    pub const UPRIGHT: Orientation = Orientation(1);

    /// The orientation of a number; nothing for one that is not 1 to 8.
    pub fn of_number(number: u8) -> Option<Orientation> {
        (1..=8).contains(&number).then_some(Orientation(number))
    }

    /// 1 to 8.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Whether rows become columns.
    fn transposes(self) -> bool {
        self.0 > 4
    }

    /// Whether the first row comes last, and whether the first column does; before rows and columns are exchanged.
    fn reverses(self) -> (bool, bool) {
        match self.0 {
            1 | 5 => (false, false),
            2 | 6 => (false, true),
            3 | 7 => (true, true),
            _ => (true, false),
        }
    }

    /// The picture in this orientation.
    pub fn turn(self, image: &GreyImage) -> GreyImage {
        let Size { height, width } = image.size();
        let (rows, columns) = self.reverses();
        let at = |row: usize, column: usize| {
            let row = if rows { height - 1 - row } else { row };
            let column = if columns { width - 1 - column } else { column };
            image.pixels[row * width + column]
        };
        let (height, width) = if self.transposes() { (width, height) } else { (height, width) };
        let mut pixels = Vec::with_capacity(height * width);
        for row in 0..height {
            if self.transposes() {
                pixels.extend((0..width).map(|column| at(column, row)));
            } else {
                pixels.extend((0..width).map(|column| at(row, column)));
            }
        }
        GreyImage { height, width, pixels }
    }

    /// The orientation that turns back what this one turned.
    pub fn inverse(self) -> Orientation {
        // What is reversed and then transposed is transposed and then reversed the other way.
        match self.0 {
            6 => Orientation(8),
            8 => Orientation(6),
            number => Orientation(number),
        }
    }

    /// The upright picture of one in this orientation.
    pub fn turn_back(self, image: &GreyImage) -> GreyImage {
        self.inverse().turn(image)
    }

    /// Where in the upright picture a part lies of a picture of this size in this orientation.
    pub fn place_back(self, part: Rect, Size { height, width }: Size) -> Rect {
        let (rows, columns) = self.inverse().reverses();
        let top = if rows { height - part.top - part.height } else { part.top };
        let left = if columns { width - part.left - part.width } else { part.left };
        if self.transposes() {
            return Rect { top: left, left: top, height: part.width, width: part.height };
        }
        Rect { top, left, ..part }
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// In how many orientations a picture is denoised, of which the mean is the result.
///
/// Cost: of that many pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Average {
    /// As it is, and nothing is averaged.
    #[default]
    None,
    /// Turned by 180 degrees too.
    Two,
    /// Mirrored in both ways too.
    Four,
    /// With rows and columns exchanged too.
    Eight,
}

impl Average {
    /// Of so many orientations; nothing for a number that is not 1, 2, 4 or 8.
    pub fn of_count(count: usize) -> Option<Average> {
        [Average::None, Average::Two, Average::Four, Average::Eight]
            .into_iter()
            .find(|average| average.orientations().len() == count)
    }

    /// The orientations, the upright one first.
    pub fn orientations(self) -> &'static [Orientation] {
        const ALL: [Orientation; 8] = {
            let of = Orientation;
            [of(1), of(3), of(2), of(4), of(5), of(7), of(6), of(8)]
        };
        match self {
            Average::None => &ALL[..1],
            Average::Two => &ALL[..2],
            Average::Four => &ALL[..4],
            Average::Eight => &ALL,
        }
    }
}

/// The mean of a picture and others, pixel by pixel.
///
/// # Errors
/// [`ImageError::PlaneSize`] if they differ in size.
pub fn mean_image(first: GreyImage, others: &[GreyImage]) -> Result<GreyImage, ImageError> {
    if others.is_empty() {
        return Ok(first);
    }
    let expected = first.size();
    if let Some(found) = others.iter().map(GreyImage::size).find(|&found| found != expected) {
        return Err(ImageError::PlaneSize { expected, found });
    }
    let count = (1 + others.len()) as f64;
    let mean = |at: usize| {
        let all = std::iter::once(&first).chain(others);
        (all.map(|image| f64::from(image.pixels[at])).sum::<f64>() / count) as f32
    };
    let pixels = (0..first.pixels.len()).map(mean).collect();
    Ok(GreyImage { pixels, ..first })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(height: usize, width: usize) -> GreyImage {
        let pixels = (0..height * width).map(|i| i as f32).collect();
        GreyImage::new(height, width, pixels).unwrap()
    }

    fn all() -> impl Iterator<Item = Orientation> {
        (1..=8).map(|number| Orientation::of_number(number).unwrap())
    }

    /// Where EXIF says that the first row and the first column of what is stored lie, and so on for a corner each.
    #[test]
    fn orientations_are_those_of_exif() {
        // 0 1 2
        // 3 4 5
        let stored = [
            vec![0, 1, 2, 3, 4, 5],
            vec![2, 1, 0, 5, 4, 3],
            vec![5, 4, 3, 2, 1, 0],
            vec![3, 4, 5, 0, 1, 2],
            vec![0, 3, 1, 4, 2, 5],
            vec![2, 5, 1, 4, 0, 3],
            vec![5, 2, 4, 1, 3, 0],
            vec![3, 0, 4, 1, 5, 2],
        ];
        for (orientation, expected) in all().zip(stored) {
            let turned = orientation.turn(&image(2, 3));
            let expected: Vec<f32> = expected.into_iter().map(|v| v as f32).collect();
            assert_eq!(turned.pixels(), expected, "{orientation}");
            assert_eq!(turned.height(), if orientation.number() > 4 { 3 } else { 2 });
        }
        assert_eq!(Orientation::of_number(0), None);
        assert_eq!(Orientation::of_number(9), None);
    }

    #[test]
    fn turning_back_gives_the_picture_and_the_place() {
        for (orientation, (height, width)) in
            all().flat_map(|o| [(1, 1), (1, 7), (5, 4), (6, 6)].map(|size| (o, size)))
        {
            let image = image(height, width);
            let turned = orientation.turn(&image);
            assert_eq!(orientation.turn_back(&turned), image, "{orientation}");
            for top in 0..turned.height() {
                for left in 0..turned.width() {
                    let height = turned.height() - top;
                    let part = Rect { top, left, height, width: 1 };
                    let back = orientation.place_back(part, turned.size());
                    let mut levels = image.crop(back).unwrap().pixels().to_vec();
                    let mut expected = turned.crop(part).unwrap().pixels().to_vec();
                    levels.sort_by(f32::total_cmp);
                    expected.sort_by(f32::total_cmp);
                    assert_eq!(levels, expected, "{orientation} {part}");
                }
            }
        }
    }

    #[test]
    fn averages_are_of_different_orientations() {
        for count in [1, 2, 4, 8] {
            let orientations = Average::of_count(count).unwrap().orientations();
            assert_eq!(orientations[0], Orientation::UPRIGHT);
            let different: std::collections::BTreeSet<_> = orientations.iter().collect();
            assert_eq!(different.len(), count);
            // Material is for sizes: the first four need that of the picture alone.
            let turned = orientations.iter().take(4).map(|o| o.turn(&image(2, 3)).size());
            assert!(turned.into_iter().all(|size| size == Size::new(2, 3)));
        }
        assert!([0, 3, 5, 16].iter().all(|&count| Average::of_count(count).is_none()));
        let turned = Orientation(3).turn(&image(2, 2));
        assert_eq!(mean_image(image(2, 2), &[turned]).unwrap().pixels(), [1.5; 4]);
        assert_eq!(mean_image(image(2, 3), &[]).unwrap(), image(2, 3));
        assert!(mean_image(image(2, 3), &[image(3, 2)]).is_err());
    }
}
