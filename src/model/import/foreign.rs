//! What a file holds that is no chain, in a sentence each.

use super::ImportError;
use super::names::{Name, Role, part, words};
use crate::model::load::Tensor;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Words in the names of layers, and what networks have such layers.
const BLOCKS: [(&[&str], &str); 5] = [
    (
        &["maxpool", "maxpool_conv", "pool", "double_conv", "Up_conv5", "Conv_1x1"],
        "a plain U-Net that pools by maxima, which no layer here does",
    ),
    (
        &["m_down1", "m_up1", "downs", "ups", "encoder", "decoder", "unet", "down1", "up1"],
        "a U-Net, such as DRUNet",
    ),
    (&["attn", "qkv", "attention"], "a transformer, such as SwinIR or Restormer"),
    (
        &["res", "resblock", "resblocks", "shortcut", "downsample", "skip"],
        "a network of residual blocks",
    ),
    (&["upsample", "upconv", "deconv"], "a network that makes its maps larger"),
];

fn foreign(text: String) -> ImportError {
    ImportError::Foreign(text)
}

/// An array as a message names it.
pub(super) fn named(tensor: &Tensor) -> String {
    format!("`{}` [{}]", short(&tensor.name), shown(&tensor.shape))
}

/// A shape as people write it, as far as a message needs it.
pub(super) fn shown(shape: &[usize]) -> String {
    const MOST: usize = 8;
    let mut sides: Vec<String> = shape.iter().take(MOST).map(usize::to_string).collect();
    sides.extend((shape.len() > MOST).then(|| "...".to_string()));
    sides.join("x")
}

/// A name as far as a message needs it; a file's may be of any length.
fn short(name: &str) -> String {
    const MOST: usize = 80;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.into(),
    }
}

/// The whole name of the module whose arrays these are.
pub(super) fn module(parts: &BTreeMap<Role, Tensor>) -> String {
    let name = parts.values().next().map(|tensor| tensor.name.as_str()).unwrap_or_default();
    name.rsplit_once('.').map(|(module, _)| module.into()).unwrap_or_default()
}

/// Two arrays for one part of a layer.
pub(super) fn twice(first: &Tensor, second: &Tensor) -> ImportError {
    foreign(format!("{} and {} are the same part of a layer", named(first), named(second)))
}

/// Refuses a file of several networks, as IRCNN's, one for each noise level.
pub(super) fn several(names: &[Name], tensors: &[Tensor]) -> Result<(), ImportError> {
    let shapes: HashMap<&str, &[usize]> =
        tensors.iter().map(|t| (t.name.as_str(), &t.shape[..])).collect();
    let mut groups: BTreeMap<u64, BTreeSet<(&str, &[usize])>> = BTreeMap::new();
    for name in names {
        let Some((first, rest)) = name.inner.split_once('.') else { return Ok(()) };
        let Ok(number) = first.parse() else { return Ok(()) };
        let shape = shapes.get(name.whole.as_str()).copied().unwrap_or_default();
        groups.entry(number).or_default().insert((rest, shape));
    }
    let same = groups.values().collect::<BTreeSet<_>>();
    let Some(each) = same.first().filter(|_| same.len() == 1 && groups.len() > 1) else {
        return Ok(());
    };
    let parts: Vec<_> = each.iter().filter_map(|(rest, _)| part(rest)).collect();
    let modules = |wanted: Role| -> BTreeSet<&str> {
        let of_role = parts.iter().filter(|(_, role)| *role == wanted);
        of_role.map(|(module, _)| &module[..]).collect()
    };
    // A layer and its normalisation have a weight each: keys of those are the layers of one network.
    let numbered = |module: &&&str| module.contains(char::is_numeric);
    let (weights, normalised) = (modules(Role::Weight), modules(Role::Mean));
    if weights.difference(&normalised).filter(numbered).count() < 2 {
        return Ok(());
    }
    let keys: Vec<String> = groups.keys().map(u64::to_string).collect();
    Err(foreign(format!(
        "it holds {} networks of the same layers, under the keys {} to {}: save one of them by itself",
        groups.len(),
        keys[0],
        keys[keys.len() - 1]
    )))
}

/// Refuses names of blocks in which maps come together again.
pub(super) fn blocks(names: &[Name]) -> Result<(), ImportError> {
    for (known, what) in BLOCKS {
        let is_block = |name: &&Name| {
            let parts = name.inner.split('.');
            parts.chain(words(&name.inner)).any(|word| known.contains(&word))
        };
        if let Some(name) = names.iter().find(is_block) {
            return Err(foreign(format!(
                "`{}` is of {what}, in which maps come together again; if it is a chain all the same, say so with --family; \
                 docs/formats.md#models tells how NAME.json describes other networks",
                short(&name.whole)
            )));
        }
    }
    Ok(())
}

/// An array whose name says nothing.
pub(super) fn unknown(tensor: &Tensor) -> ImportError {
    foreign(format!(
        "{} is none of weight, bias, running_mean and running_var of a layer",
        named(tensor)
    ))
}

/// A layer whose arrays are not those of a convolution, a matrix or a batch normalisation.
pub(super) fn no_layer(parts: &BTreeMap<Role, Tensor>) -> ImportError {
    let Some(tensor) = parts.values().next() else { return foreign("a layer is empty".into()) };
    let what = match (parts.get(&Role::Weight).map(|w| w.shape.len()), parts.len()) {
        (Some(1), 1) => {
            "a PReLU, whose slopes are weights, or a scale: activations are tanh, ReLU, leaky ReLU and abs here"
        }
        (Some(1), _) => {
            "a normalisation without running_mean and running_var, which depends on the image"
        }
        (Some(3), _) => "a convolution in one dimension",
        (Some(5), _) => "a convolution in three dimensions",
        (None, _) => "without a weight",
        _ => "no matrix and no convolution",
    };
    foreign(format!("{} is {what}", named(tensor)))
}

/// A normalisation with nothing before it.
pub(super) fn norm_first(parts: &BTreeMap<Role, Tensor>) -> ImportError {
    let name = parts.values().next().map(named).unwrap_or_default();
    foreign(format!("the batch normalisation {name} comes before every layer with weights"))
}

/// A normalisation whose number leaves room for something between it and its layer.
pub(super) fn norm_apart(parts: &BTreeMap<Role, Tensor>, layer: &Tensor) -> ImportError {
    let name = parts.values().next().map(named).unwrap_or_default();
    foreign(format!(
        "the batch normalisation {name} does not follow {} at once: an activation seems to be between them, and only \
         what follows a layer at once can be merged into it",
        named(layer)
    ))
}

/// A part of a layer with another number of values than the layer has outputs.
pub(super) fn odd_shape(tensor: &Tensor, expected: &[usize], layer: &str) -> ImportError {
    foreign(format!(
        "{} does not go with `{}`, which has {} outputs",
        named(tensor),
        short(layer),
        expected[0]
    ))
}

/// Matrices among convolutions.
pub(super) fn mixed<'a>(weights: impl Iterator<Item = &'a Tensor>) -> ImportError {
    let all: Vec<&Tensor> = weights.collect();
    let other = all.iter().find(|w| w.shape.len() != all[0].shape.len());
    let other = other.map(|w| named(w)).unwrap_or_default();
    foreign(format!("it mixes convolutions and matrices: {}, but {other}", named(all[0])))
}

/// Refuses a first and a last convolution that are not of one grey channel or of three, or of their blocks, and the
/// noise.
pub(super) fn channels(first: &Tensor, outputs: usize) -> Result<(), ImportError> {
    let inputs = first.shape[1];
    let what = match (inputs, outputs) {
        (1, 1) | (2, 1) | (5, 4) | (3 | 4, 3) | (12 | 13, 12) => return Ok(()),
        (15, 12) => "FFDNet for colour with a noise map for each channel",
        (n, m) if n == m && n.isqrt().pow(2) == n => "a network on blocks of pixels",
        _ => "another kind of network",
    };
    Err(foreign(format!(
        "its first convolution {} takes {inputs} channels and its last gives {outputs}: {what}",
        named(first)
    )))
}

/// Refuses a kernel that convolutions here do not have.
pub(super) fn kernel(weight: &Tensor, rows: usize, columns: usize) -> Result<(), ImportError> {
    if rows == columns && rows % 2 == 1 {
        Ok(())
    } else {
        Err(foreign(format!(
            "{} has a kernel of {rows}x{columns}, as convolutions have that make maps smaller or larger",
            named(weight)
        )))
    }
}

/// Two layers of which the second does not take what the first gives.
pub(super) fn broken(before: &Tensor, after: &Tensor) -> ImportError {
    foreign(format!(
        "{} takes {} channels, but {} before it gives {}: grouped convolutions, or maps that come together",
        named(after),
        after.shape[1],
        named(before),
        before.shape[0]
    ))
}
