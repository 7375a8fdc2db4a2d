//! DICOM: one frame of grayscale (CT, MR, X-ray) in, and a derived object out.
//!
//! Of a file only its picture is read: the size, the bits, the rescaling to what was measured, the
//! window. Names of patients and everything else stay where they are, and go nowhere but into
//! [`derive()`]'s copy.
//!
//! The elements are read here rather than by a library, because the file is hostile input: crate
//! `dicom-object` takes the memory that a length announces and recurses as deep as sequences are
//! nested, and the decoders of `dicom-pixeldata` index by lengths of the file (both 0.10.1).

mod dataset;
mod derived;
mod pixels;
mod scale;

#[cfg(test)]
pub(crate) mod testing;

pub use derived::derive;
pub use scale::Window;

use super::{Depth, GreyImage, ImageError, Raster};
use dataset::{Coding, Element, Tag, damaged, elements, parts};
use pixels::Syntax;
use scale::Scale;

pub(super) use dataset::has_signature;

const SYNTAX: Tag = Tag(0x0002, 0x0010);
const SAMPLES: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const ALLOCATED: Tag = Tag(0x0028, 0x0100);
const STORED: Tag = Tag(0x0028, 0x0101);
const HIGH: Tag = Tag(0x0028, 0x0102);
const SIGNED: Tag = Tag(0x0028, 0x0103);
const CENTER: Tag = Tag(0x0028, 0x1050);
const WIDTH: Tag = Tag(0x0028, 0x1051);
const INTERCEPT: Tag = Tag(0x0028, 0x1052);
const SLOPE: Tag = Tag(0x0028, 0x1053);
const MODALITY_TABLE: Tag = Tag(0x0028, 0x3000);
const PIXELS: Tag = Tag(0x7fe0, 0x0010);

/// The picture in a file's bytes, on the scale 0 to 255 with 16 bits a sample.
///
/// Without a window, 0 and 255 stand for the least and the greatest value that the file's bits can
/// hold, so that nothing is lost; with one, for its ends, and what lies outside is clipped
/// (PS3.3 C.11.2.1.2.1). MONOCHROME1 is turned over: 255 is always white.
///
/// Memory: the grey levels, and decoded samples of compressed files, after the size was compared
/// with the file's length.
///
/// # Errors
/// [`ImageError`]: no DICOM file, colour, several frames, another compression than RLE or
/// single-component JPEG, bits other than 8 to 16, damaged data, a window that is not there.
pub fn decode(bytes: &[u8], window: Option<Window>) -> Result<Raster, ImageError> {
    let picture = Picture::read(bytes)?;
    let scale = picture.scale(window)?;
    let samples = pixels::samples(&picture, bytes.len())?;
    let levels = samples.into_iter().map(|v| scale.level(v)).collect();
    let plane = GreyImage::new(picture.rows.into(), picture.columns.into(), levels)?;
    Ok(Raster::grey(plane, Depth::Sixteen))
}

/// What a file says of its picture.
struct Picture<'a> {
    syntax: Syntax,
    meta: &'a [u8],
    data: &'a [u8],
    rows: u16,
    columns: u16,
    /// Bytes of a sample in native form: 1 or 2.
    bytes: usize,
    /// Bits of a sample that count: 8 to 16.
    bits: u16,
    signed: bool,
    /// Small values are white.
    inverted: bool,
    slope: f64,
    intercept: f64,
    /// What was measured follows from the values by a table instead.
    table: bool,
    /// Center and width, the first if there are several.
    window: Option<(f64, f64)>,
    pixels: Element<'a>,
}

impl<'a> Picture<'a> {
    fn read(bytes: &'a [u8]) -> Result<Picture<'a>, ImageError> {
        let parts = parts(bytes)?;
        let mut syntax = None;
        for element in elements(parts.meta, Coding::Explicit) {
            syntax = Some(element?).filter(|e| e.tag == SYNTAX).or(syntax);
        }
        let syntax = Syntax::from_uid(syntax.and_then(text).unwrap_or(""))?;
        let mut found = Found::default();
        for element in elements(parts.data, syntax.coding()) {
            found.keep(element?);
        }
        let number = |tag, missing| found.short(tag).ok_or(damaged(missing));
        let rows = number(ROWS, "it says no number of rows")?;
        let columns = number(COLUMNS, "it says no number of columns")?;
        let (allocated, bits) = (number(ALLOCATED, BITS)?, number(STORED, BITS)?);
        let pixels = found.get(PIXELS).ok_or(damaged("it holds no pixel data"))?;
        found.check_kind(allocated, bits)?;
        let window = found.decimal(CENTER)?.zip(found.decimal(WIDTH)?);
        Ok(Picture {
            syntax,
            meta: parts.meta,
            data: parts.data,
            rows,
            columns,
            bytes: usize::from(allocated / 8),
            bits,
            signed: found.short(SIGNED) == Some(1),
            inverted: found.text(PHOTOMETRIC) == Some("MONOCHROME1"),
            slope: found.decimal(SLOPE)?.unwrap_or(1.0),
            intercept: found.decimal(INTERCEPT)?.unwrap_or(0.0),
            table: found.get(MODALITY_TABLE).is_some(),
            window,
            pixels,
        })
    }

    fn scale(&self, window: Option<Window>) -> Result<Scale, ImageError> {
        Scale::new(self, window)
    }
}

const BITS: &str = "it does not say how many bits a sample has";

/// The first element with a tag.
fn find(data: &[u8], coding: Coding, tag: Tag) -> Result<Option<Element<'_>>, ImageError> {
    elements(data, coding).find(|e| e.as_ref().map_or(true, |e| e.tag == tag)).transpose()
}

/// A value that is text, without the padding.
fn text<'a>(element: Element<'a>) -> Option<&'a str> {
    let text = std::str::from_utf8(element.value).ok()?;
    Some(text.trim_matches([' ', '\0']))
}

const WANTED: [Tag; 15] = [
    SAMPLES,
    PHOTOMETRIC,
    FRAMES,
    ROWS,
    COLUMNS,
    ALLOCATED,
    STORED,
    HIGH,
    SIGNED,
    CENTER,
    WIDTH,
    INTERCEPT,
    SLOPE,
    MODALITY_TABLE,
    PIXELS,
];

/// The elements that say what the picture is.
#[derive(Default)]
struct Found<'a>(Vec<Element<'a>>);

impl<'a> Found<'a> {
    fn keep(&mut self, element: Element<'a>) {
        // Each tag comes once.
        if WANTED.contains(&element.tag) {
            self.0.push(element);
        }
    }

    fn get(&self, tag: Tag) -> Option<Element<'a>> {
        self.0.iter().find(|element| element.tag == tag).copied()
    }

    fn short(&self, tag: Tag) -> Option<u16> {
        let value = self.get(tag)?.value;
        Some(u16::from_le_bytes([*value.first()?, *value.get(1)?]))
    }

    fn text(&self, tag: Tag) -> Option<&'a str> {
        self.get(tag).and_then(text)
    }

    /// The first of the numbers in decimals.
    fn decimal(&self, tag: Tag) -> Result<Option<f64>, ImageError> {
        let text = self.text(tag).and_then(|text| text.split('\\').next()).map(str::trim);
        match text {
            None | Some("") => Ok(None),
            Some(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(damaged("a rescaling or window is no number")),
            },
        }
    }

    /// Refuses what has no place here.
    fn check_kind(&self, allocated: u16, bits: u16) -> Result<(), ImageError> {
        let refused = |found: String| Err(ImageError::Dicom { found });
        match self.short(SAMPLES) {
            None | Some(1) => {}
            Some(n) => return refused(format!("in colour ({n} samples a pixel)")),
        }
        match self.text(PHOTOMETRIC) {
            Some("MONOCHROME1" | "MONOCHROME2") => {}
            // Text of the file: only what such a name may hold is shown.
            Some(name) if !name.is_empty() && name.len() <= 16 && name.is_ascii() => {
                let shown: String = name.chars().filter(|c| !c.is_ascii_control()).collect();
                return refused(format!("in colours of the kind {shown}"));
            }
            _ => return Err(damaged("it does not say how its samples are to be seen")),
        }
        match self.text(FRAMES).unwrap_or("") {
            "" | "1" => {}
            _ => return refused("of several frames".into()),
        }
        if !(allocated == 8 || allocated == 16) || !(8..=allocated).contains(&bits) {
            return refused(format!("of {bits} bits stored in {allocated}"));
        }
        if self.short(HIGH) != Some(bits - 1) {
            return refused("with samples that do not begin at their lowest bit".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
