//! IRCNN as it is published: a file of 25 networks, each for one noise level, of which one is taken.

use super::ImportError;
use super::names::{self, Name};
use crate::model::load::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many networks a file has: for noise of 2, 4, ... 50 grey levels, under the keys 0 to 24.
const NETWORKS: u64 = 25;
/// Grey levels from one to the next.
const STEP: f64 = 2.0;
/// How many layers each has.
const LAYERS: usize = 7;

/// The network that was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OneOf {
    key: u64,
    /// The noise level that it is for.
    pub(super) level: f64,
    wanted: f64,
}

impl fmt::Display for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OneOf { key, level, wanted } = self;
        write!(
            f,
            "of IRCNN's {NETWORKS} networks the one for noise of {level} grey levels is taken, key `{key}`"
        )?;
        if level == wanted {
            Ok(())
        } else {
            write!(f, ": there is none for {wanted}, and its makers take the next above it")
        }
    }
}

/// The key that a name begins with, and the rest.
fn keyed(name: &Name) -> Option<(u64, &str)> {
    let (key, rest) = name.inner.split_once('.')?;
    Some((key.parse().ok()?, rest))
}

/// Leaves the arrays of the network for noise of `sigma`, if these are all of IRCNN's.
///
/// # Errors
/// [`ImportError::Foreign`] with the levels there are, if `sigma` lies above them.
pub(super) fn one_of_them(
    tensors: &mut Vec<Tensor>,
    sigma: f64,
) -> Result<Option<OneOf>, ImportError> {
    let all: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    let names = names::inner(&all);
    let mut networks: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for name in &names {
        let Some((key, rest)) = keyed(name) else { return Ok(None) };
        networks.entry(key).or_default().insert(rest);
    }
    let layers = || (0..LAYERS).map(|i| format!("model.{}.weight", 2 * i));
    let is_one = |parts: &BTreeSet<&str>| {
        parts.len() <= 2 * LAYERS && layers().all(|name| parts.contains(name.as_str()))
    };
    if !networks.keys().copied().eq(0..NETWORKS) || !networks.values().all(is_one) {
        return Ok(None);
    }
    let last = STEP * NETWORKS as f64;
    if sigma > last {
        return Err(ImportError::Foreign(format!(
            "it holds IRCNN's {NETWORKS} networks, for noise of {STEP}, {}, ... {last} grey levels, and none for \
             {sigma}: give one of these levels with --sigma",
            2.0 * STEP
        )));
    }
    let number = (sigma / STEP).ceil().max(1.0);
    let key = number as u64 - 1;
    let taken: BTreeSet<String> = names
        .iter()
        .filter(|name| keyed(name).is_some_and(|(of, _)| of == key))
        .map(|name| name.whole.clone())
        .collect();
    tensors.retain(|tensor| taken.contains(&tensor.name));
    Ok(Some(OneOf { key, level: STEP * number, wanted: sigma }))
}
