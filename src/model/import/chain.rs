//! From a list of arrays to a chain of layers, with the weights that they make.

use super::colour::on_mosaic;
use super::foreign::{self, shown};
use super::form::{self, Form, Listed, Outside};
use super::layer::{Layer, Parts, values};
use super::names::{self, Name, Role};
use super::order::{is_apart, normalises, places};
use super::published::{self, Published};
use super::reparametrised;
use super::whole::ModuleFacts;
use super::{Family, ImportError, TOLD};
use crate::model::ModelError;
use crate::model::load::{Arrays, Tensor, finite};
use crate::network::{Continued, MAX_WEIGHTS};
use std::collections::{BTreeMap, HashMap};

/// What batch normalisation adds to a variance, if nobody says otherwise; no file does.
const EPSILON: f64 = 1e-5;

/// How many weights a trial takes from any file, and for each of its bytes: half floats have one in two bytes, and
/// few networks can be packed to an eighth.
const LEAST_WEIGHTS: usize = 1 << 18;
const WEIGHTS_A_BYTE: f64 = 4.0;
/// The same of the outputs of one layer, of which a trial keeps some 10 KB each.
const LEAST_OUTPUTS: usize = 4096;
const OUTPUTS_A_BYTE: f64 = 1.0 / 256.0;

/// Weights, and outputs of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amounts {
    pub(super) weights: usize,
    pub(super) outputs: usize,
}

/// The most of which a file of `length` bytes may make a trial.
pub(super) fn most_of(length: u64) -> Amounts {
    let most = |least: usize, per_byte: f64| least + (length as f64 * per_byte) as usize;
    let weights = most(LEAST_WEIGHTS, WEIGHTS_A_BYTE).min(MAX_WEIGHTS);
    Amounts { weights, outputs: most(LEAST_OUTPUTS, OUTPUTS_A_BYTE) }
}

/// Layers as the shapes of their weights, equal ones counted.
pub(super) fn widths<'a>(shapes: impl Iterator<Item = &'a [usize]>) -> String {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for shape in shapes {
        let shape = shown(shape);
        match runs.last_mut() {
            Some((last, n)) if *last == shape => *n += 1,
            _ => runs.push((shape, 1)),
        }
    }
    let run = |(shape, n): &(String, usize)| match n {
        1 => shape.clone(),
        n => format!("{n} of {shape}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

/// A layer with weights: (outputs, inputs) or (outputs, channels, kernel, kernel), and which
/// normalisations come right behind it.
#[derive(Debug)]
struct Planned {
    module: String,
    parts: Parts,
    norms: Vec<(Parts, f64)>,
    /// Pixels between its taps.
    dilation: usize,
    /// Which side of its weights are its outputs: the second of a transposed convolution.
    outputs_at: usize,
}

impl Planned {
    fn weight(&self) -> &Tensor {
        &self.parts[&Role::Weight]
    }

    /// How many weights it has, the zeros between taps that are apart among them.
    fn count(&self) -> Option<usize> {
        let mut count = 1usize;
        for (i, side) in self.weight().shape.iter().enumerate() {
            let wide = match i {
                0 | 1 => *side,
                _ => self.dilation.checked_mul(side.checked_sub(1)?)?.checked_add(1)?,
            };
            count = count.checked_mul(wide)?;
        }
        Some(count)
    }
}

/// A chain as the names and shapes say it is; no weight was read.
#[derive(Debug)]
pub(super) struct Plan {
    layers: Vec<Planned>,
    pub(super) family: Family,
    pub(super) form: Form,
    /// The key of the averaged weights, if the file holds them beside others.
    averaged: Option<String>,
}

impl Plan {
    /// Finds the chain; with a `family` it is taken for one whatever names say of blocks. What a network that was
    /// saved whole is `told` of its layers holds.
    pub(super) fn of(
        tensors: &[Tensor],
        family: Option<Family>,
        told: Option<&ModuleFacts>,
    ) -> Result<Plan, ImportError> {
        let all: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let names = names::inner(&all);
        foreign::several(&names, tensors)?;
        if let (Some(plan), None) = (Plan::unet_res(&names, tensors)?, family) {
            return Ok(plan);
        }
        if family.is_none() {
            foreign::blocks(&names)?;
        }
        let modules = modules(&names, tensors)?;
        let layers = in_order(places(&modules, tensors, told), told)?;
        let dimensions: Vec<usize> = layers.iter().map(|l| l.weight().shape.len()).collect();
        let found = match dimensions.as_slice() {
            all if all.iter().all(|d| *d == 2) => Family::Mlp,
            all if all.iter().all(|d| *d == 4) => Family::Dncnn,
            _ => return Err(foreign::mixed(layers.iter().map(Planned::weight))),
        };
        let is_of =
            |family: Family| family == found || (family == Family::Ircnn && found == Family::Dncnn);
        if let Some(family) = family.filter(|family| !is_of(*family)) {
            let text = format!("its weights are those of the family {found}, not of {family}");
            return Err(ImportError::Foreign(text));
        }
        let averaged = names::averaged(&names).map(String::from);
        let (first, last) = (layers[0].weight(), layers[layers.len() - 1].weight());
        let form = match found {
            Family::Dncnn => Form::of_channels(first.shape[1], last.shape[0]),
            _ => Form::Chain,
        };
        let plan = Plan { layers, family: found, form, averaged };
        plan.check_shapes()?;
        plan.check_count()?;
        Ok(plan)
    }

    /// A U-Net of residual blocks, if the names and shapes are those of one.
    fn unet_res(names: &[Name], tensors: &[Tensor]) -> Result<Option<Plan>, ImportError> {
        if !names.iter().any(|name| name.inner.starts_with("m_head.")) {
            return Ok(None);
        }
        let mut modules = modules(names, tensors)?;
        let Some((order, list)) = form::unet_res(&modules) else { return Ok(None) };
        let layer = |module: String| {
            let outputs_at = usize::from(module.starts_with("m_up") && !module.contains(".res."));
            let parts = modules.remove(&module)?;
            Some(Planned { module, parts, norms: Vec::new(), dilation: 1, outputs_at })
        };
        let layers: Vec<Planned> = order.into_iter().filter_map(layer).collect();
        let averaged = names::averaged(names).map(String::from);
        let outside = vec![Outside { layer: 0, channels: 0..layers[0].weight().shape[1] }];
        let form = Form::List(Listed { layers: list, outside, continued: Continued::Edge });
        let plan = Plan { layers, family: Family::Unet, form, averaged };
        plan.check_count()?;
        Ok(Some(plan))
    }

    /// The names of its layers, in order.
    #[cfg(test)]
    pub(super) fn modules(&self) -> Vec<&str> {
        self.layers.iter().map(|layer| layer.module.as_str()).collect()
    }

    fn check_shapes(&self) -> Result<(), ImportError> {
        let ends =
            (&self.layers[0].weight().shape, &self.layers[self.layers.len() - 1].weight().shape);
        if self.layers.len() < 2 {
            let text = "it has one layer with weights, and at least 2 are needed";
            return Err(ImportError::Foreign(text.into()));
        }
        if self.family == Family::Dncnn {
            foreign::channels(self.layers[0].weight(), ends.1[0])?;
        }
        for layer in &self.layers {
            if let [_, _, rows, columns] = layer.weight().shape[..] {
                foreign::kernel(layer.weight(), rows, columns)?;
            }
        }
        for pair in self.layers.windows(2) {
            let (before, after) = (pair[0].weight(), pair[1].weight());
            if before.shape[0] != after.shape[1] {
                return Err(foreign::broken(before, after));
            }
        }
        Ok(())
    }

    fn check_count(&self) -> Result<(), ImportError> {
        let sum = self.layers.iter().try_fold(0usize, |sum, l| sum.checked_add(l.count()?));
        match sum {
            Some(sum) if sum <= MAX_WEIGHTS => Ok(()),
            _ => {
                let text = format!("it has more than the {MAX_WEIGHTS} weights that are supported");
                Err(ImportError::Foreign(text))
            }
        }
    }

    /// Refuses a network that takes more memory or time than a file of `length` bytes may cost: one of few bytes
    /// can name many weights by repeating or packing them, and wide maps by few weights.
    pub(super) fn check_cost(&self, length: u64) -> Result<(), ImportError> {
        let weights: usize = self.layers.iter().filter_map(Planned::count).sum();
        let widest = self.layers.iter().map(|l| l.weight().shape[0]).max().unwrap_or(0);
        let Amounts { weights: most_weights, outputs: most_outputs } = most_of(length);
        for (what, count, most) in
            [("weights", weights, most_weights), ("outputs of a layer", widest, most_outputs)]
        {
            if count > most {
                let text = format!(
                    "it has {count} {what}, and a file of {length} bytes may have {most}: trying such a network costs \
                     too much for what it says"
                );
                return Err(ImportError::Foreign(text));
            }
        }
        Ok(())
    }

    /// What is known of the published networks that are named and shaped like this one.
    pub(super) fn published(&self) -> Option<Published> {
        published::of(&self.form, &self.layers.iter().map(Planned::weight).collect::<Vec<_>>())
    }

    /// What was made of the file, a sentence each.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = vec![{
            let shapes = self.layers.iter().map(|layer| &layer.weight().shape[..]);
            format!("{}: {}", self.family.says(), widths(shapes))
        }];
        let norms: usize = self.layers.iter().map(|layer| layer.norms.len()).sum();
        if let Some(key) = &self.averaged {
            notes.push(format!("taken are the averaged weights, `{key}`"));
        }
        if self.form.reads_noise() {
            notes.push(TOLD.into());
        }
        if let Form::Colour { .. } = self.form {
            notes.push("it denoises the three planes of a colour picture together".into());
        }
        if norms > 0 {
            notes.push(format!("{norms} batch normalisations merged into the layers before them"));
        }
        let bare = self.layers.iter().filter(|layer| !layer.parts.contains_key(&Role::Bias));
        let bare = bare.count();
        for (role, what) in [(Role::Lengths, "weight norm"), (Role::Original, "spectral norm")] {
            let count = self.layers.iter().filter(|layer| layer.parts.contains_key(&role)).count();
            notes.extend((count > 0).then(|| format!("{count} layers of {what}: folded")));
        }
        if bare > 0 {
            notes.push(format!("{bare} layers without a bias: zeros"));
        }
        notes
    }

    /// Reads the weights and merges what normalises them.
    pub(super) fn read(&self, arrays: &mut dyn Arrays) -> Result<Vec<Layer>, ModelError> {
        let layers = self.layers.iter().map(|planned| planned.read(arrays));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        Ok(match self.form {
            Form::Colour { side, .. } => on_mosaic(layers, side),
            _ => layers,
        })
    }
}

/// Whether a file says that an array is of integers or truth values, in its own words.
fn is_integer(dtype: &str) -> bool {
    let kind = dtype.trim_start_matches(['<', '>', '|', '=', '\'']);
    kind.starts_with(['I', 'U', 'i', 'u', 'b']) || kind == "BOOL"
}

/// The parts of each layer, by its name.
fn modules(names: &[Name], tensors: &[Tensor]) -> Result<BTreeMap<String, Parts>, ImportError> {
    let by_name: HashMap<&str, &Tensor> = tensors.iter().map(|t| (t.name.as_str(), t)).collect();
    let mut modules: BTreeMap<String, Parts> = BTreeMap::new();
    for name in names {
        let Some(tensor) = by_name.get(name.whole.as_str()) else { continue };
        let (module, role) = match names::part(&name.inner) {
            Some(part) => part,
            // A count of steps, a state of a generator: no layer has integers.
            None if is_integer(&tensor.dtype) => continue,
            None => return Err(foreign::unknown(tensor)),
        };
        let twice = modules.entry(module).or_default().insert(role, (*tensor).clone());
        if let Some(other) = twice {
            return Err(foreign::twice(&other, tensor));
        }
    }
    modules.values_mut().try_for_each(reparametrised::name_weight)?;
    Ok(modules)
}

/// The layers with weights, each with the normalisations right behind it.
fn in_order(
    modules: Vec<(String, Parts)>,
    told: Option<&ModuleFacts>,
) -> Result<Vec<Planned>, ImportError> {
    let mut layers: Vec<Planned> = Vec::new();
    for (module, parts) in modules {
        if normalises(&parts) {
            let Some(before) = layers.last_mut() else { return Err(foreign::norm_first(&parts)) };
            // One that was saved whole was checked by what it says.
            if told.is_none() && before.norms.is_empty() && is_apart(&before.module, &module) {
                return Err(foreign::norm_apart(&parts, before.weight()));
            }
            check_norm(&parts, before.weight())?;
            let name = foreign::module(&parts);
            let epsilon = told.and_then(|told| told.epsilons.get(&name).copied());
            before.norms.push((parts, epsilon.unwrap_or(EPSILON)));
            continue;
        }
        let is_layer = |w: &Tensor| matches!(w.shape.len(), 2 | 4) && !w.shape.contains(&0);
        if !parts.get(&Role::Weight).is_some_and(is_layer) {
            return Err(foreign::no_layer(&parts));
        }
        let name = foreign::module(&parts);
        let dilation = told.and_then(|told| told.dilations.get(&name).copied()).unwrap_or(1);
        let layer = Planned { module, parts, norms: Vec::new(), dilation, outputs_at: 0 };
        let outputs = &layer.weight().shape[..1];
        match layer.parts.get(&Role::Bias) {
            Some(bias) if bias.shape != outputs => {
                return Err(foreign::odd_shape(bias, outputs, &layer.module));
            }
            _ => layers.push(layer),
        }
    }
    if layers.is_empty() {
        return Err(ImportError::Foreign("there is no array with weights in it".into()));
    }
    Ok(layers)
}

/// A normalisation has numbers for each output of the layer before it.
fn check_norm(parts: &Parts, weight: &Tensor) -> Result<(), ImportError> {
    if !parts.contains_key(&Role::Variance) {
        return Err(foreign::no_layer(parts));
    }
    let sides = parts.iter().filter(|(role, _)| **role != Role::Count);
    for (_, tensor) in sides {
        if tensor.shape != weight.shape[..1] {
            return Err(foreign::odd_shape(tensor, &weight.shape[..1], &weight.name));
        }
    }
    Ok(())
}

impl Planned {
    fn read(&self, arrays: &mut dyn Arrays) -> Result<Layer, ModelError> {
        let shape = self.weight().shape.clone();
        let mut weights = finite(arrays, &self.weight().name, &shape)?;
        reparametrised::fold(arrays, &self.parts, &shape, &mut weights)?;
        let bias = values(arrays, &self.parts, Role::Bias, shape[self.outputs_at], 0.0)?;
        let mut layer = Layer { shape, weights, bias };
        for (norm, epsilon) in &self.norms {
            layer.merge(arrays, norm, *epsilon)?;
        }
        Ok(if self.dilation > 1 { layer.spread(self.dilation) } else { layer })
    }
}
