//! Models as others save them: the layers inferred from names and shapes, how they are meant found by trying.
//!
//! May use: the arrays of a model file, descriptions, and the trial of a model. Pure.
//!
//! Security: files are hostile; weights are secret and in no message.

mod chain;
mod choice;
mod foreign;
mod form;
mod layer;
mod names;
mod published;
mod reparametrised;
mod ways;
mod whole;

use super::load::Tensor;
use super::trial::Try;
use super::{FloatModel, ModelError, ModelFile};
use crate::image::Range;
use chain::Plan;
use choice::Trials;
use std::fmt;
pub use ways::{Known, Predicts};
use ways::{Net, ways};
use whole::Told;

/// A kind of network that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Dense layers on overlapping patches.
    Mlp,
    /// A chain of convolutions.
    Dncnn,
    /// A U-Net of residual blocks, by its names: DRUNet.
    Unet,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Mlp => "mlp",
            Family::Dncnn => "dncnn",
            Family::Unet => "unet",
        })
    }
}

impl Family {
    fn says(self) -> &'static str {
        match self {
            Family::Mlp => "a network on patches",
            Family::Dncnn => "a chain of convolutions",
            Family::Unet => "a U-Net of residual blocks",
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
    /// Zeros around the maps of a network with this range are no grey level that is 0 in a normalisation.
    #[error(
        "a network for levels of {0} is none that can be imported: LOW..HIGH must begin at 0, or reach as far below \
         0 as above"
    )]
    Range(Range),
    /// Several ways to take it denoise alike.
    #[error(
        "it does not say how it is meant, and {} ways of taking it denoise alike: {}; say which with {}",
        tries.len(),
        choice::best(tries),
        flags.join(", ")
    )]
    Undecided {
        /// What denoises within 0.1 dB of the best, the best first.
        tries: Vec<Try>,
        /// What would decide: `activation`, `range`, `predicts`, `family`.
        flags: Vec<&'static str>,
    },
    /// However it was taken, it does not denoise.
    #[error(
        "it does not denoise however it is taken: with noise of {sigma} grey levels, {noisy_db:.2} dB, \
         {} ways were tried, the best of which are {}",
        tries.len(),
        choice::best(tries)
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
    /// Cost: up to 40 times some 2 billion multiply-adds, for a network of usual size. Memory: three times the
    /// weights, of which a file may have 4 for each of its bytes, and 2^18 more.
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
        let length = self.length();
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
            plan.check_cost(length)?;
            let layers = plan.read(arrays)?;
            Ok((plan, layers))
        })?;
        let net = Net { layers: &layers, form: &plan.form };
        let mut ways = ways((plan.family, known), net, matlab)?;
        // A network that was saved whole says how far its taps are apart.
        ways.retain(|way| told.is_none() || !way.dilated);
        let trials = Trials::of(ways, net, sigma)?;
        let published = plan.published();
        let chosen = trials.chosen(published)?;
        let model = trials.ways[chosen].model(net, sigma)?;
        let (family, mut notes) = (plan.family, plan.notes());
        notes.extend(published.filter(|p| p.is(&trials.ways[chosen])).map(|p| p.to_string()));
        let Trials { noisy_db, tries, .. } = trials;
        Ok(Imported { model, family, notes, noisy_db, tries, chosen })
    }
}

#[cfg(test)]
mod tests;
