//! A picture: its size, its values and what they stand for, its noise, and which model would serve.

use super::brought::map;
use super::{Facts, InspectError};
use crate::image::{Depth, ImageError, ImageFormat, Remedy, Scanned, Values, estimate_sigma};
use crate::roles::images::{Seen, look, open_rows};
use crate::roles::one_line::in_one_line;
use crate::size::Size;
use serde_json::{Value, json};
use std::path::Path;

/// Samples of a picture that is looked at whole; of a larger one only the header is read.
const MOST_SAMPLES: usize = 1 << 26;

/// The models that the project brings, and the noise in grey levels that each serves: a network that is told the level
/// that it was trained for (below 5 it was not, and was measured), others that near their own.
const MODELS: [(&str, f64, f64); 4] = [
    ("default", 2.0, 75.0),
    ("fine", 2.0, 75.0),
    ("dncnn-s25", 20.0, 30.0),
    ("mlp-s25", 20.0, 30.0),
];

/// What an image is.
pub(super) fn facts(path: &Path, format: ImageFormat) -> Result<Facts, InspectError> {
    let (rows, ..) = open_rows(path, None)?;
    let (size, channels) = (rows.size(), rows.channels());
    let facts = header(format, size, channels, rows.frames(), rows.depth());
    match size.height.saturating_mul(size.width).saturating_mul(channels) {
        0..=MOST_SAMPLES => Ok(with_values(facts, &look(path)?)),
        _ => Ok(facts),
    }
}

/// What the header says.
fn header(format: ImageFormat, size: Size, channels: usize, frames: usize, depth: Depth) -> Facts {
    let depth = match depth {
        Depth::Eight => "8 bits",
        Depth::Sixteen => "16 bits",
        Depth::Float => "float",
    };
    map(json!({
        "kind": "image",
        "format": format.to_string(),
        "height": size.height / frames.max(1),
        "width": size.width,
        "channels": channels,
        "depth": depth,
        "frames": frames,
    }))
}

/// The same with what the values say.
fn with_values(mut facts: Facts, seen: &Seen) -> Facts {
    let mut tell = |name: &str, value: Value| facts.insert(name.into(), value);
    if let Some(Values { least, greatest, bits, bits_used, a_level, scan }) = seen.values {
        tell("values", json!([least, greatest]));
        tell("bits", json!(bits));
        tell("bits_used", json!(bits_used));
        tell("values_a_level", json!(a_level));
        if let Some(Scanned { rescale, window, padding }) = scan {
            tell("rescale", json!(rescale.map(|(slope, intercept)| [slope, intercept])));
            tell("window", json!(window.map(|(center, width)| [center, width])));
            tell("padding_part", json!(padding));
        }
    }
    if let Some(problem) = &seen.problem {
        tell("problem", json!(in_one_line(problem)));
        tell("next", json!(remedy(problem)));
        return facts;
    }
    let planes = seen.image.frame(0).unwrap_or_default();
    let found = planes.iter().map(estimate_sigma).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(sigmas) => {
            let most = sigmas.iter().copied().fold(0.0, f64::max);
            tell("estimated_sigma", json!(sigmas));
            tell("served_by", json!(served_by(most)));
        }
        Err(ImageError::NoNoise) => {
            tell("estimated_sigma", json!(vec![0.0; planes.len()]));
            tell("served_by", json!(served_by(0.0)));
        }
        // Too small: nothing can be said.
        Err(_) => {}
    }
    facts
}

/// What brings the values to grey levels.
fn remedy(problem: &ImageError) -> &'static str {
    match problem {
        ImageError::Sliver { remedy: Remedy::Window { own: true }, .. } => {
            "share it with --window file, or another window"
        }
        ImageError::Sliver { remedy: Remedy::Window { own: false }, .. } => {
            "share it with --window CENTER,WIDTH"
        }
        ImageError::Sliver { remedy: Remedy::None, .. } => {
            "stretch its values to what its bits can hold first"
        }
        _ => "share it with --range BLACK..WHITE",
    }
}

/// Which of the project's models serve noise of this level.
fn served_by(sigma: f64) -> Vec<&'static str> {
    let serves = |&(_, least, most): &(&str, f64, f64)| (least..=most).contains(&sigma);
    MODELS.iter().filter(|model| serves(model)).map(|&(name, ..)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::models::{described, open_model};

    #[test]
    fn every_level_up_to_75_is_served() {
        assert_eq!(served_by(0.5), [""; 0]);
        assert_eq!(served_by(5.0), ["default", "fine"]);
        assert_eq!(served_by(25.0).len(), MODELS.len());
        assert_eq!(served_by(75.1), [""; 0]);
    }

    /// The models are there, and are for this noise.
    #[test]
    fn models_serve_what_they_were_trained_for() {
        for (name, least, most) in MODELS {
            let path = format!("{}/fixtures/models/{name}.npz", env!("CARGO_MANIFEST_DIR"));
            let path = Path::new(&path);
            let model = described(&mut open_model(path).unwrap(), path).unwrap();
            let told = model.network.reads_plane();
            assert!(told && most == model.sigma || (least..=most).contains(&model.sigma), "{name}");
            assert_eq!(told, most == 75.0, "{name}");
        }
    }
}
