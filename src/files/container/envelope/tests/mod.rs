use super::*;
use crate::files::container::Kind;
use crate::files::container::header::{
    Body, Decoding, Fields, Header, Hints, ImageShare, Levels, ModelShare, OpenedWeights,
    PoissonNoise, Prepared, PublicKeyOf, PublicModel, ResultShare, SecretKeyOf, Triples,
    WeightMask,
};
use crate::files::container::stream::Stream;
use crate::files::container::{Passphrase, Stretching};
use crate::files::keys::{PublicKey, SecretKey};
use crate::ids::Party;
use crate::ids::Role;
use crate::ids::*;
use crate::material::Origin;
use crate::numbers::ring::RingBits;
use std::fs;
use std::io::{Cursor, Read};
use tempfile::tempdir;
use zeroize::Zeroizing;

mod arbitrary;
mod damage;
mod golden;
mod reading;
mod sealed;

const MODEL_ID: ModelId = ModelId::from_bytes([0x11; 16]);
const DIGEST: Digest = Digest::from_bytes([0x22; 32]);
const PAYLOAD: [&[u8]; 3] = [b"first chunk", b"", b"the third"];
const KEYS: [ChunkKey; 3] = [
    ChunkKey { slot: 0, op: 1, piece: 0 },
    ChunkKey { slot: 0, op: 1, piece: 1 },
    ChunkKey { slot: 1, op: 0, piece: 0 },
];

const LEVELS: Levels = Levels {
    sigma_ratio: 1.0,
    scale_about: 127.5,
    poisson: Some(PoissonNoise { gain: 4.0, read_noise: 2.0 }),
};

fn body_of(kind: Kind) -> Body {
    let (model_id, public_digest) = (MODEL_ID, DIGEST);
    let (party, ring_bits) = (Party::S1, RingBits::L32);
    let (image_id, height, width) = (ImageId::from_bytes([0x33; 16]), 512, 300);
    let weight_mask_id = WeightMaskId::from_bytes([0x44; 16]);
    match kind {
        PublicModel::KIND => {
            let servers = [3, 4].map(|v| Fingerprint::from_bytes([v; 16]));
            PublicModel { model_id, servers }.into()
        }
        ModelShare::KIND => {
            ModelShare { party, model_id, ring_bits, public_digest, elements: 1000 }.into()
        }
        ImageShare::KIND => {
            let (frac_bits, sigma, means) = (10, 25.0, 0);
            let levels = LEVELS;
            let i = ImageShare {
                party,
                image_id,
                model_id,
                public_digest,
                ring_bits,
                height,
                width,
                frac_bits,
                sigma,
                levels,
                means,
                note: 0,
            };
            i.into()
        }
        Triples::KIND => {
            let (set_id, slots, batch_rows) = (TripleSetId::from_bytes([0x55; 16]), 4, 64);
            let t = Triples {
                party,
                set_id,
                weight_mask_id,
                model_id,
                public_digest,
                ring_bits,
                height,
                width,
                slots,
                batch_rows,
                origin: Origin::Made,
            };
            t.into()
        }
        Prepared::KIND => {
            let (set_id, slot, batch_rows) = (TripleSetId::from_bytes([0x55; 16]), 3, 64);
            let p = Prepared {
                party,
                set_id,
                slot,
                weight_mask_id,
                public_digest,
                ring_bits,
                height,
                width,
                batch_rows,
            };
            p.into()
        }
        ResultShare::KIND => {
            let session_id = SessionId::from_bytes([0x66; 16]);
            let r = ResultShare {
                party,
                image_id,
                model_id,
                session_id,
                ring_bits,
                height,
                width,
                decode: decoding(),
                alarm: true,
                note: 1072,
            };
            r.into()
        }
        OpenedWeights::KIND => {
            let ring_bits = RingBits::L64;
            let w =
                OpenedWeights { weight_mask_id, model_id, public_digest, ring_bits, elements: 7 };
            w.into()
        }
        WeightMask::KIND => {
            let peer = Fingerprint::from_bytes([0x99; 16]);
            WeightMask { party, weight_mask_id, model_id, public_digest, peer }.into()
        }
        Hints::KIND => {
            let packing = Digest::from_bytes([0xaa; 32]);
            Hints { party, weight_mask_id, public_digest, packing, hints: 9 }.into()
        }
        PublicKeyOf::KIND => PublicKeyOf { role: Role::Gateway }.into(),
        SecretKeyOf::KIND => SecretKeyOf { role: Role::Receiver }.into(),
        other => unreachable!("{other} is not among the kinds"),
    }
}

fn decoding() -> Decoding {
    Decoding {
        frac_bits: 20,
        dropped_bits: 12,
        levels: Levels { sigma_ratio: 1.25, ..LEVELS },
        mid_grey: 127.5,
        grey_per_unit: 51.0,
        patch: 3,
        stride: 2,
        padded: false,
        window: vec![1, 2, 1, 2, 300, 2, 1, 2, 1],
        mosaic: false,
    }
}

const KINDS: [Kind; 11] = [
    PublicModel::KIND,
    ModelShare::KIND,
    ImageShare::KIND,
    Triples::KIND,
    ResultShare::KIND,
    OpenedWeights::KIND,
    PublicKeyOf::KIND,
    SecretKeyOf::KIND,
    Prepared::KIND,
    WeightMask::KIND,
    Hints::KIND,
];

/// The pairs of a maker and of a server, and their public halves.
struct Pairs {
    maker: SecretKey,
    server: SecretKey,
    public: [PublicKey; 2],
}

fn pairs() -> Pairs {
    let [maker, server] = [0x77, 0x88].map(|v| SecretKey::from_bytes(&[v; 64]));
    let public = [maker.public(), server.public()];
    Pairs { maker, server, public }
}

impl Pairs {
    fn seal(&self) -> SealTo<'_> {
        SealTo { sender: &self.maker, recipient: &self.public[1] }
    }

    fn open(&self) -> OpenFrom<'_> {
        let role = Role::ModelOwner;
        OpenFrom { recipient: &self.server, sender: &self.public[0], role }
    }
}

fn content(kind: Kind, payload_len: u64, chunks: u64) -> Content {
    Content { payload_len, chunks, body: body_of(kind) }
}

fn is_sealed(kind: Kind) -> bool {
    let sealed = [
        ModelShare::KIND,
        ImageShare::KIND,
        Triples::KIND,
        ResultShare::KIND,
        Prepared::KIND,
        WeightMask::KIND,
        Hints::KIND,
    ];
    sealed.contains(&kind)
}

/// A writer as the kind needs it.
fn writer(
    kind: Kind,
    payload_len: u64,
    chunks: u64,
) -> Result<EnvelopeWriter<Vec<u8>>, FormatError> {
    let (pairs, content) = (pairs(), content(kind, payload_len, chunks));
    if is_sealed(kind) {
        return EnvelopeWriter::sealed(vec![], pairs.seal(), content);
    }
    EnvelopeWriter::in_clear(vec![], pairs.public[0].fingerprint(), content)
}

fn open<R: Read>(source: R) -> Result<EnvelopeReader<R>, FormatError> {
    let envelope = Envelope::read(source, "f")?;
    if is_sealed(envelope.header().body.kind()) {
        envelope.unseal(pairs().open())
    } else {
        envelope.in_clear()
    }
}

fn cursor(bytes: &[u8]) -> EnvelopeReader<Cursor<Vec<u8>>> {
    open(Cursor::new(bytes.to_vec())).unwrap()
}

fn write_all(writer: &mut EnvelopeWriter<Vec<u8>>) {
    for (key, bytes) in KEYS.into_iter().zip(PAYLOAD) {
        writer.chunk(key, &mut bytes.to_vec()).unwrap();
    }
}

/// The kinds of [`sample`]: one in clear and one sealed.
const SAMPLES: [Kind; 2] = [OpenedWeights::KIND, ModelShare::KIND];

/// A file with three chunks of 20 bytes together.
fn sample(kind: Kind) -> Vec<u8> {
    let mut writer = writer(kind, 20, 3).unwrap();
    write_all(&mut writer);
    writer.finish().unwrap()
}

fn read_all(source: impl Read) -> Result<Vec<Vec<u8>>, FormatError> {
    let mut reader = open(source)?;
    let mut chunks = Vec::new();
    for (key, bytes) in KEYS.into_iter().zip(PAYLOAD) {
        chunks.push(reader.chunk(key, bytes.len())?);
    }
    reader.finish()?;
    Ok(chunks)
}

fn refuses_chunk(err: &FormatError, at: ChunkKey) -> bool {
    let ChunkKey { slot: s, op: o, piece: t } = at;
    matches!(err, FormatError::ChunkDamaged { slot, op, piece, .. }
        | FormatError::NotAuthentic { slot, op, piece, .. } if (*slot, *op, *piece) == (s, o, t))
}
