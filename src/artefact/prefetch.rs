//! Reading material ahead: a thread reads and unseals the next batch while the servers compute.

use crate::files::FormatError;
use crate::files::container::envelope::{ChunkKey, EnvelopeReader};
use crate::files::container::stream::Stream;
use crate::material::{Chunk, ChunkPool, MaterialLayout};
use crate::protocol::{MaterialSource, SourceError};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// Batches that wait beside the one that the reading thread holds: that one is ahead enough.
const READY: usize = 0;

/// A file whose batches a thread can read.
pub(super) type SharedFile = Arc<Mutex<EnvelopeReader<Stream>>>;

/// Chunks of one batch, by op.
type Chunks = Vec<(usize, Chunk)>;

/// The batches of a slot, read ahead; empty ones for a server without explicit material.
pub(super) struct Prefetch {
    batches: Option<Receiver<Result<Chunks, FormatError>>>,
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
    /// Batches without chunks.
    pub(super) fn nothing() -> Self {
        Prefetch { batches: None }
    }

    /// Starts reading. The thread ends after the last batch, at the first error, or when nobody
    /// takes its batches any more.
    pub(super) fn start(reading: Reading) -> Self {
        let (to_owner, batches) = sync_channel(READY);
        std::thread::spawn(move || reading.run(&to_owner));
        Prefetch { batches: Some(batches) }
    }
}

impl Reading {
    fn run(&self, batches: &SyncSender<Result<Chunks, FormatError>>) {
        // Held to the end: the next slot of the same file waits until this one is read.
        let Ok(mut file) = self.file.lock() else { return };
        if let Err(e) = file.seek(self.before.0, self.before.1) {
            let _ = batches.send(Err(e));
            return;
        }
        let pool = ChunkPool::default();
        for batch in 0..self.layout.batches() {
            let chunks = self.layout.chunks(batch).map(|(op, len)| {
                let mut chunk = pool.chunk(len);
                let key = ChunkKey { slot: self.slot, op: op as u32, piece: batch as u32 };
                file.chunk_into(key, chunk.bytes_mut())?;
                Ok((op, chunk))
            });
            let read = chunks.collect::<Result<Chunks, FormatError>>();
            let failed = read.is_err();
            if batches.send(read).is_err() || failed {
                return;
            }
        }
    }
}

impl MaterialSource for Prefetch {
    fn next_batch(&mut self) -> Result<Chunks, SourceError> {
        let Some(batches) = &self.batches else { return Ok(Chunks::new()) };
        match batches.recv() {
            Ok(batch) => Ok(batch?),
            Err(_) => Err(SourceError::Ended),
        }
    }
}
