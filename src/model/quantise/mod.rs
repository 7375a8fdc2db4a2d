//! From a trained model to integers: scales, ranges and tables that no image can leave.
//!
//! For a layer with range R = 2^r products have l - 1 - r fraction bits, so that the ring spans
//! [-R, R); r is the smallest for which the largest pre-activation stays one cell and one unit
//! inside: the integer worst case over every image, or what calibration saw, with a margin.
//!
//! Every map has one scale. That of an activation is chosen by the first layer that reads it or adds it, half
//! of what that layer's products have; a map without activation keeps the scale of its products. If a layer reads it,
//! that scale is the coarsest that keeps the quality, since it leaves fewer bits to the weights of what reads it
//! ([`ModelError::NoBitsLeft`]). What is only added takes no bits of anything: it is shifted, and has the finest scale
//! at which all layers fit the ring.
//!
//! The steps, each of which gives what the next one takes: a model is [`Surveyed`], which says all that is known of its
//! layers before a scale is chosen; layer by layer a range is found, and with it the scales of what it reads ([`layer`]);
//! a model whose layers all have theirs is [`Scaled`]; and a [`QuantisedModel`] has its activations as tables, pieces or
//! comparisons of these scales.

#[cfg(test)]
mod golden;
mod layer;
mod maps;
mod options;
mod quantised;
mod scaled;
mod survey;
#[cfg(test)]
mod tests;

pub use options::{QuantiseOptions, Ranges};
pub use quantised::{IntLinear, QuantisedModel};

use super::{FloatModel, ModelError};
use layer::MIN_WEIGHT_FRAC;
use scaled::Scaled;
use survey::Surveyed;

/// The least and the most fraction bits of a map that is only added; half of them are those of the map it is
/// computed from, half those of the weights.
const LEAST_ADDED_FRAC: u32 = 2 * MIN_WEIGHT_FRAC;
const FINEST_ADDED_FRAC: u32 = 40;

/// Quantises a model.
///
/// # Errors
/// [`ModelError::Value`] for a weight beyond every range, [`ModelError::RangeTooLarge`] or
/// [`ModelError::OutputTooLarge`] if no guarantee can be given, [`ModelError::Activation`] if the engine does not
/// evaluate the model's.
pub fn quantise(
    model: &FloatModel,
    options: &QuantiseOptions,
) -> Result<QuantisedModel, ModelError> {
    let surveyed = Surveyed::of(model, options)?;
    let quantised =
        if options.one_cloud { flooded(&surveyed)? } else { finest(&surveyed, None)?.tabled()? };
    quantised.public.check().map_err(ModelError::Description)?;
    Ok(quantised)
}

/// With as much noise at every layer as its scales allow. Scales allow for it and it follows from scales: it begins with
/// the least, and where more of it leaves a layer less, that is taken.
fn flooded(surveyed: &Surveyed<'_>) -> Result<QuantisedModel, ModelError> {
    let quantised = |widths: &[u32]| finest(surveyed, Some(widths))?.tabled();
    let allowed = |model: &QuantisedModel| -> Vec<u32> {
        model.public.flooding_widths().into_iter().map(|(_, width)| width).collect()
    };
    let mut widths = allowed(&quantised(&vec![0; surveyed.layers.len()])?);
    loop {
        let model = quantised(&widths)?;
        let allowed = allowed(&model);
        if widths.iter().zip(&allowed).all(|(width, most)| width <= most) {
            return Ok(model);
        }
        widths.iter_mut().zip(&allowed).for_each(|(width, most)| *width = (*width).min(*most));
    }
}

/// With the finest scale of what is only added at which all layers fit the ring.
fn finest<'a>(
    surveyed: &'a Surveyed<'a>,
    flooding: Option<&[u32]>,
) -> Result<Scaled<'a>, ModelError> {
    let finest = if surveyed.has_only_added() {
        FINEST_ADDED_FRAC.min(surveyed.ring().bits() - 2)
    } else {
        LEAST_ADDED_FRAC
    };
    let mut scaled = Scaled::of(surveyed, flooding, finest);
    for frac in (LEAST_ADDED_FRAC..finest).rev() {
        if scaled.is_ok() {
            break;
        }
        scaled = Scaled::of(surveyed, flooding, frac);
    }
    scaled
}
