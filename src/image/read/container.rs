//! PNG, PNM, TIFF, BMP and JPEG by crate `image`: 8 or 16 bits, grey or colour.
//!
//! What a file says of its size and kind is checked before memory is taken for its pixels. Nothing
//! else of a file is kept: no comment, profile, EXIF field or thumbnail.

use super::plausible::plausible_area;
use super::png;
use super::pnm;
use super::tiff;
use crate::jpeg::{self, Process};
use crate::raster::{Depth, Raster};
use crate::{ImageError, ImageFormat};
use ::image::error::UnsupportedErrorKind;
use ::image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageReader, Limits};
use ppdenoise_base::size::Size;
use std::io::Cursor;

/// For metadata and a decoder's own buffers.
const DECODER_SLACK: u64 = 16 << 20;

/// See [`ImageFormat::decode`].
pub(crate) fn decode(format: ImageFormat, bytes: &[u8]) -> Result<Raster, ImageError> {
    let theirs = format.container().ok_or(ImageError::Signature { format })?;
    if ImageFormat::from_signature(bytes) != Some(format) {
        return Err(ImageError::Signature { format });
    }
    // What it says of its size, before a library sees more of it than its first bytes.
    let announced = match format {
        ImageFormat::Png => {
            let header = png::check(&mut Cursor::new(bytes), bytes.len() as u64)?;
            Some((header.height, header.width))
        }
        ImageFormat::Jpeg => {
            check_jpeg_end(bytes)?;
            let frame = jpeg::frame(format, bytes, Process::PHOTOGRAPHS)?;
            Some((frame.height, frame.width))
        }
        ImageFormat::Tiff => {
            tiff::check(&mut Cursor::new(bytes), bytes.len() as u64)?;
            if let Some(image) = tiff::floats(bytes)? {
                return Ok(image);
            }
            None
        }
        ImageFormat::Pnm => {
            pnm::check(bytes)?;
            None
        }
        ImageFormat::Bmp => {
            check_bmp_end(bytes)?;
            None
        }
        _ => None,
    };
    let damaged = |source| ImageError::Container { format, source };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), theirs);
    // The PNG decoder inflates a profile as soon as it is made, within the limits that it has then;
    // those of the others only count later.
    reader.limits(match announced {
        Some((height, width)) => limits(plausible_area(format, bytes, height, width)?),
        None => Limits::no_limits(),
    });
    let mut decoder = reader.into_decoder().map_err(|source| match unsupported(&source) {
        Some(colour) => ImageError::Kind { format, found: kind_name(colour) },
        None => damaged(source),
    })?;
    let (width, height) = decoder.dimensions();
    let area = plausible_area(format, bytes, side(height), side(width))?;
    check_kind(format, decoder.original_color_type())?;
    decoder.set_limits(limits(area)).map_err(damaged)?;
    let upright = decoder.orientation().map_err(damaged)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(upright);
    let size = Size::new(side(image.height()), side(image.width()));
    match &image {
        DynamicImage::ImageLuma8(b) => from_samples(size, 1, b.as_raw()),
        DynamicImage::ImageRgb8(b) => from_samples(size, 3, b.as_raw()),
        DynamicImage::ImageLuma16(b) => from_samples(size, 1, b.as_raw()),
        DynamicImage::ImageRgb16(b) => from_samples(size, 3, b.as_raw()),
        // A transparent level turns grey into grey with alpha while it is decoded.
        other => Err(ImageError::Kind { format, found: kind_name(other.color().into()) }),
    }
}

/// Decoded samples twice, of at most 3 x 2 bytes a pixel, and a decoder's own.
fn limits(area: usize) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(12 * area as u64 + DECODER_SLACK);
    limits
}

fn from_samples<T: Copy + Into<f32>>(
    size: Size,
    channels: usize,
    samples: &[T],
) -> Result<Raster, ImageError> {
    let depth = if size_of::<T>() == 2 { Depth::Sixteen } else { Depth::Eight };
    Raster::from_samples(size, channels, depth, |i| samples[i].into())
}

/// The kind of samples that a decoder does not have.
fn unsupported(e: &::image::ImageError) -> Option<ExtendedColorType> {
    let ::image::ImageError::Unsupported(e) = e else { return None };
    match e.kind() {
        UnsupportedErrorKind::Color(colour) => Some(colour),
        _ => None,
    }
}

fn side(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Names what is neither 8 nor 16 bits of grey or colour: decoders would widen it silently.
fn check_kind(format: ImageFormat, colour: ExtendedColorType) -> Result<(), ImageError> {
    use ExtendedColorType::{L8, L16, Rgb8, Rgb16};
    match colour {
        L8 | L16 | Rgb8 | Rgb16 => Ok(()),
        other => Err(ImageError::Kind { format, found: kind_name(other) }),
    }
}

fn kind_name(colour: ExtendedColorType) -> String {
    use ExtendedColorType as C;
    let name = match colour {
        C::L1 | C::L2 | C::L4 => "grayscale of less than 8 bits",
        C::La1 | C::La2 | C::La4 | C::La8 | C::La16 | C::A8 => "gray with transparency",
        C::Rgba1 | C::Rgba2 | C::Rgba4 | C::Rgba8 | C::Rgba16 | C::Rgba32F => {
            "colour with transparency"
        }
        C::Unknown(bits) => return format!("of {bits} bits a sample"),
        C::Cmyk8 | C::Cmyk16 => "CMYK",
        other => return format!("{other:?}"),
    };
    name.into()
}

/// Refuses bytes behind what the file says is its length, where it says one that can be.
fn check_bmp_end(bytes: &[u8]) -> Result<(), ImageError> {
    let number =
        |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let (Some(said), Some(pixels)) = (number(2), number(10)) else { return Ok(()) };
    let (said, found) = (said as usize, bytes.len());
    if said > pixels as usize && said < found {
        Err(ImageError::Trailing { format: ImageFormat::Bmp, bytes: found - said })
    } else {
        Ok(())
    }
}

/// Its decoder fills what is missing with grey, and sees nothing of what follows.
fn check_jpeg_end(bytes: &[u8]) -> Result<(), ImageError> {
    let format = ImageFormat::Jpeg;
    let last = bytes.iter().rposition(|&b| b != 0).unwrap_or(0);
    match jpeg::behind(bytes) {
        Some(rest) if rest.iter().all(|&b| b == 0) => Ok(()),
        Some([0xff, 0xd8, ..]) => {
            Err(ImageError::Several { format, what: "a JPEG with another behind it".into() })
        }
        Some(rest) => Err(ImageError::Trailing { format, bytes: rest.len() }),
        // What is wrong with its markers is told where they are read.
        None if bytes[..=last].ends_with(&[0xff, 0xd9]) => Ok(()),
        None => Err(ImageError::Truncated { format, bytes: bytes.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GreyImage;
    use crate::write::whole::{Sides, encode, encode_samples};
    use ImageFormat::{Bmp, Jpeg, Png, Pnm, Tiff};

    fn grey() -> GreyImage {
        GreyImage::new(5, 7, (0..35).map(|i| i as f32 * 7.3).collect()).unwrap()
    }

    fn colour(depth: Depth) -> Raster {
        let plane = |shift: f32| {
            GreyImage::new(4, 6, (0..24).map(|i| i as f32 * 9.1 + shift).collect()).unwrap()
        };
        Raster::rgb([plane(0.0), plane(11.0), plane(30.0)], depth).unwrap()
    }

    fn encoded(format: ImageFormat, image: &Raster) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(format, image, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn every_lossless_format_keeps_size_depth_and_colour() {
        for depth in [Depth::Eight, Depth::Sixteen] {
            for format in [Png, Pnm, Tiff, Bmp] {
                for image in [Raster::grey(grey(), depth), colour(depth)] {
                    if (format, depth) == (Bmp, Depth::Sixteen) {
                        let error = encode(format, &image, &mut Vec::new()).unwrap_err();
                        assert!(matches!(error, ImageError::TooFine { .. }));
                        continue;
                    }
                    let bytes = encoded(format, &image);
                    assert_eq!(ImageFormat::from_signature(&bytes), Some(format));
                    assert_eq!(decode(format, &bytes).unwrap(), image.rounded(), "{format}");
                }
            }
        }
    }

    #[test]
    fn jpeg_is_read_and_not_written() {
        let mut bytes = Vec::new();
        let mut encoder = ::image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100);
        encoder.encode(&grey().to_u8(), 7, 5, ExtendedColorType::L8).unwrap();
        let image = decode(Jpeg, &bytes).unwrap().into_grey().unwrap();
        let clean = grey().rounded();
        let furthest = image.pixels().iter().zip(clean.pixels());
        assert!(furthest.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 4.0);
        let error = encode(Jpeg, &grey().into(), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, ImageError::NotWritten { .. }));
        let cut = decode(Jpeg, &bytes[..bytes.len() - 20]).unwrap_err();
        assert!(matches!(cut, ImageError::Truncated { .. }), "{cut}");
        assert!(decode(Jpeg, &[&bytes[..], &[0; 9]].concat()).is_ok());
        let two = decode(Jpeg, &[&bytes[..], &bytes].concat()).unwrap_err();
        assert!(matches!(two, ImageError::Several { .. }), "{two}");
        for end in [&[1, 2, 3][..], &[1, 2, 0xff, 0xd9]] {
            let more = decode(Jpeg, &[&bytes[..], end].concat()).unwrap_err();
            assert!(
                matches!(more, ImageError::Trailing { bytes, .. } if bytes == end.len()),
                "{more}"
            );
        }
    }

    #[test]
    fn pages_and_kinds_without_a_place_are_refused() {
        let mut pages = Cursor::new(Vec::new());
        let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut pages).unwrap();
        for _ in 0..2 {
            let page = [1u8; 6];
            encoder.write_image::<::tiff::encoder::colortype::Gray8>(3, 2, &page).unwrap();
        }
        assert!(matches!(decode(Tiff, pages.get_ref()), Err(ImageError::Pages)));
        for (format, colour, samples, words) in [
            (Png, ExtendedColorType::La8, 2, "gray with transparency"),
            (Png, ExtendedColorType::Rgba8, 4, "colour with transparency"),
            (Tiff, ExtendedColorType::Rgba8, 4, "colour with transparency"),
        ] {
            let mut bytes = Vec::new();
            let samples = vec![9; 24 * samples];
            encode_samples(format, &samples, Sides { width: 6, height: 4 }, colour, &mut bytes)
                .unwrap();
            let error = decode(format, &bytes).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    /// Nothing is widened or narrowed silently.
    #[test]
    fn integers_of_32_bits_are_refused_by_name() {
        use ::tiff::encoder::colortype::{Gray32, RGB32};
        let mut grey = Cursor::new(Vec::new());
        let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut grey).unwrap();
        encoder.write_image::<Gray32>(3, 2, &[1 << 20; 6]).unwrap();
        let mut colour = Cursor::new(Vec::new());
        let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut colour).unwrap();
        encoder.write_image::<RGB32>(3, 2, &[1 << 20; 18]).unwrap();
        for (file, words) in
            [(grey, "is of 32 bits a sample"), (colour, "is colour of 32 bits a sample")]
        {
            let error = decode(Tiff, file.get_ref()).unwrap_err();
            assert!(matches!(error, ImageError::Kind { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn floats_are_levels_as_they_are() {
        use ::tiff::encoder::colortype::{Gray32Float, RGB64Float};
        let mut file = Cursor::new(Vec::new());
        let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut file).unwrap();
        let levels = [0.5, -3.0, 255.0, 300.25, 1.0, 2.0];
        encoder.write_image::<Gray32Float>(3, 2, &levels).unwrap();
        let image = decode(Tiff, file.get_ref()).unwrap();
        assert_eq!((image.depth(), image.height(), image.width()), (Depth::Float, 2, 3));
        assert_eq!(image.planes()[0].pixels(), levels);
        for len in 0..file.get_ref().len() {
            if let Ok(found) = decode(Tiff, &file.get_ref()[..len]) {
                assert_eq!(found, image, "{len} bytes");
            }
        }
        let mut file = Cursor::new(Vec::new());
        let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut file).unwrap();
        encoder.write_image::<RGB64Float>(1, 2, &[1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN]).unwrap();
        let error = decode(Tiff, file.get_ref()).unwrap_err();
        assert!(matches!(error, ImageError::NotFinite { .. }), "{error}");
    }

    #[test]
    fn every_truncation_is_found() {
        for format in [Png, Pnm, Tiff, Bmp] {
            for image in [Raster::grey(grey(), Depth::Eight), colour(Depth::Eight)] {
                let bytes = encoded(format, &image);
                for len in 0..bytes.len() {
                    if let Ok(found) = decode(format, &bytes[..len]) {
                        // What is cut holds no pixels: the padding of a BMP's last row.
                        assert_eq!(found, image.rounded(), "{format}, {len} bytes");
                    }
                }
            }
        }
    }

    #[test]
    fn announced_sides_cost_no_memory() {
        let lying: [(ImageFormat, Vec<u8>); 2] = [
            (Pnm, b"P5 16384 16384 255\n123".to_vec()),
            (Pnm, b"P5 4294967295 4294967295 65535\n".to_vec()),
        ];
        for (format, bytes) in lying {
            assert!(decode(format, &bytes).is_err());
        }
    }
}
