//! The dealer: makes correlated randomness for both servers, and could read all that is shared.

use super::common::{create, parties};
use super::error::RoleError;
use crate::artefact::{Customer, PublicModelFile, TripleJob};
use crate::files::container::AskPassphrase;
use crate::files::keys::KeyFolder;
use crate::files::output::{Access, ensure_space};
use crate::ids::{Role, TripleSetId};
use std::path::Path;

/// Makes correlated randomness, from public shapes only.
#[derive(Debug)]
pub struct Dealer(Customer);

impl Dealer {
    /// As [`ModelOwner::open`]; the folder is that of one customer: a model owner and two servers.
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, RoleError> {
        let model_owner = KeyFolder::open(keys)?.public(Role::ModelOwner)?;
        Ok(Dealer(Customer { parties: parties(keys, Role::Dealer, ask)?, model_owner }))
    }

    /// Makes triples for `images` images of a size (rows, columns) and writes `PREFIX.s0` and
    /// `PREFIX.s1`. Each slot serves one image once. The model must have been shared by this customer's
    /// model owner for its servers.
    ///
    /// Cost: S0's file is large (docs/benchmarks.md); its size is compared with the free disk first.
    ///
    /// # Errors
    /// [`RoleError::Network`], [`RoleError::TooMuchMaterial`], [`RoleError::Format`].
    pub fn deal(
        &self,
        public: &PublicModelFile,
        size: (usize, usize),
        images: u64,
        prefix: &Path,
    ) -> Result<TripleSetId, RoleError> {
        let job = TripleJob::new(self.0.commission(public)?, size, images, None)?;
        let (s0, s1) =
            (create(prefix, "s0", Access::Secret)?, create(prefix, "s1", Access::Secret)?);
        ensure_space(s0.target(), job.s0_bytes().ok_or(RoleError::TooMuchMaterial)?)?;
        let (set, s0) = job.write(s0, s1, false, &mut |_| ())?;
        s0.commit()?;
        Ok(set)
    }
}
