//! The model owner: quantises a network and splits it between the servers.

mod error;
mod event;

pub use error::ModelOwnerError;
pub use event::ModelOwnerEvent;

use super::keys::parties;
use super::observer::Observer;
use crate::artefact::{Parties, write_model};
use crate::files::container::AskPassphrase;
use crate::files::keys::{KeyFolder, read_public_key};
use crate::files::output::{Access, OutputFile, Overwrite, ensure_not_input};
use crate::files::{FormatError, Place};
use crate::ids::{ModelId, Role};
use crate::model::{FloatModel, QuantiseOptions, QuantisedModel, quantise};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Splits models between the servers.
#[derive(Debug)]
pub struct ModelOwner(Parties);

/// A model that is to be split.
#[derive(Clone, Debug)]
pub struct ShareModel<'a> {
    /// The model.
    pub model: &'a FloatModel,
    /// How it becomes integers.
    pub options: &'a QuantiseOptions,
    /// Prefix of the three files.
    pub out: Place,
    /// Whether files that are there are replaced.
    pub overwrite: Overwrite,
    /// Files that none of the three may replace: those that the model came from.
    pub keep: Vec<PathBuf>,
}

/// A model that was split. Only its id, the ring, the stride, the interval and of each layer the range and
/// the bits are public.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct SharedModel {
    /// Id of this sharing.
    pub model_id: String,
    /// Bits of the ring: 32 or 64.
    pub ring_bits: u32,
    /// Number of weights, without biases.
    pub weights: usize,
    /// Pixels between patches.
    pub stride: usize,
    /// The lowest noise level of images that it serves, in grey levels; 0 for a model that gets the
    /// noise level as an input.
    pub sigma_from: f64,
    /// The highest noise level of a model that gets it as an input; null for others, which scale
    /// it.
    pub sigma_to: Option<f64>,
    /// The largest input, in network units.
    pub input_interval: f64,
    /// Layers with an activation, first to last.
    pub layers: Vec<SharedLayer>,
}

/// What the owner may want to know of a layer.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct SharedLayer {
    /// Largest possible value before the activation, or the largest one seen times the margin; for
    /// the owner only.
    pub worst_case: f64,
    /// The guaranteed or calibrated range.
    pub range: f64,
    /// Bits of an opened value before the activation.
    pub input_bits: u32,
}

impl<'a> ShareModel<'a> {
    /// A model whose files replace none.
    pub fn new(model: &'a FloatModel, options: &'a QuantiseOptions, out: impl Into<Place>) -> Self {
        let out = out.into();
        ShareModel { model, options, out, overwrite: Overwrite::Never, keep: Vec::new() }
    }

    fn create(&self, suffix: &str, access: Access) -> Result<OutputFile, FormatError> {
        let place = self.out.with_suffix(suffix);
        ensure_not_input(&place, &self.keep.iter().collect::<Vec<_>>())?;
        OutputFile::create(place, access, self.overwrite)
    }
}

impl ModelOwner {
    /// The model owner whose key folder this is; `ask` is for the passphrase of a locked key, see
    /// [`crate::files::container::no_passphrase`].
    ///
    /// # Errors
    /// [`ModelOwnerError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, ModelOwnerError> {
        Ok(ModelOwner(parties(keys, Role::ModelOwner, ask)?))
    }

    /// The model owner of a cloud, whose user takes part as server 1 with the public key in the file `user`.
    ///
    /// # Errors
    /// [`ModelOwnerError::Format`].
    pub fn open_for(
        user: &Path,
        keys: &Path,
        ask: &AskPassphrase<'_>,
    ) -> Result<Self, ModelOwnerError> {
        let folder = KeyFolder::open(keys)?;
        let sender = folder.secret(Role::ModelOwner, ask)?;
        let servers = [folder.public(Role::Server0)?, read_public_key(user, Role::Server1)?];
        Ok(ModelOwner(Parties { sender, servers }))
    }

    /// Quantises a model and writes `PREFIX.pub`, `PREFIX.s0` and `PREFIX.s1`.
    ///
    /// Security: the two shares are sealed to their servers; the description is public and says what
    /// docs/threat-model.md lists.
    ///
    /// # Errors
    /// [`ModelOwnerError::Model`] if no range can be guaranteed, [`ModelOwnerError::Format`], also if the shares do
    /// not fit the disk.
    pub fn share(
        &self,
        request: &ShareModel<'_>,
        observer: &mut dyn Observer<ModelOwnerEvent>,
    ) -> Result<SharedModel, ModelOwnerError> {
        let outs = [
            request.create("pub", Access::Public)?,
            request.create("s0", Access::Secret)?,
            request.create("s1", Access::Secret)?,
        ];
        observer.event(ModelOwnerEvent::Sharing);
        let quantised = quantise(request.model, request.options)?;
        let public = &quantised.public;
        // S1's half is a seed, and descriptions are small beside S0's.
        let bytes = public.elements() as u64 * u64::from(public.ring.bits() / 8);
        outs[1].ensure_space(bytes)?;
        let id = write_model(&quantised, &self.0, outs)?;
        Ok(SharedModel::of(&quantised, id))
    }
}

impl SharedModel {
    fn of(quantised: &QuantisedModel, id: ModelId) -> Self {
        let public = &quantised.public;
        let tables = public.network.activations().map(|(_, table, _)| table);
        let ranges = quantised.worst_cases.iter().zip(&quantised.ranges);
        let layers = ranges.zip(tables).map(|((&worst_case, &range), table)| SharedLayer {
            worst_case,
            range,
            input_bits: table.input_bits(),
        });
        let (input_interval, reads_plane) = (public.input.interval, public.network.reads_plane());
        SharedModel {
            model_id: id.to_string(),
            ring_bits: public.ring.bits(),
            weights: public.network.linears().map(|(_, l)| l.weights()).sum(),
            stride: public.network.gather().stride,
            sigma_from: if reads_plane {
                0.0
            } else {
                public.sigma / public.units.ratio_within(input_interval)
            },
            sigma_to: reads_plane.then_some(public.sigma),
            input_interval,
            layers: layers.collect(),
        }
    }
}
