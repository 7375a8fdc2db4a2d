//! Failures as exceptions: which class, one sentence, and the file that is meant.

use ppdenoise::api::images::PictureError;
use ppdenoise::api::inspect::InspectError;
use ppdenoise::api::models::ModelFileError;
use ppdenoise::api::server::ServerError;
use ppdenoise::api::{
    ArtefactError, CalibrateError, ChoiceError, DealerError, FormatError, GatewayError, ImageError,
    ImportError, ModelError, ModelOwnerError, PlainError, PublicModelError, ReceiverError,
    in_one_line,
};
use pyo3::prelude::*;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What a caller gave and cannot be meant.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

/// The classes of `ppdenoise._errors`.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Also a `ValueError`.
    Value,
    /// Also a `FileNotFoundError`.
    Missing(PathBuf),
    /// Also a `FileExistsError`.
    Exists(PathBuf),
    /// Also an `OSError`.
    System,
    /// None of these: what no argument makes better.
    Other,
}

/// The exception of a failure.
pub(crate) fn raise(py: Python<'_>, failure: &(dyn Error + 'static)) -> PyErr {
    let (class, file) = match kind(failure) {
        Kind::Value => ("InvalidValueError", None),
        Kind::Missing(file) => ("MissingFileError", Some(file)),
        Kind::Exists(file) => ("ExistingFileError", Some(file)),
        Kind::System => ("OperatingSystemError", None),
        Kind::Other => ("Error", None),
    };
    let made = py
        .import("ppdenoise._errors")
        .and_then(|errors| errors.getattr("made")?.call1((class, sentence(failure), file)));
    made.map_or_else(|e| e, PyErr::from_value)
}

/// What went wrong, in the words of this package: arguments have no dashes.
pub(crate) fn sentence(failure: &(dyn Error + 'static)) -> String {
    let text = in_one_line(failure);
    if let Some(ImportError::Undecided { flags, .. }) = failure.downcast_ref() {
        let word = |flag: &&str| format!("{}=", flag.trim_start_matches('-').replace('-', "_"));
        return flags.iter().fold(text, |text, flag| text.replace(flag, &word(flag)));
    }
    if text.contains("it has no `extremes`") || text.contains("the model was not calibrated") {
        format!("{text}; calibrate it first, with ppdenoise.calibrate")
    } else {
        text
    }
}

fn kind(failure: &(dyn Error + 'static)) -> Kind {
    macro_rules! told {
        ($($error:ty => $how:expr),* $(,)?) => {
            $(if let Some(e) = failure.downcast_ref::<$error>() { return $how(e); })*
        };
    }
    told! {
        Refused => |_| Kind::Value,
        FormatError => format,
        PictureError => picture,
        ModelFileError => model_file,
        GatewayError => gateway,
        ReceiverError => receiver,
        InspectError => inspect,
        PublicModelError => public,
        CalibrateError => |_| Kind::Value,
        ChoiceError => |_| Kind::Value,
        ImageError => |_| Kind::Value,
        ImportError => |_| Kind::Value,
        ModelError => |_| Kind::Value,
        PlainError => |_| Kind::Value,
        ModelOwnerError => |e: &ModelOwnerError| match e {
            ModelOwnerError::Format(e) => format(e),
            _ => Kind::Value,
        },
        DealerError => |e: &DealerError| match e {
            DealerError::Format(e) => format(e),
            _ => Kind::Other,
        },
        ServerError => |_| Kind::Other,
        io::Error => |e: &io::Error| match e.kind() {
            io::ErrorKind::NotFound => Kind::Missing(PathBuf::new()),
            _ => Kind::System,
        },
    }
    Kind::Other
}

fn format(e: &FormatError) -> Kind {
    match e {
        FormatError::Missing { file } => Kind::Missing(file.clone()),
        FormatError::FolderMissing { folder, .. } | FormatError::KeyFolderMissing { folder } => {
            Kind::Missing(folder.clone())
        }
        FormatError::KeyMissing { file, folder } => Kind::Missing(folder.join(file)),
        FormatError::Exists { file } => Kind::Exists(file.clone()),
        FormatError::Io { .. }
        | FormatError::DiskFull { .. }
        | FormatError::NoSpace { .. }
        | FormatError::InUse { .. } => Kind::System,
        FormatError::Random(_) => Kind::Other,
        _ => Kind::Value,
    }
}

fn picture(e: &PictureError) -> Kind {
    match e {
        PictureError::About { error, .. } => picture(error),
        PictureError::Format(e) => format(e),
        _ => Kind::Value,
    }
}

fn model_file(e: &ModelFileError) -> Kind {
    match e {
        ModelFileError::About { error, .. } => model_file(error),
        ModelFileError::Format(e) => format(e),
        _ => Kind::Value,
    }
}

fn gateway(e: &GatewayError) -> Kind {
    match e {
        GatewayError::About { error, .. } => gateway(error),
        GatewayError::Keys(e) | GatewayError::Format(e) => format(e),
        GatewayError::Picture(e) => picture(e),
        _ => Kind::Value,
    }
}

fn receiver(e: &ReceiverError) -> Kind {
    match e {
        ReceiverError::About { error, .. } | ReceiverError::OfScan { error, .. } => receiver(error),
        ReceiverError::Keys(e) | ReceiverError::Format(e) => format(e),
        ReceiverError::Picture(e) => picture(e),
        ReceiverError::Artefact(e) => artefact(e),
        _ => Kind::Value,
    }
}

fn artefact(e: &ArtefactError) -> Kind {
    match e {
        ArtefactError::Format(e) => format(e),
        _ => Kind::Value,
    }
}

fn public(e: &PublicModelError) -> Kind {
    match e {
        PublicModelError::Format(e) => format(e),
        _ => Kind::Value,
    }
}

fn inspect(e: &InspectError) -> Kind {
    match e {
        InspectError::About { error, .. } => inspect(error),
        InspectError::Format(e) => format(e),
        InspectError::ModelFile(e) => model_file(e),
        InspectError::Public(e) => public(e),
        InspectError::Picture(e) => picture(e),
        _ => Kind::Value,
    }
}
