//! `import`: a model that others trained, its layers and their use found out.

use super::args::model_owner::{Family, Import};
use super::failure::Failure;
use super::files::overwrite;
use super::output::{Console, finite, print_json};
use crate::files::output::ensure_not_input;
use crate::model::{self, Known};
use crate::network::LinearShape;
use crate::roles::models::{open_model, prove_output, write_model};
use schemars::JsonSchema;
use serde::Serialize;

/// How many of the tries are told.
const SHOWN: usize = 5;

/// How the layers of a model are meant.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report {
    /// Format of the file: .npz, safetensors, PyTorch, ONNX or MATLAB.
    format: String,
    /// mlp, dncnn, unet, or graph for ONNX.
    family: String,
    /// How the arrays were interpreted.
    notes: Vec<String>,
    /// Number of weights, without biases.
    weights: usize,
    /// Noise that the model is for, and of the trial, in grey levels: `--sigma`, or the level of
    /// IRCNN that was taken.
    sigma: f64,
    /// PSNR in dB of the noisy picture.
    noisy_psnr_db: Option<f64>,
    /// The combination that was chosen, one of `tries`.
    chosen: String,
    /// The combinations that were tried.
    tries: Vec<TryReport>,
}

/// A combination.
#[derive(Serialize, JsonSchema)]
pub(super) struct TryReport {
    /// Range, what the network gives, activation, and more where there is more: `0..1, x - net(x),
    /// relu`.
    what: String,
    /// PSNR in dB of the denoised picture; null if it is not a number.
    psnr_db: Option<f64>,
}

pub(super) fn run(args: &Import, console: &mut Console) -> Result<(), Failure> {
    ensure_not_input(&args.out, &[&args.file])?;
    let overwrite = overwrite(args.common.force);
    prove_output(&args.out, overwrite)?;
    let mut file = open_model(&args.file)?;
    console.phase("trying how the layers are meant");
    let family = args.family.map(|family| match family {
        Family::Mlp => model::Family::Mlp,
        Family::Dncnn => model::Family::Dncnn,
        Family::Ircnn => model::Family::Ircnn,
    });
    let known =
        Known { family, activation: args.activation, range: args.range, predicts: args.predicts };
    let imported = file.import(known, args.sigma, &mut |done| console.progress(done));
    let imported = imported.map_err(|e| Failure::from(e).about(&args.file))?;
    console.finish();
    for note in &imported.notes {
        console.note(note);
    }
    let mut order: Vec<_> = imported.tries.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| b.psnr_db.total_cmp(&a.psnr_db));
    console.note(format!(
        "a picture with noise of {} grey levels has {:.2} dB; {} ways of taking the layers were tried, best",
        imported.model.sigma,
        imported.noisy_db,
        order.len()
    ));
    for (i, tried) in order.into_iter().take(SHOWN) {
        let mark = if i == imported.chosen { "  <- taken" } else { "" };
        console.note(format!("  {tried}{mark}"));
    }
    write_model(&imported.model, &args.out, overwrite)?;
    let next = if imported.model.activation.rules().has_calibrated_ranges() {
        "`ppdenoise calibrate` it before it is shared"
    } else {
        "`ppdenoise share-model` shares it"
    };
    let chosen = &imported.tries[imported.chosen].what;
    console.note(format!("written as {} ({chosen}); {next}", args.out.display()));
    if !args.common.json {
        return Ok(());
    }
    let tries = imported.tries.iter();
    let report = Report {
        format: file.format().to_string(),
        family: imported.family.to_string(),
        weights: imported.model.network.linears().map(|(_, l)| l.inputs() * l.outputs()).sum(),
        sigma: imported.model.sigma,
        noisy_psnr_db: finite(imported.noisy_db),
        chosen: imported.tries[imported.chosen].what.clone(),
        tries: tries
            .map(|t| TryReport { what: t.what.clone(), psnr_db: finite(t.psnr_db) })
            .collect(),
        notes: imported.notes,
    };
    print_json(&report)
}
