//! Binary PGM and PPM by rows.

use super::{Lines, Opened, Shape, big_endian, eight, sixteen};
use crate::read::plausible::plausible_scan;
use crate::read::pnm::excess;
use crate::{Depth, ImageError, ImageFormat};
use std::io::{BufReader, Read, Seek};

const FORMAT: ImageFormat = ImageFormat::Pnm;
/// A longer header is read by the decoder of whole images.
const MAX_HEADER: usize = 1 << 16;
/// Bytes behind a picture that tell whether another begins there.
const BEGINNING: u64 = 16;

struct Pnm<F> {
    file: BufReader<F>,
    depth: Depth,
    /// By how much samples are raised whose largest value does not fill their bits.
    factor: Option<f32>,
    /// The largest value that is allowed.
    most: u32,
    channels: usize,
    row: Vec<u8>,
    done: usize,
}

pub(super) fn open<'r, F: Read + Seek + 'r>(
    file: F,
    length: u64,
) -> Result<Opened<'r>, ImageError> {
    let mut file = BufReader::new(file);
    let mut magic = [0; 2];
    if length < 2 {
        return Ok(None);
    }
    file.read_exact(&mut magic)?;
    let channels = match &magic {
        b"P5" => 1,
        b"P6" => 3,
        _ => return Ok(None),
    };
    let mut header = Header { file: &mut file, read: 2 };
    let (Some(width), Some(height), Some(most)) =
        (header.number()?, header.number()?, header.number()?)
    else {
        return Ok(None);
    };
    let begin = header.read as u64;
    let (depth, full) = match most {
        1..=255 => (Depth::Eight, 255),
        256..=65535 => (Depth::Sixteen, 65535),
        _ => return Ok(None),
    };
    let factor = (most != full).then(|| full as f32 / most as f32);
    let (width, height) = (width as usize, height as usize);
    plausible_scan(FORMAT, length, height, width)?;
    let row = width * channels * if depth == Depth::Sixteen { 2 } else { 1 };
    if length - begin < (row * height) as u64 {
        return Err(ImageError::Truncated { format: FORMAT, bytes: length as usize });
    }
    let more = length - begin - (row * height) as u64;
    if more > 0 {
        file.seek_relative((row * height) as i64)?;
        let mut rest = Vec::new();
        file.take(BEGINNING).read_to_end(&mut rest)?;
        return Err(excess(&rest, more));
    }
    let shape = Shape { height, width, channels, depth, range: None };
    Ok(Some((
        shape,
        Box::new(Pnm { file, depth, channels, most, factor, row: vec![0; row], done: 0 }),
    )))
}

impl<F: Read> Lines for Pnm<F> {
    fn next(&mut self, line: &mut [f32]) -> Result<(), ImageError> {
        self.file.read_exact(&mut self.row)?;
        self.done += 1;
        let Some(factor) = self.factor else {
            big_endian(&self.row, self.depth, line);
            return Ok(());
        };
        self.check()?;
        // To whole samples, as the decoder of whole images raises them. Casts saturate.
        match self.depth {
            Depth::Sixteen => {
                let samples = self.row.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]]));
                sixteen(samples.map(|v| (f32::from(v) * factor).round() as u16), line);
            }
            _ => {
                self.row.iter_mut().for_each(|v| *v = (f32::from(*v) * factor).round() as u8);
                eight(&self.row, line);
            }
        }
        Ok(())
    }
}

impl<F> Pnm<F> {
    /// Refuses samples above what the file says is the largest.
    fn check(&self) -> Result<(), ImageError> {
        let above = |&(_, value): &(usize, u32)| value > self.most;
        let pairs = self.row.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]]).into());
        let found = match self.depth {
            Depth::Sixteen => pairs.enumerate().find(above),
            _ => self.row.iter().map(|&v| v.into()).enumerate().find(above),
        };
        match found {
            None => Ok(()),
            Some((i, value)) => {
                let (row, column) = (self.done - 1, i / self.channels);
                Err(ImageError::AboveMost { row, column, value, most: self.most })
            }
        }
    }
}

struct Header<'f, F> {
    file: &'f mut BufReader<F>,
    read: usize,
}

impl<F: Read> Header<'_, F> {
    /// The next number and the one blank behind it, as the decoder of whole images reads them: a
    /// comment goes to the end of its line, which ends no number. Nothing for what is none.
    fn number(&mut self) -> Result<Option<u32>, ImageError> {
        let (mut value, mut comment) = (None::<u32>, false);
        while self.read < MAX_HEADER {
            let mut byte = [0];
            if self.file.read(&mut byte)? == 0 {
                return Ok(value);
            }
            self.read += 1;
            match byte[0] {
                b'\r' | b'\n' if comment => comment = false,
                _ if comment => {}
                b'#' => comment = true,
                b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ' if value.is_some() => return Ok(value),
                b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ' => {}
                digit @ b'0'..=b'9' => {
                    let next = value.unwrap_or(0).checked_mul(10);
                    value = next.and_then(|v| v.checked_add(u32::from(digit - b'0')));
                    if value.is_none() {
                        return Ok(None);
                    }
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}
