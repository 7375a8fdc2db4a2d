//! The `ppdenoise` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ppdenoise::cli::main()
}
