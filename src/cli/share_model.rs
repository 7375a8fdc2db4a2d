//! `share-model`: quantise a model and split it between the servers.

use super::args::ShareModel;
use super::args::parse::goes_with;
use super::args::quantise::{Quantise, RangeKind};
use super::failure::{Code, Failure};
use super::files::overwrite;
use super::models::{check_description, read_model};
use super::output::{Console, print_json};
use super::server_side::Watcher;
use crate::model::piecewise::Piecewise;
use crate::model::{Cells, EngineKind, FloatModel, Method, QuantiseOptions, Ranges};
use crate::numbers::activation::Nonlinearity;
use crate::roles::{self, ModelOwner, RoleError, SharedModel};
use std::path::Path;

pub(super) fn run(args: &ShareModel, console: &mut Console) -> Result<(), Failure> {
    let owner = ModelOwner::open(&args.keys, &|file: &Path| args.unlock.passphrase(file))?;
    let model = read_model(&args.model, args.quantise.stride)?;
    if !args.unchecked {
        check_description(&model, &args.model)?;
    }
    let options = quantise_options(&model, &args.quantise)?;
    let request = roles::ShareModel {
        model: &model,
        options: &options,
        out: args.out.clone(),
        overwrite: overwrite(args.common.force),
        keep: vec![args.model.clone()],
    };
    let report = owner.share(&request, &mut Watcher::new(console)).map_err(|e| match e {
        e @ (RoleError::Model(_) | RoleError::Network(_)) => Failure::from(e).about(&args.model),
        e => e.into(),
    })?;
    console.finish();
    tell(&report, &options, args, console);
    if args.common.json {
        print_json("ppdenoise.share-model.v1", &report)?;
    }
    Ok(())
}

fn tell(report: &SharedModel, options: &QuantiseOptions, args: &ShareModel, console: &Console) {
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
    let SharedModel { sigma_from, input_interval, model_id, .. } = report;
    console.note(format!(
        "serves noise of {sigma_from:.1} grey levels or more: inputs within {input_interval:.2}"
    ));
    console.note(format!("model {model_id} shared as {}.pub, .s0, .s1", args.out.display()));
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
