//! Envelopes: the fixed part, the header behind its tag, chunks of lengths that fit or do not.
//!
//! Input: how; with how = 0 the rest is a file. Else two bytes for the header's length, the header,
//! and chunks of a length byte and as many bytes, which the writer gives their tags.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise::internals::files::container::Header;
use ppdenoise::internals::files::container::envelope::{ChunkKey, Content, Envelope, EnvelopeWriter};
use ppdenoise_fuzz::peer::Bytes;
use ppdenoise_fuzz::{fixture, memory::bounded, seeds};

fuzz_target!(init: seeds(files), |data: &[u8]| {
    let mut bytes = Bytes(data);
    let how = bytes.byte();
    let file = if how == 0 { bytes.0.to_vec() } else { written(how, bytes) };
    // The header, a buffer of a chunk whose length only a pipe's header tells, and the bytes.
    let bound = (4 << 20) + 8 * data.len();
    bounded(bound, || {
        let Ok(envelope) = Envelope::read(&file[..], "fuzzed") else { return };
        assert!(envelope.file_len() > 30);
        // What is sealed ends here: its chunks open with its keys only.
        let Ok(mut reader) = envelope.in_clear() else { return };
        let mut lengths = Bytes(data);
        for piece in 0..8 {
            let length = match lengths.byte() {
                255 => reader.header().payload_len as usize,
                length => usize::from(length),
            };
            let key = ChunkKey { slot: 0, op: 0, piece };
            match reader.chunk(key, length) {
                Ok(chunk) => assert_eq!(chunk.len(), length),
                Err(_) => return,
            }
        }
        let _ = reader.finish();
    });
});

/// A file with this header and these chunks; the header may announce what comes (even `how`) or lie.
fn written(how: u8, mut bytes: Bytes<'_>) -> Vec<u8> {
    let length = usize::from(bytes.byte()) | usize::from(bytes.byte()) << 8;
    let (header, rest) = bytes.0.split_at(length.min(bytes.0.len()));
    let Ok(mut header) = Header::from_bytes(header) else { return Vec::new() };
    let mut chunks = Vec::new();
    let mut bytes = Bytes(rest);
    while !bytes.0.is_empty() && chunks.len() < 8 {
        let length = usize::from(bytes.byte()).min(bytes.0.len());
        chunks.push(bytes.filled(length));
    }
    if how % 2 == 0 {
        header.payload_len = chunks.iter().map(Vec::len).sum::<usize>().max(1) as u64;
        header.chunks = chunks.len().max(1) as u64;
    }
    let mut file = Vec::new();
    let Header { sender, payload_len, chunks: count, body, .. } = header;
    let content = Content { payload_len, chunks: count, body };
    if let Ok(mut writer) = EnvelopeWriter::in_clear(&mut file, sender, content) {
        for (piece, chunk) in (0..).zip(&mut chunks) {
            if writer.chunk(ChunkKey { slot: 0, op: 0, piece }, chunk).is_err() {
                break;
            }
        }
    }
    file
}

fn files() -> Vec<Vec<u8>> {
    let names = ["public-model-description", "public-key", "opened-weights", "image-share"];
    let golden = names.map(|name| fixture(&format!("golden/{name}.bin")));
    let raw = golden.iter().map(|file| [&[0], &file[..]].concat());
    let rewritten = golden.iter().map(|file| {
        let length = usize::from(file[10]) | usize::from(file[11]) << 8;
        [&[2, file[10], file[11]], &file[14..14 + length], &[3, 1, 2, 3, 2, 9, 9]].concat()
    });
    raw.chain(rewritten).collect()
}
