//! NumPy's `.npy`: one array of height x width grey levels, or of height x width x 3 for an image in colour.

use crate::{Depth, GreyImage, ImageError, ImageFormat, Range, Raster, checked_area};
use ndarray::{Array3, ArrayView2};
use ndarray_npy::WriteNpyExt;
use ppdenoise_base::size::Position;
use std::cmp::Ordering;
use std::io::Write;

const FORMAT: ImageFormat = ImageFormat::Npy;
pub(crate) const SIGNATURE: &[u8] = b"\x93NUMPY";

/// See [`ImageFormat::decode`]. Floats, uint8 and integers of 16 bits, either byte order, C or Fortran order.
pub(crate) fn decode(bytes: &[u8]) -> Result<Raster, ImageError> {
    let (header, data) = Header::parse(bytes)?;
    let Sides { height, width, channels } = header.sides()?;
    let area = checked_area(height, width)?;
    let element = header.element()?;
    // At most MAX_PIXELS times 24: no overflow.
    let expected = area * channels * element.bytes;
    match data.len().cmp(&expected) {
        Ordering::Less => {
            return Err(ImageError::Truncated { format: FORMAT, bytes: bytes.len() });
        }
        Ordering::Greater => {
            let bytes = data.len() - expected;
            return Err(ImageError::Trailing { format: FORMAT, bytes });
        }
        Ordering::Equal => {}
    }
    let mut planes: Vec<Vec<f32>> = (0..channels).map(|_| Vec::with_capacity(area)).collect();
    for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
        for (channel, plane) in planes.iter_mut().enumerate() {
            let at = if header.by_columns {
                (channel * width + column) * height + row
            } else {
                (row * width + column) * channels + channel
            };
            let value = (element.value)(&data[at * element.bytes..][..element.bytes]);
            plane.push(element.level(value, Position::new(row, column))?);
        }
    }
    let planes = planes.into_iter().map(|plane| GreyImage::new(height, width, plane));
    let image = Raster::of_equal(planes.collect::<Result<_, _>>()?, element.depth)?;
    Ok(image.with_range(element.range))
}

/// Writes float32 in C order, the channels of a pixel together.
pub(crate) fn encode(image: &Raster, writer: &mut impl Write) -> Result<(), ImageError> {
    let (height, width, planes) = (image.height(), image.width(), image.planes());
    let written = match planes {
        [grey] => {
            ArrayView2::from_shape((height, width), grey.pixels()).map(|a| a.write_npy(writer))
        }
        _ => {
            let pixels =
                (0..height * width).flat_map(|i| planes.iter().map(move |p| p.pixels()[i]));
            let shape = (height, width, planes.len());
            Array3::from_shape_vec(shape, pixels.collect()).map(|a| a.write_npy(writer))
        }
    };
    // The image guarantees that its sides and its pixels agree.
    let found = planes.iter().map(|plane| plane.pixels().len()).sum();
    let written = written.map_err(|_| ImageError::PixelCount { height, width, found })?;
    written.map_err(ImageError::NpyWrite)
}

/// Of an array that is an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sides {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// 1 or 3; those of a pixel are neighbours in C order.
    pub(crate) channels: usize,
}

/// How the elements of a type are read.
#[derive(Clone, Copy)]
pub(crate) struct Element {
    pub(crate) bytes: usize,
    /// The value of an element's bytes.
    pub(crate) value: fn(&[u8]) -> f64,
    pub(crate) depth: Depth,
    /// Which values are black and white, for those that are no levels.
    pub(crate) range: Option<Range>,
}

impl Element {
    /// The type of a descriptor. Signed integers are floats in all that is written: no file of unsigned ones can
    /// hold their own values.
    fn of(descr: &str) -> Option<Element> {
        use half::f16;
        let floats = |bytes, value| Element { bytes, value, depth: Depth::Float, range: None };
        let words = |value, depth, range| Element { bytes: 2, value, depth, range: Some(range) };
        Some(match descr {
            "<f2" => floats(2, |b| f16::from_le_bytes([b[0], b[1]]).into()),
            ">f2" => floats(2, |b| f16::from_be_bytes([b[0], b[1]]).into()),
            "<f4" => floats(4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()),
            ">f4" => floats(4, |b| f32::from_be_bytes([b[0], b[1], b[2], b[3]]).into()),
            "<f8" => floats(8, |b| f64::from_le_bytes(eight(b))),
            ">f8" => floats(8, |b| f64::from_be_bytes(eight(b))),
            "|u1" | "<u1" | ">u1" => {
                Element { bytes: 1, value: |b| b[0].into(), depth: Depth::Eight, range: None }
            }
            "<u2" => {
                words(|b| u16::from_le_bytes([b[0], b[1]]).into(), Depth::Sixteen, Range::UNSIGNED)
            }
            ">u2" => {
                words(|b| u16::from_be_bytes([b[0], b[1]]).into(), Depth::Sixteen, Range::UNSIGNED)
            }
            "<i2" => {
                words(|b| i16::from_le_bytes([b[0], b[1]]).into(), Depth::Float, Range::SIGNED)
            }
            ">i2" => {
                words(|b| i16::from_be_bytes([b[0], b[1]]).into(), Depth::Float, Range::SIGNED)
            }
            _ => return None,
        })
    }

    /// The level of a value.
    pub(crate) fn level(
        &self,
        value: f64,
        Position { row, column }: Position,
    ) -> Result<f32, ImageError> {
        let level = self.range.map_or(value as f32, |range| range.level(value));
        if level.is_finite() {
            Ok(level)
        } else {
            Err(ImageError::NotFinite { row, column, value })
        }
    }
}

fn eight(b: &[u8]) -> [u8; 8] {
    [b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]
}

/// What the header of an `.npy` file says, read here first: the array library would allocate whatever it promises,
/// and parses any nested Python literal recursively.
pub struct Header<'a> {
    /// The element type.
    pub descr: &'a str,
    /// Whether columns follow one another, not rows.
    pub by_columns: bool,
    /// The sides.
    pub shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// The sides of an image.
    pub(crate) fn sides(&self) -> Result<Sides, ImageError> {
        let (height, width, channels) = match self.shape[..] {
            [height, width] => (height, width, 1),
            [height, width, channels @ (1 | 3)] => (height, width, channels),
            _ => return Err(ImageError::NpyShape { found: self.shape.clone() }),
        };
        Ok(Sides { height, width, channels })
    }

    /// How an element of a type that is read here is read.
    pub(crate) fn element(&self) -> Result<Element, ImageError> {
        Element::of(self.descr).ok_or_else(|| ImageError::NpyType { found: self.descr.into() })
    }

    /// The header and the bytes behind it.
    ///
    /// # Errors
    /// [`ImageError`] for bytes that do not begin with a header of a known version.
    pub fn parse(bytes: &'a [u8]) -> Result<(Header<'a>, &'a [u8]), ImageError> {
        let truncated = || ImageError::Truncated { format: FORMAT, bytes: bytes.len() };
        let rest = bytes.strip_prefix(SIGNATURE).ok_or(ImageError::Signature { format: FORMAT })?;
        let (length, rest) = match *rest {
            [1, 0, a, b, ref rest @ ..] => (usize::from(u16::from_le_bytes([a, b])), rest),
            [2 | 3, 0, a, b, c, d, ref rest @ ..] => {
                (usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX), rest)
            }
            [1..=3, 0, ..] | [] | [_] => return Err(truncated()),
            _ => return Err(unusable("its version is not 1.0, 2.0 or 3.0")),
        };
        let (text, data) = rest.split_at_checked(length).ok_or_else(truncated)?;
        let text = std::str::from_utf8(text).map_err(|_| unusable("it is not text"))?;
        Ok((Header::parse_text(text)?, data))
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, the keys in any order.
    fn parse_text(text: &'a str) -> Result<Header<'a>, ImageError> {
        let dictionary = || unusable("it is not a dictionary of descr, fortran_order and shape");
        let (mut descr, mut order, mut shape) = (None, None, None);
        let mut at = Scanner(text);
        at.expect("{").ok_or_else(dictionary)?;
        while at.expect("}").is_none() {
            let key = at.quoted().ok_or_else(dictionary)?;
            at.expect(":").ok_or_else(dictionary)?;
            let repeated = match key {
                "descr" => {
                    let found = at.quoted();
                    let structured = || ImageError::NpyType { found: "a structure".into() };
                    descr.replace(found.ok_or_else(structured)?).is_some()
                }
                "fortran_order" => {
                    let columns = at.expect("True").map(|()| true);
                    let found = columns.or_else(|| at.expect("False").map(|()| false));
                    order.replace(found.ok_or_else(dictionary)?).is_some()
                }
                "shape" => shape.replace(at.sides().ok_or_else(dictionary)?).is_some(),
                _ => true,
            };
            if repeated || at.expect(",").is_none() && !at.0.trim_start().starts_with('}') {
                return Err(dictionary());
            }
        }
        match (descr, order, shape) {
            (Some(descr), Some(by_columns), Some(shape)) if at.0.trim().is_empty() => {
                Ok(Header { descr, by_columns, shape })
            }
            _ => Err(dictionary()),
        }
    }
}

pub(crate) fn unusable(reason: &'static str) -> ImageError {
    ImageError::Header { format: FORMAT, reason }
}

/// The text that is left; every step skips blanks first.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn expect(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    /// A string without escapes.
    fn quoted(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (inside, rest) = rest[1..].split_once(quote)?;
        self.0 = rest;
        Some(inside)
    }

    /// A tuple of whole numbers; one too large for the machine becomes the largest.
    fn sides(&mut self) -> Option<Vec<usize>> {
        self.expect("(")?;
        let (inside, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let inside = inside.trim();
        if inside.is_empty() {
            return Some(Vec::new());
        }
        let numbers = inside.strip_suffix(',').unwrap_or(inside).split(',').map(str::trim);
        let side = |n: &str| {
            let digits = !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| n.parse().unwrap_or(usize::MAX))
        };
        numbers.map(side).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array2, ShapeBuilder};
    use ppdenoise_base::size::Size;

    fn decode(bytes: &[u8]) -> Result<GreyImage, ImageError> {
        super::decode(bytes)?.into_grey()
    }

    fn saved<A>(array: &A) -> Vec<u8>
    where
        A: WriteNpyExt,
    {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        bytes
    }

    /// A version 1.0 file as NumPy lays it out.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [SIGNATURE, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}  \n")
    }

    #[test]
    fn types_and_orders_load_alike() {
        let level = |(r, c): (usize, usize)| (r * 5 + c) as u8;
        let expected: Vec<f32> = (0..15).map(|i| i as f32).collect();
        let bytes = Array::from_shape_fn((3, 5), level);
        let fortran = Array::from_shape_fn((3, 5).f(), level);
        let big_endian: Vec<u8> = (0..15).flat_map(|i| (i as f32).to_be_bytes()).collect();
        let half = |i: u8| half::f16::from_f32(i.into()).to_le_bytes();
        let halves: Vec<u8> = (0..15).flat_map(half).collect();
        let files = [
            saved(&bytes),
            saved(&fortran),
            saved(&bytes.mapv(f32::from)),
            saved(&fortran.mapv(f32::from)),
            saved(&bytes.mapv(f64::from)),
            saved(&fortran.mapv(f64::from)),
            file(&header(">f4", "(3, 5)"), &big_endian),
            file(&header("<f2", "(3, 5)"), &halves),
        ];
        for f in files {
            let image = decode(&f).unwrap();
            assert_eq!((image.height(), image.width()), (3, 5));
            assert_eq!(image.pixels(), expected);
        }
    }

    /// All that 16 bits can hold is black to white, and files of floats get the values back.
    #[test]
    fn integers_of_16_bits_keep_their_values() {
        for (descr, values, depth) in [
            ("<u2", [0i32, 65535, 4095], Depth::Sixteen),
            ("<i2", [-32768, 32767, -1], Depth::Float),
        ] {
            let data: Vec<u8> = values.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect();
            let image = super::decode(&file(&header(descr, "(1, 3)"), &data)).unwrap();
            assert_eq!(image.depth(), depth);
            assert_eq!(image.planes()[0].pixels()[..2], [0.0, 255.0]);
            let mut bytes = Vec::new();
            crate::write(FORMAT, &image, &mut bytes).unwrap();
            let back = decode(&bytes).unwrap();
            let near = |(a, b): (&f32, i32)| (a - b as f32).abs() < 0.01;
            assert!(back.pixels().iter().zip(values).all(near), "{:?}", back.pixels());
        }
    }

    #[test]
    fn colours_are_on_the_last_axis() {
        let level = |(r, c, k): (usize, usize, usize)| (100 * k + r * 5 + c) as f32;
        let files = [
            saved(&Array::from_shape_fn((3, 5, 3), level)),
            saved(&Array::from_shape_fn((3, 5, 3).f(), level)),
        ];
        for file in &files {
            let image = super::decode(file).unwrap();
            for (k, plane) in image.planes().iter().enumerate() {
                let expected: Vec<f32> = (0..15).map(|i| (100 * k + i) as f32).collect();
                assert_eq!((plane.size(), plane.pixels()), (Size::new(3, 5), &expected[..]));
            }
            let mut bytes = Vec::new();
            encode(&image, &mut bytes).unwrap();
            assert_eq!(bytes, files[0]);
        }
        // Three equal planes are a grey image, and so is one.
        let grey = |(r, c, _): (usize, usize, usize)| (r * 5 + c) as f32;
        for channels in [1, 3] {
            let image = super::decode(&saved(&Array::from_shape_fn((3, 5, channels), grey)));
            assert_eq!(image.unwrap().planes().len(), 1);
        }
    }

    #[test]
    fn the_layout_is_numpys() {
        let image = GreyImage::new(1, 2, vec![1.5, -2.0]).unwrap().into();
        let mut bytes = Vec::new();
        encode(&image, &mut bytes).unwrap();
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)";
        assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
        assert!(bytes[10..].starts_with(text.as_bytes()));
        assert_eq!(bytes[bytes.len() - 8..], [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0]);
        assert_eq!((bytes.len() - 8) % 64, 0);
    }

    #[test]
    fn shapes_are_checked_before_anything_is_allocated() {
        let shape = |s: &str| decode(&file(&header("<f4", s), &[0; 24])).unwrap_err();
        for s in ["()", "(6,)", "(3, 1, 2)", "(1, 3, 2)", "(1, 1, 2, 3)", "(1, 6, 0)"] {
            assert!(matches!(shape(s), ImageError::NpyShape { .. }), "{s}");
        }
        assert!(shape("(3, 1, 2)").to_string().contains("has the shape (3, 1, 2)"));
        assert!(shape("(6,)").to_string().contains("has the shape (6,)"));
        assert!(matches!(shape("(16384, 16384, 3)"), ImageError::Truncated { .. }));
        assert!(matches!(shape("(1, 1, 3)"), ImageError::Trailing { bytes: 12, .. }));
        for s in ["(100000, 100000)", "(4294967296, 4294967296)", "(1, 99999999999999999999999)"] {
            assert!(matches!(shape(s), ImageError::TooLarge { .. }), "{s}");
        }
        assert!(matches!(shape("(0, 3)"), ImageError::Empty { .. }));
        assert!(matches!(shape("(16384, 16384)"), ImageError::Truncated { .. }));
        assert!(matches!(shape("(1, 5)"), ImageError::Trailing { bytes: 4, .. }));
        assert!(matches!(shape("(-1, 5)"), ImageError::Header { .. }));
    }

    #[test]
    fn unusable_headers_and_values_are_refused() {
        for descr in ["<i4", "<u4", "<c8", "|b1", "|i1"] {
            let error = decode(&file(&header(descr, "(2, 3)"), &[0; 24])).unwrap_err();
            assert!(error.to_string().contains(descr), "{error}");
        }
        let structure = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1), }\n";
        assert!(matches!(decode(&file(structure, &[])), Err(ImageError::NpyType { .. })));
        let twice = "{'shape': (1, 1), 'shape': (1, 1), }";
        let deep = "(".repeat(60_000);
        for text in ["", "{}", "{'descr': '<f4'}", "{'descr' '<f4'}", twice, &deep] {
            assert!(
                matches!(decode(&file(text, &[])), Err(ImageError::Header { .. })),
                "{text:.40}"
            );
        }
        assert!(matches!(decode(b"\x93NUMPY\x09\x00"), Err(ImageError::Header { .. })));
        for (value, word) in [(f64::NAN, "NaN"), (1e300, "1000"), (f64::NEG_INFINITY, "-inf")] {
            let mut array = Array2::<f64>::zeros((4, 3));
            array[[2, 1]] = value;
            let text = decode(&saved(&array)).unwrap_err().to_string();
            assert!(text.contains("row 2, column 1 is ") && text.contains(word), "{text}");
        }
    }
}
