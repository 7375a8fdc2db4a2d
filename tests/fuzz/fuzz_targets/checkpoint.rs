//! Checkpoints of training, with the checksum that fits.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise::internals::train::Checkpoint;
use ppdenoise_fuzz::{memory::bounded, seeds};
use std::ffi::{c_char, c_int};

unsafe extern "C" {
    fn LLVMFuzzerRunDriver(
        argc: *mut c_int,
        argv: *mut *mut *mut c_char,
        target: unsafe extern "C" fn(*const u8, usize) -> c_int,
    ) -> c_int;
    fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> c_int;
}

/// libFuzzer's own `main`, which this target alone has to spell out: the feature `train` brings
/// crate `numkong`, whose build leaves the `main` of a probe among what is linked, and that one would
/// be found first and do nothing.
#[unsafe(no_mangle)]
pub extern "C" fn main(mut argc: c_int, mut argv: *mut *mut c_char) -> c_int {
    // SAFETY: these are the arguments that the system gave, and the driver may rearrange them.
    unsafe { LLVMFuzzerRunDriver(&mut argc, &mut argv, LLVMFuzzerTestOneInput) }
}

const MAGIC: &[u8] = b"ppdenoise train4";

// Input: two bytes for the length of the JSON header, the header, the arrays; or, after a zero, a file.
fuzz_target!(init: seeds(checkpoints), |data: &[u8]| {
    let file = match data {
        [0, file @ ..] => file.to_vec(),
        [_, low, high, rest @ ..] => {
            let length = u32::from(*low) | u32::from(*high) << 8;
            let mut file = [MAGIC, &length.to_le_bytes(), rest].concat();
            let checksum = blake3::hash(&file);
            file.extend(checksum.as_bytes());
            file
        }
        _ => return,
    };
    // JSON of a few characters a layer, in a growing list, and the network that they are; and the arrays
    // once more.
    let checkpoint = bounded((1 << 20) + 64 * file.len(), || Checkpoint::decode(&file));
    if let Ok(c) = checkpoint {
        let again = Checkpoint::encode(&c.recipe, &c.state, c.seconds, &c.curve);
        assert!(Checkpoint::decode(&again.expect("it can be written")).is_ok());
    }
});

fn checkpoints() -> Vec<Vec<u8>> {
    let checkpoint = |network: &str, weights: usize| {
        let header = HEADER.replace("NETWORK", network).into_bytes();
        let length = [1, header.len() as u8, (header.len() >> 8) as u8];
        [&length[..], &header, &vec![0x3c; 16 * weights]].concat()
    };
    vec![checkpoint(MLP, 9 * 2 + 2 + 2 + 1), checkpoint(DNCNN, 9 * 2 + 2 + 18 + 1), vec![0; 60]]
}

const MLP: &str = r#""layers":[{"patches":{"size":3,"output":1,"stride":1}},{"dense":{"outputs":2}},"tanh",{"dense":{"outputs":1}},"residual"],"units":{"mid_grey":127.5,"grey_per_unit":51},"bound":{"range":8,"interval":2.5}"#;
const DNCNN: &str = r#""layers":[{"conv2d":{"outputs":2,"kernel":3}},"relu",{"conv2d":{"outputs":1,"kernel":3}},"residual"],"units":{"mid_grey":0,"grey_per_unit":255},"bound":null"#;

const HEADER: &str = r#"{"recipe":{NETWORK,"mean_shift":false,"patch":3,"noise":{"lowest":25,"highest":25},"batch":4,"rate":0.001,"warm_up":1,"clip":1,"average":0.5,"seed":1,"precision":"f32","scales":[1],"teacher":null},"step":3,"seconds":1.5,"curve":[{"step":1,"minutes":1,"rate":0.1,"training_db":20,"validation_db":null}]}"#;
