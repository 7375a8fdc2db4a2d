//! `add-noise`: reproducible Gaussian noise.

use super::args::AddNoise;
use super::failure::Failure;
use super::files::{is_stream, output_format, read_image, write_image};
use super::output::Console;
use crate::format::output::ensure_not_input;
use crate::image::add_gaussian;

pub(super) fn run(args: &AddNoise, console: &Console) -> Result<(), Failure> {
    output_format(&args.out)?;
    if !is_stream(&args.out) && !is_stream(&args.image) {
        ensure_not_input(&args.out, &[&args.image])?;
    }
    let clean = read_image(&args.image)?;
    let noisy = add_gaussian(&clean, args.sigma, args.seed)?;
    write_image(&args.out, &noisy)?;
    console.note(format!("noise of {} grey levels, seed {}", args.sigma, args.seed));
    Ok(())
}
