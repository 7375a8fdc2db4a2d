//! Gaussian and Poisson noise for experiments, reproducible from a number.

use super::{GreyImage, ImageError, Poisson};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// What noise follows from: a number, and which plane of an image it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseSeed {
    /// The user's number.
    pub seed: u64,
    /// 0 for grey and red, 1 for green, 2 for blue: channels have noise of their own.
    pub plane: u64,
}

impl From<u64> for NoiseSeed {
    fn from(seed: u64) -> Self {
        NoiseSeed { seed, plane: 0 }
    }
}

impl NoiseSeed {
    fn generator(self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.key())
    }

    fn key(self) -> [u8; 32] {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&self.plane.to_le_bytes());
        key
    }
}

/// The image plus white Gaussian noise of standard deviation `sigma` grey levels, unclipped.
///
/// The generator is ChaCha20, stream 0, with the 32-byte key that holds the seed in its first 8
/// bytes, little-endian, the plane in the next 8, and zeros after. Standard normals (`rand_distr`, f64) are drawn in
/// row-major order; level + sigma * normal is computed in f64 and rounded once to f32. For test
/// images, not for secrets.
///
/// # Errors
/// [`ImageError::Sigma`] if `sigma` is negative or not finite; [`ImageError::NotFinite`] if a noisy
/// level overflows f32.
pub fn add_gaussian(
    image: &GreyImage,
    sigma: f64,
    seed: impl Into<NoiseSeed>,
) -> Result<GreyImage, ImageError> {
    if !(sigma.is_finite() && sigma >= 0.0) {
        return Err(ImageError::Sigma { sigma });
    }
    let mut rng = seed.into().generator();
    let pixels = image.pixels().iter().map(|&level| {
        let normal: f64 = StandardNormal.sample(&mut rng);
        (f64::from(level) + sigma * normal) as f32
    });
    GreyImage::new(image.height(), image.width(), pixels.collect())
}

/// The image as a sensor with this noise would see it, unclipped: gain times a Poisson number with
/// mean level / gain, plus read noise.
///
/// The generator is that of [`add_gaussian`]; for each pixel in row-major order it draws the Poisson
/// number (`rand_distr`, f64), then a standard normal if there is read noise.
///
/// # Errors
/// [`ImageError::NegativeLevel`] for a clean level below 0, by position.
pub fn add_poisson(
    image: &GreyImage,
    noise: &Poisson,
    seed: impl Into<NoiseSeed>,
) -> Result<GreyImage, ImageError> {
    let mut rng = seed.into().generator();
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for (i, &level) in image.pixels().iter().enumerate() {
        let level = f64::from(level);
        let negative = ImageError::NegativeLevel {
            row: i / image.width(),
            column: i % image.width(),
            value: level,
        };
        let counts = match level {
            0.0 => 0.0,
            // Refuses means that are not positive or too large.
            _ => rand_distr::Poisson::new(level / noise.gain())
                .map_err(|_| negative)?
                .sample(&mut rng),
        };
        let mut noisy: f64 = noise.gain() * counts;
        if noise.read_noise() > 0.0 {
            let normal: f64 = StandardNormal.sample(&mut rng);
            noisy += noise.read_noise() * normal;
        }
        pixels.push(noisy as f32);
    }
    GreyImage::new(image.height(), image.width(), pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;

    fn flat(height: usize, width: usize) -> GreyImage {
        GreyImage::new(height, width, vec![128.0; height * width]).unwrap()
    }

    /// The key's layout and the generator, against the published ChaCha20 keystream of the zero key
    /// (RFC 8439, appendix A.1, test vector 1), then the noise of seed 1.
    #[test]
    fn the_stream_is_pinned() {
        let planes = NoiseSeed { seed: 0x0102_0304_0506_0708, plane: 9 };
        assert_eq!(planes.key()[..17], [8, 7, 6, 5, 4, 3, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut bytes = [0; 8];
        NoiseSeed::from(0).generator().fill_bytes(&mut bytes);
        assert_eq!(bytes, [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        let noisy = add_gaussian(&flat(2, 3), 25.0, 1).unwrap();
        let expected = [131.94174, 129.66246, 111.36979, 136.83699, 139.25285, 156.33803];
        assert_eq!(noisy.pixels(), expected);
    }

    #[test]
    fn the_noise_is_normal_and_depends_on_the_seed() {
        let image = flat(300, 301);
        let noise = |seed| {
            let noisy = add_gaussian(&image, 10.0, seed).unwrap();
            noisy.pixels().iter().map(|v| f64::from(*v) - 128.0).collect::<Vec<f64>>()
        };
        let (a, b) = (noise(7), noise(8));
        let n = a.len() as f64;
        let moment = |x: &[f64], k: i32| x.iter().map(|v| (v / 10.0).powi(k)).sum::<f64>() / n;
        assert!(moment(&a, 1).abs() < 5.0 / n.sqrt());
        assert!((moment(&a, 2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
        assert!((moment(&a, 4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt());
        let correlation = a.iter().zip(&b).map(|(x, y)| x * y / 100.0).sum::<f64>() / n;
        assert!(correlation.abs() < 5.0 / n.sqrt());
        // A longer image begins with the same noise, row by row.
        let longer = add_gaussian(&flat(301, 301), 10.0, 7).unwrap();
        assert_eq!(longer.pixels()[..a.len()], *add_gaussian(&image, 10.0, 7).unwrap().pixels());
    }

    #[test]
    fn poisson_noise_depends_on_the_seed_and_refuses_negative_levels() {
        let noise = Poisson::new(4.0, 0.0).unwrap();
        let [a, b, c] = [1, 1, 2].map(|seed| add_poisson(&flat(4, 5), &noise, seed).unwrap());
        assert_eq!(a, b);
        assert_ne!(a, c);
        // Whole electrons.
        assert!(a.pixels().iter().all(|v| v % 4.0 == 0.0));
        let mut pixels = vec![9.0; 6];
        pixels[4] = -0.5;
        let image = GreyImage::new(2, 3, pixels).unwrap();
        let text = add_poisson(&image, &noise, 1).unwrap_err().to_string();
        assert!(text.contains("row 1, column 1"), "{text}");
    }

    #[test]
    fn unusable_levels_are_refused_and_none_changes_nothing() {
        let image = flat(2, 2);
        assert_eq!(add_gaussian(&image, 0.0, 3).unwrap(), image);
        for sigma in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(add_gaussian(&image, sigma, 1), Err(ImageError::Sigma { .. })));
        }
        assert!(matches!(add_gaussian(&image, 1e300, 1), Err(ImageError::NotFinite { .. })));
    }
}
