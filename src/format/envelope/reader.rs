//! Reading an envelope.

use super::{ChunkKey, FIXED_LEN, MAGIC, TAG_LEN, Tag, VERSION, chunk_tag, header_error, last_tag};
use crate::format::codec::SMALL_LIMIT;
use crate::format::error::{Amount, FormatError};
use crate::format::header::{Cipher, Header, Kind, Part};
use crate::format::stream::Stream;
use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What a reader allocates at once for a pipe, whose header alone says how long it is.
const UNPROVEN_LEN: usize = 1 << 20;

/// Reads one file from its first byte, in order; chunks can be skipped with [`EnvelopeReader::seek`] where the source
/// is seekable.
pub struct EnvelopeReader<R: Read> {
    source: R,
    file: PathBuf,
    header: Header,
    header_tag: Tag,
    /// The offset of the first chunk.
    start: u64,
    /// Payload behind the reader.
    done: Amount,
    /// The source is known to be as long as the header says.
    length_proven: bool,
}

/// Opens a file and, if it is a regular one, compares its length with what its header implies.
///
/// # Errors
/// [`FormatError`] for a file that is missing, not ours, damaged, too short or too long.
pub fn open_file(path: &Path) -> Result<EnvelopeReader<BufReader<File>>, FormatError> {
    let file = File::open(path).map_err(|err| FormatError::io(path, "open", err))?;
    let meta = file.metadata().map_err(|err| FormatError::io(path, "read", err))?;
    let len = meta.is_file().then_some(meta.len());
    EnvelopeReader::open(BufReader::with_capacity(1 << 16, file), path)?.of_length(len)
}

/// Opens a large file or a pipe (`-` for standard input) that will be read from front to back.
///
/// # Errors
/// As [`open_file`].
pub fn open_stream(path: &Path) -> Result<EnvelopeReader<Stream>, FormatError> {
    let stream = Stream::open(path).map_err(|err| FormatError::io(path, "open", err))?;
    let len = stream.len().map_err(|err| FormatError::io(path, "read", err))?;
    EnvelopeReader::open(stream, path)?.of_length(len)
}

impl<R: Read> EnvelopeReader<R> {
    /// Compares with the length the source is known to have.
    fn of_length(mut self, found: Option<u64>) -> Result<Self, FormatError> {
        let Some(found) = found else { return Ok(self) };
        let (expected, file) = (self.file_len(), self.file.clone());
        match found.cmp(&expected) {
            Ordering::Less => Err(FormatError::Truncated { file, expected, found }),
            Ordering::Greater => Err(FormatError::TrailingBytes { file, expected, found }),
            Ordering::Equal => {
                self.length_proven = true;
                Ok(self)
            }
        }
    }

    /// Reads and checks the header; `name` stands for the source in errors.
    ///
    /// # Errors
    /// [`FormatError`] for a source that is not ours, of another version, damaged or cut off.
    pub fn open(mut source: R, name: impl Into<PathBuf>) -> Result<Self, FormatError> {
        let file = name.into();
        let mut bytes = vec![0; FIXED_LEN];
        let n = fill(&mut source, &mut bytes).map_err(|err| FormatError::io(&file, "read", err))?;
        let body_len = fixed_part(&bytes[..n], &file)?;
        bytes.resize(FIXED_LEN + body_len + TAG_LEN, 0);
        let n = fill(&mut source, &mut bytes[FIXED_LEN..])
            .map_err(|err| FormatError::io(&file, "read", err))?;
        let start = bytes.len() as u64;
        if FIXED_LEN + n < bytes.len() {
            let found = (FIXED_LEN + n) as u64;
            return Err(FormatError::Truncated { file, expected: start, found });
        }
        let covered = &bytes[..bytes.len() - TAG_LEN];
        let header_tag = last_tag(&bytes);
        if header_tag != super::header_tag(covered) {
            return Err(FormatError::HeaderDamaged { file });
        }
        let header =
            Header::from_bytes(&covered[FIXED_LEN..]).map_err(|err| header_error(err, &file))?;
        let done = Amount { bytes: 0, chunks: 0 };
        Ok(EnvelopeReader { source, file, header, header_tag, start, done, length_proven: false })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the source is called in errors.
    pub fn name(&self) -> &Path {
        &self.file
    }

    /// The fields of the kind `T`, which the file must be of.
    ///
    /// # Errors
    /// [`FormatError::WrongKind`] if it is of another.
    pub fn expect<T: Part>(&self) -> Result<&T, FormatError> {
        T::of(&self.header.body).ok_or_else(|| self.wrong_kind(T::KIND))
    }

    /// Nothing, if the file is of this kind.
    ///
    /// # Errors
    /// [`FormatError::WrongKind`] if it is of another.
    pub fn expect_kind(&self, kind: Kind) -> Result<(), FormatError> {
        if self.header.body.kind() == kind { Ok(()) } else { Err(self.wrong_kind(kind)) }
    }

    /// Whether the source is a file that can be read again from its start.
    pub fn is_regular_file(&self) -> bool {
        self.length_proven
    }

    /// The length of the whole file, by its header.
    pub fn file_len(&self) -> u64 {
        // Cannot overflow: the validator bounds both.
        self.start + self.header.payload_len + TAG_LEN as u64 * self.header.chunks
    }

    /// The next chunk, which must be `key` and `len` bytes long.
    ///
    /// # Errors
    /// [`FormatError::PayloadMismatch`] if the header announces less, [`FormatError::ChunkDamaged`]
    /// if the bytes are not those that were written under this key, [`FormatError::Truncated`].
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
        self.check_tag(key, &bytes, after)?;
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

    fn wrong_kind(&self, expected: Kind) -> FormatError {
        let found = self.header.body.kind();
        FormatError::WrongKind { file: self.file.clone(), expected, found }
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

    /// Reads a chunk's tag and compares; only then is the chunk behind the reader.
    fn check_tag(&mut self, key: ChunkKey, bytes: &[u8], after: Amount) -> Result<(), FormatError> {
        let mut stored = [0; TAG_LEN];
        self.read_exactly(&mut stored, bytes.len())?;
        match self.header.cipher {
            Cipher::None if stored == chunk_tag(&self.header_tag, key, bytes) => {
                self.done = after;
                Ok(())
            }
            Cipher::None => {
                let ChunkKey { slot, op, tile } = key;
                Err(FormatError::ChunkDamaged { file: self.file.clone(), slot, op, tile })
            }
        }
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

/// Checks magic, version and header length, from as many of the first bytes as there are.
fn fixed_part(bytes: &[u8], file: &Path) -> Result<usize, FormatError> {
    let file = || file.to_owned();
    let magic = bytes.len().min(MAGIC.len());
    if bytes[..magic] != MAGIC[..magic] {
        return Err(FormatError::NotOurs { file: file() });
    }
    let Ok(fixed) = <[u8; FIXED_LEN]>::try_from(bytes) else {
        let (expected, found) = (FIXED_LEN as u64, bytes.len() as u64);
        return Err(FormatError::Truncated { file: file(), expected, found });
    };
    let found = u16::from_le_bytes([fixed[8], fixed[9]]);
    if found != VERSION {
        return Err(FormatError::Version { file: file(), expected: VERSION, found });
    }
    let len = u32::from_le_bytes([fixed[10], fixed[11], fixed[12], fixed[13]]) as usize;
    if len > SMALL_LIMIT {
        return Err(FormatError::HeaderDamaged { file: file() });
    }
    Ok(len)
}

/// Reads until `out` is full or the source ends; returns how much was read.
fn fill(source: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < out.len() {
        match source.read(&mut out[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(n)
}
