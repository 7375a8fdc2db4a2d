//! What users bring: models and images.

use crate::cli::failure::Failure;
use crate::cli::models::{described, open_model};
use crate::image::{Depth, ImageFormat};
use crate::model::FloatModel;
use crate::network::LinearShape;
use crate::roles::images::open_rows;
use serde_json::{Map, Value, json};
use std::path::Path;

fn map(facts: Value) -> Map<String, Value> {
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

/// The arrays of an unshared model by name, type and shape, and the network that its description makes of
/// them, or why it makes none; of its weights only how many there are.
pub(super) fn model(path: &Path) -> Result<Map<String, Value>, Failure> {
    let mut file = open_model(path)?;
    let tensors = file.tensors().map_err(|e| Failure::from(e).about(path))?;
    let mut facts = Map::new();
    facts.insert("kind".into(), json!("model"));
    facts.insert("format".into(), json!(file.format().to_string()));
    match described(&mut file, path) {
        Ok(model) => facts.extend(network(&model)),
        Err(failure) => {
            facts.insert("problem".into(), json!(failure.message()));
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

fn network(model: &FloatModel) -> Map<String, Value> {
    let (gather, fold) = (model.network.gather(), model.network.fold());
    let layers = model.network.linears().map(|(_, l)| format!("{} to {}", l.inputs(), l.outputs()));
    map(json!({
        "family": if model.network.is_convolutional() { "convolutional" } else { "patches" },
        "activation": model.nonlinearity.name(),
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

/// What an image's header says.
pub(super) fn image(path: &Path, format: ImageFormat) -> Result<Map<String, Value>, Failure> {
    let (rows, _) = open_rows(path, None)?;
    let (height, width) = rows.size();
    let depth = match rows.depth() {
        Depth::Eight => "8 bits",
        Depth::Sixteen => "16 bits",
        Depth::Float => "float",
    };
    Ok(map(json!({
        "kind": "image",
        "format": format.to_string(),
        "height": height / rows.frames().max(1),
        "width": width,
        "channels": rows.channels(),
        "depth": depth,
        "frames": rows.frames(),
    })))
}

/// One line for an array: name, type, shape.
pub(super) fn tensor_line(tensor: &Value) -> String {
    let text = |field: &str| tensor[field].as_str().unwrap_or_default().to_string();
    let sides = tensor["shape"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sides: Vec<String> = sides.iter().map(Value::to_string).collect();
    format!("{:32} {:6} {}", text("name"), text("dtype"), sides.join("x"))
}
