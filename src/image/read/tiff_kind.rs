//! What kind of picture a TIFF file holds, from its first directory alone: a sound file of a kind that is not read is
//! refused by its name, before a decoder calls it damaged, and so is a file of several pictures.

use super::tiff_bytes::{bytes_at, directory, number};
use crate::{ImageError, ImageFormat};
use std::io::{Read, Seek};

const FORMAT: ImageFormat = ImageFormat::Tiff;
/// The longest description that is read.
const MAX_TEXT: u64 = 1 << 16;
/// The most values of an entry that are looked at.
const MAX_VALUES: u64 = 64;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const DESCRIPTION: u16 = 270;
const STRIPS: u16 = 273;
const ORIENTATION: u16 = 274;
const SAMPLES: u16 = 277;
const PLANAR: u16 = 284;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const EXTRA: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
/// Slices of a volume (SGI), and planes of a stack (MetaMorph).
const DEPTH: u16 = 32997;
const PLANES: u16 = 33629;

/// Refuses by name what is not read. What is damaged is left to the decoder.
pub(super) fn check<F: Read + Seek>(file: &mut F, length: u64) -> Result<(), ImageError> {
    let Some(mut entries) = Entries::read(file)? else { return Ok(()) };
    if entries.next > 0 && entries.next < length {
        return Err(ImageError::Pages);
    }
    several(&mut entries, length)?;
    let compression = entries.one(COMPRESSION, 1)?;
    if let Some(found) = unread_compression(compression) {
        return Err(ImageError::Compression { format: FORMAT, found });
    }
    match kind(&mut entries)? {
        None => Ok(()),
        Some(found) => Err(ImageError::Kind { format: FORMAT, found }),
    }
}

/// The first directory.
struct Entries<'f, F> {
    file: &'f mut F,
    all: Vec<u8>,
    /// Bytes of an offset.
    wide: usize,
    big_endian: bool,
    /// Where the next directory is; 0 if there is none.
    next: u64,
}

impl<'f, F: Read + Seek> Entries<'f, F> {
    fn read(file: &'f mut F) -> std::io::Result<Option<Self>> {
        let Some((start, wide, big_endian)) = directory(file)? else { return Ok(None) };
        let width = if wide == 8 { 8 } else { 2 };
        let Some(count) = bytes_at(file, start, width)? else { return Ok(None) };
        // That it is no more than can be was checked before.
        let length = number(&count, big_endian) as usize * (4 + 2 * wide);
        let place = start.saturating_add(width as u64);
        let Some(all) = bytes_at(file, place, length)? else { return Ok(None) };
        let next = bytes_at(file, place.saturating_add(length as u64), wide)?;
        let next = next.map_or(0, |bytes| number(&bytes, big_endian));
        Ok(Some(Entries { file, all, wide, big_endian, next }))
    }

    /// Type, number of values, and their bytes or their place.
    fn entry(&self, tag: u16) -> Option<(u64, u64, Vec<u8>)> {
        let of = |bytes: &[u8]| number(bytes, self.big_endian);
        let entry = self.all.chunks_exact(4 + 2 * self.wide);
        let entry = entry.into_iter().find(|entry| of(&entry[..2]) == u64::from(tag))?;
        let (head, value) = entry.split_at(4 + self.wide);
        Some((of(&head[2..4]), of(&head[4..]), value.to_vec()))
    }

    /// The first values of an entry, as unsigned numbers.
    fn values(&mut self, tag: u16) -> Result<Option<Vec<u64>>, ImageError> {
        let Some((kind, count, value)) = self.entry(tag) else { return Ok(None) };
        let width = match kind {
            1 | 2 | 7 => 1,
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            _ => return Ok(None),
        };
        let limit = if kind == 2 { MAX_TEXT } else { MAX_VALUES };
        let length = count.min(limit) as usize * width;
        let bytes = if count.saturating_mul(width as u64) <= self.wide as u64 {
            Some(value[..length].to_vec())
        } else {
            bytes_at(self.file, number(&value, self.big_endian), length)?
        };
        let big_endian = self.big_endian;
        Ok(bytes.map(|b| b.chunks_exact(width).map(|v| number(v, big_endian)).collect()))
    }

    fn one(&mut self, tag: u16, usual: u64) -> Result<u64, ImageError> {
        Ok(self.values(tag)?.and_then(|values| values.first().copied()).unwrap_or(usual))
    }

    fn text(&mut self, tag: u16) -> Result<String, ImageError> {
        let bytes: Vec<u8> =
            self.values(tag)?.unwrap_or_default().iter().map(|&b| b as u8).collect();
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\0').into())
    }
}

/// Refuses pictures behind the first that no further directory speaks of.
fn several<F: Read + Seek>(entries: &mut Entries<'_, F>, length: u64) -> Result<(), ImageError> {
    let refuse = |what: String| Err(ImageError::Several { format: FORMAT, what });
    let slices = entries.one(DEPTH, 1)?;
    if slices > 1 {
        return refuse(format!("a volume of {slices} slices"));
    }
    if let Some((_, planes @ 2.., _)) = entries.entry(PLANES) {
        return refuse(format!("a MetaMorph stack of {planes} planes"));
    }
    let bits = entries.one(BITS, 1)?.max(1);
    let samples = entries.one(SAMPLES, 1)?.max(1);
    let sides = [entries.one(HEIGHT, 1)?, entries.one(WIDTH, 1)?];
    let values = sides.iter().fold(samples, |product, &side| product.saturating_mul(side));
    let text = entries.text(DESCRIPTION)?;
    let (what, said) = if text.starts_with("ImageJ=") {
        ("an ImageJ stack", imagej_images(&text))
    } else {
        ("a stack of tifffile", shaped_values(&text).map_or(1, |v| v / values.max(1)))
    };
    let begin = entries.one(STRIPS, u64::MAX)?;
    let picture = values.saturating_mul(bits) / 8;
    let end = begin.saturating_add(picture.saturating_mul(said));
    let plain = entries.one(COMPRESSION, 1)? == 1;
    if said > 1 && plain && end <= length {
        refuse(format!("{what} of {said} in one directory"))
    } else {
        Ok(())
    }
}

/// How many pictures a description of ImageJ tells of.
fn imagej_images(text: &str) -> u64 {
    let said = |name: &str| {
        let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.trim().parse::<u64>().ok())
    };
    let each = ["channels", "slices", "frames"].map(|name| said(name).unwrap_or(1));
    said("images").unwrap_or(each.iter().fold(1, |all, &n| all.saturating_mul(n)))
}

/// How many values the description of tifffile tells of.
fn shaped_values(text: &str) -> Option<u64> {
    let said: serde_json::Value = serde_json::from_str(text).ok()?;
    let mut sides = said.get("shape")?.as_array()?.iter().map(serde_json::Value::as_u64);
    sides.try_fold(1u64, |all, side| all.checked_mul(side?))
}

/// The name of a compression that is not read.
fn unread_compression(number: u64) -> Option<String> {
    let name = match number {
        // None, CCITT, LZW, JPEG, deflate, PackBits.
        1..=5 | 7 | 8 | 32773 | 32946 => return None,
        6 => "JPEG in its old form",
        9 | 10 | 34661 => "JBIG",
        22610 | 34934 => "JPEG XR",
        32766 => "NeXT's run lengths",
        32809 => "ThunderScan",
        32908 | 32909 => "Pixar's codec",
        33003..=33005 | 34712 => "JPEG 2000",
        34676 | 34677 => "SGI's logarithms",
        34887 => "LERC",
        34892 => "lossy JPEG of DNG",
        34925 => "LZMA",
        34933 => "PNG",
        50000 | 34926 => "Zstandard",
        50001 | 34927 => "WebP",
        50002 | 52546 => "JPEG XL",
        other => return Some(format!("codec number {other}")),
    };
    Some(name.into())
}

/// The name of a kind of samples that is not read.
fn kind<F: Read + Seek>(entries: &mut Entries<'_, F>) -> Result<Option<String>, ImageError> {
    let samples = entries.one(SAMPLES, 1)?;
    let bits = entries.values(BITS)?.unwrap_or_else(|| vec![1]);
    let formats = entries.values(SAMPLE_FORMAT)?.unwrap_or_else(|| vec![1]);
    let extra = entries.values(EXTRA)?.and_then(|values| values.first().copied());
    let photometric = entries.one(PHOTOMETRIC, 1)?;
    let (first, bits_first) =
        (formats.first().copied().unwrap_or(1), bits.first().copied().unwrap_or(1));
    let named = |name: &str| Ok(Some(name.to_string()));
    if bits.iter().any(|b| *b != bits_first) || formats.iter().any(|f| *f != first) {
        return named("of samples of different kinds");
    }
    match photometric {
        0..=2 => {}
        3 => return named("in colours of a palette"),
        4 => return named("a mask of transparency"),
        5 => return named("CMYK"),
        6 => return named("in luminance and colour differences (YCbCr)"),
        8..=10 => return named("in L*a*b* colours"),
        32803 | 34892 => return named("of raw values of a sensor"),
        other => return Ok(Some(format!("of the photometric kind {other}"))),
    }
    let expected = if photometric < 2 { 1 } else { 3 };
    if samples > expected {
        // Some writers leave away what the fourth sample of a colour is.
        let clear = samples == expected + 1
            && (matches!(extra, Some(1 | 2)) || extra.is_none() && expected == 3);
        return match (clear, expected) {
            (true, 1) => named("gray with transparency"),
            (true, _) => named("colour with transparency"),
            _ => Ok(Some(format!("of {samples} samples a pixel"))),
        };
    }
    let colour = if expected == 3 { "colour " } else { "" };
    match (first, bits_first) {
        (1 | 4, 8 | 16) => {}
        (1 | 4, 0..=7) => return named("grayscale of less than 8 bits"),
        (1 | 4, bits) => return Ok(Some(format!("{colour}of {bits} bits a sample"))),
        (2, bits) => return Ok(Some(format!("of signed integers of {bits} bits"))),
        (3, 16 | 32 | 64) => return floats(entries, samples, photometric),
        (3, bits) => return Ok(Some(format!("of floats of {bits} bits"))),
        (5 | 6, _) => return named("of complex numbers"),
        (other, _) => return Ok(Some(format!("of the sample format {other}"))),
    }
    if samples > 1 && entries.one(PLANAR, 1)? != 1 && has_cut_tiles(entries)? {
        return named("plane by plane in tiles that reach beyond it");
    }
    match entries.one(FILL_ORDER, 1)? {
        2 => named("with the bits of each byte in reverse"),
        _ => Ok(None),
    }
}

/// Whether the last tiles of rows or columns are not all of the picture: the decoder takes no planes of those.
fn has_cut_tiles<F: Read + Seek>(entries: &mut Entries<'_, F>) -> Result<bool, ImageError> {
    let mut is_cut = |side: u16, tile: u16| -> Result<bool, ImageError> {
        let (side, tile) = (entries.one(side, 1)?, entries.one(tile, 0)?);
        Ok(tile > 0 && !side.is_multiple_of(tile))
    };
    Ok(is_cut(WIDTH, TILE_WIDTH)? || is_cut(HEIGHT, TILE_HEIGHT)?)
}

/// Of floats not all layouts are read.
fn floats<F: Read + Seek>(
    entries: &mut Entries<'_, F>,
    samples: u64,
    photometric: u64,
) -> Result<Option<String>, ImageError> {
    let name = if samples > 1 && entries.one(PLANAR, 1)? != 1 {
        "of floats plane by plane"
    } else if photometric == 0 {
        "of floats whose white is 0"
    } else if entries.one(ORIENTATION, 1)? != 1 {
        "of floats that are turned"
    } else {
        return Ok(None);
    };
    Ok(Some(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_tell_of_stacks() {
        assert_eq!(imagej_images("ImageJ=1.53\nimages=12\nslices=4\nchannels=3\n"), 12);
        assert_eq!(imagej_images("ImageJ=1.53\nslices=4\nframes=2\n"), 8);
        assert_eq!(imagej_images("ImageJ=1.53\nunit=micron\n"), 1);
        assert_eq!(shaped_values(r#"{"shape": [3, 5, 7], "truncated": true}"#), Some(105));
        assert_eq!(shaped_values("a scan"), None);
        assert_eq!(shaped_values(r#"{"shape": [4294967296, 4294967296, 4]}"#), None);
    }
}
