//! A piece of explicit material in memory.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// The bytes of one explicit chunk, or none. Opaque in `Debug`; a chunk that came from a
/// `ChunkPool` gives its memory back to it when it is dropped.
#[derive(Default)]
pub struct Chunk {
    /// At least `len` bytes: a buffer keeps its greatest length, so that its memory is zeroed once.
    bytes: Vec<u8>,
    len: usize,
    home: Option<ChunkPool>,
}

/// Memory for chunks, used again and again: tens of megabytes a batch would otherwise be asked from
/// the operating system, zeroed and given back for every batch.
///
/// Material is secret: what the pool still holds is wiped when its last user goes.
#[derive(Clone, Default)]
pub(crate) struct ChunkPool(Arc<Mutex<Zeroizing<Vec<Vec<u8>>>>>);

impl ChunkPool {
    /// A chunk of `len` bytes, whose contents are zero or those of a former chunk: the caller
    /// overwrites all of them.
    pub(crate) fn chunk(&self, len: usize) -> Chunk {
        let mut bytes = self.take(len).unwrap_or_default();
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        Chunk { bytes, len, home: Some(self.clone()) }
    }

    /// The smallest free buffer that holds `len` bytes, or any.
    fn take(&self, len: usize) -> Option<Vec<u8>> {
        // A poisoned pool is one that is not used any more.
        let mut free = self.0.lock().ok()?;
        let fitting = (0..free.len()).filter(|&i| free[i].len() >= len);
        let best = fitting.min_by_key(|&i| free[i].len());
        best.or(free.len().checked_sub(1)).map(|i| free.swap_remove(i))
    }
}

impl Chunk {
    /// The bytes, to be overwritten.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Chunk { len: bytes.len(), bytes, home: None }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(ChunkPool(free)) = &self.home
            && let Ok(mut free) = free.lock()
        {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_round() {
        let pool = ChunkPool::default();
        let [small, large] = [pool.chunk(10), pool.chunk(1000)];
        let places = [small.as_ptr(), large.as_ptr()];
        drop((small, large));
        let again = [pool.chunk(900), pool.chunk(8)];
        assert_eq!([again[1].as_ptr(), again[0].as_ptr()], places);
        assert_eq!((again[0].len(), again[1].len()), (900, 8));
        assert_eq!(format!("{:?}", again[1]), "Chunk(8 bytes)");
    }
}
