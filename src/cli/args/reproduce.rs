//! The command line of `reproduce`.

use crate::cli::args::parse::parse_positive;
use crate::cli::args::quantise::parse_cell;
use crate::cli::reproduce::row::Row;
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
    /// What to make: all, table2, table3, table4, fig2, fig8 (the paper's 8 to 11), fig12.
    #[arg(
        required = true,
        num_args = 1..,
        value_name = "TARGET",
        value_enum,
        hide_possible_values = true
    )]
    pub(in crate::cli) targets: Vec<Target>,
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
    /// Try everything in little time: the middle 128x128 pixels of three images, a rough Table 4.
    #[arg(long)]
    pub(in crate::cli) quick: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// A table or figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in crate::cli) enum Target {
    /// All of them.
    All,
    /// PSNR and SSIM of each image.
    Table2,
    /// Their averages.
    Table3,
    /// Single operations.
    Table4,
    /// tanh and its approximations.
    Fig2,
    /// Pictures with enlarged parts, 8 to 11 in the paper.
    Fig8,
    /// SecureML's activation.
    Fig12,
}

impl Target {
    /// Its name on the command line and of its files.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Target::All => "all",
            Target::Table2 => "table2",
            Target::Table3 => "table3",
            Target::Table4 => "table4",
            Target::Fig2 => "fig2",
            Target::Fig8 => "fig8",
            Target::Fig12 => "fig12",
        }
    }
}

impl Reproduce {
    /// The targets, each once, in order.
    pub(in crate::cli) fn wanted(&self) -> Vec<Target> {
        let each = Target::value_variants().iter().copied().filter(|t| *t != Target::All);
        let all = self.targets.contains(&Target::All);
        each.filter(|t| all || self.targets.contains(t)).collect()
    }

    /// The flags that turn the model into integers, for the commands of the pipeline.
    pub(in crate::cli) fn quantise_flags(&self, row: Row) -> Vec<String> {
        if row.is_dncnn() {
            return Vec::new();
        }
        let mut flags = vec!["--interval".into(), self.interval.to_string()];
        flags.extend(row.flags().iter().map(|f| f.to_string()));
        if row == Row::Lut {
            flags.extend(["--cell".into(), format!("1/{}", 1 << self.cell)]);
        }
        if let Some(stride) = self.stride {
            flags.extend(["--stride".into(), stride.to_string()]);
        }
        flags
    }
}
