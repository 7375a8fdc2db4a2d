//! Models from files.

use crate::Failure;
use ppdenoise::api::{FloatModel, ModelFile, in_one_line};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

/// The most bytes a model's description may have.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;

/// A model of any format, with the description `NAME.json` beside it if there is one.
pub(crate) fn read(path: &Path) -> Result<FloatModel, Failure> {
    let about = |what: &dyn std::fmt::Display| format!("'{}': {what}", path.display());
    let file = File::open(path).map_err(|e| about(&e))?;
    let mut file = ModelFile::open(BufReader::new(file), path).map_err(|e| about(&in_one_line(&e)))?;
    let beside = path.with_extension("json");
    let beside = match File::open(&beside) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(MAX_DESCRIPTION_BYTES).read_to_end(&mut bytes)?;
            Some(bytes)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(format!("'{}': {e}", beside.display()).into()),
    };
    Ok(file.model(beside.as_deref()).map_err(|e| about(&in_one_line(&e)))?)
}
