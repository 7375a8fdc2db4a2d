//! Writing an envelope.

use super::{
    ChunkKey, FIXED_LEN, MAGIC, TAG_LEN, Tag, VERSION, chunk_tag, header_error, header_tag,
    last_tag,
};
use crate::format::error::{Amount, FormatError};
use crate::format::header::Header;
use std::io::Write;
use std::path::Path;

/// Writes one file: header first, then chunks in order.
pub struct EnvelopeWriter<W: Write> {
    out: W,
    header_tag: Tag,
    announced: Amount,
    written: Amount,
}

impl<W: Write> EnvelopeWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`FormatError::InvalidField`] for a header that no reader would take; the writer's own.
    pub fn new(mut out: W, header: &Header) -> Result<Self, FormatError> {
        let bytes = preamble(header)?;
        out.write_all(&bytes).map_err(FormatError::from_writer)?;
        Ok(EnvelopeWriter {
            out,
            header_tag: last_tag(&bytes),
            announced: Amount { bytes: header.payload_len, chunks: header.chunks },
            written: Amount { bytes: 0, chunks: 0 },
        })
    }

    /// Writes the next chunk.
    ///
    /// # Errors
    /// [`FormatError::PayloadMismatch`] beyond what the header announced; the writer's own.
    pub fn chunk(&mut self, key: ChunkKey, bytes: &[u8]) -> Result<(), FormatError> {
        let written = Amount {
            bytes: self.written.bytes.saturating_add(bytes.len() as u64),
            chunks: self.written.chunks + 1,
        };
        if written.bytes > self.announced.bytes || written.chunks > self.announced.chunks {
            return Err(self.mismatch(written));
        }
        let tag = chunk_tag(&self.header_tag, key, bytes);
        self.out.write_all(bytes).map_err(FormatError::from_writer)?;
        self.out.write_all(&tag).map_err(FormatError::from_writer)?;
        self.written = written;
        Ok(())
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// [`FormatError::PayloadMismatch`] if less was written than announced; the writer's own.
    pub fn finish(mut self) -> Result<W, FormatError> {
        if self.written != self.announced {
            return Err(self.mismatch(self.written));
        }
        self.out.flush().map_err(FormatError::from_writer)?;
        Ok(self.out)
    }

    /// What was written, complete or not.
    #[cfg(test)]
    pub(super) fn abandon(self) -> W {
        self.out
    }

    fn mismatch(&self, found: Amount) -> FormatError {
        FormatError::PayloadMismatch { file: "-".into(), expected: self.announced, found }
    }
}

/// The bytes before the first chunk, as [`EnvelopeWriter::new`] writes them.
///
/// # Errors
/// [`FormatError::InvalidField`] for a header that no reader would take.
fn preamble(header: &Header) -> Result<Vec<u8>, FormatError> {
    let body = header.to_bytes().map_err(|err| header_error(err, Path::new("-")))?;
    let mut bytes = Vec::with_capacity(FIXED_LEN + body.len() + TAG_LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&body);
    let tag = header_tag(&bytes);
    bytes.extend_from_slice(&tag);
    Ok(bytes)
}
