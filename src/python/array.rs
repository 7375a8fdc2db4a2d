//! Arrays as they come from NumPy: grey levels as bytes, image after image and channel after channel.

use crate::Failure;
use crate::fault::Refused;
use ppdenoise::api::images::{Levels, Noise};
use ppdenoise::api::{Depth, Extent, GreyImage, ImageError, Range, Raster, Trained};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// Images of one size: their number, their channels, rows and columns.
pub(crate) type Shape = (usize, usize, usize, usize);

/// Less noise than any image has: of it values of any contrast can be told.
const NONE: f64 = 1e-9;

/// Images in grey levels from 0 to 255, as little-endian float32; what the array had; what its white is, if its
/// user said so.
#[derive(FromPyObject)]
pub(crate) struct Array(PyBackedBytes, Shape, String, Option<f64>);

/// What is known of the noise of some images, in grey levels.
#[derive(FromPyObject)]
pub(crate) enum Told {
    /// Of each pixel of each image, as little-endian float32. First, since bytes would do as a list of numbers.
    Maps(PyBackedBytes),
    /// Of each image.
    Levels(Vec<f64>),
    /// `auto`.
    Word(String),
}

/// One image.
pub(crate) struct Picture {
    /// What errors call it.
    pub(crate) name: String,
    /// Its channels.
    pub(crate) planes: Vec<GreyImage>,
    /// Its noise.
    pub(crate) levels: Levels,
    /// The noise of each pixel, if that was told.
    pub(crate) map: Option<GreyImage>,
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

/// Grey levels as bytes.
pub(crate) fn bytes<'a>(planes: impl IntoIterator<Item = &'a GreyImage>) -> Vec<u8> {
    let levels = planes.into_iter().flat_map(GreyImage::pixels);
    levels.flat_map(|level| level.to_le_bytes()).collect()
}

/// What a network is given of the channels of an image: each by itself, or all together.
pub(crate) fn given(planes: Vec<GreyImage>, trained: Trained) -> Result<Vec<Raster>, ImageError> {
    if trained.of_colours {
        return Ok(vec![Raster::of_planes(planes, Depth::Float)?]);
    }
    Ok(planes.into_iter().map(|plane| Raster::grey(plane, Depth::Float)).collect())
}

impl Array {
    /// The type of its samples, and the values of black and white if its user told them.
    pub(crate) fn depth(&self) -> Result<(Depth, Option<Range>), Failure> {
        let depth = match &*self.2 {
            "uint8" => Depth::Eight,
            "uint16" => Depth::Sixteen,
            _ => Depth::Float,
        };
        let range = |white| {
            let said =
                || Refused(format!("data_range is {white}, which is no white that there is"));
            Range::new(0.0, white).ok_or_else(said)
        };
        Ok((depth, self.3.map(range).transpose()?))
    }

    /// Its images, if they can be meant: `usual` is the noise where nothing is told, nothing for clean images.
    pub(crate) fn pictures(
        &self,
        told: Option<Told>,
        usual: Option<f64>,
    ) -> Result<Vec<Picture>, Failure> {
        let (images, channels, height, width) = self.1;
        let pixels = height * width;
        let levels = floats(&self.0);
        let (mut sigmas, mut maps) = (None, None);
        match told {
            None => {}
            Some(Told::Levels(levels)) => sigmas = Some(levels),
            Some(Told::Maps(bytes)) => maps = Some(floats(&bytes)),
            // Of no image: they are estimated.
            Some(Told::Word(word)) if word == "auto" => sigmas = Some(Vec::new()),
            Some(Told::Word(word)) => return Err(Refused(format!("sigma is '{word}'")).into()),
        }
        let one = |number: usize| {
            let name = if images == 1 { "image".into() } else { format!("image[{number}]") };
            let about = |e: ImageError| Refused(format!("'{name}': {e}"));
            let plane = |at: usize, of: &[f32]| {
                GreyImage::new(height, width, of[at * pixels..(at + 1) * pixels].to_vec())
            };
            let own = number * channels..(number + 1) * channels;
            let planes = own.map(|at| plane(at, &levels)).collect::<Result<Vec<_>, _>>();
            let planes = planes.map_err(about)?;
            let noise = match &sigmas {
                None => Noise::OfModel,
                Some(known) => known.get(number).map_or(Noise::Estimated, |v| Noise::Sigma(*v)),
            };
            let map = maps.as_ref().map(|maps| plane(number, maps)).transpose().map_err(about)?;
            let expected = match (noise, &map) {
                (_, Some(map)) => Some(map.pixels().iter().copied().fold(0f32, f32::max).into()),
                (Noise::Sigma(sigma), _) => Some(sigma),
                (Noise::OfModel, _) => Some(usual.unwrap_or(NONE)),
                _ => None,
            };
            self.judge(&planes, expected).map_err(|text| Refused(format!("'{name}': {text}")))?;
            Ok(Picture { name, planes, levels: noise.into(), map })
        };
        (0..images).map(one).collect()
    }

    /// The same of images that are shared: what is told of their noise is public, and so it is one level.
    pub(crate) fn to_share(&self, told: Option<Told>, usual: f64) -> Result<Vec<Picture>, Failure> {
        if matches!(told, Some(Told::Maps(_))) {
            let text = "there is a noise level for each pixel, and on shares an image has one level, which is public: \
                        say one for each image";
            return Err(Refused(text.into()).into());
        }
        self.pictures(told, Some(usual))
    }

    /// Refuses an image whose values are no levels of the range: whose user means another one.
    fn judge(&self, planes: &[GreyImage], noise: Option<f64>) -> Result<(), String> {
        let all: Vec<f32> = planes.iter().flat_map(GreyImage::pixels).copied().collect();
        let (depth, range) = self.depth().map_err(|e| e.to_string())?;
        let depth = match (depth, range) {
            // Integers never were in 0..1.
            (Depth::Eight | Depth::Sixteen, Some(_)) => return Ok(()),
            (depth, _) => depth,
        };
        let Ok(all) = GreyImage::new(1, all.len(), all) else { return Ok(()) };
        let Some(extent) = Extent::of(&Raster::grey(all, depth)) else { return Ok(()) };
        let white = self.3.unwrap_or(255.0);
        let judged = match (extent.judge(noise), range) {
            // Who says what white is may have little contrast; but one who has it at 1 does not say 255.
            (Err(ImageError::NoLevels { least: -1.0.., greatest: ..=2.0 }), Some(_))
                if white <= 2.0 =>
            {
                Ok(())
            }
            (Err(ImageError::NoLevels { .. } | ImageError::Faint { .. }), Some(_)) => {
                extent.judge(Some(NONE))
            }
            (judged, _) => judged,
        };
        judged.map_err(|e| match e {
            ImageError::NoLevels { least, greatest }
            | ImageError::Faint { least, greatest, .. } => {
                no_levels([least, greatest], white, range)
            }
            ImageError::Sliver { greatest, .. } => {
                format!("{e}; say what white is, such as data_range={greatest}")
            }
            e => e.to_string(),
        })
    }
}

/// Of floats that are none of 0 to `white`, given their least and greatest as grey levels.
fn no_levels(ends: [f64; 2], white: f64, said: Option<Range>) -> String {
    let [least, greatest] = ends.map(|level| level / 255.0 * white);
    let said = match said {
        Some(_) => format!("data_range={white} says that white is {white}"),
        None => format!("white is {white} unless data_range says another"),
    };
    let how = match (ends, (least, greatest)) {
        (_, (-1.0.., ..=2.0)) if white != 1.0 => "say data_range=1 if white is 1".into(),
        ([low, high], _) if low < -256.0 || high > 256.0 => {
            "say data_range=WHITE, such as 255".into()
        }
        _ => format!("say data_range=WHITE, and data_range={white} if that is meant"),
    };
    format!("the values are floats from {} to {}, and {said}: {how}", least as f32, greatest as f32)
}
