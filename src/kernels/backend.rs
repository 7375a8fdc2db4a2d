//! Which instruction set the kernels use, chosen once per process.

use std::fmt;
use std::sync::OnceLock;

/// An implementation of the kernels. All give the same results; [`Backend::Portable`] defines them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Plain Rust, on any processor.
    Portable,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// [`Backend::Avx512`] with VBMI, and matrix products by Intel AMX (tiles of 8-bit integers).
    Amx,
}

impl Backend {
    /// Every backend, slowest first.
    pub const ALL: [Backend; 4] = [Backend::Portable, Backend::Avx2, Backend::Avx512, Backend::Amx];

    /// The fastest backend this processor has.
    pub fn detect() -> Self {
        let available = Self::ALL.into_iter().rev().find(|b| b.is_available());
        available.unwrap_or(Backend::Portable)
    }

    /// `portable`, `avx2`, `avx512` or `amx`.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Portable => "portable",
            Backend::Avx2 => "avx2",
            Backend::Avx512 => "avx512",
            Backend::Amx => "amx",
        }
    }

    /// Whether this processor and its operating system can run it.
    pub fn is_available(self) -> bool {
        match self {
            Backend::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 => super::avx2::Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 => super::avx512::Avx512::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Backend::Amx => super::amx::Amx::new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a backend cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The processor lacks the instructions.
    #[error("this processor cannot run backend '{wanted}'; the best it has is '{best}'")]
    Missing {
        /// The backend that was asked for.
        wanted: Backend,
        /// The best one available.
        best: Backend,
    },
    /// The process already runs on another backend.
    #[error("backend '{active}' is already in use, too late to choose '{wanted}'")]
    AlreadyChosen {
        /// The backend that was asked for.
        wanted: Backend,
        /// The one in use.
        active: Backend,
    },
}

static ACTIVE: OnceLock<Backend> = OnceLock::new();

/// Makes `backend` the one that this process uses; the same choice again is accepted.
///
/// # Errors
/// [`BackendError::Missing`] if the processor lacks it, [`BackendError::AlreadyChosen`] if another
/// one was chosen, or used, before.
pub fn select(backend: Backend) -> Result<(), BackendError> {
    if !backend.is_available() {
        return Err(BackendError::Missing { wanted: backend, best: Backend::detect() });
    }
    match *ACTIVE.get_or_init(|| backend) {
        active if active == backend => Ok(()),
        active => Err(BackendError::AlreadyChosen { wanted: backend, active }),
    }
}

/// The backend in use: the selected one, or else the best, which it then fixes.
#[inline]
pub fn active() -> Backend {
    *ACTIVE.get_or_init(Backend::detect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let names: std::collections::HashSet<_> = Backend::ALL.iter().map(|b| b.name()).collect();
        assert_eq!(names.len(), Backend::ALL.len());
    }

    #[test]
    fn the_choice_is_made_once_and_never_replaced() {
        let active = active();
        assert!(active.is_available());
        assert_eq!(select(active), Ok(()));
        for other in Backend::ALL.into_iter().filter(|&b| b != active) {
            let expected = if other.is_available() {
                BackendError::AlreadyChosen { wanted: other, active }
            } else {
                BackendError::Missing { wanted: other, best: Backend::detect() }
            };
            assert_eq!(select(other), Err(expected));
        }
        assert_eq!(super::active(), active);
    }
}
