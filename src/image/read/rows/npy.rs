//! `.npy` by rows, if rows follow one another in it.

use super::super::npy::{Element, Header, SIGNATURE, Sides, unusable};
use super::{Lines, Opened, Shape};
use crate::scan::tiling::check_scan;
use crate::{ImageError, ImageFormat};
use ppdenoise_base::size::Position;
use ppdenoise_base::size::Size;
use std::cmp::Ordering;
use std::io::{BufReader, Read, Seek};

const FORMAT: ImageFormat = ImageFormat::Npy;
/// The longest header; NumPy's are 118 bytes.
const MAX_HEADER: u64 = 1 << 20;

struct Npy<F> {
    file: BufReader<F>,
    element: Element,
    channels: usize,
    row: Vec<u8>,
    done: usize,
}

pub(super) fn open<'r, F: Read + Seek + 'r>(
    file: F,
    length: u64,
) -> Result<Opened<'r>, ImageError> {
    let mut file = BufReader::new(file);
    let begin = beginning(&mut file)?;
    let (header, _) = Header::parse(&begin)?;
    let Sides { height, width, channels } = header.sides()?;
    check_scan(Size::new(height, width))?;
    let element = header.element()?;
    let bytes = element.bytes;
    if header.by_columns {
        return Ok(None);
    }
    let (found, expected) =
        (length - begin.len() as u64, (height * width * channels * bytes) as u64);
    match found.cmp(&expected) {
        Ordering::Less => {
            return Err(ImageError::Truncated { format: FORMAT, bytes: length as usize });
        }
        Ordering::Greater => {
            let bytes = (found - expected) as usize;
            return Err(ImageError::Trailing { format: FORMAT, bytes });
        }
        Ordering::Equal => {}
    }
    let Element { depth, range, .. } = element;
    let shape = Shape { height, width, channels, depth, range };
    let row = vec![0; width * channels * bytes];
    Ok(Some((shape, Box::new(Npy { file, element, channels, row, done: 0 }))))
}

/// The bytes of the header.
fn beginning(file: &mut impl Read) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    // The length of the text is behind the two bytes of the version.
    let fixed = SIGNATURE.len() as u64 + 2 + 2;
    file.take(fixed).read_to_end(&mut bytes)?;
    if let [_, _, _, _, _, _, 2 | 3, ..] = bytes[..] {
        file.take(2).read_to_end(&mut bytes)?;
    }
    let text = match bytes[..] {
        [_, _, _, _, _, _, 1, _, a, b] => u64::from(u16::from_le_bytes([a, b])),
        [_, _, _, _, _, _, _, _, a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => 0,
    };
    if text > MAX_HEADER {
        return Err(unusable("it is longer than 1 MiB"));
    }
    file.take(text).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl<F: Read> Lines for Npy<F> {
    fn next(&mut self, line: &mut [f32]) -> Result<(), ImageError> {
        self.file.read_exact(&mut self.row)?;
        let elements = self.row.chunks_exact(self.element.bytes);
        for (at, (level, bytes)) in line.iter_mut().zip(elements).enumerate() {
            let value = (self.element.value)(bytes);
            *level = self.element.level(value, Position::new(self.done, at / self.channels))?;
        }
        self.done += 1;
        Ok(())
    }
}
