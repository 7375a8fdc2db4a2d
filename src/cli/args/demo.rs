//! The command line of `demo`.

use super::parse::parse_positive;
use super::quantise::Quantise;
use crate::cli::dicom::Windowed;
use crate::cli::levels::Clamp;
use crate::cli::plausible::Plausible;
use crate::cli::range::Ranged;
use crate::material::Origin;
use crate::numbers::ring::RingBits;
use clap::Args;
use std::path::PathBuf;

/// Run the whole pipeline on one image, with both servers as processes on this machine.
#[derive(Debug, Args)]
pub(in crate::cli) struct Demo {
    /// The clean image [default: fixtures/images/nat_camera.png]
    #[arg(long, value_name = "IMAGE")]
    pub(in crate::cli) image: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) dicom: Windowed,
    #[command(flatten)]
    pub(in crate::cli) ranged: Ranged,
    /// The model: default, fine, dncnn, mlp, wide, bootstrap and tiny (all in fixtures/models), or a file [default:
    /// default]
    #[arg(long, value_name = "NAME|MODEL")]
    pub(in crate::cli) model: Option<String>,
    /// Who makes the material: `made` by the two servers themselves, or `dealt` by a dealer [default:
    /// made; with another model, engine or ring: dealt]
    #[arg(long, value_name = "WAY")]
    pub(in crate::cli) material: Option<Origin>,
    #[command(flatten)]
    pub(in crate::cli) quantise: Quantise,
    /// Use only the middle N x N pixels of the image; 0 uses all [default: 0; with gc 256]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) crop: Option<usize>,
    /// Noise level in 8-bit grey levels. A model that is not told it is shared for this level unless --sigma-from or
    /// --interval is given.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    pub(in crate::cli) sigma: f64,
    #[command(flatten)]
    pub(in crate::cli) clamp: Clamp,
    #[command(flatten)]
    pub(in crate::cli) plausible: Plausible,
    /// Make it an error if the image leaves the calibrated ranges of a model, where values wrap around; without this
    /// flag it is told.
    #[arg(long)]
    pub(in crate::cli) strict: bool,
    /// Seed of the noise.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(in crate::cli) seed: u64,
    /// Folder for the pictures; created if it does not exist.
    #[arg(long, default_value = "demo-out", value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,
    /// Keep keys, shares and material in OUT/work instead of removing them.
    #[arg(long)]
    pub(in crate::cli) keep: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

impl Demo {
    /// Who makes the material: the servers, where that takes seconds.
    pub(in crate::cli) fn material(&self) -> Origin {
        let ring = self.quantise.ring();
        self.material.unwrap_or(match (&self.model, self.quantise.engine, ring) {
            (None, None, RingBits::L32) => Origin::Made,
            _ => Origin::Dealt,
        })
    }
}
