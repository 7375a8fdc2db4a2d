//! Streams of every codec that are cut, or lack a part: refused, never completed.

use super::super::shape::Shape;
use super::super::{jpeg, jpeg_ls, jpeg2000, run_lengths};
use crate::ImageError;
use crate::jpeg::Process;

type Decoded = Result<Vec<u32>, ImageError>;

macro_rules! fixture {
    ($name:literal) => {
        &include_bytes!(concat!("../../../../fixtures/streams/", $name))[..]
    };
}

/// That of the fixtures.
fn shape(samples: usize, allocated: usize) -> Shape {
    Shape { rows: 35, columns: 43, samples, allocated }
}

/// Every cut, with an end and without, is refused, or nothing was lost by it.
fn cuts(name: &str, stream: &[u8], decode: impl Fn(&[u8]) -> Decoded) {
    let whole = decode(stream).unwrap_or_else(|error| panic!("{name}: {error}"));
    for length in 0..stream.len() {
        for end in [&[][..], &[0xff, 0xd9]] {
            if let Ok(found) = decode(&[&stream[..length], end].concat()) {
                assert!(found == whole, "{name}: {length} bytes and the end {end:x?}");
            }
        }
    }
}

#[test]
fn cut_jpeg_streams_are_not_completed() {
    let decode = |process, samples| {
        move |stream: &[u8]| jpeg::decode(stream, process, shape(samples, 8), true)
    };
    cuts("grey.jpg", fixture!("grey.jpg"), decode(Process::Baseline, 1));
    cuts("restarts.jpg", fixture!("restarts.jpg"), decode(Process::Extended, 1));
    cuts("colour-422.jpg", fixture!("colour-422.jpg"), decode(Process::Baseline, 3));
    cuts("lossless-8.ljpg", fixture!("lossless-8.ljpg"), decode(Process::Lossless, 1));
    cuts("lossless-12.ljpg", fixture!("lossless-12.ljpg"), decode(Process::Lossless, 1));
}

#[test]
fn cut_streams_of_other_codecs_are_not_completed() {
    let grey = shape(1, 16);
    cuts("whole.jls", fixture!("whole.jls"), |stream| jpeg_ls::decode(stream, grey));
    cuts("near.jls", fixture!("near.jls"), |stream| jpeg_ls::decode(stream, shape(1, 8)));
    let j2k = |samples| move |stream: &[u8]| jpeg2000::decode(stream, shape(samples, 8), 8);
    cuts("one-tile.j2k", fixture!("one-tile.j2k"), j2k(1));
    cuts("tiles.j2k", fixture!("tiles.j2k"), j2k(1));
    cuts("tiles-colour.j2k", fixture!("tiles-colour.j2k"), j2k(3));
    // 35 runs of 43 equal samples.
    let rows = (0..35u8).flat_map(|level| [(1 - 43i8) as u8, level]);
    let packed: Vec<u8> = [1u32, 64].into_iter().flat_map(u32::to_le_bytes).collect();
    let packed = [packed, vec![0; 56], rows.collect()].concat();
    // An end marker is two bytes of a run like any others here.
    assert!(run_lengths::decode(&packed, shape(1, 8)).is_ok());
    for length in 0..packed.len() {
        let found = run_lengths::decode(&packed[..length], shape(1, 8));
        assert!(found.is_err(), "run lengths: {length} bytes");
    }
}

/// The parts of a stream of JPEG 2000, with what lies before and behind them.
fn parts(stream: &[u8]) -> (&[u8], Vec<&[u8]>, &[u8]) {
    let mut at = stream.windows(4).position(|w| w == [0xff, 0x90, 0, 10]).unwrap();
    let (head, mut parts) = (&stream[..at], Vec::new());
    while let [0xff, 0x90, _, _, _, _, l0, l1, l2, l3, ..] = stream[at..] {
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        parts.push(&stream[at..at + length]);
        at += length;
    }
    (head, parts, &stream[at..])
}

#[test]
fn every_subset_of_tiles_is_refused() {
    for (stream, samples) in [(fixture!("tiles.j2k"), 1), (fixture!("tiles-colour.j2k"), 3)] {
        let (head, parts, end) = parts(stream);
        assert!(parts.len() >= 4);
        for subset in 0..1u32 << parts.len() {
            let some = parts.iter().enumerate().filter(|(i, _)| subset >> i & 1 != 0);
            let some: Vec<u8> = some.flat_map(|(_, part)| part.iter().copied()).collect();
            let found = jpeg2000::decode(&[head, &some, end].concat(), shape(samples, 8), 8);
            assert_eq!(found.is_ok(), subset + 1 == 1 << parts.len(), "{subset:b}");
        }
    }
}
