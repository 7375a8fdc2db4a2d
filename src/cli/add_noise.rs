//! `add-noise`: reproducible Gaussian or Poisson noise.

use super::args::AddNoise;
use super::failure::{Code, Failure};
use super::files::{is_stream, output_format, read_image, write_image};
use super::levels::sensor;
use super::output::Console;
use crate::format::output::ensure_not_input;
use crate::image::{add_gaussian, add_poisson};

pub(super) fn run(args: &AddNoise, console: &Console) -> Result<(), Failure> {
    output_format(&args.out)?;
    if !is_stream(&args.out) && !is_stream(&args.image) {
        ensure_not_input(&args.out, &[&args.image])?;
    }
    let clean = read_image(&args.image)?;
    let (noisy, text) = match (sensor(args.noise, &args.sensor)?, args.sigma) {
        (None, Some(sigma)) => {
            (add_gaussian(&clean, sigma, args.seed)?, format!("noise of {sigma} grey levels"))
        }
        (Some(noise), None) => {
            let text = format!(
                "Poisson noise of {} grey levels an electron, read noise {}",
                noise.gain(),
                noise.read_noise()
            );
            let noisy = add_poisson(&clean, &noise, args.seed);
            (noisy.map_err(|e| Failure::from(e).about(&args.image))?, text)
        }
        (None, None) => {
            return Err(Failure::new(Code::Usage, "Gaussian noise needs its standard deviation")
                .help("add --sigma LEVELS"));
        }
        (Some(_), Some(_)) => {
            return Err(Failure::new(Code::Usage, "--sigma does not go with --noise poisson")
                .help("leave --sigma away: the gain says how strong the noise is"));
        }
    };
    write_image(&args.out, &noisy)?;
    console.note(format!("{text}, seed {}", args.seed));
    Ok(())
}
