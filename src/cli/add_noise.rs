//! `add-noise`: reproducible Gaussian or Poisson noise.

use super::args::plain::AddNoise;
use super::failure::{Code, Failure};
use super::files::{check_streams, is_stream, read_noisy};
use super::levels::sensor;
use super::output::{Console, print_json};
use crate::files::output::{Overwrite, ensure_not_input};
use crate::image::{NoiseSeed, add_gaussian, add_poisson};
use crate::roles::images::{output_format, write_raster};
use schemars::JsonSchema;
use serde::Serialize;

/// The noise that was added.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report {
    /// Standard deviation of Gaussian noise, in grey levels; null for other noise.
    sigma: Option<f64>,
    /// For Poisson noise: grey levels per electron; null for other noise.
    gain: Option<f64>,
    /// For Poisson noise: read noise in grey levels; null for other noise.
    read_noise: Option<f64>,
    /// Seed of the noise.
    seed: u64,
    /// Rows.
    height: usize,
    /// Columns.
    width: usize,
    /// Channels: 1, or 3 for colour.
    channels: usize,
}

pub(super) fn run(args: &AddNoise, console: &Console) -> Result<(), Failure> {
    output_format(&args.out)?;
    check_streams(&[&args.image], &args.out, args.json)?;
    if !is_stream(&args.out) && !is_stream(&args.image) {
        ensure_not_input(&args.out, &[&args.image])?;
    }
    let sensor = sensor(args.noise, &args.sensor)?;
    let chosen = args.ranged.or(args.dicom);
    let clean = read_noisy(&args.image, chosen, Some(args.sigma.unwrap_or(0.0)))?;
    let text = match (&sensor, args.sigma) {
        (None, Some(sigma)) => format!("noise of {sigma} grey levels"),
        (Some(noise), None) => format!(
            "Poisson noise of {} grey levels an electron, read noise {}",
            noise.gain(),
            noise.read_noise()
        ),
        (None, None) => {
            return Err(Failure::new(Code::Usage, "Gaussian noise needs its standard deviation")
                .help("add --sigma LEVELS"));
        }
        (Some(_), Some(_)) => {
            return Err(Failure::new(Code::Usage, "--sigma does not go with --noise poisson")
                .help("leave --sigma away: the gain says how strong the noise is"));
        }
    };
    let noisy = clean.planes().iter().zip(0..).map(|(clean, plane)| {
        let seed = NoiseSeed { seed: args.seed, plane };
        match &sensor {
            Some(noise) => add_poisson(clean, noise, seed),
            None => add_gaussian(clean, args.sigma.unwrap_or_default(), seed),
        }
    });
    let noisy = noisy.collect::<Result<_, _>>().and_then(|planes| clean.with_planes(planes));
    let noisy = noisy.map_err(|e| Failure::from(e).about(&args.image))?;
    write_raster(&args.out, &noisy, Overwrite::Allow)?;
    console.note(format!("{text}, seed {}", args.seed));
    if args.json {
        let report = Report {
            sigma: args.sigma,
            gain: sensor.map(|noise| noise.gain()),
            read_noise: sensor.map(|noise| noise.read_noise()),
            seed: args.seed,
            height: clean.height(),
            width: clean.width(),
            channels: clean.planes().len(),
        };
        print_json(&report)?;
    }
    Ok(())
}
