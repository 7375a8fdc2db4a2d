//! The command line of `demo`.

use super::parse::{named, parse_positive};
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
pub(crate) struct Demo {
    /// The clean image [default: fixtures/images/nat_camera.png]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dicom: Windowed,
    #[command(flatten)]
    pub(crate) ranged: Ranged,
    /// The model: default, fine, colour, dncnn, mlp, wide, bootstrap and tiny (all in fixtures/models), or a file
    /// [default: default]
    #[arg(long, value_name = "NAME|MODEL")]
    pub(crate) model: Option<String>,
    /// Who makes the material: `made` by the two servers themselves, or `dealt` by a dealer [default:
    /// made; with another model, engine or ring: dealt]
    #[arg(long, value_name = "WAY")]
    pub(crate) material: Option<Origin>,
    #[command(flatten)]
    pub(crate) quantise: Quantise,
    /// Use only the middle N x N pixels of the image; 0 uses all [default: 0; with gc 256]
    #[arg(long, value_name = "N")]
    pub(crate) crop: Option<usize>,
    /// Noise level in 8-bit grey levels. A model that is not told it is shared for this level unless --sigma-from or
    /// --interval is given.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    pub(crate) sigma: f64,
    #[command(flatten)]
    pub(crate) clamp: Clamp,
    #[command(flatten)]
    pub(crate) plausible: Plausible,
    /// Make it an error if the image leaves the calibrated ranges of a model, where values wrap around; without this
    /// flag it is told.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Seed of the noise.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) seed: u64,
    /// Folder for the pictures; created if it does not exist.
    #[arg(long, default_value = "demo-out", value_parser = named(), value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Keep keys, shares and material in OUT/work instead of removing them.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Demo {
    /// Who makes the material: the servers, where that takes seconds.
    pub(crate) fn material(&self) -> Origin {
        let ring = self.quantise.ring();
        self.material.unwrap_or(match (&self.model, self.quantise.engine, ring) {
            (None, None, RingBits::L32) => Origin::Made,
            _ => Origin::Dealt,
        })
    }
}
