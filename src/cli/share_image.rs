//! `share-image`: encode an image for a model and split it between the servers.

use super::args::ShareImage;
use super::failure::{Code, Failure};
use super::files::{overwrite, read_public, read_raster, with_suffix};
use super::levels::levels;
use super::output::{Console, print_json};
use crate::artefact::{SharedImage, write_image_shares};
use crate::format::Role;
use crate::format::keys::KeyFolder;
use crate::format::output::{Access, OutputFile, ensure_not_input};
use crate::image::GreyImage;
use crate::model::{LevelMap, PublicModel};
use serde::Serialize;
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    image_id: String,
    height: usize,
    width: usize,
    sigma: f64,
    pixels_clamped: usize,
    /// The whole command less the start of the process.
    seconds: f64,
    /// Of these, reading and decoding the image's file.
    read_image_seconds: f64,
}

pub(super) fn run(args: &ShareImage, console: &Console) -> Result<(), Failure> {
    let started = Instant::now();
    let keys = KeyFolder::open(&args.keys)?;
    let parties = args.unlock.parties(&keys, Role::Gateway)?;
    let public = read_public(&args.model)?;
    let reading = Instant::now();
    let image = read_raster(&args.image, args.dicom.window)?
        .into_grey()
        .map_err(|e| Failure::from(e).about(&args.image))?;
    let read_image_seconds = reading.elapsed().as_secs_f64();
    let size = (image.height(), image.width());
    let grid = public.model.network.grid(size).map_err(|e| Failure::from(e).about(&args.image))?;
    let model = &public.model;
    let levels = levels(&args.met, (&args.image, &image), model.sigma, model.units, console)?;
    let sigma = levels.sigma;
    let (encoded, clamped) = encode(model, &image, &levels.map);
    if clamped > 0 {
        let text = format!(
            "{clamped} of {} pixels lie outside the model's input interval of +-{}",
            encoded.len(),
            public.model.input.interval
        );
        if args.strict {
            return Err(Failure::new(Code::Input, text)
                .about(&args.image)
                .help(format!("{}, or leave --strict away", wider(&image, &levels.map))));
        }
        let wider = wider(&image, &levels.map);
        console.note(format!("note: {text}; they were clamped, which costs quality: {wider}"));
    }
    let create = |suffix| {
        let path = with_suffix(&args.out, suffix);
        ensure_not_input(&path, &[&args.image, &args.model])?;
        OutputFile::create(&path, Access::Secret, overwrite(args.common.force))
    };
    let outs = [create("s0")?, create("s1")?];
    let means = public.model.patch_means(&encoded, &grid);
    let shared = SharedImage { encoded: &encoded, size, sigma, levels: levels.map, means: &means };
    let image_id = write_image_shares(&shared, &public, &parties, outs)?.to_string();
    console.note(format!("image {image_id} shared as {}.s0, .s1", args.out.display()));
    if args.common.json {
        let (height, width) = size;
        let (pixels_clamped, seconds) = (clamped, started.elapsed().as_secs_f64());
        let report =
            Report { image_id, height, width, sigma, pixels_clamped, seconds, read_image_seconds };
        print_json("ppdenoise.share-image.v1", &report)?;
    }
    Ok(())
}

/// What would hold all pixels of an image.
pub(super) fn wider(image: &GreyImage, levels: &LevelMap) -> String {
    let reach = |&grey: &f32| levels.to_units(f64::from(grey)).abs();
    let most = image.pixels().iter().map(reach).fold(0.0, f64::max);
    format!("share the model with --interval {}", (2.0 * most).ceil() / 2.0)
}

/// Fixed-point pixels and how many had to be clamped.
pub(super) fn encode(
    public: &PublicModel,
    image: &GreyImage,
    levels: &LevelMap,
) -> (Vec<i64>, usize) {
    let mut clamped = 0;
    let pixel = |&grey: &f32| {
        let (value, was_clamped) = public.input.encode(levels.to_units(f64::from(grey)));
        clamped += usize::from(was_clamped);
        value
    };
    let encoded = image.pixels().iter().map(pixel).collect();
    (encoded, clamped)
}
