//! How strong the Gaussian noise of an image is, from the image alone.
//!
//! Chen, Zhu and Heng, "An Efficient Statistical Method for Image Noise Level Estimation" (ICCV 2015):
//! natural patches lie near a subspace, so the smallest eigenvalues of their covariance are those of
//! the noise; they begin where mean and median of the remaining eigenvalues agree.

use super::{GreyImage, ImageError};

/// Side of the patches.
const SIDE: usize = 8;
/// Pixels of a patch, the dimension of the covariance.
const DIM: usize = SIDE * SIDE;
/// Fewer patches say too little about a covariance of this size.
const FEWEST: usize = 16 * DIM;
/// More patches say little more and take time.
const MOST: usize = 250_000;

/// The standard deviation of white Gaussian noise in grey levels, estimated.
///
/// Rounding to 8 bits adds a variance of 1/12; clipping at 0 and 255 hides noise in dark and bright
/// parts, which this cannot see. Errors on test images are in docs/numerics.md.
/// Cost: one covariance of at most 250,000 patches of 8x8.
///
/// # Errors
/// [`ImageError::TooSmallToEstimate`] for an image with fewer than 1,024 such patches,
/// [`ImageError::NoNoise`] if what is found is below 0.01 grey levels.
pub fn estimate_sigma(image: &GreyImage) -> Result<f64, ImageError> {
    let (height, width) = (image.height(), image.width());
    let count = |stride: usize| {
        let along = |side: usize| (side + 1).saturating_sub(SIDE).div_ceil(stride);
        along(height) * along(width)
    };
    if count(1) < FEWEST {
        return Err(ImageError::TooSmallToEstimate { height, width });
    }
    // The paper's 3, less for small images, more for large ones.
    let stride = (1..=3).rev().find(|&s| count(s) >= 4 * FEWEST).unwrap_or(1);
    let stride = (stride..).find(|&s| count(s) <= MOST).unwrap_or(stride);
    let mut eigenvalues = eigenvalues(covariance(image, stride));
    eigenvalues.sort_by(|a, b| b.total_cmp(a));
    let sigma = noise_variance(&eigenvalues).max(0.0).sqrt();
    if sigma < 0.01 { Err(ImageError::NoNoise) } else { Ok(sigma) }
}

/// The mean of the eigenvalues, in descending order, from where on it is their median.
fn noise_variance(eigenvalues: &[f64]) -> f64 {
    for first in 0..eigenvalues.len() {
        let rest = &eigenvalues[first..];
        let mean = rest.iter().sum::<f64>() / rest.len() as f64;
        let above = rest.iter().filter(|&&v| v > mean).count();
        let below = rest.iter().filter(|&&v| v < mean).count();
        if above == below {
            return mean;
        }
    }
    // A single value is its own mean and median.
    eigenvalues.last().copied().unwrap_or(0.0)
}

type Matrix = [[f64; DIM]; DIM];

/// The covariance of the patches that begin every `stride` pixels.
fn covariance(image: &GreyImage, stride: usize) -> Box<Matrix> {
    let (height, width, pixels) = (image.height(), image.width(), image.pixels());
    // A constant less on every pixel changes no covariance and keeps digits.
    let level = pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / pixels.len() as f64;
    let mut products: Box<Matrix> = Box::new([[0.0; DIM]; DIM]);
    let (mut sums, mut count) = ([0.0; DIM], 0.0);
    let mut patch = [0.0; DIM];
    for top in (0..=height - SIDE).step_by(stride) {
        for left in (0..=width - SIDE).step_by(stride) {
            for (y, line) in patch.chunks_exact_mut(SIDE).enumerate() {
                let source = &pixels[(top + y) * width + left..][..SIDE];
                line.iter_mut().zip(source).for_each(|(p, &v)| *p = f64::from(v) - level);
            }
            for (i, row) in products.iter_mut().enumerate() {
                let v = patch[i];
                row[..=i].iter_mut().zip(&patch).for_each(|(sum, w)| *sum += v * w);
                sums[i] += v;
            }
            count += 1.0;
        }
    }
    for i in 0..DIM {
        for j in 0..=i {
            let v = products[i][j] / count - sums[i] * sums[j] / (count * count);
            (products[i][j], products[j][i]) = (v, v);
        }
    }
    products
}

/// The eigenvalues of a symmetric matrix, by cyclic Jacobi rotations (Golub and Van Loan, Matrix
/// Computations, 8.5).
fn eigenvalues(mut a: Box<Matrix>) -> [f64; DIM] {
    let norm = |m: &Matrix| m.iter().flatten().map(|v| v * v).sum::<f64>();
    let total = norm(&a);
    for _sweep in 0..30 {
        let diagonal: f64 = (0..DIM).map(|i| a[i][i] * a[i][i]).sum();
        if norm(&a) - diagonal <= 1e-20 * total {
            break;
        }
        for p in 0..DIM {
            for q in p + 1..DIM {
                rotate(&mut a, p, q);
            }
        }
    }
    std::array::from_fn(|i| a[i][i])
}

/// Makes the elements (p, q) and (q, p) zero.
fn rotate(a: &mut Matrix, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let tau = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    for row in a.iter_mut() {
        let (x, y) = (row[p], row[q]);
        (row[p], row[q]) = (c * x - s * y, s * x + c * y);
    }
    let (upper, lower) = a.split_at_mut(q);
    for (x, y) in upper[p].iter_mut().zip(&mut lower[0]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::add_gaussian;

    fn scene(height: usize, width: usize) -> GreyImage {
        let level = |i: usize| {
            let (y, x) = ((i / width) as f32, (i % width) as f32);
            let edge = if (y - 60.0).hypot(x - 80.0) < 40.0 { 60.0 } else { 0.0 };
            90.0 + edge + 30.0 * (x / 23.0).sin() + 20.0 * (y / 17.0).cos()
        };
        GreyImage::new(height, width, (0..height * width).map(level).collect()).unwrap()
    }

    #[test]
    fn known_noise_is_found() {
        let clean = scene(160, 200);
        // The round edge has some energy in every direction, which weak noise does not drown.
        for (sigma, error) in [(5.0, 0.12), (15.0, 0.03), (25.0, 0.03), (50.0, 0.03)] {
            let found = estimate_sigma(&add_gaussian(&clean, sigma, 9).unwrap()).unwrap();
            assert!((found / sigma - 1.0).abs() < error, "{found} for {sigma}");
        }
        let small = add_gaussian(&scene(48, 48), 20.0, 9).unwrap();
        let found = estimate_sigma(&small).unwrap();
        assert!((found / 20.0 - 1.0).abs() < 0.12, "{found}");
    }

    #[test]
    fn images_that_tell_nothing_are_refused() {
        let small = scene(39, 38);
        assert!(matches!(estimate_sigma(&small), Err(ImageError::TooSmallToEstimate { .. })));
        let line = GreyImage::new(1, 4000, vec![1.0; 4000]).unwrap();
        assert!(matches!(estimate_sigma(&line), Err(ImageError::TooSmallToEstimate { .. })));
        let flat = GreyImage::new(64, 64, vec![77.0; 4096]).unwrap();
        assert!(matches!(estimate_sigma(&flat), Err(ImageError::NoNoise)));
    }

    /// Against the eigenvalues of a matrix that is known: D + u u^T with equal D has n - 1 of D and
    /// one of D + |u|^2.
    #[test]
    fn eigenvalues_are_right() {
        let u: [f64; DIM] = std::array::from_fn(|i| (i as f64 * 0.7).sin());
        let a = Box::new(std::array::from_fn(|i| {
            std::array::from_fn(|j| u[i] * u[j] + if i == j { 3.0 } else { 0.0 })
        }));
        let mut found = eigenvalues(a);
        found.sort_by(f64::total_cmp);
        let largest = 3.0 + u.iter().map(|v| v * v).sum::<f64>();
        assert!(found[..DIM - 1].iter().all(|v| (v - 3.0).abs() < 1e-9));
        assert!((found[DIM - 1] - largest).abs() < 1e-9);
    }

    #[test]
    fn the_tail_begins_where_mean_is_median() {
        assert_eq!(noise_variance(&[900.0, 50.0, 11.0, 10.0, 9.0]), 10.0);
        assert_eq!(noise_variance(&[4.0]), 4.0);
    }
}
