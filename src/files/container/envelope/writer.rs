//! Writing an envelope.

use super::seal::{self, FileKey, SealTo, Sealer};
use super::{
    ChunkKey, FIXED_LEN, HeaderHash, MAGIC, Tag, VERSION, chunk_tag, header_error, header_hash,
    header_tag,
};
use crate::files::container::header::{Body, Cipher, Header};
use crate::files::container::sizes::TAG_LEN;
use crate::files::container::{Passphrase, Stretching};
use crate::files::error::{Amount, FormatError};
use crate::ids::Fingerprint;
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// What a file will hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The sum of the chunks' lengths, without tags.
    pub payload_len: u64,
    /// How many chunks there will be.
    pub chunks: u64,
    /// What the file is.
    pub body: Body,
}

/// Writes one file: header first, then chunks in order.
pub struct EnvelopeWriter<W: Write> {
    out: W,
    protection: Protection,
    announced: Amount,
    written: Amount,
}

/// What happens to a chunk.
enum Protection {
    /// It gets a tag without a key, made with the header's.
    Tags(Tag),
    /// It is sealed.
    Seal(Sealer),
}

impl<W: Write> EnvelopeWriter<W> {
    /// Writes the header of a file that anybody may read.
    ///
    /// # Errors
    /// [`FormatError::InvalidField`] for a header that no reader would take, also for a kind that
    /// must be sealed; the writer's own.
    pub fn in_clear(out: W, sender: Fingerprint, content: Content) -> Result<Self, FormatError> {
        let (header, _) = content.header(sender, None, Cipher::None, |_| Ok(()))?;
        let protection = Protection::Tags(header_tag(&header.hash));
        Self::start(out, header, protection)
    }

    /// Writes the header of a file sealed with a key of its own, which is drawn here and which only
    /// the two parties can know.
    ///
    /// # Errors
    /// As [`EnvelopeWriter::in_clear`]; [`FormatError::Random`]; [`FormatError::UnusableKey`].
    pub fn sealed(out: W, keys: SealTo<'_>, content: Content) -> Result<Self, FormatError> {
        Self::sealed_with(out, keys, content, seal::draw()?)
    }

    /// As [`EnvelopeWriter::sealed`], with randomness that must never serve twice.
    pub(super) fn sealed_with(
        out: W,
        keys: SealTo<'_>,
        content: Content,
        randomness: Zeroizing<[u8; seal::RANDOMNESS_LEN]>,
    ) -> Result<Self, FormatError> {
        let (sender, recipient) =
            (keys.sender.public().fingerprint(), keys.recipient.fingerprint());
        // Only a public key that is no point of the right order can fail.
        let unusable = |_| FormatError::UnusableKey { key: recipient.short() };
        let (encapsulated, agreed) =
            seal::encapsulate(seal::Use::File, keys, randomness).map_err(unusable)?;
        let cipher = Cipher::Sealed { encapsulated };
        let (header, key) = content.header(sender, Some(recipient), cipher, |covered| {
            agreed.bind(covered).map_err(unusable)
        })?;
        let sealer = key.sealer(header.hash, header.announced.chunks);
        Self::start(out, header, Protection::Seal(sealer))
    }

    /// Writes the header of a secret key's file, locked with a passphrase.
    ///
    /// # Errors
    /// As [`EnvelopeWriter::in_clear`]; [`FormatError::Random`].
    pub(in crate::files) fn locked(
        out: W,
        owner: Fingerprint,
        passphrase: &Passphrase,
        content: Content,
    ) -> Result<Self, FormatError> {
        Self::locked_with(out, owner, passphrase, content, Stretching::fresh()?)
    }

    /// As [`EnvelopeWriter::locked`], with a salt that must never serve twice.
    pub(super) fn locked_with(
        out: W,
        owner: Fingerprint,
        passphrase: &Passphrase,
        content: Content,
        stretching: Stretching,
    ) -> Result<Self, FormatError> {
        let cipher = Cipher::Locked(stretching);
        let (header, key) = content.header(owner, None, cipher, |_| {
            let unusable = || FormatError::UnusableKey { key: owner.short() };
            Ok(FileKey::new(stretching.key(passphrase).ok_or_else(unusable)?))
        })?;
        let sealer = key.sealer(header.hash, header.announced.chunks);
        Self::start(out, header, Protection::Seal(sealer))
    }

    fn start(mut out: W, header: Preamble, protection: Protection) -> Result<Self, FormatError> {
        out.write_all(&header.bytes).map_err(FormatError::from_writer)?;
        let (announced, written) = (header.announced, Amount { bytes: 0, chunks: 0 });
        Ok(EnvelopeWriter { out, protection, announced, written })
    }

    /// Writes the next chunk. In a sealed file it is sealed in place: `bytes` is what was written
    /// afterwards.
    ///
    /// # Errors
    /// [`FormatError::PayloadMismatch`] beyond what the header announced; the writer's own.
    pub fn chunk(&mut self, key: ChunkKey, bytes: &mut [u8]) -> Result<(), FormatError> {
        let written = Amount {
            bytes: self.written.bytes.saturating_add(bytes.len() as u64),
            chunks: self.written.chunks + 1,
        };
        if written.bytes > self.announced.bytes || written.chunks > self.announced.chunks {
            return Err(self.mismatch(written));
        }
        let tag = match &mut self.protection {
            Protection::Tags(header) => Some(chunk_tag(header, key, bytes)),
            Protection::Seal(sealer) => sealer.seal(key, bytes),
        };
        let tag = tag.ok_or_else(|| self.mismatch(written))?;
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

/// The bytes before the first chunk, and what follows from them.
struct Preamble {
    bytes: Vec<u8>,
    hash: HeaderHash,
    announced: Amount,
}

impl Content {
    /// Makes the header, and what `bind` makes of every byte of it before its tag.
    fn header<T>(
        self,
        sender: Fingerprint,
        recipient: Option<Fingerprint>,
        cipher: Cipher,
        bind: impl FnOnce(&[u8]) -> Result<T, FormatError>,
    ) -> Result<(Preamble, T), FormatError> {
        let Content { payload_len, chunks, body } = self;
        let announced = Amount { bytes: payload_len, chunks };
        let header = Header { sender, recipient, cipher, payload_len, chunks, body };
        let body = header.to_bytes().map_err(|err| header_error(err, Path::new("-")))?;
        let mut bytes = Vec::with_capacity(FIXED_LEN + body.len() + TAG_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&body);
        let bound = bind(&bytes)?;
        let hash = header_hash(&bytes);
        bytes.extend_from_slice(&header_tag(&hash));
        Ok((Preamble { bytes, hash, announced }, bound))
    }
}
