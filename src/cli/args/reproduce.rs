//! The command line of `reproduce`.

use super::parse::named;
use crate::cli::args::parse::parse_positive;
use crate::cli::args::quantise::parse_cell;
use crate::lab::reproduce::Target;
use crate::material::Origin;
use crate::model::Cells;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Make the tables and figures of the paper with other images and another model.
///
/// Writes Markdown, CSV and PNG files for each target. For the `lut` rows, two real servers denoise one
/// image after the other. For the `gc` rows, the integer twin computes the same integers in one process;
/// parts of two images are also denoised by real servers. Every figure says what was run for it.
/// Finished results are kept in results.csv in the output folder and are not computed again. You can
/// stop with Ctrl-C at any time: at most the image in work is lost.
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// What to make: table2, table3, table4, fig2, fig8 (the paper's figures 8 to 11), fig12, or `all` of
    /// these; or icassp, the conference version with one cloud, Paillier and garbled circuits; or
    /// alternatives, pixel encryption and learned perturbation beside them, which needs --train and a
    /// program built with the feature `train`.
    #[arg(
        required = true,
        num_args = 1..,
        value_name = "TARGET",
        value_enum,
        hide_possible_values = true
    )]
    pub(crate) targets: Vec<TargetArg>,
    /// Folder of clean 8-bit grey PNG images.
    #[arg(long, default_value = "fixtures/images", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The model.
    #[arg(long, default_value = "fixtures/models/mlp-s25.npz", value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// The convolutional model for the rows dncnn and dncnn-lut [default: fixtures/models/dncnn-s25.npz if
    /// that exists, otherwise these rows are left out]
    #[arg(long, value_name = "MODEL")]
    pub(crate) dncnn: Option<PathBuf>,
    /// Folder for tables, figures and results.csv; created if it does not exist.
    #[arg(long, default_value = "reproduce-out", value_parser = named(), value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Noise levels of the tables, in 8-bit grey levels.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "15,20,25,30,35",
        value_name = "LEVELS,..",
        value_parser = parse_positive
    )]
    pub(crate) sigma: Vec<f64>,
    /// Seed of the noise, as in `add-noise`; the same for every image.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) seed: u64,
    /// Largest input magnitude in network units; 7 is enough for grey levels from 0 to 255 with unclipped
    /// noise of sigma 15, with a model trained for sigma 25.
    #[arg(long, default_value = "7", value_name = "UNITS", value_parser = parse_positive)]
    pub(crate) interval: f64,
    /// Width of a cell of the lut engine's tables.
    #[arg(long, default_value = "1/8", value_name = "1/N", value_parser = parse_cell)]
    pub(crate) cell: Cells,
    /// Pixels between patches [default: the model's own]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) stride: Option<usize>,
    /// Who makes the material for the two servers: `made` by the servers themselves, or `dealt` by a
    /// dealer, which takes less time.
    #[arg(long, default_value = "dealt", value_name = "WAY")]
    pub(crate) material: Origin,
    /// Folder of grey PNG images that the networks of `alternatives` are trained on, other images than in
    /// --data. At most 240 of them are used, evenly chosen.
    #[arg(long, value_name = "DIR")]
    pub(crate) train: Option<PathBuf>,
    /// Try everything quickly: the middle 128x128 pixels of three images, and a rough Table 4.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A table or figure, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetArg {
    All,
    One(Target),
}

impl ValueEnum for TargetArg {
    fn value_variants<'a>() -> &'a [Self] {
        const { &all() }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            TargetArg::All => "all",
            TargetArg::One(target) => target.name(),
        }))
    }
}

const fn all() -> [TargetArg; 1 + Target::ALL.len()] {
    let mut values = [TargetArg::All; 1 + Target::ALL.len()];
    let mut i = 0;
    while i < Target::ALL.len() {
        values[1 + i] = TargetArg::One(Target::ALL[i]);
        i += 1;
    }
    values
}

impl Reproduce {
    /// The targets, each once, in order. `all` are those of the journal version.
    pub(crate) fn wanted(&self) -> Vec<Target> {
        let is_wanted = |target: &Target| {
            let by_itself = matches!(target, Target::Icassp | Target::Alternatives);
            let by_all = !by_itself && self.targets.contains(&TargetArg::All);
            by_all || self.targets.contains(&TargetArg::One(*target))
        };
        Target::ALL.into_iter().filter(is_wanted).collect()
    }
}
