//! The description that is written beside a trained model.

use super::{Recipe, TrainError};
use serde::{Deserialize, Serialize};

/// The description of a trained model; [`crate::model::Description`] reads it.
#[derive(Clone, Debug, Serialize)]
pub struct Card {
    kind: &'static str,
    activation: &'static str,
    input_patch: usize,
    output_patch: usize,
    hidden: Vec<usize>,
    stride: usize,
    sigma: f64,
    residual: bool,
    mean_shift: bool,
    normalisation: &'static str,
    window_sigma: &'static str,
    padding: String,
    weights: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<TrainingRecord>,
}

/// How a model was trained.
#[derive(Clone, Debug, Serialize)]
pub struct TrainingRecord {
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u64,
    /// Minutes of training.
    pub minutes: f64,
    /// Learning rate.
    pub rate: f64,
    /// Mean squared error on noisy training patches since the last point, as PSNR.
    pub training_db: f64,
    /// Mean PSNR over the validation images; `None` without any.
    pub validation_db: Option<f64>,
}

impl Card {
    /// The description of a model of this recipe.
    pub fn new(recipe: &Recipe) -> Self {
        Card {
            kind: "mlp",
            activation: "tanh",
            input_patch: recipe.input_patch,
            output_patch: recipe.output_patch,
            hidden: recipe.hidden.clone(),
            stride: recipe.stride,
            sigma: recipe.sigma,
            residual: recipe.residual,
            mean_shift: false,
            normalisation: "(v/255-0.5)/0.2",
            window_sigma: "floor(out/2)/2",
            padding: format!(
                "reflect by {}",
                recipe.input_patch.saturating_sub(recipe.output_patch) / 2
            ),
            weights: "w[i] is (outputs, inputs); b[i] is (outputs,); patches row-major",
            training: None,
        }
    }

    /// The same, saying how the model was trained.
    pub fn with_training(self, record: TrainingRecord) -> Self {
        Card { training: Some(record), ..self }
    }

    /// The JSON text, ending in a line feed.
    ///
    /// # Errors
    /// [`TrainError::Write`].
    pub fn to_json(&self) -> Result<String, TrainError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|t| t + "\n").map_err(|e| TrainError::Write(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;
    use crate::model::{Packing, load_npz, save_npz};
    use crate::train::tests::{corpus, recipe};
    use crate::train::{State, Trainer};
    use std::io::Cursor;

    #[test]
    fn what_is_written_is_what_is_loaded() {
        let recipe = recipe();
        let image = GreyImage::new(9, 9, vec![5.0; 81]).unwrap();
        let corpus = corpus(&[image], &[1.0]);
        let trainer = Trainer::new(recipe.clone(), corpus, State::new(&recipe), 1).unwrap();
        let model = trainer.model().unwrap();
        let mut bytes = Cursor::new(Vec::new());
        save_npz(&model, None, Packing::Deflated, &mut bytes).unwrap();
        let record = TrainingRecord {
            recipe: recipe.clone(),
            images: 1,
            steps: 0,
            minutes: 0.0,
            threads: 1,
            curve: Vec::new(),
        };
        let json = Card::new(&recipe).with_training(record).to_json().unwrap();
        bytes.set_position(0);
        let read = load_npz(bytes, Some(json.as_bytes())).unwrap();
        assert_eq!(read.network, model.network);
        assert_eq!(read.sigma, 25.0);
    }
}
