//! How long a lock that another process holds is waited for.

use std::time::Duration;

/// How often a busy lock is asked for again. What is done under one takes milliseconds.
pub(super) const LOCK_TRIES: u32 = 250;
/// After how long.
pub(super) const LOCK_PAUSE: Duration = Duration::from_millis(20);
