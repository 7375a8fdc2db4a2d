//! The messages of ONNX that a network needs (onnx.proto3), each level by itself: what lies within stays bytes until
//! it is asked for, and is shared with the file's. Before a message is taken apart its fields are counted, since a
//! field of two bytes becomes many times as many.

use prost::Message;
use prost::bytes::Bytes;

/// A file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Model {
    #[prost(int64, tag = "1")]
    pub(super) ir_version: i64,
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub(super) graph: Option<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    pub(super) opset_import: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "25")]
    pub(super) functions: Vec<Bytes>,
}

/// A set of operators, by its domain and version.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OperatorSet {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

/// The graph: nodes in their order, constants, what goes in and comes out.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Graph {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) node: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(super) initializer: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "11")]
    pub(super) input: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "12")]
    pub(super) output: Vec<Bytes>,
}

/// An operator with what it reads and gives.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(super) attribute: Vec<Bytes>,
    #[prost(string, tag = "7")]
    pub(super) domain: String,
}

/// An attribute of a node.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(float, tag = "2")]
    pub(super) f: f32,
    #[prost(int64, tag = "3")]
    pub(super) i: i64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) s: Bytes,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(super) t: Option<Bytes>,
    #[prost(float, repeated, tag = "7")]
    pub(super) floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub(super) ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub(super) kind: i32,
    #[prost(string, tag = "21")]
    pub(super) ref_attr_name: String,
}

/// A constant. Packed numbers are bytes here, and taken apart once they are wanted.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(super) segment: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) float_data: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) int32_data: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) int64_data: Bytes,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "bytes", tag = "9")]
    pub(super) raw_data: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    pub(super) double_data: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "13")]
    pub(super) external_data: Vec<Bytes>,
    #[prost(int32, tag = "14")]
    pub(super) data_location: i32,
}

/// A key and a value, of where numbers lie that are not in the file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Entry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// The name of what goes in, with its type.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) kind: Bytes,
}

/// A type, of which tensors alone are of interest.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Type {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) tensor: Bytes,
}

/// The type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(super) element: i32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) shape: Bytes,
}

/// The sides of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Shape {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) dims: Vec<Bytes>,
}

/// A side: a number, or a name for what is not known.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Side {
    #[prost(int64, optional, tag = "1")]
    pub(super) value: Option<i64>,
}

/// A number of 7 bits a byte; `None` behind the end.
fn number(rest: &mut &[u8]) -> Option<usize> {
    prost::decode_length_delimiter(rest).ok()
}

/// The numbers of the fields of a message, in their order, at most `most`; what a field holds is passed over.
fn fields(mut rest: &[u8], most: usize) -> Option<Vec<usize>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        if fields.len() == most {
            return None;
        }
        let key = number(&mut rest)?;
        let length = match key & 7 {
            0 => number(&mut rest).map(|_| 0)?,
            1 => 8,
            2 => number(&mut rest)?,
            5 => 4,
            _ => return None,
        };
        rest = rest.get(length..)?;
        fields.push(key >> 3);
    }
    Some(fields)
}

/// A message of at most `most` fields, none of `once` twice: of numbers packed in two parts the second would be taken
/// for all.
pub(super) fn message<M: Message + Default>(
    what: &str,
    bytes: &Bytes,
    most: usize,
    once: &[usize],
) -> Result<M, String> {
    let Some(fields) = fields(bytes, most) else {
        return Err(format!("{what} is damaged, or has more than {most} fields"));
    };
    let twice = |field: &&usize| fields.iter().filter(|other| other == field).count() > 1;
    if let Some(field) = once.iter().find(twice) {
        return Err(format!("{what} has its field {field} twice"));
    }
    M::decode(bytes.clone()).map_err(|e| format!("{what} is damaged: {e}"))
}

/// Packed numbers of 7 bits a byte, at most `most`.
pub(super) fn packed(bytes: &[u8], most: usize) -> Option<Vec<i64>> {
    let (mut rest, mut numbers) = (bytes, Vec::new());
    while !rest.is_empty() {
        if numbers.len() == most {
            return None;
        }
        numbers.push(number(&mut rest)? as i64);
    }
    Some(numbers)
}
