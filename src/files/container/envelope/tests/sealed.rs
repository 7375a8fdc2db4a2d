//! What a forger, a mix-up or a damaged disk cannot do to a sealed file.

use super::*;
use crate::files::container::header::Cipher;

/// The header's bytes changed, under a tag that fits again: the tag has no key, anybody can make it.
fn with_header(file: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let header_len = u32::from_le_bytes(file[10..14].try_into().unwrap()) as usize;
    let end = FIXED_LEN + header_len;
    let mut bytes = file.to_vec();
    change(&mut bytes[FIXED_LEN..end]);
    let tag = header_tag(&header_hash(&bytes[..end]));
    bytes[end..end + TAG_LEN].copy_from_slice(&tag);
    bytes
}

fn read_with(file: &[u8], keys: OpenFrom<'_>) -> Result<Vec<u8>, FormatError> {
    let mut reader = Envelope::read(file, "f")?.unseal(keys)?;
    reader.chunk(KEYS[0], PAYLOAD[0].len())
}

#[test]
fn a_header_cannot_be_changed() {
    let (file, pairs) = (sample(ModelShare::KIND), pairs());
    assert_eq!(read_with(&file, pairs.open()).unwrap(), PAYLOAD[0]);
    let header_len = file.len() - FIXED_LEN - TAG_LEN - 20 - 3 * TAG_LEN;
    let mut reached = 0;
    for bit in 0..8 * header_len {
        let forged = with_header(&file, |header| header[bit / 8] ^= 1 << (bit % 8));
        match read_with(&forged, pairs.open()) {
            Ok(_) => panic!("bit {bit} of the header was changed unseen"),
            Err(FormatError::NotAuthentic { .. }) => reached += 1,
            Err(_) => {}
        }
    }
    // Most changes are well-formed and found by the key alone.
    assert!(reached > 4 * header_len, "{reached}");
}

#[test]
fn nothing_of_the_payload_shows_and_no_two_files_are_alike() {
    let secret = [0x5a; 4096];
    let file = || {
        let mut writer = writer(Triples::KIND, 4096, 1).unwrap();
        writer.chunk(ChunkKey::ONLY, &mut secret.clone()).unwrap();
        writer.finish().unwrap()
    };
    let (a, b) = (file(), file());
    assert!(!a.windows(8).any(|w| w == &secret[..8]));
    let same = a[a.len() - 4096..].iter().zip(&b[b.len() - 4096..]).filter(|(x, y)| x == y);
    assert!(same.count() < 100, "two files under one key");
}

#[test]
fn only_the_recipient_opens_it() {
    let (file, pairs) = (sample(ModelShare::KIND), pairs());
    let other = SecretKey::from_bytes(&[0x12; 64]);
    let keys = OpenFrom { recipient: &other, ..pairs.open() };
    let err = read_with(&file, keys).unwrap_err();
    assert!(matches!(err, FormatError::WrongRecipient { .. }), "{err}");
    // Nor if the header says that the file is theirs.
    let name = pairs.public[1].fingerprint();
    let forged = with_header(&file, |header| {
        let at = header.windows(16).position(|w| w == name.as_bytes()).unwrap();
        header[at..at + 16].copy_from_slice(other.public().fingerprint().as_bytes());
    });
    let err = read_with(&forged, keys).unwrap_err();
    assert!(matches!(err, FormatError::NotAuthentic { .. }), "{err}");
}

/// A forger has every public key and a secret key of their own.
#[test]
fn only_the_sender_makes_it() {
    let pairs = pairs();
    let forger = SecretKey::from_bytes(&[0x13; 64]);
    let keys = SealTo { sender: &forger, recipient: &pairs.public[1] };
    let mut writer =
        EnvelopeWriter::sealed(vec![], keys, content(ModelShare::KIND, 20, 3)).unwrap();
    write_all(&mut writer);
    let file = writer.finish().unwrap();
    let err = read_with(&file, pairs.open()).unwrap_err();
    assert!(matches!(err, FormatError::WrongSender { role: Role::ModelOwner, .. }), "{err}");
    // Nor if the header names the sender that is expected.
    let forged = with_header(&file, |header| {
        assert_eq!(&header[..16], forger.public().fingerprint().as_bytes());
        header[..16].copy_from_slice(pairs.public[0].fingerprint().as_bytes());
    });
    let err = read_with(&forged, pairs.open()).unwrap_err();
    assert!(matches!(err, FormatError::NotAuthentic { .. }), "{err}");
    // Nor with the true sender's encapsulated key before it.
    let Cipher::Sealed { encapsulated } = header_of(&sample(ModelShare::KIND)).cipher else {
        panic!("not sealed")
    };
    let Cipher::Sealed { encapsulated: theirs } = header_of(&forged).cipher else {
        panic!("not sealed")
    };
    let forged = with_header(&forged, |header| {
        let at = header.windows(32).position(|w| w == theirs).unwrap();
        header[at..at + 32].copy_from_slice(&encapsulated);
    });
    assert!(matches!(read_with(&forged, pairs.open()), Err(FormatError::NotAuthentic { .. })));
}

fn header_of(file: &[u8]) -> Header {
    Envelope::read(file, "f").unwrap().header().clone()
}

/// A point of small order would make the shared secret known to all.
#[test]
fn keys_without_a_secret_are_refused() {
    let (file, pairs) = (sample(ModelShare::KIND), pairs());
    let Cipher::Sealed { encapsulated } = header_of(&file).cipher else { panic!("not sealed") };
    let forged = with_header(&file, |header| {
        let at = header.windows(32).position(|w| w == encapsulated).unwrap();
        header[at..at + 32].fill(0);
    });
    assert!(matches!(read_with(&forged, pairs.open()), Err(FormatError::NotAuthentic { .. })));
}

/// Two files of the same parties, kind and layout.
#[test]
fn chunks_of_another_file_or_place_are_refused() {
    let file = || {
        let mut writer = writer(Triples::KIND, 30, 3).unwrap();
        for op in 0..3 {
            writer.chunk(ChunkKey::op(op), &mut [op as u8; 10]).unwrap();
        }
        writer.finish().unwrap()
    };
    let (mine, theirs) = (file(), file());
    let sealed = 10 + TAG_LEN;
    let at = |chunk: usize| mine.len() - (3 - chunk) * sealed;
    let mut borrowed = mine.clone();
    borrowed[at(1)..at(2)].copy_from_slice(&theirs[at(1)..at(2)]);
    let mut reader = cursor(&borrowed);
    assert_eq!(reader.chunk(ChunkKey::op(0), 10).unwrap(), [0; 10]);
    let err = reader.chunk(ChunkKey::op(1), 10).unwrap_err();
    assert!(refuses_chunk(&err, ChunkKey::op(1)), "{err:?}");
    // Swapped, and asked for under their own names.
    let mut swapped = mine.clone();
    swapped[at(0)..at(1)].copy_from_slice(&mine[at(1)..at(2)]);
    swapped[at(1)..at(2)].copy_from_slice(&mine[at(0)..at(1)]);
    for op in [0, 1] {
        assert!(cursor(&swapped).chunk(ChunkKey::op(op), 10).is_err());
    }
    // Where it is, it opens however one gets there.
    let mut reader = cursor(&mine);
    reader.seek(20, 2).unwrap();
    assert_eq!(reader.chunk(ChunkKey::op(2), 10).unwrap(), [2; 10]);
}

/// A file that ends before its last chunk, with a header that announces no more.
#[test]
fn a_shorter_file_is_no_file() {
    let mut writer = writer(Triples::KIND, 20, 2).unwrap();
    for op in 0..2 {
        writer.chunk(ChunkKey::op(op), &mut [7; 10]).unwrap();
    }
    let file = writer.finish().unwrap();
    // payload_len and chunks follow sender, recipient and cipher.
    let at = 16 + 17 + 33;
    let cut = with_header(&file[..file.len() - 10 - TAG_LEN], |header| {
        assert_eq!(header[at..at + 2], [20, 2]);
        header[at..at + 2].copy_from_slice(&[10, 1]);
    });
    assert!(cursor(&cut).chunk(ChunkKey::op(0), 10).is_err());
}

#[test]
fn the_last_chunk_is_marked_and_no_index_serves_twice() {
    let key = || seal::FileKey::new(Zeroizing::new([5; 32]));
    let (mut sealer, mut bytes) = (key().sealer([6; 32], 2), [[1; 8]; 3]);
    let tags = bytes.each_mut().map(|bytes| sealer.seal(ChunkKey::ONLY, bytes));
    let [Some(first), Some(last), None] = tags else { panic!("a chunk too many was sealed") };
    assert_eq!(bytes[2], [0; 8], "and not left in clear");
    assert_ne!(bytes[0], bytes[1], "the same plaintext under the same nonce");
    let opens = |chunks: u64, index: u64, i: usize, tag: Tag| {
        key().opener([6; 32], chunks).open(index, ChunkKey::ONLY, &mut bytes[i].clone(), tag)
    };
    assert!(opens(2, 0, 0, first) && opens(2, 1, 1, last));
    assert!(!opens(2, 1, 0, first) && !opens(2, 0, 1, last), "moved");
    // Under the same key and header hash, only the mark tells.
    assert!(opens(3, 0, 0, first) && !opens(3, 1, 1, last), "the last is not the last");
    assert!(!opens(1, 0, 0, first), "another is the last");
}

#[test]
fn what_must_be_sealed_is_neither_written_nor_read_in_clear() {
    let pairs = pairs();
    let owner = pairs.public[0].fingerprint();
    for kind in KINDS {
        let in_clear = EnvelopeWriter::in_clear(vec![], owner, content(kind, 32, 1));
        let sealed = EnvelopeWriter::sealed(vec![], pairs.seal(), content(kind, 32, 1));
        let (good, bad) = if is_sealed(kind) { (sealed, in_clear) } else { (in_clear, sealed) };
        assert!(matches!(bad.err(), Some(FormatError::InvalidField { field: "cipher", .. })));
        let bytes = good.unwrap().abandon();
        let envelope = || Envelope::read(bytes.as_slice(), "f").unwrap();
        let other = if is_sealed(kind) {
            envelope().in_clear().err()
        } else {
            envelope().unseal(pairs.open()).err()
        };
        assert!(matches!(other, Some(FormatError::InvalidField { field: "cipher", .. })), "{kind}");
    }
}
