//! The model owner: quantises a network and splits it between the servers.

use super::common::{create, parties};
use super::error::RoleError;
use crate::artefact::{Parties, write_model};
use crate::files::container::AskPassphrase;
use crate::files::output::Access;
use crate::ids::{ModelId, Role};
use crate::model::{FloatModel, QuantiseOptions, quantise};
use std::path::Path;

/// Splits models between the servers.
#[derive(Debug)]
pub struct ModelOwner(Parties);

impl ModelOwner {
    /// The model owner whose key folder this is; `ask` is for the passphrase of a locked key, see
    /// [`crate::files::container::no_passphrase`].
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, RoleError> {
        Ok(ModelOwner(parties(keys, Role::ModelOwner, ask)?))
    }

    /// Quantises a model and writes `PREFIX.pub`, `PREFIX.s0` and `PREFIX.s1`.
    ///
    /// Security: the two shares are sealed to their servers; the description is public and says what
    /// docs/threat-model.md lists.
    ///
    /// # Errors
    /// [`RoleError::Model`] if no range can be guaranteed, [`RoleError::Format`].
    pub fn share(
        &self,
        model: &FloatModel,
        options: &QuantiseOptions,
        prefix: &Path,
    ) -> Result<ModelId, RoleError> {
        let quantised = quantise(model, options)?;
        let outs = [
            create(prefix, "pub", Access::Public)?,
            create(prefix, "s0", Access::Secret)?,
            create(prefix, "s1", Access::Secret)?,
        ];
        Ok(write_model(&quantised, &self.0, outs)?)
    }
}
