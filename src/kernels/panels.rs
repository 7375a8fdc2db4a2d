//! How wide the panels are in which matrix products read their weights.

use crate::numbers::ring::Ring;

/// Bytes of one row of a panel: two 64-byte vectors.
pub(super) const PANEL_BYTES: usize = 128;

/// Outputs in one panel of weights.
pub(super) const fn panel_width<R: Ring>() -> usize {
    PANEL_BYTES / R::BYTES
}
