//! Steps whose matrices have no long and no short directions (Muon: Jordan et al., 2024).
//!
//! The mean of gradients of a layer is dominated by few directions. An orthogonal matrix near it moves the layer by as
//! much in all directions that it has, so that rare ones are learned too.

use ndarray::Array2;
use ndarray::linalg::general_mat_mul;

/// How much of the mean of gradients stays at each step.
const MOMENTUM: f32 = 0.95;

/// Steps of Newton and Schulz, and the factors of X, (X X^T) X and (X X^T)^2 X in each.
const STEPS: usize = 5;
const FACTORS: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Parts of a matrix of length 1 below which they count as 0; five steps make less than a millionth of them.
const NOTHING: f32 = 1e-9;

/// Adds a gradient, `shorten` times, to the mean of those before, and gives the orthogonal step: of rows as long as
/// those of a square matrix if there are more rows than columns.
pub(super) fn step(mean: &mut Array2<f32>, gradient: &Array2<f32>, shorten: f32) -> Array2<f32> {
    // The mean of a channel that died would stay in subnormal numbers for ever.
    let flushed = |v: f32| if v.is_subnormal() { 0.0 } else { v };
    mean.zip_mut_with(gradient, |mean, gradient| {
        *mean = flushed(MOMENTUM * *mean + shorten * gradient);
    });
    let mut ahead = mean.clone();
    ahead.zip_mut_with(gradient, |mean, gradient| *mean = MOMENTUM * *mean + shorten * gradient);
    let (rows, columns) = ahead.dim();
    let longer = (rows as f32 / columns as f32).max(1.0).sqrt();
    let mut step = if rows > columns {
        orthogonal(ahead.reversed_axes().as_standard_layout().into_owned()).reversed_axes()
    } else {
        orthogonal(ahead)
    };
    step *= longer;
    step.as_standard_layout().into_owned()
}

/// About the orthogonal matrix next to one of as many columns as rows or more: its singular values become 0.7 to 1.2,
/// those below a hundredth of its length less. Each step multiplies by a polynomial of X X^T, so all are taken on this
/// square, which is the smaller matrix.
fn orthogonal(mut x: Array2<f32>) -> Array2<f32> {
    let length = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if length < f64::from(f32::MIN_POSITIVE) {
        return x;
    }
    let shorten = (1.0 / length) as f32;
    // Products with what becomes subnormal take ten times as long.
    x.mapv_inplace(|v| if (v * shorten).abs() < NOTHING { 0.0 } else { v * shorten });
    let mut square = x.dot(&x.t());
    let identity = Array2::eye(x.nrows());
    let mut product = identity.clone();
    for _ in 0..STEPS {
        let mut factor = &identity * FACTORS[0];
        factor.scaled_add(FACTORS[1], &square);
        general_mat_mul(FACTORS[2], &square, &square, 1.0, &mut factor);
        product = factor.dot(&product);
        square = factor.dot(&square).dot(&factor);
    }
    product.dot(&x)
}

#[cfg(test)]
mod tests {
    use super::super::normal::{Normals, SplitMix};
    use super::*;

    fn random(rows: usize, columns: usize) -> Array2<f32> {
        let mut values = vec![0.0; rows * columns];
        Normals::new().fill(&mut SplitMix::at(3, rows as u64, columns as u64), 1.0, &mut values);
        Array2::from_shape_vec((rows, columns), values).unwrap()
    }

    /// The lengths of rows and the angles between them, whatever the lengths were.
    #[test]
    fn rows_become_nearly_orthogonal() {
        for (rows, columns) in [(8, 40), (40, 8), (12, 30)] {
            let mut gradient = random(rows, columns);
            gradient.row_mut(1).mapv_inplace(|v| 0.1 * v);
            let step = step(&mut Array2::zeros((rows, columns)), &gradient, 1.0);
            assert!(step.is_standard_layout());
            let wide = if rows > columns { step.t() } else { step.view() };
            let squares = wide.dot(&wide.t());
            let longest = (rows as f32 / columns as f32).max(1.0);
            for ((i, j), product) in squares.indexed_iter() {
                let product = product / longest;
                let expected = if i == j { 0.3..1.6 } else { -0.5..0.5 };
                assert!(expected.contains(&product), "{rows} {columns} {i} {j}: {product}");
            }
            // Downhill: against the gradient.
            assert!((&step * &gradient).sum() > 0.0);
        }
    }

    /// Neither the length of gradients nor a factor matters; nothing is done without one; gradients of before do.
    #[test]
    fn steps_have_a_length_of_their_own() {
        let gradient = random(6, 20);
        let fresh =
            |gradient: &Array2<f32>, shorten| step(&mut Array2::zeros((6, 20)), gradient, shorten);
        let expected = fresh(&gradient, 1.0);
        for other in [fresh(&(&gradient * 1e-6), 1.0), fresh(&gradient, 0.01)] {
            assert!((&other - &expected).iter().all(|v| v.abs() < 1e-4));
        }
        assert_eq!(fresh(&Array2::zeros((6, 20)), 1.0), Array2::<f32>::zeros((6, 20)));
        let mut mean = Array2::zeros((6, 20));
        step(&mut mean, &random(6, 21).slice_move(ndarray::s![.., ..20]), 1.0);
        assert_ne!(step(&mut mean, &gradient, 1.0), expected);
    }

    /// What has no gradient any more comes to rest, and has no part in the step.
    #[test]
    fn the_mean_of_a_dead_channel_becomes_zero() {
        let mut mean = random(6, 20);
        let mut gradient = random(6, 20);
        gradient.row_mut(2).fill(0.0);
        let last = (0..3000).map(|_| step(&mut mean, &gradient, 1.0)).last().unwrap();
        assert!(mean.row(2).iter().chain(last.row(2)).all(|v| *v == 0.0));
        assert!(mean.row(1).iter().all(|v| *v != 0.0));
    }
}
