//! Models as others save them: the layers inferred from names and shapes, how they are meant found by trying.
//!
//! May use: the arrays of a model file, descriptions, and the trial of a model. Pure.
//!
//! Security: files are hostile; weights are secret and in no message.

mod chain;
mod foreign;
mod names;
mod whole;

use super::description::{Layer as Described, PATCH_STRIDE};
use super::load::{Arrays, Tensor, assemble};
use super::trial::{Picture, Try, margin, said};
use super::{Description, FloatModel, ModelError, ModelFile, Normalisation, PixelOrder};
use crate::model::activation::{Activation, Leaky};
use chain::{Layer, Plan};
use std::fmt;
use whole::Told;

/// What two PSNRs may differ by, in dB, for the simpler description to be taken.
const EVEN_DB: f64 = 0.1;
/// How many pixels apart the taps of the layers of IRCNN are, which no array of its file says.
const IRCNN: [usize; 7] = [1, 2, 3, 4, 3, 2, 1];

/// A kind of network that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Dense layers on overlapping patches.
    Mlp,
    /// A chain of convolutions.
    Dncnn,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Mlp => "mlp",
            Family::Dncnn => "dncnn",
        })
    }
}

impl Family {
    fn says(self) -> &'static str {
        match self {
            Family::Mlp => "a network on patches",
            Family::Dncnn => "a chain of convolutions",
        }
    }
}

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read, or the model is beyond what is supported.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It holds another kind of network.
    #[error("no network that can be imported, which is a chain from one grey channel to one: {0}")]
    Foreign(String),
    /// However it was taken, it does not denoise.
    #[error(
        "it does not denoise however it is taken: with noise of {sigma} grey levels, {noisy_db:.2} dB, \
         tried were {}",
        tries.iter().map(Try::to_string).collect::<Vec<_>>().join("; ")
    )]
    Useless {
        /// Noise of the trial, in grey levels.
        sigma: f64,
        /// PSNR of the noisy picture, in dB.
        noisy_db: f64,
        /// What was tried.
        tries: Vec<Try>,
    },
}

/// A model, and how it was found.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The model; its ReLU, if it has that, is not calibrated yet.
    pub model: FloatModel,
    /// Its family.
    pub family: Family,
    /// What was made of the arrays, a sentence each.
    pub notes: Vec<String>,
    /// PSNR of the noisy picture, in dB.
    pub noisy_db: f64,
    /// What was tried, in the order of preference.
    pub tries: Vec<Try>,
    /// Which of them the model is.
    pub chosen: usize,
}

impl ModelFile {
    /// Infers the layers from names and shapes, merges batch normalisation, and finds normalisation,
    /// residual and activation by trying them on a small picture with noise of `sigma` grey levels, for
    /// which the model was trained. What is `known` is not tried, and neither is what a network that was saved
    /// whole says of itself.
    ///
    /// Cost: 4 to 32 tries of some 2 billion multiply-adds. Memory: three times the weights.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import(&mut self, known: Known, sigma: f64) -> Result<Imported, ImportError> {
        let matlab = self.format() == super::ModelFormat::Mat;
        let told = match self.modules() {
            [] => None,
            [network] => Some(Told::by(network)?),
            several => {
                let names: Vec<_> = several.iter().map(|m| format!("`{}`", m.name)).collect();
                return Err(ImportError::Foreign(format!(
                    "it holds {} networks, {}: save one of them by itself",
                    several.len(),
                    names.join(" and ")
                )));
            }
        };
        let says = told.as_ref().and_then(|told| told.activation);
        if let (Some(says), Some(other)) = (says, known.activation.filter(|a| Some(*a) != says)) {
            let text = format!("its activation is {says}, as the file says, and not {other}");
            return Err(ImportError::Foreign(text));
        }
        let known = Known { activation: says.or(known.activation), ..known };
        let (plan, layers) = self.with_arrays(|arrays| -> Result<_, ImportError> {
            let names = arrays.names();
            let tensors = names.iter().map(|name| arrays.tensor(name));
            let tensors: Vec<Tensor> = tensors.collect::<Result<_, _>>()?;
            let plan = Plan::of(&tensors, known.family, told.as_ref())?;
            let layers = plan.read(arrays)?;
            Ok((plan, layers))
        })?;
        let mut ways = ways((plan.family, known.activation), &layers, matlab);
        // A network that was saved whole says how far its taps are apart.
        ways.retain(|way| told.is_none() || !way.dilated);
        let mut trial = None;
        let (mut tries, mut best): (Vec<Try>, Option<(FloatModel, usize)>) = (Vec::new(), None);
        for way in ways {
            let model = way.model(&layers, sigma)?;
            if trial.is_none() {
                trial = Some(Picture::for_network(&model.network, sigma)?);
            }
            let Some(picture) = &trial else { continue };
            let psnr_db = picture.denoised_db(&model)?;
            if best.as_ref().is_none_or(|(_, i)| psnr_db > tries[*i].psnr_db + EVEN_DB) {
                best = Some((model, tries.len()));
            }
            tries.push(Try { what: way.to_string(), psnr_db });
        }
        let noisy_db = trial.map_or(f64::NAN, |picture| picture.noisy_db);
        match best {
            Some((model, chosen)) if tries[chosen].psnr_db > noisy_db + margin(sigma) => {
                let (family, notes) = (plan.family, plan.notes());
                Ok(Imported { model, family, notes, noisy_db, tries, chosen })
            }
            _ => Err(ImportError::Useless { sigma, noisy_db, tries }),
        }
    }
}

/// What is known of a file's network beforehand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Its kind: names that speak of blocks are not heeded.
    pub family: Option<Family>,
    /// Its activation.
    pub activation: Option<Activation>,
}

/// One way to take the layers.
#[derive(Clone, Copy, Debug)]
struct Way {
    units: Normalisation,
    residual: bool,
    activation: Activation,
    mean_shift: bool,
    order: Option<PixelOrder>,
    /// Whether the layers are dilated as IRCNN's.
    dilated: bool,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", said(self.units, self.residual), self.activation)?;
        if self.mean_shift {
            f.write_str(", mean shift")?;
        }
        if self.order == Some(PixelOrder::ColumnMajor) {
            f.write_str(", column-major")?;
        }
        if self.dilated {
            f.write_str(", dilated as IRCNN")?;
        }
        Ok(())
    }
}

/// The slopes of leaky ReLUs that are tried: those of PyTorch's default and of the usual networks.
const LEAKY: [f64; 3] = [0.2, 0.1, 0.01];

/// All ways in which such layers are used, the most usual first.
fn ways((family, known): (Family, Option<Activation>), layers: &[Layer], matlab: bool) -> Vec<Way> {
    use Activation::{Relu, Tanh};
    let mlp = family == Family::Mlp;
    let small = layers.iter().all(|layer| layer.shape[2..] == [3, 3]);
    let dilations: &[bool] = match !mlp && small && layers.len() == IRCNN.len() {
        true => &[false, true],
        false => &[false],
    };
    let (units, usual, shifts): (_, _, &[bool]) = match mlp {
        true => ([Normalisation::BURGER, Normalisation::UNIT], vec![Tanh, Relu], &[false, true]),
        false => {
            let leaky = LEAKY.map(|slope| Leaky::of(slope).map(Activation::Leaky));
            let usual = std::iter::once(Relu).chain(leaky.into_iter().flatten()).collect();
            ([Normalisation::UNIT, Normalisation::BURGER], usual, &[false])
        }
    };
    let activations = known.map_or(usual, |activation| vec![activation]);
    let orders: &[_] = match matlab {
        true => &[Some(PixelOrder::ColumnMajor), Some(PixelOrder::RowMajor)],
        false => &[None],
    };
    let mut ways = Vec::new();
    for &dilated in dilations {
        for &order in orders {
            for &mean_shift in shifts {
                for &activation in &activations {
                    for units in units {
                        for residual in [true, false] {
                            ways.push(Way {
                                units,
                                residual,
                                activation,
                                mean_shift,
                                order,
                                dilated,
                            });
                        }
                    }
                }
            }
        }
    }
    ways
}

impl Way {
    /// The model that the layers are, taken in this way.
    fn model(&self, layers: &[Layer], sigma: f64) -> Result<FloatModel, ImportError> {
        let spread: Vec<Layer>;
        let layers = match self.dilated {
            true => {
                spread = layers.iter().zip(IRCNN).map(|(layer, step)| layer.spread(step)).collect();
                &spread
            }
            false => layers,
        };
        let description = Description {
            layers: self.described(layers)?,
            sigma,
            units: self.units,
            mean_shift: self.mean_shift,
            pixel_order: self.order,
            piecewise: None,
            extremes: None,
        };
        description.check()?;
        Ok(assemble(&description, &mut Read(layers))?)
    }

    /// The layers as a description lists them.
    fn described(&self, layers: &[Layer]) -> Result<Vec<Described>, ImportError> {
        let mut list = Vec::new();
        if let ([first, .., last], true) = (layers, layers[0].shape.len() == 2) {
            let size = side(first.shape[1], "its first layer takes")?;
            let output = side(last.shape[0], "its last layer gives")?;
            list.push(Described::Patches { size, output, stride: PATCH_STRIDE.min(output) });
        }
        for (layer, number) in layers.iter().zip(1..) {
            let outputs = layer.shape[0];
            list.push(match layer.shape.get(2) {
                Some(&kernel) => Described::conv2d(outputs, kernel),
                None => Described::Dense { outputs },
            });
            if number < layers.len() {
                list.push(self.activation.into());
            }
        }
        list.extend(self.residual.then_some(Described::Residual));
        Ok(list)
    }
}

/// The side of a square patch.
fn side(pixels: usize, what: &str) -> Result<usize, ImportError> {
    match pixels.isqrt() {
        side if side > 0 && side * side == pixels => Ok(side),
        _ => Err(ImportError::Foreign(format!("{what} {pixels} values, which is no square patch"))),
    }
}

/// Layers that were read, as arrays `w1, b1, ...`.
struct Read<'a>(&'a [Layer]);

impl Arrays for Read<'_> {
    fn names(&self) -> Vec<String> {
        (1..=self.0.len()).flat_map(|n| [format!("w{n}"), format!("b{n}")]).collect()
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        let missing = || ModelError::Array { name: name.into(), reason: "is missing".into() };
        let number = name.get(1..).and_then(|n| n.parse::<usize>().ok());
        let layer = number.and_then(|n| self.0.get(n.checked_sub(1)?)).ok_or_else(missing)?;
        let weights = name.starts_with('w');
        let shape = if weights { layer.shape.clone() } else { vec![layer.bias.len()] };
        Ok(Tensor { name: name.into(), dtype: "F32".into(), shape })
    }

    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let error = |reason: String| ModelError::Array { name: name.into(), reason };
        let found = self.tensor(name)?.shape;
        if found != shape {
            return Err(error(format!("has shape {found:?}, expected {shape:?}")));
        }
        let number = name.get(1..).and_then(|n| n.parse::<usize>().ok());
        let layer = number.and_then(|n| self.0.get(n.checked_sub(1)?));
        let layer = layer.ok_or_else(|| error("is missing".into()))?;
        Ok(if name.starts_with('w') { layer.weights.clone() } else { layer.bias.clone() })
    }
}

#[cfg(test)]
mod tests;
