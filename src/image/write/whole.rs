//! Whole images by crate `image`: PNG, PNM, TIFF and BMP.

use crate::raster::{Depth, Raster};
use crate::{ImageError, ImageFormat};
use ::image::codecs::{
    bmp::BmpEncoder,
    png::{CompressionType, FilterType, PngEncoder},
    tiff::TiffEncoder,
};
use ::image::{ExtendedColorType, ImageEncoder};
use ppdenoise_base::size::Size;
use std::io::{Cursor, Write};

/// The sides of an image as encoders take them.
#[derive(Clone, Copy)]
pub(crate) struct Sides {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Sides {
    /// # Errors
    /// [`ImageError::TooLarge`] beyond 32 bits.
    fn of(size: Size) -> Result<Self, ImageError> {
        let Size { height, width } = size;
        let side = |n: usize| u32::try_from(n).map_err(|_| ImageError::TooLarge { height, width });
        Ok(Sides { width: side(width)?, height: side(height)? })
    }
}

/// Writes the image with its own depth, rounded and clipped; floats as they are in TIFF, and as 8 bits else.
pub(crate) fn encode(
    format: ImageFormat,
    image: &Raster,
    writer: &mut impl Write,
) -> Result<(), ImageError> {
    let sides = Sides::of(image.size())?;
    if (format, image.depth()) == (ImageFormat::Tiff, Depth::Float) {
        return encode_floats(image, sides, writer);
    }
    let sixteen = image.depth() == Depth::Sixteen;
    let colour = match (image.is_colour(), sixteen) {
        (false, false) => ExtendedColorType::L8,
        (false, true) => ExtendedColorType::L16,
        (true, false) => ExtendedColorType::Rgb8,
        (true, true) => ExtendedColorType::Rgb16,
    };
    // Casts saturate. The encoders take 16-bit samples in the machine's order.
    let samples: Vec<u8> = if sixteen {
        image.samples(257.0).flat_map(|v| (v as u16).to_ne_bytes()).collect()
    } else {
        image.samples(1.0).map(|v| v as u8).collect()
    };
    encode_samples(format, &samples, sides, colour, writer)
}

/// TIFF of float32.
fn encode_floats(
    image: &Raster,
    Sides { width, height }: Sides,
    writer: &mut impl Write,
) -> Result<(), ImageError> {
    use ::tiff::encoder::{TiffEncoder, colortype};
    let pixels = 0..image.height() * image.width();
    let planes = image.planes();
    let samples: Vec<f32> =
        pixels.flat_map(|i| planes.iter().map(move |plane| plane.pixels()[i])).collect();
    // This encoder seeks.
    let mut bytes = Cursor::new(Vec::new());
    let written = TiffEncoder::new(&mut bytes).and_then(|mut encoder| match planes.len() {
        1 => encoder.write_image::<colortype::Gray32Float>(width, height, &samples),
        _ => encoder.write_image::<colortype::RGB32Float>(width, height, &samples),
    });
    written.map_err(|e| ImageError::Io(std::io::Error::other(e)))?;
    Ok(writer.write_all(bytes.get_ref())?)
}

/// Writes samples that are ready.
pub(crate) fn encode_samples(
    format: ImageFormat,
    samples: &[u8],
    Sides { width, height }: Sides,
    colour: ExtendedColorType,
    writer: &mut impl Write,
) -> Result<(), ImageError> {
    let two_bytes = matches!(colour, ExtendedColorType::L16 | ExtendedColorType::Rgb16);
    let three = matches!(colour, ExtendedColorType::Rgb8 | ExtendedColorType::Rgb16);
    let written = match format {
        ImageFormat::Png => {
            PngEncoder::new_with_quality(writer, CompressionType::Default, FilterType::Adaptive)
                .write_image(samples, width, height, colour)
        }
        ImageFormat::Pnm => {
            return write_pnm(samples, Sides { width, height }, two_bytes, three, writer)
                .map_err(ImageError::Io);
        }
        ImageFormat::Bmp if two_bytes => return Err(ImageError::TooFine { format }),
        ImageFormat::Bmp => BmpEncoder::new(writer).write_image(samples, width, height, colour),
        ImageFormat::Tiff => {
            // This encoder seeks.
            let mut bytes = Cursor::new(Vec::new());
            TiffEncoder::new(&mut bytes)
                .write_image(samples, width, height, colour)
                .and_then(|()| Ok(writer.write_all(bytes.get_ref())?))
        }
        ImageFormat::Jpeg | ImageFormat::Dicom | ImageFormat::Npy => {
            return Err(ImageError::NotWritten { format });
        }
    };
    written.map_err(|source| ImageError::Container { format, source })
}

/// Binary PGM or PPM; the library's encoder has no 16-bit form. 16-bit samples come in the machine's
/// order and are written in big-endian.
pub(crate) fn write_pnm(
    samples: &[u8],
    Sides { width, height }: Sides,
    two_bytes: bool,
    colour: bool,
    writer: &mut impl Write,
) -> std::io::Result<()> {
    let (magic, most) = (if colour { "P6" } else { "P5" }, if two_bytes { 65535 } else { 255 });
    writer.write_all(format!("{magic}\n{width} {height}\n{most}\n").as_bytes())?;
    if !two_bytes {
        return writer.write_all(samples);
    }
    let swapped = samples
        .chunks_exact(2)
        .flat_map(|pair| u16::from_ne_bytes([pair[0], pair[1]]).to_be_bytes());
    writer.write_all(&swapped.collect::<Vec<u8>>())
}

/// Writes 8-bit red, green and blue, of charts, as PNG.
///
/// # Errors
/// [`ImageError::TooLarge`] for sides beyond 32 bits, and what the writer reports.
pub fn encode_rgb(
    rgb: &[u8],
    height: usize,
    width: usize,
    writer: &mut impl Write,
) -> Result<(), ImageError> {
    let sides = Sides::of(Size { height, width })?;
    encode_samples(ImageFormat::Png, rgb, sides, ExtendedColorType::Rgb8, writer)
}
