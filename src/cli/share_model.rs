//! `share-model`: quantise a model and split it between the servers.

use super::args::model_owner::ShareModel;
use super::args::parse::goes_with;
use super::failure::{Code, Failure};
use super::files::overwrite;
use super::output::{Console, print_json};
use crate::model::{ChoiceError, Choices, EngineKind, QuantiseOptions, Ranges};
use crate::roles::models::{ModelFileError, doubt, read_model};
use crate::roles::{self, ModelOwner, ModelOwnerError, ModelOwnerEvent, Observer, SharedModel};
use std::path::Path;

pub(super) fn run(args: &ShareModel, console: &mut Console) -> Result<(), Failure> {
    let ask = |file: &Path| args.unlock.passphrase(file);
    let owner = match &args.user {
        None => ModelOwner::open(&args.keys, &ask)?,
        Some(user) => ModelOwner::open_for(user, &args.keys, &ask)?,
    };
    let model = read_model(&args.model, args.quantise.stride)?;
    if !args.unchecked {
        let doubt = doubt(&model, &args.model)?;
        doubt.map_or(Ok(()), |doubt| Err(ModelFileError::Doubtful(doubt).about(&args.model)))?;
    }
    let choices = Choices { one_cloud: args.user.is_some(), ..args.quantise.choices() };
    let options = choices.options(&model)?;
    let request = roles::ShareModel {
        model: &model,
        options: &options,
        out: (&args.out).into(),
        overwrite: overwrite(args.common.force),
        keep: vec![args.model.clone()],
    };
    let report = owner.share(&request, console).map_err(|e| match e {
        ModelOwnerError::Model(e) => Failure::from(e).about(&args.model),
        e => e.into(),
    })?;
    console.finish();
    tell(&report, &options, args, console);
    if args.common.json {
        print_json(&report)?;
    }
    Ok(())
}

impl Observer<ModelOwnerEvent> for Console {
    fn event(&mut self, event: ModelOwnerEvent) {
        match event {
            ModelOwnerEvent::Sharing => self.phase("quantising and sharing"),
        }
    }
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
    let SharedModel { sigma_from, sigma_to, input_interval, model_id, .. } = report;
    let served = match sigma_to {
        Some(most) => format!("up to {most:.1} grey levels"),
        None => format!("{sigma_from:.1} grey levels or more"),
    };
    console.note(format!("serves noise of {served}: inputs within {input_interval:.2}"));
    console.note(format!("model {model_id} shared as {}.pub, .s0, .s1", args.out.display()));
}

impl From<ChoiceError> for Failure {
    fn from(e: ChoiceError) -> Self {
        let text = e.to_string();
        match e {
            ChoiceError::MarginOfGuaranteed => goes_with("--margin", "--ranges calibrated"),
            ChoiceError::CellsOfCircuits => goes_with("--cell", "--engine lut"),
            ChoiceError::PiecewiseOfLookups => goes_with("--piecewise", "--engine gc"),
            ChoiceError::Activation { engine: EngineKind::Relu, .. } => {
                Failure::new(Code::Usage, text).help("leave --engine away, or choose gc")
            }
            ChoiceError::Activation { .. } => {
                Failure::new(Code::Usage, text).help("leave --engine and --cell away")
            }
            ChoiceError::PiecewiseOf { activation } => {
                let text = format!(
                    "--piecewise stands in for tanh, and this model's activation is {activation}"
                );
                Failure::new(Code::Usage, text).help("leave --piecewise away")
            }
            ChoiceError::NoPiecewise => Failure::new(Code::Input, text)
                .help("add it to the description, or choose zheng, refit2 or refit"),
            ChoiceError::ServesLess { .. } => {
                Failure::new(Code::Usage, text).help("leave --sigma-from away")
            }
            ChoiceError::TooLittleNoise { .. } => Failure::new(Code::Input, text)
                .help("use a model with guaranteed ranges, or one that was trained on less noise"),
        }
    }
}
