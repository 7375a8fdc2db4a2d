//! The command line as `clap` reads it.

pub(crate) mod bench;
pub(crate) mod cloud;
pub(crate) mod daemon;
pub(crate) mod demo;
pub(crate) mod files;
pub(crate) mod gateway;
pub(crate) mod manual;
pub(crate) mod material;
pub(crate) mod model_owner;
pub(crate) mod parse;
pub(crate) mod plain;
pub(crate) mod quantise;
pub(crate) mod receiver;
pub(crate) mod reproduce;
pub(crate) mod server;
#[cfg(feature = "train")]
pub(crate) mod train;

use super::version;
use crate::kernels::Backend;
use clap::{Args, Parser, Subcommand};

/// The heading of flags that every command has.
const EVERYWHERE: &str = "Everywhere";

/// Denoise images on two servers that see neither the images nor the neural network.
#[derive(Debug, Parser)]
#[command(name = "ppdenoise", version, long_version = version::long())]
#[command(propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done; 1 the operation failed; 2 wrong usage; 3 an input \
    file was refused; 4 the other server or the network failed. An interrupt or a request to \
    terminate ends a command by that signal and leaves no half-written files.")]
pub(super) struct Cli {
    /// Print only data, reports and errors, and the address that a server listens on.
    #[arg(long, short, global = true, help_heading = EVERYWHERE)]
    pub(super) quiet: bool,
    /// Instruction set of the kernels [default: the best one that the processor has]
    #[arg(long, global = true, value_name = "NAME", value_parser = parse::backends())]
    #[arg(env = "PPDENOISE_BACKEND", help_heading = EVERYWHERE)]
    pub(super) backend: Option<Backend>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Keygen(files::Keygen),
    Import(model_owner::Import),
    Calibrate(model_owner::Calibrate),
    ShareModel(model_owner::ShareModel),
    ShareImage(gateway::ShareImage),
    GenTriplets(material::GenTriplets),
    Prepare(server::Prepare),
    Serve(server::Serve),
    Erase(server::Erase),
    Reconstruct(receiver::Reconstruct),
    Cloud(cloud::Cloud),
    AddClient(cloud::AddClient),
    Client(Box<cloud::Visit>),
    Status(daemon::Status),
    Denoise(plain::Denoise),
    AddNoise(plain::AddNoise),
    Metrics(plain::Metrics),
    Inspect(files::Inspect),
    Verify(files::Verify),
    Demo(demo::Demo),
    Bench(bench::Bench),
    Reproduce(reproduce::Reproduce),
    #[cfg(feature = "train")]
    Train(Box<train::Train>),
    Completions(manual::Completions),
    Man(manual::Man),
    Schema(manual::Schema),
}

/// Flags of every command that writes secret files.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Writing {
    /// Replace output files that already exist.
    #[arg(help_heading = "Output", long)]
    pub(super) force: bool,
    /// Print a JSON report on standard output.
    #[arg(help_heading = "Output", long)]
    pub(super) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
