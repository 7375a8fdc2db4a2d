//! `import`: a model that others trained, its layers and their use found out.

use super::args::model_owner::{Family, Import};
use super::failure::Failure;
use super::files::overwrite;
use super::output::{Console, finite, print_json};
use crate::files::output::ensure_not_input;
use crate::model::{self, Known};
use crate::network::LinearShape;
use crate::roles::models::{open_model, prove_output, write_model};
use serde::Serialize;

/// How many of the tries are told.
const SHOWN: usize = 5;

#[derive(Serialize)]
struct Report {
    format: String,
    family: String,
    /// What was made of the arrays.
    notes: Vec<String>,
    weights: usize,
    sigma: f64,
    noisy_psnr_db: Option<f64>,
    chosen: String,
    tries: Vec<TryReport>,
}

#[derive(Serialize)]
struct TryReport {
    what: String,
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
    print_json("ppdenoise.import.v1", &report)
}
