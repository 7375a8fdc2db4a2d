//! Whether an image leaves the ranges that a model is quantised for, by the integer twin.

use super::error::LabError;
use super::observer::Observer;
use crate::image::{GreyImage, Raster};
use crate::model::{
    Choices, FloatModel, OutOfRange, QuantisedModel, TwinOptions, encode_image, quantise,
};
use crate::roles::images::Entry;
use std::path::Path;

/// Counts the values that leave calibrated ranges on a noisy image, and tells of them; with `strict` it is an error if
/// there are any. None of ranges that no image can leave.
pub(super) fn out_of_range(
    model: &FloatModel,
    choices: &Choices,
    name: &Path,
    noisy: &Raster,
    sigma: f64,
    strict: bool,
    observer: &mut dyn Observer,
) -> Result<Option<OutOfRange>, LabError> {
    let quantised = quantise(model, &choices.options(model)?)?;
    if !quantised.calibrated {
        return Ok(None);
    }
    let mut left: Option<OutOfRange> = None;
    for image in Entry::of(model.trained()).images(noisy.planes())?.iter() {
        if let Some(found) = left_by(&quantised, image, sigma)? {
            left = Some(left.unwrap_or_default().and(found));
        }
    }
    if let Some(left) = left.as_ref().filter(|left| !left.is_empty()) {
        if strict {
            return Err(LabError::from(left.clone()).about(name));
        }
        observer.note(&format!("note: '{}': {left}", name.display()));
    }
    Ok(left)
}

fn left_by(
    quantised: &QuantisedModel,
    noisy: &GreyImage,
    sigma: f64,
) -> Result<Option<OutOfRange>, LabError> {
    let levels = quantised.public.levels(sigma);
    let encoded = encode_image(&quantised.public, noisy, &levels);
    let size = noisy.size();
    let options = TwinOptions { watched: true, ..TwinOptions::default() };
    Ok(quantised.denoise_encoded(&encoded, size, &levels, options, &mut |_| ())?.out_of_range)
}
