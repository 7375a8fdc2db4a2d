//! Opening an envelope: its header, and the choice of how its payload is read.

use super::fill::{fill, not_authentic};
use super::reader::Check;
use super::seal::{FileKey, OpenFrom, Use, decapsulate};
use super::{
    ChunkKey, EnvelopeReader, FIXED_LEN, HeaderHash, MAGIC, VERSION, header_error, header_tag,
};
use crate::files::container::AskPassphrase;
use crate::files::container::Kind;
use crate::files::container::header::{Cipher, Header, Part};
use crate::files::container::sizes::TAG_LEN;
use crate::files::container::stream::Stream;
use crate::files::error::FormatError;
use crate::files::place::Place;
use crate::ids::codec::SMALL_LIMIT;
use std::cmp::Ordering;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file of which the header is read, and no more. Nothing is proven yet: who has no key can make
/// any header.
pub struct Envelope<R: Read> {
    source: R,
    file: PathBuf,
    header: Header,
    /// Everything before the first chunk.
    preamble: Vec<u8>,
    hash: HeaderHash,
    /// The source is known to be as long as the header says.
    length_proven: bool,
}

/// Opens a file, on the disk or in memory, and compares its length with what its header implies, but
/// for a pipe.
///
/// # Errors
/// [`FormatError`] for a file that is missing, not ours, damaged, too short or too long.
pub fn open_file(place: impl Into<Place>) -> Result<Envelope<Stream>, FormatError> {
    open(&place.into(), Stream::open)
}

/// Opens a large file or a pipe (`-` for standard input) that will be read from front to back.
///
/// # Errors
/// As [`open_file`].
pub fn open_stream(place: impl Into<Place>) -> Result<Envelope<Stream>, FormatError> {
    open(&place.into(), Stream::open_large)
}

fn open(
    place: &Place,
    how: fn(&Place) -> io::Result<Stream>,
) -> Result<Envelope<Stream>, FormatError> {
    let name = place.name();
    let stream = how(place).map_err(|err| FormatError::io(name, "open", err))?;
    let len = stream.len().map_err(|err| FormatError::io(name, "read", err))?;
    Envelope::read(stream, name)?.of_length(len)
}

impl Envelope<Stream> {
    /// Whether it is a regular file on the disk, whose bytes can be overwritten where they are.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.length_proven && !self.source.is_memory()
    }
}

impl<R: Read> Envelope<R> {
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
    pub fn read(mut source: R, name: impl Into<PathBuf>) -> Result<Self, FormatError> {
        let file = name.into();
        let mut bytes = vec![0; FIXED_LEN];
        let n = fill(&mut source, &mut bytes).map_err(|err| FormatError::io(&file, "read", err))?;
        let body_len = fixed_part(&bytes[..n], &file)?;
        bytes.resize(FIXED_LEN + body_len + TAG_LEN, 0);
        let n = fill(&mut source, &mut bytes[FIXED_LEN..])
            .map_err(|err| FormatError::io(&file, "read", err))?;
        if FIXED_LEN + n < bytes.len() {
            let (expected, found) = (bytes.len() as u64, (FIXED_LEN + n) as u64);
            return Err(FormatError::Truncated { file, expected, found });
        }
        let covered = &bytes[..bytes.len() - TAG_LEN];
        let hash = super::header_hash(covered);
        if !bytes.ends_with(&header_tag(&hash)) {
            return Err(FormatError::HeaderDamaged { file });
        }
        let header =
            Header::from_bytes(&covered[FIXED_LEN..]).map_err(|err| header_error(err, &file))?;
        Ok(Envelope { source, file, header, preamble: bytes, hash, length_proven: false })
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

    /// Whether the source is a file, on the disk or in memory, that can be read again from its start.
    pub fn is_regular_file(&self) -> bool {
        self.length_proven
    }

    /// The length of the whole file, by its header.
    pub fn file_len(&self) -> u64 {
        self.header.file_len(self.preamble.len() as u64)
    }

    /// Reads a file that is in clear.
    ///
    /// # Errors
    /// [`FormatError::InvalidField`] for one that is not.
    pub fn in_clear(self) -> Result<EnvelopeReader<R>, FormatError> {
        match self.header.cipher {
            Cipher::None => {
                let check = Check::Tags(header_tag(&self.hash));
                Ok(self.reader(check))
            }
            _ => Err(self.protected_otherwise("none")),
        }
    }

    /// Compares the header's keys with those that a sealed file shall be read with. It proves
    /// nothing: [`Envelope::unseal`] does.
    ///
    /// # Errors
    /// [`FormatError::WrongRecipient`], [`FormatError::WrongSender`].
    pub fn check_keys(&self, keys: OpenFrom<'_>) -> Result<(), FormatError> {
        let expected = keys.recipient.public().fingerprint();
        if self.header.recipient != Some(expected) {
            let found = self.header.recipient.map_or("none".into(), |key| key.short());
            let (file, expected) = (self.file.clone(), expected.short());
            return Err(FormatError::WrongRecipient { file, expected, found });
        }
        let expected = keys.sender.fingerprint();
        if self.header.sender != expected {
            let (file, role) = (self.file.clone(), keys.role);
            let (expected, found) = (expected.short(), self.header.sender.short());
            return Err(FormatError::WrongSender { file, role, expected, found });
        }
        Ok(())
    }

    /// Reads a file that is sealed from `keys.sender` to `keys.recipient`.
    ///
    /// Security: a chunk that the reader hands out was sealed by who has one of the two secret keys,
    /// under this very header, as this chunk. Cost: two X25519 products.
    ///
    /// # Errors
    /// As [`Envelope::check_keys`]; [`FormatError::InvalidField`] for a file that is not sealed;
    /// [`FormatError::NotAuthentic`]. Most forgeries are only found at the first chunk.
    pub fn unseal(self, keys: OpenFrom<'_>) -> Result<EnvelopeReader<R>, FormatError> {
        let Cipher::Sealed { encapsulated } = self.header.cipher else {
            return Err(self.protected_otherwise("sealed"));
        };
        self.check_keys(keys)?;
        let covered = &self.preamble[..self.preamble.len() - TAG_LEN];
        match decapsulate(Use::File, keys, &encapsulated, covered) {
            Ok(key) => Ok(self.reader_with(key)),
            Err(_) => Err(not_authentic(&self.file, ChunkKey::ONLY)),
        }
    }

    /// Reads a secret key's file, asking for its passphrase if it is locked with one.
    ///
    /// # Errors
    /// What `ask` says; [`FormatError::InvalidField`] for a sealed file. A wrong passphrase is found
    /// at the first chunk.
    pub(in crate::files) fn unlock(
        self,
        ask: &AskPassphrase<'_>,
    ) -> Result<EnvelopeReader<R>, FormatError> {
        let Cipher::Locked(stretching) = self.header.cipher else { return self.in_clear() };
        let passphrase = ask(&self.file)?;
        match stretching.key(&passphrase) {
            Some(key) => Ok(self.reader_with(FileKey::new(key))),
            None => Err(FormatError::WrongPassphrase { file: self.file }),
        }
    }

    fn reader_with(self, key: FileKey) -> EnvelopeReader<R> {
        let check = Check::Sealed(key.opener(self.hash, self.header.chunks));
        self.reader(check)
    }

    fn reader(self, check: Check) -> EnvelopeReader<R> {
        let start = self.preamble.len() as u64;
        EnvelopeReader::new(self.source, self.file, self.header, start, self.length_proven, check)
    }

    fn protected_otherwise(&self, expected: &'static str) -> FormatError {
        let value = self.header.cipher.to_string();
        FormatError::InvalidField { file: self.file.clone(), field: "cipher", value, expected }
    }

    fn wrong_kind(&self, expected: Kind) -> FormatError {
        let found = self.header.body.kind();
        FormatError::WrongKind { file: self.file.clone(), expected, found }
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
