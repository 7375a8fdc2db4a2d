//! An image as a file holds it: one plane or three, and how many bits a sample has.

use super::{GreyImage, ImageError, ImageFormat, Range, Rect};
use ppdenoise_base::size::Size;
use std::borrow::Cow;

/// How finely a file stores its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// 8 bits a sample.
    Eight,
    /// 16 bits a sample: 257 steps a grey level.
    Sixteen,
    /// Floats, neither rounded nor clipped.
    Float,
}

impl Depth {
    /// Steps a grey level of the scale 0 to 255, none for floats.
    pub(super) fn steps(self) -> Option<f32> {
        match self {
            Depth::Eight => Some(1.0),
            Depth::Sixteen => Some(257.0),
            Depth::Float => None,
        }
    }

    /// A file's own values a grey level: floats are levels unless a range says otherwise.
    pub(super) fn values_a_level(self) -> f64 {
        self.steps().map_or(1.0, f64::from)
    }

    /// What a file of this format and depth holds of a level of a range, before it is rounded: the file's own values
    /// where they have a place, on the scale of its depth. Floats have none in a file of 8 bits, which gets levels.
    pub(super) fn stored(self, range: Range, format: ImageFormat, level: f32) -> f32 {
        match (format, self) {
            (ImageFormat::Npy, _) | (ImageFormat::Tiff, Depth::Float) => range.value(level) as f32,
            (_, Depth::Float) => level,
            (_, depth) => (range.value(level) / depth.values_a_level()) as f32,
        }
    }

    /// A file's own value of a level.
    pub(super) fn value(self, level: f32, range: Option<Range>) -> f64 {
        match range {
            Some(range) => range.value(level),
            None => f64::from(level) * self.values_a_level(),
        }
    }

    /// The grey level that a file of this depth holds for `level`: rounded half away from zero to a
    /// step, and clipped.
    pub fn round(self, level: f32) -> f32 {
        match self.steps() {
            Some(steps) => (level * steps).round().clamp(0.0, 255.0 * steps) / steps,
            None => level,
        }
    }
}

/// One plane of grey levels, or one each for red, green and blue, all of one size, on the scale 0 to
/// 255 whatever the depth: a [`Range`] says which of the file's own values 0 and 255 stand for, where that is no
/// matter of the depth alone, and files get these values back. Several pictures of one size (the frames of a DICOM file) lie one below the
/// other.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    planes: Vec<GreyImage>,
    depth: Depth,
    frames: usize,
    range: Option<Range>,
}

impl Raster {
    /// A grey image.
    pub fn grey(image: GreyImage, depth: Depth) -> Raster {
        Raster { planes: vec![image], depth, frames: 1, range: None }
    }

    /// A colour image of its red, green and blue planes.
    ///
    /// # Errors
    /// [`ImageError::PlaneSize`] if they differ in size.
    pub fn rgb(planes: [GreyImage; 3], depth: Depth) -> Result<Raster, ImageError> {
        let expected = planes[0].size();
        match planes.iter().map(GreyImage::size).find(|&found| found != expected) {
            Some(found) => Err(ImageError::PlaneSize { expected, found }),
            None => Ok(Raster { planes: planes.into(), depth, frames: 1, range: None }),
        }
    }

    /// One image of one plane or three.
    ///
    /// # Errors
    /// [`ImageError::Planes`] for any other number; as [`Raster::rgb`].
    pub fn of_planes(planes: Vec<GreyImage>, depth: Depth) -> Result<Raster, ImageError> {
        match <[GreyImage; 1]>::try_from(planes) {
            Ok([image]) => Ok(Raster::grey(image, depth)),
            Err(planes) => {
                let found = planes.len();
                let planes = planes.try_into().map_err(|_| ImageError::Planes { found })?;
                Raster::rgb(planes, depth)
            }
        }
    }

    /// From samples as a file orders them, `channels` a pixel; three equal planes are one.
    pub(super) fn from_samples(
        Size { height, width }: Size,
        channels: usize,
        depth: Depth,
        sample: impl Fn(usize) -> f32,
    ) -> Result<Raster, ImageError> {
        let steps = depth.steps().unwrap_or(1.0);
        let plane = |channel: usize| {
            let levels = (0..height * width).map(|i| sample(i * channels + channel) / steps);
            GreyImage::new(height, width, levels.collect())
        };
        Raster::of_equal((0..channels).map(plane).collect::<Result<Vec<_>, _>>()?, depth)
    }

    /// Of planes that a file holds: equal ones are one.
    pub(super) fn of_equal(mut planes: Vec<GreyImage>, depth: Depth) -> Result<Raster, ImageError> {
        if planes.iter().all(|p| *p == planes[0]) {
            planes.truncate(1);
        }
        Raster::of_planes(planes, depth)
    }

    /// The same, as so many pictures one below the other.
    ///
    /// # Errors
    /// [`ImageError::Frames`] if its rows are no multiple of their number.
    pub fn in_frames(self, frames: usize) -> Result<Raster, ImageError> {
        let height = self.height();
        if frames > 0 && height.is_multiple_of(frames) {
            Ok(Raster { frames, ..self })
        } else {
            Err(ImageError::Frames { frames, height })
        }
    }

    /// How many pictures of one size lie one below the other.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The planes of one of them.
    ///
    /// # Errors
    /// [`ImageError::Crop`] for a frame that is none.
    pub fn frame(&self, number: usize) -> Result<Vec<GreyImage>, ImageError> {
        let height = self.height() / self.frames;
        let rect =
            Rect { top: number.saturating_mul(height), left: 0, height, width: self.width() };
        self.planes.iter().map(|plane| plane.crop(rect)).collect()
    }

    /// Rows and columns.
    pub fn size(&self) -> Size {
        self.planes[0].size()
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.planes[0].height()
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.planes[0].width()
    }

    /// How finely the file stores its levels.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// The same levels for a file of another depth.
    pub fn at_depth(self, depth: Depth) -> Raster {
        Raster { depth, ..self }
    }

    /// Its planes: one, or red, green and blue.
    pub fn planes(&self) -> &[GreyImage] {
        &self.planes
    }

    /// Its planes without the image.
    pub fn into_planes(self) -> Vec<GreyImage> {
        self.planes
    }

    /// Whether it is in colour.
    pub fn is_colour(&self) -> bool {
        self.planes.len() > 1
    }

    /// The only plane.
    ///
    /// # Errors
    /// [`ImageError::Colour`] if there are three.
    pub fn into_grey(mut self) -> Result<GreyImage, ImageError> {
        match self.planes.pop() {
            Some(plane) if self.planes.is_empty() => Ok(plane),
            _ => Err(ImageError::Colour),
        }
    }

    /// The same depth and frames with other planes.
    ///
    /// # Errors
    /// As [`Raster::of_planes`] and [`Raster::in_frames`].
    pub fn with_planes(&self, planes: Vec<GreyImage>) -> Result<Raster, ImageError> {
        let image = Raster::of_planes(planes, self.depth)?.in_frames(self.frames)?;
        Ok(image.with_range(self.range))
    }

    /// Which of the file's values 0 and 255 stand for, where that is no matter of the depth alone.
    pub fn range(&self) -> Option<Range> {
        self.range
    }

    /// The same levels, which stand for other values of a file.
    pub fn with_range(self, range: Option<Range>) -> Raster {
        Raster { range, ..self }
    }

    /// The same values of a file, of which those of `range` become black and white.
    ///
    /// # Errors
    /// [`ImageError::NotFinite`] for values too far outside.
    pub fn scaled(self, range: Range) -> Result<Raster, ImageError> {
        let Raster { depth, range: before, .. } = self;
        let value = |level| depth.value(level, before);
        let plane = |p: &GreyImage| {
            let levels = p.pixels.iter().map(|&level| range.level(value(level))).collect();
            GreyImage::new(p.height, p.width, levels)
        };
        let planes = self.planes.iter().map(plane).collect::<Result<_, _>>()?;
        Ok(Raster { planes, range: Some(range), ..self })
    }

    /// What a file of a format holds of the levels, before it rounds them.
    pub(super) fn stored(&self, format: ImageFormat) -> Cow<'_, Raster> {
        let Some(range) = self.range else { return Cow::Borrowed(self) };
        let plane = |p: &GreyImage| {
            let levels = p.pixels.iter().map(|&v| self.depth.stored(range, format, v));
            GreyImage { pixels: levels.collect(), ..*p }
        };
        Cow::Owned(Raster { planes: self.planes.iter().map(plane).collect(), range: None, ..*self })
    }

    /// The image as a file of its depth holds it.
    pub fn rounded(&self) -> Raster {
        let round = |p: &GreyImage| GreyImage {
            pixels: p.pixels.iter().map(|&v| self.depth.round(v)).collect(),
            ..*p
        };
        Raster { planes: self.planes.iter().map(round).collect(), ..*self }
    }

    /// Samples in a file's order, channel by channel of each pixel, of at most `limit`.
    pub(super) fn samples(&self, steps: f32) -> impl Iterator<Item = f32> + '_ {
        let pixels = self.height() * self.width();
        let planes = &self.planes;
        (0..pixels).flat_map(move |i| planes.iter().map(move |p| (p.pixels[i] * steps).round()))
    }
}

impl From<GreyImage> for Raster {
    /// A computed image: its file has floats where the format can hold them, and 8 bits else.
    fn from(image: GreyImage) -> Raster {
        Raster::grey(image, Depth::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(level: f32) -> GreyImage {
        GreyImage::new(2, 3, vec![level; 6]).unwrap()
    }

    #[test]
    fn planes_agree_or_are_refused() {
        let other = GreyImage::new(3, 2, vec![0.0; 6]).unwrap();
        let planes = [plane(1.0), plane(2.0), other];
        let error = Raster::rgb(planes, Depth::Eight).unwrap_err();
        assert!(matches!(
            error,
            ImageError::PlaneSize {
                expected: Size { height: 2, width: 3 },
                found: Size { height: 3, width: 2 }
            }
        ));
        let two = vec![plane(1.0), plane(2.0)];
        let error = Raster::of_planes(two, Depth::Eight).unwrap_err();
        assert!(matches!(error, ImageError::Planes { found: 2 }));
        let error = Raster::of_planes(vec![], Depth::Eight).unwrap_err();
        assert!(matches!(error, ImageError::Planes { found: 0 }));
    }

    #[test]
    fn equal_planes_are_a_grey_image() {
        let grey =
            Raster::from_samples(Size::new(1, 2), 3, Depth::Sixteen, |i| [257.0, 514.0][i / 3]);
        let grey = grey.unwrap();
        assert!(!grey.is_colour());
        assert_eq!(grey.into_grey().unwrap().pixels(), [1.0, 2.0]);
        let colour = Raster::from_samples(Size::new(1, 2), 3, Depth::Eight, |i| i as f32).unwrap();
        assert!(matches!(colour.into_grey(), Err(ImageError::Colour)));
    }

    #[test]
    fn rounding_is_that_of_the_depth() {
        let level = 100.3;
        assert_eq!(Depth::Eight.round(level), 100.0);
        assert_eq!(Depth::Sixteen.round(level), 25777.0 / 257.0);
        assert_eq!(Depth::Float.round(level), level);
        assert_eq!((Depth::Sixteen.round(300.0), Depth::Eight.round(-3.0)), (255.0, 0.0));
        for v in 0..=u16::MAX {
            let level = f32::from(v) / 257.0;
            assert_eq!((level * 257.0).round(), f32::from(v), "16 bits survive the scale");
        }
    }
}
