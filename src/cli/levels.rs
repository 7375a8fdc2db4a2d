//! What the flags say of an image's noise, and how its grey levels become network units.

use super::args::parse::parse_positive;
use super::failure::{Code, Failure};
use super::output::Console;
use crate::image::Poisson;
use crate::model::{Clamping, Trained, Unfit};
use crate::roles::LevelNote;
use crate::roles::images::{Levels, Noise};
use clap::Args;

/// The noise of an image as it was met, and how levels are scaled to the model's noise.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct NoiseArgs {
    /// The noise level of the image in 8-bit grey levels, or auto to estimate it; if not given, the level
    /// that the model was trained for. In shares it is public.
    #[arg(help_heading = "Noise", long, value_name = "LEVELS|auto", value_parser = parse_sigma)]
    pub(super) sigma: Option<Sigma>,
    /// The kind of noise: gaussian, with the same sigma everywhere, or poisson, which grows with the
    /// brightness. Poisson noise is evened out before denoising, and that step is undone afterwards.
    #[arg(help_heading = "Noise", long, default_value = "gaussian", value_name = "KIND")]
    pub(super) noise: NoiseKind,
    #[command(flatten)]
    pub(super) sensor: SensorNoise,
    /// The grey level that stays the same when levels are scaled to the model's noise; mid-grey if not
    /// given, while the paper uses 0. For models that are not told the noise.
    #[arg(help_heading = "Noise", long, value_name = "LEVEL", value_parser = parse_level)]
    pub(super) scale_about: Option<f64>,
}

/// What becomes of levels that the model was not shared for.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Clamp {
    /// Clamp any number of pixels to the levels that the model was shared for. Without this flag it is an
    /// error if more than 1 % of the pixels of an image have to be clamped.
    #[arg(help_heading = "Noise", long)]
    pub(super) clamp: bool,
}

impl Clamp {
    pub(super) fn clamping(self) -> Clamping {
        if self.clamp { Clamping::Any } else { Clamping::Few }
    }
}

/// Tells what somebody should know of a plane; `remedy` says how a model is had that holds all of its pixels.
pub(super) fn tell_level(
    note: &LevelNote,
    remedy: impl FnOnce(&Unfit) -> String,
    console: &mut Console,
) {
    match note {
        LevelNote::Estimated { sigma, .. } => {
            console.note(format!("estimated noise: {sigma:.2} grey levels"));
        }
        LevelNote::Unserved { sigma, trained, .. } => tell_unserved(*sigma, trained, console),
        LevelNote::Clamped { unfit, .. } => console.note(format!(
            "note: {unfit}; they were clamped, which costs quality: {}",
            remedy(unfit)
        )),
    }
}

/// Tells, once of each level, of noise that the model does not serve.
fn tell_unserved(sigma: f64, trained: &Trained, console: &mut Console) {
    let [least, most] = trained.served();
    let (served, told) = if trained.reads_plane {
        (format!("noise of {least:.3} to {most} grey levels"), "below, pictures may become worse")
    } else {
        (
            format!(
                "noise of {least:.3} to {most:.3} grey levels, being trained for {}",
                trained.sigma
            ),
            "use a model that was trained for this noise, or one that is told the noise, such as default.npz",
        )
    };
    console.note_once(format!(
        "note: noise of {sigma:.2} grey levels: the model serves {served}: {told}"
    ));
}

/// The flags of Poisson noise.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct SensorNoise {
    /// Poisson noise: grey levels per photo-electron.
    #[arg(help_heading = "Noise", long, value_name = "LEVELS", value_parser = parse_positive)]
    pub(super) gain: Option<f64>,
    /// Poisson noise: standard deviation of the read noise, in grey levels [default: 0]
    #[arg(help_heading = "Noise", long, value_name = "LEVELS", value_parser = parse_level)]
    pub(super) read_noise: Option<f64>,
}

/// A kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum NoiseKind {
    Gaussian,
    Poisson,
}

/// A noise level given or to be estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sigma {
    Known(f64),
    Auto,
}

impl NoiseArgs {
    /// The levels that the flags describe.
    pub(super) fn levels(&self) -> Result<Levels, Failure> {
        let noise = match (sensor(self.noise, &self.sensor)?, self.sigma) {
            (Some(noise), None) => Noise::Poisson(noise),
            (Some(_), Some(_)) => {
                let text =
                    "--sigma does not go with --noise poisson: the gain says how strong it is";
                return Err(Failure::new(Code::Usage, text).help("leave --sigma away"));
            }
            (None, None) => Noise::OfModel,
            (None, Some(Sigma::Known(sigma))) => Noise::Sigma(sigma),
            (None, Some(Sigma::Auto)) => Noise::Estimated,
        };
        Ok(Levels { noise, scale_about: self.scale_about })
    }
}

/// The Poisson noise that the flags describe, if they do.
pub(super) fn sensor(kind: NoiseKind, flags: &SensorNoise) -> Result<Option<Poisson>, Failure> {
    match (kind, flags.gain, flags.read_noise) {
        (NoiseKind::Gaussian, None, None) => Ok(None),
        (NoiseKind::Gaussian, gain, _) => {
            let flag = if gain.is_some() { "--gain" } else { "--read-noise" };
            Err(Failure::new(Code::Usage, format!("{flag} goes with --noise poisson"))
                .help(format!("add --noise poisson, or leave {flag} away")))
        }
        (NoiseKind::Poisson, None, _) => {
            Err(Failure::new(Code::Usage, "--noise poisson needs the gain of the sensor")
                .help("add --gain LEVELS, the grey levels that one photo-electron makes"))
        }
        (NoiseKind::Poisson, Some(gain), read) => {
            let noise = Poisson::new(gain, read.unwrap_or(0.0));
            noise.map(Some).ok_or_else(|| {
                let text = "--gain is from 0.001 to 255 and --read-noise from 0 to 255 grey levels";
                Failure::new(Code::Usage, text).help("give both in grey levels of 0 to 255")
            })
        }
    }
}

fn parse_sigma(text: &str) -> Result<Sigma, String> {
    match text {
        "auto" => Ok(Sigma::Auto),
        _ => parse_positive(text).map(Sigma::Known).map_err(|e| format!("{e}, or auto")),
    }
}

fn parse_level(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (0.0..=255.0).contains(&v) => Ok(v),
        _ => Err("expected a number from 0 to 255".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_or_refused() {
        assert_eq!(parse_sigma("auto"), Ok(Sigma::Auto));
        assert_eq!(parse_sigma("12.5"), Ok(Sigma::Known(12.5)));
        assert!(parse_sigma("-3").is_err() && parse_sigma("best").is_err());
        assert!(parse_level("0").is_ok() && parse_level("256").is_err());
    }
}
