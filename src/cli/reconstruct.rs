//! `reconstruct`: the receiver puts the result shares together.

use super::args::Reconstruct;
use super::dicom::Target;
use super::failure::{Code, Failure};
use super::files::{QualityReport, check_writable, is_stream, read_reference};
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
    let window = args.dicom.window;
    let target = Target { out: &args.out, original: args.like.as_deref(), window };
    target.check()?;
    if args.like.is_some() && !target.is_dicom() {
        return Err(Failure::new(Code::Usage, "--like goes with a DICOM file")
            .help("name the output with .dcm, or leave --like away"));
    }
    if !is_stream(&args.out) {
        let mut inputs: Vec<&Path> = vec![&args.first, &args.second];
        inputs.extend(args.reference.as_deref());
        inputs.extend(args.like.as_deref());
        ensure_not_input(&args.out, &inputs)?;
    }
    check_writable(&args.out)?;
    let keys = KeyFolder::open(&args.keys)?;
    let receiver = args.unlock.secret(&keys, Role::Receiver)?;
    let servers = [keys.public(Role::Server0)?, keys.public(Role::Server1)?];
    let reference =
        args.reference.as_deref().map(|path| read_reference(path, window)).transpose()?;
    let result = reconstruct([&args.first, &args.second], &receiver, &servers)?;
    let (height, width) = result.size;
    let pixels = result.grey.iter().map(|&v| v as f32).collect();
    let image = Raster::from(GreyImage::new(height, width, pixels)?);
    let quality = reference.map(|r| QualityReport::new(&r, &image)).transpose()?;
    let writing = Instant::now();
    target.write(&image)?;
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
