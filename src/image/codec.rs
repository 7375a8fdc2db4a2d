//! The two image formats behind one pair of functions.

use super::{GreyImage, ImageError, npy, png};
use crate::network::MAX_PIXELS;
use std::io::{Read, Write};

/// No usable file is longer: the largest image in float64 and 1 MiB of header or metadata.
const MAX_FILE: u64 = 8 * MAX_PIXELS as u64 + (1 << 20);

/// How an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// 8-bit grayscale PNG: levels are rounded and clipped when written.
    Png,
    /// A NumPy array of height x width grey levels; float32 when written.
    Npy,
}

impl ImageFormat {
    /// The format of files with this extension (without the dot, in any case).
    ///
    /// # Errors
    /// [`ImageError::Extension`] for any but `png` and `npy`.
    pub fn from_extension(extension: &str) -> Result<ImageFormat, ImageError> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Ok(ImageFormat::Png),
            "npy" => Ok(ImageFormat::Npy),
            _ => Err(ImageError::Extension { extension: extension.into() }),
        }
    }

    /// The image in `bytes`, which hold nothing else.
    ///
    /// Every size is checked against the length of `bytes` before memory is taken for it.
    ///
    /// # Errors
    /// [`ImageError`]: another format, type or shape, no or too many pixels, NaN or infinity (by
    /// position), truncated data, or anything behind the image.
    pub fn decode(self, bytes: &[u8]) -> Result<GreyImage, ImageError> {
        match self {
            ImageFormat::Png => png::decode(bytes),
            ImageFormat::Npy => npy::decode(bytes),
        }
    }
}

impl std::fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ImageFormat::Png => "PNG",
            ImageFormat::Npy => ".npy",
        })
    }
}

/// Reads one image up to the end of `reader`.
///
/// # Errors
/// As [`ImageFormat::decode`], and [`ImageError::Io`].
pub fn read(format: ImageFormat, reader: impl Read) -> Result<GreyImage, ImageError> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ImageError::Header {
            format,
            reason: "the file is longer than any usable image",
        });
    }
    format.decode(&bytes)
}

/// Writes the image, and flushes.
///
/// # Errors
/// What the writer reports.
pub fn write(
    format: ImageFormat,
    image: &GreyImage,
    mut writer: impl Write,
) -> Result<(), ImageError> {
    match format {
        ImageFormat::Png => png::encode_grey(image, &mut writer)?,
        ImageFormat::Npy => npy::encode(image, &mut writer)?,
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_image() -> impl Strategy<Value = GreyImage> {
        (1usize..40, 1usize..40).prop_flat_map(|(h, w)| {
            proptest::collection::vec(-1000f32..1000.0, h * w)
                .prop_map(move |pixels| GreyImage::new(h, w, pixels).unwrap())
        })
    }

    fn encoded(format: ImageFormat, image: &GreyImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(format, image, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn npy_keeps_every_bit(image in any_image()) {
            let bytes = encoded(ImageFormat::Npy, &image);
            prop_assert_eq!(read(ImageFormat::Npy, &bytes[..]).unwrap(), image);
        }

        #[test]
        fn png_keeps_the_rounded_image(image in any_image()) {
            let bytes = encoded(ImageFormat::Png, &image);
            prop_assert_eq!(read(ImageFormat::Png, &bytes[..]).unwrap(), image.rounded());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, tail: Vec<u8>) {
            for format in [ImageFormat::Png, ImageFormat::Npy] {
                prop_assert!(format.decode(&bytes).is_err());
                for start in [&b"\x89PNG\r\n\x1a\n"[..], b"\x93NUMPY\x01\x00"] {
                    prop_assert!(format.decode(&[start, &tail].concat()).is_err());
                }
            }
        }

        /// Damage inside a real file reaches deeper than arbitrary bytes do.
        #[test]
        fn damaged_files_never_panic(at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
            let image = GreyImage::new(5, 7, (0..35).map(|i| i as f32).collect()).unwrap();
            for format in [ImageFormat::Png, ImageFormat::Npy] {
                let good = encoded(format, &image);
                prop_assert!(format.decode(&good[..cut.index(good.len())]).is_err());
                let mut bad = good.clone();
                bad[at.index(good.len())] = value;
                let _ = format.decode(&bad);
                bad = good;
                bad.push(value);
                let error = format.decode(&bad).unwrap_err();
                let trailing = matches!(error, ImageError::Trailing { bytes: 1, .. });
                prop_assert!(trailing, "one byte behind the image");
            }
        }
    }

    #[test]
    fn extensions_name_formats() {
        assert_eq!(ImageFormat::from_extension("PNG").unwrap(), ImageFormat::Png);
        assert_eq!(ImageFormat::from_extension("npy").unwrap(), ImageFormat::Npy);
        let text = ImageFormat::from_extension("jpg").unwrap_err().to_string();
        assert_eq!(text, "`jpg` is no image format; expected png or npy");
    }
}
