//! Triples: seeds, and explicit material slot by slot where a server has it: in `PREFIX.s0`, and in
//! `PREFIX.s1` too if the two servers made the set themselves.
//!
//! A slot serves one image. Material is written and read as a stream, one chunk for each (slot,
//! batch, op), each with its own tag.

use super::error::ArtefactError;
use super::prefetch::{Prefetch, Reading, SharedFile};
use super::{
    Parties, PayloadSize, PublicModelFile, SlotRegions, random_seed, read_seeds, start_sealed,
    write_seeds,
};
use crate::files::FormatError;
use crate::files::container::envelope::{ChunkKey, Envelope, EnvelopeWriter, OpenFrom};
use crate::files::container::header::Triples;
use crate::files::container::stream::{Held, Stream, place};
use crate::files::error::Amount;
use crate::files::keys::PublicKey;
use crate::files::output::erase::{is_overwritten, take};
use crate::files::output::half_done::HalfDone;
use crate::files::output::{OutputFile, commit_part};
use crate::ids::Party;
use crate::ids::{TripleSetId, WeightMaskId};
use crate::material::{
    Dealer, MaskOwners, MaterialLayout, Origin, PartySeeds, SlotView, weight_mask_id,
    weight_mask_seed,
};
use crate::network::NetworkError;
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::MaterialSource;
use crate::size::Size;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

/// Chunks that wait for the thread that writes them.
const MADE_AHEAD: usize = 4;

/// What the dealer's key of weight masks is derived under.
const WEIGHT_MASKS: &str = "ppdenoise weight masks v2";

/// The dealer, and the keys of those it works for: one model owner and its two servers.
#[derive(Debug)]
pub(crate) struct Customer {
    /// From the dealer to the servers.
    pub parties: Parties,
    /// Who shares the models.
    pub model_owner: PublicKey,
}

impl Customer {
    /// Takes a description that this customer's model owner shared for this customer's servers.
    ///
    /// Security: the file is in clear and can name anybody, so this finds mistakes. What keeps a
    /// customer from another's model is that X is derived from the keys that are here.
    ///
    /// # Errors
    /// [`FormatError::WrongSender`], [`FormatError::SharedForOthers`].
    pub(crate) fn commission<'a>(
        &'a self,
        public: &'a PublicModelFile,
    ) -> Result<Commission<'a>, FormatError> {
        public.facts.check_owner(&self.model_owner)?;
        for (party, key) in [Party::S0, Party::S1].into_iter().zip(self.parties.fingerprints()) {
            public.facts.check_server(party, key)?;
        }
        Ok(Commission { customer: self, public })
    }

    fn mask_owners(&self, public: &PublicModelFile) -> MaskOwners {
        MaskOwners {
            model_id: *public.facts.model_id.as_bytes(),
            description: *public.facts.digest.as_bytes(),
            model_owner: *self.model_owner.fingerprint().as_bytes(),
            servers: self.parties.fingerprints().map(|key| *key.as_bytes()),
        }
    }
}

/// A description and the customer it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commission<'a> {
    customer: &'a Customer,
    public: &'a PublicModelFile,
}

/// Triples to be made for one model and image size.
pub(crate) struct TripleJob<'a> {
    commission: Commission<'a>,
    /// Rows and columns of the images.
    pub size: Size,
    /// How many images.
    pub slots: u64,
    layout: MaterialLayout,
    batch_rows: usize,
}

impl<'a> TripleJob<'a> {
    /// Plans the material, in batches of `batch_rows` patches (of what suits the model if not given; no
    /// more than fit a frame of the wire).
    ///
    /// # Errors
    /// As [`crate::network::Network::grid`].
    pub(crate) fn new(
        commission: Commission<'a>,
        size: Size,
        slots: u64,
        batch_rows: Option<usize>,
    ) -> Result<Self, NetworkError> {
        let model = &commission.public.model;
        let batch_rows = MaterialLayout::chosen_batch_rows(model, batch_rows);
        let layout = MaterialLayout::new(model, size, batch_rows, Origin::Dealt)?;
        Ok(TripleJob { commission, size, slots, layout, batch_rows })
    }

    /// Bytes that S0's file will have, `None` if that is beyond all measure.
    pub(crate) fn s0_bytes(&self) -> Option<u64> {
        let size = self.payload()?;
        size.chunks.checked_mul(16)?.checked_add(size.bytes)?.checked_add(1024)
    }

    /// Patches a batch.
    pub(crate) fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Batches over all slots.
    pub(crate) fn batches(&self) -> u64 {
        self.slots * self.layout.batches() as u64
    }

    fn payload(&self) -> Option<PayloadSize> {
        let bytes = self.layout.bytes_per_slot().checked_mul(self.slots)?;
        let chunks = self.layout.chunks_per_slot().checked_mul(self.slots)?;
        Some(PayloadSize { bytes, chunks }.and(PayloadSize::seeds(2)))
    }

    /// Makes the triples and writes them, S0's to any writer, which is returned for the caller to
    /// commit, with the set's fresh id. S1's file is committed when S0's is complete, or before its
    /// material is made if `s1_first`. `progress` is told the batches done.
    ///
    /// Security: both files are sealed from the dealer; slot seeds are fresh from the operating system; X is a PRF of the dealer's key and
    /// the sharing, so no two sharings and no two customers have one in common.
    ///
    /// # Errors
    /// [`FormatError`] of the outputs.
    pub(crate) fn write<W: Write + Send>(
        &self,
        s0: W,
        s1: OutputFile,
        s1_first: bool,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(TripleSetId, W), ArtefactError> {
        match self.commission.public.model.ring {
            RingBits::L32 => self.write_in::<u32, W>(s0, s1, s1_first, progress),
            RingBits::L64 => self.write_in::<u64, W>(s0, s1, s1_first, progress),
        }
    }

    fn write_in<R: Ring, W: Write + Send>(
        &self,
        s0_out: W,
        s1_out: OutputFile,
        s1_first: bool,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(TripleSetId, W), ArtefactError> {
        let set_id = TripleSetId::random().map_err(FormatError::from)?;
        let Commission { customer, public } = self.commission;
        let Customer { parties, .. } = customer;
        let key = parties.sender.prf_seed(WEIGHT_MASKS);
        let owners = customer.mask_owners(public);
        let seeds = |party: Party| -> Result<PartySeeds, FormatError> {
            let weight_mask = weight_mask_seed(&key, &owners, party.index());
            Ok(PartySeeds { weight_mask, slots: random_seed()? })
        };
        let seeds = [seeds(Party::S0)?, seeds(Party::S1)?];
        let body = |party| Triples {
            party,
            set_id,
            weight_mask_id: WeightMaskId::from_bytes(weight_mask_id(&key, &owners)),
            model_id: public.facts.model_id,
            public_digest: public.facts.digest,
            ring_bits: R::RING,
            height: self.size.height as u32,
            width: self.size.width as u32,
            slots: self.slots,
            batch_rows: self.batch_rows as u32,
            origin: Origin::Dealt,
        };
        let size = PayloadSize::seeds(2);
        let mut out = start_sealed(s1_out, parties.to(Party::S1), size, body(Party::S1))?;
        write_seeds(&mut out, [&seeds[1].weight_mask, &seeds[1].slots])?;
        let s1_out = out.finish()?;

        let size = self.payload().unwrap_or_default();
        let mut out = start_sealed(s0_out, parties.to(Party::S0), size, body(Party::S0))?;
        write_seeds(&mut out, [&seeds[0].weight_mask, &seeds[0].slots])?;
        let dealer = Dealer::<R>::new(&public.model, self.size, [&seeds[0], &seeds[1]])?;
        let deal = || self.deal(&dealer, out, progress)?.finish();
        if !s1_first {
            let out = deal()?;
            s1_out.commit()?;
            return Ok((set_id, out));
        }
        let mut half_done = Vec::new();
        commit_part([s1_out], &mut half_done)?;
        let dealt = deal();
        if dealt.is_err() {
            // Half a set is no set; why it failed is the error to tell.
            half_done.drain(..).for_each(HalfDone::remove);
        }
        Ok((set_id, dealt?))
    }

    /// Makes all batches while a thread writes those that are made.
    fn deal<R: Ring, W: Write + Send>(
        &self,
        dealer: &Dealer<'_, R>,
        mut out: EnvelopeWriter<W>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<EnvelopeWriter<W>, FormatError> {
        let batches = self.layout.batches();
        let (to_writer, made) = sync_channel::<(ChunkKey, Vec<u8>)>(MADE_AHEAD);
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                for (key, mut bytes) in made {
                    out.chunk(key, &mut bytes)?;
                }
                Ok(out)
            });
            'all: for slot in 0..self.slots {
                let maker = dealer.slot(slot);
                for batch in 0..batches {
                    for (op, bytes) in maker.batch(self.layout.batch(batch)) {
                        let key = ChunkKey { slot, op: op as u32, piece: batch as u32 };
                        // A writer that failed takes no more; why is what it returns.
                        if to_writer.send((key, bytes)).is_err() {
                            break 'all;
                        }
                    }
                    progress(slot * batches as u64 + batch as u64 + 1);
                }
            }
            drop(to_writer);
            // A panic of the writer is a bug that the whole process should show.
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// One server's triples, unsealed.
pub struct TripleFile {
    path: PathBuf,
    file: SharedFile,
    /// What the header says of the payload.
    announced: Amount,
    fields: Triples,
    seeds: PartySeeds,
    regular: Option<Regular>,
    in_memory: bool,
}

/// What only a regular file on the disk has. Its lock, shared, keeps an `erase` away.
struct Regular {
    path: PathBuf,
    file: File,
    /// Used slots can be overwritten.
    writable: bool,
    regions: SlotRegions,
}

/// Why a used slot stays in the file it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unguarded {
    /// The material comes through a pipe.
    Pipe,
    /// It is in memory, of which others may have copies.
    Memory,
    /// The file may only be read.
    ReadOnly,
}

impl Regular {
    fn open(path: &Path, regions: SlotRegions) -> Result<Self, FormatError> {
        let place = place(path);
        let (file, writable) = match OpenOptions::new().read(true).write(true).open(place) {
            Ok(file) => (file, true),
            // Whatever the reason, reading works or says why not.
            Err(_) => (File::open(place).map_err(|e| FormatError::io(path, "open", e))?, false),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Regular { path: path.into(), file, writable, regions }),
            Err(TryLockError::WouldBlock) => Err(FormatError::InUse { file: path.into() }),
            Err(TryLockError::Error(e)) => Err(FormatError::io(path, "lock", e)),
        }
    }

    /// As [`TripleFile::take`]; nothing to hold where nothing was overwritten.
    fn take(&self, slot: u64, slots: u64) -> Result<Option<Held>, FormatError> {
        let (path, head) = (&self.path, self.regions.head(slot));
        if head.is_empty() {
            return Ok(Some(Held::default()));
        }
        let failed = |e| FormatError::io(path, "read", e);
        let found = self.file.metadata().map_err(failed)?.len();
        if found < self.regions.slot(slot).end {
            let expected = self.regions.slot(slots).start;
            return Err(FormatError::Truncated { file: path.clone(), expected, found });
        }
        if !self.writable {
            let gone = is_overwritten(&self.file, &head).map_err(failed)?;
            return Ok((!gone).then(Held::default));
        }
        let bytes = take(place(path), &self.file, &head)?;
        Ok(bytes.map(|bytes| Held { start: head.start, bytes }))
    }
}

impl TripleFile {
    /// Unseals a set, a file, on the disk or in memory, or a pipe, and reads its seeds.
    ///
    /// # Errors
    /// [`FormatError`]; [`FormatError::InUse`] while the file is being erased.
    pub fn unseal(file: Envelope<Stream>, keys: OpenFrom<'_>) -> Result<Self, FormatError> {
        let regions = SlotRegions::of(&file)?;
        let path = file.name().to_owned();
        let in_memory = file.is_regular_file() && !file.is_on_disk();
        let regular = file.is_on_disk().then(|| Regular::open(&path, regions)).transpose()?;
        let fields = *file.expect::<Triples>()?;
        let announced = Amount { bytes: file.header().payload_len, chunks: file.header().chunks };
        let mut file = file.unseal(keys)?;
        let [weight_mask, slots] = read_seeds(&mut file)?;
        let seeds = PartySeeds { weight_mask, slots };
        let file = Arc::new(Mutex::new(file));
        Ok(TripleFile { path, file, announced, fields, seeds, regular, in_memory })
    }

    /// Takes the explicit material of a slot for this process alone: the head of the slot is held in
    /// memory and overwritten in the file, durably, so that no other ledger and no later run finds it
    /// there. False if it was taken or erased before. Cost: a block written and synced, where
    /// there is explicit material.
    ///
    /// Where the head cannot be overwritten ([`TripleFile::unguarded`]) only the ledger stands
    /// between the slot and a second use.
    ///
    /// # Errors
    /// [`FormatError`] if the file cannot be read or written or was cut meanwhile; the slot may be
    /// lost then.
    pub fn take(&self, slot: u64) -> Result<bool, FormatError> {
        let Some(regular) = &self.regular else { return Ok(true) };
        let Some(held) = regular.take(slot, self.fields.slots)? else { return Ok(false) };
        self.file.lock().unwrap_or_else(PoisonError::into_inner).hold(held);
        Ok(true)
    }

    /// The first slot from `slot` on whose material was neither taken nor erased.
    ///
    /// # Errors
    /// [`FormatError`] if the file cannot be read.
    pub fn next_whole(&self, mut slot: u64) -> Result<u64, FormatError> {
        let Some(Regular { path, file, regions, .. }) = &self.regular else { return Ok(slot) };
        let gone = |slot| {
            let gone = is_overwritten(file, &regions.head(slot));
            gone.map_err(|e| FormatError::io(path, "read", e))
        };
        while slot < self.fields.slots && gone(slot)? {
            slot += 1;
        }
        Ok(slot)
    }

    /// Why [`TripleFile::take`] cannot overwrite explicit material, if it cannot.
    pub fn unguarded(&self) -> Option<Unguarded> {
        match &self.regular {
            _ if !self.is_explicit() => None,
            None if self.in_memory => Some(Unguarded::Memory),
            None => Some(Unguarded::Pipe),
            Some(regular) => (!regular.writable).then_some(Unguarded::ReadOnly),
        }
    }

    /// What the file is called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The fields of a triple set.
    pub fn fields(&self) -> &Triples {
        &self.fields
    }

    /// The seeds.
    pub fn seeds(&self) -> &PartySeeds {
        &self.seeds
    }

    /// This server's view of a slot.
    pub fn view(&self, slot: u64) -> SlotView<'_> {
        SlotView::new(self.fields.party, &self.seeds.slots, slot, self.fields.origin)
    }

    /// Whether the set has explicit material at this server.
    fn is_explicit(&self) -> bool {
        self.fields.origin.explicit_at(self.fields.party)
    }

    /// Compares the payload that the header announces with what so many slots need.
    ///
    /// # Errors
    /// [`FormatError::PayloadMismatch`].
    pub fn check_material(&self, layout: &MaterialLayout) -> Result<(), FormatError> {
        let slots = if self.is_explicit() { self.fields.slots } else { 0 };
        let PayloadSize { bytes, chunks } = material_before(slots, layout);
        let expected = Amount { bytes, chunks };
        match self.announced {
            found if found == expected => Ok(()),
            found => Err(FormatError::PayloadMismatch { file: self.path.clone(), expected, found }),
        }
    }

    /// The explicit material of `slot`, read ahead by a thread of its own. A pipe can only go
    /// forward; what cannot be read is told when its batch is asked for.
    pub fn material(&self, slot: u64, layout: &MaterialLayout) -> impl MaterialSource + use<> {
        if !self.is_explicit() {
            return Prefetch::nothing();
        }
        let PayloadSize { bytes, chunks } = material_before(slot, layout);
        let (file, layout) = (self.file.clone(), layout.clone());
        Prefetch::start(Reading { file, slot, layout, before: (bytes, chunks) })
    }
}

/// The payload of a file with explicit material before that of `slot`; the largest numbers if it is beyond them,
/// which no header announces.
fn material_before(slot: u64, layout: &MaterialLayout) -> PayloadSize {
    let seeds = PayloadSize::seeds(2);
    PayloadSize {
        bytes: layout.bytes_per_slot().saturating_mul(slot).saturating_add(seeds.bytes),
        chunks: layout.chunks_per_slot().saturating_mul(slot).saturating_add(seeds.chunks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Method, QuantiseOptions, quantise, random_model};

    /// A header may claim 2^40 slots of the largest images.
    #[test]
    fn slots_beyond_all_measure_do_not_wrap() {
        let method = Method::lut(2);
        let options = QuantiseOptions::guaranteed(RingBits::L64, method, 2.5);
        let public = quantise(&random_model(&[64], 1.0, true), &options).unwrap().public;
        let layout =
            MaterialLayout::new(&public, Size::new(1 << 14, 1 << 14), 1, Origin::Made).unwrap();
        assert!(layout.bytes_per_slot() > 1 << 30);
        let far = material_before(1 << 40, &layout);
        assert_eq!(far.bytes, u64::MAX, "more than any header announces");
        assert!(material_before(1, &layout).bytes == layout.bytes_per_slot() + 64);
    }
}
