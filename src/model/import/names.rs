//! What the names of arrays say: which layer each belongs to, and which of its parts it is.

use crate::model::array_names::numbers;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What an array is in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Weight,
    Bias,
    /// Of batch normalisation.
    Mean,
    Variance,
    /// How many batches it saw, which nothing needs.
    Count,
    /// Lengths of the weights of each output, of weight norm.
    Lengths,
    /// Directions of the weights of weight norm; of spectral norm the singular vector of the inputs.
    Directions,
    /// Weights before spectral norm.
    Original,
    /// The singular vector of the outputs, of spectral norm.
    Singular,
}

/// How names end.
const ROLES: [(&str, Role); 14] = [
    ("weight_g", Role::Lengths),
    ("weight_v", Role::Directions),
    ("weight_orig", Role::Original),
    ("weight_u", Role::Singular),
    ("parametrizations.weight.original0", Role::Lengths),
    ("parametrizations.weight.original1", Role::Directions),
    ("parametrizations.weight.original", Role::Original),
    ("parametrizations.weight.0._u", Role::Singular),
    ("parametrizations.weight.0._v", Role::Directions),
    ("num_batches_tracked", Role::Count),
    ("running_mean", Role::Mean),
    ("running_var", Role::Variance),
    ("weight", Role::Weight),
    ("bias", Role::Bias),
];

/// Keys under which checkpoints hold the network among other things, the best first; and whether a part of a network
/// may have that name too.
const WRAPPERS: [(&str, bool); 11] = [
    ("params_ema", false),
    ("ema", true),
    ("model_ema", true),
    ("net_g_ema", true),
    ("state_dict_ema", false),
    ("ema_state_dict", false),
    ("params", true),
    ("state_dict", false),
    ("model_state_dict", false),
    ("net_state_dict", false),
    ("network", true),
];
/// First parts of what checkpoints hold beside the network begin so.
const BESIDE: [&str; 4] = ["optim", "opt.", "sched", "lr_sched"];

/// An array's name, whole and without what is around the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) whole: String,
    pub(super) inner: String,
}

/// The names of one network: of a checkpoint those under the key of the network, without the parts that
/// all of them begin with.
pub(super) fn inner(names: &[&str]) -> Vec<Name> {
    let beside = |name: &str| BESIDE.iter().any(|start| name.starts_with(start));
    let mut left: Vec<Name> = names
        .iter()
        .filter(|name| !beside(name))
        .map(|name| Name { whole: name.to_string(), inner: name.to_string() })
        .collect();
    for (wrapper, may_be_part) in WRAPPERS {
        let under = |name: &Name| match name.inner.split_once('.') {
            Some((first, rest)) if first == wrapper => {
                Some(Name { inner: rest.to_string(), whole: name.whole.clone() })
            }
            _ => None,
        };
        let found: Vec<Name> = left.iter().filter_map(under).collect();
        let is_part = may_be_part && has_layers_beside(&left, &found);
        if !found.is_empty() && !is_part {
            left = found;
            break;
        }
    }
    while let Some(first) = common(&left) {
        left.iter_mut().for_each(|name| name.inner.drain(..first).for_each(drop));
    }
    left
}

/// Whether layers stand beside what is under one key: other than a whole copy of them under another.
fn has_layers_beside(all: &[Name], under: &[Name]) -> bool {
    let taken: HashSet<&str> = under.iter().map(|name| name.whole.as_str()).collect();
    let layers =
        |name: &str| part(name).map(|_| name.strip_prefix("module.").unwrap_or(name).to_string());
    let within: BTreeSet<String> = under.iter().filter_map(|name| layers(&name.inner)).collect();
    let mut groups: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for name in all.iter().filter(|name| !taken.contains(name.whole.as_str())) {
        let (key, rest) = name.inner.split_once('.').unwrap_or(("", &name.inner));
        groups.entry(key).or_default().extend(layers(rest));
    }
    groups.values().any(|group| !group.is_empty() && *group != within)
}

/// The key of the averaged weights, if those were taken.
pub(super) fn averaged(names: &[Name]) -> Option<&str> {
    let key = names.first()?.whole.split('.').next()?;
    let is_average = WRAPPERS.iter().any(|(wrapper, _)| *wrapper == key)
        && key.split('_').any(|word| word == "ema");
    (is_average && !names[0].inner.starts_with(key)).then_some(key)
}

/// Bytes of a first part, `.` included, that all names share and behind which a layer's name is left.
fn common(names: &[Name]) -> Option<usize> {
    let (first, rest) = names.first()?.inner.split_once('.')?;
    let shared = |name: &Name| {
        let rest = name.inner.strip_prefix(first).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| rest.contains('.'))
    };
    (rest.contains('.') && names.iter().all(shared)).then_some(first.len() + 1)
}

/// The layer and the part of it that a name says; `None` if it says neither.
pub(super) fn part(inner: &str) -> Option<(String, Role)> {
    let mut letters = inner.chars();
    if let (Some(letter @ ('w' | 'b' | 'W' | 'B')), number) = (letters.next(), letters.as_str()) {
        let number = number.strip_prefix('_').unwrap_or(number);
        if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
            let role = if letter.eq_ignore_ascii_case(&'w') { Role::Weight } else { Role::Bias };
            return Some((number.into(), role));
        }
    }
    ROLES.iter().find_map(|(end, role)| {
        let module = inner.strip_suffix(end)?;
        let is_part = module.is_empty() || module.ends_with(|c: char| !c.is_ascii_alphanumeric());
        is_part.then(|| (module.trim_end_matches(['.', '_', '/']).into(), *role))
    })
}

/// The words of a layer's name.
pub(super) fn words(module: &str) -> impl Iterator<Item = &str> {
    module.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// By what layers are put in order: words such as `head` and `tail`, the numbers in their names, a normalisation behind
/// the layer of its number, and where they stand in the file.
pub(super) fn order(module: &str, normalises: bool, place: usize) -> impl Ord + use<> {
    const FIRST: [&str; 6] = ["head", "first", "input", "in", "start", "intro"];
    const LAST: [&str; 6] = ["tail", "last", "output", "out", "end", "final"];
    let first = words(module).any(|word| FIRST.contains(&word));
    let last = words(module).any(|word| LAST.contains(&word));
    ((last, Reverse(first)), numbers(module), normalises, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inners(names: &[&str]) -> Vec<String> {
        inner(names).into_iter().map(|name| name.inner).collect()
    }

    #[test]
    fn what_is_around_a_network_is_taken_away() {
        let plain = ["model.0.weight", "model.2.weight"];
        assert_eq!(inners(&plain), ["0.weight", "2.weight"]);
        let around = ["state_dict.module.net.0.weight", "state_dict.module.net.1.bias", "epoch.x"];
        assert_eq!(inners(&around), ["0.weight", "1.bias"]);
        let both = ["params.0.weight", "params.1.bias", "params_ema.0.weight", "params_ema.1.bias"];
        assert_eq!(inner(&both)[1], Name { whole: both[3].into(), inner: "1.bias".into() });
        assert_eq!(averaged(&inner(&both)), Some("params_ema"));
        let two = [
            "model.model.0.weight",
            "model.model.2.weight",
            "ema.model.0.weight",
            "ema.model.2.weight",
        ];
        assert_eq!((inners(&two).len(), averaged(&inner(&two))), (2, Some("ema")));
        assert_eq!(averaged(&inner(&plain)), None);
        let trained = ["model.a.weight", "model.b.weight", "optimizer.state.0.exp_avg"];
        assert_eq!(inners(&trained), ["a.weight", "b.weight"]);
        let opt = ["net.a.weight", "net.b.weight", "opt.state.0.step"];
        assert_eq!(inners(&opt), ["a.weight", "b.weight"]);
        // A part of a network may be called as checkpoints call the whole of it.
        for key in ["network", "params", "ema"] {
            let [first, second] = ["0", "2"].map(|layer| format!("{key}.{layer}.weight"));
            assert_eq!(inners(&["pre.weight", &first, &second]), ["pre.weight", &first, &second]);
            assert_eq!(inners(&["pre.0.weight", &first, &second]).len(), 3);
        }
        let copy =
            ["model.0.weight", "model.2.weight", "ema.module.0.weight", "ema.module.2.weight"];
        assert_eq!(averaged(&inner(&copy)), Some("ema"));
        let certain = ["state_dict.0.weight", "state_dict.2.weight", "netD.0.weight"];
        assert_eq!(inners(&certain), ["0.weight", "2.weight"]);
        assert_eq!(inners(&["a.weight", "a.bias"]), ["a.weight", "a.bias"]);
        assert!(inners(&[]).is_empty());
    }

    #[test]
    fn names_say_layer_and_part() {
        let found = |name: &str| part(name).map(|(module, role)| (module.leak() as &str, role));
        assert_eq!(found("0.weight"), Some(("0", Role::Weight)));
        assert_eq!(found("conv00_bias"), Some(("conv00", Role::Bias)));
        assert_eq!(found("bn.running_var"), Some(("bn", Role::Variance)));
        assert_eq!(found("bn.num_batches_tracked"), Some(("bn", Role::Count)));
        assert_eq!(found("w10"), Some(("10", Role::Weight)));
        assert_eq!(found("b_2"), Some(("2", Role::Bias)));
        for name in ["kernel", "overweight", "w", "wx1", "running_mean2", ""] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[test]
    fn layers_come_in_the_order_of_their_numbers() {
        let modules = ["tail", "10", "2.norm", "2", "squeeze", "head", "excite"];
        let mut places: Vec<usize> = (0..modules.len()).collect();
        places.sort_by_key(|i| order(modules[*i], modules[*i].ends_with("norm"), *i));
        let found: Vec<&str> = places.iter().map(|i| modules[*i]).collect();
        assert_eq!(found, ["head", "squeeze", "excite", "2", "2.norm", "10", "tail"]);
    }
}
