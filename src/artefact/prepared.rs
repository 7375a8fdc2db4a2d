//! What a server computed for a slot ahead of time: U Y_i of every linear op, kept in its state
//! folder until the slot is used.

use super::prefetch::{Prefetch, Reading};
use super::{PayloadSize, PublicModelFile, start_sealed};
use crate::files::FormatError;
use crate::files::container::envelope::{ChunkKey, EnvelopeWriter, OpenFrom, SealTo, open_stream};
use crate::files::container::header::{Prepared, Triples};
use crate::files::keys::SecretKey;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::ids::{Role, TripleSetId};
use crate::material::MaterialLayout;
use crate::protocol::MaterialSource;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where the prepared products of one slot are, and what they are for.
///
/// Security: U Y_i is as secret as Y_i, so the file is sealed from the server to itself; it belongs to the slot as the material does. The file is
/// removed when the slot is marked; one that was left by a crash is removed when it is found.
pub struct PreparedFile {
    path: PathBuf,
    fields: Prepared,
    layout: MaterialLayout,
}

impl PreparedFile {
    /// The file of `slot` in a state folder. `layout` is that of the products
    /// ([`MaterialLayout::products`]).
    pub fn new(
        state: &Path,
        triples: &Triples,
        slot: u64,
        public: &PublicModelFile,
        layout: MaterialLayout,
    ) -> Self {
        let fields = Prepared {
            party: triples.party,
            set_id: triples.set_id,
            slot,
            weight_mask_id: triples.weight_mask_id,
            public_digest: public.facts.digest,
            ring_bits: triples.ring_bits,
            height: triples.height,
            width: triples.width,
            batch_rows: triples.batch_rows,
        };
        PreparedFile { path: path(state, triples.set_id, slot), fields, layout }
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes, but for the header.
    pub fn bytes(&self) -> u64 {
        self.layout.bytes_per_slot() + 16 * self.layout.chunks_per_slot()
    }

    /// Whether there is a file of this name; [`PreparedFile::open`] looks into it.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Starts writing it.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub fn create(&self, owner: &SecretKey) -> Result<PreparedWriter<'_>, FormatError> {
        let out = OutputFile::create(&self.path, Access::Secret, Overwrite::Allow)?;
        let size = PayloadSize {
            bytes: self.layout.bytes_per_slot(),
            chunks: self.layout.chunks_per_slot(),
        };
        let keys = SealTo { sender: owner, recipient: &owner.public() };
        let out = start_sealed(out, keys, size, self.fields)?;
        Ok(PreparedWriter { out, slot: self.fields.slot, layout: &self.layout })
    }

    /// The products, read ahead; nothing if there is no such file or it is of something else or of
    /// another key, since they can be computed again.
    pub fn open(&self, owner: &SecretKey) -> Option<impl MaterialSource + use<>> {
        let file = open_stream(&self.path).ok()?;
        if *file.expect::<Prepared>().ok()? != self.fields {
            return None;
        }
        let role = Role::server(self.fields.party);
        let keys = OpenFrom { recipient: owner, sender: &owner.public(), role };
        let file = file.unseal(keys).ok()?;
        let (file, layout) = (Arc::new(Mutex::new(file)), self.layout.clone());
        let reading = Reading { file, slot: self.fields.slot, layout, before: (0, 0) };
        Some(Prefetch::start(reading))
    }

    /// Removes the prepared files of the set's slots below `next`: they are spent or lost.
    ///
    /// # Errors
    /// [`FormatError`] if the folder cannot be read or a file stays.
    pub fn remove_below(state: &Path, set: TripleSetId, next: u64) -> Result<(), FormatError> {
        for path in Self::below(state, set, next)? {
            match std::fs::remove_file(&path) {
                // A job and `prepare` at once: the other one was faster.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                other => other.map_err(|e| FormatError::io(&path, "remove", e))?,
            }
        }
        Ok(())
    }

    /// The prepared files of the set's slots below `next`.
    ///
    /// # Errors
    /// [`FormatError`] if the folder cannot be read.
    pub fn below(state: &Path, set: TripleSetId, next: u64) -> Result<Vec<PathBuf>, FormatError> {
        let prefix = format!("prepared-{set}-");
        let failed = |e| FormatError::io(state, "read", e);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(state).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let slot = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            if slot.and_then(|slot| slot.parse::<u64>().ok()).is_some_and(|slot| slot < next) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }
}

fn path(state: &Path, set: TripleSetId, slot: u64) -> PathBuf {
    state.join(format!("prepared-{set}-{slot}"))
}

/// A prepared file in the making, batch by batch.
pub struct PreparedWriter<'a> {
    out: EnvelopeWriter<OutputFile>,
    slot: u64,
    layout: &'a MaterialLayout,
}

impl PreparedWriter<'_> {
    /// Writes the products of one batch, one vector of bytes an op, in the layout's order. They are
    /// sealed in place.
    ///
    /// # Errors
    /// [`FormatError`] of the output; also for bytes of another length than the layout's.
    pub fn batch(&mut self, batch: usize, products: &mut [Vec<u8>]) -> Result<(), FormatError> {
        for ((op, _), bytes) in self.layout.chunks(batch).zip(products) {
            let key = ChunkKey { slot: self.slot, op: op as u32, piece: batch as u32 };
            self.out.chunk(key, bytes)?;
        }
        Ok(())
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub fn commit(self) -> Result<(), FormatError> {
        self.out.finish()?.commit()
    }
}
