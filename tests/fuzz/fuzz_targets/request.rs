//! What a user asks of the one cloud.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise::internals::roles::one_cloud::check_request;
use ppdenoise_fuzz::{memory::bounded, seeds};

fuzz_target!(init: seeds(requests), |data: &[u8]| {
    let result = bounded((1 << 20) + 8 * data.len(), || check_request(data));
    if let Err(e) = result {
        // What a user can make the cloud print is short.
        assert!(e.to_string().len() < 4096);
    }
});

/// Requests of each kind: a number of the kind, then numbers of few bytes and ids of 16.
fn requests() -> Vec<Vec<u8>> {
    let id = |byte: u8| [byte; 16];
    let status = [&[0, 2][..], &id(1), &id(2)].concat();
    let make = vec![1, 48, 64, 3];
    let denoise = [&[2, 2][..], &id(3), &[48, 64, 0], &id(4), &[48, 64, 1, 8], &[1], &id(1)].concat();
    vec![status, make, denoise]
}
