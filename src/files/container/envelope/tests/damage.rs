//! Files that were changed, cut, continued or put together from others.

use super::*;

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
        let mut writer = if is_sealed(kind) {
            EnvelopeWriter::sealed(vec![], pairs.seal(), content).unwrap()
        } else {
            EnvelopeWriter::in_clear(vec![], pairs.public[0].fingerprint(), content).unwrap()
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
