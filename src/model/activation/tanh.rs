//! The hyperbolic tangent: bounded, so its ranges are guaranteed; looked up, or replaced by pieces in garbled circuits.

use super::cells::Cells;
use super::engine::EngineKind;
use super::rules::{Circuit, Rules, Tables};
use crate::model::piecewise::Piecewise;
use crate::numbers::ring::RingBits;
use crate::numbers::slope_table::balanced_lo;

/// tanh(x).
pub(super) struct Tanh;

impl Rules for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn eval(&self, x: f64) -> f64 {
        x.tanh()
    }

    fn apply(&self, values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v = v.tanh());
    }

    fn is_positively_homogeneous(&self) -> bool {
        false
    }

    fn has_calibrated_ranges(&self) -> bool {
        false
    }

    fn engine(&self) -> EngineKind {
        EngineKind::Lut
    }

    fn tables(&self) -> Option<&dyn Tables> {
        Some(self)
    }

    fn circuit(&self) -> Option<Circuit> {
        Some(Circuit::StandIn)
    }

    fn train(&self, values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v = fast(*v));
    }

    fn differentiate(&self, given: &[f32], loss: &mut [f32]) {
        loss.iter_mut().zip(given).for_each(|(s, h)| *s *= 1.0 - h * h);
    }
}

impl Tables for Tanh {
    /// Of 1/4.
    fn usual_cells(&self) -> Cells {
        Cells::of_bits(2)
    }

    /// Inputs that are larger by a factor need a range larger by that factor, and a power of two may
    /// be twice as much; a table may be of tanh(stretch x) as well as of tanh(x). Follows from the
    /// public interval alone, so that the range tells no more of the weights than at the own level.
    fn stretch(&self, reach: f64) -> f64 {
        reach.max(1.0)
    }

    /// Weight rounding costs more than activation rounding.
    fn most_frac(&self, ring: RingBits) -> u32 {
        match ring {
            RingBits::L32 => 13,
            RingBits::L64 => 20,
        }
    }

    /// Where the slope varies they balance two rounding errors.
    fn low_bits(&self, out_frac: u32, range_bits: u32, hi: u32) -> u32 {
        balanced_lo(out_frac, hi.saturating_sub(range_bits + 1))
    }
}

/// tanh to 2e-7, without branches so that the compiler makes vectors of it:
/// (e - 1) / (e + 1) with e = exp(2x) = 2^n 2^f, n whole and |f| <= 1/2.
fn fast(x: f32) -> f32 {
    /// Adding and taking it off rounds to a whole number, which stays in the low bits.
    const WHOLE: f32 = 12_582_912.0;
    let t = x.clamp(-9.0, 9.0) * (2.0 * std::f32::consts::LOG2_E);
    let shifted = t + WHOLE;
    let y = (t - (shifted - WHOLE)) * std::f32::consts::LN_2;
    // exp(y) for |y| <= 0.347.
    let p = 1.0 / 720.0;
    let p = p * y + 1.0 / 120.0;
    let p = p * y + 1.0 / 24.0;
    let p = p * y + 1.0 / 6.0;
    let p = p * y + 0.5;
    let p = (p * y + 1.0) * y + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let e = p * power;
    (e - 1.0) / (e + 1.0)
}

/// The pieces that stand in for tanh in garbled circuits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TanhPieces {
    /// The paper's.
    Zheng,
    /// Two pieces, refitted.
    Refit2,
    /// More pieces, refitted.
    Refit,
    /// Those of the model's description.
    Model,
}

impl TanhPieces {
    /// Every choice.
    pub const ALL: [TanhPieces; 4] =
        [TanhPieces::Zheng, TanhPieces::Refit2, TanhPieces::Refit, TanhPieces::Model];

    /// Its name in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            TanhPieces::Zheng => "zheng",
            TanhPieces::Refit2 => "refit2",
            TanhPieces::Refit => "refit",
            TanhPieces::Model => "model",
        }
    }

    /// The pieces, and whether they are fitted again after rounding; none if they are `own`, the model's, and it has
    /// none.
    pub(in crate::model) fn function(self, own: Option<&Piecewise>) -> Option<(Piecewise, bool)> {
        Some(match self {
            TanhPieces::Zheng => (Piecewise::zheng(), false),
            TanhPieces::Refit2 => (Piecewise::refit2(), true),
            TanhPieces::Refit => (Piecewise::refit(), true),
            TanhPieces::Model => (own?.clone(), false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_takes_a_tanh_that_is_close_everywhere() {
        for i in -120_000..=120_000 {
            let x = i as f32 * 1e-4;
            assert!((f64::from(fast(x)) - f64::from(x).tanh()).abs() < 3e-7, "{x}");
        }
        assert!((fast(1e30) - 1.0).abs() < 1e-6 && (fast(-1e30) + 1.0).abs() < 1e-6);
    }
}
