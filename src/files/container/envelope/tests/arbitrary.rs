//! Bytes, headers and chunks drawn at random.

use super::*;
use proptest::prelude::*;

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
