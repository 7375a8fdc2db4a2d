//! What is known of an image's noise, and how its grey levels become network units.

use crate::image::{GreyImage, ImageError, Poisson, estimate_sigma, of_mosaic};
use crate::model::{LevelMap, Trained};

/// What is known of an image's noise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Noise {
    /// It is the noise that the model was trained on.
    #[default]
    OfModel,
    /// Gaussian noise of this standard deviation in 8-bit grey levels.
    Sigma(f64),
    /// Gaussian noise, estimated on each plane of each image.
    Estimated,
    /// Noise that grows with the light, made even before denoising and undone after it (Anscombe).
    Poisson(Poisson),
}

/// The noise of an image as it was met, and how its levels are scaled to the model's noise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Levels {
    /// The noise.
    pub noise: Noise,
    /// The grey level that scaling leaves where it is, from 0 to 255; mid-grey if none.
    pub scale_about: Option<f64>,
}

impl From<Noise> for Levels {
    fn from(noise: Noise) -> Self {
        Levels { noise, scale_about: None }
    }
}

/// An image's noise level and the map that follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageLevels {
    /// The noise level in grey levels; of stabilised levels for Poisson noise.
    pub sigma: f64,
    /// From grey levels to network units and back.
    pub map: LevelMap,
}

impl Levels {
    /// Whether the noise level of each plane is its own.
    pub fn is_estimated(&self) -> bool {
        self.noise == Noise::Estimated
    }

    /// The noise that is told of an image in grey levels, for [`super::read_noisy`]; nothing if it is to be
    /// estimated. Poisson noise is told of any levels.
    pub fn told(&self, model: Trained) -> Option<f64> {
        match self.noise {
            Noise::OfModel => Some(model.sigma),
            Noise::Sigma(sigma) => Some(sigma),
            Noise::Estimated => None,
            Noise::Poisson(_) => Some(0.0),
        }
    }

    /// The levels of one image for a model: of a plane, or of the mosaic of a colour picture.
    ///
    /// # Errors
    /// [`ImageError`] if the noise is to be estimated and cannot be, and for a model that is told the noise if that is
    /// more than it takes, or with a level to scale about.
    pub fn of(&self, image: &GreyImage, model: Trained) -> Result<ImageLevels, ImageError> {
        if model.reads_plane && self.scale_about.is_some() {
            return Err(ImageError::NotScaled);
        }
        let (sigma, poisson) = match self.noise {
            Noise::OfModel => (model.sigma, None),
            Noise::Sigma(sigma) => (sigma, None),
            Noise::Estimated => (estimated(image, model)?, None),
            Noise::Poisson(noise) => (noise.sigma(), Some(noise)),
        };
        if model.reads_plane && sigma > model.sigma {
            return Err(ImageError::TooNoisy { sigma, most: model.sigma });
        }
        let mut map = LevelMap { poisson, ..LevelMap::for_noise(model, sigma) };
        if let Some(about) = self.scale_about {
            map.scale_about = about;
        }
        Ok(ImageLevels { sigma, map })
    }
}

/// The noise of an image; of a mosaic that of its planes, the root of the mean of the squares.
fn estimated(image: &GreyImage, model: Trained) -> Result<f64, ImageError> {
    if !model.of_colours {
        return estimate_sigma(image);
    }
    let planes = of_mosaic(image)?;
    let found = planes.iter().map(estimate_sigma).collect::<Result<Vec<_>, _>>()?;
    let squares: f64 = found.iter().map(|sigma| sigma * sigma).sum();
    Ok((squares / found.len() as f64).sqrt())
}
