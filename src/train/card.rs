//! The description that is written beside a trained model.

use super::{Recipe, TrainError};
use crate::model::{FloatModel, Layer, formula};
use serde::{Deserialize, Serialize};

/// The description of a trained model; [`crate::model::Description`] reads it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Card {
    layers: Vec<Layer>,
    sigma: f64,
    mean_shift: bool,
    normalisation: &'static str,
    weights: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<TrainingRecord>,
}

/// How a model was trained.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TrainingRecord {
    /// Everything the weights follow from, beside images and rates.
    pub recipe: Recipe,
    /// Training images, at all scales.
    pub images: usize,
    /// Steps.
    pub steps: u64,
    /// Minutes of wall clock.
    pub minutes: f64,
    /// Threads of the last run.
    pub threads: usize,
    /// Validation on the way.
    pub curve: Vec<CurvePoint>,
}

/// What the averaged weights reached on the validation images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct CurvePoint {
    /// Steps done at this point.
    pub step: u64,
    /// Minutes taken until this point.
    pub minutes: f64,
    /// Learning rate.
    pub rate: f64,
    /// PSNR in dB on training patches since the last point.
    pub training_db: f64,
    /// PSNR in dB on the validation images, with several noise levels the mean over them; null if
    /// there are no images.
    pub validation_db: Option<f64>,
    /// With several noise levels: each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelPoint>,
}

/// What one noise level has of a point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct LevelPoint {
    /// Noise level in grey levels.
    pub sigma: f64,
    /// PSNR in dB on the validation images at this level.
    pub validation_db: f64,
}

impl Card {
    /// The description of a model of this recipe, which [`Trainer::described_model`] gives.
    ///
    /// [`Trainer::described_model`]: super::Trainer::described_model
    pub(crate) fn new(recipe: &Recipe, model: &FloatModel) -> Self {
        Card {
            layers: model.layers(),
            sigma: model.sigma,
            mean_shift: recipe.mean_shift,
            normalisation: formula(model.units),
            weights: "w[i] is (outputs, inputs), patches row-major, or (outputs, channels, kernel, \
                      kernel); b[i] is (outputs,)",
            training: None,
        }
    }

    /// The same, saying how the model was trained.
    pub(crate) fn with_training(self, record: TrainingRecord) -> Self {
        Card { training: Some(record), ..self }
    }

    /// The JSON text, ending in a line feed.
    ///
    /// # Errors
    /// [`TrainError::Write`].
    pub(crate) fn to_json(&self) -> Result<String, TrainError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|t| t + "\n").map_err(|e| TrainError::Write(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;
    use crate::model::{Packing, load_npz, save_npz};
    use crate::train::tests::{convolutional, corpus, mlp, recipe, told};
    use crate::train::{State, Trainer};
    use std::io::Cursor;

    #[test]
    fn what_is_written_is_what_is_loaded() {
        let shifted =
            |residual| Recipe { layers: mlp(&[6], 2, residual), mean_shift: true, ..recipe() };
        let some = [recipe(), convolutional(1), convolutional(3), shifted(true), shifted(false)];
        for recipe in some.into_iter().chain(told()) {
            let image = GreyImage::new(12, 12, vec![5.0; 144]).unwrap();
            let corpus = corpus(&[image], &[1.0]);
            let state = State::new(&recipe).unwrap();
            let trainer = Trainer::new(recipe.clone(), corpus, state, 1).unwrap();
            let (model, described) = (trainer.model().unwrap(), trainer.described_model().unwrap());
            let mut bytes = Cursor::new(Vec::new());
            save_npz(&described, None, Packing::Deflated, &mut bytes).unwrap();
            let record = TrainingRecord {
                recipe: recipe.clone(),
                images: 1,
                steps: 0,
                minutes: 0.0,
                threads: 1,
                curve: Vec::new(),
            };
            let json = Card::new(&recipe, &described).with_training(record).to_json().unwrap();
            bytes.set_position(0);
            let read = load_npz(bytes, Some(json.as_bytes())).unwrap();
            assert_eq!(read.network, model.network);
            assert_eq!((read.sigma, read.units), (recipe.noise.highest, model.units));
            assert_eq!((read.activation, read.mean_shift), (model.activation, recipe.mean_shift));
            // The card says the recipe, and nothing but it.
            let card: serde_json::Value = serde_json::from_str(&json).unwrap();
            let said: Recipe = serde_json::from_value(card["training"]["recipe"].clone()).unwrap();
            assert_eq!(said, recipe);
        }
    }
}
