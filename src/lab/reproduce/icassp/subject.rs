//! The tiny model and a patch of the demonstration's picture.

use crate::image::{GreyImage, add_gaussian};
use crate::lab::demo::{embedded_image, embedded_model};
use crate::lab::error::LabError;
use crate::lab::pictures::middle;
use crate::model::{
    Choices, EngineKind, FloatModel, LevelMap, QuantisedModel, TanhPieces, encode_image, quantise,
};
use crate::size::Size;

/// A model in integers and what goes through it.
pub(super) struct Subject {
    /// In floating point.
    pub(super) float: FloatModel,
    /// With tanh*.
    pub(super) model: QuantisedModel,
    /// The smallest image of the model, noisy.
    pub(super) image: GreyImage,
    /// What the patch in the middle of it reads.
    pub(super) patch: Vec<i64>,
}

/// How a model becomes integers with the paper's tanh*.
pub(super) fn paper_choices(interval: Option<f64>) -> Choices {
    Choices {
        engine: Some(EngineKind::Gc),
        piecewise: Some(TanhPieces::Zheng),
        interval,
        ..Choices::default()
    }
}

/// The model that is within the program, and the middle of the picture that is, with noise of the model's level.
pub(super) fn tiny() -> Result<Subject, LabError> {
    let float = embedded_model()?;
    let model = quantise(&float, &paper_choices(None).options(&float)?)?;
    let side = float.network.gather().patch;
    let clean = middle(&embedded_image()?, side)?;
    let image = add_gaussian(&clean, float.sigma, 1)?;
    let pixels = encoded(&model, &image);
    let grid = model.public.network.grid(Size::new(side, side))?;
    let row = grid.rows() / 2;
    let patch = grid.gather(row..row + 1, &pixels, 0);
    Ok(Subject { float, model, image, patch })
}

/// An image of the model's own noise level in fixed point.
pub(super) fn encoded(model: &QuantisedModel, image: &GreyImage) -> Vec<i64> {
    let levels = LevelMap::new(model.public.units, 1.0);
    encode_image(&model.public, image, &levels).pixels
}
