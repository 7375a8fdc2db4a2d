//! Functions as pieces of quadratics: the activation of the garbled-circuit engine.
//!
//! For x >= 0 piece r holds from knot r - 1 to knot r and is n x^2 + c x + d; below 0 the function
//! is minus its value at -x, or 0. [`Piecewise`] is such a function in real numbers: the paper's Eq. 3
//! ([`Piecewise::zheng`]), the same shape with better constants ([`Piecewise::refit2`]), fits of
//! tanh to any knots ([`fit::tanh`]). [`Plan`] is one with integer coefficients, with everything
//! that two servers must agree on, and [`steps`] is what each of them computes on its shares.

#[cfg(test)]
mod accuracy;
pub(crate) mod fit;
mod plan;
pub(crate) mod steps;
#[cfg(test)]
mod tests;

use crate::numbers::tanh::{PiecewisePoly, REFIT, REFIT2, ZHENG};

pub(crate) use plan::{Plan, PlanError, Scales};

/// The most knots of a function.
pub(crate) const MAX_KNOTS: usize = 15;

/// What a piecewise function is below 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Below {
    /// Minus its value at -x: an odd function.
    #[default]
    Mirrored,
    /// 0.
    Zero,
}

/// A piecewise quadratic function.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Piecewise {
    /// The function's name, for people.
    pub name: String,
    /// Where pieces end, strictly increasing and positive.
    pub knots: Vec<f64>,
    /// \[n, c, d\] of each piece; one more than knots.
    pub pieces: Vec<[f64; 3]>,
    /// What it is below 0.
    #[serde(default)]
    pub below: Below,
}

impl Piecewise {
    /// The paper's tanh*, Eq. 3 (after Lin and Wang, ISCAS 2008).
    pub fn zheng() -> Self {
        Self::of("zheng", &ZHENG)
    }

    /// The shape of Eq. 3 with constants of least error, continuous at 0 (maximum error 0.0065).
    pub fn refit2() -> Self {
        Self::of("refit2", &REFIT2)
    }

    /// The default: tanh at knots 0.5, 1, 2 and 3.5, whose comparisons are cheap.
    pub fn refit() -> Self {
        Self::of("refit", &REFIT)
    }

    /// The same pieces, and 1 beyond the last.
    fn of(name: &str, function: &PiecewisePoly) -> Self {
        let knots = function.pieces.iter().map(|p| p.upto).collect();
        let inner = function.pieces.iter().map(|p| [p.n, p.c, p.d]);
        let pieces = inner.chain([[0.0, 0.0, 1.0]]).collect();
        Piecewise { name: name.into(), knots, pieces, below: Below::Mirrored }
    }

    /// max(x, 0), which needs nothing but the sign.
    pub fn relu() -> Self {
        let pieces = vec![[0.0, 1.0, 0.0]];
        Piecewise { name: "relu".into(), knots: Vec::new(), pieces, below: Below::Zero }
    }

    /// Why this function, read from a file, cannot be used.
    pub fn problem(&self) -> Option<&'static str> {
        let mut from = 0.0;
        for &knot in &self.knots {
            if !(knot.is_finite() && knot > from) {
                return Some("knots must be positive and increasing");
            }
            from = knot;
        }
        if self.knots.is_empty() || self.knots.len() > MAX_KNOTS {
            return Some("there must be 1 to 15 knots");
        }
        if self.pieces.len() != self.knots.len() + 1 {
            return Some("there must be one piece more than knots");
        }
        let finite = self.pieces.iter().flatten().all(|v| v.is_finite());
        (!finite).then_some("coefficients must be finite")
    }

    /// The value at x.
    pub fn eval(&self, x: f64) -> f64 {
        let m = x.abs();
        let [n, c, d] = self.pieces[self.knots.iter().filter(|&&k| m > k).count()];
        let sign = match self.below {
            _ if x >= 0.0 => 1.0,
            Below::Mirrored => -1.0,
            Below::Zero => 0.0,
        };
        (n * m * m + c * m + d) * sign
    }
}
