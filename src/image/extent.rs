//! Whether a picture's values are grey levels that noise can be told of: the one judge of all roles.
//!
//! Noise is told in grey levels of 0 to 255. A file whose values fill a sliver of what its bits can hold, or whose
//! floats are no such levels, is all noise in these units, and would be smoothed away.

use super::{Depth, ImageError, Range, Raster, Remedy};

/// The smallest part of what its bits can hold that a picture's values span: 16 of 255 levels.
const LEAST_PART: f64 = 1.0 / 16.0;

/// Floats between these are black and white at 0 and 1, with noise that takes them beyond, and no levels.
const UNIT: [f64; 2] = [-1.0, 2.0];

/// Floats beyond this are no levels, and beyond 255 and so many times the noise: 12 bits and more that were turned
/// into floats.
const MOST_LEVEL: f64 = 4.0 * 255.0;
const TIMES_NOISE: f64 = 8.0;

/// The least and the greatest value of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// In the file's own values; of DICOM, in those that were measured.
    least: f64,
    greatest: f64,
    kind: Kind,
}

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Floats,
    Integers {
        bits: u16,
        /// The part of what the bits can hold from the least to the greatest.
        part: f64,
        remedy: Remedy,
    },
}

impl Extent {
    /// Of an image as its file has it, before a range is chosen; nothing for 8 bits, which are never judged.
    pub fn of(image: &Raster) -> Option<Extent> {
        let mut found = Found::default();
        image.planes().iter().for_each(|plane| found.add(plane.pixels()));
        found.extent(image.depth(), image.range())
    }

    /// Of integers from DICOM.
    pub(super) fn of_integers(
        least: f64,
        greatest: f64,
        bits: u16,
        part: f64,
        remedy: Remedy,
    ) -> Extent {
        Extent { least, greatest, kind: Kind::Integers { bits, part, remedy } }
    }

    /// Whether all values are one.
    pub(super) fn is_constant(&self) -> bool {
        self.least >= self.greatest
    }

    /// Whether further values cannot make it worse.
    pub(super) fn is_enough(&self) -> bool {
        matches!(self.kind, Kind::Integers { .. })
            && !self.is_constant()
            && self.judge(None).is_ok()
    }

    /// Refuses values that noise of `noise` grey levels cannot be told of; `None` if it is to be estimated, and 0 for
    /// noise that follows from the levels (Poisson), which may reach far. A picture of one value is accepted: there is nothing to be lost.
    ///
    /// # Errors
    /// [`ImageError::Sliver`], [`ImageError::NoLevels`], [`ImageError::Faint`].
    pub fn judge(&self, noise: Option<f64>) -> Result<(), ImageError> {
        let Extent { least, greatest, kind } = *self;
        if self.is_constant() {
            return Ok(());
        }
        match kind {
            Kind::Integers { bits, part, remedy } if bits > 8 && part < LEAST_PART => {
                Err(ImageError::Sliver { least, greatest, bits, percent: 100.0 * part, remedy })
            }
            Kind::Integers { .. } => Ok(()),
            Kind::Floats => {
                let needed = noise.unwrap_or(255.0 * LEAST_PART);
                let most = match noise {
                    Some(0.0) => f64::INFINITY,
                    noise => MOST_LEVEL.max(255.0 + TIMES_NOISE * noise.unwrap_or(0.0)),
                };
                let [low, high] = UNIT;
                let unit = least >= low && greatest <= high;
                let faint = greatest - least < needed;
                match noise {
                    _ if unit || greatest > most || least < -most => {
                        Err(ImageError::NoLevels { least, greatest })
                    }
                    Some(noise) if faint => Err(ImageError::Faint { least, greatest, noise }),
                    None if faint => Err(ImageError::NoLevels { least, greatest }),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// The levels so far.
#[derive(Default)]
pub(super) struct Found(Option<(f32, f32)>);

impl Found {
    pub(super) fn add(&mut self, levels: &[f32]) {
        for &level in levels {
            let (least, greatest) = self.0.unwrap_or((level, level));
            self.0 = Some((least.min(level), greatest.max(level)));
        }
    }

    /// What they are in a file of this depth, whose values the range says if they are no levels.
    pub(super) fn extent(&self, depth: Depth, range: Option<Range>) -> Option<Extent> {
        let (least, greatest) = self.0?;
        let own = |level| depth.value(level, range);
        let kind = match (depth, range) {
            (Depth::Eight, _) => return None,
            (Depth::Float, None) => Kind::Floats,
            (Depth::Sixteen, _) | (Depth::Float, Some(_)) => {
                let part = f64::from(greatest - least) / 255.0;
                Kind::Integers { bits: 16, part, remedy: Remedy::Range }
            }
        };
        let [least, greatest] = [least, greatest].map(own).map(|v| match kind {
            Kind::Floats => v,
            Kind::Integers { .. } => v.round(),
        });
        Some(Extent { least, greatest, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GreyImage;

    fn judged(levels: &[f32], depth: Depth, noise: Option<f64>) -> Result<(), ImageError> {
        let image = GreyImage::new(1, levels.len(), levels.to_vec()).unwrap();
        Extent::of(&Raster::grey(image, depth)).map_or(Ok(()), |extent| extent.judge(noise))
    }

    #[test]
    fn integers_need_16_of_255_levels() {
        let of = |values: [f32; 2], depth| judged(&values.map(|v| v / 257.0), depth, Some(25.0));
        assert!(of([0.0, 4096.0], Depth::Sixteen).is_ok());
        assert!(of([60000.0, 60000.0], Depth::Sixteen).is_ok(), "one value");
        let error = of([100.0, 4195.0], Depth::Sixteen).unwrap_err();
        assert!(
            matches!(error, ImageError::Sliver { least: 100.0, greatest: 4195.0, bits: 16, .. }),
            "{error}"
        );
        assert!(judged(&[3.0, 4.0], Depth::Eight, Some(25.0)).is_ok());
    }

    #[test]
    fn floats_are_levels_or_refused() {
        let floats = |levels: &[f32], noise| judged(levels, Depth::Float, noise);
        assert!(floats(&[0.0, 0.0], Some(25.0)).is_ok());
        assert!(floats(&[0.0, 255.0], Some(25.0)).is_ok());
        assert!(floats(&[0.0, 30.0], None).is_ok());
        assert!(floats(&[-500.0, 900.0], Some(40.0)).is_ok());
        assert!(floats(&[0.0, 2000.0], Some(0.0)).is_ok());
        for (levels, noise) in [
            ([0.0, 1.0], Some(0.1)),
            ([-1.0, 1.0], None),
            ([-0.4, 1.5], Some(0.1)),
            ([-0.4, 1.5], Some(25.0)),
            ([-0.4, 1.5], None),
            ([100.0, 110.0], None),
            ([9830.0, 57741.0], Some(25.0)),
            ([-1024.0, 300.0], None),
        ] {
            let error = floats(&levels, noise).unwrap_err();
            assert!(matches!(error, ImageError::NoLevels { .. }), "{error}");
        }
        let error = floats(&[100.0, 120.0], Some(25.0)).unwrap_err();
        assert!(matches!(error, ImageError::Faint { noise: 25.0, .. }), "{error}");
    }
}
