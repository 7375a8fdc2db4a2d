//! The command line of `reproduce`.

use crate::cli::args::parse::parse_positive;
use crate::cli::args::quantise::parse_cell;
use crate::lab::reproduce::Target;
use crate::material::Origin;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Make the tables and figures of the paper from other images and another model.
///
/// Writes Markdown, CSV and PNG for each target. Rows of `lut` are denoised by two real servers,
/// one image after the other; rows of `gc` by the integer twin, which computes the same integers in
/// one process, and on part of two images by real servers too. What ran is said beside every figure.
/// Finished results are kept in results.csv of the output folder and not computed again; to stop,
/// press Ctrl-C: at most the running image is lost.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reproduce {
    /// What to make: all of table2, table3, table4, fig2, fig8 (the paper's 8 to 11), fig12; or icassp, the
    /// conference version with one cloud, Paillier and garbled circuits.
    #[arg(
        required = true,
        num_args = 1..,
        value_name = "TARGET",
        value_enum,
        hide_possible_values = true
    )]
    pub(in crate::cli) targets: Vec<Wanted>,
    /// Folder of clean 8-bit grey PNGs.
    #[arg(long, default_value = "fixtures/images", value_name = "DIR")]
    pub(in crate::cli) data: PathBuf,
    /// The model.
    #[arg(long, default_value = "fixtures/models/mlp-s25.npz", value_name = "MODEL")]
    pub(in crate::cli) model: PathBuf,
    /// The convolutional model of the rows dncnn and dncnn-lut; fixtures/models/dncnn-s25.npz if it is
    /// there, else there are no such rows.
    #[arg(long, value_name = "MODEL")]
    pub(in crate::cli) dncnn: Option<PathBuf>,
    /// Folder for tables, figures and results.csv; created if missing.
    #[arg(long, default_value = "reproduce-out", value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,
    /// Noise levels of the tables in 8-bit grey levels.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "15,20,25,30,35",
        value_name = "LEVELS,..",
        value_parser = parse_positive
    )]
    pub(in crate::cli) sigma: Vec<f64>,
    /// Seed of the noise, the same for every image, as in `add-noise`.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(in crate::cli) seed: u64,
    /// Largest input magnitude in network units; 7 holds grey levels of 0 to 255 with unclipped
    /// noise at a sigma of 15, for a model trained on 25.
    #[arg(long, default_value = "7", value_name = "UNITS", value_parser = parse_positive)]
    pub(in crate::cli) interval: f64,
    /// Width of a cell of the lut engine's tables.
    #[arg(long, default_value = "1/8", value_name = "1/N", value_parser = parse_cell)]
    pub(in crate::cli) cell: u32,
    /// Pixels between patches; the model's own if not given.
    #[arg(long, value_name = "PIXELS")]
    pub(in crate::cli) stride: Option<usize>,
    /// Who makes the material of what two servers compute: made, the two servers themselves; dealt, a
    /// dealer, in less time.
    #[arg(long, default_value = "dealt", value_name = "WAY")]
    pub(in crate::cli) material: Origin,
    /// Try everything in little time: the middle 128x128 pixels of three images, a rough Table 4.
    #[arg(long)]
    pub(in crate::cli) quick: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// A table or figure, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Wanted {
    All,
    One(Target),
}

impl ValueEnum for Wanted {
    fn value_variants<'a>() -> &'a [Self] {
        const { &all() }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Wanted::All => "all",
            Wanted::One(target) => target.name(),
        }))
    }
}

const fn all() -> [Wanted; 1 + Target::ALL.len()] {
    let mut values = [Wanted::All; 1 + Target::ALL.len()];
    let mut i = 0;
    while i < Target::ALL.len() {
        values[1 + i] = Wanted::One(Target::ALL[i]);
        i += 1;
    }
    values
}

impl Reproduce {
    /// The targets, each once, in order. `all` are those of the journal version.
    pub(in crate::cli) fn wanted(&self) -> Vec<Target> {
        let is_wanted = |target: &Target| {
            let by_all = *target != Target::Icassp && self.targets.contains(&Wanted::All);
            by_all || self.targets.contains(&Wanted::One(*target))
        };
        Target::ALL.into_iter().filter(is_wanted).collect()
    }
}
