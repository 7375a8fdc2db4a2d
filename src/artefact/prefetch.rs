//! Reading material ahead: a thread reads and unseals the next tile while the servers compute.

use crate::files::FormatError;
use crate::files::container::envelope::{ChunkKey, EnvelopeReader};
use crate::files::container::stream::Stream;
use crate::material::{Chunk, ChunkPool, MaterialLayout};
use crate::protocol::{SourceError, TileSource};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// Tiles that wait beside the one that the reading thread holds: that one is ahead enough.
const READY: usize = 0;

/// A file whose tiles a thread can read.
pub(super) type SharedFile = Arc<Mutex<EnvelopeReader<Stream>>>;

/// Chunks of one tile, by op.
type Tile = Vec<(usize, Chunk)>;

/// The tiles of a slot, read ahead; empty ones for a server without explicit material.
pub(super) struct Prefetch {
    tiles: Option<Receiver<Result<Tile, FormatError>>>,
}

/// What a reading thread is to read.
pub(super) struct Reading {
    pub(super) file: SharedFile,
    pub(super) slot: u64,
    pub(super) layout: MaterialLayout,
    /// Payload bytes and chunks before the slot's first chunk.
    pub(super) before: (u64, u64),
}

impl Prefetch {
    /// Tiles without chunks.
    pub(super) fn nothing() -> Self {
        Prefetch { tiles: None }
    }

    /// Starts reading. The thread ends after the last tile, at the first error, or when nobody
    /// takes its tiles any more.
    pub(super) fn start(reading: Reading) -> Self {
        let (to_owner, tiles) = sync_channel(READY);
        std::thread::spawn(move || reading.run(&to_owner));
        Prefetch { tiles: Some(tiles) }
    }
}

impl Reading {
    fn run(&self, tiles: &SyncSender<Result<Tile, FormatError>>) {
        // Held to the end: the next slot of the same file waits until this one is read.
        let Ok(mut file) = self.file.lock() else { return };
        if let Err(e) = file.seek(self.before.0, self.before.1) {
            let _ = tiles.send(Err(e));
            return;
        }
        let pool = ChunkPool::default();
        for tile in 0..self.layout.tiles() {
            let chunks = self.layout.chunks(tile).map(|(op, len)| {
                let mut chunk = pool.chunk(len);
                let key = ChunkKey { slot: self.slot, op: op as u32, tile: tile as u32 };
                file.chunk_into(key, chunk.bytes_mut())?;
                Ok((op, chunk))
            });
            let read = chunks.collect::<Result<Tile, FormatError>>();
            let failed = read.is_err();
            if tiles.send(read).is_err() || failed {
                return;
            }
        }
    }
}

impl TileSource for Prefetch {
    fn next_tile(&mut self) -> Result<Tile, SourceError> {
        let Some(tiles) = &self.tiles else { return Ok(Tile::new()) };
        match tiles.recv() {
            Ok(tile) => Ok(tile?),
            Err(_) => Err(SourceError::Ended),
        }
    }
}
