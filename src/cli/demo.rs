//! `demo`: the whole pipeline on one image, every step a process of its own.

use super::args::demo::Demo;
use super::failure::Failure;
use super::files::{quality_text, read_noisy};
use super::named::model_file;
use super::output::{Console, bytes, print_json, print_line};
use crate::image::Raster;
use crate::lab::demo::{
    DemoModel, EMBEDDED_IMAGE_NAME, Report, Request, embedded_image, run as demonstrate,
};
use crate::material::Origin;
use crate::model::EngineKind;
use std::path::Path;

/// The clean image, if no other is named.
const IMAGE: &str = "fixtures/images/nat_camera.png";
/// The model, if no other is named.
const MODEL: &str = "default";

pub(super) fn run(args: &Demo, console: &mut Console) -> Result<(), Failure> {
    let request = request(args, console)?;
    let report = demonstrate(&request, console)?;
    if args.json { print_json(&report) } else { print_table(args, &report) }
}

fn request(args: &Demo, console: &Console) -> Result<Request, Failure> {
    let (name, image) = image(args)?;
    let model = model(args)?;
    let stand_ins = [
        (name == EMBEDDED_IMAGE_NAME).then_some("a small picture (--image IMAGE for another)"),
        matches!(model, DemoModel::Embedded)
            .then_some("its tiny model (--model MODEL for another)"),
    ];
    let stand_ins: Vec<&str> = stand_ins.into_iter().flatten().collect();
    if !stand_ins.is_empty() {
        let text = format!(
            "the files of the sources are not here: the program brings {}",
            stand_ins.join(" and ")
        );
        console.note(text);
    }
    let mut choices = args.quantise.choices();
    if choices.interval.is_none() {
        choices.sigma_from.get_or_insert(args.sigma);
    }
    Ok(Request {
        name,
        image,
        model,
        stride: args.quantise.stride,
        choices,
        material: args.material(),
        crop: crop(args),
        sigma: args.sigma,
        seed: args.seed,
        clamping: args.clamp.clamping(),
        implausibility: args.plausible.implausibility(),
        strict: args.strict,
        out: args.out.clone(),
        keep: args.keep,
    })
}

/// The clean image and its name.
fn image(args: &Demo) -> Result<(String, Raster), Failure> {
    match &args.image {
        None if !Path::new(IMAGE).exists() => {
            Ok((EMBEDDED_IMAGE_NAME.into(), embedded_image()?.into()))
        }
        given => {
            let file = given.as_deref().unwrap_or(Path::new(IMAGE));
            let chosen = args.ranged.or(args.dicom);
            let image = read_noisy(file, chosen, Some(args.sigma))?;
            Ok((file.display().to_string(), image))
        }
    }
}

fn model(args: &Demo) -> Result<DemoModel, Failure> {
    let named = |name: &str| Ok(DemoModel::File(model_file(name, &[])?));
    match &args.model {
        Some(name) => named(name),
        None => named(MODEL).or(Ok(DemoModel::Embedded)),
    }
}

/// The side of the part of the image that is used.
fn crop(args: &Demo) -> Option<usize> {
    let default = if args.quantise.engine == Some(EngineKind::Gc) { 256 } else { 0 };
    Some(args.crop.unwrap_or(default)).filter(|side| *side > 0)
}

fn print_table(args: &Demo, report: &Report) -> Result<(), Failure> {
    print_line(&format!(
        "{} with noise of {} grey levels, {}",
        report.image, report.sigma, report.model
    ))?;
    print_line("")?;
    for (name, quality) in
        [("noisy", report.noisy), ("plaintext", report.plaintext), ("secure", report.secure)]
    {
        print_line(&format!("{name:12} {}", quality_text(&quality)))?;
    }
    print_line(&format!("{:12} {:+.4} dB", "lost", report.psnr_lost_db))?;
    print_line("")?;
    for row in &report.phases {
        let amount = if row.bytes == 0 { String::new() } else { bytes(row.bytes) };
        print_line(&format!(
            "{:14} {:13} {:8.2} s {:>12}  {}",
            row.phase, row.who, row.seconds, amount, row.what
        ))?;
    }
    print_line("")?;
    print_line(&format!(
        "{} activations, {:.2} bytes each between the servers, both directions together",
        report.activations, report.online_bytes_per_activation_both_directions
    ))?;
    let [s0, s1] = report.peak_memory_bytes.map(|memory| memory.map_or("?".into(), bytes));
    print_line(&format!("peak memory {s0} (S0), {s1} (S1)"))?;
    if args.material() == Origin::Made {
        print_line("two servers, nobody else: they made their material themselves")?;
    }
    print_line(&format!("pictures in {}: comparison.png shows all", args.out.display()))
}
