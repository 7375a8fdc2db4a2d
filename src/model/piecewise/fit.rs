//! Weighted least squares fits of quadratics to tanh.

#[cfg(test)]
use super::{Below, Piecewise};
use std::ops::Range;

/// The points of a piece at which the fit is made.
const SAMPLES: usize = 2000;

/// tanh as pieces between these knots and 1 beyond the last, fitted with [`weight`].
#[cfg(test)]
pub(crate) fn tanh(knots: &[f64]) -> Piecewise {
    let mut pieces = Vec::with_capacity(knots.len() + 1);
    let mut from = 0.0;
    for &to in knots {
        pieces.push(quadratic(from..to, f64::tanh));
        from = to;
    }
    pieces.push([0.0, 0.0, 1.0]);
    Piecewise { name: "tanh".into(), knots: knots.to_vec(), pieces, below: Below::Mirrored }
}

/// How much an error at x counts: pre-activations of smooth images lie near 0, but none is free.
pub(crate) fn weight(x: f64) -> f64 {
    (-x * x / 2.0).exp() + 0.02
}

/// \[n, c, d\] closest to `f` on an interval.
#[cfg(test)]
pub(crate) fn quadratic(interval: Range<f64>, f: impl Fn(f64) -> f64) -> [f64; 3] {
    least_squares(interval, [|x| x * x, |x| x, |_| 1.0], f)
}

/// \[c, d\] closest to `f` on an interval.
pub(crate) fn line(interval: Range<f64>, f: impl Fn(f64) -> f64) -> [f64; 2] {
    least_squares(interval, [|x| x, |_| 1.0], f)
}

fn least_squares<const N: usize>(
    interval: Range<f64>,
    basis: [fn(f64) -> f64; N],
    f: impl Fn(f64) -> f64,
) -> [f64; N] {
    let mut matrix = [[0.0; N]; N];
    let mut right = [0.0; N];
    for i in 0..SAMPLES {
        let length = interval.end - interval.start;
        let x = interval.start + length * (i as f64 + 0.5) / SAMPLES as f64;
        for (row, b) in basis.iter().enumerate() {
            for (col, other) in basis.iter().enumerate() {
                matrix[row][col] += weight(x) * b(x) * other(x);
            }
            right[row] += weight(x) * b(x) * f(x);
        }
    }
    solve(matrix, right)
}

/// Gaussian elimination without pivoting; the matrices here are positive definite.
fn solve<const N: usize>(mut m: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for pivot in 0..N {
        for row in pivot + 1..N {
            let factor = m[row][pivot] / m[pivot][pivot];
            let above = m[pivot];
            m[row].iter_mut().zip(above).for_each(|(v, p)| *v -= factor * p);
            right[row] -= factor * right[pivot];
        }
    }
    for row in (0..N).rev() {
        for col in row + 1..N {
            right[row] -= m[row][col] * right[col];
        }
        right[row] /= m[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadratics_and_lines_are_recovered() {
        let [n, c, d] = quadratic(0.3..2.0, |x| 3.0 * x * x - 2.0 * x + 0.25);
        assert!((n - 3.0).abs() < 1e-9 && (c + 2.0).abs() < 1e-9 && (d - 0.25).abs() < 1e-9);
        let [c, d] = line(0.0..0.5, |x| 1.5 - x);
        assert!((c + 1.0).abs() < 1e-9 && (d - 1.5).abs() < 1e-9);
    }
}
