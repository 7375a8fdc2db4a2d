//! Header fields of files, and a server's greeting bodies: `bincode` and the validator.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise::internals::files::container::Header;
use ppdenoise_base::ids::codec::{decode_small, encode_small};
use ppdenoise::internals::protocol::{Identity, Stock};
use ppdenoise_fuzz::{fixture, memory::bounded, seeds};

/// The structures hold no more than the limit of the encoding, some of it twice.
const BOUND: usize = 1 << 20;

fuzz_target!(init: seeds(golden_headers), |data: &[u8]| {
    bounded(BOUND, || {
        if let Ok(header) = Header::from_bytes(data) {
            let bytes = header.to_bytes().expect("a header that was read can be written");
            assert!(Header::from_bytes(&bytes).as_ref() == Ok(&header));
        }
        if let Ok(identity) = decode_small::<Identity>(data) {
            let bytes = encode_small(&identity).expect("what was read can be written");
            assert!(decode_small::<Identity>(&bytes).as_ref() == Ok(&identity));
        }
        if let Ok(stock) = decode_small::<Stock>(data) {
            let bytes = encode_small(&stock).expect("what was read can be written");
            assert!(decode_small::<Stock>(&bytes).as_ref() == Ok(&stock));
        }
    });
});

/// The headers of the golden files: between the fixed part and the first tag.
fn golden_headers() -> Vec<Vec<u8>> {
    GOLDEN
        .iter()
        .map(|name| {
            let file = fixture(&format!("golden/{name}.bin"));
            let length = u32::from_le_bytes([file[10], file[11], file[12], file[13]]) as usize;
            file[14..14 + length].to_vec()
        })
        .collect()
}

const GOLDEN: [&str; 9] = [
    "image-share",
    "model-share",
    "opened-weights",
    "prepared-products",
    "public-key",
    "public-model-description",
    "result-share",
    "secret-key",
    "triples",
];
