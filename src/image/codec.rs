//! The image formats behind one pair of functions.

use super::format::ImageFormat;
use super::raster::Raster;
use super::read::{container, npy, rows};
use super::{Extent, ImageError, dicom};
use crate::network::MAX_PIXELS;
use std::io::{Read, Write};

/// No usable file is longer: the largest image in float64 and 1 MiB of header or metadata.
const MAX_FILE: u64 = 8 * MAX_PIXELS as u64 + (1 << 20);

impl ImageFormat {
    /// The bytes that tell the formats apart: DICOM says its name behind 128.
    pub const SIGNATURE_LEN: u64 = 256;

    /// Every format.
    pub const ALL: [ImageFormat; 7] = [
        ImageFormat::Png,
        ImageFormat::Pnm,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
        ImageFormat::Jpeg,
        ImageFormat::Dicom,
        ImageFormat::Npy,
    ];

    /// The format of files with this extension (without the dot, in any case).
    ///
    /// # Errors
    /// [`ImageError::Extension`] for one that is no format's.
    pub fn from_extension(extension: &str) -> Result<ImageFormat, ImageError> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Ok(ImageFormat::Png),
            "pgm" | "ppm" | "pnm" => Ok(ImageFormat::Pnm),
            "tif" | "tiff" => Ok(ImageFormat::Tiff),
            "bmp" => Ok(ImageFormat::Bmp),
            "jpg" | "jpeg" => Ok(ImageFormat::Jpeg),
            "dcm" | "dicom" => Ok(ImageFormat::Dicom),
            "npy" => Ok(ImageFormat::Npy),
            _ => Err(ImageError::Extension { extension: extension.into() }),
        }
    }

    /// The extension of its files, one where there are several.
    pub fn extension(self) -> &'static str {
        match self {
            ImageFormat::Png => "png",
            ImageFormat::Pnm => "pnm",
            ImageFormat::Tiff => "tiff",
            ImageFormat::Bmp => "bmp",
            ImageFormat::Jpeg => "jpg",
            ImageFormat::Npy => "npy",
            ImageFormat::Dicom => "dcm",
        }
    }

    /// The format of a file to be written.
    ///
    /// # Errors
    /// [`ImageError::OutputExtension`] for one that is no format's, [`ImageError::NotWritten`] for one that is only
    /// read, [`ImageError::NoOriginal`] for DICOM.
    pub fn for_output(extension: &str) -> Result<ImageFormat, ImageError> {
        match ImageFormat::from_extension(extension) {
            Err(_) => Err(ImageError::OutputExtension { extension: extension.into() }),
            Ok(format @ ImageFormat::Jpeg) => Err(ImageError::NotWritten { format }),
            Ok(ImageFormat::Dicom) => Err(ImageError::NoOriginal),
            Ok(format) => Ok(format),
        }
    }

    /// The format whose files begin like `bytes`.
    pub fn from_signature(bytes: &[u8]) -> Option<ImageFormat> {
        match bytes {
            // First: its preamble may hold the signature of another format.
            _ if dicom::has_signature(bytes) => Some(ImageFormat::Dicom),
            [0x89, b'P', b'N', b'G', ..] => Some(ImageFormat::Png),
            [b'P', b'1'..=b'7', b, ..] if b.is_ascii_whitespace() => Some(ImageFormat::Pnm),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(ImageFormat::Tiff),
            [b'B', b'M', ..] => Some(ImageFormat::Bmp),
            [0xff, 0xd8, 0xff, ..] => Some(ImageFormat::Jpeg),
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(ImageFormat::Npy),
            _ if dicom::has_elements(bytes) => Some(ImageFormat::Dicom),
            _ => None,
        }
    }

    /// The image in `bytes`, which hold nothing else.
    ///
    /// Every size is checked before memory is taken for it. Pixels come upright, as EXIF says; a
    /// colour image of three equal planes is grey.
    ///
    /// # Errors
    /// [`ImageError`]: another format, type or shape, no or too many pixels, NaN or infinity (by
    /// position), truncated data, several pages, or anything behind a PNG or an array.
    pub fn decode(self, bytes: &[u8]) -> Result<Raster, ImageError> {
        match self {
            ImageFormat::Npy => npy::decode(bytes),
            ImageFormat::Dicom => dicom::decode(bytes, None),
            // All its rows, where it is read by rows: half to two thirds of the time of the decoders of whole
            // images (docs/benchmarks.md), which have what cannot be. An array takes longer so.
            _ => match rows::whole(self, bytes)? {
                Some(image) => Ok(image),
                None => container::decode(self, bytes),
            },
        }
    }

    /// The name that crate `image` has for it.
    pub(super) fn container(self) -> Option<::image::ImageFormat> {
        match self {
            ImageFormat::Png => Some(::image::ImageFormat::Png),
            ImageFormat::Pnm => Some(::image::ImageFormat::Pnm),
            ImageFormat::Tiff => Some(::image::ImageFormat::Tiff),
            ImageFormat::Bmp => Some(::image::ImageFormat::Bmp),
            ImageFormat::Jpeg => Some(::image::ImageFormat::Jpeg),
            ImageFormat::Dicom | ImageFormat::Npy => None,
        }
    }
}

/// Reads one image up to the end of `reader`.
///
/// # Errors
/// As [`ImageFormat::decode`], and [`ImageError::Io`].
pub fn read(format: ImageFormat, reader: impl Read) -> Result<Raster, ImageError> {
    format.decode(&read_all(format, reader)?)
}

/// The bytes of a file, if an image can be so long.
pub(super) fn read_all(format: ImageFormat, reader: impl Read) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ImageError::Header {
            format,
            reason: "the file is longer than any usable image",
        });
    }
    Ok(bytes)
}

/// As [`ImageFormat::decode`], DICOM through the window if there is one; and how far the values reach, unless a
/// window chose them or they have 8 bits.
///
/// # Errors
/// As [`ImageFormat::decode`].
pub fn decode_all(
    format: ImageFormat,
    bytes: &[u8],
    window: Option<dicom::Window>,
) -> Result<(Raster, Option<Extent>), ImageError> {
    match format {
        ImageFormat::Dicom => dicom::decode_judged(bytes, window),
        _ => {
            let image = format.decode(bytes)?;
            let extent = Extent::of(&image);
            Ok((image, extent))
        }
    }
}

/// Writes the image, and flushes.
///
/// # Errors
/// [`ImageError::NotWritten`], [`ImageError::NoOriginal`], [`ImageError::TooFine`], what the writer reports.
pub fn write(
    format: ImageFormat,
    image: &Raster,
    mut writer: impl Write,
) -> Result<(), ImageError> {
    let image = &*image.stored(format);
    match format {
        ImageFormat::Npy => npy::encode(image, &mut writer)?,
        ImageFormat::Dicom => return Err(ImageError::NoOriginal),
        _ => crate::write::whole::encode(format, image, &mut writer)?,
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::GreyImage;
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
        write(format, &image.clone().into(), &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn npy_keeps_every_bit(image in any_image()) {
            let bytes = encoded(ImageFormat::Npy, &image);
            prop_assert_eq!(read(ImageFormat::Npy, &bytes[..]).unwrap().into_grey().unwrap(), image);
        }

        #[test]
        fn png_keeps_the_rounded_image(image in any_image()) {
            let bytes = encoded(ImageFormat::Png, &image);
            prop_assert_eq!(read(ImageFormat::Png, &bytes[..]).unwrap().into_grey().unwrap(), image.rounded());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, tail: Vec<u8>) {
            let starts = [
                &b"\x89PNG\r\n\x1a\n"[..],
                b"\x93NUMPY\x01\x00",
                b"P5 ",
                b"II\x2a\0",
                b"MM\0\x2b",
                b"BM",
                b"\xff\xd8\xff",
            ];
            for format in ImageFormat::ALL {
                let _ = format.decode(&bytes);
                for start in starts {
                    let _ = format.decode(&[start, &tail].concat());
                }
            }
        }

        /// Damage inside a real file reaches deeper than arbitrary bytes do.
        #[test]
        fn damaged_files_never_panic(at: prop::sample::Index, value: u8, cut: prop::sample::Index) {
            let image = GreyImage::new(5, 7, (0..35).map(|i| i as f32).collect()).unwrap();
            for format in [ImageFormat::Pnm, ImageFormat::Tiff, ImageFormat::Bmp] {
                let mut bad = encoded(format, &image);
                let place = at.index(bad.len());
                bad[place] = value;
                let _ = format.decode(&bad);
                bad.truncate(cut.index(bad.len()));
                let _ = format.decode(&bad);
            }
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
        for format in ImageFormat::ALL {
            assert_eq!(ImageFormat::from_extension(format.extension()).unwrap(), format);
        }
        assert_eq!(ImageFormat::from_extension("PNG").unwrap(), ImageFormat::Png);
        assert_eq!(ImageFormat::from_extension("npy").unwrap(), ImageFormat::Npy);
        assert_eq!(ImageFormat::for_output("tif").unwrap(), ImageFormat::Tiff);
        let text = ImageFormat::from_extension("gif").unwrap_err().to_string();
        assert_eq!(
            text,
            "`gif` is no image format; expected png, pgm, ppm, tiff, bmp, jpeg, dcm or npy"
        );
        let text = ImageFormat::for_output("jpg").unwrap_err().to_string();
        assert_eq!(text, "JPEG is read, not written");
        let text = ImageFormat::for_output("s0").unwrap_err().to_string();
        assert!(!text.contains("jpeg") && text.contains("dcm for what is DICOM"), "{text}");
    }
}
