//! What the names of arrays say: which layer each belongs to, and which of its parts it is.

use crate::model::array_names::numbers;
use crate::model::file::natural;
use std::cmp::Reverse;

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

/// Keys under which checkpoints hold the network among other things, the best first.
const WRAPPERS: [&str; 11] = [
    "params_ema",
    "ema",
    "model_ema",
    "net_g_ema",
    "state_dict_ema",
    "ema_state_dict",
    "params",
    "state_dict",
    "model_state_dict",
    "net_state_dict",
    "network",
];
/// First parts of what checkpoints hold beside the network begin so.
const BESIDE: [&str; 3] = ["optim", "sched", "lr_sched"];

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
    for wrapper in WRAPPERS {
        let under = |name: &Name| match name.inner.split_once('.') {
            Some((first, rest)) if first == wrapper => Some(rest.to_string()),
            _ => None,
        };
        if left.iter().any(|name| under(name).is_some()) {
            left = left
                .iter()
                .filter_map(|n| Some(Name { inner: under(n)?, whole: n.whole.clone() }))
                .collect();
            break;
        }
    }
    while let Some(first) = common(&left) {
        left.iter_mut().for_each(|name| name.inner.drain(..first).for_each(drop));
    }
    left
}

/// The key of the averaged weights, if those were taken.
pub(super) fn averaged(names: &[Name]) -> Option<&str> {
    let key = names.first()?.whole.split('.').next()?;
    let is_average = WRAPPERS.contains(&key) && key.split('_').any(|word| word == "ema");
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

/// By what layers are put in order: words such as `head` and `tail`, the numbers in their names, a
/// normalisation behind the layer of its number.
pub(super) fn order(module: &str, normalises: bool) -> impl Ord + use<> {
    const FIRST: [&str; 6] = ["head", "first", "input", "in", "start", "intro"];
    const LAST: [&str; 6] = ["tail", "last", "output", "out", "end", "final"];
    let first = words(module).any(|word| FIRST.contains(&word));
    let last = words(module).any(|word| LAST.contains(&word));
    ((last, Reverse(first)), numbers(module), normalises, natural(module))
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
        let mut modules =
            [("tail", false), ("10", false), ("2", true), ("2", false), ("head", false)];
        modules.sort_by_key(|a| order(a.0, a.1));
        let expected = [("head", false), ("2", false), ("2", true), ("10", false), ("tail", false)];
        assert_eq!(modules, expected);
    }
}
