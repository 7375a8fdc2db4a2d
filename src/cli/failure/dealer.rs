//! What to do about failures of who makes material.

use super::{Code, Failure};
use crate::roles::MaterialError;

impl From<MaterialError> for Failure {
    fn from(e: MaterialError) -> Self {
        let (code, help) = match &e {
            MaterialError::OtherModel { .. } => (
                Code::Input,
                "share the image for this model's .pub, or name the other with --model",
            ),
            MaterialError::NoShares { .. } => {
                (Code::Input, "`ppdenoise share-image` writes them, as files ending in .s0 or .s1")
            }
            MaterialError::OneSet { .. } => {
                return Failure::new(Code::Usage, "--out - carries one set of triples")
                    .help("give one size, or a PREFIX as --out");
            }
            MaterialError::Pipe(e) => {
                let text = format!("cannot write the triples to standard output: {e}");
                return Failure::failed(text)
                    .help("whoever reads them ended first: see its message; no file was left");
            }
            _ => return Failure::of(Code::Usage, &e, None),
        };
        Failure::of(code, &e, Some(help.into()))
    }
}
