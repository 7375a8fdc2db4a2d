//! The receiver: puts result shares together.

use super::error::RoleError;
use crate::artefact::reconstruct;
use crate::files::container::AskPassphrase;
use crate::files::keys::{KeyFolder, PublicKey, SecretKey};
use crate::ids::Role;
use crate::image::GreyImage;
use std::path::Path;

/// Puts result shares together.
#[derive(Debug)]
pub struct Receiver {
    key: SecretKey,
    servers: [PublicKey; 2],
}

impl Receiver {
    /// As [`ModelOwner::open`].
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, RoleError> {
        let folder = KeyFolder::open(keys)?;
        let key = folder.secret(Role::Receiver, ask)?;
        let servers = [folder.public(Role::Server0)?, folder.public(Role::Server1)?];
        Ok(Receiver { key, servers })
    }

    /// The denoised image of two result shares, in any order; grey levels are neither rounded nor
    /// clipped.
    ///
    /// # Errors
    /// [`RoleError::Pair`] if they do not belong together, [`RoleError::Format`].
    pub fn reconstruct(&self, shares: [&Path; 2]) -> Result<GreyImage, RoleError> {
        let result = reconstruct(shares, &self.key, &self.servers)?;
        let pixels = result.grey.iter().map(|&grey| grey as f32).collect();
        Ok(GreyImage::new(result.size.0, result.size.1, pixels)?)
    }
}
