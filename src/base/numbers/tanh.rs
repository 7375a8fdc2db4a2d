//! tanh in plaintext, and the piecewise polynomials that stand in for it.
//!
//! The stand-ins are what a garbled circuit can afford: it compares |x| with a few knots, and the
//! polynomial of the region is evaluated on shares. They are odd functions: a polynomial in |x|,
//! times the sign of x.

/// tanh, or what stands in for it, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TanhStandIn {
    /// The exact hyperbolic tangent.
    #[default]
    Tanh,
    /// Equation 3 of "Denoising in the Dark", which jumps by 0.032 at 0.
    Zheng,
    /// The shape of [`TanhStandIn::Zheng`] with better constants and no jump at 0.
    Refit2,
    /// Four cheap knots, most exact near 0, where smooth images live.
    Refit,
    /// SecureML's piecewise linear sigmoid as tanh(x) = 2 sigmoid(2x) - 1; for comparison only.
    SecureMl,
}

impl TanhStandIn {
    /// tanh itself, and every stand-in.
    pub const ALL: [TanhStandIn; 5] = [
        TanhStandIn::Tanh,
        TanhStandIn::Zheng,
        TanhStandIn::Refit2,
        TanhStandIn::Refit,
        TanhStandIn::SecureMl,
    ];

    /// The names that [`TanhStandIn::from_name`] knows, in the order of [`TanhStandIn::ALL`].
    pub const NAMES: [&'static str; 5] = ["tanh", "zheng", "refit2", "refit", "secureml"];

    /// The one called `name`.
    ///
    /// # Errors
    /// [`UnknownStandIn`] lists the names there are.
    pub fn from_name(name: &str) -> Result<TanhStandIn, UnknownStandIn> {
        TanhStandIn::ALL
            .into_iter()
            .find(|a| a.name() == name)
            .ok_or_else(|| UnknownStandIn { name: name.into() })
    }

    /// Its name, one of [`TanhStandIn::NAMES`].
    pub fn name(self) -> &'static str {
        match self {
            TanhStandIn::Tanh => "tanh",
            TanhStandIn::Zheng => "zheng",
            TanhStandIn::Refit2 => "refit2",
            TanhStandIn::Refit => "refit",
            TanhStandIn::SecureMl => "secureml",
        }
    }

    /// Its knots and coefficients; `None` for the exact tanh.
    pub fn piecewise(self) -> Option<PiecewisePoly> {
        match self {
            TanhStandIn::Tanh => None,
            TanhStandIn::Zheng => Some(ZHENG),
            TanhStandIn::Refit2 => Some(REFIT2),
            TanhStandIn::Refit => Some(REFIT),
            TanhStandIn::SecureMl => Some(SECUREML),
        }
    }

    /// The function at `x`. NaN gives NaN.
    pub fn eval(self, x: f64) -> f64 {
        self.piecewise().map_or_else(|| x.tanh(), |p| p.eval(x))
    }

    /// Applies the function to every value in place: tanh in f32, the polynomials in f64.
    pub fn apply(self, values: &mut [f32]) {
        match self.piecewise() {
            None => values.iter_mut().for_each(|v| *v = v.tanh()),
            Some(p) => p.apply(values),
        }
    }
}

impl std::str::FromStr for TanhStandIn {
    type Err = UnknownStandIn;

    fn from_str(name: &str) -> Result<TanhStandIn, UnknownStandIn> {
        TanhStandIn::from_name(name)
    }
}

impl std::fmt::Display for TanhStandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no stand-in of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown activation `{name}`; expected one of {}", TanhStandIn::NAMES.join(", "))]
pub struct UnknownStandIn {
    /// The name asked for.
    pub name: String,
}

/// One interval of |x| and its polynomial n x^2 + c |x| + d.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// The largest |x| of the interval; it begins just above the `upto` of the piece before, or at
    /// 0.
    pub upto: f64,
    /// Coefficient of x^2.
    pub n: f64,
    /// Coefficient of |x|.
    pub c: f64,
    /// The constant.
    pub d: f64,
}

/// An odd function: the piece that holds |x|, or 1 beyond the last, times the sign of x; 0 at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PiecewisePoly {
    /// In increasing order of `upto`.
    pub pieces: &'static [Piece],
}

impl PiecewisePoly {
    /// The function at `x`. NaN gives NaN.
    pub fn eval(&self, x: f64) -> f64 {
        if x == 0.0 {
            return x;
        }
        let size = x.abs();
        let value = match self.pieces.iter().find(|p| size <= p.upto) {
            Some(p) => (p.n * size + p.c) * size + p.d,
            None => 1.0,
        };
        // signum() of NaN is NaN.
        x.signum() * value
    }

    /// Applies the function to every value in place: [`PiecewisePoly::eval`] rounded to f32.
    ///
    /// Fast up to four pieces.
    pub fn apply(&self, values: &mut [f32]) {
        match *self.pieces {
            [a] => apply_unrolled([a], values),
            [a, b] => apply_unrolled([a, b], values),
            [a, b, c] => apply_unrolled([a, b, c], values),
            [a, b, c, d] => apply_unrolled([a, b, c, d], values),
            _ => values.iter_mut().for_each(|v| *v = self.eval(f64::from(*v)) as f32),
        }
    }
}

/// With the number of pieces known, the compiler needs no branches and makes vectors of it. (Loops
/// over blocks with the pieces outside do not survive link-time optimisation as vectors.)
#[inline(always)]
fn apply_unrolled<const N: usize>(pieces: [Piece; N], values: &mut [f32]) {
    for v in values {
        let size = f64::from(v.abs());
        let mut result = 1.0;
        // From the outermost: each piece overrules those further out.
        for p in pieces.iter().rev() {
            let value = (p.n * size + p.c) * size + p.d;
            result = if size <= p.upto { value } else { result };
        }
        let odd = result as f32 * 1f32.copysign(*v);
        *v = if *v == 0.0 || v.is_nan() { *v } else { odd };
    }
}

const fn piece(upto: f64, n: f64, c: f64, d: f64) -> Piece {
    Piece { upto, n, c, d }
}

/// Zheng et al., IEEE TDSC 18(3), 2021, equation 3 (after Lin and Wang, ISCAS 2008).
pub const ZHENG: PiecewisePoly = PiecewisePoly {
    pieces: &[piece(1.52, -0.2716, 1.0, 0.016), piece(2.57, -0.0848, 0.42654, 0.4519)],
};

/// Knots and coefficients both chosen for a small error on average and at worst.
pub const REFIT2: PiecewisePoly = PiecewisePoly {
    pieces: &[
        piece(1.51074, -0.32175, 1.08316, 0.0),
        piece(2.99329, -0.050628, 0.280558, 0.603803),
    ],
};

/// Least squares weighted by exp(-x^2/2) + 0.02, a piece at a time: fixtures/vectors/refit.py, and
/// recomputed in the tests below. A circuit compares with these knots in few gates.
pub const REFIT: PiecewisePoly = PiecewisePoly {
    pieces: &[
        piece(0.5, -0.199572855997, 1.028168313689, 0.0),
        piece(1.0, -0.374026407181, 1.159080376388, -0.023795648057),
        piece(2.0, -0.176465546362, 0.722661864085, 0.218952740955),
        piece(3.5, -0.021094867435, 0.135964906443, 0.778122092559),
    ],
};

/// Mohassel and Zhang, IEEE S&P 2017: sigmoid(x) ~ 0, x + 1/2, 1 with corners at -1/2 and 1/2.
const SECUREML: PiecewisePoly = PiecewisePoly { pieces: &[piece(0.25, 0.0, 4.0, 0.0)] };

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Largest error on [0, 16], and the root mean square under a normal law of deviation 2.
    fn errors(a: TanhStandIn) -> (f64, f64) {
        let (mut max, mut sum, mut mass) = (0f64, 0.0, 0.0);
        for i in 1..=1_600_000 {
            let x = f64::from(i) * 1e-5;
            let e = a.eval(x) - x.tanh();
            let weight = (-x * x / 8.0).exp();
            max = max.max(e.abs());
            sum += weight * e * e;
            mass += weight;
        }
        (max, (sum / mass).sqrt())
    }

    /// The published or measured errors, to the digits they are stated with.
    #[test]
    fn errors_are_as_stated() {
        let stated = [
            (TanhStandIn::Zheng, 0.0220, 0.0107),
            (TanhStandIn::Refit2, 0.0065, 0.0028),
            (TanhStandIn::Refit, 0.0056, 0.0011),
            (TanhStandIn::SecureMl, 0.7551, 0.3037),
        ];
        for (a, max, rms) in stated {
            let found = errors(a);
            assert!((found.0 - max).abs() <= 0.5e-4, "{a}: max {} stated {max}", found.0);
            assert!((found.1 - rms).abs() <= 0.5e-4, "{a}: rms {} stated {rms}", found.1);
        }
        assert_eq!(errors(TanhStandIn::Tanh), (0.0, 0.0));
    }

    /// Solves the weighted normal equations of one piece by Simpson's rule and elimination.
    fn least_squares(low: f64, high: f64, terms: usize) -> [f64; 3] {
        let steps = 4000;
        let h = (high - low) / f64::from(steps);
        let mut m = [[0f64; 4]; 3];
        for i in 0..=steps {
            let x = low + f64::from(i) * h;
            let simpson = if i == 0 || i == steps { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
            let weight = simpson * ((-x * x / 2.0).exp() + 0.02);
            let basis = [x * x, x, 1.0];
            for r in 0..terms {
                for c in 0..terms {
                    m[r][c] += weight * basis[r] * basis[c];
                }
                m[r][3] += weight * basis[r] * x.tanh();
            }
        }
        // Gauss-Jordan; the matrix is positive definite, so no pivoting.
        for p in 0..terms {
            let pivot = m[p];
            for (_, row) in m.iter_mut().enumerate().take(terms).filter(|(r, _)| *r != p) {
                let factor = row[p] / pivot[p];
                for (v, q) in row.iter_mut().zip(pivot) {
                    *v -= factor * q;
                }
            }
        }
        let mut solution = [0.0; 3];
        for (p, s) in solution.iter_mut().enumerate().take(terms) {
            *s = m[p][3] / m[p][p];
        }
        solution
    }

    #[test]
    fn refit_is_the_least_squares_solution() {
        let mut low = 0.0;
        for p in REFIT.pieces {
            let [n, c, d] = least_squares(low, p.upto, if low == 0.0 { 2 } else { 3 });
            for (found, stored) in [(n, p.n), (c, p.c), (d, p.d)] {
                assert!((found - stored).abs() < 1e-8, "upto {}: {found} {stored}", p.upto);
            }
            low = p.upto;
        }
        assert_eq!(low, 3.5);
    }

    #[test]
    fn pieces_hold_their_upper_knot_and_one_lies_beyond() {
        assert_eq!(ZHENG.eval(1.52), (-0.2716 * 1.52 + 1.0) * 1.52 + 0.016);
        assert_eq!(ZHENG.eval(2.5700001), 1.0);
        assert_eq!(ZHENG.eval(f64::NEG_INFINITY), -1.0);
        assert_eq!(SECUREML.eval(-0.25), -1.0);
        assert_eq!(SECUREML.eval(0.125), 0.5);
        for a in TanhStandIn::ALL {
            assert_eq!(a.eval(0.0), 0.0, "{a}");
            assert!(a.eval(f64::NAN).is_nan(), "{a}");
            if let Some(p) = a.piecewise() {
                assert!(p.pieces.windows(2).all(|w| w[0].upto < w[1].upto), "{a}");
            }
        }
    }

    #[test]
    fn names_are_listed_and_parse() {
        for (a, name) in TanhStandIn::ALL.into_iter().zip(TanhStandIn::NAMES) {
            assert_eq!(a.name(), name);
            assert_eq!(TanhStandIn::from_name(name), Ok(a));
        }
        let text = TanhStandIn::from_name("Tanh").unwrap_err().to_string();
        let expected =
            "unknown activation `Tanh`; expected one of tanh, zheng, refit2, refit, secureml";
        assert_eq!(text, expected);
    }

    /// Any knots with their neighbours, and values that are easily got wrong.
    fn awkward_inputs(pieces: &[Piece]) -> Vec<f32> {
        let mut inputs: Vec<f32> = (-400..=400).map(|i| i as f32 * 0.01).collect();
        for k in pieces.iter().map(|p| p.upto as f32) {
            inputs.extend([k, k.next_down(), k.next_up(), -k, -k.next_down(), -k.next_up()]);
        }
        inputs.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MIN, f32::MAX]);
        inputs.extend([f32::MIN_POSITIVE, -1e-45, f32::NAN]);
        inputs
    }

    #[test]
    fn apply_is_eval_rounded_bit_for_bit() {
        // No piece, each stored number of pieces, three, and more than are unrolled.
        let three = PiecewisePoly { pieces: &REFIT.pieces[..3] };
        const FIVE: [Piece; 5] = [
            SECUREML.pieces[0],
            REFIT.pieces[0],
            REFIT.pieces[1],
            REFIT.pieces[2],
            REFIT.pieces[3],
        ];
        let (none, five) = (PiecewisePoly { pieces: &[] }, PiecewisePoly { pieces: &FIVE });
        for p in [none, SECUREML, ZHENG, REFIT2, three, REFIT, five] {
            let inputs = awkward_inputs(p.pieces);
            for from in [0, 1, 2, 3, inputs.len() - 1, inputs.len()] {
                let mut values = inputs[from..].to_vec();
                p.apply(&mut values);
                for (&x, &y) in inputs[from..].iter().zip(&values) {
                    let exact = p.eval(f64::from(x)) as f32;
                    let same = y.to_bits() == exact.to_bits() || x.is_nan() && y.is_nan();
                    assert!(same, "{} pieces at {x}: {y}, expected {exact}", p.pieces.len());
                }
            }
        }
    }

    #[test]
    fn tanh_in_f32_is_tanh() {
        let inputs = awkward_inputs(&[]);
        let mut values = inputs.clone();
        TanhStandIn::Tanh.apply(&mut values);
        for (x, y) in inputs.iter().map(|x| f64::from(*x)).zip(values) {
            let close = (f64::from(y) - x.tanh()).abs() < 2e-7;
            assert!(close || x.is_nan() && y.is_nan(), "{x}: {y}");
        }
    }

    proptest! {
        #[test]
        fn every_stand_in_is_odd(x in -8.0f64..8.0) {
            for a in TanhStandIn::ALL {
                prop_assert_eq!(a.eval(-x), -a.eval(x));
            }
        }
    }
}
