//! What readers and writers do with a whole file, and what they refuse.

use super::*;

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
