//! From the grey levels of a noisy image to those of a denoised one, in one process: in float32, and with
//! the integers of the secure computation.

use super::{
    Clamping, Encoded, FloatModel, LevelMap, ModelError, NoisePlane, OutOfRange, QuantisedModel,
    Rounding, TwinInput, Unfit, decode_sums, encode_image, run_twin,
};
use crate::image::{GreyImage, Residual};
use crate::numbers::ring::{Ring, RingBits};
use crate::size::Size;

/// A denoised image, and what was taken away.
#[derive(Clone, Debug)]
pub struct DenoisedGrey {
    /// Grey levels, neither rounded nor clipped.
    pub image: GreyImage,
    /// The noisy image less the denoised one, on the scale on which the network works.
    pub residual: Residual,
    /// What left its range, if that was asked for and ranges are calibrated.
    pub out_of_range: Option<OutOfRange>,
}

/// How the twin imitates two servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct TwinOptions {
    /// What becomes of their random choices.
    pub rounding: Rounding,
    /// Whether values that leave their range are counted.
    pub watched: bool,
}

impl FloatModel {
    /// Denoises grey levels in float32; `activation` is applied to a batch of pre-activations in place,
    /// `progress` is told the share of patches done.
    ///
    /// # Errors
    /// [`ModelError::Network`] if the image does not suit the model, [`ModelError::Image`] if a result is
    /// not finite.
    pub fn denoise_grey(
        &self,
        image: &GreyImage,
        levels: &LevelMap,
        activation: &dyn Fn(&mut [f32]),
        progress: &mut dyn FnMut(f64),
    ) -> Result<DenoisedGrey, ModelError> {
        let plane = NoisePlane::Level(self.plane(levels.noise));
        self.denoise_grey_at(image, levels, plane, activation, progress)
    }

    /// The same, and a network that reads the plane is given `plane`, of [`FloatModel::plane`], which may be another
    /// level at each pixel.
    ///
    /// # Errors
    /// As [`FloatModel::denoise_grey`]; [`ModelError::Image`] for levels of another number of pixels.
    pub fn denoise_grey_at(
        &self,
        image: &GreyImage,
        levels: &LevelMap,
        plane: NoisePlane<'_>,
        activation: &dyn Fn(&mut [f32]),
        progress: &mut dyn FnMut(f64),
    ) -> Result<DenoisedGrey, ModelError> {
        let units = levels.units_of(image, self.network.is_of_colours());
        let units: Vec<f32> = units.map(|units| units as f32).collect();
        let size = image.size();
        let out = self.denoise_at(&units, size, plane, activation, progress)?;
        let grey = out.iter().map(|&u| levels.to_grey(u.into()) as f32).collect();
        let level = |&units: &f32| self.units.to_level(units.into());
        let residual = Residual::of(size, units.iter().map(level), out.iter().map(level));
        Ok(DenoisedGrey {
            image: GreyImage::new(size.height, size.width, grey)?,
            residual,
            out_of_range: None,
        })
    }
}

impl QuantisedModel {
    /// The image in fixed point.
    ///
    /// # Errors
    /// [`Unfit`] if more of it had to be clamped than is accepted.
    pub fn encode_fitting(
        &self,
        image: &GreyImage,
        levels: &LevelMap,
        clamping: Clamping,
    ) -> Result<Encoded, Unfit> {
        let encoded = encode_image(&self.public, image, levels);
        encoded.fit.judge(clamping, &self.public, levels)?;
        Ok(encoded)
    }

    /// Denoises the pixels that [`encode_image`] gives of an image of `size` = (rows, columns) as the two
    /// servers would, but that their random choices are those of `options`.
    ///
    /// # Errors
    /// As [`FloatModel::denoise_grey`].
    pub fn denoise_encoded(
        &self,
        encoded: &Encoded,
        size: Size,
        levels: &LevelMap,
        options: TwinOptions,
        progress: &mut dyn FnMut(f64),
    ) -> Result<DenoisedGrey, ModelError> {
        match self.public.ring {
            RingBits::L32 => self.denoise_in::<u32>(encoded, size, levels, options, progress),
            RingBits::L64 => self.denoise_in::<u64>(encoded, size, levels, options, progress),
        }
    }

    fn denoise_in<R: Ring>(
        &self,
        encoded: &Encoded,
        size: Size,
        levels: &LevelMap,
        options: TwinOptions,
        progress: &mut dyn FnMut(f64),
    ) -> Result<DenoisedGrey, ModelError> {
        let public = &self.public;
        let input = TwinInput {
            image: &encoded.pixels,
            size,
            plane: encoded.plane,
            watched: options.watched,
        };
        let mut choices = options.rounding.choices::<R>();
        let run = run_twin::<R>(self, &input, &mut *choices, progress)?;
        let dropped = public.dropped_bits();
        let sums: Vec<R> = run.sums.iter().map(|&sum| choices.drop_bits(sum, dropped)).collect();
        let weights = public.network.outputs().weight_sums(size)?;
        let units = decode_sums(&sums, &weights, public.output_frac(), dropped);
        let grey = units.iter().map(|&u| levels.to_grey(u) as f32).collect();
        let denoised = units.iter().map(|&u| public.units.to_level(u));
        let residual = Residual::of(size, public.working_levels(&encoded.pixels), denoised);
        let (image, out_of_range) =
            (GreyImage::new(size.height, size.width, grey)?, run.out_of_range);
        Ok(DenoisedGrey { image, residual, out_of_range })
    }
}
