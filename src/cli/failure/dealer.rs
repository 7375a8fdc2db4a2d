//! What to do about failures of who makes material.

use super::{Code, Failure};
use crate::roles::{DealerError, MaterialError};

impl From<DealerError> for Failure {
    fn from(e: DealerError) -> Self {
        match e {
            DealerError::Format(e) => e.into(),
            DealerError::Public(e) => e.into(),
            DealerError::Network(e) => e.into(),
            DealerError::Artefact(e) => e.into(),
            DealerError::Material(e) => e.into(),
            DealerError::Threads(e) => e.into(),
            DealerError::OneSet { .. } => {
                Failure::new(Code::Usage, "--out - carries one set of triples")
                    .help("give one size, or a PREFIX as --out")
            }
            DealerError::Pipe(e) => {
                let text = format!("cannot write the triples to standard output: {e}");
                Failure::failed(text)
                    .help("whoever reads them ended first: see its message; no file was left")
            }
        }
    }
}

impl From<MaterialError> for Failure {
    fn from(e: MaterialError) -> Self {
        let (code, help) = match e {
            MaterialError::Format(e) => return e.into(),
            MaterialError::TooMuch => return Failure::of(Code::Usage, &e, None),
            MaterialError::OtherModel { .. } => (
                Code::Input,
                "share the image for this model's .pub, or name the other with --model",
            ),
            MaterialError::NoShares { .. } => {
                (Code::Input, "`ppdenoise share-image` writes them, as files ending in .s0 or .s1")
            }
        };
        Failure::of(code, &e, Some(help.into()))
    }
}
