//! Model files as their owner has them: told by their first bytes, read with the description beside them,
//! tried, written.

mod error;

use super::images::is_stream;
use crate::files::FormatError;
use crate::files::container::envelope::{MAGIC, open_file};
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::image::ImageFormat;
use crate::model::{
    Description, Doubt, FloatModel, ModelError, ModelFile, ModelFormat, Packing, describe, save_npz,
};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};

pub use error::{ModelFileError, NoModel};

/// The most bytes a model's description may have.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// A model of any format.
    Model,
    /// An image.
    Image(ImageFormat),
    /// A file of this program, or one that begins like none.
    Other,
}

/// Tells what a file is. A pipe can be read only once, so it is taken for a file of this program.
///
/// # Errors
/// [`ModelFileError::Format`] for a file that cannot be read.
pub fn recognise(path: &Path) -> Result<Recognised, ModelFileError> {
    let regular = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    if is_stream(path) || !regular {
        return Ok(Recognised::Other);
    }
    let mut file = open(path)?;
    let format = ModelFormat::detect(&mut file).map_err(|e| FormatError::io(path, "read", e))?;
    if format.is_some() {
        return Ok(Recognised::Model);
    }
    let begin = read(file, path, ImageFormat::SIGNATURE_LEN)?;
    Ok(match ImageFormat::from_signature(&begin) {
        Some(format) if !begin.starts_with(&MAGIC) => Recognised::Image(format),
        _ => Recognised::Other,
    })
}

/// Opens a model file of any format; what is none is told by what it is.
///
/// # Errors
/// [`ModelFileError`], about the file.
pub fn open_model(path: &Path) -> Result<ModelFile, ModelFileError> {
    let file = open(path)?;
    let error = if path.is_dir() {
        ModelFileError::NoModel(NoModel::Folder)
    } else {
        match ModelFile::open(BufReader::new(file)) {
            Ok(file) => return Ok(file),
            Err(ModelError::NoModel) => what_else(path)?,
            Err(e) => e.into(),
        }
    };
    Err(error.about(path))
}

/// What a file is that begins like no model.
fn what_else(path: &Path) -> Result<ModelFileError, ModelFileError> {
    let begin = read(open(path)?, path, ImageFormat::SIGNATURE_LEN)?;
    if begin.starts_with(&MAGIC) {
        let kind = open_file(path)?.header().body.kind();
        return Ok(ModelFileError::NoModel(NoModel::Artefact(kind)));
    }
    if let Some(format) = ImageFormat::from_signature(&begin) {
        return Ok(ModelFileError::NoModel(NoModel::Image(format)));
    }
    let text = std::str::from_utf8(&begin).is_ok() && !begin.contains(&0);
    Ok(ModelFileError::NoModel(match begin.trim_ascii_start() {
        [] => NoModel::Empty,
        [b'{' | b'[', ..] if text => NoModel::Json,
        _ if text => NoModel::Text,
        _ => return Ok(ModelFileError::Unknown),
    }))
}

/// Where the description beside a model lies.
pub fn beside(model: &Path) -> PathBuf {
    model.with_extension("json")
}

/// The model that a file and the description beside it, or inside, make.
///
/// # Errors
/// [`ModelFileError::Model`] about the file; [`ModelFileError::Format`].
pub fn described(file: &mut ModelFile, path: &Path) -> Result<FloatModel, ModelFileError> {
    let beside = beside(path);
    let description = if beside.exists() {
        Some(read(open(&beside)?, &beside, MAX_DESCRIPTION_BYTES)?)
    } else {
        None
    };
    file.model(description.as_deref()).map_err(|e| ModelFileError::from(e).about(path))
}

/// A model with its description; one of patches on another stride, if that is asked for.
///
/// # Errors
/// As [`open_model`] and [`described`]; [`ModelFileError::StrideOfConvolutions`].
pub fn read_model(path: &Path, stride: Option<usize>) -> Result<FloatModel, ModelFileError> {
    let model = described(&mut open_model(path)?, path)?;
    let Some(stride) = stride else { return Ok(model) };
    if model.network.is_convolutional() {
        return Err(ModelFileError::StrideOfConvolutions.about(path));
    }
    model.with_stride(stride).map_err(|e| ModelFileError::from(e).about(path))
}

/// What makes a model's description doubtful: it makes a noisy picture no better.
///
/// # Errors
/// [`ModelFileError::Model`] about the file.
pub fn doubt(model: &FloatModel, path: &Path) -> Result<Option<Doubt>, ModelFileError> {
    let trial = model.try_out().map_err(|e| ModelFileError::from(e).about(path))?;
    Ok(trial.doubt())
}

/// Refuses a name that a model cannot have, and one beside which a description lies that would be read in
/// place of the one inside; proves that the file can be written.
///
/// # Errors
/// About the file: [`ModelFileError::NotNpz`], [`ModelFileError::DescriptionBeside`]; [`ModelFileError::Format`].
pub fn prove_output(out: &Path, overwrite: Overwrite) -> Result<(), ModelFileError> {
    let beside = beside(out);
    let error = match out.extension() {
        Some(e) if e == "npz" && !beside.exists() => {
            OutputFile::create(out, Access::Public, overwrite)?;
            return Ok(());
        }
        Some(e) if e == "npz" => ModelFileError::DescriptionBeside(beside),
        _ => ModelFileError::NotNpz,
    };
    Err(error.about(out))
}

/// The bytes of the .npz of a model with its description inside, which [`crate::model::load_npz`] reads.
///
/// # Errors
/// [`ModelFileError::Packing`].
pub fn pack_model(model: &FloatModel) -> Result<Vec<u8>, ModelFileError> {
    let mut archive = Cursor::new(Vec::new());
    save_npz(model, Some(&describe(model)), Packing::Deflated, &mut archive)
        .map_err(|e| ModelFileError::Packing(e.to_string()))?;
    Ok(archive.into_inner())
}

/// Writes a model with its description inside.
///
/// # Errors
/// [`ModelFileError::Packing`] about the file; [`ModelFileError::Format`].
pub fn write_model(
    model: &FloatModel,
    out: &Path,
    overwrite: Overwrite,
) -> Result<(), ModelFileError> {
    let archive = pack_model(model).map_err(|e| e.about(out))?;
    let mut file = OutputFile::create(out, Access::Public, overwrite)?;
    file.write_all(&archive).map_err(FormatError::from_writer)?;
    Ok(file.commit()?)
}

/// The layers and the rest that a description in a file of its own says, a `.json`, or that a model has.
///
/// # Errors
/// [`ModelFileError::Model`] about the file; [`ModelFileError::Format`].
pub fn read_description(path: &Path) -> Result<Description, ModelFileError> {
    let json = match path.extension() {
        Some(extension) if extension != "json" => describe(&read_model(path, None)?).into_bytes(),
        _ => read(open(path)?, path, MAX_DESCRIPTION_BYTES)?,
    };
    Description::parse(&json).map_err(|e| ModelFileError::from(e).about(path))
}

fn open(path: &Path) -> Result<File, FormatError> {
    File::open(path).map_err(|e| FormatError::io(path, "open", e))
}

fn read(file: File, path: &Path, limit: u64) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(|e| FormatError::io(path, "read", e))?;
    Ok(bytes)
}
