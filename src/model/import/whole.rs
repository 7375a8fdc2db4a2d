//! What a network that was saved whole says of its layers: it is used, or refused by its name.

use super::ImportError;
use crate::model::activation::{Activation, Leaky};
use crate::model::pth::{Module, Said};
use std::collections::HashMap;

/// What the modules of a network say, none of which is in its arrays.
#[derive(Debug, Default)]
pub(super) struct ModuleFacts {
    /// The activation between all layers; none if the network's class applies it in its code.
    pub(super) activation: Option<Activation>,
    /// How many pixels apart the taps of a convolution are, by the name of the module.
    pub(super) dilations: HashMap<String, usize>,
    /// What a batch normalisation adds to a variance, by the name of the module.
    pub(super) epsilons: HashMap<String, f64>,
    /// The names of layers and normalisations as they follow one another, of a network in which they do.
    pub(super) sequence: Vec<String>,
}

/// What a module is in a chain.
#[derive(Clone, Copy, PartialEq)]
enum Leaf {
    Layer,
    Activation(Activation),
    Norm,
}

fn refused<T>(module: &Module, what: &str) -> Result<T, ImportError> {
    let kind = module.kind();
    let text = match module.name.as_str() {
        "" => format!("its {kind} {what}"),
        name => format!("its {kind} `{name}` {what}"),
    };
    Err(ImportError::Foreign(text))
}

impl ModuleFacts {
    /// # Errors
    /// [`ImportError::Foreign`] with the name of the first module that a chain here cannot have.
    pub(super) fn by(network: &Module) -> Result<ModuleFacts, ImportError> {
        let mut told = ModuleFacts::default();
        let mut leaves = Vec::new();
        told.walk(network, &mut leaves)?;
        told.check_order(network, &leaves)?;
        if is_sequence(network) {
            let weighted = leaves.iter().filter(|(leaf, _)| !matches!(leaf, Leaf::Activation(_)));
            told.sequence = weighted.map(|(_, module)| module.name.clone()).collect();
        }
        Ok(told)
    }

    fn walk<'a>(
        &mut self,
        module: &'a Module,
        leaves: &mut Vec<(Leaf, &'a Module)>,
    ) -> Result<(), ImportError> {
        // A class of someone else may be named like one of PyTorch's; what it does is in its code.
        let own = module.class.starts_with("torch.nn.");
        let kind = if own { module.kind() } else { "" };
        let leaf = match kind {
            "Conv2d" => {
                let dilation = convolution(module)?;
                self.dilations.insert(module.name.clone(), dilation);
                Leaf::Layer
            }
            "Linear" => Leaf::Layer,
            "BatchNorm2d" | "BatchNorm1d" | "SyncBatchNorm" => {
                let epsilon = number(module, "eps");
                self.epsilons.extend(epsilon.map(|epsilon| (module.name.clone(), epsilon)));
                Leaf::Norm
            }
            "ReLU" => Leaf::Activation(Activation::Relu),
            "Tanh" => Leaf::Activation(Activation::Tanh),
            "LeakyReLU" => Leaf::Activation(leaky(module)?),
            // Nothing, once a network is trained.
            "Identity" | "Dropout" | "Dropout2d" => return Ok(()),
            "PReLU" => {
                return refused(
                    module,
                    "has slopes that are weights, which would have to be public",
                );
            }
            _ => {
                let holds = ["Sequential", "ModuleList", "DataParallel", "DistributedDataParallel"];
                if own && !holds.contains(&module.kind()) {
                    return refused(
                        module,
                        "is none of the modules of a chain: Conv2d, Linear, BatchNorm2d, ReLU, LeakyReLU, Tanh",
                    );
                }
                if !module.arrays.is_empty() {
                    return refused(
                        module,
                        "has weights of its own, and what it does is not in the file",
                    );
                }
                if module.parts.is_empty() && !own {
                    return refused(
                        module,
                        "is a class that is not PyTorch's: what it does is not in the file",
                    );
                }
                return module.parts.iter().try_for_each(|part| self.walk(part, leaves));
            }
        };
        leaves.push((leaf, module));
        Ok(())
    }

    /// One activation, between all layers.
    fn check_order(
        &mut self,
        network: &Module,
        leaves: &[(Leaf, &Module)],
    ) -> Result<(), ImportError> {
        let layers = leaves.iter().filter(|(leaf, _)| *leaf == Leaf::Layer).count();
        let is_certain = is_sequence(network);
        let mut kinds = leaves.iter().filter_map(|(leaf, module)| match leaf {
            Leaf::Activation(activation) => Some((*activation, *module)),
            _ => None,
        });
        let Some((first, _)) = kinds.next() else {
            return if is_certain && layers > 1 {
                refused(network, "has no activation between its layers")
            } else {
                Ok(())
            };
        };
        if let Some((other, module)) = kinds.find(|(other, _)| *other != first) {
            let text =
                format!("is {other} and others are {first}: all activations must be the same");
            return refused(module, &text);
        }
        self.activation = Some(first);
        let is_activation = |leaf: &Leaf| matches!(leaf, Leaf::Activation(_));
        let all = leaves.iter().filter(|(leaf, _)| is_activation(leaf)).count();
        // One that the class applies between all layers, in its code.
        if all == 1 && layers != 2 && !is_certain {
            return Ok(());
        }
        let mut before = None;
        for (leaf, module) in leaves {
            match (before, *leaf) {
                (Some(Leaf::Layer | Leaf::Norm), Leaf::Layer) => {
                    return refused(module, "follows a layer without an activation between them");
                }
                (None, Leaf::Norm) => return refused(module, "comes before every layer"),
                (Some(Leaf::Activation(_)), Leaf::Norm) => {
                    return refused(
                        module,
                        "follows an activation, so it cannot be merged into a layer",
                    );
                }
                (None | Some(Leaf::Activation(_)), Leaf::Activation(_)) => {
                    return refused(module, "follows no layer");
                }
                _ => before = Some(*leaf),
            }
        }
        match leaves.last() {
            Some((leaf, module)) if is_activation(leaf) => {
                refused(module, "comes behind the last layer")
            }
            _ => Ok(()),
        }
    }
}

/// Whether its parts follow one another, and nothing is left to the code of a class.
fn is_sequence(module: &Module) -> bool {
    let passes = ["Sequential", "DataParallel", "DistributedDataParallel"];
    let passes = passes.contains(&module.kind()) && module.parts.iter().all(is_sequence);
    module.class.starts_with("torch.nn.") && (module.parts.is_empty() || passes)
}

fn number(module: &Module, attribute: &str) -> Option<f64> {
    match module.says(attribute)? {
        Said::Number(number) => Some(*number),
        _ => None,
    }
}

/// A number for both sides of an image.
fn both(module: &Module, attribute: &str, otherwise: f64) -> Result<f64, ImportError> {
    match module.says(attribute) {
        None => Ok(otherwise),
        Some(Said::Number(number)) => Ok(*number),
        Some(Said::Numbers(sides)) if !sides.is_empty() && sides.iter().all(|s| *s == sides[0]) => {
            Ok(sides[0])
        }
        Some(_) => {
            refused(module, &format!("has another `{attribute}` along rows than along columns"))
        }
    }
}

/// The dilation of a convolution of stride 1 that keeps the size of its map, with zeros around it.
fn convolution(module: &Module) -> Result<usize, ImportError> {
    match module.says("padding_mode") {
        None => {}
        Some(Said::Word(mode)) if mode == "zeros" => {}
        Some(Said::Word(mode)) => {
            return refused(
                module,
                &format!("has padding_mode={mode}, and only zeros are padded here"),
            );
        }
        Some(_) => return refused(module, "has a padding_mode that is no word"),
    }
    let (stride, groups) = (both(module, "stride", 1.0)?, both(module, "groups", 1.0)?);
    if stride != 1.0 {
        return refused(module, &format!("has stride={stride}, which makes its map smaller"));
    }
    if groups != 1.0 {
        return refused(module, &format!("has groups={groups}, and a chain here has none"));
    }
    let dilation = both(module, "dilation", 1.0)?;
    let kernel = both(module, "kernel_size", 0.0)?;
    let around = dilation * (kernel - 1.0) / 2.0;
    let padding = match module.says("padding") {
        Some(Said::Word(word)) if word == "same" => around,
        Some(Said::Word(_)) => 0.0,
        _ => both(module, "padding", around)?,
    };
    if padding != around {
        let text =
            format!("has padding={padding}, expected {around}, which keeps the size of its map");
        return refused(module, &text);
    }
    match dilation {
        _ if dilation == 1.0 => Ok(1),
        _ if dilation.fract() == 0.0 && dilation > 0.0 && dilation * (kernel - 1.0) < 15.0 => {
            Ok(dilation as usize)
        }
        _ => refused(
            module,
            &format!(
                "has dilation={dilation}: its taps lie too far apart, at most 15 pixels are read"
            ),
        ),
    }
}

fn leaky(module: &Module) -> Result<Activation, ImportError> {
    match number(module, "negative_slope") {
        Some(0.0) => Ok(Activation::Relu),
        Some(slope) => match Leaky::of(slope) {
            Ok(leaky) => Ok(Activation::Leaky(leaky)),
            Err(expected) => {
                refused(module, &format!("has negative_slope={slope}, expected {expected}"))
            }
        },
        None => refused(module, "does not say its negative_slope"),
    }
}
