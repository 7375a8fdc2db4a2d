//! Arrays as bytes, and the images that they are.

use crate::Failure;
use ppdenoise::api::{Depth, GreyImage, Raster};

/// Rows, columns and channels.
pub(crate) type Shape = (usize, usize, usize);

/// Steps a grey level of 16 bits.
const STEPS: f32 = 257.0;

/// The image of samples in little-endian order, pixel after pixel.
pub(crate) fn read(
    samples: &[u8],
    (height, width, channels): Shape,
    dtype: &str,
) -> Result<Raster, Failure> {
    let (levels, depth): (Vec<f32>, Depth) = match dtype {
        "uint8" => (samples.iter().map(|&v| v.into()).collect(), Depth::Eight),
        "uint16" => {
            let (words, _) = samples.as_chunks();
            let level = |&word| f32::from(u16::from_le_bytes(word)) / STEPS;
            (words.iter().map(level).collect(), Depth::Sixteen)
        }
        "float32" => {
            let (words, _) = samples.as_chunks();
            (words.iter().map(|&word| f32::from_le_bytes(word)).collect(), Depth::Float)
        }
        found => {
            return Err(format!("samples of type {found}; expected uint8, uint16 or float32").into());
        }
    };
    let plane = |channel: usize| {
        let levels = levels.iter().skip(channel).step_by(channels.max(1)).copied();
        GreyImage::new(height, width, levels.collect())
    };
    let planes = (0..channels).map(plane).collect::<Result<Vec<_>, _>>()?;
    Ok(Raster::of_planes(planes, depth)?)
}

/// The samples of an image, of the type that its depth says.
pub(crate) fn write(image: &Raster) -> Vec<u8> {
    let (planes, depth) = (image.planes(), image.depth());
    let mut samples = Vec::new();
    for pixel in 0..image.height() * image.width() {
        for plane in planes {
            let level = depth.round(plane.pixels()[pixel]);
            match depth {
                Depth::Eight => samples.push(level as u8),
                Depth::Sixteen => {
                    samples.extend_from_slice(&((level * STEPS).round() as u16).to_le_bytes());
                }
                Depth::Float => samples.extend_from_slice(&level.to_le_bytes()),
            }
        }
    }
    samples
}
