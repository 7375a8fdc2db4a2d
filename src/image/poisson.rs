//! Poisson noise and the transform that makes it Gaussian.
//!
//! A sensor that counts photo-electrons sees gain times a Poisson number, plus Gaussian read noise. The
//! generalised Anscombe transform 2 sqrt(c + 3/8 + r^2), of c = grey / gain electrons and read noise
//! of r electrons, has a standard deviation of nearly 1 at every level (Starck, Murtagh and Bijaoui,
//! 1998). Its algebraic inverse would be biased; the closed form of the exact unbiased inverse is
//! that of Makitalo and Foi (IEEE Trans. Image Processing 20(9), 2011; 22(1), 2013 for read noise).

/// Poisson noise of a gain, with Gaussian read noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poisson {
    gain: f64,
    read_noise: f64,
}

impl Poisson {
    /// The largest gain and the largest read noise, in grey levels.
    pub const LARGEST: f64 = 255.0;
    /// The smallest gain.
    pub const SMALLEST_GAIN: f64 = 0.001;

    /// Noise of `gain` grey levels a photo-electron with read noise of standard deviation
    /// `read_noise` grey levels; `None` unless the gain is from 0.001 to 255 and the read noise
    /// from 0 to 255.
    pub fn new(gain: f64, read_noise: f64) -> Option<Poisson> {
        let fits = (Self::SMALLEST_GAIN..=Self::LARGEST).contains(&gain)
            && (0.0..=Self::LARGEST).contains(&read_noise);
        fits.then_some(Poisson { gain, read_noise })
    }

    /// Grey levels a photo-electron.
    pub fn gain(&self) -> f64 {
        self.gain
    }

    /// Standard deviation of the read noise in grey levels.
    pub fn read_noise(&self) -> f64 {
        self.read_noise
    }

    /// The variance of a pixel whose clean level is `grey`, in grey levels squared.
    pub fn variance(&self, grey: f64) -> f64 {
        self.gain * grey.max(0.0) + self.read_noise * self.read_noise
    }

    /// A noisy level on the stabilised scale, where noise has standard deviation [`Poisson::sigma`]
    /// at every level; 0 and 255 stay where they are.
    pub fn stabilise(&self, grey: f64) -> f64 {
        (self.anscombe(grey) - self.anscombe(0.0)) * self.sigma()
    }

    /// The standard deviation of the noise on the stabilised scale.
    pub fn sigma(&self) -> f64 {
        255.0 / (self.anscombe(255.0) - self.anscombe(0.0))
    }

    /// The clean level whose noisy levels have the mean `stabilised` on the stabilised scale: the
    /// unbiased inverse, never below 0.
    pub fn restore(&self, stabilised: f64) -> f64 {
        let d = stabilised / self.sigma() + self.anscombe(0.0);
        // The closed form is 0 here without read noise, and no inverse below.
        if d <= 2.0 * 0.375f64.sqrt() {
            return 0.0;
        }
        let root = 1.5f64.sqrt();
        let counts = d * d / 4.0 + root / (4.0 * d) - 11.0 / (8.0 * d * d)
            + 5.0 * root / (8.0 * d.powi(3))
            - 0.125;
        let read = self.read_noise / self.gain;
        ((counts - read * read) * self.gain).max(0.0)
    }

    /// The generalised Anscombe transform, of standard deviation 1.
    fn anscombe(&self, grey: f64) -> f64 {
        let read = self.read_noise / self.gain;
        2.0 * (grey / self.gain + 0.375 + read * read).max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GreyImage, add_poisson};

    /// Many noisy pixels of one clean level.
    fn noisy(noise: &Poisson, level: f32) -> Vec<f64> {
        let flat = GreyImage::new(200, 250, vec![level; 50_000]).unwrap();
        let noisy = add_poisson(&flat, noise, 3).unwrap();
        noisy.pixels().iter().map(|&v| f64::from(v)).collect()
    }

    fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        (mean, (values.map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn the_noise_is_what_it_says() {
        for (gain, read) in [(1.0, 0.0), (8.0, 0.0), (4.0, 6.0)] {
            let noise = Poisson::new(gain, read).unwrap();
            for level in [0.0, 20.0, 130.0, 255.0] {
                let (mean, deviation) = moments(noisy(&noise, level).into_iter());
                let expected = noise.variance(level.into()).sqrt();
                assert!((mean - f64::from(level)).abs() <= expected / 40.0, "{mean} of {level}");
                assert!((deviation - expected).abs() <= expected / 40.0, "{deviation}, {expected}");
            }
        }
    }

    /// From 4 electrons on the noise is even to a few per cent, and the mean of what was stabilised
    /// comes back as the clean level, which the algebraic inverse misses.
    #[test]
    fn the_transform_stabilises_and_its_inverse_is_unbiased() {
        for (gain, read) in [(1.0, 0.0), (8.0, 0.0), (16.0, 0.0), (4.0, 6.0)] {
            let noise = Poisson::new(gain, read).unwrap();
            for level in [4.0 * gain as f32, 130.0, 255.0] {
                let stabilised = noisy(&noise, level).into_iter().map(|v| noise.stabilise(v));
                let (mean, deviation) = moments(stabilised);
                assert!((deviation / noise.sigma() - 1.0).abs() < 0.04, "{level}: {deviation}");
                let error = noise.restore(mean) - f64::from(level);
                let tolerance = noise.variance(level.into()).sqrt() / 50.0 + gain / 50.0;
                assert!(error.abs() < tolerance, "{level} at gain {gain}: {error}");
                let d = mean / noise.sigma() + noise.anscombe(0.0);
                let squared = (d * d / 4.0 - 0.375) * gain - read * read / gain;
                assert!((squared - f64::from(level)).abs() > error.abs(), "{level}: {squared}");
            }
        }
    }

    #[test]
    fn ends_stay_and_order_is_kept() {
        let noise = Poisson::new(5.0, 2.0).unwrap();
        assert_eq!((noise.stabilise(0.0), noise.stabilise(255.0)), (0.0, 255.0));
        let restored: Vec<f64> = (-400..600).map(|s| noise.restore(s.into())).collect();
        assert!(restored.windows(2).all(|w| w[0] <= w[1]));
        assert_eq!(restored[0], 0.0);
        assert!((noise.restore(noise.stabilise(200.0)) - 200.0).abs() < 2.0);
        assert!(noise.stabilise(-1e9).is_finite());
    }

    #[test]
    fn unusable_noise_is_none() {
        for (gain, read) in [(0.0, 0.0), (-1.0, 0.0), (f64::NAN, 0.0), (256.0, 0.0), (1.0, -1.0)] {
            assert_eq!(Poisson::new(gain, read), None);
        }
        assert_eq!(Poisson::new(1.0, f64::INFINITY), None);
    }
}
