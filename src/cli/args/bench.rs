//! The command line of `bench`.

use crate::cli::args::parse::{parse_positive, parse_size};
use crate::cli::args::quantise::{parse_cell, parse_engine, parse_ring};
use crate::lab::bench::Section;
use crate::lab::pipeline::Link;
use crate::material::Origin;
use crate::model::{Cells, EngineKind};
use crate::numbers::ring::RingBits;
use crate::size::Size;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Measure kernels, single operations, and whole images with two server processes on loopback.
///
/// Prints a table, or one JSON report with --json, that lists the phases separately: setup, offline (the
/// dealer), online (the servers) and receiver. For comparison it also measures, in the same run, the
/// plaintext network in float32 on one thread and the integer twin. The picture is synthetic, so that
/// any size can be measured.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Models to measure: tiny, bootstrap, wide, mlp, default, fine and dncnn (all in fixtures/models), paper
    /// (the layer sizes of the paper with random weights), or files.
    #[arg(long, num_args = 1.., default_value = "bootstrap", value_name = "NAME|MODEL")]
    pub(crate) model: Vec<String>,
    /// Engines to measure, of lut, relu and gc [default: each model's own: relu for ReLU networks, otherwise
    /// lut]
    #[arg(long, value_delimiter = ',', value_name = "ENGINE,..", value_parser = parse_engine)]
    pub(crate) engine: Vec<EngineKind>,
    /// What to measure [default: all four]
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "kernels,atomic,patch,image",
        value_enum,
        hide_possible_values = true
    )]
    pub(crate) only: Vec<Section>,
    /// Sizes of the whole image; several sizes give a table with one row for each [default: 512x512;
    /// 256x256 with gc; with paper a smaller image, see --patches]
    #[arg(long, visible_alias = "sizes", value_delimiter = ',', value_name = "HEIGHTxWIDTH,..", value_parser = parse_size)]
    pub(crate) size: Vec<Size>,
    /// Instead of a size: use the smallest square image that has at least N patches [default with paper:
    /// 512]
    #[arg(long, value_name = "N", conflicts_with = "size", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) patches: Option<u32>,
    /// Bits of the ring: 32 or 64.
    #[arg(long, default_value = "32", value_name = "BITS", value_parser = parse_ring)]
    pub(crate) ring: RingBits,
    /// Width of a cell of the lut engine's tables [default: 1/4]
    #[arg(long, value_name = "1/N", value_parser = parse_cell)]
    pub(crate) cell: Option<Cells>,
    /// Pixels between patches [default: each model's own]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) stride: Option<usize>,
    /// Who makes the material: `dealt` by a dealer, or `made` by the two servers themselves.
    #[arg(long, default_value = "dealt", value_name = "WAY")]
    pub(crate) material: Origin,
    /// Compute threads of each server, and of the dealer.
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    /// Compute everything online, and nothing ahead of time with `prepare`.
    #[arg(long)]
    pub(crate) no_prepare: bool,
    /// Round-trip time between the servers in milliseconds, simulated by a relay on this machine.
    #[arg(long, value_name = "MS", value_parser = parse_positive)]
    pub(crate) rtt: Option<f64>,
    /// Bandwidth between the servers in Mbit/s in each direction, limited by a relay on this machine.
    #[arg(long, value_name = "MBIT/S", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) mbit: Option<u32>,
    /// Make it an error if the image leaves the calibrated ranges of a model, where values wrap around; without this
    /// flag it is told.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Folder for keys, shares and material, which are removed afterwards [default: the system's
    /// temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ValueEnum for Section {
    fn value_variants<'a>() -> &'a [Self] {
        &Section::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Section::Kernels => "kernels",
            Section::Atomic => "atomic",
            Section::Patch => "patch",
            Section::Image => "image",
        }))
    }
}

impl Bench {
    /// What the link between the servers adds.
    pub(crate) fn link(&self) -> Link {
        Link {
            round_trip: Duration::from_secs_f64(self.rtt.unwrap_or_default() / 1e3),
            bits_per_second: self.mbit.map(|mbit| f64::from(mbit) * 1e6),
        }
    }
}
