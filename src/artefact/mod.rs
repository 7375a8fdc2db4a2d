//! What the payload of each kind of file means: ring elements, seeds and descriptions, written by
//! their maker and read by a server or the receiver.
//!
//! Bulk elements are little-endian, in chunks of at most `CHUNK_ELEMENTS`; where S1's half is
//! random it is a seed of 32 bytes. Shares and material are sealed from their maker to their reader;
//! the public description and the opened weights are in clear.
//!
//! May use: files and everything below them.
//!
//! Security: a share or a set of material is for one reader; what is read was authenticated chunk by chunk.
//!
//! Stability: none but of the names that [`crate::api`] has.

mod error;
mod image_pair;
mod image_share;
mod made;
mod mask;
mod model_share;
mod note;
mod opened;
mod prefetch;
mod prepared;
mod result_share;
mod slot_regions;
mod triples;

pub use error::{ArtefactError, PairError};
pub(crate) use image_pair::{ImagePair, open_image_pair};
pub use image_share::ImageShareFile;
pub(crate) use image_share::{ImageParts, SharedImage, write_image_shares};
pub(crate) use made::{MadeJob, MadeName, MadeWriter};
pub use mask::{DrawnMask, KeptMask, MaskStore};
pub(crate) use mask::{HintsWriter, KeptHints};
pub use model_share::{ModelShareFile, PublicFacts, PublicModelFile};
pub(crate) use model_share::{UnparsedModelFile, write_model};
pub(crate) use note::{Channel, SharedScan, Tile, Turned};
pub use note::{Note, NoteError, is_base_name};
pub(crate) use opened::OpenedWeightsFile;
pub use prepared::PreparedFile;
pub(crate) use result_share::decoding;
pub(crate) use result_share::{Reconstruction, read_result_note, reconstruct, write_result};
pub use slot_regions::SlotRegions;
pub(crate) use triples::{Commission, Customer, TripleJob};
pub use triples::{TripleFile, Unguarded};

use crate::crypto::alarm::AlarmHalf;
use crate::crypto::prg::Seed;
use crate::files::FormatError;
use crate::files::container::envelope::{
    ChunkKey, Content, EnvelopeReader, EnvelopeWriter, SealTo,
};
use crate::files::container::header::{Body, Levels, PoissonNoise};
use crate::files::keys::{PublicKey, SecretKey};
use crate::ids::Fingerprint;
use crate::ids::Party;
use crate::image::Poisson;
use crate::model::{LevelMap, Normalisation};
use crate::numbers::ring;
use crate::numbers::ring::{Ring, RingBits};
use std::io::{Read, Seek, Write};
use zeroize::Zeroizing;

/// Elements in a chunk of bulk data.
const CHUNK_ELEMENTS: usize = 1 << 18;
/// The op number under which seeds are kept, which no network reaches.
const SEED_OP: u32 = u32::MAX;
/// The op number under which the half of a range alarm is kept.
const ALARM_OP: u32 = u32::MAX - 2;
/// The op number under which a note is kept.
const NOTE_OP: u32 = u32::MAX - 1;

/// Who makes a set of share files, and who may read them.
#[derive(Debug)]
pub(crate) struct Parties {
    /// The maker's key.
    pub sender: SecretKey,
    /// The keys of server 0 and server 1.
    pub servers: [PublicKey; 2],
}

impl Parties {
    /// From the maker to a server.
    fn to(&self, party: Party) -> SealTo<'_> {
        SealTo { sender: &self.sender, recipient: &self.servers[party.index()] }
    }

    /// The names of the servers' keys.
    pub(crate) fn fingerprints(&self) -> [Fingerprint; 2] {
        self.servers.each_ref().map(PublicKey::fingerprint)
    }
}

/// Bytes and chunks of a payload.
#[derive(Clone, Copy, Default)]
struct PayloadSize {
    bytes: u64,
    chunks: u64,
}

impl PayloadSize {
    fn elements<R: Ring>(count: usize) -> Self {
        PayloadSize {
            bytes: (count * R::BYTES) as u64,
            chunks: count.div_ceil(CHUNK_ELEMENTS) as u64,
        }
    }

    fn seeds(count: usize) -> Self {
        PayloadSize { bytes: (count * Seed::LEN) as u64, chunks: 1 }
    }

    /// A sealed note, or none.
    fn note(bytes: usize) -> Self {
        PayloadSize { bytes: bytes as u64, chunks: u64::from(bytes > 0) }
    }

    /// The half of a range alarm, if there is one.
    fn alarm(is_there: bool) -> Self {
        PayloadSize { bytes: 8 * u64::from(is_there), chunks: u64::from(is_there) }
    }

    fn of(self, body: impl Into<Body>) -> Content {
        Content { payload_len: self.bytes, chunks: self.chunks, body: body.into() }
    }

    fn and(self, other: PayloadSize) -> Self {
        PayloadSize { bytes: self.bytes + other.bytes, chunks: self.chunks + other.chunks }
    }
}

/// What a header tells of a map of grey levels.
fn levels_of(map: &LevelMap) -> Levels {
    let poisson = map.poisson.map(|p| PoissonNoise { gain: p.gain(), read_noise: p.read_noise() });
    Levels { sigma_ratio: map.sigma_ratio, scale_about: map.scale_about, poisson }
}

/// The map of grey levels that a header tells, for a model of these units; for results, which no noise level
/// is told of.
pub(crate) fn level_map(levels: &Levels, units: Normalisation) -> LevelMap {
    let Levels { sigma_ratio, scale_about, poisson } = *levels;
    let poisson = poisson.and_then(|p| Poisson::new(p.gain, p.read_noise));
    LevelMap { units, sigma_ratio, scale_about, poisson, noise: 0.0 }
}

fn start_sealed<W: Write>(
    out: W,
    keys: SealTo<'_>,
    size: PayloadSize,
    body: impl Into<Body>,
) -> Result<EnvelopeWriter<W>, FormatError> {
    EnvelopeWriter::sealed(out, keys, size.of(body))
}

fn start_in_clear<W: Write>(
    out: W,
    sender: Fingerprint,
    size: PayloadSize,
    body: impl Into<Body>,
) -> Result<EnvelopeWriter<W>, FormatError> {
    EnvelopeWriter::in_clear(out, sender, size.of(body))
}

fn write_elements<R: Ring, W: Write>(
    out: &mut EnvelopeWriter<W>,
    op: usize,
    elements: &[R],
) -> Result<(), FormatError> {
    for (number, piece) in elements.chunks(CHUNK_ELEMENTS).enumerate() {
        let key = ChunkKey { slot: 0, op: op as u32, piece: number as u32 };
        out.chunk(key, &mut Zeroizing::new(ring::to_le_bytes(piece)))?;
    }
    Ok(())
}

/// Checks every byte of a regular file and returns to its first chunk; what flows through a pipe is
/// checked when it is used. `ops` are the op numbers and how many elements each has; `note` is the
/// length of the note behind them, 0 for none.
fn verify_elements<F: Read + Seek>(
    file: &mut EnvelopeReader<F>,
    ring: RingBits,
    ops: impl IntoIterator<Item = (usize, usize)>,
    note: u32,
) -> Result<(), FormatError> {
    if !file.is_regular_file() {
        return Ok(());
    }
    for (op, count) in ops {
        for (key, length) in chunks_of(op, count, ring) {
            drop(Zeroizing::new(file.chunk(key, length)?));
        }
    }
    read_note(file, note)?;
    file.seek(0, 0)
}

/// Reads the first chunk of an op of a regular file, and goes back.
fn authenticate_elements<F: Read + Seek>(
    file: &mut EnvelopeReader<F>,
    ring: RingBits,
    op: usize,
    count: usize,
) -> Result<(), FormatError> {
    if !file.is_regular_file() {
        return Ok(());
    }
    if let Some((key, length)) = chunks_of(op, count, ring).next() {
        drop(Zeroizing::new(file.chunk(key, length)?));
    }
    file.seek(0, 0)
}

/// Keys and bytes of the chunks that hold the elements of an op.
fn chunks_of(op: usize, count: usize, ring: RingBits) -> impl Iterator<Item = (ChunkKey, usize)> {
    (0..count).step_by(CHUNK_ELEMENTS).enumerate().map(move |(number, first)| {
        let key = ChunkKey { slot: 0, op: op as u32, piece: number as u32 };
        (key, CHUNK_ELEMENTS.min(count - first) * (ring.bits() / 8) as usize)
    })
}

fn read_elements<R: Ring, F: Read>(
    file: &mut EnvelopeReader<F>,
    op: usize,
    count: usize,
) -> Result<Vec<R>, FormatError> {
    // Not grown: growing would leave copies of shares behind.
    let mut elements = Vec::with_capacity(count);
    for (key, length) in chunks_of(op, count, R::RING) {
        let bytes = Zeroizing::new(file.chunk(key, length)?);
        // The length is a multiple of the element's.
        elements.extend(ring::from_le_bytes::<R>(&bytes).unwrap_or_default());
    }
    Ok(elements)
}

fn write_seeds<W: Write, const N: usize>(
    out: &mut EnvelopeWriter<W>,
    seeds: [&Seed; N],
) -> Result<(), FormatError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(N * Seed::LEN));
    seeds.iter().for_each(|seed| bytes.extend_from_slice(seed.expose()));
    out.chunk(ChunkKey::op(SEED_OP), &mut bytes)
}

fn read_seeds<F: Read, const N: usize>(
    file: &mut EnvelopeReader<F>,
) -> Result<[Seed; N], FormatError> {
    let bytes = Zeroizing::new(file.chunk(ChunkKey::op(SEED_OP), N * Seed::LEN)?);
    Ok(std::array::from_fn(|i| {
        let mut seed = Zeroizing::new([0; Seed::LEN]);
        seed.copy_from_slice(&bytes[i * Seed::LEN..][..Seed::LEN]);
        Seed::from_bytes(*seed)
    }))
}

/// Writes the half of a range alarm, if there is one.
fn write_alarm<W: Write>(
    out: &mut EnvelopeWriter<W>,
    half: Option<AlarmHalf>,
) -> Result<(), FormatError> {
    match half {
        None => Ok(()),
        Some(AlarmHalf(half)) => out.chunk(ChunkKey::op(ALARM_OP), &mut half.to_le_bytes()),
    }
}

/// The half of a range alarm, if it is there.
fn read_alarm<F: Read>(
    file: &mut EnvelopeReader<F>,
    is_there: bool,
) -> Result<Option<AlarmHalf>, FormatError> {
    if !is_there {
        return Ok(None);
    }
    let mut half = [0; 8];
    half.copy_from_slice(&file.chunk(ChunkKey::op(ALARM_OP), 8)?);
    Ok(Some(AlarmHalf(u64::from_le_bytes(half))))
}

/// Writes a sealed note, if there is one.
fn write_note<W: Write>(out: &mut EnvelopeWriter<W>, note: &[u8]) -> Result<(), FormatError> {
    match note {
        [] => Ok(()),
        note => out.chunk(ChunkKey::op(NOTE_OP), &mut note.to_vec()),
    }
}

/// The sealed note of `length` bytes, none if that is 0.
fn read_note<F: Read>(file: &mut EnvelopeReader<F>, length: u32) -> Result<Vec<u8>, FormatError> {
    match length {
        0 => Ok(Vec::new()),
        length => file.chunk(ChunkKey::op(NOTE_OP), length as usize),
    }
}

/// A fresh seed from the operating system.
pub(crate) fn random_seed() -> Result<Seed, FormatError> {
    let mut bytes = Zeroizing::new([0; Seed::LEN]);
    getrandom::fill(bytes.as_mut_slice()).map_err(crate::ids::RandomError::from)?;
    Ok(Seed::from_bytes(*bytes))
}
