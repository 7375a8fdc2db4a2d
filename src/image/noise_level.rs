//! How strong the Gaussian noise of an image is, from the image alone.
//!
//! Two published ideas, one after the other. Liu, Tanaka and Okutomi ("Single-Image Noise Level
//! Estimation for Blind Denoising", IEEE Trans. Image Processing 22(12), 2013) look at patches with
//! little texture only: those whose gradients are no stronger than noise of the level found so far
//! would make them, three times over. Chen, Zhu and Heng ("An Efficient Statistical Method for Image
//! Noise Level Estimation", ICCV 2015) find the noise among the eigenvalues of the patches'
//! covariance: it begins where mean and median of the remaining ones agree. The smallest
//! eigenvalue, which the first take, is too small for few patches; all patches, which the second
//! take, are too many for textured images.

use super::{GreyImage, ImageError};
use ppdenoise_base::size::Size;

/// Side of the patches.
const SIDE: usize = 7;
/// Pixels of a patch, the dimension of the covariance.
const DIM: usize = SIDE * SIDE;
/// Fewer patches say too little about a covariance of this size.
const FEWEST: usize = 16 * DIM;
/// More patches say little more and take time.
const MOST: usize = 250_000;
/// How often patches are selected.
const ROUNDS: usize = 3;

/// The standard deviation of white Gaussian noise in grey levels, estimated.
///
/// Rounding to 8 bits adds a variance of 1/12; patches with a pixel of 0 or 255 are left out, since
/// clipping takes noise away there. Errors on test images are in docs/numerics.md.
/// Cost: four covariances of at most 250,000 patches of 7x7.
///
/// # Errors
/// [`ImageError::TooSmallToEstimate`] for an image with fewer than 784 such patches (34x34 pixels
/// have them), [`ImageError::NoNoise`] if what is found is below 0.01 grey levels.
pub fn estimate_sigma(image: &GreyImage) -> Result<f64, ImageError> {
    let Size { height, width } = image.size();
    let count = |stride: usize| {
        let along = |side: usize| (side + 1).saturating_sub(SIDE).div_ceil(stride);
        along(height) * along(width)
    };
    if count(1) < FEWEST {
        return Err(ImageError::TooSmallToEstimate { height, width });
    }
    // Every other pixel; all of a small image, fewer of a large one.
    let stride = if count(2) >= 16 * FEWEST { 2 } else { 1 };
    let stride = (stride..).find(|&s| count(s) <= MOST).unwrap_or(stride);
    let patches = Patches { image, stride };
    let mut textures: Vec<f64> = patches.iter().map(|patch| texture(&patch)).collect();
    leave_out_clipped(&patches, &mut textures);
    let mut variance = tail(patches.covariance(|i| textures[i].is_finite()));
    for _ in 0..ROUNDS {
        let limit = flat_texture() * variance;
        if textures.iter().filter(|&&t| t < limit).count() < FEWEST {
            break;
        }
        variance = tail(patches.covariance(|i| textures[i] < limit));
    }
    let sigma = variance.max(0.0).sqrt();
    if sigma < 0.01 { Err(ImageError::NoNoise) } else { Ok(sigma) }
}

type Patch = [f64; DIM];
type Matrix = [[f64; DIM]; DIM];

/// The patches of an image that begin every `stride` pixels.
struct Patches<'a> {
    image: &'a GreyImage,
    stride: usize,
}

impl Patches<'_> {
    fn iter(&self) -> impl Iterator<Item = Patch> + '_ {
        let (width, pixels) = (self.image.width(), self.image.pixels());
        let starts = |side: usize| (0..=side - SIDE).step_by(self.stride);
        let at = move |top: usize, left: usize| -> Patch {
            // A constant less on every pixel changes nothing that follows and keeps digits.
            std::array::from_fn(|i| {
                f64::from(pixels[(top + i / SIDE) * width + left + i % SIDE]) - 127.5
            })
        };
        let lefts = starts(width);
        starts(self.image.height())
            .flat_map(move |top| lefts.clone().map(move |left| at(top, left)))
    }

    /// The covariance of the patches whose number is `chosen`; at least one is.
    fn covariance(&self, chosen: impl Fn(usize) -> bool) -> Box<Matrix> {
        let mut products: Box<Matrix> = Box::new([[0.0; DIM]; DIM]);
        let (mut sums, mut count) = ([0.0; DIM], 0.0);
        for (_, patch) in self.iter().enumerate().filter(|(i, _)| chosen(*i)) {
            for (i, row) in products.iter_mut().enumerate() {
                let v = patch[i];
                row[..=i].iter_mut().zip(&patch).for_each(|(sum, w)| *sum += v * w);
                sums[i] += v;
            }
            count += 1.0;
        }
        for i in 0..DIM {
            for j in 0..=i {
                let v = products[i][j] / count - sums[i] * sums[j] / (count * count);
                (products[i][j], products[j][i]) = (v, v);
            }
        }
        products
    }
}

/// Patches with a pixel of exactly 0 or 255 have lost noise to clipping: their texture becomes
/// infinite, so that they are never chosen, unless few others are there.
fn leave_out_clipped(patches: &Patches<'_>, textures: &mut [f64]) {
    let clipped: Vec<bool> =
        patches.iter().map(|patch| patch.iter().any(|&v| v == -127.5 || v == 127.5)).collect();
    if clipped.iter().filter(|&&c| !c).count() >= FEWEST {
        textures.iter_mut().zip(clipped).filter(|(_, c)| *c).for_each(|(t, _)| *t = f64::INFINITY);
    }
}

/// The squared differences of all neighbours in a patch.
fn texture(patch: &Patch) -> f64 {
    let right = (0..DIM).filter(|i| i % SIDE + 1 < SIDE).map(|i| patch[i + 1] - patch[i]);
    let below = (0..DIM - SIDE).map(|i| patch[i + SIDE] - patch[i]);
    right.chain(below).map(|d| d * d).sum()
}

/// The texture that 99 of 100 flat patches stay below, noise of variance 1: a gamma variable of
/// shape DIM / 2 and mean 2 a difference, its quantile by Wilson and Hilferty (1931). The first
/// authors' 1 - 10^-6 lets more texture in.
fn flat_texture() -> f64 {
    let differences = (2 * SIDE * (SIDE - 1)) as f64;
    let ninth = 2.0 / (9.0 * DIM as f64);
    let quantile = 2.326;
    2.0 * differences * (1.0 - ninth + quantile * ninth.sqrt()).powi(3)
}

/// The variance of the noise from a covariance of patches.
fn tail(covariance: Box<Matrix>) -> f64 {
    let mut eigenvalues = eigenvalues(covariance);
    eigenvalues.sort_by(|a, b| b.total_cmp(a));
    noise_variance(&eigenvalues)
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
    use crate::add_gaussian;

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
        for (sigma, error) in [(5.0, 0.03), (15.0, 0.03), (25.0, 0.03), (50.0, 0.03)] {
            let found = estimate_sigma(&add_gaussian(&clean, sigma, 9).unwrap()).unwrap();
            assert!((found / sigma - 1.0).abs() < error, "{found} for {sigma}");
        }
        // Clipped in the disc and far into its surroundings.
        let bright = GreyImage::new(160, 200, clean.pixels().iter().map(|v| v + 70.0).collect());
        let clipped = add_gaussian(&bright.unwrap(), 25.0, 9).unwrap().rounded();
        let found = estimate_sigma(&clipped).unwrap();
        assert!((found / 25.0 - 1.0).abs() < 0.06, "{found}");
        let small = add_gaussian(&scene(48, 48), 20.0, 9).unwrap();
        let found = estimate_sigma(&small).unwrap();
        assert!((found / 20.0 - 1.0).abs() < 0.12, "{found}");
    }

    #[test]
    fn images_that_tell_nothing_are_refused() {
        let small = scene(33, 34);
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
