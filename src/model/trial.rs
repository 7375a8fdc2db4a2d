//! Whether a model denoises: tried on a small noisy picture that is part of the program.
//!
//! A description may be wrong in ways that no shape shows: levels in other units, an output that is the
//! noise taken for the picture. What is meant is what denoises.

use super::{FloatModel, LevelMap, ModelError, Normalisation, formula};
use crate::image::metrics::psnr;
use crate::image::{GreyImage, ImageError, ImageFormat, Rect, add_gaussian, mosaic, of_mosaic};
use crate::network::{LinearShape, NetworkError, Op, SQUARE};
use crate::size::Size;
use std::fmt;

/// 128x128 pixels of a photograph that is dedicated to the public (`fixtures/README.md`).
const PICTURE: &[u8] = include_bytes!("../../fixtures/demo/camera-128.png");
/// The seed of the noise.
const SEED: u64 = 1;
/// Multiply-adds that one try should take; a fraction of a second on one core.
const BUDGET: f64 = 2e9;
/// Values of all its maps together that a network may have at a try, 4 bytes each: a joined network keeps them.
const MOST_VALUES: f64 = (1u64 << 28) as f64;
/// The fewest rows and columns from which a PSNR is told.
const SMALLEST: usize = 48;
/// What a PSNR must differ by, in dB, for a model that was trained for noise of 5 grey levels or more;
/// noise that can hardly be seen leaves less to gain.
const MARGIN_DB: f64 = 1.0;
const FULL_MARGIN_FROM: f64 = 5.0;

/// How far above another a PSNR is clearly better, in dB, for noise of `sigma` grey levels.
pub(super) fn margin(sigma: f64) -> f64 {
    MARGIN_DB * (sigma / FULL_MARGIN_FROM).min(1.0)
}

/// The picture, as large as a model can be tried on in a moment.
pub(super) struct Picture {
    clean: GreyImage,
    noisy: GreyImage,
    /// Whether they are mosaics of colour pictures.
    of_colours: bool,
    /// PSNR of the noisy picture.
    pub(super) noisy_db: f64,
}

/// The planes of a mosaic as one image.
fn below_each_other(mosaic: &GreyImage) -> Result<GreyImage, ImageError> {
    let planes = of_mosaic(mosaic)?;
    let pixels = planes.iter().flat_map(|plane| plane.pixels().iter().copied()).collect();
    GreyImage::new(planes.iter().map(GreyImage::height).sum(), mosaic.width() / SQUARE, pixels)
}

/// Of two images of one size.
fn db(clean: &GreyImage, image: &GreyImage) -> f64 {
    psnr(clean, &image.rounded(), 255.0).unwrap_or(f64::NEG_INFINITY)
}

impl Picture {
    /// For a network of this cost, with noise of `sigma` grey levels.
    pub(super) fn for_model(model: &FloatModel, sigma: f64) -> Result<Picture, ModelError> {
        let (network, ground) = (&model.network, model.units.mid_grey as f32);
        let gather = network.gather();
        let products = |(op, l): (usize, &_)| {
            let pixels = network.stage_of(op).scale * gather.stride;
            (LinearShape::inputs(l) * LinearShape::outputs(l)) as f64 / (pixels * pixels) as f64
        };
        let per_pixel: f64 = network.linears().map(products).sum();
        let unusable = |e: String| ModelError::Description(e);
        let whole = ImageFormat::Png.decode(PICTURE).and_then(|image| image.into_grey());
        let whole = whole.map_err(|e| unusable(e.to_string()))?;
        let least = SMALLEST.max(gather.patch);
        let values: f64 = network
            .linears()
            .map(|(op, l)| {
                let pixels = network.stage_of(op).scale * gather.stride;
                LinearShape::outputs(l) as f64 / (pixels * pixels) as f64
            })
            .sum();
        let most = (MOST_VALUES / values).sqrt() as usize;
        if most < least {
            return Err(unusable(format!(
                "its maps have {values:.0} values a pixel together, too many to try it on {least}x{least} pixels"
            )));
        }
        // A pixel of a colour picture is a square of its mosaic.
        let square = network.image_size(Size::square(1)).width;
        let side = ((BUDGET / per_pixel).sqrt() as usize).max(least).min(most) / square;
        let side = side.min(whole.width());
        let corner = (whole.width() - side) / 2;
        let middle = Rect { top: corner, left: corner, height: side, width: side };
        let clean = whole.crop(middle).map_err(|e| unusable(e.to_string()))?;
        let clean = if network.is_of_colours() {
            mosaic(&[clean.clone(), clean.clone(), clean], ground)
        } else {
            Ok(clean)
        };
        let clean = clean.map_err(|e| unusable(e.to_string()))?;
        let noisy = add_gaussian(&clean, sigma, SEED).map_err(|e| unusable(e.to_string()))?;
        let mut picture =
            Picture { clean, noisy, of_colours: network.is_of_colours(), noisy_db: 0.0 };
        picture.noisy_db = picture.db_of(picture.noisy.pixels().to_vec());
        Ok(picture)
    }

    /// PSNR of what the model makes of the noisy picture, in dB; none is too bad to be told.
    pub(super) fn denoised_db(&self, model: &FloatModel) -> Result<f64, ModelError> {
        let grey = self.denoised(model, &mut |_| ())?;
        Ok(self.db_of(grey))
    }

    /// PSNR of such a picture, in dB.
    pub(super) fn db_of(&self, grey: Vec<f32>) -> f64 {
        // Values that are not finite are no picture.
        let Size { height, width } = self.noisy.size();
        let db = GreyImage::new(height, width, grey).and_then(|out| {
            // The ground of a mosaic is no part of the picture.
            if !self.of_colours {
                return Ok(db(&self.clean, &out));
            }
            Ok(db(&below_each_other(&self.clean)?, &below_each_other(&out)?))
        });
        db.unwrap_or(f64::NEG_INFINITY)
    }

    /// The grey levels of the noisy picture.
    pub(super) fn noisy(&self) -> &[f32] {
        self.noisy.pixels()
    }

    /// The grey levels that the model makes of it.
    pub(super) fn denoised(
        &self,
        model: &FloatModel,
        progress: &mut dyn FnMut(f64),
    ) -> Result<Vec<f32>, ModelError> {
        let levels = LevelMap::new(model.units, 1.0);
        let size = self.noisy.size();
        let units = self.noisy.pixels().iter().map(|&v| levels.to_units(v.into()) as f32);
        let units: Vec<f32> = units.collect();
        let activation = |v: &mut [f32]| model.activation.apply(v);
        let out = model.denoise(&units, size, &activation, progress)?;
        Ok(out.iter().map(|&u| levels.to_grey(u.into()) as f32).collect())
    }
}

/// One way to use a model's weights, and the PSNR of the picture then.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    /// What was tried, in the words of descriptions.
    pub what: String,
    /// PSNR of the denoised picture, in dB; minus infinity for no picture.
    pub psnr_db: f64,
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.psnr_db.is_finite() {
            write!(f, "{}: {:.2} dB", self.what, self.psnr_db)
        } else {
            write!(f, "{}: no picture", self.what)
        }
    }
}

/// How units and residual are said.
pub(super) fn said(units: Normalisation, residual: bool) -> String {
    let residual = if residual { "residual" } else { "not residual" };
    format!("{}, {residual}", formula(units))
}

/// What a described model makes of the picture, beside what it would make with another description.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// PSNR of the noisy picture, in dB.
    pub noisy_db: f64,
    /// The model as described, then the others.
    pub tries: Vec<Try>,
    sigma: f64,
}

impl Trial {
    /// Whether the description is in doubt: the picture got worse, or another one is clearly better.
    pub fn doubt(&self) -> Option<Doubt> {
        let described = self.tries.first()?.psnr_db;
        let best = self.tries.iter().max_by(|a, b| a.psnr_db.total_cmp(&b.psnr_db))?;
        let better = best.psnr_db > described + margin(self.sigma) && best.psnr_db > self.noisy_db;
        let better = better.then(|| best.what.clone());
        let is_doubted = better.is_some() || described <= self.noisy_db;
        is_doubted.then(|| Doubt { trial: self.clone(), better })
    }
}

/// Why a description is not believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    trial: Trial,
    /// What is clearly better, if anything tried was.
    pub better: Option<String>,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trial { noisy_db, tries, sigma } = &self.trial;
        let tries: Vec<String> = tries.iter().map(Try::to_string).collect();
        let what = match self.better {
            Some(_) => "another description denoises clearly better",
            None => "it makes a noisy picture no better",
        };
        write!(
            f,
            "{what}: with noise of {sigma} grey levels, {noisy_db:.2} dB, tried as described ({}), and with {}",
            tries[0],
            tries[1..].join("; ")
        )
    }
}

impl FloatModel {
    /// Tries the model on a small noisy picture as it is described, with the other units there are, and
    /// with and without a residual (not for a mean shift, which is in the weights).
    ///
    /// Cost: four times some 2 billion multiply-adds at most for networks of usual size; the picture has 48
    /// to 128 rows, or those of a larger patch.
    ///
    /// # Errors
    /// [`ModelError::Network`] cannot happen for a model that was checked and whose patch is smaller
    /// than the picture.
    pub fn try_out(&self) -> Result<Trial, ModelError> {
        let picture = Picture::for_model(self, self.sigma)?;
        let residual = self.network.is_residual();
        let (here, there) = if self.units == Normalisation::UNIT {
            (Normalisation::UNIT, Normalisation::BURGER)
        } else {
            (self.units, Normalisation::UNIT)
        };
        let ways = [(here, residual), (there, residual), (here, !residual), (there, !residual)];
        let mut tries = Vec::new();
        for (units, wanted) in ways {
            if self.mean_shift && wanted != residual {
                continue;
            }
            let model = self.clone().with_residual(wanted)?;
            let psnr_db = picture.denoised_db(&FloatModel { units, ..model })?;
            tries.push(Try { what: said(units, wanted), psnr_db });
        }
        Ok(Trial { noisy_db: picture.noisy_db, tries, sigma: self.sigma })
    }

    /// The same layers with or without a residual.
    fn with_residual(self, wanted: bool) -> Result<FloatModel, NetworkError> {
        if self.network.is_residual() == wanted {
            return Ok(self);
        }
        let mut ops = self.network.ops().to_vec();
        if wanted {
            ops.insert(ops.len() - 1, Op::Residual)
        } else {
            ops.retain(|op| !matches!(op, Op::Residual))
        }
        Ok(FloatModel { network: self.network.of_ops(ops)?, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{load_npz, random_convolutional, random_model};
    use std::io::Cursor;

    fn tiny() -> FloatModel {
        let npz = include_bytes!("../../fixtures/models/tiny-9-5-24.npz");
        load_npz(Cursor::new(&npz[..]), None).unwrap()
    }

    #[test]
    fn a_good_description_is_believed() {
        let trial = tiny().try_out().unwrap();
        assert_eq!(trial.doubt(), None, "{trial:?}");
        assert!(
            trial.tries.len() == 4 && trial.tries[0].psnr_db > trial.noisy_db + 4.0,
            "{trial:?}"
        );
        assert!((trial.noisy_db - 20.3).abs() < 0.5, "{trial:?}");
    }

    #[test]
    fn a_wrong_description_is_doubted_and_the_right_one_named() {
        let wrong = [
            FloatModel { units: Normalisation::UNIT, ..tiny() },
            tiny().with_residual(false).unwrap(),
        ];
        for model in wrong {
            let doubt = model.try_out().unwrap().doubt().expect("a doubt");
            assert_eq!(doubt.better.as_deref(), Some("(v/255-0.5)/0.2, residual"));
            let text = doubt.to_string();
            assert!(text.contains("clearly better") && text.contains(" dB)"), "{text}");
        }
        for random in [random_model(&[4], 1.0, false), random_convolutional(&[3], 1.5, 1)] {
            assert!(random.try_out().unwrap().doubt().is_some());
        }
        // A mean shift stays in the weights.
        let shifted = tiny().with_mean_shift().unwrap().try_out().unwrap();
        assert_eq!(shifted.tries.len(), 2);
    }

    #[test]
    fn little_noise_leaves_little_to_gain() {
        assert_eq!((margin(25.0), margin(1.0)), (1.0, 0.2));
    }
}
