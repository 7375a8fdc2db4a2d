//! Files: ids, headers, the envelope around every payload, key folders, outputs and the ledger.
//!
//! Paths are known here and in the layers above: `artefact`, `service` and `cli`. A file is an [`envelope`]: a public
//! [`header::Header`] and chunks of payload, each with a tag of its own. What a payload means is the
//! business of the layer that writes it; its bytes are raw little-endian.

pub mod codec;
pub mod envelope;
pub mod erase;
pub mod error;
pub mod half_done;
pub mod header;
pub mod ids;
pub mod keys;
pub mod ledger;
pub mod output;
pub mod private;
pub mod role;
pub mod stream;
mod unfinished;
mod validate;

pub use codec::{SmallError, decode_small, encode_small};
pub use envelope::{
    ChunkKey, Content, Envelope, EnvelopeReader, EnvelopeWriter, OpenFrom, SealTo, open_file,
};
pub use error::FormatError;
pub use header::{Body, Cipher, Header, Kind};
pub use ids::{
    Digest, Fingerprint, ImageId, ModelId, RandomError, SessionId, TripleSetId, WeightMaskId,
};
pub use keys::{KeyFolder, Passphrase, PublicKey, SecretKey};
pub use ledger::{Ledger, LedgerError, Mark, state_dir_default};
pub use output::{Access, OutputFile, Overwrite};
pub use role::Role;
