//! Matrices of bfloat16, and whether they are used.

use super::TrainError;
use numkong::{Global, Tensor, bf16};
use serde::{Deserialize, Serialize};

/// The arithmetic of the matrix products; weights, sums and updates are float32 either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32 throughout.
    F32,
    /// Operands rounded to bfloat16, products summed in float32: six times as fast on processors
    /// with matrix tiles (AMX).
    Bf16,
}

impl Precision {
    /// The name in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

/// A matrix of zeros.
pub(super) fn half((rows, columns): (usize, usize)) -> Result<Half, TrainError> {
    Tensor::try_full(&[rows, columns], numkong::bf16(0)).map_err(|_| TrainError::Memory)
}

pub(super) type Half = Tensor<bf16, Global, 2>;
