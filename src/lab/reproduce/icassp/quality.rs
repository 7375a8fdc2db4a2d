//! The paper's Table 1: what tanh* costs whole images.

use super::subject::paper_choices;
use crate::image::add_gaussian;
use crate::image::metrics::{Quality, quality_8bit};
use crate::lab::error::LabError;
use crate::lab::observer::Observer;
use crate::lab::reproduce::laboratory::Laboratory;
use crate::model::{
    Clamping, DenoisedGrey, LevelMap, ModelError, QuantisedModel, TwinOptions, quantise,
};

/// The paper's noise level and stride.
pub(super) const SIGMA: f64 = 25.0;
pub(super) const STRIDE: usize = 3;
/// Images of the table: the last of the list, which are the natural ones of `fixtures/images`.
const IMAGES: usize = 5;

/// What one image gives.
pub(super) struct Row {
    pub(super) image: String,
    /// float32 with exact tanh.
    pub(super) baseline: Quality,
    /// The integers of the protocol.
    pub(super) ours: Quality,
}

/// The rows, and the stride they are of.
pub(super) fn rows(
    lab: &Laboratory<'_>,
    observer: &mut dyn Observer,
) -> Result<(Vec<Row>, usize), LabError> {
    let request = lab.request;
    let stride = request.stride.unwrap_or(STRIDE);
    let model = request.model.model.clone().with_stride(stride)?;
    let levels = LevelMap::new(model.units, model.sigma / SIGMA);
    let options = paper_choices(Some(request.interval)).options(&model)?;
    let quantised: QuantisedModel =
        quantise(&model, &options).map_err(|e| LabError::from(e).about(&request.model.file))?;
    let subjects = &lab.subjects[lab.subjects.len().saturating_sub(IMAGES)..];
    let mut rows = Vec::new();
    for (i, subject) in subjects.iter().enumerate() {
        observer.progress(i as f64 / subjects.len() as f64);
        let noisy = add_gaussian(&subject.clean, SIGMA, request.seed)?;
        let own = model.activation;
        let plain = model.denoise_grey(&noisy, &levels, &|v| own.apply(v), &mut |_| ());
        let size = noisy.size();
        let encoded = quantised
            .encode_fitting(&noisy, &levels, Clamping::Few)
            .map_err(|unfit| LabError::Unfit { image: subject.name.clone(), unfit })?;
        let ours =
            quantised.denoise_encoded(&encoded, size, &levels, TwinOptions::default(), &mut |_| ());
        let judge = |denoised: Result<DenoisedGrey, ModelError>| -> Result<Quality, LabError> {
            let image = denoised.map_err(|e| subject.blame(e))?.image;
            Ok(quality_8bit(&subject.clean, &image)?)
        };
        let (baseline, ours) = (judge(plain)?, judge(ours)?);
        rows.push(Row { image: subject.name.clone(), baseline, ours });
    }
    Ok((rows, stride))
}
