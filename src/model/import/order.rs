//! In which order layers follow: what a network that was saved whole says, or else their names, or the file.

use super::foreign;
use super::layer::Parts;
use super::names::{self, Role};
use super::whole::ModuleFacts;
use crate::model::load::Tensor;
use std::collections::{BTreeMap, HashMap};

/// Whether it is a batch normalisation.
pub(super) fn normalises(parts: &Parts) -> bool {
    parts.contains_key(&Role::Mean)
}

/// Layers and normalisations in the order in which they follow: what a network that was saved whole says, or else
/// their names; or the file, if their names make no chain and the file does.
pub(super) fn places(
    modules: &BTreeMap<String, Parts>,
    tensors: &[Tensor],
    told: Option<&ModuleFacts>,
) -> Vec<(String, Parts)> {
    let in_file: HashMap<&str, usize> =
        tensors.iter().enumerate().map(|(place, t)| (t.name.as_str(), place)).collect();
    let place = |parts: &Parts| {
        let places = parts.values().filter_map(|t| in_file.get(t.name.as_str()).copied());
        places.min().unwrap_or(usize::MAX)
    };
    let said: HashMap<&str, usize> = told
        .map(|told| told.sequence.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect())
        .unwrap_or_default();
    let in_sequence = |parts: &Parts| said.get(foreign::module(parts).as_str()).copied();
    let mut found: Vec<(String, Parts)> =
        modules.iter().map(|(module, parts)| (module.clone(), parts.clone())).collect();
    if !said.is_empty() && found.iter().all(|(_, parts)| in_sequence(parts).is_some()) {
        found.sort_by_key(|(_, parts)| in_sequence(parts));
        return found;
    }
    let mut as_in_file = found.clone();
    found.sort_by_cached_key(|(name, parts)| names::order(name, normalises(parts), place(parts)));
    as_in_file.sort_by_key(|(_, parts)| place(parts));
    if !follow(&found) && follow(&as_in_file) { as_in_file } else { found }
}

/// Whether each layer takes as many channels as the one before it gives.
fn follow(modules: &[(String, Parts)]) -> bool {
    let layers = modules.iter().filter(|(_, parts)| !normalises(parts));
    let shapes: Vec<_> = layers
        .filter_map(|(_, parts)| parts.get(&Role::Weight))
        .filter(|weight| weight.shape.len() >= 2)
        .map(|weight| [weight.shape[0], weight.shape[1]])
        .collect();
    shapes.windows(2).all(|pair| pair[0][0] == pair[1][1])
}

/// Whether a numbered normalisation has not the number behind that of its layer: something is between them.
pub(super) fn is_apart(layer: &str, norm: &str) -> bool {
    let numbered = |name: &str| {
        let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
        last.parse().ok().map(|number: u64| (parent.to_string(), number))
    };
    match (numbered(layer), numbered(norm)) {
        (Some((parent, at)), Some((other, number))) => {
            parent == other && at.checked_add(1) != Some(number)
        }
        _ => false,
    }
}
