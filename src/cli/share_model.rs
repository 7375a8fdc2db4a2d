//! `share-model`: quantise a model and split it between the servers.

use super::args::{Quantise, ShareModel};
use super::failure::{Code, Failure};
use super::files::{overwrite, parties, read_model, with_suffix};
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
    let parties = parties(&keys, Role::ModelOwner)?;
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
    console.phase("quantising and sharing");
    let model = read_model(&args.model, args.quantise.stride)?;
    let quantised = quantise_for(&model, &args.quantise).map_err(|e| e.about(&args.model))?;
    let model_id = write_model(&quantised, parties, outs)?;
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

/// Quantises as the flags say; `denoise --twin` and `demo` use it too.
pub(super) fn quantise_for(
    model: &FloatModel,
    flags: &Quantise,
) -> Result<QuantisedModel, Failure> {
    let options = QuantiseOptions {
        ring: flags.ring,
        method: method(model, flags)?,
        interval: flags.interval,
    };
    Ok(quantise(model, &options)?)
}

fn method(model: &FloatModel, flags: &Quantise) -> Result<Method, Failure> {
    let function = match (flags.engine, flags.piecewise.as_str()) {
        (EngineKind::Lut, _) => return Ok(Method::Lut { cell_bits: flags.cell }),
        (EngineKind::Gc, "zheng") => Piecewise::zheng(),
        (EngineKind::Gc, "refit2") => Piecewise::refit2(),
        (EngineKind::Gc, "model") => model.piecewise.clone().ok_or_else(|| {
            Failure::new(Code::Input, "the model's description has no `piecewise` function")
                .help("add it to the description, or choose zheng, refit2 or refit")
        })?,
        (EngineKind::Gc, _) => Piecewise::refit(),
    };
    Ok(Method::Gc { function })
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
