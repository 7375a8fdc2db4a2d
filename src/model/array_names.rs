//! Which arrays of a file are the weights and biases of each layer: those that the description names, or what follows
//! from their names. Nothing is left out in silence: a bias that belongs to no layer is refused by its name.

use super::description::Layer;
use super::{Description, ModelError};
use std::collections::{HashMap, HashSet};

/// How names of weights end, and of the biases beside them.
const PAIRS: [(&str, &str); 3] = [("weight", "bias"), ("weights", "biases"), ("kernel", "bias")];
/// Characters of a file's name that a message shows.
const SHOWN: usize = 80;
/// How alike a name must be to another to be offered in its place.
const ALIKE: f64 = 0.75;

/// The arrays of a layer; without biases they are zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArrayNames {
    pub(super) weights: String,
    pub(super) bias: Option<String>,
}

fn refused<T>(text: String) -> Result<T, ModelError> {
    Err(ModelError::Description(text))
}

/// A name as far as a message needs it.
fn short(name: &str) -> String {
    let printable = name.chars().map(|c| if c.is_control() { '?' } else { c });
    match name.char_indices().nth(SHOWN) {
        Some(_) => printable.take(SHOWN).chain("...".chars()).collect(),
        None => printable.collect(),
    }
}

/// The numbers in a name; one too large for 64 bits comes last.
pub(super) fn numbers(name: &str) -> Vec<u64> {
    let parts = name.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

/// The arrays of each layer with weights, in their order, among those of a file.
///
/// # Errors
/// [`ModelError::Array`] for a name that is not there, [`ModelError::Description`] for arrays that are used twice, or
/// left over.
pub(super) fn of_layers(
    description: &Description,
    names: &[String],
) -> Result<Vec<ArrayNames>, ModelError> {
    let layers: Vec<(usize, &Layer)> = description.layers.iter().enumerate().collect();
    let given: Vec<_> = layers
        .iter()
        .filter_map(|(at, layer)| layer.arrays().map(|(weights, bias)| (at + 1, weights, bias)))
        .collect();
    if given.iter().any(|(_, weights, bias)| weights.or(*bias).is_some()) {
        return as_described(&given, names);
    }
    if names.iter().any(|name| name == "w1") {
        by_numbers(given.len(), names)
    } else {
        by_endings(given.len(), names)
    }
}

/// Those that the description names.
fn as_described(
    layers: &[(usize, Option<&str>, Option<&str>)],
    names: &[String],
) -> Result<Vec<ArrayNames>, ModelError> {
    let known: HashSet<&str> = names.iter().map(String::as_str).collect();
    let find = |name: &str| {
        if known.contains(name) { Ok(name.to_string()) } else { Err(missing(name, names)) }
    };
    let mut found = Vec::new();
    let mut users: HashMap<String, usize> = HashMap::new();
    for &(entry, weights, bias) in layers {
        let Some(weights) = weights else {
            return refused(format!(
                "`layers`, entry {entry}: no `weights`, and other layers name theirs: name the array of each, or of none"
            ));
        };
        let weights = find(weights)?;
        let bias = match bias {
            Some(bias) => Some(find(bias)?),
            None => beside(&weights).filter(|bias| known.contains(bias.as_str())),
        };
        for name in bias.iter().chain([&weights]) {
            if let Some(other) = users.insert(name.clone(), entry) {
                return refused(format!(
                    "`layers`, entries {other} and {entry} both name the array `{}`: each layer has arrays of its own",
                    short(name)
                ));
            }
        }
        found.push(ArrayNames { weights, bias });
    }
    left_in_modules(&users, names)?;
    Ok(found)
}

fn missing(name: &str, names: &[String]) -> ModelError {
    let likeness = |other: &&String| (strsim::jaro_winkler(name, other) * 1e6) as u64;
    let near = names.iter().max_by_key(likeness).filter(|o| strsim::jaro_winkler(name, o) > ALIKE);
    let reason = match near {
        Some(near) => format!("is not in the file; there is `{}`", short(near)),
        None => format!("is not in the file, which has {} others", names.len()),
    };
    ModelError::Array { name: short(name), reason }
}

/// The module that an array is of, by its name.
fn module(name: &str) -> &str {
    name.rsplit_once(['.', '/']).map_or("", |(module, _)| module)
}

/// Refuses what stands beside the arrays of a layer and would be left out, and a normalisation of any layer.
fn left_in_modules(users: &HashMap<String, usize>, names: &[String]) -> Result<(), ModelError> {
    let modules: HashMap<&str, usize> =
        users.iter().map(|(name, entry)| (module(name), *entry)).collect();
    for name in names.iter().filter(|name| !users.contains_key(*name)) {
        let entry = modules.get(module(name)).filter(|_| !module(name).is_empty());
        if let Some(entry) = entry {
            return refused(format!(
                "`{}` stands beside the arrays of `layers`, entry {entry}, and would be left out: name it as `bias`, or \
                 fold it into the weights",
                short(name)
            ));
        }
        normalises(name)?;
    }
    Ok(())
}

fn normalises(name: &str) -> Result<(), ModelError> {
    if name.ends_with("running_mean") || name.ends_with("running_var") {
        refused(format!(
            "`{}` is of a batch normalisation, which no description has: fold it into the layer before it, as \
             `ppdenoise import` does",
            short(name)
        ))
    } else {
        Ok(())
    }
}

/// The biases that go with weights of this name.
fn beside(weights: &str) -> Option<String> {
    for (of_weights, of_biases) in PAIRS {
        if let Some(begin) = weights.strip_suffix(of_weights) {
            return Some(format!("{begin}{of_biases}"));
        }
    }
    numbered(weights).filter(|(letter, _)| *letter == 'w').map(|(_, number)| format!("b{number}"))
}

/// The letter and the number of `w1` or `b1`.
fn numbered(name: &str) -> Option<(char, usize)> {
    let letter = name.chars().next().filter(|letter| matches!(letter, 'w' | 'b'))?;
    let digits = &name[1..];
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    Some((letter, is_number.then(|| digits.parse().ok()).flatten()?))
}

/// `w1, b1, w2, b2, ...`.
fn by_numbers(layers: usize, names: &[String]) -> Result<Vec<ArrayNames>, ModelError> {
    let more = names.iter().find(|name| numbered(name).is_some_and(|(_, n)| n > layers || n == 0));
    if let Some(more) = more {
        return refused(format!(
            "the file has `{}`, and {layers} layers are described",
            short(more)
        ));
    }
    let there = |name: &String| names.contains(name);
    let of = |n: usize| ArrayNames {
        weights: format!("w{n}"),
        bias: Some(format!("b{n}")).filter(there),
    };
    Ok((1..=layers).map(of).collect())
}

/// The names that end in `weight`, in the order of the numbers in them, each with the bias beside it.
fn by_endings(layers: usize, names: &[String]) -> Result<Vec<ArrayNames>, ModelError> {
    let ending = |ending: &str| {
        let mut found: Vec<&String> = names.iter().filter(|name| name.ends_with(ending)).collect();
        found.sort_by_cached_key(|name| (numbers(name), (*name).clone()));
        found
    };
    let (weights, biases) = (ending("weight"), ending("bias"));
    if weights.is_empty() {
        let reason = "is missing, and no name ends in `weight`".to_string();
        return Err(ModelError::Array { name: "w1".into(), reason });
    }
    names.iter().try_for_each(|name| normalises(name))?;
    if weights.len() != layers {
        return refused(format!(
            "{layers} layers with weights are described, and {} arrays of the file end in `weight`: name the array of \
             each layer as its `weights`",
            weights.len()
        ));
    }
    let found: Vec<ArrayNames> = weights
        .into_iter()
        .map(|weights| {
            let bias = beside(weights).filter(|bias| biases.contains(&bias));
            ArrayNames { weights: weights.clone(), bias }
        })
        .collect();
    let used: HashSet<&String> = found.iter().filter_map(|of| of.bias.as_ref()).collect();
    match biases.into_iter().find(|bias| !used.contains(bias)) {
        Some(bias) => refused(format!(
            "`{}` is the bias of no layer: there are no weights of that name",
            short(bias)
        )),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::load_safetensors;
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    /// Two convolutions, the layers of which say these fields more.
    fn described(first: &str, second: &str) -> String {
        format!(
            r#"{{"layers":[{{"conv2d":{{"outputs":2,"kernel":3{first}}}}},"relu",
                {{"conv2d":{{"outputs":1,"kernel":3{second}}}}},"residual"],"sigma":25}}"#
        )
    }

    fn of(first: &str, second: &str, names: &[&str]) -> Result<Vec<ArrayNames>, String> {
        let description = Description::parse(described(first, second).as_bytes()).unwrap();
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        of_layers(&description, &names).map_err(|e| e.to_string())
    }

    fn names(weights: &str, bias: Option<&str>) -> ArrayNames {
        ArrayNames { weights: weights.into(), bias: bias.map(String::from) }
    }

    #[test]
    fn a_description_names_its_arrays() {
        let (first, second) = (r#","weights":"enc/kernel""#, r#","weights":"dec","bias":"dec_0""#);
        let all = ["dec_0", "enc/kernel", "dec", "enc/bias", "other.weight", "epoch"];
        let expected = [names("enc/kernel", Some("enc/bias")), names("dec", Some("dec_0"))];
        assert_eq!(of(first, second, &all).unwrap(), expected);
        // Without biases they are zeros.
        let expected = [names("enc/kernel", None), names("dec", Some("dec_0"))];
        assert_eq!(of(first, second, &["dec", "dec_0", "enc/kernel"]).unwrap(), expected);
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let weights = |name: &str| format!(r#","weights":"{name}""#);
        let (a, b) = (weights("a.kernel"), weights("b.kernel"));
        for (first, second, names, words) in [
            (&a, &weights("b.kernal"), &["a.kernel", "b.kernel"][..], "there is `b.kernel`"),
            (&a, &weights("zzz"), &["a.kernel", "b.kernel"], "which has 2 others"),
            (&a, &a, &["a.kernel"], "entries 1 and 3 both name the array `a.kernel`"),
            (&a, &String::new(), &["a.kernel", "b.kernel"], "entry 3: no `weights`"),
            (&a, &b, &["a.kernel", "b.kernel", "b.beta"], "`b.beta` stands beside"),
            (&a, &b, &["a.kernel", "b.kernel", "n.running_var"], "batch normalisation"),
            (
                &a,
                &format!(r#"{b},"bias":"b.offset""#),
                &["a.kernel", "b.kernel"],
                "array `b.offset`: is not in the file",
            ),
            (
                &a,
                &format!(r#"{b},"bias":"a.kernel""#),
                &["a.kernel", "b.kernel"],
                "both name the array `a.kernel`",
            ),
        ] {
            let text = of(first, second, names).unwrap_err();
            assert!(text.contains(words), "{words}: {text}");
            assert_eq!(text.lines().count(), 1);
        }
    }

    #[test]
    fn without_names_no_array_is_left_out() {
        let of = |names: &[&str]| of("", "", names);
        assert_eq!(of(&["w1", "w2", "b2"]).unwrap(), [names("w1", None), names("w2", Some("b2"))]);
        let paired = [names("m.2.weight", None), names("m.10.weight", Some("m.10.bias"))];
        assert_eq!(of(&["m.10.bias", "m.10.weight", "m.2.weight"]).unwrap(), paired);
        for (names, words) in [
            (&["w1", "b1", "w2", "b2", "b3"][..], "the file has `b3`, and 2 layers"),
            (&["w1", "w2", "b0"], "the file has `b0`"),
            (&["0.weight", "2.weight", "4.weight"], "3 arrays of the file end in `weight`"),
            (&["0.weight", "2.weight", "3.bias"], "`3.bias` is the bias of no layer"),
            (&["0.weight", "2.weight", "1.running_mean"], "`ppdenoise import`"),
            (&["kernel"], "no name ends in `weight`"),
        ] {
            let text = of(names).unwrap_err();
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    /// The same network under names of another program and of this one; another shape is refused by name.
    #[test]
    fn a_network_is_read_by_the_names_of_its_arrays() {
        let shapes: [&[usize]; 3] = [&[2, 1, 3, 3], &[1, 2, 3, 3], &[1]];
        let data = shapes.iter().zip([0.3f32, 0.7, 0.1]).map(|(shape, by)| {
            let values = (0..shape.iter().product()).map(|i: usize| (i as f32 * by + by).sin());
            values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()
        });
        let data: Vec<Vec<u8>> = data.collect();
        let file = |names: [&'static str; 3]| {
            let view =
                |i: usize| TensorView::new(Dtype::F32, shapes[i].to_vec(), &data[i]).unwrap();
            safetensors::serialize((0..3).map(|i| (names[i], view(i))), None).unwrap()
        };
        let load = |names, first: &str, second: &str| {
            load_safetensors(&file(names), Some(described(first, second).as_bytes()))
        };
        let plain = load(["w1", "w2", "b2"], "", "").unwrap();
        // By the order of the names the layers would be exchanged.
        let names = ["z/k", "a/k", "shift"];
        let second = r#","weights":"a/k","bias":"shift""#;
        let named = load(names, r#","weights":"z/k""#, second).unwrap();
        assert_eq!(named.network, plain.network);
        let first = named.network.linears().next().unwrap().1;
        assert!(first.bias.iter().all(|bias| *bias == 0.0));
        let second = r#","weights":"z/k","bias":"shift""#;
        let text = load(names, r#","weights":"a/k""#, second).unwrap_err().to_string();
        let words = "array `a/k`: has shape [1, 2, 3, 3], expected [2, 1, 3, 3]";
        assert!(text.contains(words), "{text}");
    }
}
