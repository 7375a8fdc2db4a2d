//! A piecewise function in integers: what the two servers evaluate, and its exact model.

use super::{Below, MAX_KNOTS, Piecewise, fit};
use crate::crypto::circuit::comparison::Comparison;
use crate::ids::bounded::at_most;
use crate::numbers::fixed::{encode, exp2, sign_extend};
use serde::{Deserialize, Serialize};

/// The most bits an input may have: its values are enumerated when a plan is checked.
const MAX_INPUT_BITS: u32 = 20;

/// The widths and scales of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scales {
    /// l: the ring of the shares, 32 or 64 bits.
    pub ring_bits: u32,
    /// r: pre-activations span [-2^r, 2^r), the whole ring.
    pub range_bits: u32,
    /// n: the width that shares are shrunk to before they are compared.
    pub input_bits: u32,
    /// Fraction bits of the coefficients of x^2.
    pub coeff_frac: u32,
    /// Fraction bits of the result.
    pub out_frac: u32,
}

impl Scales {
    /// The worked set for a ring of 32 bits: inputs of 16 bits, 9 of them fraction, values at 2^29.
    /// The value has two bits of room below the sign, so the finest coefficients that fit are used.
    pub const RING_32: Scales =
        Scales { ring_bits: 32, range_bits: 6, input_bits: 16, coeff_frac: 11, out_frac: 12 };
    /// For a ring of 64 bits: inputs of 20 bits, 13 of them fraction, values at 2^46.
    pub const RING_64: Scales =
        Scales { ring_bits: 64, range_bits: 6, input_bits: 20, coeff_frac: 20, out_frac: 18 };

    /// k: the bits that shrinking drops.
    pub fn shrink_bits(&self) -> u32 {
        self.ring_bits - self.input_bits
    }

    /// s: fraction bits of the shrunk input.
    pub fn input_frac(&self) -> u32 {
        self.input_bits - 1 - self.range_bits
    }

    /// Fraction bits of the polynomials' values.
    pub fn value_frac(&self) -> u32 {
        2 * self.input_frac() + self.coeff_frac
    }

    /// The bits that bring a value to the result's scale.
    pub fn result_shift(&self) -> u32 {
        self.value_frac() - self.out_frac
    }
}

/// One piece in integers, for x >= 0 in input units: square x^2 + linear x + constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// n at `coeff_frac`.
    pub square: i64,
    /// c at `coeff_frac` + `input_frac`.
    pub linear: i64,
    /// d at `value_frac`.
    pub constant: i64,
}

/// A piecewise function in integers; part of a model's public description, so that two machines
/// whose `tanh` differs in the last place cannot disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The function's name, for people.
    pub name: String,
    /// Widths and scales.
    pub scales: Scales,
    /// Knots in input units, strictly increasing.
    #[serde(deserialize_with = "at_most::<_, _, MAX_KNOTS>")]
    pub knots: Vec<u64>,
    /// The pieces, one more than knots.
    #[serde(deserialize_with = "at_most::<_, _, { MAX_KNOTS + 1 }>")]
    pub pieces: Vec<Piece>,
    /// What the function is below 0.
    pub below: Below,
    /// Whether values beyond half of the range raise the alarm: where the range is what samples reached, times a margin.
    pub alarm: bool,
}

/// Why a plan, made or read, is not acceptable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Widths or scales do not fit together.
    #[error("piecewise plan: widths and scales do not fit a ring of {ring_bits} bits")]
    Scales {
        /// The ring asked for.
        ring_bits: u32,
    },
    /// Knots are not strictly increasing inside the range, or too many.
    #[error("piecewise plan: knot {index} is not above the one before it and inside the range")]
    Knot {
        /// Which knot.
        index: usize,
    },
    /// There is not one piece more than knots.
    #[error("piecewise plan: {found} pieces, expected {expected}")]
    PieceCount {
        /// One more than knots.
        expected: usize,
        /// Pieces found.
        found: usize,
    },
    /// A coefficient is beyond the ring.
    #[error("piecewise plan: a coefficient of piece {index} does not fit the ring")]
    Coefficient {
        /// Which piece.
        index: usize,
    },
    /// A value does not leave the room that the last step needs.
    #[error("piecewise plan: the value at input {input} is beyond twice the unit's room")]
    Value {
        /// The input, in its units.
        input: i64,
    },
}

impl Plan {
    /// Rounds a function's knots and coefficients. Where `refit` is set, c and d of a piece are
    /// fitted to tanh again after n was rounded, which the paper's own constants are not.
    ///
    /// # Errors
    /// [`PlanError`] if scales do not fit or a value is out of range.
    pub fn new(function: &Piecewise, scales: Scales, refit: bool) -> Result<Self, PlanError> {
        check_scales(&scales)?;
        let unit = exp2(scales.input_frac());
        let knots: Vec<u64> = function.knots.iter().map(|k| (k * unit).round() as u64).collect();
        let mut pieces = Vec::with_capacity(function.pieces.len());
        for (index, &[n, c, d]) in function.pieces.iter().enumerate() {
            let last = index == function.knots.len();
            let from = if index == 0 { 0.0 } else { function.knots[index - 1] };
            let (square, c, d) = match function.knots.get(index) {
                Some(&to) if refit && !last => {
                    let n = (n * exp2(scales.coeff_frac)).round() / exp2(scales.coeff_frac);
                    let [c, d] = fit::line(from..to, |x| x.tanh() - n * x * x);
                    (n, c, d)
                }
                _ => (n, c, d),
            };
            let fixed =
                |v, frac| encode(v, frac, scales.ring_bits).ok_or(PlanError::Coefficient { index });
            pieces.push(Piece {
                square: fixed(square, scales.coeff_frac)?,
                linear: fixed(c, scales.coeff_frac + scales.input_frac())?,
                constant: fixed(d, scales.value_frac())?,
            });
        }
        let (name, below) = (function.name.clone(), function.below);
        let plan = Plan { name, scales, knots, pieces, below, alarm: false };
        plan.check()?;
        Ok(plan)
    }

    /// Whether a plan that was read can be used.
    ///
    /// # Errors
    /// [`PlanError`], the first rule that is broken.
    pub fn check(&self) -> Result<(), PlanError> {
        check_scales(&self.scales)?;
        let top = 1u64 << (self.scales.input_bits - 1);
        let mut before = 0;
        for (index, &knot) in self.knots.iter().enumerate() {
            if knot <= before || knot >= top || index >= 15 {
                return Err(PlanError::Knot { index });
            }
            before = knot;
        }
        let expected = self.knots.len() + 1;
        if self.pieces.len() != expected {
            return Err(PlanError::PieceCount { expected, found: self.pieces.len() });
        }
        let fits = |v: i64| v.unsigned_abs() < 1 << (self.scales.ring_bits - 1);
        for (index, p) in self.pieces.iter().enumerate() {
            if ![p.square, p.linear, p.constant].into_iter().all(fits) {
                return Err(PlanError::Coefficient { index });
            }
        }
        let room = 1i128 << (self.scales.ring_bits - 2);
        match self.inputs().find(|&x| self.wide_value(x).abs() >= room) {
            Some(input) => Err(PlanError::Value { input }),
            None => Ok(()),
        }
    }

    /// The comparison circuit's description.
    pub fn comparison(&self) -> Comparison {
        Comparison { bits: self.scales.input_bits, knots: self.knots.clone(), alarm: self.alarm }
    }

    /// The bits of a selection's index: the sign, then the bits of the piece.
    pub fn index_bits(&self) -> u32 {
        1 + self.comparison().piece_bits()
    }

    /// Every input.
    pub fn inputs(&self) -> impl Iterator<Item = i64> + use<> {
        let half = 1i64 << (self.scales.input_bits - 1);
        -half..half
    }

    /// The value at input x, at scale `value_frac`, exactly as the servers' shares add up to it.
    ///
    /// The piece is chosen by the one's complement: x below 0 counts as -x - 1.
    pub fn value(&self, x: i64) -> i64 {
        self.wide_value(x) as i64
    }

    /// The two results that the last rounding can give for input x, at scale `out_frac`.
    pub fn results(&self, x: i64) -> [i64; 2] {
        let shift = self.scales.result_shift();
        let floor = self.value(x) >> shift;
        let exact = self.value(x) & ((1 << shift) - 1) == 0;
        [floor, floor + i64::from(!exact)]
    }

    /// The two inputs that shrinking a pre-activation z can give.
    pub fn shrunk(&self, z: i64) -> [i64; 2] {
        let k = self.scales.shrink_bits();
        let floor = z >> k;
        let exact = z & ((1 << k) - 1) == 0;
        [floor, floor + i64::from(!exact)].map(|x| sign_extend(x as u64, self.scales.input_bits))
    }

    /// The largest absolute result, for the ranges of the next layer.
    pub fn max_abs(&self) -> i64 {
        self.inputs().flat_map(|x| self.results(x)).map(i64::abs).max().unwrap_or(0)
    }

    fn wide_value(&self, x: i64) -> i128 {
        if x < 0 && self.below == Below::Zero {
            return 0;
        }
        let magnitude = if x < 0 { -x - 1 } else { x } as u64;
        let piece = &self.pieces[self.knots.iter().filter(|&&k| magnitude >= k).count()];
        let sign = if x < 0 { -1 } else { 1 };
        let x = i128::from(x);
        sign * (i128::from(piece.square) * x * x + i128::from(piece.constant))
            + i128::from(piece.linear) * x
    }
}

fn check_scales(s: &Scales) -> Result<(), PlanError> {
    let fits = matches!(s.ring_bits, 32 | 64)
        && (4..=MAX_INPUT_BITS).contains(&s.input_bits)
        && s.range_bits < s.input_bits - 1
        && s.coeff_frac <= 40
        && s.value_frac() <= s.ring_bits - 3
        && s.out_frac < s.value_frac();
    if fits { Ok(()) } else { Err(PlanError::Scales { ring_bits: s.ring_bits }) }
}
