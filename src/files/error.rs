//! What can be wrong with a file, and what to do about it.

use crate::files::container::Kind;
use crate::ids::Role;
use crate::ids::{Bytes, RandomError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A file that cannot be used or written. Every variant names the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file does not begin with the magic bytes.
    #[error("'{file}' is no ppdenoise file")]
    NotOurs {
        /// The file.
        file: PathBuf,
    },
    /// The file has another format version.
    #[error("'{file}' has format version {found}, this program reads version {expected}")]
    Version {
        /// The file.
        file: PathBuf,
        /// The version of this program.
        expected: u16,
        /// The version of the file.
        found: u16,
    },
    /// The header does not match its tag, or is no header.
    #[error("the header of '{file}' is damaged")]
    HeaderDamaged {
        /// The file.
        file: PathBuf,
    },
    /// A chunk does not match its tag.
    #[error("'{file}' is damaged at slot {slot}, op {op}, piece {piece}")]
    ChunkDamaged {
        /// The file.
        file: PathBuf,
        /// The slot of the chunk.
        slot: u64,
        /// The op of the chunk.
        op: u32,
        /// The piece of the chunk.
        piece: u32,
    },
    /// A chunk of a sealed file was not sealed, as it is, by one of the two keys of its header.
    #[error("'{file}' is damaged or forged at slot {slot}, op {op}, piece {piece}")]
    NotAuthentic {
        /// The file.
        file: PathBuf,
        /// The slot of the chunk.
        slot: u64,
        /// The op of the chunk.
        op: u32,
        /// The piece of the chunk.
        piece: u32,
    },
    /// The file is sealed to somebody else.
    #[error("'{file}' is sealed to the key {found}, the key here is {expected}")]
    WrongRecipient {
        /// The file.
        file: PathBuf,
        /// The reader's key.
        expected: String,
        /// The key in the header.
        found: String,
    },
    /// The file was made by somebody else.
    #[error("'{file}' was made with the key {found}, the key of {role} here is {expected}")]
    WrongSender {
        /// The file.
        file: PathBuf,
        /// Who should have made it.
        role: Role,
        /// Their key.
        expected: String,
        /// The key in the header.
        found: String,
    },
    /// A model was shared for other servers than those whose keys are here.
    #[error(
        "'{file}' was shared for a {role} with the key {found}, the key of {role} here is {expected}"
    )]
    SharedForOthers {
        /// The model's public description.
        file: PathBuf,
        /// Which server.
        role: Role,
        /// Its key.
        expected: String,
        /// The key in the header.
        found: String,
    },
    /// A note to the receiver beyond its limits.
    #[error("the image's name or its file's headers are longer than a note holds ({limit} bytes)")]
    NoteTooLong {
        /// The most bytes of headers.
        limit: usize,
    },
    /// A public key with which no secret can be agreed on.
    #[error("nothing can be sealed with the key {key}")]
    UnusableKey {
        /// Its fingerprint.
        key: String,
    },
    /// The secret key is protected, and no passphrase was given.
    #[error("the secret key '{file}' is protected by a passphrase")]
    PassphraseNeeded {
        /// The key file.
        file: PathBuf,
    },
    /// The passphrase does not open the key file.
    #[error("the passphrase does not open '{file}', or the file is damaged")]
    WrongPassphrase {
        /// The key file.
        file: PathBuf,
    },
    /// A passphrase of no or of too many bytes.
    #[error("the passphrase in '{file}' is empty or longer than {limit} bytes")]
    PassphraseUnusable {
        /// Where it came from.
        file: PathBuf,
        /// [`crate::files::container::Passphrase::MAX_LEN`].
        limit: usize,
    },
    /// Others than its owner may read or write a secret, or write to a folder of them.
    #[error(
        "'{file}' is for its owner alone, and others have access to it: its mode is {mode:03o}"
    )]
    Exposed {
        /// The file or folder.
        file: PathBuf,
        /// Whether it is a folder.
        folder: bool,
        /// Its permission bits.
        mode: u32,
    },
    /// Others than its owner may change what decides what is done.
    #[error(
        "'{file}' is for its owner alone to change, and others may write to it: its mode is {mode:03o}"
    )]
    Changeable {
        /// The file or folder.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// What only this user is to change belongs to another one.
    #[error("'{file}' belongs to another user, number {owner}, who may change it")]
    OfAnother {
        /// The file or folder.
        file: PathBuf,
        /// The number of the user.
        owner: u32,
    },
    /// The file ends too early.
    #[error("'{file}' is cut off: expected at least {expected} bytes, found {found}")]
    Truncated {
        /// The file.
        file: PathBuf,
        /// The bytes there should be (at least, where the file is a pipe).
        expected: u64,
        /// The bytes there are.
        found: u64,
    },
    /// The file goes on after its end.
    #[error("'{file}' has bytes after its end: expected {expected} bytes, found {found} or more")]
    TrailingBytes {
        /// The file.
        file: PathBuf,
        /// The bytes there should be.
        expected: u64,
        /// The bytes there are, at least.
        found: u64,
    },
    /// The file is of another kind.
    #[error("'{file}' is {} {found}, expected {} {expected}", .found.article(), .expected.article())]
    WrongKind {
        /// The file.
        file: PathBuf,
        /// The kind that is needed.
        expected: Kind,
        /// The kind of the file.
        found: Kind,
    },
    /// A header field has a value that cannot be.
    #[error("the header of '{file}' says {field} = {value}, expected {expected}")]
    InvalidField {
        /// The file.
        file: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The payload holds fewer or more bytes than its kind needs.
    #[error("the payload of '{file}' does not fit its header: expected {expected}, found {found}")]
    PayloadMismatch {
        /// The file.
        file: PathBuf,
        /// The bytes and chunks that were announced or needed.
        expected: Amount,
        /// The bytes and chunks there are.
        found: Amount,
    },
    /// The payload is sealed in a way this program does not know.
    #[error("'{file}' is sealed with cipher number {found}, which this program does not know")]
    UnknownCipher {
        /// The file.
        file: PathBuf,
        /// The cipher number.
        found: u32,
    },
    /// The output is there already.
    #[error("'{file}' exists already")]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// The output is also an input.
    #[error("'{file}' is both an input and the output")]
    SameFile {
        /// The output as it was given.
        file: PathBuf,
    },
    /// The disk filled up.
    #[error("the disk is full: '{file}' could not be written")]
    DiskFull {
        /// The file.
        file: PathBuf,
    },
    /// The output would not fit the disk.
    #[error("'{file}' needs {}, its disk has {} left", Bytes(*.needed), Bytes(*.free))]
    NoSpace {
        /// The file.
        file: PathBuf,
        /// The bytes it needs.
        needed: u64,
        /// The bytes there are.
        free: u64,
    },
    /// The input is not there.
    #[error("'{file}' does not exist")]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// The folder of an output is not there.
    #[error("cannot write '{file}': the folder '{folder}' does not exist")]
    FolderMissing {
        /// The file.
        file: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// The key folder is not there.
    #[error("there is no key folder '{folder}'")]
    KeyFolderMissing {
        /// The key folder.
        folder: PathBuf,
    },
    /// A key is not in the key folder.
    #[error("the key folder '{folder}' has no '{file}'")]
    KeyMissing {
        /// The key file.
        file: PathBuf,
        /// The key folder.
        folder: PathBuf,
    },
    /// A key file holds another key than its name or its other half says.
    #[error("'{file}' holds the wrong key: expected {expected}, found {found}")]
    KeyMismatch {
        /// The key file.
        file: PathBuf,
        /// The role, or the fingerprint of the public key.
        expected: String,
        /// What the file holds.
        found: String,
    },
    /// Another process works with the file.
    #[error("'{file}' is in use by another process")]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Anything else that the operating system refused.
    #[error("cannot {action} '{file}'")]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
}

/// An amount of payload, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Bytes without tags.
    pub bytes: u64,
    pub chunks: u64,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes in {} chunks", self.bytes, self.chunks)
    }
}

impl FormatError {
    /// An error of the operating system on `file`, with the kinds that have their own variant.
    pub fn io(file: &Path, action: &'static str, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => FormatError::Missing { file },
            io::ErrorKind::AlreadyExists => FormatError::Exists { file },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                FormatError::DiskFull { file }
            }
            _ => FormatError::Io { file, action, source },
        }
    }

    /// An error of a writer: the one it carries, if it knows its file, else one without a path.
    pub(crate) fn from_writer(source: io::Error) -> Self {
        match source.downcast::<FormatError>() {
            Ok(carried) => carried,
            Err(source) => FormatError::io(Path::new("-"), "write", source),
        }
    }
}
