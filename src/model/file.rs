//! A file with a model, whichever its format: told by its first bytes, its arrays listed, the model loaded.

use super::load::{Arrays, Source, Tensor};
use super::mat::Layers;
use super::npz::Archive;
use super::{FloatModel, ModelError, mat, onnx, others, pth, safetensors, zipped};
use crate::network::MAX_WEIGHTS;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

/// The most bytes a model file may have: the most weights, in double precision, and a header.
const MAX_BYTES: u64 = 8 * MAX_WEIGHTS as u64 + (1 << 20);
/// What tells the formats apart: old PyTorch archives say their name behind 257 bytes.
const SIGNATURE: u64 = 512;

/// A format in which models are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelFormat {
    /// A NumPy archive.
    Npz,
    /// A safetensors file.
    Safetensors,
    /// What `torch.save` writes, today or before PyTorch 1.6.
    Pth,
    /// A graph of operators.
    Onnx,
    /// A MATLAB file.
    Mat,
}

impl fmt::Display for ModelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ModelFormat::Npz => ".npz",
            ModelFormat::Safetensors => "safetensors",
            ModelFormat::Pth => "PyTorch",
            ModelFormat::Onnx => "ONNX",
            ModelFormat::Mat => "MATLAB",
        })
    }
}

impl ModelFormat {
    /// The format of a file by what it begins with, of a ZIP archive by the names in it; `None` if it is
    /// none of them. Leaves the file at its beginning.
    ///
    /// # Errors
    /// What the reader says.
    pub fn detect(file: &mut (impl Read + Seek)) -> io::Result<Option<ModelFormat>> {
        let mut begin = Vec::new();
        file.rewind()?;
        file.by_ref().take(SIGNATURE).read_to_end(&mut begin)?;
        file.rewind()?;
        let format = match begin.as_slice() {
            [b'P', b'K', ..] => Some(Self::of_archive(file)),
            begin => Self::of_signature(begin),
        };
        file.rewind()?;
        Ok(format)
    }

    /// PyTorch's archives hold a pickle; a damaged one is for the reader of NumPy's to complain about.
    fn of_archive(file: &mut (impl Read + Seek)) -> ModelFormat {
        let Ok(archive) = zipped::open(file) else { return ModelFormat::Npz };
        if archive.file_names().flatten().any(|name| name.ends_with(".pkl")) {
            ModelFormat::Pth
        } else {
            ModelFormat::Npz
        }
    }

    fn of_signature(begin: &[u8]) -> Option<ModelFormat> {
        // The length of the header, and the header, which is JSON.
        let length = begin.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let safetensors = begin.get(8) == Some(&b'{') && length.is_some_and(|n| n < MAX_BYTES);
        // A pickle of protocol 2 or more.
        let pickle = matches!(begin, [0x80, 2..=5, ..]);
        let tar = begin.get(257..262) == Some(b"ustar");
        let mat = begin.starts_with(b"MATLAB") || begin.starts_with(b"\x89HDF");
        let level_5 = matches!(begin.get(124..128), Some([_, 1, b'I', b'M'] | [1, _, b'M', b'I']));
        if safetensors {
            Some(ModelFormat::Safetensors)
        } else if pickle || tar {
            Some(ModelFormat::Pth)
        } else if mat || level_5 {
            Some(ModelFormat::Mat)
        } else {
            onnx::begins(begin).then_some(ModelFormat::Onnx)
        }
    }
}

enum Contents {
    Npz(Archive<Box<dyn Source>>),
    Safetensors(safetensors::Tensors<Vec<u8>>),
    Pth(pth::Tensors),
    Onnx(onnx::Graph),
    Mat(Vec<u8>),
}

/// A file with arrays that may be a model's. Opaque in `Debug`: the arrays may be secret.
pub struct ModelFile {
    format: ModelFormat,
    length: u64,
    contents: Contents,
}

impl fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelFile({})", self.format)
    }
}

impl ModelFile {
    /// Opens a file of any of the formats.
    ///
    /// Memory: a safetensors, ONNX or MATLAB file whole, of the others what describes their arrays.
    ///
    /// # Errors
    /// [`ModelError::NoModel`] if it begins like none of them, [`ModelError::Read`], and what the reader of
    /// its format says of damage.
    pub fn open(mut file: impl Read + Seek + 'static) -> Result<ModelFile, ModelError> {
        others::refuse(&mut file)?;
        let format = ModelFormat::detect(&mut file)?.ok_or(ModelError::NoModel)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let contents = match format {
            ModelFormat::Npz => {
                let file: Box<dyn Source> = Box::new(file);
                Contents::Npz(Archive::open(file)?)
            }
            ModelFormat::Safetensors => {
                Contents::Safetensors(safetensors::Tensors::open(all(file)?)?)
            }
            ModelFormat::Pth => Contents::Pth(pth::Tensors::open(Box::new(file))?),
            ModelFormat::Onnx => Contents::Onnx(onnx::Graph::open(all(file)?)?),
            ModelFormat::Mat => Contents::Mat(all(file)?),
        };
        Ok(ModelFile { format, length, contents })
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Its format.
    pub fn format(&self) -> ModelFormat {
        self.format
    }

    /// The model that `beside`, the contents of `NAME.json`, or a description inside makes of the arrays.
    ///
    /// # Errors
    /// As [`super::load_npz`], [`super::load_safetensors`], [`super::load_pth`], [`super::load_mat`].
    pub fn model(&mut self, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
        match &mut self.contents {
            Contents::Npz(archive) => archive.model(beside),
            Contents::Safetensors(tensors) => tensors.model(beside),
            Contents::Pth(tensors) => tensors.model(beside),
            Contents::Onnx(graph) => graph.model(beside),
            Contents::Mat(bytes) => Layers::open(bytes)?.model(beside),
        }
    }

    /// All arrays, by name, numbers in names as numbers; of a MATLAB file its variables.
    ///
    /// # Errors
    /// [`ModelError::Array`] for a damaged one, [`ModelError::Mat`].
    pub fn tensors(&mut self) -> Result<Vec<Tensor>, ModelError> {
        let mut tensors = match &mut self.contents {
            Contents::Mat(bytes) => mat::variables(bytes)?,
            _ => self.with_arrays(|arrays| {
                let names = arrays.names();
                names.iter().map(|name| arrays.tensor(name)).collect::<Result<Vec<_>, _>>()
            })?,
        };
        tensors.sort_by_cached_key(|tensor| natural(&tensor.name));
        Ok(tensors)
    }

    /// The networks that were saved whole.
    pub(super) fn modules(&self) -> &[pth::Module] {
        match &self.contents {
            Contents::Pth(tensors) => tensors.modules(),
            _ => &[],
        }
    }

    /// The graph of an ONNX file, and how many bytes the file has.
    pub(super) fn graph(&self) -> Option<(&onnx::Graph, u64)> {
        match &self.contents {
            Contents::Onnx(graph) => Some((graph, self.length)),
            _ => None,
        }
    }

    /// Hands the arrays on, those of a MATLAB file as `w1, b1, ...`.
    pub(super) fn with_arrays<T, E: From<ModelError>>(
        &mut self,
        take: impl FnOnce(&mut dyn Arrays) -> Result<T, E>,
    ) -> Result<T, E> {
        match &mut self.contents {
            Contents::Npz(archive) => take(archive),
            Contents::Safetensors(tensors) => take(tensors),
            Contents::Pth(tensors) => take(tensors),
            Contents::Onnx(graph) => take(graph),
            Contents::Mat(bytes) => take(&mut Layers::open(bytes)?),
        }
    }
}

/// All bytes of a file that may be a model.
fn all(file: impl Read) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        Err(ModelError::TooLong { limit: MAX_BYTES })
    } else {
        Ok(bytes)
    }
}

/// A name in parts, in the order in which people count: 2 before 10.
pub(super) fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, more) = rest.split_at(text);
        let digits = more.find(|c: char| !c.is_ascii_digit()).unwrap_or(more.len());
        let (number, more) = more.split_at(digits);
        parts.push((word.to_string(), number.parse().unwrap_or(u64::MAX)));
        rest = more;
    }
    parts
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

    fn open(bytes: &[u8]) -> Result<ModelFile, ModelError> {
        ModelFile::open(Cursor::new(bytes.to_vec()))
    }

    fn described() -> Vec<u8> {
        let model = load_npz(Cursor::new(NPZ), None).unwrap();
        super::super::describe(&model).into_bytes()
    }

    #[test]
    fn formats_are_told_by_the_first_bytes() {
        let safetensors = [&2u64.to_le_bytes()[..], b"{}"].concat();
        let mut mat = vec![b' '; 124];
        mat.extend([0, 1, b'I', b'M']);
        for (bytes, format) in [
            (NPZ, ModelFormat::Npz),
            (ZIP, ModelFormat::Pth),
            (LEGACY, ModelFormat::Pth),
            (&safetensors, ModelFormat::Safetensors),
            (&mat, ModelFormat::Mat),
            (b"MATLAB 7.3 MAT-file", ModelFormat::Mat),
        ] {
            let found = ModelFormat::detect(&mut Cursor::new(bytes)).unwrap();
            assert_eq!(found, Some(format));
        }
        for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", b"PPDNOISE", b"{\"layers\":[]}"] {
            assert_eq!(ModelFormat::detect(&mut Cursor::new(bytes)).unwrap(), None);
            assert!(matches!(open(bytes), Err(ModelError::NoModel)));
        }
    }

    #[test]
    fn every_format_lists_its_arrays_and_gives_the_model() {
        let expected = load_npz(Cursor::new(NPZ), None).unwrap().network;
        let mut npz = open(NPZ).unwrap();
        let tensor = |name: &str, dtype: &str, shape: &[usize]| Tensor {
            name: name.into(),
            dtype: dtype.into(),
            shape: shape.to_vec(),
        };
        let listed = npz.tensors().unwrap();
        assert_eq!(listed.len(), 4);
        assert_eq!((&listed[0].name, &listed[3].shape), (&"b1".to_string(), &vec![25, 24]));
        assert_eq!(npz.model(None).unwrap().network, expected);
        for bytes in [ZIP, LEGACY] {
            let mut file = open(bytes).unwrap();
            assert_eq!(file.format().to_string(), "PyTorch");
            let listed = file.tensors().unwrap();
            assert_eq!(listed[1], tensor("0.weight", "F32", &[24, 81]));
            assert_eq!(listed[2], tensor("2.bias", "F32", &[25]));
            assert!(matches!(file.model(None), Err(ModelError::NoDescription)));
            assert_eq!(file.model(Some(&described())).unwrap().network, expected);
        }
    }

    #[test]
    fn numbers_in_names_count() {
        let mut names = ["m.10.weight", "m.2.weight", "m.2.bias", "a"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["a", "m.2.bias", "m.2.weight", "m.10.weight"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_listed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, cut: usize) {
            let try_all = |bytes: &[u8]| {
                if let Ok(mut file) = open(bytes) {
                    let _ = file.tensors();
                }
            };
            try_all(&bytes);
            try_all(&[&(bytes.len() as u64).to_le_bytes()[..], b"{", &bytes].concat());
            for good in [NPZ, ZIP, LEGACY] {
                let mut damaged = good.to_vec();
                damaged[at % good.len()] = byte;
                try_all(&damaged);
                try_all(&good[..cut % good.len()]);
            }
        }
    }
}
