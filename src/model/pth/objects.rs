//! What a pickle of PyTorch's names: tensors by their names, and of whole modules what their layers are.

use super::pickle::{Id, Node, Object, Pickle};
use super::storage::{Kind, Storage};

/// How deep modules and dictionaries may lie in one another.
const MOST_DEPTH: usize = 64;
/// Bytes that all which is found may take, what the file repeats counted each time; and what each thing takes beside
/// its names, words and sizes.
const MOST_FOUND: usize = 16 << 20;
const EACH: usize = 128;
/// The longest word of an attribute, and key of a storage, that is kept; and the longest name of an array.
const MOST_WORD: usize = 256;
const MOST_NAME: usize = 512;
/// The most sides of a tensor, as in PyTorch.
const MOST_SIDES: usize = 64;
/// The most tensors of a file: they are looked up one by one.
const MOST_TENSORS: usize = 1 << 14;
/// Bytes of a storage; what lies in one can be counted in bytes and in numbers.
const MOST_BYTES: usize = usize::MAX >> 4;

/// A tensor: numbers of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorRecord {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
    /// Numbers of the storage before the first.
    pub(super) offset: usize,
    pub(super) storage: String,
    /// How many numbers it names.
    pub(super) count: usize,
}

/// A module of a network that was saved whole.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Module {
    /// Its name in the network, as its arrays' names begin.
    pub(in crate::model) name: String,
    /// Its class, with the module that defines it.
    pub(in crate::model) class: String,
    /// Its attributes, as far as they are numbers and words.
    says: Vec<(String, Said)>,
    /// The names of its own arrays, without its name.
    pub(in crate::model) arrays: Vec<String>,
    /// What it consists of, in the order in which it was put together.
    pub(in crate::model) parts: Vec<Module>,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) enum Said {
    Nothing,
    Bool(bool),
    Number(f64),
    Word(String),
    Numbers(Vec<f64>),
}

impl Said {
    /// Bytes that it takes beside itself.
    fn bytes(&self) -> usize {
        match self {
            Said::Word(word) => word.len(),
            Said::Numbers(numbers) => 8 * numbers.len(),
            Said::Nothing | Said::Bool(_) | Said::Number(_) => 0,
        }
    }
}

impl Module {
    /// What an attribute says, if there is one of this name.
    pub(in crate::model) fn says(&self, attribute: &str) -> Option<&Said> {
        self.says.iter().find(|(name, _)| name == attribute).map(|(_, said)| said)
    }

    /// The class without the module that defines it.
    pub(in crate::model) fn kind(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or(&self.class)
    }
}

#[cfg(test)]
impl Module {
    /// A module without arrays of its own.
    pub(in crate::model) fn made(
        (name, class): (&str, &str),
        says: &[(&str, Said)],
        parts: Vec<Module>,
    ) -> Module {
        let says = says.iter().map(|(key, said)| (key.to_string(), said.clone())).collect();
        Module { name: name.into(), class: class.into(), says, arrays: Vec::new(), parts }
    }
}

/// All that a pickle names.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) tensors: Vec<TensorRecord>,
    /// The outermost modules.
    pub(super) modules: Vec<Module>,
    pub(super) storages: Vec<Storage>,
}

impl Contents {
    pub(super) fn of(pickle: &Pickle) -> Result<Contents, String> {
        // What is shared is seen once for each of its names: a few times, unless the file is hostile.
        let left = 8 * pickle.len() + 1000;
        let mut walk = Walk { pickle, found: Contents::default(), left, room: MOST_FOUND };
        walk.value(pickle.root, "", 0)?;
        let mut names: Vec<&str> = walk.found.tensors.iter().map(|t| t.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("it names `{}` twice", pair[0])),
            None => Ok(walk.found),
        }
    }
}

struct Walk<'a> {
    pickle: &'a Pickle,
    found: Contents,
    /// Objects that may still be seen.
    left: usize,
    /// Bytes that what is found may still take.
    room: usize,
}

impl Walk<'_> {
    /// Counts objects that are looked at.
    fn see(&mut self, objects: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(objects).ok_or("its pickle repeats itself too often")?;
        Ok(())
    }

    /// Counts a thing that is kept, with so many bytes of names, words and sizes.
    fn keep(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.room.checked_sub(bytes.saturating_add(EACH));
        self.room = left.ok_or("its pickle names too much; save the state_dict alone")?;
        Ok(())
    }

    /// A name within another.
    fn joined(&mut self, before: &str, name: &str) -> Result<String, String> {
        let length = before.len() + 1 + name.len();
        if length > MOST_NAME {
            return Err(format!("a name in its pickle has more than {MOST_NAME} bytes"));
        }
        self.keep(length)?;
        Ok(if before.is_empty() { name.into() } else { format!("{before}.{name}") })
    }

    /// Notes the tensors of an object, whose name is `name`.
    fn value(&mut self, id: Id, name: &str, depth: usize) -> Result<(), String> {
        self.see(1)?;
        if depth > MOST_DEPTH {
            return Err(format!("its objects lie more than {MOST_DEPTH} deep in one another"));
        }
        let pickle = self.pickle;
        match pickle.get(id) {
            Node::Dict(pairs) => {
                for (key, value) in pairs {
                    let Some(key) = self.key(*key) else {
                        self.see(1)?;
                        continue;
                    };
                    let inner = self.joined(name, &key)?;
                    self.value(*value, &inner, depth + 1)?;
                }
            }
            Node::Tuple(items) | Node::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    let inner = self.joined(name, &i.to_string())?;
                    self.value(*item, &inner, depth + 1)?;
                }
            }
            Node::Object(object) => {
                if let Some(module) = self.module(object, name, depth)? {
                    self.found.modules.push(module);
                } else if let Some(found) = self.tensor(object, name, depth)? {
                    if self.found.tensors.len() == MOST_TENSORS {
                        return Err(format!("it has more than {MOST_TENSORS} tensors"));
                    }
                    self.found.tensors.push(found);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn key(&self, id: Id) -> Option<String> {
        match self.pickle.get(id) {
            Node::Text(text) => Some(text.clone()),
            Node::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A module: an object with tables of parameters, buffers and modules.
    fn module(
        &mut self,
        object: &Object,
        name: &str,
        depth: usize,
    ) -> Result<Option<Module>, String> {
        let pickle = self.pickle;
        let Some(state) = object.state else { return Ok(None) };
        let table = |name: &str| pickle.value(state, name).and_then(|id| pickle.pairs(id));
        let (Some(parameters), Some(buffers), Some(modules)) =
            (table("_parameters"), table("_buffers"), table("_modules"))
        else {
            return Ok(None);
        };
        if depth > MOST_DEPTH {
            return Err(format!("its modules lie more than {MOST_DEPTH} deep in one another"));
        }
        let passing = pickle.value(state, "_non_persistent_buffers_set");
        let passing = passing.and_then(|id| pickle.items(id)).unwrap_or_default();
        let class = pickle.class(object.class).unwrap_or("a class without a name");
        let attributes = pickle.pairs(state).map_or(0, <[_]>::len);
        // Each array is looked for among those that pass.
        let looks = (parameters.len() + buffers.len()).saturating_mul(1 + passing.len());
        self.see(looks.saturating_add(attributes + modules.len()))?;
        self.keep(name.len() + class.len())?;
        let mut module = Module {
            name: name.into(),
            class: class.into(),
            says: self.said(state)?,
            arrays: Vec::new(),
            parts: Vec::new(),
        };
        for (key, value) in parameters.iter().chain(buffers) {
            let Some(key) = self.key(*key) else { continue };
            let passes = passing.iter().any(|id| pickle.text(*id) == Some(&key));
            if passes || *pickle.get(*value) == Node::Nothing {
                continue;
            }
            let inner = self.joined(name, &key)?;
            self.value(*value, &inner, depth + 1)?;
            module.arrays.push(key);
        }
        for (key, value) in modules {
            let (Some(key), Node::Object(part)) = (self.key(*key), pickle.get(*value)) else {
                continue;
            };
            let inner = self.joined(name, &key)?;
            module.parts.extend(self.module(part, &inner, depth + 1)?);
        }
        Ok(Some(module))
    }

    fn said(&mut self, state: Id) -> Result<Vec<(String, Said)>, String> {
        let pickle = self.pickle;
        let number = |id: Id| match *pickle.get(id) {
            Node::Int(number) => Some(number as f64),
            Node::Float(number) => Some(number),
            _ => None,
        };
        let said = |(key, value): &(Id, Id)| {
            let said = match pickle.get(*value) {
                Node::Nothing => Said::Nothing,
                Node::Bool(is) => Said::Bool(*is),
                Node::Int(number) => Said::Number(*number as f64),
                Node::Float(number) => Said::Number(*number),
                Node::Text(word) if word.len() <= MOST_WORD => Said::Word(word.clone()),
                Node::Tuple(items) if items.len() <= MOST_DEPTH => {
                    Said::Numbers(items.iter().map(|id| number(*id)).collect::<Option<_>>()?)
                }
                _ => return None,
            };
            let key = pickle.text(*key).filter(|key| key.len() <= MOST_WORD)?;
            Some((key.to_string(), said))
        };
        let mut all = Vec::new();
        for (key, said) in pickle.pairs(state).unwrap_or_default().iter().filter_map(said) {
            self.keep(key.len() + said.bytes())?;
            all.push((key, said));
        }
        Ok(all)
    }

    /// A tensor, if the call of a function makes one; of other objects nothing is known.
    fn tensor(
        &mut self,
        object: &Object,
        name: &str,
        depth: usize,
    ) -> Result<Option<TensorRecord>, String> {
        let pickle = self.pickle;
        let about = |what: &str| format!("its tensor `{name}` {what}");
        let Some(class) = pickle.class(object.class) else { return Ok(None) };
        let arguments = pickle.items(object.arguments).unwrap_or_default();
        let inner = match (class, arguments) {
            (
                "torch._utils._rebuild_parameter"
                | "torch._utils._rebuild_parameter_with_state"
                | "torch.nn.parameter.Parameter"
                | "torch.nn.Parameter",
                [inner, ..],
            ) => *inner,
            // The function that makes it, its class, the function's arguments.
            ("torch._tensor._rebuild_from_type_v2", [function, _, arguments, ..]) => {
                let (class, arguments) = (*function, *arguments);
                if depth > MOST_DEPTH {
                    return Err(about("is wrapped too often"));
                }
                let made = Object { class, arguments, state: None };
                return self.tensor(&made, name, depth + 1);
            }
            (
                "torch._utils._rebuild_tensor"
                | "torch._utils._rebuild_tensor_v2"
                | "torch._utils._rebuild_tensor_v3",
                [storage, offset, shape, strides, rest @ ..],
            ) => {
                let kind = if class.ends_with("v3") {
                    rest.get(2).and_then(|id| pickle.class(*id))
                } else {
                    None
                };
                let storage = self.storage(*storage, kind).map_err(|e| about(&e))?;
                let sides = [*shape, *strides].map(|id| self.sizes(id));
                let (Some(offset), [Some(shape), Some(strides)]) = (self.size(*offset), sides)
                else {
                    return Err(about("has a shape that is none"));
                };
                self.keep(storage.key.len() + 8 * (shape.len() + strides.len()))?;
                return seen(name, &storage, offset, shape, strides)
                    .map(Some)
                    .map_err(|e| about(&e));
            }
            (class, _) if class.starts_with("torch._utils._rebuild_") => {
                let kind = class.trim_start_matches("torch._utils._rebuild_");
                return Err(about(&format!("is of a kind that models here do not have: {kind}")));
            }
            _ => return Ok(None),
        };
        match pickle.get(inner) {
            Node::Object(inner) if depth <= MOST_DEPTH => self.tensor(inner, name, depth + 1),
            _ => Ok(None),
        }
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.pickle.get(id) {
            Node::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        let sides = self.pickle.items(id).filter(|sides| sides.len() <= MOST_SIDES)?;
        sides.iter().map(|id| self.size(*id)).collect()
    }

    /// The storage that a persistent id names: its kind, key, place and length, of early files a part of it.
    fn storage(&mut self, id: Id, told: Option<&str>) -> Result<Storage, String> {
        let pickle = self.pickle;
        let fields = match pickle.get(id) {
            Node::Persistent(inner) => pickle.items(*inner).unwrap_or_default(),
            _ => &[],
        };
        let [word, kind, key, _, length, view @ ..] = fields else {
            return Err("names no storage".into());
        };
        if pickle.text(*word) != Some("storage") {
            return Err("names no storage".into());
        }
        let class = pickle.class(*kind).or(pickle.text(*kind)).unwrap_or_default();
        let kind = Kind::of(told.unwrap_or(class))?;
        let (Some(key), Some(length)) = (self.key(*key), self.size(*length)) else {
            return Err("names no storage".into());
        };
        if key.len() > MOST_WORD || length > MOST_BYTES / kind.size() {
            return Err("names a storage that no file has".into());
        }
        let part = view.first().and_then(|id| pickle.items(*id));
        let (first, length_seen) = match part {
            Some([_, first, count]) => match (self.size(*first), self.size(*count)) {
                (Some(first), Some(count)) => (first, count),
                _ => return Err("names a part of a storage that is none".into()),
            },
            _ => (0, length),
        };
        if first.checked_add(length_seen).is_none_or(|end| end > length) {
            return Err("lies beyond its storage".into());
        }
        // An untyped storage counts bytes.
        let untyped = class.ends_with("UntypedStorage");
        let length = if untyped { length / kind.size() } else { length };
        let storage = Storage { key, kind, length, first };
        if !self.found.storages.iter().any(|other| other.key == storage.key) {
            self.found.storages.push(storage.clone());
        }
        Ok(storage)
    }
}

/// A tensor whose strides stay in its storage and address as many numbers as its shape names.
fn seen(
    name: &str,
    storage: &Storage,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
) -> Result<TensorRecord, String> {
    if shape.len() != strides.len() {
        return Err(format!("has {} sides and {} strides", shape.len(), strides.len()));
    }
    let count = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
    let reach = shape.iter().zip(&strides).try_fold(1usize, |reach, (side, stride)| {
        reach.checked_add(side.saturating_sub(1).checked_mul(*stride)?)
    });
    let (Some(count), Some(reach)) = (count, reach) else {
        return Err("has more numbers than any file".into());
    };
    let offset = offset.checked_add(storage.first);
    let end = offset.and_then(|offset| offset.checked_add(if count == 0 { 0 } else { reach }));
    let (Some(offset), Some(end)) = (offset, end) else {
        return Err("lies beyond its storage".into());
    };
    if end > storage.length {
        return Err(format!(
            "needs {end} numbers of storage `{}`, which has {}",
            storage.key, storage.length
        ));
    }
    if count > reach {
        return Err(format!(
            "names {count} numbers, but its strides {strides:?} address {reach}; save a copy (`.contiguous()`)"
        ));
    }
    let (name, kind, storage) = (name.to_string(), storage.kind, storage.key.clone());
    Ok(TensorRecord { name, kind, shape, strides, offset, storage, count })
}
