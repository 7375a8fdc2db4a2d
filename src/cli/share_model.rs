//! `share-model`: quantise a model and split it between the servers.

use super::args::{Quantise, ShareModel};
use super::failure::{Code, Failure};
use super::files::{overwrite, read_model, with_suffix};
use super::output::{Console, print_json};
use crate::artefact::write_model;
use crate::format::Role;
use crate::format::keys::KeyFolder;
use crate::format::output::{Access, OutputFile, ensure_not_input};
use crate::model::{EngineKind, FloatModel, Method, QuantiseOptions, QuantisedModel, quantise};
use crate::piecewise::Piecewise;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    model_id: String,
    ring_bits: u32,
    weights: usize,
    stride: usize,
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
    let options = quantise_options(&model, &args.quantise)?;
    console.phase("quantising and sharing");
    let quantised = quantise(&model, &options).map_err(|e| Failure::from(e).about(&args.model))?;
    let model_id = write_model(&quantised, &parties, outs)?;
    console.finish();
    let report = report(&quantised, model_id.to_string());
    for (i, layer) in report.layers.iter().enumerate() {
        console.note(format!(
            "layer {}: largest possible pre-activation {:.1}, guaranteed range {}, {} bits",
            i + 1,
            layer.worst_case,
            layer.range,
            layer.input_bits
        ));
    }
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

/// Grey levels 0 to 255 in network units.
const DEFAULT_INTERVAL: f64 = 2.5;
/// Cells of 1/4.
const DEFAULT_CELL_BITS: u32 = 2;

/// What the flags ask for; `denoise --twin` uses it too.
pub(super) fn quantise_options(
    model: &FloatModel,
    flags: &Quantise,
) -> Result<QuantiseOptions, Failure> {
    Ok(QuantiseOptions {
        ring: flags.ring(),
        method: method(model, flags)?,
        interval: flags.interval.unwrap_or(DEFAULT_INTERVAL),
    })
}

fn method(model: &FloatModel, flags: &Quantise) -> Result<Method, Failure> {
    let (function, refit) = match (flags.engine(), flags.piecewise.as_deref()) {
        (EngineKind::Lut, None) => {
            return Ok(Method::Lut { cell_bits: flags.cell.unwrap_or(DEFAULT_CELL_BITS) });
        }
        (EngineKind::Lut, Some(_)) => return Err(other_engine("--piecewise", "--engine gc")),
        (EngineKind::Gc, _) if flags.cell.is_some() => {
            return Err(other_engine("--cell", "--engine lut"));
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

fn other_engine(flag: &str, engine: &str) -> Failure {
    Failure::new(Code::Usage, format!("{flag} goes with {engine}"))
        .help(format!("add {engine}, or leave {flag} away"))
}

fn report(quantised: &QuantisedModel, model_id: String) -> Report {
    let public = &quantised.public;
    let tables = public.network.activations().map(|(_, table, _)| table);
    let layers = quantised.worst_cases.iter().zip(tables).map(|(&worst_case, table)| LayerReport {
        worst_case,
        range: f64::from(table.range_bits()).exp2(),
        input_bits: table.input_bits(),
    });
    Report {
        model_id,
        ring_bits: public.ring.bits(),
        weights: public.network.linears().map(|(_, l)| l.weights()).sum(),
        stride: public.network.gather().stride,
        layers: layers.collect(),
    }
}
