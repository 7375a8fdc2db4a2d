//! From typed errors to one sentence, a hint and an exit code: errors carry facts, what to do about them
//! stands here, by subject.

mod cloud;
mod dealer;
mod files;
mod gateway;
mod image;
mod keys;
mod link;
mod model;
mod owner;
mod pictures;
mod receiver;
mod server;
#[cfg(test)]
mod tests;
pub(super) mod unfit;

pub(super) use cloud::refused;
pub(super) use server::{making, refill, refill_command};

use crate::cli::shown::one_line;
use crate::image::dicom::Origin;
use crate::kernels::BackendError;
use crate::roles::in_one_line;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// The exit codes, documented in the README and in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The operation failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// An input file was refused.
    Input = 3,
    /// The other server or the network failed.
    Peer = 4,
}

/// Why a command failed, for people.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    message: String,
    help: Option<String>,
}

impl Failure {
    /// A failure in one sentence, whatever names it holds.
    pub(super) fn new(code: Code, message: impl AsRef<str>) -> Self {
        Failure { code, message: one_line(message.as_ref()).into_owned(), help: None }
    }

    /// An operation that failed, of which there is no more to say.
    pub(super) fn failed(message: impl AsRef<str>) -> Self {
        Failure::new(Code::Failed, message)
    }

    pub(super) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(one_line(help.as_ref()).into_owned());
        self
    }

    /// The same failure, told about `file`.
    pub(super) fn about(mut self, file: &Path) -> Self {
        let name = file.to_string_lossy();
        self.message = format!("'{}': {}", one_line(&name), self.message);
        self
    }

    /// The same failure, of a result of this object.
    pub(super) fn of_scan(mut self, origin: &Origin) -> Self {
        self.message = format!("{} ({origin})", self.message);
        self
    }

    /// The same failure with what a step of it said, line by line.
    pub(super) fn because(mut self, said: &str) -> Self {
        let lines: Vec<_> = said.lines().map(one_line).collect();
        self.message = format!("{}: {}", self.message, lines.join("\n"));
        self
    }

    /// The sentence without the name of `file` before it, by which failures of many files are compared.
    pub(super) fn without(&self, file: &Path) -> String {
        let name = format!("'{}': ", one_line(&file.to_string_lossy()));
        self.message.strip_prefix(&name).unwrap_or(&self.message).to_owned()
    }

    /// What the exit code will say.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The sentence without the hint.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }

    fn of(code: Code, error: &dyn Error, help: Option<String>) -> Self {
        let failure = Failure::new(code, in_one_line(error));
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl From<BackendError> for Failure {
    fn from(e: BackendError) -> Self {
        Failure::of(Code::Usage, &e, Some("leave --backend and PPDENOISE_BACKEND away".into()))
    }
}
