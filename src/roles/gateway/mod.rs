//! The gateway, who has the images: encodes them for a model and splits them between the servers.

use super::common::{create, parties};
use super::error::RoleError;
use crate::artefact::{Parties, PublicModelFile, SharedImage, write_image_shares};
use crate::files::FormatError;
use crate::files::container::AskPassphrase;
use crate::files::output::{Access, commit_all};
use crate::ids::{ImageId, Role};
use crate::image::GreyImage;
use crate::model::{Clamping, Encoded, LevelMap, encode_image};
use std::path::Path;

/// Splits images between the servers.
#[derive(Debug)]
pub struct Gateway(Parties);

impl Gateway {
    /// As [`ModelOwner::open`].
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, RoleError> {
        Ok(Gateway(parties(keys, Role::Gateway, ask)?))
    }

    /// Encodes an image with Gaussian noise of `sigma` 8-bit grey levels for a model and writes
    /// `PREFIX.s0` and `PREFIX.s1`. Returns its id and how many pixels lay outside the model's input
    /// interval and were clamped: at most 1 %.
    ///
    /// Security: size and sigma are public.
    ///
    /// # Errors
    /// [`RoleError::Network`] for an image smaller than a patch, [`RoleError::Unfit`] for one that the
    /// model was not shared for, [`RoleError::Format`].
    pub fn share(
        &self,
        image: &GreyImage,
        sigma: f64,
        public: &PublicModelFile,
        prefix: &Path,
    ) -> Result<(ImageId, usize), RoleError> {
        let model = &public.model;
        let size = (image.height(), image.width());
        let grid = model.network.grid(size)?;
        let levels = LevelMap::new(model.units, model.sigma / sigma);
        let Encoded { pixels: encoded, fit } = encode_image(model, image, &levels);
        fit.judge(Clamping::Few, model, &levels)?;
        let means = model.patch_means(&encoded, &grid);
        let outs = [create(prefix, "s0", Access::Secret)?, create(prefix, "s1", Access::Secret)?];
        let (id, note) = (ImageId::random().map_err(FormatError::from)?, None);
        let means = &means[..];
        let shared = SharedImage { id, encoded: &encoded, size, sigma, levels, means, note };
        commit_all(write_image_shares(&shared, public, &self.0, outs)?)?;
        Ok((id, fit.clamped))
    }
}
