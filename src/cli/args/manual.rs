//! Command lines of `completions`, `man` and `schema`.

use super::parse::named;
use clap::Args;
use std::path::PathBuf;

/// Print a completion script for a shell.
///
/// For bash, save the output in a file that your profile reads, or as
/// ~/.local/share/bash-completion/completions/ppdenoise.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Completions {
    /// The shell: bash, elvish, fish, powershell or zsh.
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(crate) shell: clap_complete::Shell,
}

/// Print the manual page of ppdenoise, or write the manual pages of all commands.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder for the pages of all commands, such as man1 in a folder of MANPATH; created if it does
    /// not exist.
    #[arg(long, value_parser = named(), value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Print the JSON Schema of a report of --json, or write those of all reports.
///
/// Without arguments it lists the reports, each with its version.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// The report, mostly named after its command: serve, or ppdenoise.serve.v2.
    #[arg(value_name = "REPORT")]
    pub(crate) report: Option<String>,
    /// Folder for the schemas, one file each, such as ppdenoise.serve.v2.json; created if it does
    /// not exist.
    #[arg(long, value_parser = named(), value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
