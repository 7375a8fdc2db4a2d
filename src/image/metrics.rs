//! How close a denoised image is to the clean one: PSNR and SSIM.
//!
//! Papers differ in data range, rounding, window and border, so all are fixed here. An image that
//! was computed (not read from an 8-bit file) is rounded and clipped first: [`quality_8bit`] does
//! it.

use crate::{Depth, GreyImage, Raster};
use ppdenoise_base::size::Size;
use serde::Serialize;

/// The peak of 8-bit images.
pub const PEAK_8BIT: f64 = 255.0;
/// Side of the SSIM window.
pub const SSIM_WINDOW: usize = 11;

const SSIM_SIGMA: f64 = 1.5;
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// Why two images cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The sizes differ.
    #[error("the image is {found}, the reference is {expected} (height x width)")]
    SizeMismatch {
        /// Height and width of the image.
        found: Size,
        /// Height and width of the reference.
        expected: Size,
    },
    /// One is in colour, the other is not.
    #[error("the image is {}, the reference is {}", colouring(*found), colouring(*expected))]
    Planes {
        /// Planes of the image.
        found: usize,
        /// Planes of the reference.
        expected: usize,
    },
    /// There is no place for the SSIM window.
    #[error("the image is {height}x{width}; SSIM needs at least {SSIM_WINDOW}x{SSIM_WINDOW}")]
    TooSmall {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The peak is not usable.
    #[error("the peak is {peak}; expected a finite number above 0")]
    Peak {
        /// The value given.
        peak: f64,
    },
}

fn colouring(planes: usize) -> String {
    match planes {
        1 => "grey".into(),
        3 => "in colour".into(),
        more => format!("of {more} planes"),
    }
}

/// PSNR and SSIM of an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Peak signal to noise ratio in decibels; infinite for identical images. JSON has no infinity:
    /// whoever prints it there must choose a stand-in (`serde_json` writes `null`).
    pub psnr_db: f64,
    /// Mean structural similarity, at most 1.
    pub ssim: f64,
}

/// PSNR and SSIM with peak 255 of `image` as an 8-bit file would hold it: rounded half away from
/// zero and clipped. The reference is taken as it is.
///
/// # Errors
/// As [`ssim`].
pub fn quality_8bit(reference: &GreyImage, image: &GreyImage) -> Result<Quality, MetricsError> {
    let rounded = image.rounded();
    Ok(Quality {
        psnr_db: psnr(reference, &rounded, PEAK_8BIT)?,
        ssim: ssim(reference, &rounded, PEAK_8BIT)?,
    })
}

/// PSNR and SSIM with peak 255 of `image` as a file would hold it: rounded and clipped to its depth,
/// to 8 bits if it has none. Squared differences are averaged over all planes, SSIM over the planes.
///
/// # Errors
/// As [`ssim`], and [`MetricsError::Planes`].
pub fn quality(reference: &Raster, image: &Raster) -> Result<Quality, MetricsError> {
    comparable(reference, image)?;
    let rounded = match image.depth() {
        Depth::Sixteen => image.rounded(),
        Depth::Eight | Depth::Float => image.clone().at_depth(Depth::Eight).rounded(),
    };
    let (mut squares, mut similarity) = (0.0, 0.0);
    for (r, p) in reference.planes().iter().zip(rounded.planes()) {
        squares += 10f64.powf(-psnr(r, p, PEAK_8BIT)? / 10.0);
        similarity += ssim(r, p, PEAK_8BIT)?;
    }
    let planes = reference.planes().len() as f64;
    Ok(Quality { psnr_db: -10.0 * (squares / planes).log10(), ssim: similarity / planes })
}

/// Refuses two images that [`quality`] does not compare: before long work, whose result has the size of `image`.
///
/// # Errors
/// As [`quality`].
pub fn comparable(reference: &Raster, image: &Raster) -> Result<(), MetricsError> {
    let (expected, found) = (reference.planes().len(), image.planes().len());
    if expected != found {
        return Err(MetricsError::Planes { expected, found });
    }
    check_ssim(reference.size(), image.size())
}

/// 10 log10(peak^2 / mean squared difference) in decibels, in f64, over all pixels.
///
/// Neither image is rounded here; see [`quality_8bit`]. Identical images give infinity.
///
/// # Errors
/// [`MetricsError::SizeMismatch`], [`MetricsError::Peak`].
pub fn psnr(reference: &GreyImage, image: &GreyImage, peak: f64) -> Result<f64, MetricsError> {
    check(reference, image, peak)?;
    let pairs = reference.pixels().iter().zip(image.pixels());
    let sum: f64 = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    let mean = sum / reference.pixels().len() as f64;
    Ok(10.0 * (peak * peak / mean).log10())
}

/// The mean structural similarity index of Wang, Bovik, Sheikh and Simoncelli (IEEE TIP 2004).
///
/// Window: 11x11 Gaussian of standard deviation 1.5, its weights summing to 1. K_1 = 0.01, K_2 =
/// 0.03. The mean is over the windows that lie inside the image. Neither image is rounded here; see
/// [`quality_8bit`].
///
/// # Errors
/// [`MetricsError::SizeMismatch`], [`MetricsError::Peak`], [`MetricsError::TooSmall`] below 11x11.
pub fn ssim(reference: &GreyImage, image: &GreyImage, peak: f64) -> Result<f64, MetricsError> {
    check(reference, image, peak)?;
    let Size { height, width } = image.size();
    check_ssim(reference.size(), image.size())?;
    let (c1, c2) = ((K1 * peak).powi(2), (K2 * peak).powi(2));
    let mut windows = Windows::new(reference, image);
    let mut sum = 0.0;
    for top in 0..=height - SSIM_WINDOW {
        sum += windows.row(top).map(|m| m.similarity(c1, c2)).sum::<f64>();
    }
    Ok(sum / ((height - SSIM_WINDOW + 1) * (width - SSIM_WINDOW + 1)) as f64)
}

fn check(reference: &GreyImage, image: &GreyImage, peak: f64) -> Result<(), MetricsError> {
    if !(peak.is_finite() && peak > 0.0) {
        return Err(MetricsError::Peak { peak });
    }
    check_size(reference.size(), image.size())
}

fn check_size(expected: Size, found: Size) -> Result<(), MetricsError> {
    if found != expected { Err(MetricsError::SizeMismatch { found, expected }) } else { Ok(()) }
}

fn check_ssim(expected: Size, found: Size) -> Result<(), MetricsError> {
    check_size(expected, found)?;
    let Size { height, width } = found;
    if height < SSIM_WINDOW || width < SSIM_WINDOW {
        return Err(MetricsError::TooSmall { height, width });
    }
    Ok(())
}

/// Weighted means over one window of x, y, x^2, y^2 and xy.
#[derive(Clone, Copy, Default)]
struct Moments([f64; 5]);

impl Moments {
    fn of(x: f32, y: f32) -> Moments {
        let (x, y) = (f64::from(x), f64::from(y));
        Moments([x, y, x * x, y * y, x * y])
    }

    fn weighted_sum(moments: &[Moments], weights: &[f64; SSIM_WINDOW]) -> Moments {
        let mut sum = [0.0; 5];
        for (m, w) in moments.iter().zip(weights) {
            for (s, v) in sum.iter_mut().zip(m.0) {
                *s += w * v;
            }
        }
        Moments(sum)
    }

    fn similarity(self, c1: f64, c2: f64) -> f64 {
        let [x, y, xx, yy, xy] = self.0;
        let (var_x, var_y, cov) = (xx - x * x, yy - y * y, xy - x * y);
        (2.0 * x * y + c1) * (2.0 * cov + c2) / ((x * x + y * y + c1) * (var_x + var_y + c2))
    }
}

/// The window slides down a row at a time: columns are summed first, then the sums along the row.
struct Windows<'a> {
    reference: &'a GreyImage,
    image: &'a GreyImage,
    weights: [f64; SSIM_WINDOW],
    columns: Vec<Moments>,
}

impl<'a> Windows<'a> {
    fn new(reference: &'a GreyImage, image: &'a GreyImage) -> Windows<'a> {
        let columns = vec![Moments::default(); image.width()];
        Windows { reference, image, weights: gaussian(), columns }
    }

    /// The moments of every window whose first row is `top`.
    fn row(&mut self, top: usize) -> impl Iterator<Item = Moments> + '_ {
        let width = self.image.width();
        self.columns.fill(Moments::default());
        for (i, w) in self.weights.iter().enumerate() {
            let line = (top + i) * width..(top + i + 1) * width;
            let xs = &self.reference.pixels()[line.clone()];
            let ys = &self.image.pixels()[line];
            for ((column, &x), &y) in self.columns.iter_mut().zip(xs).zip(ys) {
                for (s, v) in column.0.iter_mut().zip(Moments::of(x, y).0) {
                    *s += w * v;
                }
            }
        }
        let weights = &self.weights;
        self.columns.windows(SSIM_WINDOW).map(move |m| Moments::weighted_sum(m, weights))
    }
}

/// A Gaussian's values at -5..=5, summing to 1.
fn gaussian() -> [f64; SSIM_WINDOW] {
    let centre = (SSIM_WINDOW / 2) as f64;
    let value = |i: usize| (-((i as f64 - centre) / SSIM_SIGMA).powi(2) / 2.0).exp();
    let total: f64 = (0..SSIM_WINDOW).map(value).sum();
    std::array::from_fn(|i| value(i) / total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageFormat, Rect};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Vectors {
        pairs: Vec<Pair>,
    }

    #[derive(Deserialize)]
    struct Pair {
        file: String,
        top: usize,
        left: usize,
        height: usize,
        width: usize,
        rule: String,
        parameter: i32,
        psnr_db: f64,
        ssim: f64,
    }

    impl Pair {
        fn reference(&self) -> GreyImage {
            let bytes: &[u8] = match self.file.as_str() {
                "nat_camera" => include_bytes!("../../fixtures/images/nat_camera.png"),
                "nat_gravel" => include_bytes!("../../fixtures/images/nat_gravel.png"),
                "nat_astronaut" => include_bytes!("../../fixtures/images/nat_astronaut.png"),
                "mri_icbm152_mosaic" => {
                    include_bytes!("../../fixtures/images/mri_icbm152_mosaic.png")
                }
                "cxr_nih_00000003_000" => {
                    include_bytes!("../../fixtures/images/cxr_nih_00000003_000.png")
                }
                other => panic!("no fixture {other}"),
            };
            let &Pair { top, left, height, width, .. } = self;
            let image = ImageFormat::Png.decode(bytes).unwrap().into_grey().unwrap();
            image.crop(Rect { top, left, height, width }).unwrap()
        }

        /// The rules of fixtures/vectors/metrics.py.
        fn distorted(&self, reference: &GreyImage) -> GreyImage {
            let levels: Vec<i32> = reference.pixels().iter().map(|v| *v as i32).collect();
            let p = self.parameter;
            let mut state = 12345u32;
            let rule = |i: usize| match self.rule.as_str() {
                "lcg_noise" => {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    levels[i] + (state >> 16) as i32 % (2 * p + 1) - p
                }
                "shift" => levels[i - (i % self.width).min(p as usize)],
                "contrast" => levels[i] * p / 100 + 10,
                other => panic!("no rule {other}"),
            };
            let pixels = (0..levels.len()).map(rule).map(|v| v.clamp(0, 255) as f32).collect();
            GreyImage::new(self.height, self.width, pixels).unwrap()
        }
    }

    #[test]
    fn planes_are_averaged_and_rounded_to_their_depth() {
        let plane = |level: f32| flat(11, 11, level);
        let colour = |levels: [f32; 3], depth| Raster::rgb(levels.map(plane), depth).unwrap();
        let clean = colour([10.0, 20.0, 30.0], Depth::Eight);
        let found = quality(&clean, &colour([13.0, 20.0, 30.0], Depth::Eight)).unwrap();
        assert!((found.psnr_db - psnr_of(3.0 * 3.0 / 3.0)).abs() < 1e-9);
        // A third of a level is nothing in 8 bits and something in 16.
        let off = [10.0 + 86.0 / 257.0, 20.0, 30.0];
        assert_eq!(quality(&clean, &colour(off, Depth::Eight)).unwrap().psnr_db, f64::INFINITY);
        let fine = quality(&clean, &colour(off, Depth::Sixteen)).unwrap().psnr_db;
        assert!((fine - psnr_of((86f64 / 257.0).powi(2) / 3.0)).abs() < 1e-3, "{fine}");
        let grey = Raster::from(plane(10.0));
        let refused = quality(&clean, &grey).unwrap_err().to_string();
        assert_eq!(refused, "the image is grey, the reference is in colour");
        let (clean, image) = (plane(10.0), plane(12.4));
        let both = (clean.clone().into(), image.clone().into());
        assert_eq!(quality(&both.0, &both.1).unwrap(), quality_8bit(&clean, &image).unwrap());
    }

    fn psnr_of(mse: f64) -> f64 {
        10.0 * (255.0 * 255.0 / mse).log10()
    }

    #[test]
    fn values_agree_with_an_outside_implementation() {
        let json = include_str!("../../fixtures/vectors/metrics.json");
        let vectors: Vectors = serde_json::from_str(json).unwrap();
        assert_eq!(vectors.pairs.len(), 8);
        for p in &vectors.pairs {
            let reference = p.reference();
            let found = quality_8bit(&reference, &p.distorted(&reference)).unwrap();
            let name = format!("{} {} {}", p.file, p.rule, p.parameter);
            assert!((found.psnr_db - p.psnr_db).abs() < 1e-9, "{name}: {found:?}");
            assert!((found.ssim - p.ssim).abs() < 1e-9, "{name}: {found:?}");
        }
    }

    fn flat(height: usize, width: usize, level: f32) -> GreyImage {
        GreyImage::new(height, width, vec![level; height * width]).unwrap()
    }

    #[test]
    fn flat_images_follow_the_formulas() {
        let (a, b) = (flat(11, 12, 100.0), flat(11, 12, 110.0));
        let expected = 20.0 * (255.0f64 / 10.0).log10();
        assert!((psnr(&a, &b, PEAK_8BIT).unwrap() - expected).abs() < 1e-12);
        let c1 = 6.5025;
        let expected = (2.0 * 100.0 * 110.0 + c1) / (100.0f64.powi(2) + 110.0f64.powi(2) + c1);
        assert!((ssim(&a, &b, PEAK_8BIT).unwrap() - expected).abs() < 1e-9);
    }

    #[test]
    fn identical_images_are_infinitely_close() {
        let image = flat(20, 11, 7.0);
        assert_eq!(psnr(&image, &image, PEAK_8BIT), Ok(f64::INFINITY));
        assert_eq!(ssim(&image, &image, PEAK_8BIT), Ok(1.0));
    }

    #[test]
    fn computed_images_are_rounded_and_clipped_first() {
        let q = quality_8bit(&flat(11, 11, 255.0), &flat(11, 11, 300.0)).unwrap();
        assert_eq!(q.psnr_db, f64::INFINITY);
        let q = quality_8bit(&flat(11, 11, 8.0), &flat(11, 11, 7.5)).unwrap();
        assert_eq!(q.psnr_db, f64::INFINITY);
    }

    #[test]
    fn images_that_cannot_be_compared_are_refused() {
        let (a, b) = (flat(11, 12, 1.0), flat(12, 11, 1.0));
        let mismatch =
            MetricsError::SizeMismatch { found: Size::new(12, 11), expected: Size::new(11, 12) };
        assert_eq!(psnr(&a, &b, PEAK_8BIT), Err(mismatch.clone()));
        assert_eq!(ssim(&a, &b, PEAK_8BIT), Err(mismatch));
        let small = flat(10, 40, 1.0);
        let error = MetricsError::TooSmall { height: 10, width: 40 };
        assert_eq!(ssim(&small, &small, PEAK_8BIT), Err(error));
        for peak in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(psnr(&a, &a, peak), Err(MetricsError::Peak { .. })));
        }
    }
}
