//! `share-model`: quantise a model and split it between the servers.

use super::args::ShareModel;
use super::args::parse::goes_with;
use super::args::quantise::{Quantise, RangeKind};
use super::failure::{Code, Failure};
use super::files::{overwrite, with_suffix};
use super::models::{check_description, read_model};
use super::output::{Console, print_json};
use crate::artefact::write_model;
use crate::files::keys::KeyFolder;
use crate::files::output::{Access, OutputFile, ensure_not_input};
use crate::ids::Role;
use crate::model::piecewise::Piecewise;
use crate::model::{
    Cells, EngineKind, FloatModel, Method, QuantiseOptions, QuantisedModel, Ranges, quantise,
};
use crate::numbers::activation::Nonlinearity;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    model_id: String,
    ring_bits: u32,
    weights: usize,
    stride: usize,
    /// The lowest noise level at which grey levels 0 to 255 fit.
    sigma_from: f64,
    input_interval: f64,
    layers: Vec<LayerReport>,
}

/// What the owner may want to know of a layer; only `range` and `input_bits` are public.
#[derive(Serialize)]
struct LayerReport {
    worst_case: f64,
    range: f64,
    input_bits: u32,
}

pub(super) fn run(args: &ShareModel, console: &mut Console) -> Result<(), Failure> {
    let keys = KeyFolder::open(&args.keys)?;
    let parties = args.unlock.parties(&keys, Role::ModelOwner)?;
    let create = |suffix, access| {
        let path = with_suffix(&args.out, suffix);
        ensure_not_input(&path, &[&args.model])?;
        OutputFile::create(&path, access, overwrite(args.common.force))
    };
    let outs = [
        create("pub", Access::Public)?,
        create("s0", Access::Secret)?,
        create("s1", Access::Secret)?,
    ];
    let model = read_model(&args.model, args.quantise.stride)?;
    if !args.unchecked {
        check_description(&model, &args.model)?;
    }
    let options = quantise_options(&model, &args.quantise)?;
    console.phase("quantising and sharing");
    let quantised = quantise(&model, &options).map_err(|e| Failure::from(e).about(&args.model))?;
    let model_id = write_model(&quantised, &parties, outs)?;
    console.finish();
    let report = report(&quantised, model_id.to_string());
    let (largest, kind) = match options.ranges {
        Ranges::Guaranteed => ("largest possible pre-activation".into(), "guaranteed"),
        Ranges::Calibrated { margin } => {
            (format!("largest pre-activation seen, times {margin},"), "calibrated")
        }
    };
    for (i, layer) in report.layers.iter().enumerate() {
        console.note(format!(
            "layer {}: {largest} {:.1}, {kind} range {}, {} bits",
            i + 1,
            layer.worst_case,
            layer.range,
            layer.input_bits
        ));
    }
    let Report { sigma_from, input_interval, .. } = report;
    console.note(format!(
        "serves noise of {sigma_from:.1} grey levels or more: inputs within {input_interval:.2}"
    ));
    console.note(format!(
        "model {} shared as {}.pub, .s0, .s1",
        report.model_id,
        args.out.display()
    ));
    if args.common.json {
        print_json("ppdenoise.share-model.v1", &report)?;
    }
    Ok(())
}

/// The lowest noise level to serve, as a part of the model's own: 10 for a model trained on 25.
const SIGMA_FROM: f64 = 0.4;
/// Cells of 1/4 for tanh.
const TANH_CELLS: Cells = Cells::Width(2);
/// 256 cells for ReLU: only that with the kink is inexact.
const RELU_CELLS: Cells = Cells::Count(8);
/// How much larger calibrated ranges are than what was seen.
const MARGIN: f64 = 2.0;

/// What the flags ask for; `denoise --twin` uses it too.
pub(super) fn quantise_options(
    model: &FloatModel,
    flags: &Quantise,
) -> Result<QuantiseOptions, Failure> {
    let kind = flags.ranges.unwrap_or(match model.nonlinearity {
        Nonlinearity::Tanh => RangeKind::Guaranteed,
        Nonlinearity::Relu => RangeKind::Calibrated,
    });
    let ranges = match (kind, flags.margin) {
        (RangeKind::Guaranteed, None) => Ranges::Guaranteed,
        (RangeKind::Guaranteed, Some(_)) => {
            return Err(goes_with("--margin", "--ranges calibrated"));
        }
        (RangeKind::Calibrated, margin) => Ranges::Calibrated { margin: margin.unwrap_or(MARGIN) },
    };
    // Calibrated values outgrow their margin soon below it, at 9 of 25 already (docs/numerics.md).
    let lowest = SIGMA_FROM * model.sigma;
    let from = flags.sigma_from.unwrap_or(lowest);
    if kind == RangeKind::Calibrated && from < lowest {
        let text = format!(
            "calibrated ranges do not serve noise of {from} grey levels: below {lowest} values grow \
             beyond what calibration saw"
        );
        let help = "use a model with guaranteed ranges, or one that was trained on less noise";
        return Err(Failure::new(Code::Input, text).help(help));
    }
    Ok(QuantiseOptions {
        ring: flags.ring(),
        method: method(model, flags)?,
        interval: flags.interval.unwrap_or_else(|| model.units.reach(model.sigma / from)),
        ranges,
    })
}

fn method(model: &FloatModel, flags: &Quantise) -> Result<Method, Failure> {
    let (function, refit) = match (flags.engine(), flags.piecewise.as_deref()) {
        (EngineKind::Lut, None) => {
            let default = match model.nonlinearity {
                Nonlinearity::Tanh => TANH_CELLS,
                Nonlinearity::Relu => RELU_CELLS,
            };
            let given = flags.cell.map(Cells::Width).or(flags.cells.map(Cells::Count));
            return Ok(Method::Lut { cells: given.unwrap_or(default) });
        }
        (EngineKind::Lut, Some(_)) => return Err(goes_with("--piecewise", "--engine gc")),
        (EngineKind::Gc, _) if flags.cell.is_some() => {
            return Err(goes_with("--cell", "--engine lut"));
        }
        (EngineKind::Gc, _) if flags.cells.is_some() => {
            return Err(goes_with("--cells", "--engine lut"));
        }
        (EngineKind::Gc, None) if model.nonlinearity == Nonlinearity::Relu => {
            (Piecewise::relu(), false)
        }
        (EngineKind::Gc, Some(_)) if model.nonlinearity == Nonlinearity::Relu => {
            let text = "--piecewise stands in for tanh, and this model's activation is relu";
            return Err(Failure::new(Code::Usage, text).help("leave --piecewise away"));
        }
        (EngineKind::Gc, Some("zheng")) => (Piecewise::zheng(), false),
        (EngineKind::Gc, Some("refit2")) => (Piecewise::refit2(), true),
        (EngineKind::Gc, Some("model")) => {
            model.piecewise.clone().map(|own| (own, false)).ok_or_else(|| {
                Failure::new(Code::Input, "the model's description has no `piecewise` function")
                    .help("add it to the description, or choose zheng, refit2 or refit")
            })?
        }
        (EngineKind::Gc, _) => (Piecewise::refit(), true),
    };
    Ok(Method::Gc { function, refit })
}

fn report(quantised: &QuantisedModel, model_id: String) -> Report {
    let public = &quantised.public;
    let tables = public.network.activations().map(|(_, table, _)| table);
    let ranges = quantised.worst_cases.iter().zip(&quantised.ranges);
    let layers = ranges.zip(tables).map(|((&worst_case, &range), table)| LayerReport {
        worst_case,
        range,
        input_bits: table.input_bits(),
    });
    let input_interval = public.input.interval;
    Report {
        model_id,
        ring_bits: public.ring.bits(),
        weights: public.network.linears().map(|(_, l)| l.weights()).sum(),
        stride: public.network.gather().stride,
        sigma_from: public.sigma / public.units.ratio_within(input_interval),
        input_interval,
        layers: layers.collect(),
    }
}
