//! How large a scan may be.

/// The most pixels of a scan, which is never in memory as a whole: 262,144 x 262,144.
pub const MAX_SCAN_PIXELS: usize = 1 << 36;

/// The most tiles of a scan.
pub const MAX_TILES: usize = 1 << 20;
