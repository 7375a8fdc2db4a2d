//! Files of every kind as they lie in fixtures/golden.

use super::*;

/// The golden files pin the layout: one small file a kind, and a locked secret key. A change here is
/// a new format version. Sealed ones are made with fixed randomness, which only tests can give.
#[test]
fn golden_files_are_written_and_read_as_ever() {
    let pairs = pairs();
    for kind in KINDS {
        let (content, name) = (content(kind, 32, 1), kind.to_string().replace(' ', "-"));
        let randomness = Zeroizing::new([0x99; 32]);
        let writer = if is_sealed(kind) {
            EnvelopeWriter::sealed_with(vec![], pairs.seal(), content, randomness)
        } else {
            EnvelopeWriter::in_clear(vec![], pairs.public[0].fingerprint(), content)
        };
        golden(&name, writer.unwrap(), |file| {
            if is_sealed(kind) { file.unseal(pairs.open()) } else { file.in_clear() }
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
