//! 8-bit grayscale PNG.

use super::{GreyImage, ImageError, ImageFormat, checked_area};
use ::image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use ::image::{ColorType, ExtendedColorType, ImageDecoder, ImageEncoder, Limits};
use std::io::{Cursor, Write};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A deflated byte stands for at most this many.
const MAX_INFLATION: usize = 1032;
/// For metadata and the decoder's own buffers.
const DECODER_SLACK: u64 = 16 << 20;

/// See [`ImageFormat::decode`].
pub(super) fn decode(bytes: &[u8]) -> Result<GreyImage, ImageError> {
    let header = Header::parse(bytes)?;
    let area = checked_area(header.height, header.width)?;
    check_extent(bytes)?;
    header.check_kind()?;
    if bytes.len().saturating_mul(MAX_INFLATION) < area {
        return Err(ImageError::Truncated { format: ImageFormat::Png, bytes: bytes.len() });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(2 * area as u64 + DECODER_SLACK);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(ImageError::Png)?;
    if decoder.color_type() != ColorType::L8 || decoder.total_bytes() != area as u64 {
        // A transparent level turns grayscale into grayscale with alpha.
        return Err(ImageError::PngKind { depth: header.depth, colour: "gray with transparency" });
    }
    let mut levels = vec![0; area];
    decoder.read_image(&mut levels).map_err(ImageError::Png)?;
    let pixels = levels.into_iter().map(f32::from).collect();
    GreyImage::new(header.height, header.width, pixels)
}

/// Writes the image rounded and clipped to 8 bits.
pub(super) fn encode_grey(image: &GreyImage, writer: &mut impl Write) -> Result<(), ImageError> {
    encode(&image.to_u8(), image.height(), image.width(), ExtendedColorType::L8, writer)
}

/// Writes 8-bit red, green and blue.
pub(super) fn encode_rgb(
    rgb: &[u8],
    height: usize,
    width: usize,
    writer: &mut impl Write,
) -> Result<(), ImageError> {
    encode(rgb, height, width, ExtendedColorType::Rgb8, writer)
}

fn encode(
    samples: &[u8],
    height: usize,
    width: usize,
    colour: ExtendedColorType,
    writer: &mut impl Write,
) -> Result<(), ImageError> {
    let side = |n: usize| u32::try_from(n).map_err(|_| ImageError::TooLarge { height, width });
    PngEncoder::new_with_quality(writer, CompressionType::Default, FilterType::Adaptive)
        .write_image(samples, side(width)?, side(height)?, colour)
        .map_err(ImageError::Png)
}

/// What the first chunk says.
struct Header {
    width: usize,
    height: usize,
    depth: u8,
    colour: u8,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Header, ImageError> {
        let format = ImageFormat::Png;
        let rest = bytes.strip_prefix(SIGNATURE).ok_or(ImageError::Signature { format })?;
        let (length_and_kind, rest) =
            rest.split_at_checked(8).ok_or(ImageError::Truncated { format, bytes: bytes.len() })?;
        if length_and_kind != b"\0\0\0\x0dIHDR" {
            return Err(ImageError::Header { format, reason: "the first chunk is not IHDR" });
        }
        let &[w0, w1, w2, w3, h0, h1, h2, h3, depth, colour, ..] = rest else {
            return Err(ImageError::Truncated { format, bytes: bytes.len() });
        };
        let side = |b| usize::try_from(u32::from_be_bytes(b)).unwrap_or(usize::MAX);
        Ok(Header { width: side([w0, w1, w2, w3]), height: side([h0, h1, h2, h3]), depth, colour })
    }

    /// Names what is not 8-bit grayscale: the decoder would widen or narrow it silently.
    fn check_kind(&self) -> Result<(), ImageError> {
        let colour = match self.colour {
            0 if self.depth == 8 => return Ok(()),
            0 => "grayscale",
            2 => "RGB",
            3 => "palette",
            4 => "gray with transparency",
            6 => "RGB with transparency",
            _ => "of an unknown colour type",
        };
        Err(ImageError::PngKind { depth: self.depth, colour })
    }
}

/// Walks the chunks: the file ends exactly with IEND.
fn check_extent(bytes: &[u8]) -> Result<(), ImageError> {
    let format = ImageFormat::Png;
    let mut rest = &bytes[SIGNATURE.len().min(bytes.len())..];
    loop {
        let truncated = ImageError::Truncated { format, bytes: bytes.len() };
        let &[l0, l1, l2, l3, k0, k1, k2, k3, ..] = rest else {
            return Err(truncated);
        };
        // Length, kind and check value are 4 bytes each.
        let length = u64::from(u32::from_be_bytes([l0, l1, l2, l3])) + 12;
        rest = match usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n)) {
            Some((_, rest)) => rest,
            None => return Err(truncated),
        };
        if [k0, k1, k2, k3] == *b"IEND" {
            return match rest.len() {
                0 => Ok(()),
                bytes => Err(ImageError::Trailing { format, bytes }),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(samples: usize, colour: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&vec![9; 4 * 6 * samples], 4, 6, colour, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let refused = [
            (3, ExtendedColorType::Rgb8, "8-bit RGB;"),
            (4, ExtendedColorType::Rgba8, "8-bit RGB with transparency;"),
            (2, ExtendedColorType::La8, "8-bit gray with transparency;"),
            (2, ExtendedColorType::L16, "16-bit grayscale;"),
            (6, ExtendedColorType::Rgb16, "16-bit RGB;"),
        ];
        for (samples, colour, words) in refused {
            let error = decode(&file(samples, colour)).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.help().unwrap().contains("8-bit grayscale"));
        }
        let mut palette = file(1, ExtendedColorType::L8);
        palette[25] = 3;
        assert!(decode(&palette).unwrap_err().to_string().contains("8-bit palette"));
        palette[25] = 0;
        palette[24] = 1;
        assert!(decode(&palette).unwrap_err().to_string().contains("1-bit grayscale"));
    }

    #[test]
    fn sides_are_checked_before_anything_is_allocated() {
        let with_sides = |width: u32, height: u32| {
            let mut bytes = file(1, ExtendedColorType::L8);
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            decode(&bytes).unwrap_err()
        };
        assert!(matches!(with_sides(0, 4), ImageError::Empty { .. }));
        assert!(matches!(with_sides(u32::MAX, u32::MAX), ImageError::TooLarge { .. }));
        assert!(matches!(with_sides(1 << 14, 1 << 14), ImageError::Truncated { .. }));
        // Plausible sides with another check value: the decoder sees it.
        assert!(matches!(with_sides(7, 4), ImageError::Png(_)));
    }

    #[test]
    fn damage_and_other_files_are_told_apart() {
        assert!(matches!(decode(b"GIF89a"), Err(ImageError::Signature { .. })));
        let mut bytes = file(1, ExtendedColorType::L8);
        assert!(decode(&bytes).is_ok());
        let at = bytes.windows(4).position(|w| w == b"IDAT").unwrap() + 6;
        bytes[at] ^= 0x55;
        assert!(matches!(decode(&bytes), Err(ImageError::Png(_))));
    }

    /// The header chunk, check value included, of an image with a row more.
    #[test]
    fn missing_rows_are_refused() {
        let rows = |n: usize| {
            let mut bytes = Vec::new();
            encode(&vec![9; n * 6], n, 6, ExtendedColorType::L8, &mut bytes).unwrap();
            bytes
        };
        let mut bytes = rows(4);
        bytes[8..33].copy_from_slice(&rows(5)[8..33]);
        assert!(matches!(decode(&bytes), Err(ImageError::Png(_))));
    }

    #[test]
    fn a_stored_photograph_decodes() {
        let bytes = include_bytes!("../../fixtures/images/nat_camera.png");
        let image = decode(bytes).unwrap();
        assert_eq!((image.height(), image.width()), (512, 512));
        let sum: f64 = image.pixels().iter().copied().map(f64::from).sum();
        assert_eq!(sum, CAMERA_SUM);
    }

    /// The sum of its pixels as NumPy reads them.
    const CAMERA_SUM: f64 = 33_832_495.0;
}
