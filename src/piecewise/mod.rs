//! Odd functions as pieces of quadratics: the activation of the garbled-circuit engine.
//!
//! For x >= 0 piece r holds from knot r - 1 to knot r and is n x^2 + c x + d; below 0 the function
//! is minus its value at -x. [`Piecewise`] is such a function in real numbers: the paper's Eq. 3
//! ([`Piecewise::zheng`]), the same shape with better constants ([`Piecewise::refit2`]), fits of
//! tanh to any knots ([`fit::tanh`]). [`Plan`] is one with integer coefficients, with everything
//! that two servers must agree on, and [`steps`] is what each of them computes on its shares.

#[cfg(test)]
mod accuracy;
pub mod fit;
mod plan;
pub mod steps;
#[cfg(test)]
mod tests;

pub use plan::{Piece, Plan, PlanError, Scales};

/// A piecewise quadratic, odd function.
#[derive(Clone, Debug, PartialEq)]
pub struct Piecewise {
    /// The function's name, for people.
    pub name: String,
    /// Where pieces end, strictly increasing and positive.
    pub knots: Vec<f64>,
    /// \[n, c, d\] of each piece; one more than knots.
    pub pieces: Vec<[f64; 3]>,
}

impl Piecewise {
    /// The paper's tanh*, Eq. 3 (after Lin and Wang, ISCAS 2008).
    pub fn zheng() -> Self {
        let pieces = vec![[-0.2716, 1.0, 0.016], [-0.0848, 0.42654, 0.4519], [0.0, 0.0, 1.0]];
        Piecewise { name: "zheng".into(), knots: vec![1.52, 2.57], pieces }
    }

    /// The shape of Eq. 3 with constants of least error, continuous at 0 (maximum error 0.0065).
    pub fn refit2() -> Self {
        let pieces =
            vec![[-0.32175, 1.08316, 0.0], [-0.050628, 0.280558, 0.603803], [0.0, 0.0, 1.0]];
        Piecewise { name: "refit2".into(), knots: vec![1.51074, 2.99329], pieces }
    }

    /// The default: tanh at knots 0.5, 1, 2 and 3.5, whose comparisons are cheap.
    pub fn refit() -> Self {
        Piecewise { name: "refit".into(), ..fit::tanh(&[0.5, 1.0, 2.0, 3.5]) }
    }

    /// The value at x.
    pub fn eval(&self, x: f64) -> f64 {
        let m = x.abs();
        let [n, c, d] = self.pieces[self.knots.iter().filter(|&&k| m > k).count()];
        (n * m * m + c * m + d) * if x < 0.0 { -1.0 } else { 1.0 }
    }
}
