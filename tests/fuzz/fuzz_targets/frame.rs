//! Frames of the wire, one after the other.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise::internals::wire::{Frame, MAX_PAYLOAD};
use ppdenoise_fuzz::{memory::bounded, seeds};

fuzz_target!(init: seeds(frames), |data: &[u8]| {
    let mut stream = data;
    loop {
        let left = stream.len();
        // A length is believed only as far as bytes come.
        match bounded((1 << 20) + 4 * left, || Frame::read(&mut stream)) {
            Ok(frame) => {
                assert!(frame.payload.len() <= MAX_PAYLOAD);
                assert_eq!(stream.len() + frame.payload.len() + 9, left);
            }
            Err(_) => break,
        }
    }
});

fn frames() -> Vec<Vec<u8>> {
    let frame = |tag: u8, batch: u32, payload: &[u8]| {
        let length = (payload.len() as u32).to_le_bytes();
        [&length[..], &[tag], &batch.to_le_bytes(), payload].concat()
    };
    let all: Vec<_> = (0..=11).map(|tag| frame(tag, tag.into(), &[tag; 5])).collect();
    vec![all.concat(), frame(8, 0, b"no slot left"), frame(6, 7, &[])]
}
