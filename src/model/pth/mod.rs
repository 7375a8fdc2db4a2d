//! Models as PyTorch files (`.pth`, `.pt`): the `state_dict` of a sequential module, `NUMBER.weight` and
//! `NUMBER.bias`, tensors `w1, b1, w2, b2, ...`, or a whole module, which says what its layers are.
//!
//! Nothing in the file is run, and every length is compared with the file. No crate that was found tells what
//! a whole module's layers are; the one that reads tensors keeps neither classes nor their order.
//!
//! May use: arrays of a model file. Pure.
//!
//! Security: files are hostile; weights are secret and in no message.

mod objects;
mod pickle;
mod storage;

pub(super) use objects::{Module, Said};

use super::load::{Arrays, Source, Tensor, assemble, from_f16, words};
use super::{Description, FloatModel, ModelError};
use objects::{Contents, TensorRecord};
use std::io::{Read, Seek, SeekFrom};
use storage::{Container, Kind};

/// Longest pickle: its objects take some 70 times its bytes of memory.
const MAX_PICKLE: u64 = 1 << 20;
/// How often a file's bytes may be named by its tensors, which share them at times.
const MOST_NAMED: u64 = 4;
/// Bytes that may be named however short the file is.
const SLACK: u64 = 1 << 16;

/// Loads a model from a PyTorch file; `beside` is the contents of `NAME.json`.
///
/// Tensors are read one by one. They are of type F64, F32, F16 or BF16; names are found as
/// [`super::load_safetensors`] finds them. Memory: at most 100 MB for the pickle, and the weights.
///
/// # Errors
/// [`ModelError`]: no description, a missing tensor, another shape than described, NaN or infinity by
/// position, a pickle too long, tensors that name more than the file holds.
pub fn load_pth(
    reader: impl Read + Seek + 'static,
    beside: Option<&[u8]>,
) -> Result<FloatModel, ModelError> {
    Tensors::open(Box::new(reader))?.model(beside)
}

/// The tensors of a file, wherever in its dictionaries and modules they are.
pub(super) struct Tensors {
    container: Container,
    contents: Contents,
}

impl Tensors {
    pub(super) fn open(file: Box<dyn Source>) -> Result<Self, ModelError> {
        Self::read(file).map_err(ModelError::Pth)
    }

    fn read(mut file: Box<dyn Source>) -> Result<Self, String> {
        let told = |e: std::io::Error| e.to_string();
        let length = file.seek(SeekFrom::End(0)).map_err(told)?;
        let mut begin = Vec::new();
        file.rewind().map_err(told)?;
        file.by_ref().take(512).read_to_end(&mut begin).map_err(told)?;
        file.rewind().map_err(told)?;
        if begin.get(257..262) == Some(b"ustar") {
            return Err("it was saved before PyTorch 0.1.10; save it anew in Python: \
                        torch.save(torch.load('FILE'), 'new.pth')"
                .into());
        }
        let (container, contents) = if begin.starts_with(b"PK") {
            let (container, pickle) = Container::archive(file)?;
            (container, Contents::of(&pickle)?)
        } else {
            let (mut container, pickle, at) = Container::stream(file)?;
            let contents = Contents::of(&pickle)?;
            container.find(&contents.storages, at)?;
            (container, contents)
        };
        let bytes = |t: &TensorRecord| (t.count as u64).saturating_mul(t.kind.size() as u64);
        let named = contents.tensors.iter().map(bytes).fold(0, u64::saturating_add);
        if named > length.saturating_mul(MOST_NAMED).saturating_add(SLACK) {
            return Err(format!(
                "its tensors name {named} bytes and the file has {length}: it was cut, or made to waste memory"
            ));
        }
        Ok(Tensors { container, contents })
    }

    /// See [`load_pth`].
    pub(super) fn model(&mut self, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
        let description = Description::parse(beside.ok_or(ModelError::NoDescription)?)?;
        assemble(&description, self)
    }

    /// The networks that were saved whole.
    pub(super) fn modules(&self) -> &[Module] {
        &self.contents.modules
    }

    fn find(&self, name: &str) -> Result<&TensorRecord, ModelError> {
        let missing = || ModelError::Array { name: name.into(), reason: "is missing".into() };
        self.contents.tensors.iter().find(|tensor| tensor.name == name).ok_or_else(missing)
    }
}

impl Arrays for Tensors {
    fn names(&self) -> Vec<String> {
        self.contents.tensors.iter().map(|tensor| tensor.name.clone()).collect()
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        let TensorRecord { kind, shape, .. } = self.find(name)?;
        Ok(Tensor { name: name.into(), dtype: kind.name(), shape: shape.clone() })
    }

    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let error = |reason: String| ModelError::Array { name: name.into(), reason };
        let found = self.find(name)?.clone();
        if found.shape != shape {
            return Err(error(format!("has shape {:?}, expected {shape:?}", found.shape)));
        }
        if let Kind::Integer(_) = found.kind {
            let kind = found.kind.name();
            return Err(error(format!("is of type {kind}, expected F64, F32, F16 or BF16")));
        }
        if found.count == 0 {
            return Ok(Vec::new());
        }
        let sides = || found.shape.iter().zip(&found.strides);
        let reach: usize = 1 + sides().map(|(side, stride)| (side - 1) * stride).sum::<usize>();
        let size = found.kind.size();
        let (start, length) = ((found.offset * size) as u64, (reach * size) as u64);
        let data = self.container.bytes(&found.storage, start, length).map_err(error)?;
        let values: Vec<f32> = match found.kind {
            Kind::F64 => words(&data).map(|b| f64::from_le_bytes(b) as f32).collect(),
            Kind::F32 => words(&data).map(f32::from_le_bytes).collect(),
            Kind::F16 => words(&data).map(|b| from_f16(u16::from_le_bytes(b))).collect(),
            _ => words(&data).map(|b| from_bf16(u16::from_le_bytes(b))).collect(),
        };
        let dense = sides().rev().try_fold(1, |step, (&side, &stride)| {
            (side == 1 || stride == step).then_some(step * side)
        });
        if dense.is_some() {
            return Ok(values);
        }
        let place = |i: usize| {
            let step = |(rest, at): (usize, usize), (&side, &stride): (&usize, &usize)| {
                (rest / side, at + rest % side * stride)
            };
            sides().rev().fold((i, 0), step).1
        };
        Ok((0..found.count).map(|i| values[place(i)]).collect())
    }
}

fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests;
