//! The chunks of a PNG file.

use super::plausible::plausible_scan;
use crate::{ImageError, ImageFormat};

use std::io::{ErrorKind, Read, Seek, SeekFrom};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The colour type of images with a palette.
const PALETTE: u8 = 3;
/// The signature and the first chunk's length, kind and contents up to the colour type.
const HEADER_LEN: u64 = 8 + 8 + 10;

/// Checks a file of `length` bytes from its first chunk to its last, before its pixels are decoded, and
/// returns what it says of itself. Reads the beginnings of the chunks only.
pub(crate) fn check<F: Read + Seek>(file: &mut F, length: u64) -> Result<Header, ImageError> {
    let header = Header::read(file, length)?;
    plausible_scan(ImageFormat::Png, length, header.height, header.width)?;
    check_extent(file, length)?;
    if header.colour == PALETTE {
        return Err(ImageError::Kind { format: ImageFormat::Png, found: "palette".into() });
    }
    Ok(header)
}

/// What the first chunk says.
pub(crate) struct Header {
    pub(crate) width: usize,
    pub(crate) height: usize,
    colour: u8,
}

impl Header {
    fn read(file: &mut impl Read, length: u64) -> Result<Header, ImageError> {
        let format = ImageFormat::Png;
        let mut bytes = Vec::new();
        file.take(HEADER_LEN).read_to_end(&mut bytes)?;
        let truncated = || ImageError::Truncated { format, bytes: length as usize };
        let rest = bytes.strip_prefix(SIGNATURE).ok_or(ImageError::Signature { format })?;
        let (length_and_kind, rest) = rest.split_at_checked(8).ok_or_else(truncated)?;
        if length_and_kind != b"\0\0\0\x0dIHDR" {
            return Err(ImageError::Header { format, reason: "the first chunk is not IHDR" });
        }
        let &[w0, w1, w2, w3, h0, h1, h2, h3, _, colour, ..] = rest else {
            return Err(truncated());
        };
        let side = |b| usize::try_from(u32::from_be_bytes(b)).unwrap_or(usize::MAX);
        Ok(Header { width: side([w0, w1, w2, w3]), height: side([h0, h1, h2, h3]), colour })
    }
}

/// Walks the chunks: the file ends exactly with IEND, and holds one frame.
fn check_extent<F: Read + Seek>(file: &mut F, length: u64) -> Result<(), ImageError> {
    let format = ImageFormat::Png;
    let truncated = || ImageError::Truncated { format, bytes: length as usize };
    let mut at = file.seek(SeekFrom::Start(SIGNATURE.len() as u64))?;
    loop {
        let mut begin = [0; 8];
        match file.read_exact(&mut begin) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err(truncated()),
            other => other?,
        }
        let [l0, l1, l2, l3, kind @ ..] = begin;
        // Length, kind and check value are 4 bytes each.
        let chunk = u64::from(u32::from_be_bytes([l0, l1, l2, l3])) + 12;
        at += chunk;
        if at > length {
            return Err(truncated());
        }
        if kind == *b"fdAT" {
            let what = "an animation (APNG)".into();
            return Err(ImageError::Several { format, what });
        }
        if kind == *b"IEND" {
            return match length - at {
                0 => Ok(()),
                bytes => Err(ImageError::Trailing { format, bytes: bytes as usize }),
            };
        }
        file.seek_relative(chunk as i64 - 8)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GreyImage;
    use crate::write::whole::{Sides, encode_samples};
    use ::image::ExtendedColorType;

    fn decode(bytes: &[u8]) -> Result<GreyImage, ImageError> {
        ImageFormat::Png.decode(bytes)?.into_grey()
    }

    fn rows(n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let sides = Sides { width: 6, height: n as u32 };
        let samples = vec![9; n * 6];
        encode_samples(ImageFormat::Png, &samples, sides, ExtendedColorType::L8, &mut bytes)
            .unwrap();
        bytes
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let mut file = rows(4);
        file[25] = PALETTE;
        assert!(decode(&file).unwrap_err().to_string().contains("palette"));
        file[25] = 0;
        file[24] = 1;
        // Another depth under the same check value.
        assert!(matches!(decode(&file), Err(ImageError::Container { .. })));
    }

    #[test]
    fn sides_are_checked_before_anything_is_allocated() {
        let with_sides = |width: u32, height: u32| {
            let mut bytes = rows(4);
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            decode(&bytes).unwrap_err()
        };
        assert!(matches!(with_sides(0, 4), ImageError::Empty { .. }));
        assert!(matches!(with_sides(u32::MAX, u32::MAX), ImageError::ScanTooLarge { .. }));
        assert!(matches!(with_sides(1 << 14, 1 << 14), ImageError::Truncated { .. }));
        // Plausible sides with another check value: the decoder sees it.
        assert!(matches!(with_sides(7, 4), ImageError::Container { .. }));
    }

    #[test]
    fn damage_and_other_files_are_told_apart() {
        assert!(matches!(decode(b"GIF89a"), Err(ImageError::Signature { .. })));
        let mut bytes = rows(4);
        assert!(decode(&bytes).is_ok());
        let at = bytes.windows(4).position(|w| w == b"IDAT").unwrap() + 6;
        bytes[at] ^= 0x55;
        assert!(matches!(decode(&bytes), Err(ImageError::Container { .. })));
    }

    /// The header chunk, check value included, of an image with a row more.
    #[test]
    fn missing_rows_are_refused() {
        let mut bytes = rows(4);
        bytes[8..33].copy_from_slice(&rows(5)[8..33]);
        assert!(matches!(decode(&bytes), Err(ImageError::Container { .. })));
    }

    #[test]
    fn a_stored_photograph_decodes() {
        let bytes = include_bytes!("../../../fixtures/images/nat_camera.png");
        let image = decode(bytes).unwrap();
        assert_eq!((image.height(), image.width()), (512, 512));
        let sum: f64 = image.pixels().iter().copied().map(f64::from).sum();
        assert_eq!(sum, CAMERA_SUM);
    }

    /// The sum of its pixels as NumPy reads them.
    const CAMERA_SUM: f64 = 33_832_495.0;
}
