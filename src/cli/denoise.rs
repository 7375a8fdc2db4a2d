//! `denoise`: the plaintext reference, in floats or as the integer twin.

use super::args::Denoise;
use super::args::parse::goes_with;
use super::failure::{Code, Failure};
use super::files::{
    QualityReport, check_streams, is_stream, overwrite, read_raster, read_reference,
};
use super::levels::{levels, tell_clamped, unfit};
use super::models::{read_model, tell_doubt};
use super::output::{Console, print_json};
use super::share_model::quantise_options;
use crate::files::output::ensure_not_input;
use crate::image::{GreyImage, ImageError};
use crate::model::{Clamping, LevelMap, QuantisedModel, Unfit, quantise};
use crate::numbers::activation::{Activation, Nonlinearity};
use crate::roles::images::Target;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    arithmetic: String,
    /// Of the first channel.
    sigma: f64,
    /// Of each channel of each frame: with `--sigma auto` they differ.
    sigmas: Vec<f64>,
    seconds: f64,
    #[serde(flatten)]
    quality: Option<QualityReport>,
}

pub(super) fn run(args: &Denoise, console: &mut Console) -> Result<(), Failure> {
    if let (false, Some(flag)) = (args.twin, args.quantise.given().first()) {
        return Err(Failure::new(Code::Usage, format!("{flag} goes with --twin"))
            .help(format!("add --twin, or leave {flag} away: floats have no such thing")));
    }
    if args.clamp.clamp && !args.twin {
        return Err(goes_with("--clamp", "--twin"));
    }
    let window = args.dicom.window;
    let overwrite = overwrite(args.common.force);
    let target = Target { out: &args.out, original: Some(&args.image), window, overwrite };
    target.check()?;
    let mut inputs: Vec<&Path> = vec![&args.image, &args.model];
    inputs.extend(args.reference.as_deref());
    check_streams(&inputs, &args.out, args.common.json)?;
    if !is_stream(&args.out) {
        ensure_not_input(&args.out, &inputs)?;
    }
    target.prove()?;
    let model = read_model(&args.model, args.quantise.stride)?;
    tell_doubt(&model, &args.model, console)?;
    let image = read_raster(&args.image, window)?;
    if image.is_colour() && !args.color {
        let failure = Failure::from(ImageError::Colour).about(&args.image);
        return Err(failure.help("add --color to denoise each channel by itself"));
    }
    let reference =
        args.reference.as_deref().map(|path| read_reference(path, window)).transpose()?;
    let quantised = match args.twin {
        true => {
            let options = quantise_options(&model, &args.quantise)?;
            Some(quantise(&model, &options).map_err(|e| Failure::from(e).about(&args.model))?)
        }
        false => None,
    };
    let stand_in = match (args.activation, model.nonlinearity) {
        (Some(_), Nonlinearity::Relu) => {
            let text = "--activation stands in for tanh, and this model's activation is relu";
            return Err(Failure::new(Code::Usage, text).help("leave --activation away"));
        }
        (given, _) => given,
    };
    let started = Instant::now();
    let mut planes = vec![Vec::new(); image.planes().len()];
    let mut sigmas = Vec::new();
    let frames = (0..image.frames()).map(|frame| image.frame(frame));
    let frames = frames.collect::<Result<Vec<_>, _>>()?;
    let each = frames.iter().flat_map(|frame| frame.iter().enumerate());
    for (channel, plane) in each {
        let levels = levels(&args.met, (&args.image, plane), model.sigma, model.units, console)?;
        console.phase("denoising");
        let denoised = match &quantised {
            Some(quantised) => {
                let clamping = args.clamp.clamping();
                rounded(quantised, (&args.image, plane), &levels.map, clamping, console)?
            }
            None => {
                let activation = |v: &mut [f32]| match stand_in {
                    Some(function) => function.apply(v),
                    None => model.nonlinearity.apply(v),
                };
                let progress = &mut |done| console.progress(done);
                let denoised = model.denoise_grey(plane, &levels.map, &activation, progress);
                denoised.map_err(|e| Failure::from(e).about(&args.image))?
            }
        };
        planes[channel].extend(denoised.into_pixels());
        sigmas.push(levels.sigma);
    }
    let arithmetic = match args.twin {
        true => format!("integer twin, ring {}", args.quantise.ring().bits()),
        false => {
            let name = stand_in.map_or(model.nonlinearity.name(), Activation::name);
            format!("float32, {name}")
        }
    };
    console.finish();
    let size = (image.height(), image.width());
    let planes = planes.into_iter().map(|pixels| GreyImage::new(size.0, size.1, pixels));
    let denoised = image.with_planes(planes.collect::<Result<_, _>>()?)?;
    let seconds = started.elapsed().as_secs_f64();
    let quality = reference.map(|r| QualityReport::new(&r, &denoised)).transpose()?;
    target.write(&denoised)?;
    if let Some(quality) = &quality {
        console.note(format!("{}: {quality}", args.out.display()));
    }
    if args.common.json {
        print_json(
            "ppdenoise.denoise.v1",
            &Report { arithmetic, sigma: sigmas[0], sigmas, seconds, quality },
        )?;
    }
    Ok(())
}

/// Denoises with the integers of the secure pipeline, and tells of pixels that were clamped.
fn rounded(
    model: &QuantisedModel,
    (file, image): (&Path, &GreyImage),
    levels: &LevelMap,
    clamping: Clamping,
    console: &mut Console,
) -> Result<GreyImage, Failure> {
    let remedy = |e: &Unfit| format!("use --sigma-from {}", e.needed);
    let refused =
        |e: Unfit| unfit(file, &e, &remedy(&e), "add --clamp to denoise what is left of them");
    let encoded = model.encode_fitting(image, levels, clamping).map_err(refused)?;
    let (fit, size) = (encoded.fit, (image.height(), image.width()));
    let denoised =
        model.denoise_encoded(&encoded, size, levels, &mut |done| console.progress(done));
    if fit.clamped > 0 {
        let e = fit.unfit(&model.public, levels);
        tell_clamped(&e, &remedy(&e), console);
    }
    denoised.map_err(|e| Failure::from(e).about(file))
}
