//! Models as PyTorch files (`.pth`, `.pt`): the `state_dict` of a sequential module, `NUMBER.weight` and
//! `NUMBER.bias`, or tensors `w1, b1, w2, b2, ...`.
//!
//! Nothing in the file is run: crate `pytorch-reader` walks through the pickle, knows the few
//! names that tensors need, and compares every length with the file.

use super::load::{Arrays, Tensor, assemble, from_f16, words};
use super::{Description, FloatModel, ModelError};
use pytorch_reader::{DType, PytorchReader};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zip::{CompressionMethod, ZipArchive};

/// Longest pickle in an archive: its objects take some 300 times its bytes of memory.
const MAX_PICKLE: u64 = 256 << 10;

/// Longest file of the older forms, in which nothing says where the pickle ends.
const MAX_STREAM: u64 = 4 << 20;

/// Loads a model from a PyTorch file; `beside` is the contents of `NAME.json`.
///
/// The crate reads tensors from the file one by one, so this takes a path. Tensors are of type F64,
/// F32, F16 or BF16; names are found as [`super::load_safetensors`] finds them. Memory: at most
/// 300 bytes for each byte of the pickle, that is 80 MB for an archive and 1.3 GB for an older file, and
/// the weights.
///
/// # Errors
/// [`ModelError`]: no such file, no description, a missing tensor, another shape than described, NaN or
/// infinity by position, a pickle too long.
pub fn load_pth(path: &Path, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
    Tensors::open(path)?.model(beside)
}

/// Refuses a pickle that would take much memory once it is parsed.
fn check_pickle(path: &Path) -> Result<(), String> {
    let told = |e: io::Error| e.to_string();
    let mut file = File::open(path).map_err(told)?;
    let mut start = [0; 2];
    // Wider than what the crate takes for an archive (a first or a last record), never narrower.
    if file.read_exact(&mut start).is_err() || start != *b"PK" {
        let length = file.metadata().map_err(told)?.len();
        return match length > MAX_STREAM {
            true => Err(format!(
                "it is no ZIP archive and has {length} bytes, expected at most {MAX_STREAM}; save it anew with PyTorch 1.6 or later"
            )),
            false => Ok(()),
        };
    }
    let mut archive = ZipArchive::new(file).map_err(|e| e.to_string())?;
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(|e| e.to_string())?;
        if entry.compression() != CompressionMethod::Stored {
            return Err("its entries are compressed, and torch.save compresses none".into());
        }
        let name = entry.name().map_err(|e| e.to_string())?;
        if name.ends_with(".pkl") && entry.size() > MAX_PICKLE {
            return Err(format!(
                "its pickle has {} bytes, expected at most {MAX_PICKLE}; save the state_dict alone",
                entry.size()
            ));
        }
    }
    Ok(())
}

/// The tensors of a file, wherever in its dictionaries they are.
pub(super) struct Tensors {
    reader: PytorchReader,
}

impl Tensors {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        check_pickle(path).map_err(ModelError::Pth)?;
        let reader = PytorchReader::new(path).map_err(|e| ModelError::Pth(e.to_string()))?;
        Ok(Tensors { reader })
    }

    /// See [`load_pth`].
    pub(super) fn model(&mut self, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
        let description = Description::parse(beside.ok_or(ModelError::NoDescription)?)?;
        assemble(&description, self)
    }
}

impl Arrays for Tensors {
    fn names(&self) -> Vec<String> {
        self.reader.keys()
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        let missing = || ModelError::Array { name: name.into(), reason: "is missing".into() };
        let tensor = self.reader.get(name).ok_or_else(missing)?;
        let (dtype, shape) = (format!("{:?}", tensor.dtype()), tensor.shape().to_vec());
        Ok(Tensor { name: name.into(), dtype, shape })
    }

    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let error = |reason: String| ModelError::Array { name: name.into(), reason };
        let tensor = self.reader.get(name).ok_or_else(|| error("is missing".into()))?;
        if tensor.shape() != shape {
            return Err(error(format!("has shape {:?}, expected {shape:?}", tensor.shape())));
        }
        let dtype = tensor.dtype();
        if !matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
            return Err(error(format!("is of type {dtype:?}, expected F64, F32, F16 or BF16")));
        }
        // In the order of this machine, as the crate says.
        let data = tensor.read().map_err(|e| error(e.to_string()))?;
        Ok(match dtype {
            DType::F64 => words(&data).map(|b| f64::from_ne_bytes(b) as f32).collect(),
            DType::F32 => words(&data).map(f32::from_ne_bytes).collect(),
            DType::F16 => words(&data).map(|b| from_f16(u16::from_ne_bytes(b))).collect(),
            _ => words(&data).map(|b| from_bf16(u16::from_ne_bytes(b))).collect(),
        })
    }
}

fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::load_npz;
    use proptest::prelude::*;
    use std::io::Cursor;

    const NPZ: &[u8] = include_bytes!("../../fixtures/models/tiny-9-5-24.npz");
    const ZIP: &[u8] = include_bytes!("../../fixtures/models/tiny-9-5-24.pth");
    const LEGACY: &[u8] = include_bytes!("../../fixtures/models/tiny-9-5-24-legacy.pth");
    const JSON: &str = r#"{"kind":"mlp","activation":"tanh","input_patch":9,"output_patch":5,
        "hidden":[24],"stride":3,"sigma":25.0,"residual":true}"#;

    fn load(bytes: &[u8]) -> Result<FloatModel, ModelError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        load_pth(file.path(), Some(JSON.as_bytes()))
    }

    fn refused(bytes: &[u8]) -> String {
        load(bytes).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_hold_the_same_model() {
        let expected = load_npz(Cursor::new(NPZ), None).unwrap();
        for bytes in [ZIP, LEGACY] {
            assert_eq!(load(bytes).unwrap().network, expected.network);
        }
    }

    #[test]
    fn bad_files_are_refused() {
        let none = load_pth(Path::new("no such file"), Some(JSON.as_bytes())).unwrap_err();
        assert!(matches!(none, ModelError::Pth(_)));
        let text = refused(&[LEGACY, &vec![0; 4 << 20]].concat());
        assert!(text.contains("4205260 bytes, expected at most 4194304; save it anew"), "{text}");
        let other = JSON.replace("[24]", "[23]");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ZIP).unwrap();
        assert!(matches!(load_pth(file.path(), None), Err(ModelError::NoDescription)));
        let text = load_pth(file.path(), Some(other.as_bytes())).unwrap_err().to_string();
        assert!(text.contains("`0.weight`: has shape [24, 81], expected [23, 81]"), "{text}");
    }

    /// A pickle that deflates a thousandfold would take gigabytes once it is parsed.
    #[test]
    fn compressed_archives_and_long_pickles_are_refused() {
        let made = |method, length| {
            let mut made = zip::ZipWriter::new(Cursor::new(Vec::new()));
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            made.start_file("x/data.pkl", options).unwrap();
            io::Write::write_all(&mut made, &vec![b']'; length]).unwrap();
            made.finish().unwrap().into_inner()
        };
        let archive = |method, length| refused(&made(method, length));
        // The crate takes what begins like an empty archive for one, too.
        let hidden =
            [b"PK\x05\x06", &[0; 18][..], &made(zip::CompressionMethod::Deflated, 1 << 20)];
        assert!(refused(&hidden.concat()).contains("compressed"));
        let text = archive(zip::CompressionMethod::Deflated, 1 << 20);
        assert!(text.contains("compressed"), "{text}");
        let text = archive(zip::CompressionMethod::Stored, 300_000);
        assert!(text.contains("300000 bytes, expected at most 262144"), "{text}");
    }

    #[test]
    fn bfloat16_is_the_upper_half() {
        assert_eq!(from_bf16(0x3f40), 0.75);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, cut: usize) {
            prop_assert!(load(&bytes).is_err());
            for good in [ZIP, LEGACY] {
                let mut damaged = good.to_vec();
                damaged[at % good.len()] = byte;
                let _ = load(&damaged);
                prop_assert!(load(&good[..cut % good.len()]).is_err());
            }
        }
    }
}
