//! `calibrate`: the largest values that a model's layers reach on sample images.

use super::args::model_owner::Calibrate;
use super::failure::Failure;
use super::files::{pictures, read_raster};
use super::output::{Console, print_json};
use crate::files::output::Overwrite;
use crate::files::output::ensure_not_input;
use crate::roles::models::{prove_output, read_model, write_model};
use crate::roles::{self, CalibrateEvent, Calibration, Observer, Widened, calibrate};

pub(super) fn run(args: &Calibrate, console: &mut Console) -> Result<(), Failure> {
    ensure_not_input(&args.out, &[&args.model])?;
    prove_output(&args.out, Overwrite::Allow)?;
    let mut model = read_model(&args.model, None)?;
    let images = pictures(&args.data)?;
    let held_out = args.held_out.as_deref().map(pictures).transpose()?.unwrap_or_default();
    let request = roles::Calibrate {
        images: &images,
        held_out: &held_out,
        sigmas: &args.sigma,
        seed: args.seed,
        prune: args.prune,
        activations: args.activations,
        strict: args.strict,
    };
    let report = calibrate(&mut model, &request, |path| read_raster(path, None), console)?;
    console.finish();
    tell(&report, console);
    if let Some(most) = args.activations.filter(|most| report.activations_a_pixel > *most) {
        console.note(format!("more than {most}, since each layer keeps one channel"));
    }
    write_model(&model, &args.out, Overwrite::Allow)?;
    if args.json {
        print_json(&report)?;
    }
    Ok(())
}

impl Observer<CalibrateEvent> for Console {
    fn event(&mut self, event: CalibrateEvent) {
        match event {
            CalibrateEvent::Looking => self.phase("calibrating"),
        }
    }

    fn progress(&mut self, done: f64) {
        Console::progress(self, done);
    }
}

fn tell(report: &Calibration, console: &Console) {
    let Calibration { channels, left_out, not_zero, activations_a_pixel, .. } = report;
    if *left_out > *not_zero {
        let zero = left_out - not_zero;
        console.note(format!("left out {zero} of {channels} channels, which are 0 on every image"));
    }
    if *not_zero > 0 {
        console.note(format!(
            "left out {not_zero} of {channels} channels that matter least: train the network further, with \
             `train --init`, and calibrate it again"
        ));
    }
    console.note(format!("{activations_a_pixel:.1} activations a pixel"));
    for (i, layer) in report.layers.iter().enumerate() {
        let held = match (layer.held_out, layer.held_out_over_seen) {
            (Some(v), Some(r)) => format!(", {v:.3} on held-out images, {r:.2} by channel"),
            _ => String::new(),
        };
        console.note(format!("layer {}: at most {:.3}{held}", i + 1, layer.largest));
    }
    if let Some(needed) = report.needed_margin {
        console.note(format!("held-out images would have needed a margin of {needed:.2}"));
    }
    if let Some(left) = report.held_out_out_of_range.as_ref().filter(|left| !left.is_empty()) {
        console.note(format!("held-out images: {left}, with the usual margin"));
    }
    if let Some(Widened { wider, outputs, most }) = report.widened {
        console.note(format!(
            "{wider} of {outputs} ranges are wider than the images ask for, up to {most:.2} times: pictures that are \
             no photographs reach further"
        ));
    }
}
