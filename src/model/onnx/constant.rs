//! Constants of a graph: their numbers as the file has them, in one of several places.

use super::proto::{self, message, packed};
use super::{MOST_FIELDS, named};
use crate::model::load::{from_f16, words};
use prost::bytes::Bytes;

/// The most sides of a constant, one of which may be its fields.
const MOST_SIDES: usize = 8;

/// The types of numbers that are read, by ONNX's numbers for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    F32,
    F64,
    F16,
    BF16,
    I32,
    I64,
    /// Another, which is of no weight.
    Other(i32),
}

impl Kind {
    fn of(number: i32) -> Kind {
        match number {
            1 => Kind::F32,
            6 => Kind::I32,
            7 => Kind::I64,
            10 => Kind::F16,
            11 => Kind::F64,
            16 => Kind::BF16,
            other => Kind::Other(other),
        }
    }

    /// Bytes of a number.
    fn size(self) -> usize {
        match self {
            Kind::F64 | Kind::I64 => 8,
            Kind::F32 | Kind::I32 => 4,
            Kind::F16 | Kind::BF16 => 2,
            Kind::Other(_) => 1,
        }
    }

    fn is_float(self) -> bool {
        matches!(self, Kind::F32 | Kind::F64 | Kind::F16 | Kind::BF16)
    }
}

/// Whether the type of this number is one of floats.
pub(super) fn is_float(number: i32) -> bool {
    Kind::of(number).is_float()
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Constant {
    kind: Kind,
    /// Its sides, outermost first.
    pub(in crate::model) shape: Vec<usize>,
    /// Its numbers, little-endian; packed in 7 bits a byte if so.
    data: Bytes,
    is_packed: bool,
}

impl Constant {
    /// A number.
    pub(super) fn float(number: f32) -> Constant {
        Constant::floats_of(vec![], &[number])
    }

    /// Numbers of this shape.
    pub(in crate::model) fn floats_of(shape: Vec<usize>, numbers: &[f32]) -> Constant {
        let data: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
        Constant { kind: Kind::F32, shape, data: data.into(), is_packed: false }
    }

    /// Whole numbers of this shape.
    pub(in crate::model) fn ints(shape: Vec<usize>, numbers: &[i64]) -> Constant {
        let data: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
        Constant { kind: Kind::I64, shape, data: data.into(), is_packed: false }
    }

    /// A constant of a file, with its name; its length is compared with its shape.
    pub(super) fn read(bytes: &Bytes) -> Result<(String, Constant), String> {
        let tensor: proto::Tensor =
            message("a constant", bytes, MOST_FIELDS, &[2, 4, 5, 7, 8, 9, 10, 14])?;
        let name = named(&tensor.name)?;
        let about = |what: &str| format!("its constant `{name}` {what}");
        if tensor.data_location != 0 || !tensor.external_data.is_empty() {
            let place = elsewhere(&tensor.external_data)?;
            return Err(about(&format!(
                "lies in another file{place}; save all in one in Python: import onnx; \
                 onnx.save(onnx.load('FILE'), 'one.onnx')"
            )));
        }
        if tensor.segment.is_some() {
            return Err(about("is a part of one, which is not read"));
        }
        let side = |side: &i64| usize::try_from(*side).ok();
        let shape: Option<Vec<usize>> = tensor.dims.iter().map(side).collect();
        let Some(shape) = shape.filter(|shape| shape.len() <= MOST_SIDES) else {
            return Err(about("has a shape that is none"));
        };
        let kind = Kind::of(tensor.data_type);
        let count = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        let size = count.and_then(|count| count.checked_mul(kind.size()));
        let places = [
            (&tensor.raw_data, true),
            (&tensor.float_data, kind == Kind::F32),
            (&tensor.double_data, kind == Kind::F64),
            (&tensor.int32_data, matches!(kind, Kind::F16 | Kind::BF16 | Kind::I32)),
            (&tensor.int64_data, kind == Kind::I64),
        ];
        let mut found = places.iter().enumerate().filter(|(_, (data, _))| !data.is_empty());
        let (data, place) = match (found.next(), found.next()) {
            (None, _) => (Bytes::new(), 0),
            (Some((at, (data, true))), None) => ((*data).clone(), at),
            _ if matches!(kind, Kind::Other(_)) => (Bytes::new(), 0),
            _ => return Err(about("has numbers of another type than it says, or has them twice")),
        };
        let is_packed = place >= 3;
        if !is_packed && !matches!(kind, Kind::Other(_)) && Some(data.len()) != size {
            let bytes = data.len();
            return Err(about(&format!("has {bytes} bytes of numbers for the shape {shape:?}")));
        }
        Ok((name, Constant { kind, shape, data, is_packed }))
    }

    /// How many numbers its shape names; the file was seen to have as many.
    pub(in crate::model) fn count(&self) -> usize {
        self.shape.iter().fold(1, |n, side| n.saturating_mul(*side))
    }

    /// The type of its numbers, for reports.
    pub(super) fn dtype(&self) -> String {
        match self.kind {
            Kind::Other(number) => format!("type {number}"),
            kind => format!("{kind:?}"),
        }
    }

    fn whole(&self) -> Result<Vec<i64>, String> {
        let count = self.count();
        let found = match self.kind {
            _ if self.is_packed => packed(&self.data, count),
            Kind::I32 => {
                Some(words(&self.data).map(|b| i64::from(i32::from_le_bytes(b))).collect())
            }
            Kind::I64 => Some(words(&self.data).map(i64::from_le_bytes).collect()),
            _ => None,
        };
        found
            .filter(|found| found.len() == count)
            .ok_or_else(|| format!("has no {count} whole numbers"))
    }

    /// Its whole numbers, row by row.
    pub(in crate::model) fn numbers(&self) -> Result<Vec<i64>, String> {
        match self.kind {
            Kind::I32 | Kind::I64 => self.whole(),
            _ => Err(format!("is of type {}, expected whole numbers", self.dtype())),
        }
    }

    /// Its numbers, row by row. Need not be finite.
    pub(in crate::model) fn floats(&self) -> Result<Vec<f32>, String> {
        let data = &self.data[..];
        let halves = || -> Result<Vec<u16>, String> {
            if self.is_packed {
                self.whole()?
                    .into_iter()
                    .map(|v| u16::try_from(v).map_err(|e| e.to_string()))
                    .collect()
            } else {
                Ok(words(data).map(u16::from_le_bytes).collect())
            }
        };
        Ok(match self.kind {
            Kind::F32 => words(data).map(f32::from_le_bytes).collect(),
            Kind::F64 => words(data).map(|b| f64::from_le_bytes(b) as f32).collect(),
            Kind::F16 => halves()?.into_iter().map(from_f16).collect(),
            Kind::BF16 => {
                halves()?.into_iter().map(|b| f32::from_bits(u32::from(b) << 16)).collect()
            }
            _ => return Err(format!("is of type {}, expected floats", self.dtype())),
        })
    }
}

/// The name of the file in which the numbers lie, in brackets.
fn elsewhere(entries: &[Bytes]) -> Result<String, String> {
    for bytes in entries {
        let entry: proto::Entry = message("the place of a constant", bytes, MOST_FIELDS, &[1, 2])?;
        if entry.key == "location" {
            return Ok(format!(" (`{}`)", named(&entry.value)?));
        }
    }
    Ok(String::new())
}
