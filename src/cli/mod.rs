//! The command line: the only layer that prints.
//!
//! May use: every layer.
//!
//! Security: what is printed is public; secrets come from files and terminals, never from flags.
//!
//! Stability: none; nothing of it is in [`crate::api`].

mod add_noise;
mod args;
mod batch;
mod bench;
mod calibrate;
mod client;
mod clock;
mod cloud;
mod config;
mod daemon;
mod demo;
mod denoise;
mod dicom;
mod erase;
mod failure;
mod files;
mod gen_triplets;
mod import;
mod inspect;
mod interrupt;
mod keygen;
mod keys;
mod laboratory;
mod levels;
mod manual;
mod metrics;
mod named;
mod output;
mod plausible;
mod prepare;
mod range;
mod reconstruct;
mod reproduce;
mod schemas;
mod serve;
mod serve_events;
mod server_side;
mod share_image;
mod share_model;
mod shown;
#[cfg(feature = "train")]
mod train;
mod verify;
mod version;

use crate::kernels;
use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use failure::Failure;
use output::Console;
use std::ffi::OsString;
use std::process::ExitCode;

/// Parses the command line, runs the command, prints what went wrong.
///
/// Exit codes: 0 done; 1 the operation failed; 2 wrong usage; 3 an input file was refused; 4 the
/// other server or the network failed. A signal ends the process as a signal does.
pub fn main() -> ExitCode {
    let completed = match config::of_process() {
        Ok(completed) => completed,
        Err(failure) => return failed(&failure),
    };
    let cli = match parse(&completed.args) {
        Ok(cli) => cli,
        Err(_) if asks_for_trainer(&completed.args) => return failed(&no_trainer()),
        Err(error) => {
            let (code, origin) = (error.exit_code(), config::origin(&error, &completed.origins));
            say_usage(error, &completed.args);
            if let Some(origin) = origin {
                output::say(&origin);
            }
            return ExitCode::from(code as u8);
        }
    };
    let mut console = Console::new(cli.quiet);
    let result = watch(&cli.command).and_then(|()| run(cli, &mut console));
    interrupt::stand_back();
    console.finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure),
    }
}

fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut definition = config::definition();
    let matches = definition.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut definition))
}

/// The definition of the command line, from which help, completions, manual pages and docs/commands.md are made.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Whether the command is one that this program was built without.
fn asks_for_trainer(args: &[OsString]) -> bool {
    cfg!(not(feature = "train")) && args.get(1).is_some_and(|command| command == "train")
}

fn no_trainer() -> Failure {
    let text = "this program was built without the trainer";
    Failure::new(failure::Code::Usage, text)
        .help("build it with `cargo build --release --features train`, which needs a C compiler")
}

fn failed(failure: &Failure) -> ExitCode {
    output::say_failure(failure);
    failure.exit_code()
}

/// Tells what the parser has to say: of a command line that acts on the terminal, as it is shown.
fn say_usage(error: clap::Error, args: &[OsString]) {
    let shown: Vec<OsString> = args
        .iter()
        .map(|arg| shown::one_line(&arg.to_string_lossy()).into_owned().into())
        .collect();
    let error = if shown == args { Some(error) } else { parse(&shown).err() };
    match error {
        // Nobody reads it any more if this fails.
        Some(error) => drop(error.print()),
        None => output::say("error: an argument holds control characters"),
    }
}

/// `train` has an end of its own for signals, with the model so far, and so have `serve --watch` and
/// `cloud`, between two images.
fn watch(command: &Command) -> Result<(), Failure> {
    interrupt::let_writes_fail()?;
    match command {
        Command::Serve(args) if args.watch => Ok(()),
        Command::Cloud(_) => Ok(()),
        #[cfg(feature = "train")]
        Command::Train(_) => Ok(()),
        _ => interrupt::watch(),
    }
}

fn run(cli: Cli, console: &mut Console) -> Result<(), Failure> {
    if let Some(backend) = cli.backend {
        kernels::select(backend)?;
    }
    match cli.command {
        Command::Keygen(args) => keygen::run(&args, console),
        Command::Import(args) => import::run(&args, console),
        Command::Calibrate(args) => calibrate::run(&args, console),
        Command::ShareModel(args) => share_model::run(&args, console),
        Command::ShareImage(args) => share_image::run(&args, console),
        Command::GenTriplets(args) => gen_triplets::run(&args, console),
        Command::Prepare(args) => prepare::run(&args, console),
        Command::Serve(args) => serve::run(&args, console),
        Command::Erase(args) => erase::run(&args, console),
        Command::Reconstruct(args) => reconstruct::run(&args, console),
        Command::Cloud(args) => cloud::run(&args, console),
        Command::AddClient(args) => cloud::add(&args, console),
        Command::Client(args) => client::run(&args, console),
        Command::Status(args) => daemon::show(&args),
        Command::Denoise(args) => denoise::run(&args, console),
        Command::AddNoise(args) => add_noise::run(&args, console),
        Command::Metrics(args) => metrics::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args, console),
        Command::Demo(args) => demo::run(&args, console),
        Command::Bench(args) => bench::run(&args, console),
        Command::Reproduce(args) => reproduce::run(&args, console),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(&args, console),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args, console),
        Command::Schema(args) => schemas::run(&args, console),
    }
}
