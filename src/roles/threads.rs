//! The threads that compute.

use std::num::NonZeroUsize;

/// The system gives no compute threads.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the compute threads: {0}")]
pub struct ThreadsError(String);

/// With how many threads a job computes; what it computes does not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// Those of the `rayon` pool that the caller is in.
    #[default]
    Current,
    /// So many of the job's own.
    Own(NonZeroUsize),
}

impl Threads {
    /// How many.
    pub fn count(self) -> usize {
        match self {
            Threads::Current => rayon::current_num_threads(),
            Threads::Own(count) => count.get(),
        }
    }

    /// Runs `work` with these threads.
    ///
    /// # Errors
    /// [`ThreadsError`] if the system gives none.
    pub fn run<T: Send>(self, work: impl FnOnce() -> T + Send) -> Result<T, ThreadsError> {
        let Threads::Own(count) = self else { return Ok(work()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count.get()).build();
        Ok(pool.map_err(|e| ThreadsError(e.to_string()))?.install(work))
    }
}
