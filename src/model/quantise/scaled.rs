//! The layers of a model one after the other, each with the scales that the ones before it left, and then its activations.

use super::layer::{Ranged, Search};
use super::maps::{Maps, Value};
use super::options::Ranges;
use super::quantised::QuantisedModel;
use super::survey::{Place, Surveyed};
use crate::model::activation::ActivationSpec;
use crate::model::error::ModelError;
use crate::model::public::PublicModel;

/// A model all of whose layers and maps have a scale.
pub(super) struct Scaled<'a> {
    surveyed: &'a Surveyed<'a>,
    /// One a linear op, in order.
    layers: Vec<Ranged>,
    maps: Maps<'a>,
}

impl<'a> Scaled<'a> {
    /// Gives every layer its range and scale; maps that are only added have `added_frac` fraction bits. `flooding` are
    /// the widths of a cloud's noise, by layer, if there is a cloud.
    ///
    /// # Errors
    /// As [`super::quantise`].
    pub(super) fn of(
        surveyed: &'a Surveyed<'a>,
        flooding: Option<&[u32]>,
        added_frac: u32,
    ) -> Result<Self, ModelError> {
        let mut maps = Maps::new(&surveyed.model, &*surveyed.evaluation, surveyed.input);
        let mut layers = Vec::with_capacity(surveyed.layers.len());
        for (number, layer) in surveyed.layers.iter().enumerate() {
            let feeds = maps.feeds(layer.op);
            let (evaluation, ring) = (&*surveyed.evaluation, surveyed.ring());
            let flooding = flooding.map(|widths| widths[number]);
            let search = Search { layer, evaluation, ring, flooding };
            let ranged = match layer.place {
                Place::Activated(_) => search.hidden(&feeds),
                Place::Map { only_added } => {
                    search.linear(&feeds, only_added.then_some(added_frac))
                }
                Place::Output { gain, pixel } => search.output(&feeds, gain, pixel),
            }?;
            maps.settle(&feeds, &ranged.feeds);
            let value = match layer.place {
                Place::Activated(op) => Value::Activated { op, range: ranged.range },
                Place::Map { .. } | Place::Output { .. } => ranged.linear_map(),
            };
            maps.made(layer.op, value);
            layers.push(ranged);
        }
        Ok(Scaled { surveyed, layers, maps })
    }

    /// Makes the public description, with each activation at its scale.
    ///
    /// # Errors
    /// [`ModelError::Piecewise`] cannot happen: a scale at which it does was not chosen.
    pub(super) fn tabled(self) -> Result<QuantisedModel, ModelError> {
        let Scaled { surveyed, layers, maps } = self;
        let Surveyed { model, options, .. } = surveyed;
        let hidden =
            || layers.iter().zip(&surveyed.layers).filter(|(_, layer)| layer.is_activated());
        let worst_cases = hidden().map(|(ranged, _)| ranged.worst_units()).collect();
        let ranges = hidden().map(|(ranged, _)| ranged.range.units()).collect();
        let (specs, integers): (Vec<_>, Vec<_>) =
            layers.into_iter().map(|ranged| (ranged.spec, ranged.integers)).unzip();
        let (mut specs, mut integers) = (specs.into_iter(), integers.into_iter());
        let mut activations = maps.activations()?;
        let shape = "one a layer of the network it was made from";
        let mut activation = |op: usize| -> ActivationSpec {
            activations.remove(&op).expect("every map is read or added, and so has a scale")
        };
        Ok(QuantisedModel {
            public: PublicModel {
                ring: options.ring,
                engine: surveyed.evaluation.engine(),
                sigma: model.sigma,
                units: model.units,
                input: surveyed.input,
                network: model
                    .network
                    .map(|_, _| specs.next().expect(shape), |op, ()| activation(op)),
            },
            network: model.network.map(|_, _| integers.next().expect(shape), |_, ()| ()),
            worst_cases,
            ranges,
            calibrated: matches!(options.ranges, Ranges::Calibrated { .. }),
        })
    }
}
