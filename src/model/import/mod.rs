//! Models as others save them: the layers inferred from names and shapes, how they are meant found by trying.
//!
//! May use: the arrays of a model file, descriptions, and the trial of a model. Pure.
//!
//! Security: files are hostile; weights are secret and in no message.

mod chain;
mod choice;
mod colour;
mod foreign;
mod form;
mod graph;
mod ircnn;
mod layer;
mod names;
mod order;
mod published;
mod reparametrised;
mod ways;
mod whole;

use super::activation::Activation;
use super::load::Tensor;
use super::onnx::Graph;
use super::trial::Try;
use super::{FloatModel, ModelError, ModelFile};
use crate::image::Range;
use chain::Plan;
use choice::Trials;
use graph::Read;
use layer::Layer;
use published::Published;
use std::fmt;
pub use ways::{Known, Predicts};
use ways::{Net, ways};
use whole::ModuleFacts;

/// A kind of network that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Dense layers on overlapping patches.
    Mlp,
    /// A chain of convolutions.
    Dncnn,
    /// A chain of seven convolutions of 3x3 whose taps are apart as IRCNN's.
    Ircnn,
    /// A U-Net of residual blocks, by its names: DRUNet.
    Unet,
    /// What the graph of an ONNX file says.
    Graph,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Mlp => "mlp",
            Family::Dncnn => "dncnn",
            Family::Ircnn => "ircnn",
            Family::Unet => "unet",
            Family::Graph => "graph",
        })
    }
}

impl Family {
    fn says(self) -> &'static str {
        match self {
            Family::Mlp => "a network on patches",
            Family::Dncnn | Family::Ircnn => "a chain of convolutions",
            Family::Unet => "a U-Net of residual blocks",
            Family::Graph => "convolutions, as the graph says",
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
    #[error("no network that can be imported: {0}")]
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
    /// which the model was trained; of IRCNN's file of 25 networks the one for that level is taken. What is `known` is
    /// not tried, and neither is what a network that was saved whole says of itself. `progress` is told the share of
    /// ways that were tried.
    ///
    /// Cost: up to 40 times some 2 billion multiply-adds, for a network of usual size. Memory: three times the
    /// weights, of which a file may have 4 for each of its bytes, and 2^18 more, and the maps of a try, at most 1 GiB.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import(
        &mut self,
        known: Known,
        sigma: f64,
        progress: &mut dyn FnMut(f64),
    ) -> Result<Imported, ImportError> {
        let matlab = self.format() == super::ModelFormat::Mat;
        let found = match self.graph() {
            Some((graph, length)) => Candidate::in_graph(graph, length, known, sigma)?,
            None => self.in_arrays(known, sigma)?,
        };
        let Candidate { layers, form, family, known, published, sigma, mut notes, .. } = found;
        let net = Net { layers: &layers, form: &form };
        let mut ways = ways(family, known, net, matlab)?;
        ways.retain(|way| !found.is_told || !way.dilated);
        let trials = Trials::of(ways, net, sigma, progress)?;
        let chosen = trials.chosen(published)?;
        let model = trials.ways[chosen].model(net, sigma)?;
        let published = published.filter(|p| p.is(&trials.ways[chosen]));
        notes.extend(published.map(|p| p.to_string()));
        if !found.is_told && published.is_none() && family == Family::Dncnn {
            notes.push(ASSUMED.into());
        }
        let Trials { noisy_db, tries, .. } = trials;
        Ok(Imported { model, family, notes, noisy_db, tries, chosen })
    }

    /// The layers that the graph of an ONNX file is, as a description lists them; nothing of other files. What the
    /// network gives is for [`ModelFile::import`] to find. Memory: three times the weights.
    ///
    /// # Errors
    /// [`ImportError::Foreign`] with the name of the node that is in the way.
    pub fn layers_of_graph(&self) -> Result<Option<Vec<super::description::Layer>>, ImportError> {
        let Some((graph, length)) = self.graph() else { return Ok(None) };
        let read = graph::read(graph, chain::most_of(length))?;
        let sides = read.layers.iter().map(|layer| (layer.shape[0], layer.shape[2]));
        Ok(Some(read.form.convolutions(sides, read.activation)))
    }

    /// The network that the names and shapes of arrays are.
    fn in_arrays(&mut self, known: Known, sigma: f64) -> Result<Candidate, ImportError> {
        let told = match self.modules() {
            [] => None,
            [network] => Some(ModuleFacts::by(network)?),
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
        let known = known.told(says, None)?;
        let (plan, layers, one_of) = self.with_arrays(|arrays| -> Result<_, ImportError> {
            let names = arrays.names();
            let tensors = names.iter().map(|name| arrays.tensor(name));
            let mut tensors: Vec<Tensor> = tensors.collect::<Result<_, _>>()?;
            let one_of = ircnn::one_of_them(&mut tensors, sigma)?;
            let plan = Plan::of(&tensors, known.family, told.as_ref())?;
            plan.check_cost(length)?;
            let layers = plan.read(arrays)?;
            Ok((plan, layers, one_of))
        })?;
        let mut notes = plan.notes();
        notes.extend(one_of.map(|one_of| one_of.to_string()));
        Ok(Candidate {
            layers,
            published: plan.published(),
            family: plan.family,
            form: plan.form,
            known,
            // A network that was saved whole says how far its taps are apart.
            is_told: told.is_some(),
            sigma: one_of.map_or(sigma, |one_of| one_of.level),
            notes,
        })
    }
}

/// A network, before it is known how it is meant.
struct Candidate {
    layers: Vec<Layer>,
    form: form::Form,
    family: Family,
    /// What is known, with what the file says of itself.
    known: Known,
    published: Option<Published>,
    /// Whether the file says how far the taps of its kernels are apart.
    is_told: bool,
    sigma: f64,
    notes: Vec<String>,
}

impl Candidate {
    /// The network that a graph is.
    fn in_graph(
        graph: &Graph,
        length: u64,
        known: Known,
        sigma: f64,
    ) -> Result<Candidate, ImportError> {
        if let Some(family) = known.family {
            let text = format!("its graph says what it is, so it is taken for no {family}");
            return Err(ImportError::Foreign(text));
        }
        let read = graph::read(graph, chain::most_of(length))?;
        let known = known.told(Some(read.activation), read.predicts)?;
        let shapes = read.layers.iter().map(|layer| &layer.shape[..]);
        let mut notes = vec![
            format!("{}: {}", Family::Graph.says(), chain::widths(shapes)),
            format!("its activation is {}", read.activation),
        ];
        notes.extend(read.predicts.map(|predicts| format!("it gives {predicts}")));
        if read.form.reads_noise() {
            notes.push(TOLD.into());
        }
        let Read { layers, form, .. } = read;
        let (published, is_told, family) = (None, true, Family::Graph);
        Ok(Candidate { layers, form, family, known, published, is_told, sigma, notes })
    }
}

impl Known {
    /// With what a file says of its network.
    ///
    /// # Errors
    /// [`ImportError::Foreign`] if something else is known.
    fn told(
        self,
        activation: Option<Activation>,
        predicts: Option<Predicts>,
    ) -> Result<Known, ImportError> {
        if let (Some(says), Some(other)) =
            (activation, self.activation.filter(|a| Some(*a) != activation))
        {
            let text = format!("its activation is {says}, as the file says, and not {other}");
            return Err(ImportError::Foreign(text));
        }
        if let (Some(says), Some(other)) =
            (predicts, self.predicts.filter(|p| Some(*p) != predicts))
        {
            let text = format!("it gives {says}, as the file says, and not {other}");
            return Err(ImportError::Foreign(text));
        }
        let (activation, predicts) = (activation.or(self.activation), predicts.or(self.predicts));
        Ok(Known { activation, predicts, ..self })
    }
}

/// What is said of a network that gets the noise level.
const TOLD: &str = "it is told the noise: --sigma is the highest level that it was trained for";

/// What is said of a chain of convolutions of which a file has but the arrays.
const ASSUMED: &str = "taken as usual, for the file does not say it: zeros around its maps and nothing that skips layers; \
                       compare a picture with what its own program makes of it";

#[cfg(test)]
mod tests;
