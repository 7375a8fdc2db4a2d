//! What `--version` tells beside the version: what this program can do on this machine.

use crate::files::container::envelope::VERSION as FILE_FORMAT;
use crate::kernels::Backend;
use crate::wire::WIRE_VERSION;
use std::sync::LazyLock;

/// The version, the backends of this processor, the cargo features, and what other versions can be
/// worked with: those of the same file format and wire.
pub(super) fn long() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let backends = Backend::ALL.into_iter().rev().filter(|b| b.is_available());
        let backends: Vec<&str> = backends.map(Backend::name).collect();
        let features = if cfg!(feature = "train") { "train" } else { "none" };
        format!(
            "{}\nbackends: {}\nfeatures: {features}\nfile format: {FILE_FORMAT}\nwire: {WIRE_VERSION}",
            env!("CARGO_PKG_VERSION"),
            backends.join(", ")
        )
    });
    &TEXT
}
