//! Reading the payload of an envelope.

use super::fill::{fill, not_authentic};
use super::seal::Opener;
use super::{ChunkKey, Tag, chunk_tag};
use crate::files::container::header::{Cipher, Header};
use crate::files::container::sizes::TAG_LEN;
use crate::files::container::stream::{Held, Stream};
use crate::files::error::{Amount, FormatError};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What a reader allocates at once for a pipe, whose header alone says how long it is.
const UNPROVEN_LEN: usize = 1 << 20;

/// Reads one file from its first byte, in order; chunks can be skipped with [`EnvelopeReader::seek`] where the source
/// is seekable.
pub struct EnvelopeReader<R: Read> {
    source: R,
    file: PathBuf,
    header: Header,
    /// The offset of the first chunk.
    start: u64,
    /// Payload behind the reader.
    done: Amount,
    /// The source is known to be as long as the header says.
    length_proven: bool,
    check: Check,
}

/// How a chunk is checked.
pub(super) enum Check {
    /// By a tag without a key, made with the header's.
    Tags(Tag),
    /// By opening it.
    Sealed(Opener),
}

impl<R: Read> EnvelopeReader<R> {
    pub(super) fn new(
        source: R,
        file: PathBuf,
        header: Header,
        start: u64,
        length_proven: bool,
        check: Check,
    ) -> Self {
        let done = Amount { bytes: 0, chunks: 0 };
        EnvelopeReader { source, file, header, start, done, length_proven, check }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the source is called in errors.
    pub fn name(&self) -> &Path {
        &self.file
    }

    /// Whether the source is a file, on the disk or in memory, that can be read again from its start.
    pub fn is_regular_file(&self) -> bool {
        self.length_proven
    }

    /// The length of the whole file, by its header.
    pub fn file_len(&self) -> u64 {
        self.header.file_len(self.start)
    }

    /// The next chunk, which must be `key` and `len` bytes long.
    ///
    /// # Errors
    /// [`FormatError::PayloadMismatch`] if the header announces less, [`FormatError::ChunkDamaged`]
    /// or, for a sealed file, [`FormatError::NotAuthentic`] if the bytes are not those that were
    /// written under this key, [`FormatError::Truncated`].
    pub fn chunk(&mut self, key: ChunkKey, len: usize) -> Result<Vec<u8>, FormatError> {
        let after = self.announced_after(len)?;
        // The header of a pipe may announce anything: grow with what really comes.
        let at_once = if self.length_proven { len } else { len.min(UNPROVEN_LEN) };
        let mut bytes = Vec::with_capacity(at_once);
        while bytes.len() < len {
            let old = bytes.len();
            bytes.resize(len.min(old + at_once), 0);
            self.read_exactly(&mut bytes[old..], old)?;
        }
        self.check_tag(key, &mut bytes, after)?;
        Ok(bytes)
    }

    /// As [`EnvelopeReader::chunk`], into a buffer of the caller. After an error the buffer's
    /// contents are meaningless.
    ///
    /// # Errors
    /// As [`EnvelopeReader::chunk`].
    pub fn chunk_into(&mut self, key: ChunkKey, out: &mut [u8]) -> Result<(), FormatError> {
        let after = self.announced_after(out.len())?;
        self.read_exactly(out, 0)?;
        self.check_tag(key, out, after)
    }

    /// Checks that everything was read and nothing follows.
    ///
    /// # Errors
    /// [`FormatError::PayloadMismatch`] if chunks are left, [`FormatError::TrailingBytes`].
    pub fn finish(mut self) -> Result<(), FormatError> {
        let expected = self.announced();
        if self.done != expected {
            return Err(FormatError::PayloadMismatch {
                file: self.file,
                expected: self.done,
                found: expected,
            });
        }
        let mut one = [0];
        match fill(&mut self.source, &mut one) {
            Ok(0) => Ok(()),
            Ok(_) => {
                let expected = self.file_len();
                let found = expected + 1;
                Err(FormatError::TrailingBytes { file: self.file, expected, found })
            }
            Err(err) => Err(FormatError::io(&self.file, "read", err)),
        }
    }

    fn announced(&self) -> Amount {
        Amount { bytes: self.header.payload_len, chunks: self.header.chunks }
    }

    /// The payload that will be behind the reader after a chunk of `len` bytes.
    fn announced_after(&self, len: usize) -> Result<Amount, FormatError> {
        let after = Amount {
            bytes: self.done.bytes.saturating_add(len as u64),
            chunks: self.done.chunks.saturating_add(1),
        };
        let found = self.announced();
        if after.bytes > found.bytes || after.chunks > found.chunks {
            let file = self.file.clone();
            return Err(FormatError::PayloadMismatch { file, expected: after, found });
        }
        Ok(after)
    }

    /// Fills `out` with what follows; `into` bytes of the chunk are read already.
    fn read_exactly(&mut self, out: &mut [u8], into: usize) -> Result<(), FormatError> {
        let n = fill(&mut self.source, out).map_err(|e| FormatError::io(&self.file, "read", e))?;
        if n == out.len() {
            return Ok(());
        }
        let before = self.start + self.done.bytes + TAG_LEN as u64 * self.done.chunks;
        Err(FormatError::Truncated {
            file: self.file.clone(),
            expected: self.file_len(),
            found: before + (into + n) as u64,
        })
    }

    /// Reads a chunk's tag, compares and opens; only then is the chunk behind the reader.
    fn check_tag(
        &mut self,
        key: ChunkKey,
        bytes: &mut [u8],
        after: Amount,
    ) -> Result<(), FormatError> {
        let mut stored = [0; TAG_LEN];
        self.read_exactly(&mut stored, bytes.len())?;
        let good = match &self.check {
            Check::Tags(header) => stored == chunk_tag(header, key, bytes),
            Check::Sealed(opener) => opener.open(self.done.chunks, key, bytes, stored),
        };
        if good {
            self.done = after;
            return Ok(());
        }
        let (file, ChunkKey { slot, op, piece }) = (self.file.clone(), key);
        Err(match self.header.cipher {
            Cipher::None => FormatError::ChunkDamaged { file, slot, op, piece },
            Cipher::Sealed { .. } => not_authentic(&file, key),
            Cipher::Locked(_) => FormatError::WrongPassphrase { file },
        })
    }
}

impl<R: Read + Seek> EnvelopeReader<R> {
    /// Moves to the chunk that has this many payload bytes and chunks before it.
    ///
    /// # Errors
    /// [`FormatError::PayloadMismatch`] beyond what the header announces; the source's own.
    pub fn seek(&mut self, payload_before: u64, chunks_before: u64) -> Result<(), FormatError> {
        let (wanted, found) =
            (Amount { bytes: payload_before, chunks: chunks_before }, self.announced());
        if wanted.bytes > found.bytes || wanted.chunks > found.chunks {
            let file = self.file.clone();
            return Err(FormatError::PayloadMismatch { file, expected: wanted, found });
        }
        let offset = self.start + payload_before + TAG_LEN as u64 * chunks_before;
        self.source
            .seek(SeekFrom::Start(offset))
            .map_err(|err| FormatError::io(&self.file, "seek in", err))?;
        self.done = wanted;
        Ok(())
    }
}

impl EnvelopeReader<Stream> {
    /// As [`Stream::hold`].
    pub(crate) fn hold(&mut self, held: Held) {
        self.source.hold(held);
    }
}
