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
use proptest::prelude::*;
use std::fs;
use std::io::{Cursor, Read};
use tempfile::tempdir;
use zeroize::Zeroizing;

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
    match is_sealed(envelope.header().body.kind()) {
        true => envelope.unseal(pairs().open()),
        false => envelope.in_clear(),
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

#[test]
fn a_file_reads_back_from_a_pipe() {
    // A reader that gives a byte at a time, as a slow pipe may.
    struct Drip<'a>(&'a [u8]);
    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = out.len().min(1);
            self.0.read(&mut out[..n])
        }
    }
    for kind in SAMPLES {
        assert_eq!(read_all(Drip(&sample(kind))).unwrap(), PAYLOAD);
    }
}

#[test]
fn every_flipped_bit_is_found() {
    for (kind, whole) in SAMPLES.map(|kind| (kind, sample(kind))) {
        let start = whole.len() - 20 - 3 * TAG_LEN;
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let err = read_all(bytes.as_slice()).expect_err("a flipped bit was not seen");
                use FormatError::*;
                match (at, err) {
                    (0..8, NotOurs { .. }) => {}
                    (8..10, Version { expected: VERSION, .. }) => {}
                    (10.., HeaderDamaged { .. } | Truncated { .. }) if at < start => {}
                    (_, ChunkDamaged { .. }) if at >= start && !is_sealed(kind) => {}
                    (_, NotAuthentic { .. }) if at >= start && is_sealed(kind) => {}
                    (at, err) => panic!("{kind}, byte {at}: {err:?}"),
                }
            }
        }
    }
}

#[test]
fn every_truncation_and_every_longer_file_is_found() {
    for whole in SAMPLES.map(sample) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        for len in 0..whole.len() {
            let err = read_all(&whole[..len]).unwrap_err();
            assert!(matches!(err, FormatError::Truncated { .. }), "pipe, {len} bytes: {err:?}");
            fs::write(&path, &whole[..len]).unwrap();
            let Err(err) = open_file(&path) else { panic!("{len} bytes were opened") };
            match err {
                FormatError::Truncated { expected, found, file } => {
                    assert!(found == len as u64 && found < expected && file == path);
                }
                other => panic!("file, {len} bytes: {other:?}"),
            }
        }
        let mut longer = whole.clone();
        longer.push(0);
        let is_longer = |err: &FormatError| {
            let (was, is) = (whole.len() as u64, longer.len() as u64);
            matches!(err, FormatError::TrailingBytes { expected, found, .. }
                if (*expected, *found) == (was, is))
        };
        assert!(is_longer(&read_all(longer.as_slice()).unwrap_err()));
        fs::write(&path, &longer).unwrap();
        assert!(open_file(&path).is_err_and(|err| is_longer(&err)));
        fs::write(&path, &whole).unwrap();
        assert_eq!(open_file(&path).unwrap().file_len(), whole.len() as u64);
    }
}

#[test]
fn chunks_cannot_be_moved_or_borrowed() {
    let (key, len) = (KEYS[0], PAYLOAD[0].len());
    for kind in SAMPLES {
        let mine = sample(kind);
        for other in
            [ChunkKey { slot: 1, ..key }, ChunkKey { op: 2, ..key }, ChunkKey { piece: 1, ..key }]
        {
            let err = cursor(&mine).chunk(other, len).unwrap_err();
            assert!(refuses_chunk(&err, other), "{err:?}");
        }
        assert!(cursor(&mine).chunk(key, len - 1).is_err(), "another length");
        // The same chunks under another header.
        let mut content = content(kind, 20, 3);
        match &mut content.body {
            Body::ModelShare(body) => body.elements += 1,
            Body::OpenedWeights(body) => body.elements += 1,
            _ => unreachable!(),
        }
        let pairs = pairs();
        let mut writer = match is_sealed(kind) {
            true => EnvelopeWriter::sealed(vec![], pairs.seal(), content).unwrap(),
            false => {
                EnvelopeWriter::in_clear(vec![], pairs.public[0].fingerprint(), content).unwrap()
            }
        };
        write_all(&mut writer);
        let mut theirs = writer.finish().unwrap();
        let payload = 20 + 3 * TAG_LEN;
        let start = theirs.len() - payload;
        theirs[start..].copy_from_slice(&mine[mine.len() - payload..]);
        let err = cursor(&theirs).chunk(key, len).unwrap_err();
        assert!(refuses_chunk(&err, key), "{err:?}");
    }
}

#[test]
fn chunks_are_reached_by_seeking() {
    for kind in SAMPLES {
        let mut reader = cursor(&sample(kind));
        reader.seek(11, 2).unwrap();
        let mut third = [0; 9];
        reader.chunk_into(KEYS[2], &mut third).unwrap();
        assert_eq!(&third, PAYLOAD[2]);
        reader.seek(0, 0).unwrap();
        assert_eq!(reader.chunk(KEYS[0], 11).unwrap(), PAYLOAD[0]);
        for (bytes, chunks) in [(21, 3), (20, 4), (u64::MAX, u64::MAX)] {
            let err = reader.seek(bytes, chunks).unwrap_err();
            assert!(matches!(err, FormatError::PayloadMismatch { .. }));
        }
        reader.seek(20, 3).unwrap();
        reader.finish().unwrap();
    }
}

#[test]
fn a_reader_takes_neither_more_nor_less_than_announced() {
    for kind in SAMPLES {
        let mut reader = cursor(&sample(kind));
        let err = reader.chunk(KEYS[0], usize::MAX).unwrap_err();
        assert!(matches!(err, FormatError::PayloadMismatch { .. }));
        assert_eq!(reader.chunk(KEYS[0], 11).unwrap(), PAYLOAD[0], "nothing was consumed");
        assert!(matches!(reader.finish(), Err(FormatError::PayloadMismatch { .. })));
    }
}

#[test]
fn a_lying_header_costs_no_memory() {
    // A pipe announces a petabyte and ends.
    let len = 1 << 50;
    for kind in SAMPLES {
        let bytes = writer(kind, len, 1).unwrap().abandon();
        let mut reader = open(bytes.as_slice()).unwrap();
        let err = reader.chunk(ChunkKey::ONLY, len as usize).unwrap_err();
        assert!(matches!(err, FormatError::Truncated { .. }));
    }
}

#[test]
fn a_writer_keeps_to_its_header() {
    for kind in SAMPLES {
        let new = |len, chunks| writer(kind, len, chunks);
        let mut writer = new(3, 2).unwrap();
        let four = writer.chunk(KEYS[0], &mut b"four".to_owned());
        assert!(matches!(four, Err(FormatError::PayloadMismatch { .. })));
        writer.chunk(KEYS[0], &mut b"abc".to_owned()).unwrap();
        assert!(matches!(writer.finish(), Err(FormatError::PayloadMismatch { .. })));
        let mut writer = new(3, 1).unwrap();
        writer.chunk(KEYS[0], &mut b"abc".to_owned()).unwrap();
        assert!(writer.chunk(KEYS[1], &mut []).is_err(), "a chunk too many");
        assert!(matches!(new(0, 1), Err(FormatError::InvalidField { field: "payload_len", .. })));
    }
}

#[test]
fn another_kind_is_named() {
    let writer = writer(ImageShare::KIND, 1, 1).unwrap();
    let file = Envelope::read(Cursor::new(writer.abandon()), "X").unwrap();
    let err = file.expect::<ModelShare>().unwrap_err();
    assert_eq!(err.to_string(), "'X' is an image share, expected a model share");
    assert!(file.expect_kind(Triples::KIND).is_err());
    assert_eq!(file.expect::<ImageShare>().unwrap().width, 300);
}

#[test]
fn other_files_and_versions_are_told_apart() {
    let open = |bytes: &[u8]| Envelope::read(Cursor::new(bytes.to_vec()), "f").err().unwrap();
    assert!(matches!(open(b"\x89PNG\r\n"), FormatError::NotOurs { .. }));
    assert!(matches!(open(b""), FormatError::Truncated { found: 0, .. }));
    assert!(matches!(open(b"PPDN"), FormatError::Truncated { found: 4, .. }));
    let mut later = sample(ModelShare::KIND);
    later[8] = VERSION as u8 + 1;
    let err = open(&later);
    assert!(
        matches!(err, FormatError::Version { expected: VERSION, found, .. } if found == VERSION + 1)
    );
    for version in [VERSION, VERSION + 1] {
        assert!(err.to_string().contains(&format!("version {version}")));
    }
    let mut huge = sample(ModelShare::KIND);
    huge[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(open(&huge), FormatError::HeaderDamaged { .. }));
    let err = open_file(Path::new("/nowhere/f")).err().unwrap();
    assert!(matches!(err, FormatError::Missing { .. }));
}

/// The golden files pin the layout: one small file a kind, and a locked secret key. A change here is
/// a new format version. Sealed ones are made with fixed randomness, which only tests can give.
#[test]
fn golden_files_are_written_and_read_as_ever() {
    let pairs = pairs();
    for kind in KINDS {
        let (content, name) = (content(kind, 32, 1), kind.to_string().replace(' ', "-"));
        let randomness = Zeroizing::new([0x99; 32]);
        let writer = match is_sealed(kind) {
            true => EnvelopeWriter::sealed_with(vec![], pairs.seal(), content, randomness),
            false => EnvelopeWriter::in_clear(vec![], pairs.public[0].fingerprint(), content),
        };
        golden(&name, writer.unwrap(), |file| match is_sealed(kind) {
            true => file.unseal(pairs.open()),
            false => file.in_clear(),
        });
    }
    let (owner, content) = (pairs.public[0].fingerprint(), content(SecretKeyOf::KIND, 32, 1));
    let passphrase = || Passphrase::new(b"correct horse".to_vec()).unwrap();
    let stretching = Stretching { salt: [0xaa; 16], memory_kib: 64, passes: 2, lanes: 2 };
    let locked =
        EnvelopeWriter::locked_with(vec![], owner, &passphrase(), content, stretching).unwrap();
    golden("secret-key-locked", locked, |file| file.unlock(&|_| Ok(passphrase())));
}

type FileEnvelope = Envelope<Stream>;
type FileReader = EnvelopeReader<Stream>;

fn golden(
    name: &str,
    mut writer: EnvelopeWriter<Vec<u8>>,
    opened: impl FnOnce(FileEnvelope) -> Result<FileReader, FormatError>,
) {
    let payload: [u8; 32] = std::array::from_fn(|i| i as u8);
    writer.chunk(ChunkKey::ONLY, &mut payload.clone()).unwrap();
    let bytes = writer.finish().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden");
    let path = folder.join(format!("{name}.bin"));
    if std::env::var_os("PPDENOISE_WRITE_GOLDEN").is_some() {
        fs::write(&path, &bytes).unwrap();
    }
    let golden = fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    assert!(bytes == golden, "{name}: the layout changed");
    let mut reader = opened(open_file(&path).unwrap()).unwrap();
    assert_eq!(reader.chunk(ChunkKey::ONLY, 32).unwrap(), payload);
    reader.finish().unwrap();
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, header in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read_all(bytes.as_slice()).is_err());
        let _ = Header::from_bytes(&header);
        // Behind a right magic, version and tag.
        let mut file = [&MAGIC[..], &VERSION.to_le_bytes(), &(header.len() as u32).to_le_bytes(), &header].concat();
        let tag = header_tag(&header_hash(&file));
        file.extend_from_slice(&tag);
        file.extend_from_slice(&bytes);
        prop_assert!(read_all(file.as_slice()).is_err());
    }

    #[test]
    fn damaged_headers_never_panic_nor_escape_the_limits(kind in 0usize..9, at: usize, byte: u8) {
        let bytes = writer(KINDS[kind], 32, 1).unwrap().abandon();
        let mut bytes = bytes[FIXED_LEN..bytes.len() - TAG_LEN].to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(decoded) = Header::from_bytes(&bytes) {
            prop_assert!(decoded.to_bytes().is_ok());
        }
    }

    #[test]
    fn any_chunks_round_trip(
        sealed: bool,
        chunks in proptest::collection::vec(any::<Vec<u8>>(), 1..6),
    ) {
        let len: usize = chunks.iter().map(Vec::len).sum();
        prop_assume!(len > 0);
        let kind = if sealed { Triples::KIND } else { OpenedWeights::KIND };
        let mut writer = writer(kind, len as u64, chunks.len() as u64).unwrap();
        for (op, chunk) in chunks.iter().enumerate() {
            writer.chunk(ChunkKey::op(op as u32), &mut chunk.clone()).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let mut reader = open(bytes.as_slice()).unwrap();
        prop_assert_eq!(reader.file_len(), bytes.len() as u64);
        for (op, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!(&reader.chunk(ChunkKey::op(op as u32), chunk.len()).unwrap(), chunk);
        }
        reader.finish().unwrap();
    }
}
