//! `reconstruct`: the receiver puts the result shares together.

use super::args::Reconstruct;
use super::failure::Failure;
use super::files::{
    QualityReport, check_streams, check_writable, is_stream, output_format, read_raster,
    write_raster,
};
use super::output::{Console, print_json};
use crate::artefact::reconstruct;
use crate::format::Role;
use crate::format::keys::KeyFolder;
use crate::format::output::ensure_not_input;
use crate::image::{GreyImage, Raster};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    image_id: String,
    session_id: String,
    height: usize,
    width: usize,
    /// The whole command less the start of the process.
    seconds: f64,
    /// Of these, coding and writing the image's file.
    write_image_seconds: f64,
    #[serde(flatten)]
    quality: Option<QualityReport>,
}

pub(super) fn run(args: &Reconstruct, console: &Console) -> Result<(), Failure> {
    let started = Instant::now();
    output_format(&args.out)?;
    let streams = [args.reference.as_deref(), args.unlock.passphrase_file.as_deref()];
    check_streams(&streams.into_iter().flatten().collect::<Vec<_>>(), &args.out, args.json)?;
    if !is_stream(&args.out) {
        let mut inputs: Vec<&Path> = vec![&args.first, &args.second];
        inputs.extend(args.reference.as_deref());
        ensure_not_input(&args.out, &inputs)?;
    }
    check_writable(&args.out)?;
    let keys = KeyFolder::open(&args.keys)?;
    let receiver = args.unlock.secret(&keys, Role::Receiver)?;
    let servers = [keys.public(Role::Server0)?, keys.public(Role::Server1)?];
    let reference = args.reference.as_deref().map(read_raster).transpose()?;
    let result = reconstruct([&args.first, &args.second], &receiver, &servers)?;
    let (height, width) = result.size;
    let pixels = result.grey.iter().map(|&v| v as f32).collect();
    let image = Raster::from(GreyImage::new(height, width, pixels)?);
    let quality = reference.map(|r| QualityReport::new(&r, &image)).transpose()?;
    let writing = Instant::now();
    write_raster(&args.out, &image)?;
    let write_image_seconds = writing.elapsed().as_secs_f64();
    if let Some(quality) = &quality {
        console.note(format!("{}: {quality}", args.out.display()));
    }
    if args.json {
        let (image_id, session_id) = (result.image_id.to_string(), result.session_id.to_string());
        let seconds = started.elapsed().as_secs_f64();
        let report =
            Report { image_id, session_id, height, width, seconds, write_image_seconds, quality };
        print_json("ppdenoise.reconstruct.v1", &report)?;
    }
    Ok(())
}
