//! Denoising in one process and in the clear: what the servers' results are compared with.

mod error;
mod event;

pub use error::{NoNoiseMap, PlainError};
pub use event::PlainEvent;

use super::images::{Entry, ImageLevels, Levels, Noise};
use super::level_note::{LevelNote, tell_noise};
use super::observer::Observer;
use super::plausible::{Implausibility, Plausibility};
use super::settle::settle;
use crate::image::{
    Average, GreyImage, ImageError, Implausible, Orientation, Raster, in_squares, mean_image,
};
use crate::model::{
    Clamping, DenoisedGrey, FloatModel, LevelMap, NoisePlane, OutOfRange, QuantisedModel, Rounding,
    Trained, TwinOptions, Unfit,
};
use crate::numbers::tanh::TanhStandIn;
use crate::size::Size;
use std::path::Path;

/// How a network is computed.
#[derive(Clone, Copy, Debug)]
pub enum Arithmetic<'a> {
    /// In float32.
    Float {
        /// The network.
        model: &'a FloatModel,
        /// A function in place of its tanh.
        stand_in: Option<TanhStandIn>,
    },
    /// With the integers of the secure computation.
    Integer {
        /// The network.
        model: &'a QuantisedModel,
        /// How many pixels may have to be clamped to what it serves.
        clamping: Clamping,
        /// What becomes of its random choices; those of each plane are the same.
        rounding: Rounding,
    },
}

/// An image that is to be denoised.
#[derive(Clone, Copy, Debug)]
pub struct Denoise<'a> {
    /// What the image is called in what is told of it.
    pub name: &'a Path,
    /// The image; each channel of each frame is denoised by itself, unless the network is for colour pictures.
    pub image: &'a Raster,
    /// In how many orientations each is denoised, of which the mean is the result.
    pub average: Average,
    /// How.
    pub arithmetic: Arithmetic<'a>,
    /// Its noise.
    pub levels: Levels,
    /// The noise level of each pixel, in grey levels, for all channels and frames; then `levels` does not say it. For
    /// networks in floats that are told the noise.
    pub noise_map: Option<&'a GreyImage>,
    /// What becomes of a result that takes away more than the noise told.
    pub implausibility: Implausibility,
    /// Whether an image is refused of which values leave the calibrated ranges of an integer network: else that is told.
    pub strict: bool,
}

/// A denoised image.
#[derive(Clone, Debug)]
pub struct Denoised {
    /// The image, of the noisy one's depth; grey levels are neither rounded nor clipped.
    pub image: Raster,
    /// The noise level of each channel of each frame, or of each frame if the network is for colours: they differ where they were estimated.
    pub sigmas: Vec<f64>,
    /// Whether what was taken away looks like the noise told.
    pub plausibility: Plausibility,
    /// Values that left their range, of all planes; none in floats, and of ranges that no image can leave.
    pub out_of_range: Option<OutOfRange>,
}

impl Arithmetic<'_> {
    /// What the network was trained on.
    fn trained(&self) -> Trained {
        match self {
            Arithmetic::Float { model, .. } => model.trained(),
            Arithmetic::Integer { model, .. } => model.public.trained(),
        }
    }

    /// How the planes of a picture enter the network.
    fn entry(&self) -> Entry {
        Entry::of(self.trained())
    }

    fn check(&self) -> Result<(), PlainError> {
        match *self {
            Arithmetic::Float { model, stand_in: Some(function) }
                if !model.activation.rules().has_stand_ins() =>
            {
                let (function, own) = (function.name(), model.activation.name());
                Err(PlainError::NoTanh { function, own })
            }
            _ => Ok(()),
        }
    }
}

/// The noise level of each pixel.
struct NoiseMap {
    /// As the planes that it is of enter the network.
    image: GreyImage,
    /// Root mean square.
    usual: f64,
    /// What the greatest is in the levels that the network works on.
    compared: f64,
}

impl NoiseMap {
    /// Refuses a map that the network cannot be told, or that is not of this image.
    fn of(map: &GreyImage, request: &Denoise<'_>) -> Result<Self, PlainError> {
        let trained = request.arithmetic.trained();
        let why = match request.arithmetic {
            Arithmetic::Integer { .. } => Some(NoNoiseMap::OnShares),
            Arithmetic::Float { .. } if !trained.reads_plane => Some(NoNoiseMap::NotTold),
            Arithmetic::Float { .. } => None,
        };
        if let Some(why) = why {
            return Err(PlainError::NoNoiseMap(why));
        }
        let height = request.image.height() / request.image.frames().max(1);
        let expected = Size { height, width: request.image.width() };
        let found = map.size();
        if found != expected {
            return Err(PlainError::MapSize { expected, found });
        }
        let levels = map.pixels();
        let all = || levels.iter().map(|&level| f64::from(level));
        if let Some(sigma) = all().find(|sigma| *sigma < 0.0) {
            return Err(ImageError::Sigma { sigma }.into());
        }
        let greatest = all().fold(0.0, f64::max);
        if greatest > trained.sigma {
            return Err(ImageError::TooNoisy { sigma: greatest, most: trained.sigma }.into());
        }
        let usual = (all().map(|v| v * v).sum::<f64>() / levels.len() as f64).sqrt();
        let image = match request.arithmetic.entry() {
            Entry::Planes => map.clone(),
            Entry::Mosaic { .. } => in_squares(map)?,
        };
        // A level's part that is compared, as with one level for all.
        let compared = trained.working_noise(&LevelMap::for_noise(trained, greatest));
        Ok(NoiseMap { image, usual, compared })
    }
}

/// Denoises an image.
///
/// # Errors
/// [`PlainError::NoTanh`], [`PlainError::NoNoiseMap`], [`PlainError::MapSize`]; [`PlainError::Model`] for an image that the model cannot take and
/// [`PlainError::Image`] for one whose noise cannot be estimated, [`PlainError::Implausible`] for a result that takes
/// away more than the noise told, [`PlainError::OutOfRange`] where that is asked for, all about [`Denoise::name`].
pub fn denoise(
    request: &Denoise<'_>,
    observer: &mut dyn Observer<PlainEvent>,
) -> Result<Denoised, PlainError> {
    let Denoise { name: file, image, arithmetic, levels, .. } = request;
    arithmetic.check()?;
    let noise_map = request.noise_map.map(|map| NoiseMap::of(map, request)).transpose();
    let noise_map = noise_map.map_err(|e| e.about(file))?;
    let levels = &noise_map
        .as_ref()
        .map_or(*levels, |map| Levels { noise: Noise::Sigma(map.usual), ..*levels });
    let entry = arithmetic.entry();
    entry.check(image).map_err(|e| PlainError::from(e).about(file))?;
    let mut planes = vec![Vec::new(); image.planes().len()];
    let (mut sigmas, mut plausibility) = (Vec::new(), Plausibility::Plausible);
    let mut out_of_range: Option<OutOfRange> = None;
    let frames = (0..image.frames()).map(|frame| {
        let images = entry.images(&image.frame(frame)?)?.into_owned();
        Ok(images.into_iter().enumerate())
    });
    let frames = frames.collect::<Result<Vec<_>, ImageError>>();
    let frames = frames.map_err(|e| PlainError::from(e).about(file))?;
    for (first, plane) in frames.into_iter().flatten() {
        let plane = &plane;
        let found = levels.of(plane, arithmetic.trained());
        let ImageLevels { sigma, map } = found.map_err(|e| PlainError::from(e).about(file))?;
        tell_noise(levels, file, sigma, arithmetic.trained(), observer);
        observer.event(PlainEvent::Denoising);
        let Averaged { image, judged, out_of_range: left } =
            averaged(request, plane, &map, noise_map.as_ref(), observer)?;
        if let Some(left) = left {
            keep_ranges(request, &left, observer)?;
            out_of_range = Some(out_of_range.unwrap_or_default().and(left));
        }
        let settled = settle(request.implausibility, judged, file, observer);
        let settled = settled.map_err(|found| PlainError::from(found).about(file))?;
        plausibility = plausibility.and(settled);
        for (plane, denoised) in planes[first..].iter_mut().zip(entry.planes(image)?) {
            plane.extend(denoised.into_pixels());
        }
        sigmas.push(sigma);
    }
    let size = image.size();
    let planes = planes.into_iter().map(|pixels| GreyImage::new(size.height, size.width, pixels));
    let image = image.with_planes(planes.collect::<Result<_, _>>()?)?;
    Ok(Denoised { image, sigmas, plausibility, out_of_range })
}

/// Refuses a plane of which values left their range, or tells of it.
fn keep_ranges(
    request: &Denoise<'_>,
    left: &OutOfRange,
    observer: &mut dyn Observer<PlainEvent>,
) -> Result<(), PlainError> {
    if left.is_empty() {
        return Ok(());
    }
    if request.strict {
        return Err(PlainError::from(left.clone()).about(request.name));
    }
    let event = PlainEvent::OutOfRange { file: request.name.to_owned(), left: left.clone() };
    observer.event(event);
    Ok(())
}

/// The mean of the results of a plane's orientations.
struct Averaged {
    image: GreyImage,
    /// The one that takes away most, if one does too much.
    judged: Result<(), Implausible>,
    /// Of all of them.
    out_of_range: Option<OutOfRange>,
}

/// Denoises one plane in every orientation that is asked for.
fn averaged(
    request: &Denoise<'_>,
    plane: &GreyImage,
    levels: &LevelMap,
    noise_map: Option<&NoiseMap>,
    observer: &mut dyn Observer<PlainEvent>,
) -> Result<Averaged, PlainError> {
    let entry = request.arithmetic.entry();
    // Where the noise is not the same everywhere no less is accepted than where it is most.
    let noise = noise_map.map(|noise| noise.compared);
    let noise = noise.unwrap_or_else(|| request.arithmetic.trained().working_noise(levels));
    let judge = |orientation: Orientation, found: DenoisedGrey| -> Result<Averaged, ImageError> {
        let DenoisedGrey { image, residual, out_of_range } = found;
        let judged = residual.judge(noise).map_err(|mut found| {
            found.place = entry.place_back(orientation, found.place, image.size());
            found
        });
        Ok(Averaged { image: entry.turn_back(orientation, &image)?, judged, out_of_range })
    };
    let map = noise_map.map(|map| &map.image);
    let (found, clamped) = one(request, plane, levels, map, observer)?;
    // As many pixels of every orientation.
    if let Some(unfit) = clamped {
        observer.event(LevelNote::Clamped { file: request.name.to_owned(), unfit }.into());
    }
    let mut first = judge(Orientation::UPRIGHT, found)?;
    let mut others = Vec::new();
    for &orientation in &request.average.orientations()[1..] {
        let turned = entry.turn(orientation, plane)?;
        // All places of a square have one level.
        let map = map.map(|map| orientation.turn(map));
        let (found, _) = one(request, &turned, levels, map.as_ref(), observer)?;
        let Averaged { image, judged, out_of_range } = judge(orientation, found)?;
        others.push(image);
        first.judged = worse(first.judged, judged);
        first.out_of_range = match (first.out_of_range, out_of_range) {
            (Some(a), Some(b)) => Some(a.and(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(Averaged { image: mean_image(first.image, &others)?, ..first })
}

/// The one that takes away more, if one does too much.
fn worse(a: Result<(), Implausible>, b: Result<(), Implausible>) -> Result<(), Implausible> {
    match (a, b) {
        (Err(a), Err(b)) => Err(if b.times > a.times { b } else { a }),
        (a, b) => a.and(b),
    }
}

/// Denoises one plane, and says what of it had to be clamped, if anything.
fn one(
    request: &Denoise<'_>,
    plane: &GreyImage,
    levels: &LevelMap,
    noise_map: Option<&GreyImage>,
    observer: &mut dyn Observer<PlainEvent>,
) -> Result<(DenoisedGrey, Option<Unfit>), PlainError> {
    let (denoised, clamped) = match request.arithmetic {
        Arithmetic::Float { model, stand_in } => {
            let activation = |v: &mut [f32]| match stand_in {
                Some(function) => function.apply(v),
                None => model.activation.apply(v),
            };
            let progress = &mut |done| observer.progress(done);
            let of_pixels: Option<Vec<f64>> = noise_map
                .map(|map| map.pixels().iter().map(|&level| model.plane(level.into())).collect());
            let told = match &of_pixels {
                Some(levels) => NoisePlane::Pixels(levels),
                None => NoisePlane::Level(model.plane(levels.noise)),
            };
            (model.denoise_grey_at(plane, levels, told, &activation, progress), None)
        }
        Arithmetic::Integer { model, clamping, rounding } => {
            let fitting = model.encode_fitting(plane, levels, clamping);
            let unfit = |e| PlainError::from(e).about(request.name);
            let encoded = fitting.map_err(unfit)?;
            let (fit, size) = (encoded.fit, plane.size());
            let progress = &mut |done| observer.progress(done);
            let options = TwinOptions { rounding, watched: true };
            let denoised = model.denoise_encoded(&encoded, size, levels, options, progress);
            (denoised, (fit.clamped > 0).then(|| fit.unfit(&model.public, levels)))
        }
    };
    let denoised = denoised.map_err(|e| PlainError::from(e).about(request.name))?;
    Ok((denoised, clamped))
}

#[cfg(test)]
mod tests;
