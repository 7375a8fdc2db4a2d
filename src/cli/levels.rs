//! What the flags say of an image's noise, and how its grey levels become network units.

use super::args::{Met, NoiseKind, SensorNoise, Sigma};
use super::failure::{Code, Failure};
use super::output::Console;
use crate::image::{GreyImage, Poisson, estimate_sigma};
use crate::model::{LevelMap, Normalisation};
use std::path::Path;

/// An image's noise level and the map that follows from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// The noise level in grey levels; of stabilised levels for Poisson noise.
    pub(super) sigma: f64,
    pub(super) map: LevelMap,
}

/// The levels of `image`, which `file` holds, for a model trained on noise of `model_sigma`.
pub(super) fn levels(
    met: &Met,
    (file, image): (&Path, &GreyImage),
    model_sigma: f64,
    units: Normalisation,
    console: &Console,
) -> Result<Levels, Failure> {
    let poisson = sensor(met.noise, &met.sensor)?;
    let sigma = match (poisson, met.sigma) {
        (Some(noise), None) => noise.sigma(),
        (Some(_), Some(_)) => {
            let text = "--sigma does not go with --noise poisson: the gain says how strong it is";
            return Err(Failure::new(Code::Usage, text).help("leave --sigma away"));
        }
        (None, None) => model_sigma,
        (None, Some(Sigma::Known(sigma))) => sigma,
        (None, Some(Sigma::Auto)) => {
            let sigma = estimate_sigma(image).map_err(|e| Failure::from(e).about(file))?;
            console.note(format!("estimated noise: {sigma:.2} grey levels"));
            sigma
        }
    };
    let mut map = LevelMap { poisson, ..LevelMap::new(units, model_sigma / sigma) };
    if let Some(about) = met.scale_about {
        map.scale_about = about;
    }
    Ok(Levels { sigma, map })
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
