//! `denoise`: the plaintext reference, in floats or as the integer twin.

use super::args::parse::goes_with;
use super::args::plain::Denoise;
use super::failure::{Code, Failure, unfit};
use super::files::{
    check_streams, is_stream, overwrite, quality_text, read_noisy, read_reference, tell_stacked,
};
use super::levels::tell_level;
use super::output::{Console, print_json};
use super::plausible::{tell_implausible, tell_out_of_range};
use crate::files::Place;
use crate::files::output::ensure_not_input;
use crate::image::ImageError;
use crate::image::metrics::{Quality, comparable, quality};
use crate::model::{FloatModel, OutOfRange, Rounding, quantise};
use crate::numbers::tanh::TanhStandIn;
use crate::roles::images::Target;
use crate::roles::models::{beside, doubt, read_model};
use crate::roles::{self, Arithmetic, Denoised, Observer, PlainEvent, Plausibility};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// A denoised image.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report {
    /// `float32` and the activation, or `integer twin` and the ring, and `random choices` with
    /// `--twin-seed`.
    arithmetic: String,
    /// Noise level of the first channel, in grey levels.
    sigma: f64,
    /// Noise level of each channel of each frame; with a model for colours of each frame.
    sigmas: Vec<f64>,
    /// Seconds of the computation.
    seconds: f64,
    #[serde(flatten)]
    plausibility: Plausibility,
    /// What left calibrated ranges; null in floats, and where no image can leave them.
    out_of_range: Option<OutOfRange>,
    /// With `--reference`.
    #[serde(flatten)]
    #[schemars(with = "Option<crate::roles::schema::Quality>")]
    quality: Option<Quality>,
}

pub(super) fn run(args: &Denoise, console: &mut Console) -> Result<(), Failure> {
    if let (false, Some(flag)) = (args.twin, args.quantise.given().first()) {
        return Err(Failure::new(Code::Usage, format!("{flag} goes with --twin"))
            .help(format!("add --twin, or leave {flag} away: floats have no such thing")));
    }
    if args.clamp.clamp && !args.twin {
        return Err(goes_with("--clamp", "--twin"));
    }
    if args.twin_seed.is_some() && !args.twin {
        return Err(goes_with("--twin-seed", "--twin"));
    }
    if args.strict && !args.twin {
        return Err(goes_with("--strict", "--twin"));
    }
    let window = args.dicom.window;
    let overwrite = overwrite(args.common.force);
    let out = Place::from(&args.out);
    let target = Target { out: &out, original: Some(&args.image), window, overwrite };
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
    let levels = args.met.levels()?;
    let chosen = args.ranged.or(args.dicom);
    let image = read_noisy(&args.image, chosen, levels.told(model.trained()))?;
    if image.is_colour() && !args.color && !model.trained().of_colours {
        let failure = Failure::from(ImageError::Colour).about(&args.image);
        return Err(failure.help("add --color to denoise each channel by itself"));
    }
    let reference = args.reference.as_deref().map(|path| {
        let reference = read_reference(path, window, image.range())?;
        let compared = comparable(&reference, &image);
        compared.map_err(|e| Failure::from(e).about(path)).map(|()| reference)
    });
    let reference = reference.transpose()?;
    if let Some(frames) = target.stacked(&image) {
        tell_stacked(frames, out.name(), console);
    }
    let quantised = if args.twin {
        let options = args.quantise.choices().options(&model)?;
        Some(quantise(&model, &options).map_err(|e| Failure::from(e).about(&args.model))?)
    } else {
        None
    };
    let clamping = args.clamp.clamping();
    let rounding = args.twin_seed.map_or(Rounding::Nearest, Rounding::Random);
    let request = roles::Denoise {
        name: &args.image,
        image: &image,
        average: args.average.unwrap_or_default(),
        arithmetic: match &quantised {
            Some(model) => Arithmetic::Integer { model, clamping, rounding },
            None => Arithmetic::Float { model: &model, stand_in: args.activation },
        },
        levels,
        noise_map: None,
        implausibility: args.plausible.implausibility(),
        strict: args.strict,
    };
    let started = Instant::now();
    let Denoised { image: denoised, sigmas, plausibility, out_of_range } =
        roles::denoise(&request, console)?;
    let arithmetic = if args.twin {
        let rounding = if args.twin_seed.is_some() { ", random choices" } else { "" };
        format!("integer twin, ring {}{rounding}", args.quantise.ring().bits())
    } else {
        let name = args.activation.map_or(model.activation.name(), TanhStandIn::name);
        format!("float32, {name}")
    };
    console.finish();
    let seconds = started.elapsed().as_secs_f64();
    let quality = reference.map(|r| quality(&r, &denoised)).transpose()?;
    target.write(&denoised)?;
    if let Some(quality) = &quality {
        console.note(format!("{}: {}", args.out.display(), quality_text(quality)));
    }
    if args.common.json {
        print_json(&Report {
            arithmetic,
            sigma: sigmas[0],
            sigmas,
            seconds,
            plausibility,
            out_of_range,
            quality,
        })?;
    }
    Ok(())
}

/// Says on standard error if the description that somebody wrote beside a model is in doubt.
fn tell_doubt(model: &FloatModel, path: &Path, console: &Console) -> Result<(), Failure> {
    if beside(path).exists()
        && let Some(doubt) = doubt(model, path)?
    {
        console.note(format!("'{}': its description is in doubt: {doubt}", path.display()));
    }
    Ok(())
}

impl Observer<PlainEvent> for Console {
    fn event(&mut self, event: PlainEvent) {
        match event {
            PlainEvent::Denoising => self.phase("denoising"),
            PlainEvent::Level(note) => tell_level(&note, unfit::of_plain, self),
            PlainEvent::OutOfRange { file, left } => tell_out_of_range(&file, &left, self),
            PlainEvent::Implausible(result) => tell_implausible(&result, self),
        }
    }

    fn progress(&mut self, done: f64) {
        Console::progress(self, done);
    }
}
