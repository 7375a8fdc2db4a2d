//! The flag for results that take away more than the noise told, and what is said of them.

use super::output::Console;
use crate::model::OutOfRange;
use crate::roles::{Alarmed, Implausibility, ImplausibleResult, OutOfRangeOnShares};
use clap::Args;
use std::path::Path;

/// What becomes of results that are no plausible pictures.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Plausible {
    /// Write a result even if more than the noise told was taken away, and say so. Without this flag it is an
    /// error: the model does not know such pictures, or the noise level is wrong.
    #[arg(help_heading = "Output", long)]
    pub(super) even_if_implausible: bool,
}

impl Plausible {
    pub(super) fn implausibility(self) -> Implausibility {
        if self.even_if_implausible { Implausibility::Accepted } else { Implausibility::Refused }
    }
}

/// What becomes of results whose range alarm was raised.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct InRange {
    /// Write a result even if its range alarm was raised, and say so. Without this flag it is an error: the model
    /// does not know such pictures, or material was damaged or mixed.
    #[arg(help_heading = "Output", long)]
    pub(super) even_if_out_of_range: bool,
}

impl InRange {
    pub(super) fn alarmed(self) -> Alarmed {
        if self.even_if_out_of_range { Alarmed::Accepted } else { Alarmed::Refused }
    }
}

/// Tells of a result whose alarm was accepted.
pub(super) fn tell_alarm(file: &Path, console: &Console) {
    console.note(format!(
        "note: '{}': {OutOfRangeOnShares}: it is written all the same",
        file.display()
    ));
}

/// Tells of a result that was accepted.
pub(super) fn tell_implausible(result: &ImplausibleResult, console: &Console) {
    let ImplausibleResult { file, found } = result;
    console.note(format!("note: '{}': {found}: it is written all the same", file.display()));
}

/// Tells of values that left their range.
pub(super) fn tell_out_of_range(file: &Path, left: &OutOfRange, console: &Console) {
    console
        .note(format!("note: '{}': {left}: the picture is wrong where they count", file.display()));
}
