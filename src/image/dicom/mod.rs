//! DICOM: pictures (CT, MR, X-ray, ultrasound) in, and a derived object out.
//!
//! Of a file only its picture is read: the size, the bits, the rescaling to what was measured, the
//! window. Names of patients and everything else stay where they are, and go nowhere but into
//! [`derive()`]'s copy.
//!
//! The elements are found here rather than by a library: a derived object keeps every other byte of
//! its original, for which one must know where each element begins and ends; and the file is hostile
//! input (docs/fuzzing.md says what libraries of DICOM do with it). What is compressed is decoded by
//! libraries, each behind a look at its headers, where one was found that stands hostile streams.

mod changes;
mod codestream;
mod dataset;
mod dct;
mod derived;
mod file;
mod groups;
mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod kinds;
mod origin;
mod overlays;
mod pixels;
mod provenance;
mod reach;
mod run_lengths;
mod scale;
mod shape;
mod syntax;

#[cfg(test)]
pub(crate) mod testing;

pub use derived::derive;
pub use kinds::without_picture;
pub use origin::Origin;
pub use provenance::Fresh;
pub use scale::Window;

use super::{Depth, Extent, GreyImage, ImageError, Raster, Values};
use dataset::{Coding, Element, Tag, damaged, elements};
use file::File;
use groups::{FUNCTION, Groups, Meaning, PER_FRAME, SHARED};
use overlays::Overlays;
use pixels::Frames;
use reach::Reach;
use scale::Scale;
use shape::Shape;
use syntax::Syntax;

pub(super) use file::{has_elements, has_signature};

const CLASS: Tag = Tag(0x0008, 0x0016);
const SYNTAX: Tag = Tag(0x0002, 0x0010);
const SAMPLES: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
const PLANAR: Tag = Tag(0x0028, 0x0006);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const ALLOCATED: Tag = Tag(0x0028, 0x0100);
const STORED: Tag = Tag(0x0028, 0x0101);
const HIGH: Tag = Tag(0x0028, 0x0102);
const SIGNED: Tag = Tag(0x0028, 0x0103);
/// The value, and the other end of the range of values, of what no ray met.
const PADDING: Tag = Tag(0x0028, 0x0120);
const PADDING_LIMIT: Tag = Tag(0x0028, 0x0121);
const CENTER: Tag = Tag(0x0028, 0x1050);
const WIDTH: Tag = Tag(0x0028, 0x1051);
const INTERCEPT: Tag = Tag(0x0028, 0x1052);
const SLOPE: Tag = Tag(0x0028, 0x1053);
const MODALITY_TABLE: Tag = Tag(0x0028, 0x3000);
const VOI_TABLE: Tag = Tag(0x0028, 0x3010);
const PIXELS: Tag = Tag(0x7fe0, 0x0010);

/// The picture in a file's bytes, on the scale 0 to 255 with 16 bits a sample.
///
/// Without a window, 0 and 255 stand for the least and the greatest value that the file's bits can
/// hold, so that nothing is lost (beyond 24 bits, no more than a float has); with one, for its ends,
/// and what lies outside is clipped (PS3.3 C.11.2.1.2.1). MONOCHROME1 is turned over: 255 is always
/// white. Colour comes as red, green and blue. Several frames lie one below the other
/// ([`Raster::frames`]).
///
/// Memory: the grey levels, 16 bytes a pixel of one compressed frame and what its decoder takes, and
/// an inflated data set of at most 1 GiB, after the size was compared with the file's length.
///
/// # Errors
/// [`ImageError`]: no DICOM file, a palette, another transfer syntax than those in docs/formats.md,
/// damaged data, a window that is not there or for colour.
pub fn decode(bytes: &[u8], window: Option<Window>) -> Result<Raster, ImageError> {
    decode_judged(bytes, window).map(|(image, _)| image)
}

/// As [`decode`]; and how far the values reach that are measurements, unless a window chose them.
pub(super) fn decode_judged(
    bytes: &[u8],
    window: Option<Window>,
) -> Result<(Raster, Option<Extent>), ImageError> {
    let file = File::open(bytes)?;
    let picture = Picture::read(&file)?;
    let scales = Scale::of_frames(&picture, window)?;
    let frames = Frames::of(&picture, bytes.len())?;
    let mut planes = vec![Vec::new(); picture.shape.samples];
    let mut reach = Reach::default();
    for frame in 0..picture.frames {
        let (samples, scale) = (frames.samples(frame)?, Scale::of_frame(&scales, frame));
        samples.iter().for_each(|&v| reach.add(&picture, picture.number(v)));
        for (channel, plane) in planes.iter_mut().enumerate() {
            let own = samples.iter().skip(channel).step_by(picture.shape.samples);
            plane.extend(own.map(|&v| scale.level(picture.number(v))));
        }
    }
    let (rows, columns) = (picture.shape.rows * picture.frames, picture.shape.columns);
    let planes = planes.into_iter().map(|levels| GreyImage::new(rows, columns, levels));
    let image = Raster::of_equal(planes.collect::<Result<_, _>>()?, Depth::Sixteen)?;
    let windowed = Scale::of_frame(&scales, 0).window.is_some();
    let extent = if !windowed { reach.extent(&picture) } else { None };
    Ok((image.in_frames(picture.frames)?, extent))
}

/// What values a file's picture has, and what the file says of them; nothing of a picture that holds no measurement.
///
/// # Errors
/// As [`decode`].
pub fn values(bytes: &[u8]) -> Result<Option<Values>, ImageError> {
    let file = File::open(bytes)?;
    let picture = Picture::read(&file)?;
    let frames = Frames::of(&picture, bytes.len())?;
    let mut reach = Reach::default();
    for frame in 0..picture.frames {
        frames.samples(frame)?.iter().for_each(|&v| reach.add(&picture, picture.number(v)));
    }
    Ok(reach.values(&picture))
}

/// The window of the file itself, by its numbers.
///
/// # Errors
/// As [`decode`] with [`Window::OfFile`].
pub fn file_window(bytes: &[u8]) -> Result<Window, ImageError> {
    let file = File::open(bytes)?;
    let scales = Scale::of_frames(&Picture::read(&file)?, Some(Window::OfFile))?;
    let window =
        Scale::of_frame(&scales, 0).window.map(|(center, width)| Window::Around { center, width });
    Ok(window.unwrap_or(Window::OfFile))
}

/// How the samples of a pixel make its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Grey,
    Rgb,
    /// Luminance and two differences.
    Ybr,
    /// The same, the differences of two neighbours once.
    Ybr422,
}

/// What a file says of its picture.
struct Picture<'a> {
    syntax: Syntax,
    shape: Shape,
    frames: usize,
    /// Bits of a sample that count: 1 to 32.
    bits: u16,
    /// The lowest of them in a sample's word.
    low: u16,
    signed: bool,
    colour: Colour,
    /// All of a colour before the next, instead of pixel by pixel.
    planar: bool,
    /// Small values are white.
    inverted: bool,
    /// What its values mean, but for what functional groups say; the first window if there are several.
    meaning: Meaning,
    groups: Groups<'a>,
    /// What was measured follows from the values by a table instead.
    table: bool,
    /// Grey levels follow from what was measured by a table.
    voi_table: bool,
    overlays: Overlays,
    /// Values that stand for no measurement.
    padding: Option<(i64, i64)>,
    pixels: Element<'a>,
}

impl<'a> Picture<'a> {
    fn read(file: &'a File<'a>) -> Result<Picture<'a>, ImageError> {
        let mut found = PictureElements { elements: Vec::new(), coding: file.coding() };
        let mut overlays = Overlays::default();
        for element in elements(&file.data, file.coding()) {
            let element = element?;
            overlays.note(element, file.coding());
            found.keep(element);
        }
        let number = |tag, missing| found.short(tag).ok_or(damaged(missing));
        let pixels = found.get(PIXELS).ok_or_else(|| kinds::refused(file))?;
        let rows = number(ROWS, "it says no number of rows")?;
        let columns = number(COLUMNS, "it says no number of columns")?;
        let (allocated, bits) = (number(ALLOCATED, BITS)?, number(STORED, BITS)?);
        let colour = found.colour(file.syntax)?;
        found.check_bits(allocated, bits)?;
        let low = found.lowest_bit(allocated, bits)?;
        if low > 0 && (colour != Colour::Grey || file.syntax.packing.is_some()) {
            let found =
                format!("compressed or in colour with {bits} bits stored from bit {low} on");
            return Err(ImageError::Dicom { found });
        }
        let signed = found.short(SIGNED) == Some(1);
        let shape = Shape {
            rows: rows.into(),
            columns: columns.into(),
            samples: if colour == Colour::Grey { 1 } else { 3 },
            allocated: allocated.into(),
        };
        if colour != Colour::Grey && (signed || bits > 16) {
            return Err(ImageError::Dicom {
                found: format!("in colour with {bits} bits a sample"),
            });
        }
        let padding = found.short(PADDING).map(|value| {
            let limit = found.short(PADDING_LIMIT).unwrap_or(value);
            let [a, b] =
                [value, limit].map(|v| if signed { i64::from(v as i16) } else { i64::from(v) });
            (a.min(b), a.max(b))
        });
        Ok(Picture {
            syntax: file.syntax,
            shape,
            frames: found.frames()?,
            bits,
            low,
            signed,
            colour,
            planar: found.short(PLANAR) == Some(1),
            inverted: found.text(PHOTOMETRIC) == Some("MONOCHROME1"),
            meaning: Meaning::of(&found)?,
            groups: Groups {
                shared: found.get(SHARED),
                per_frame: found.get(PER_FRAME),
                coding: file.coding(),
            },
            table: found.get(MODALITY_TABLE).is_some(),
            voi_table: found.get(VOI_TABLE).is_some(),
            overlays,
            padding,
            pixels,
        })
    }

    /// The value of a sample: the bits that count, of which the highest may be a sign.
    fn number(&self, sample: u32) -> i64 {
        let unused = 32 - u32::from(self.bits);
        let high = (sample >> self.low) << unused;
        if self.signed { i64::from(high as i32 >> unused) } else { i64::from(high >> unused) }
    }

    /// The bits of a sample's word that are its value.
    fn counted(&self) -> u32 {
        (u32::MAX >> (32 - u32::from(self.bits))) << self.low
    }

    /// The bits of overlays beside the values.
    fn overlay_bits(&self) -> u32 {
        match self.colour {
            Colour::Grey => self.overlays.bits(self.shape.allocated) & !self.counted(),
            _ => 0,
        }
    }

    /// Whether a value stands for no measurement.
    fn is_padding(&self, value: i64) -> bool {
        self.padding.is_some_and(|(least, greatest)| (least..=greatest).contains(&value))
    }
}

const BITS: &str = "it does not say how many bits a sample has";

/// A value that is text, without the padding.
fn text<'a>(element: Element<'a>) -> Option<&'a str> {
    let text = std::str::from_utf8(element.value).ok()?;
    Some(text.trim_matches([' ', '\0']))
}

const WANTED: [Tag; 22] = [
    SAMPLES,
    PHOTOMETRIC,
    PLANAR,
    FRAMES,
    ROWS,
    COLUMNS,
    ALLOCATED,
    STORED,
    HIGH,
    SIGNED,
    PADDING,
    PADDING_LIMIT,
    CENTER,
    WIDTH,
    INTERCEPT,
    SLOPE,
    FUNCTION,
    MODALITY_TABLE,
    VOI_TABLE,
    SHARED,
    PER_FRAME,
    PIXELS,
];

/// The elements that say what the picture is.
struct PictureElements<'a> {
    elements: Vec<Element<'a>>,
    coding: Coding,
}

impl<'a> PictureElements<'a> {
    fn keep(&mut self, element: Element<'a>) {
        // Each tag comes once.
        if WANTED.contains(&element.tag) {
            self.elements.push(element);
        }
    }

    fn get(&self, tag: Tag) -> Option<Element<'a>> {
        self.elements.iter().find(|element| element.tag == tag).copied()
    }

    fn short(&self, tag: Tag) -> Option<u16> {
        let value = self.get(tag)?.value;
        Some(self.coding.short([*value.first()?, *value.get(1)?]))
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

    /// What the samples of a pixel are; refuses what has no place here.
    fn colour(&self, syntax: Syntax) -> Result<Colour, ImageError> {
        let refused = |found: String| Err(ImageError::Dicom { found });
        let samples = self.short(SAMPLES).unwrap_or(1);
        let name = self.text(PHOTOMETRIC).unwrap_or("");
        let native = syntax.packing.is_none();
        match (name, samples) {
            ("MONOCHROME1" | "MONOCHROME2", 1) => Ok(Colour::Grey),
            ("PALETTE COLOR", 1) => refused("in colours of a palette (PALETTE COLOR)".into()),
            // A stream of JPEG 2000 turns its colours itself.
            ("RGB" | "YBR_RCT" | "YBR_ICT", 3) => Ok(Colour::Rgb),
            ("YBR_FULL_422", 3) if native => Ok(Colour::Ybr422),
            ("YBR_FULL" | "YBR_FULL_422", 3) => Ok(Colour::Ybr),
            // Text of the file: only what such a name may hold is shown.
            (name, n) if !name.is_empty() && name.len() <= 16 && name.is_ascii() => {
                let shown: String = name.chars().filter(|c| !c.is_ascii_control()).collect();
                refused(format!("of the kind {shown} with {n} samples a pixel"))
            }
            _ => Err(damaged("it does not say how its samples are to be seen")),
        }
    }

    fn frames(&self) -> Result<usize, ImageError> {
        match self.text(FRAMES).unwrap_or("") {
            "" => Ok(1),
            text => match text.parse() {
                Ok(frames @ 1..=MAX_FRAMES) => Ok(frames),
                _ => Err(damaged("its number of frames is not usable")),
            },
        }
    }

    fn check_bits(&self, allocated: u16, bits: u16) -> Result<(), ImageError> {
        if !matches!(allocated, 1 | 8 | 16 | 32) || !(1..=allocated).contains(&bits) {
            let found = format!("of {bits} bits stored in {allocated}");
            return Err(ImageError::Dicom { found });
        }
        Ok(())
    }

    /// The lowest bit of a value in its word: today 0, in files of before 2008 any (PS3.5 section 8.1.1).
    fn lowest_bit(&self, allocated: u16, bits: u16) -> Result<u16, ImageError> {
        let high = self.short(HIGH).unwrap_or(bits - 1);
        match high.saturating_add(1).checked_sub(bits) {
            Some(low) if high < allocated => Ok(low),
            _ => {
                let found =
                    format!("of {bits} bits stored whose highest is bit {high} of {allocated}");
                Err(ImageError::Dicom { found })
            }
        }
    }
}

/// Characters of a UID.
const MAX_UID: usize = 64;
/// The most frames of a file: the most tiles of an image.
const MAX_FRAMES: usize = super::MAX_TILES;

#[cfg(test)]
mod tests;
