//! The inner loops: ring matrix products, masked lookup sums, steps of the exact ReLU, number-theoretic transforms
//! and AES, in portable and in SIMD form.
//!
//! Entries check shapes and pick the [`Backend`] at run time; results are the same bits on every
//! backend. No kernel branches on, or addresses memory by, a ring element or a one-hot vector; the
//! exception is the dealer's [`xor_one_hot`], which runs where the positions are known.
//!
//! All unsafe code of ppdenoise is in this package, and in it in the files of the instruction sets. Its surface is safe
//! and small, so that whoever wants to know what unsafe code can do reads no other package.
//!
//! May use: numbers of `base`. Pure but for asking the processor what it can do.
//!
//! Security: time and addresses do not depend on secrets, as said above.
//!
//! Stability: none; nothing of it is in `ppdenoise::api`.

mod aes;
#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod backend;
mod gemm;
#[cfg(target_arch = "x86_64")]
mod limbs;
// Sums by byte planes serve the vector backends only.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod lookup;
mod loops;
mod ntt;
mod panels;
mod planes;
mod portable;
mod relu;
mod threads;

pub use aes::{AesBackend, AesKey, EvalAnd, GarbleAnd, eval_and, garble_and, xor_blocks};
pub use backend::{Backend, BackendError, active, select};
pub use gemm::{PackedWeights, matmul_acc, register_depth, register_kernel, register_rows};
pub use lookup::{
    LookupTable, TableError, masked_sums, masked_sums_with, one_hot_words, xor_one_hot,
};
pub use ntt::{GOLDILOCKS, Ntt};
pub use relu::{
    RELU_BLOCK, ReluShares, relu_alarms, relu_borrows, relu_borrows_with, relu_complement,
    relu_complement_with, relu_digits, relu_digits_with, relu_results, relu_results_with,
};
pub use threads::matmul_acc_by_rows;

use numbers::ring::Ring;
use portable::Portable;
use ppdenoise_base::{ids, numbers};

/// What a backend implements; the drivers around it are shared, safe code.
trait Kernel<R>: Copy {
    /// The most rows of [`Kernel::tile`].
    const MAX_ROWS: usize;

    /// `out = strip^T * panel`: `panel` is depth x [`panels::panel_width`], `strip` depth x `rows`,
    /// `out` rows x panel width, all row-major; 1 <= `rows` <= `MAX_ROWS`.
    fn tile(self, rows: usize, panel: &[R], strip: &[R], out: &mut [R]);
}

/// What a backend implements of the masked lookup sums.
trait Sums: Copy {
    /// [`lookup::masked_sums`] for checked shapes.
    fn masked_sums<R: Ring>(
        self,
        table: &LookupTable,
        one_hot: &[u64],
        offsets: &[u32],
        sums: [&mut [R]; 3],
    );
}

/// Runs `$body` with `$kernel` bound to the backend's vector kernels.
macro_rules! with_kernel {
    ($backend:expr, $kernel:ident => $body:expr) => {
        match $backend {
            $crate::Backend::Portable => {
                let $kernel = $crate::Portable;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Backend::Avx2 => {
                let $kernel = $crate::avx2::Avx2::new().expect("backend is available");
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Backend::Avx512 | $crate::Backend::Amx => {
                let $kernel = $crate::avx512::Avx512::new().expect("backend is available");
                $body
            }
            #[cfg(not(target_arch = "x86_64"))]
            other => panic!("backend {other} is not available"),
        }
    };
}
use with_kernel;

/// Calls `$function::<N>` for the N found at run time, one of those listed.
#[cfg(target_arch = "x86_64")]
macro_rules! by_count {
    ($count:expr, $function:ident $args:tt, $($n:literal)*) => {
        match $count {
            $($n => $function::<$n> $args,)*
            count => unreachable!("no kernel for a count of {count}"),
        }
    };
}
#[cfg(target_arch = "x86_64")]
use by_count;

#[cfg(test)]
mod test_support {
    use super::Backend;
    use crate::numbers::ring::Ring;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    /// The backends that this machine can test.
    pub(super) fn available() -> impl Iterator<Item = Backend> {
        Backend::ALL.into_iter().filter(|b| b.is_available())
    }

    /// Deterministic ring elements.
    pub(super) fn words<R: Ring>(seed: u64, count: usize) -> Vec<R> {
        let mut out = vec![R::ZERO; count];
        ChaCha20Rng::seed_from_u64(seed).fill_bytes(bytemuck::cast_slice_mut(&mut out));
        out
    }
}
