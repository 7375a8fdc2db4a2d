//! The command line: the only layer that prints.

mod add_noise;
mod args;
mod bench;
mod demo;
mod denoise;
mod dicom;
mod erase;
mod failure;
mod files;
mod gen_triplets;
mod inspect;
mod keygen;
mod keys;
mod levels;
mod metrics;
mod output;
mod pipeline;
mod prepare;
mod reconstruct;
mod reproduce;
mod serve;
mod server_args;
mod server_side;
mod share_image;
mod share_model;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod train_args;

use crate::kernels::{self, Backend};
use args::{Cli, Command};
use clap::Parser;
use failure::Failure;
use output::Console;
use std::process::ExitCode;

/// Parses the command line, runs the command, prints what went wrong.
///
/// Exit codes: 0 done; 1 the operation failed; 2 wrong usage; 3 an input file was refused; 4 the
/// other server or the network failed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut console = Console::new(cli.quiet);
    let result = run(cli, &mut console);
    console.finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn run(cli: Cli, console: &mut Console) -> Result<(), Failure> {
    if let Some(name) = &cli.backend {
        kernels::select(Backend::from_name(name)?)?;
    }
    match cli.command {
        Command::Keygen(args) => keygen::run(&args, console),
        Command::ShareModel(args) => share_model::run(&args, console),
        Command::ShareImage(args) => share_image::run(&args, console),
        Command::GenTriplets(args) => gen_triplets::run(&args, console),
        Command::Prepare(args) => prepare::run(&args, console),
        Command::Serve(args) => serve::run(&args, console),
        Command::Erase(args) => erase::run(&args, console),
        Command::Reconstruct(args) => reconstruct::run(&args, console),
        Command::Denoise(args) => denoise::run(&args, console),
        Command::AddNoise(args) => add_noise::run(&args, console),
        Command::Metrics(args) => metrics::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Demo(args) => demo::run(&args, console),
        Command::Bench(args) => bench::run(&args, console),
        Command::Reproduce(args) => reproduce::run(&args, console),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(&args, console),
    }
}
