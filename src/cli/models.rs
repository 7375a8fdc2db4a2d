//! Model files: told by their first bytes, read, tried and written.

use super::failure::{Code, Failure};
use super::files::{OutputKind, is_stream, open, read_limited, with_beside, write_output};
use super::output::Console;
use crate::files::FormatError;
use crate::files::container::envelope::{MAGIC, open_file};
use crate::image::ImageFormat;
use crate::model::{
    Doubt, FloatModel, ModelError, ModelFile, ModelFormat, Packing, describe, save_npz,
};
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

/// The most bytes a model's description may have.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recognised {
    Model,
    Image(ImageFormat),
    /// A file of this program, or one that begins like none.
    Other,
}

/// Tells what a file is. A pipe can be read only once, so it is taken for a file of this program.
pub(super) fn recognise(path: &Path) -> Result<Recognised, Failure> {
    let regular = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    if is_stream(path) || !regular {
        return Ok(Recognised::Other);
    }
    let unreadable = |e| FormatError::io(path, "read", e);
    let mut file = open(path)?;
    if ModelFormat::detect(&mut file).map_err(unreadable)?.is_some() {
        return Ok(Recognised::Model);
    }
    let mut begin = Vec::new();
    file.take(ImageFormat::SIGNATURE_LEN).read_to_end(&mut begin).map_err(unreadable)?;
    Ok(match ImageFormat::from_signature(&begin) {
        Some(format) if !begin.starts_with(&MAGIC) => Recognised::Image(format),
        _ => Recognised::Other,
    })
}

/// Opens a model file of any format; what is none is told by what it is.
pub(super) fn open_model(path: &Path) -> Result<ModelFile, Failure> {
    let file = open(path)?;
    if path.is_dir() {
        return Err(no_model("a folder", path));
    }
    match ModelFile::open(BufReader::new(file), path) {
        Ok(file) => Ok(file),
        Err(ModelError::NoModel) => Err(what_else(path)?),
        Err(e) => Err(Failure::from(e).about(path)),
    }
}

fn no_model(what: &str, path: &Path) -> Failure {
    let text = format!("this is {what}, no model");
    let help =
        "a model is a .npz, safetensors, PyTorch (.pth) or MATLAB (.mat) file with its weights";
    Failure::new(Code::Input, text).about(path).help(help)
}

/// What a file is that begins like no model.
fn what_else(path: &Path) -> Result<Failure, Failure> {
    let mut file = open(path)?;
    let mut begin = Vec::new();
    let unreadable = |e| FormatError::io(path, "read", e);
    file.by_ref().take(ImageFormat::SIGNATURE_LEN).read_to_end(&mut begin).map_err(unreadable)?;
    if begin.starts_with(&MAGIC) {
        let kind = open_file(path)?.header().body.kind();
        let help = "give the file that the model owner gave to `share-model`";
        return Ok(no_model(&format!("{} {kind}", kind.article()), path).help(help));
    }
    if let Some(format) = ImageFormat::from_signature(&begin) {
        return Ok(no_model(&format!("a {format} image"), path));
    }
    let text = std::str::from_utf8(&begin).is_ok() && !begin.contains(&0);
    Ok(match begin.trim_ascii_start() {
        [] => no_model("an empty file", path),
        [b'{' | b'[', ..] if text => {
            let help =
                "give the file with the weights; its description NAME.json is found beside it";
            no_model("JSON", path).help(help)
        }
        _ if text => no_model("text", path),
        _ => {
            let text =
                "this is no model: it begins like none of .npz, safetensors, PyTorch, MATLAB";
            Failure::new(Code::Input, text).about(path).help("save it in one of these formats")
        }
    })
}

/// The description beside a model, if there is one.
fn beside(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let beside = with_beside(path);
    Ok(match beside.exists() {
        true => Some(read_limited(open(&beside)?, &beside, MAX_DESCRIPTION_BYTES)?),
        false => None,
    })
}

/// The model that a file and its description make.
pub(super) fn described(file: &mut ModelFile, path: &Path) -> Result<FloatModel, Failure> {
    file.model(beside(path)?.as_deref()).map_err(|e| Failure::from(e).about(path))
}

/// A model with its description, on the stride the user wants.
pub(super) fn read_model(path: &Path, stride: Option<usize>) -> Result<FloatModel, Failure> {
    let model = described(&mut open_model(path)?, path)?;
    let Some(stride) = stride else { return Ok(model) };
    if model.network.is_convolutional() {
        let text = "--stride is of networks on patches, and this model is made of convolutions";
        return Err(Failure::new(Code::Usage, text).about(path).help("leave --stride away"));
    }
    model.with_stride(stride).map_err(|e| Failure::from(e).about(path))
}

/// Refuses a model whose description makes a noisy picture no better.
pub(super) fn check_description(model: &FloatModel, path: &Path) -> Result<(), Failure> {
    let Some(doubt) = doubt(model, path)? else { return Ok(()) };
    let help = match &doubt.better {
        Some(way) => format!("describe it so: {way}; or add --unchecked to share it as it is"),
        None => {
            "let `ppdenoise import` find how it is meant, or add --unchecked to share it as it is"
                .into()
        }
    };
    Err(Failure::new(Code::Input, doubt.to_string()).about(path).help(help))
}

/// Says on standard error if the description that somebody wrote beside a model is in doubt.
pub(super) fn tell_doubt(
    model: &FloatModel,
    path: &Path,
    console: &Console,
) -> Result<(), Failure> {
    if with_beside(path).exists()
        && let Some(doubt) = doubt(model, path)?
    {
        console.note(format!("'{}': its description is in doubt: {doubt}", path.display()));
    }
    Ok(())
}

fn doubt(model: &FloatModel, path: &Path) -> Result<Option<Doubt>, Failure> {
    let trial = model.try_out().map_err(|e| Failure::from(e).about(path))?;
    Ok(trial.doubt())
}

/// Refuses an output that is no .npz.
pub(super) fn check_npz(out: &Path, what: &str) -> Result<(), Failure> {
    if out.extension().is_some_and(|e| e == "npz") {
        return Ok(());
    }
    let text = format!("the {what} model is written as .npz");
    Err(Failure::new(Code::Usage, text).about(out).help("give --out a name that ends in .npz"))
}

/// Writes a model with its description inside.
pub(super) fn write_model(model: &FloatModel, out: &Path, kind: OutputKind) -> Result<(), Failure> {
    let mut archive = Cursor::new(Vec::new());
    save_npz(model, Some(&describe(model)), Packing::Deflated, &mut archive).map_err(|e| {
        Failure::new(Code::Failed, format!("the model cannot be packed: {e}")).about(out)
    })?;
    write_output(out, archive.get_ref(), kind)
}
