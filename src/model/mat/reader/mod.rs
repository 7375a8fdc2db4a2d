//! Just enough of MATLAB's level 5 MAT-file format to read real matrices and cell arrays of them
//! (MathWorks, "MAT-File Format"). No crate found reads cell arrays.
//!
//! Written for hostile files: numbers are read as they come, so that no declared size takes memory
//! that the file does not fill, nothing is nested but a cell array's matrices, and every length is
//! compared with what it must be.

use crate::network::{MAX_WEIGHTS, MAX_WIDTH};
use flate2::read::ZlibDecoder;
use std::io::Read;

/// A variable of the file.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) contents: Contents,
}

/// What a variable holds.
pub(super) enum Contents {
    Matrix(Matrix),
    Cell(Vec<Matrix>),
    /// What was passed over: its class and its sides.
    Other(u8, Vec<i32>),
}

/// A real matrix. Opaque in `Debug`.
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Column by column.
    values: Vec<f32>,
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matrix({}x{})", self.rows, self.columns)
    }
}

impl Matrix {
    /// The entry at a row and column inside.
    pub(super) fn at(&self, row: usize, column: usize) -> f32 {
        self.values[column * self.rows + row]
    }
}

/// Bytes of the text, version and byte order before the first variable.
const HEADER: usize = 128;
/// The most variables, and the most cells of an array, that are looked at.
const MAX_PARTS: usize = 1000;
/// The longest name of a variable; MATLAB's own limit is 63.
const MAX_NAME: usize = 256;

// Types of data elements.
const INT8: u32 = 1;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
// Classes of arrays.
const CELL_CLASS: u8 = 1;
const DOUBLE_CLASS: u8 = 6;
const SINGLE_CLASS: u8 = 7;
/// The flag of complex numbers.
const COMPLEX: u32 = 0x0800;

/// What MATLAB calls a class of arrays.
pub(super) fn class_name(class: u8) -> &'static str {
    match class {
        CELL_CLASS => "cell",
        2 => "struct",
        3 => "object",
        4 => "char",
        5 => "sparse",
        DOUBLE_CLASS => "double",
        SINGLE_CLASS => "single",
        8..=15 => "integer",
        _ => "unknown",
    }
}

/// The variables of a file. Only those whose names begin with w and that are matrices or cell arrays of
/// matrices are read, others are passed over.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Variable>, String> {
    if bytes.starts_with(b"\x89HDF") || bytes.starts_with(b"MATLAB 7.3") {
        return Err("it is of version 7.3; save it again in MATLAB with save(..., '-v7')".into());
    }
    let (header, mut rest) = bytes.split_at_checked(HEADER).ok_or("it is too short")?;
    match header[124..] {
        [_, 1, b'I', b'M'] => {}
        [1, _, b'M', b'I'] => return Err("it was written on a big-endian machine".into()),
        _ => return Err("it does not begin as a MATLAB file of level 5 does".into()),
    }
    let (mut variables, mut room) = (Vec::new(), MAX_WEIGHTS);
    for _ in 0..MAX_PARTS {
        let Some((tag, after)) = rest.split_first_chunk::<8>() else { break };
        let [kind, length] = halves(*tag);
        let (mut body, after) = after.split_at_checked(length as usize).ok_or("it is cut off")?;
        rest = after;
        let variable = match kind {
            MATRIX => Source { bytes: &mut body, left: length.into(), room: &mut room }
                .array(Depth::Top)?,
            COMPRESSED => {
                let mut inflated = ZlibDecoder::new(body);
                let [kind, length] = halves(take(&mut inflated)?);
                if kind != MATRIX {
                    return Err(format!("a compressed element is of type {kind}, not a matrix"));
                }
                Source { bytes: &mut inflated, left: length.into(), room: &mut room }
                    .array(Depth::Top)?
            }
            _ => continue,
        };
        variables.push(variable);
    }
    if !rest.is_empty() {
        return Err("it is cut off, or has too many variables".into());
    }
    Ok(variables)
}

/// How deep in the file an array is.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Top,
    Cell,
}

/// The elements of one array.
struct Source<'a> {
    bytes: &'a mut dyn Read,
    /// Bytes of the array that are left, as its tag promised.
    left: u64,
    /// Numbers that may still be read from the whole file.
    room: &'a mut usize,
}

/// The tag of an element: its type, its length, and its data if they are in the tag.
struct Tag {
    kind: u32,
    length: usize,
    small: Option<[u8; 4]>,
}

impl Source<'_> {
    /// An array, read if it is a real matrix or, at the top, a cell array of those, and by its name may
    /// be part of a model.
    fn array(mut self, depth: Depth) -> Result<Variable, String> {
        let flags = self.small_element(UINT32, "array flags", 8)?;
        let flags = u32::from_le_bytes(*flags.first_chunk().ok_or("array flags are too short")?);
        let dimensions = self.small_element(INT32, "dimensions", 128)?;
        let name = self.small_element(INT8, "a name", MAX_NAME)?;
        let name = String::from_utf8_lossy(&name).into_owned();
        let sides: Vec<i32> =
            dimensions.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
        let wanted = depth == Depth::Cell || name.starts_with('w');
        let read = match (flags as u8, depth) {
            (DOUBLE_CLASS | SINGLE_CLASS, _) if wanted && flags & COMPLEX == 0 => match two(&sides)
            {
                Some((rows, columns)) => Some(Contents::Matrix(self.matrix(rows, columns)?)),
                None => None,
            },
            (CELL_CLASS, Depth::Top) if wanted => self.cells(&sides)?.map(Contents::Cell),
            _ => None,
        };
        let contents = read.unwrap_or(Contents::Other(flags as u8, sides));
        Ok(Variable { name, contents })
    }

    /// The matrices of a cell array; none if one of them is something else.
    fn cells(&mut self, sides: &[i32]) -> Result<Option<Vec<Matrix>>, String> {
        let count = two(sides).and_then(|(rows, columns)| rows.checked_mul(columns));
        let Some(count) = count.filter(|&n| n <= MAX_PARTS) else { return Ok(None) };
        let mut matrices = Vec::new();
        for _ in 0..count {
            let tag = self.tag()?;
            if tag.kind != MATRIX || tag.small.is_some() {
                return Err(format!("a cell is of type {}, not an array", tag.kind));
            }
            self.spend(tag.length)?;
            let left = tag.length as u64;
            let inner = Source { bytes: &mut *self.bytes, left, room: &mut *self.room };
            match inner.array(Depth::Cell)?.contents {
                Contents::Matrix(matrix) => matrices.push(matrix),
                _ => return Ok(None),
            }
        }
        Ok(Some(matrices))
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Result<Matrix, String> {
        let count = match rows.checked_mul(columns) {
            Some(count) if rows.max(columns) <= MAX_WIDTH + 1 && count <= *self.room => count,
            _ => return Err(format!("a matrix of {rows}x{columns} is more than a model may have")),
        };
        *self.room -= count;
        let tag = self.tag()?;
        let (width, read) = number(tag.kind)
            .ok_or_else(|| format!("a matrix has numbers of the unknown type {}", tag.kind))?;
        if tag.length != count * width {
            return Err(format!(
                "a {rows}x{columns} matrix has {} bytes of numbers, expected {}",
                tag.length,
                count * width
            ));
        }
        let mut values = Vec::new();
        if let Some(data) = tag.small {
            values.extend(data[..tag.length].chunks_exact(width).map(read));
        } else {
            self.spend(padded(tag.length))?;
            let mut buffer = [0; 8 << 10];
            let mut left = tag.length;
            while left > 0 {
                let piece = &mut buffer[..left.min(8 << 10)];
                self.bytes.read_exact(piece).map_err(cut_off)?;
                values.extend(piece.chunks_exact(width).map(read));
                left -= piece.len();
            }
            self.skip(padded(tag.length) - tag.length)?;
        }
        Ok(Matrix { rows, columns, values })
    }

    /// The data of an element that must be of this type and has at most `limit` bytes.
    fn small_element(&mut self, kind: u32, what: &str, limit: usize) -> Result<Vec<u8>, String> {
        let tag = self.tag()?;
        if tag.kind != kind || tag.length > limit {
            return Err(format!("{what} of type {} and {} bytes", tag.kind, tag.length));
        }
        if let Some(data) = tag.small {
            return Ok(data[..tag.length].to_vec());
        }
        self.spend(padded(tag.length))?;
        let mut data = vec![0; tag.length];
        self.bytes.read_exact(&mut data).map_err(cut_off)?;
        self.skip(padded(tag.length) - tag.length)?;
        Ok(data)
    }

    fn tag(&mut self) -> Result<Tag, String> {
        self.spend(8)?;
        let [first, second] = halves(take(self.bytes)?);
        // Data of up to 4 bytes share the tag: the length is in its upper half.
        match first >> 16 {
            0 => Ok(Tag { kind: first, length: second as usize, small: None }),
            length @ 1..=4 => {
                let small = Some(second.to_le_bytes());
                Ok(Tag { kind: first & 0xffff, length: length as usize, small })
            }
            length => Err(format!("a small element of {length} bytes, at most 4 are possible")),
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.left =
            self.left.checked_sub(bytes as u64).ok_or("an element is longer than its array")?;
        Ok(())
    }

    /// Reads padding away; at most 7 bytes.
    fn skip(&mut self, bytes: usize) -> Result<(), String> {
        let mut padding = [0; 8];
        self.bytes.read_exact(&mut padding[..bytes]).map_err(cut_off)
    }
}

/// Reads a number from just its bytes.
type ReadNumber = fn(&[u8]) -> f32;

/// Width of a stored number and how to read it. MATLAB stores doubles in the narrowest type that
/// holds them.
fn number(kind: u32) -> Option<(usize, ReadNumber)> {
    macro_rules! of {
        ($t:ty) => {
            (size_of::<$t>(), |b| {
                let mut bytes = [0; size_of::<$t>()];
                bytes.copy_from_slice(b);
                <$t>::from_le_bytes(bytes) as f32
            })
        };
    }
    Some(match kind {
        INT8 => of!(i8),
        2 => of!(u8),
        3 => of!(i16),
        4 => of!(u16),
        INT32 => of!(i32),
        UINT32 => of!(u32),
        7 => of!(f32),
        9 => of!(f64),
        12 => of!(i64),
        13 => of!(u64),
        _ => return None,
    })
}

/// Rows and columns, if there are just these.
fn two(sides: &[i32]) -> Option<(usize, usize)> {
    match *sides {
        [rows, columns] => Some((rows.try_into().ok()?, columns.try_into().ok()?)),
        _ => None,
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

fn halves(bytes: [u8; 8]) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

fn take<const N: usize>(source: &mut dyn Read) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes).map_err(cut_off)?;
    Ok(bytes)
}

/// The end of the data, or compressed data that are damaged.
fn cut_off(_: std::io::Error) -> String {
    "it is cut off or damaged".into()
}

#[cfg(test)]
pub(super) mod tests;
