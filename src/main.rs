//! The `ppdenoise` program; everything is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ppdenoise::internals::cli::main()
}
