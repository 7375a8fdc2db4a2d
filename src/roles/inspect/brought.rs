//! What users bring: models.

use super::{Facts, InspectError};
use crate::model::FloatModel;
use crate::network::LinearShape;
use crate::roles::models::{described, open_model};
use crate::roles::one_line::in_one_line;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn map(facts: Value) -> Facts {
    match facts {
        Value::Object(facts) => facts,
        _ => Facts::new(),
    }
}

/// The arrays of an unshared model by name, type and shape, and the network that its description makes of
/// them, or why it makes none; of its weights only how many there are.
pub(super) fn model(path: &Path) -> Result<Facts, InspectError> {
    let mut file = open_model(path)?;
    let tensors = file.tensors().map_err(|e| InspectError::from(e).about(path))?;
    let mut facts = Facts::new();
    facts.insert("kind".into(), json!("model"));
    facts.insert("format".into(), json!(file.format().to_string()));
    match described(&mut file, path) {
        Ok(model) => facts.extend(network(&model)),
        Err(error) => {
            facts.insert("problem".into(), json!(in_one_line(&error)));
            facts.insert(
                "next".into(),
                json!("`ppdenoise import` finds out how its arrays are meant"),
            );
        }
    }
    let tensors = tensors
        .iter()
        .map(|tensor| json!({ "name": tensor.name, "dtype": tensor.dtype, "shape": tensor.shape }));
    facts.insert("tensors".into(), tensors.collect());
    Ok(facts)
}

fn network(model: &FloatModel) -> Facts {
    let (gather, fold) = (model.network.gather(), model.network.fold());
    let layers = model.network.linears().map(|(_, l)| format!("{} to {}", l.inputs(), l.outputs()));
    map(json!({
        "family": if model.network.is_convolutional() { "convolutional" } else { "patches" },
        "activation": model.activation.name(),
        "calibrated": model.extremes.is_some(),
        "layers": layers.collect::<Vec<_>>(),
        "weights": model.network.linears().map(|(_, l)| l.inputs() * l.outputs()).sum::<usize>(),
        "sigma": model.sigma,
        "input_patch": gather.patch,
        "output_patch": fold.patch,
        "stride": gather.stride,
        "residual": model.network.is_residual(),
        "mean_shift": model.mean_shift,
        "own_piecewise": model.piecewise.as_ref().map(|p| p.name.clone()),
    }))
}
