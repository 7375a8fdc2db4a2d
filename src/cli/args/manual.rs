//! Command lines of `completions` and `man`.

use clap::Args;
use std::path::PathBuf;

/// Print what a shell needs to complete the command line.
///
/// For bash, put the output into a file that your profile reads, or into
/// ~/.local/share/bash-completion/completions/ppdenoise.
#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct Completions {
    /// The shell: bash, elvish, fish, powershell or zsh.
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(in crate::cli) shell: clap_complete::Shell,
}

/// Print the manual page of ppdenoise, or write the pages of all commands.
#[derive(Debug, Args)]
pub(in crate::cli) struct Man {
    /// Folder for a page of each command, such as man1 below a folder of MANPATH; created if
    /// missing.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
}
