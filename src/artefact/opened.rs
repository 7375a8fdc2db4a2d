//! The opened weights U = G - X that a server keeps in its state folder, the same at both servers, so
//! that a model is opened once.
//!
//! Both servers know U, and nobody else may: whoever has it and both halves of X has the weights G.
//! The file is in clear like the other secrets of a state folder's owner, with mode 0600.

use super::{PayloadSize, PublicModelFile, read_elements, start_in_clear, write_elements};
use crate::files::FormatError;
use crate::files::container::envelope::open_file;
use crate::files::container::header::OpenedWeights;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::ids::{Digest, Fingerprint, WeightMaskId};
use crate::numbers::ring::Ring;
use crate::protocol::weights_digest;
use std::path::{Path, PathBuf};

/// Where and for what opened weights are kept.
pub(crate) struct OpenedWeightsFile<'a> {
    path: PathBuf,
    public: &'a PublicModelFile,
    weight_mask_id: WeightMaskId,
}

impl<'a> OpenedWeightsFile<'a> {
    /// The file for this model and mask in a state folder.
    pub(crate) fn new(
        state: &Path,
        public: &'a PublicModelFile,
        weight_mask_id: WeightMaskId,
    ) -> Self {
        let path = state.join(format!("opened-{weight_mask_id}.u"));
        OpenedWeightsFile { path, public, weight_mask_id }
    }

    /// U, one vector an op, and its digest; nothing if it is not there or not usable, since
    /// opening again is always possible.
    pub(crate) fn load<R: Ring>(&self) -> Option<(Vec<Vec<R>>, Digest)> {
        let file = open_file(&self.path).ok()?;
        if *file.expect::<OpenedWeights>().ok()? != self.fields::<R>() {
            return None;
        }
        let mut file = file.in_clear().ok()?;
        let ops = self.public.model.network.linears();
        let read = ops.map(|(op, l)| read_elements(&mut file, op, l.weights()));
        let opened = read.collect::<Result<Vec<Vec<R>>, _>>().ok()?;
        file.finish().ok()?;
        let digest = weights_digest(&opened);
        Some((opened, digest))
    }

    /// Keeps U.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub(crate) fn store<R: Ring>(
        &self,
        opened: &[Vec<R>],
        sender: Fingerprint,
    ) -> Result<(), FormatError> {
        let sizes = opened.iter().map(|u| PayloadSize::elements::<R>(u.len()));
        let size = sizes.fold(PayloadSize::default(), PayloadSize::and);
        let out = OutputFile::create(&self.path, Access::Secret, Overwrite::Allow)?;
        let mut out = start_in_clear(out, sender, size, self.fields::<R>())?;
        for ((op, _), u) in self.public.model.network.linears().zip(opened) {
            write_elements(&mut out, op, u)?;
        }
        out.finish()?.commit()
    }

    fn fields<R: Ring>(&self) -> OpenedWeights {
        OpenedWeights {
            weight_mask_id: self.weight_mask_id,
            model_id: self.public.facts.model_id,
            public_digest: self.public.facts.digest,
            ring_bits: R::RING,
            elements: self.public.model.network.linears().map(|(_, l)| l.weights() as u64).sum(),
        }
    }
}
