//! Command lines of `completions` and `man`.

use clap::Args;
use std::path::PathBuf;

/// Print a completion script for a shell.
///
/// For bash, save the output in a file that your profile reads, or as
/// ~/.local/share/bash-completion/completions/ppdenoise.
#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct Completions {
    /// The shell: bash, elvish, fish, powershell or zsh.
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(in crate::cli) shell: clap_complete::Shell,
}

/// Print the manual page of ppdenoise, or write the manual pages of all commands.
#[derive(Debug, Args)]
pub(in crate::cli) struct Man {
    /// Folder for the pages of all commands, such as man1 in a folder of MANPATH; created if it does
    /// not exist.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
}
