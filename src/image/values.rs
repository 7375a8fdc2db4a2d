//! Which values a picture has: what its file can hold, what of it is used, what it stands for.

use super::{Depth, Raster};

/// The values of a picture, in the file's own numbers; of DICOM, in those that were measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values {
    /// The least that is a measurement.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// Bits of a stored value; nothing for floats.
    pub bits: Option<u16>,
    /// Bits that hold what lies from the least to the greatest stored value; nothing for floats.
    pub bits_used: Option<u16>,
    /// So much of the file's own values, or of what was measured, is one of the 255 grey levels from black to white.
    pub a_level: f64,
    /// What only DICOM says.
    pub scan: Option<Scanned>,
}

/// What a DICOM file says of its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scanned {
    /// Slope and intercept from stored values to what was measured, of the first frame.
    pub rescale: Option<(f64, f64)>,
    /// Center and width of the first frame's window.
    pub window: Option<(f64, f64)>,
    /// The part of the samples that stand for no measurement.
    pub padding: f64,
}

impl Values {
    /// Those of a picture of another format than DICOM, as its file has it.
    pub fn of(image: &Raster) -> Values {
        let levels = image.planes().iter().flat_map(|plane| plane.pixels());
        let (mut least, mut greatest) = (f32::INFINITY, f32::NEG_INFINITY);
        for &level in levels {
            (least, greatest) = (least.min(level), greatest.max(level));
        }
        let own = |level| image.depth().value(level, image.range());
        let bits = match (image.depth(), image.range()) {
            (Depth::Eight, _) => Some(8),
            (Depth::Sixteen, _) | (Depth::Float, Some(_)) => Some(16),
            (Depth::Float, None) => None,
        };
        let [least, greatest] = [least, greatest].map(own).map(|v| match bits {
            Some(_) => v.round(),
            None => v,
        });
        let bits_used = bits.map(|_| used((greatest - least) as u64));
        let a_level = (own(255.0) - own(0.0)) / 255.0;
        Values { least, greatest, bits, bits_used, a_level, scan: None }
    }
}

/// Bits that hold numbers from 0 to this.
pub(super) fn used(span: u64) -> u16 {
    (u64::BITS - span.leading_zeros()) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GreyImage;

    #[test]
    fn values_are_those_of_the_file() {
        let of = |levels: &[f32], depth| {
            let image = GreyImage::new(1, levels.len(), levels.to_vec()).unwrap();
            let values = Values::of(&Raster::grey(image, depth));
            let Values { least, greatest, bits, bits_used, a_level, scan } = values;
            assert_eq!((scan, a_level), (None, if depth == Depth::Sixteen { 257.0 } else { 1.0 }));
            (least, greatest, bits, bits_used)
        };
        assert_eq!(of(&[7.0, 3.0], Depth::Eight), (3.0, 7.0, Some(8), Some(3)));
        assert_eq!(of(&[9.0, 9.0], Depth::Eight), (9.0, 9.0, Some(8), Some(0)));
        let twelve = [0.0, 4095.0 / 257.0];
        assert_eq!(of(&twelve, Depth::Sixteen), (0.0, 4095.0, Some(16), Some(12)));
        assert_eq!(of(&[-0.5, 300.0], Depth::Float), (-0.5, 300.0, None, None));
    }
}
