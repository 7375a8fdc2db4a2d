//! What the fuzz targets share: a bound on memory, valid inputs to start from, a small model and a
//! peer that sends what the fuzzer says.

pub mod memory;
pub mod peer;
pub mod world;

use std::path::PathBuf;

/// Writes a target's first inputs into the folder that `FUZZ_SEEDS` names and ends the process;
/// does nothing without that variable.
pub fn seeds(make: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("the folder for seeds can be made");
    for (i, bytes) in make().into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{i}")), bytes).expect("a seed can be written");
    }
    std::process::exit(0);
}

/// A file of the repository's `fixtures`.
pub fn fixture(path: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
    std::fs::read(format!("{root}{path}")).expect("the fixture is there")
}
