//! The image formats by name.

/// How an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// PNG, 8 or 16 bits, grey or colour: levels are rounded and clipped when written.
    Png,
    /// PGM and PPM (and PAM when read), 8 or 16 bits.
    Pnm,
    /// TIFF of one page, 8 or 16 bits or floats, grey or colour; float32 where floats are written.
    Tiff,
    /// BMP, 8 bits, grey or colour.
    Bmp,
    /// JPEG, read only: writing would add noise of its own.
    Jpeg,
    /// DICOM, grey or colour, of one frame or several; written only from an original
    /// ([`super::dicom::derive`]).
    Dicom,
    /// A NumPy array of height x width grey levels; float32 when written.
    Npy,
}

impl std::fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ImageFormat::Png => "PNG",
            ImageFormat::Pnm => "PNM",
            ImageFormat::Tiff => "TIFF",
            ImageFormat::Bmp => "BMP",
            ImageFormat::Jpeg => "JPEG",
            ImageFormat::Dicom => "DICOM",
            ImageFormat::Npy => ".npy",
        })
    }
}
