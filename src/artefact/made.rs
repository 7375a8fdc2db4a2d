//! Triples that a server makes together with the other one: `PREFIX.s0` and `PREFIX.s1`, each sealed from its
//! server to itself, with seeds and explicit material slot by slot.

use super::{PayloadSize, PublicModelFile, start_sealed, write_seeds};
use crate::files::FormatError;
use crate::files::container::envelope::{ChunkKey, EnvelopeWriter, SealTo};
use crate::files::container::header::Triples;
use crate::files::keys::SecretKey;
use crate::files::output::OutputFile;
use crate::ids::Party;
use crate::ids::{TripleSetId, WeightMaskId};
use crate::material::{MaterialLayout, Origin, PartySeeds};
use crate::network::NetworkError;
use crate::size::Size;

/// Triples to be made for one image size.
#[derive(Clone, Debug)]
pub(crate) struct MadeJob {
    /// Rows and columns of the images.
    pub size: Size,
    /// How many images.
    pub slots: u64,
    layout: MaterialLayout,
}

/// What a set is called.
pub(crate) struct MadeName {
    /// Whose half it is.
    pub party: Party,
    pub set_id: TripleSetId,
    /// The mask X.
    pub weight_mask_id: WeightMaskId,
}

impl MadeJob {
    /// Plans the material, in batches of `batch_rows` patches (of what suits the model if not given; no more than
    /// fit a frame of the wire).
    ///
    /// # Errors
    /// As [`crate::network::Network::grid`].
    pub(crate) fn new(
        public: &PublicModelFile,
        size: Size,
        slots: u64,
        batch_rows: Option<usize>,
    ) -> Result<Self, NetworkError> {
        let batch_rows = MaterialLayout::chosen_batch_rows(&public.model, batch_rows);
        let layout = MaterialLayout::new(&public.model, size, batch_rows, Origin::Made)?;
        Ok(MadeJob { size, slots, layout })
    }

    /// The chunks of a slot.
    pub(crate) fn layout(&self) -> &MaterialLayout {
        &self.layout
    }

    /// Bytes that the file will have at most, `None` if that is beyond all measure.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let size = self.payload()?;
        size.chunks.checked_mul(16)?.checked_add(size.bytes)?.checked_add(1024)
    }

    fn payload(&self) -> Option<PayloadSize> {
        let bytes = self.layout.bytes_per_slot().checked_mul(self.slots)?;
        let chunks = self.layout.chunks_per_slot().checked_mul(self.slots)?;
        Some(PayloadSize { bytes, chunks }.and(PayloadSize::seeds(2)))
    }

    /// Begins the file of a set with this server's seeds.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub(crate) fn create(
        &self,
        out: OutputFile,
        owner: &SecretKey,
        public: &PublicModelFile,
        name: &MadeName,
        seeds: &PartySeeds,
    ) -> Result<MadeWriter, FormatError> {
        let fields = Triples {
            party: name.party,
            set_id: name.set_id,
            weight_mask_id: name.weight_mask_id,
            model_id: public.facts.model_id,
            public_digest: public.facts.digest,
            ring_bits: public.model.ring,
            height: self.size.height as u32,
            width: self.size.width as u32,
            slots: self.slots,
            batch_rows: self.layout.batch_rows() as u32,
            origin: Origin::Made,
        };
        let keys = SealTo { sender: owner, recipient: &owner.public() };
        let mut out = start_sealed(out, keys, self.payload().unwrap_or_default(), fields)?;
        write_seeds(&mut out, [&seeds.weight_mask, &seeds.slots])?;
        Ok(MadeWriter { out })
    }
}

/// A set in the making, chunk by chunk.
pub(crate) struct MadeWriter {
    out: EnvelopeWriter<OutputFile>,
}

impl MadeWriter {
    /// Writes the next chunk in the layout's order. It is sealed in place.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub(crate) fn chunk(
        &mut self,
        slot: u64,
        op: usize,
        batch: usize,
        bytes: &mut [u8],
    ) -> Result<(), FormatError> {
        self.out.chunk(ChunkKey { slot, op: op as u32, piece: batch as u32 }, bytes)
    }

    /// Completes the file and makes it durable; it has no name yet.
    ///
    /// # Errors
    /// [`FormatError`] of the output; also for other chunks than the layout's.
    pub(crate) fn finish(self) -> Result<OutputFile, FormatError> {
        let mut out = self.out.finish()?;
        out.settle()?;
        Ok(out)
    }
}
