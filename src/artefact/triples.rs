//! Triples: `PREFIX.s0`, seeds and S0's explicit material slot by slot; `PREFIX.s1`, seeds.
//!
//! A slot serves one image. Material is written and read as a stream, one chunk for each (slot,
//! tile, op), each with its own tag.

use super::{Parties, PayloadSize, PublicModelFile, random_seed, read_seeds, start, write_seeds};
use crate::correlation::{Chunk, Dealer, MaterialLayout, PartySeeds, weight_mask_id, weight_mask_seed};
use crate::format::envelope::{ChunkKey, EnvelopeReader, open_file};
use crate::format::header::{Header, Triples};
use crate::format::output::OutputFile;
use crate::format::{FormatError, TripleSetId, WeightMaskId};
use crate::network::NetworkError;
use crate::party::Party;
use crate::prg::Seed;
use crate::protocol::{SourceError, TileSource};
use crate::ring::{Ring, RingBits};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Triples to be made for one model and image size.
pub struct TripleJob<'a> {
    /// The model's public description.
    pub public: &'a PublicModelFile,
    /// Rows and columns of the images.
    pub size: (usize, usize),
    /// How many images.
    pub slots: u64,
    layout: MaterialLayout,
    tile_rows: usize,
}

impl<'a> TripleJob<'a> {
    /// Plans the material.
    ///
    /// # Errors
    /// As [`crate::network::Network::grid`].
    pub fn new(
        public: &'a PublicModelFile,
        size: (usize, usize),
        slots: u64,
    ) -> Result<Self, NetworkError> {
        let tile_rows = MaterialLayout::default_tile_rows(&public.model);
        let layout = MaterialLayout::new(&public.model, size, tile_rows)?;
        Ok(TripleJob { public, size, slots, layout, tile_rows })
    }

    /// Bytes that S0's file will have, `None` if that is beyond all measure.
    pub fn s0_bytes(&self) -> Option<u64> {
        let size = self.payload()?;
        size.chunks.checked_mul(16)?.checked_add(size.bytes)?.checked_add(1024)
    }

    /// Tiles over all slots.
    pub fn tiles(&self) -> u64 {
        self.slots * self.layout.tiles() as u64
    }

    fn payload(&self) -> Option<PayloadSize> {
        let bytes = self.layout.bytes_per_slot().checked_mul(self.slots)?;
        let chunks = self.layout.chunks_per_slot().checked_mul(self.slots)?;
        Some(PayloadSize { bytes, chunks }.and(PayloadSize::seeds(2)))
    }

    /// Makes and writes the triples; `progress` is told the tiles done. Returns the set's fresh id.
    ///
    /// Security: slot seeds are fresh from the operating system; X is a PRF of the dealer's key and
    /// the model's id, so no two models share one.
    ///
    /// # Errors
    /// [`FormatError`] of the outputs; nothing is left behind.
    pub fn write(
        &self,
        dealer: &Seed,
        parties: Parties,
        outs: [OutputFile; 2],
        progress: &mut dyn FnMut(u64),
    ) -> Result<TripleSetId, SourceError> {
        match self.public.model.ring {
            RingBits::L32 => self.write_in::<u32>(dealer, parties, outs, progress),
            RingBits::L64 => self.write_in::<u64>(dealer, parties, outs, progress),
        }
    }

    fn write_in<R: Ring>(
        &self,
        dealer: &Seed,
        parties: Parties,
        [s0_out, s1_out]: [OutputFile; 2],
        progress: &mut dyn FnMut(u64),
    ) -> Result<TripleSetId, SourceError> {
        let set_id = TripleSetId::random().map_err(FormatError::from)?;
        let model_id = *self.public.model_id.as_bytes();
        let seeds = |party: Party| -> Result<PartySeeds, FormatError> {
            let weight_mask = weight_mask_seed(dealer, &model_id, party.index());
            Ok(PartySeeds { weight_mask, slots: random_seed()? })
        };
        let seeds = [seeds(Party::S0)?, seeds(Party::S1)?];
        let body = |party| Triples {
            party,
            set_id,
            weight_mask_id: WeightMaskId::from_bytes(weight_mask_id(dealer, &model_id)),
            model_id: self.public.model_id,
            public_digest: self.public.digest,
            ring_bits: R::RING,
            height: self.size.0 as u32,
            width: self.size.1 as u32,
            slots: self.slots,
            tile_rows: self.tile_rows as u32,
        };
        let recipient = |party: Party| Some(parties.servers[party.index()]);
        let size = PayloadSize::seeds(2);
        let mut out = start(s1_out, parties.sender, recipient(Party::S1), size, body(Party::S1))?;
        write_seeds(&mut out, [&seeds[1].weight_mask, &seeds[1].slots])?;
        let s1_out = out.finish()?;

        let size = self.payload().unwrap_or_default();
        let mut out = start(s0_out, parties.sender, recipient(Party::S0), size, body(Party::S0))?;
        write_seeds(&mut out, [&seeds[0].weight_mask, &seeds[0].slots])?;
        let dealer = Dealer::<R>::new(&self.public.model, self.size, [&seeds[0], &seeds[1]])?;
        for slot in 0..self.slots {
            let maker = dealer.slot(slot);
            for tile in 0..self.layout.tiles() {
                for (op, bytes) in maker.tile(self.layout.tile(tile)) {
                    out.chunk(ChunkKey { slot, op: op as u32, tile: tile as u32 }, &bytes)?;
                }
                progress(slot * self.layout.tiles() as u64 + tile as u64 + 1);
            }
        }
        // S0's file last: once it has its name both are complete.
        s1_out.commit()?;
        out.finish()?.commit()?;
        Ok(set_id)
    }
}

/// One server's triples, opened.
pub struct TripleFile {
    file: EnvelopeReader<BufReader<File>>,
    fields: Triples,
    seeds: PartySeeds,
}

impl TripleFile {
    /// Opens a set and reads its seeds.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        let mut file = open_file(path)?;
        let fields = *file.expect::<Triples>()?;
        let [weight_mask, slots] = read_seeds(&mut file)?;
        Ok(TripleFile { file, fields, seeds: PartySeeds { weight_mask, slots } })
    }

    /// The whole public header.
    pub fn header(&self) -> &Header {
        self.file.header()
    }

    /// The fields of a triple set.
    pub fn fields(&self) -> &Triples {
        &self.fields
    }

    /// The seeds and, as a tile source positioned at the first tile of `slot`, the material.
    ///
    /// # Errors
    /// [`FormatError`] if the file cannot be positioned.
    pub fn slot(
        &mut self,
        slot: u64,
        layout: &MaterialLayout,
    ) -> Result<(&PartySeeds, impl TileSource + '_), FormatError> {
        if self.fields.party == Party::S0 {
            let seeds = PayloadSize::seeds(2);
            let bytes = seeds.bytes + slot * layout.bytes_per_slot();
            self.file.seek(bytes, seeds.chunks + slot * layout.chunks_per_slot())?;
        }
        let source = SlotTiles { file: &mut self.file, fields: &self.fields, slot };
        Ok((&self.seeds, source))
    }

    /// The seed of the weight masks.
    pub fn weight_mask_seed(&self) -> &Seed {
        &self.seeds.weight_mask
    }
}

struct SlotTiles<'a> {
    file: &'a mut EnvelopeReader<BufReader<File>>,
    fields: &'a Triples,
    slot: u64,
}

impl TileSource for SlotTiles<'_> {
    fn next_tile(
        &mut self,
        tile: usize,
        chunks: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<Vec<(usize, Chunk)>, SourceError> {
        if self.fields.party == Party::S1 {
            return Ok(Vec::new());
        }
        let read = |(op, length)| {
            let key = ChunkKey { slot: self.slot, op: op as u32, tile: tile as u32 };
            Ok((op, self.file.chunk(key, length)?.into()))
        };
        chunks.map(read).collect()
    }
}
