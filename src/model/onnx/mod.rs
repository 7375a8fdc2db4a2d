//! ONNX files: a graph of operators with its constants. Here they are read; what they mean is the business of `import`.
//!
//! Nothing in the file is run, every list is counted before it is kept, and numbers stay in the file's bytes until
//! they are wanted.
//!
//! May use: arrays of a model file. Pure.
//!
//! Security: files are hostile; weights are secret and in no message.

mod constant;
mod proto;

pub(super) use constant::Constant;

use super::load::{Arrays, Tensor, assemble};
use super::{Description, FloatModel, ModelError};
use prost::bytes::Bytes;
use proto::message;
use std::collections::{BTreeMap, HashSet};

/// The most nodes of a graph, attributes of one, and fields of that and of anything else that is small.
const MOST_NODES: usize = 1 << 13;
const MOST_ATTRIBUTES: usize = 16;
const MOST_FIELDS: usize = 96;
/// The most constants.
const MOST_CONSTANTS: usize = 1 << 14;
/// The most fields of the file, of which most are properties that programs leave, and of the graph.
const MOST_OF_MODEL: usize = 1 << 12;
const MOST_OF_GRAPH: usize = 1 << 17;
/// The most things that go in, which may name all constants.
const MOST_INPUTS: usize = MOST_CONSTANTS + 64;
/// The most sides of a tensor.
const MOST_SIDES: usize = 64;
/// The most characters of a name.
const MOST_NAME: usize = 512;
/// The sets of operators that are known: before 7 operators did not broadcast as they do today.
const OPERATORS: std::ops::RangeInclusive<i64> = 7..=28;

/// An operator, with what it reads and gives by name.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    attributes: Vec<proto::Attribute>,
}

/// What goes into the graph: its name, the type of its numbers, and its sides as far as they are known.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) is_float: bool,
    pub(super) sides: Vec<Option<usize>>,
}

/// A file with a graph.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) constants: BTreeMap<String, Constant>,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<String>,
}

/// Whether a file begins as ONNX does: the version of the format, from 3 on, and another field of the model.
pub(super) fn begins(begin: &[u8]) -> bool {
    matches!(begin, [0x08, 3..=127, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..])
}

impl Graph {
    /// # Errors
    /// [`ModelError::Onnx`].
    pub(super) fn open(bytes: Vec<u8>) -> Result<Graph, ModelError> {
        Graph::read(bytes.into()).map_err(ModelError::Onnx)
    }

    fn read(bytes: Bytes) -> Result<Graph, String> {
        let model: proto::Model = message("the file", &bytes, MOST_OF_MODEL, &[1, 7])?;
        if !model.functions.is_empty() {
            return Err("it has functions of its own; write it without in Python: import onnx, onnx.inliner; \
                        onnx.save(onnx.inliner.inline_local_functions(onnx.load('FILE')), 'new.onnx')"
                .into());
        }
        check_operators(&model.opset_import)?;
        let graph = model.graph.ok_or("it has no graph")?;
        let graph: proto::Graph = message("its graph", &graph, MOST_OF_GRAPH, &[])?;
        for (what, found, most) in [
            ("nodes", graph.node.len(), MOST_NODES),
            ("constants", graph.initializer.len(), MOST_CONSTANTS),
            ("inputs", graph.input.len(), MOST_INPUTS),
            ("outputs", graph.output.len(), MOST_SIDES),
        ] {
            if found > most {
                return Err(format!("its graph has {found} {what}, at most {most} are read"));
            }
        }
        let mut constants = BTreeMap::new();
        for bytes in &graph.initializer {
            let (name, constant) = Constant::read(bytes)?;
            if constants.insert(named(&name)?, constant).is_some() {
                return Err(format!("it has the constant `{name}` twice"));
            }
        }
        let nodes: Vec<Node> = graph.node.iter().map(Node::read).collect::<Result<_, _>>()?;
        let output = |bytes: &Bytes| -> Result<String, String> {
            let info: proto::ValueInfo = message("an output", bytes, MOST_FIELDS, &[1])?;
            named(&info.name)
        };
        let outputs = graph.output.iter().map(output).collect::<Result<_, _>>()?;
        let mut inputs: Vec<Input> = Vec::new();
        for bytes in &graph.input {
            let info: proto::ValueInfo = message("an input", bytes, MOST_FIELDS, &[1, 2])?;
            // Before version 4 of the format constants had to be listed as inputs too.
            if !constants.contains_key(&info.name) {
                inputs.push(Input::read(info)?);
            }
        }
        let mut given: HashSet<&str> = HashSet::new();
        let taken = inputs.iter().map(|input| &input.name);
        let outputs_of =
            nodes.iter().flat_map(|node| &node.outputs).filter(|name| !name.is_empty());
        for name in taken.chain(outputs_of).chain(constants.keys()) {
            if !given.insert(name) {
                return Err(format!("two things in it give `{name}`"));
            }
        }
        drop(given);
        Ok(Graph { nodes, constants, inputs, outputs })
    }

    /// The model that a description in `NAME.json` makes of the constants.
    pub(super) fn model(&mut self, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
        let description = Description::parse(beside.ok_or(ModelError::NoDescription)?)?;
        assemble(&description, self)
    }

    fn constant(&self, name: &str) -> Result<&Constant, ModelError> {
        let missing = || ModelError::Array { name: name.into(), reason: "is missing".into() };
        self.constants.get(name).ok_or_else(missing)
    }
}

/// Refuses versions of ONNX's own operators that are not known; others are told by the nodes that use them.
fn check_operators(sets: &[Bytes]) -> Result<(), String> {
    let mut found = Vec::new();
    for set in sets.iter().take(MOST_FIELDS) {
        let set: proto::OperatorSet = message("a set of operators", set, MOST_FIELDS, &[1, 2])?;
        found.extend(is_own(&set.domain).then_some(set.version));
    }
    match found[..] {
        [version] if OPERATORS.contains(&version) => Ok(()),
        [version] => Err(format!(
            "its operators are of version {version}, {} to {} are known; write it anew in Python: import onnx, \
             onnx.version_converter; onnx.save(onnx.version_converter.convert_version(onnx.load('FILE'), 17), 'new.onnx')",
            OPERATORS.start(),
            OPERATORS.end()
        )),
        [] => Err("it does not say of which version its operators are".into()),
        _ => Err("it names two versions of its operators".into()),
    }
}

/// Whether operators of a domain are ONNX's own.
fn is_own(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// A name that messages can show.
fn named(name: &str) -> Result<String, String> {
    if name.len() <= MOST_NAME && !name.chars().any(char::is_control) {
        Ok(name.into())
    } else {
        Err(format!("a name in it has more than {MOST_NAME} bytes, or control characters"))
    }
}

impl Node {
    fn read(bytes: &Bytes) -> Result<Node, String> {
        let node: proto::Node = message("a node", bytes, MOST_FIELDS, &[3, 4, 7])?;
        let names = |all: Vec<String>| all.iter().map(|name| named(name)).collect::<Result<_, _>>();
        let (name, op) = (named(&node.name)?, named(&node.op_type)?);
        if !is_own(&node.domain) {
            let domain = named(&node.domain)?;
            return Err(format!(
                "its node `{name}` is a {op} of `{domain}`, which is not ONNX's own"
            ));
        }
        if node.attribute.len() > MOST_ATTRIBUTES {
            return Err(format!("its node `{name}` has more than {MOST_ATTRIBUTES} attributes"));
        }
        let attribute =
            |bytes: &Bytes| message("an attribute", bytes, MOST_FIELDS, &[1, 2, 3, 4, 5, 20, 21]);
        let attributes: Vec<proto::Attribute> =
            node.attribute.iter().map(attribute).collect::<Result<_, _>>()?;
        for (i, one) in attributes.iter().enumerate() {
            named(&one.name)?;
            if attributes[..i].iter().any(|other| other.name == one.name) {
                return Err(format!("its node `{name}` has the attribute `{}` twice", one.name));
            }
        }
        Ok(Node { name, op, inputs: names(node.input)?, outputs: names(node.output)?, attributes })
    }

    /// An attribute of this kind; `None` if there is none of the name.
    fn attribute(&self, name: &str, kind: i32) -> Result<Option<&proto::Attribute>, String> {
        let Some(found) = self.attributes.iter().find(|a| a.name == name) else { return Ok(None) };
        if found.kind == kind && found.ref_attr_name.is_empty() {
            Ok(Some(found))
        } else {
            Err(format!("has an attribute `{name}` of another kind"))
        }
    }

    /// # Errors
    /// The name of an attribute that is not among those that are known.
    pub(super) fn has_only(&self, known: &[&str]) -> Result<(), String> {
        match self.attributes.iter().find(|a| !known.contains(&a.name.as_str())) {
            Some(other) => Err(format!("has an attribute `{}` that is not known here", other.name)),
            None => Ok(()),
        }
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f32>, String> {
        Ok(self.attribute(name, 1)?.map(|a| a.f))
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.attribute(name, 2)?.map(|a| a.i))
    }

    pub(super) fn word(&self, name: &str) -> Result<Option<String>, String> {
        let word = self.attribute(name, 3)?;
        Ok(word.map(|a| String::from_utf8_lossy(&a.s).chars().take(MOST_SIDES).collect()))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&[i64]>, String> {
        Ok(self.attribute(name, 7)?.map(|a| &a.ints[..]))
    }

    /// What a node `Constant` gives.
    pub(super) fn constant(&self) -> Result<Constant, String> {
        if let Some(number) = self.float("value_float")? {
            return Ok(Constant::float(number));
        }
        if let Some(number) = self.int("value_int")? {
            return Ok(Constant::ints(vec![], &[number]));
        }
        if let Some(numbers) = self.ints("value_ints")? {
            return Ok(Constant::ints(vec![numbers.len()], numbers));
        }
        match self.attribute("value", 4)?.and_then(|a| a.t.as_ref()) {
            Some(bytes) => Ok(Constant::read(bytes)?.1),
            None => Err("gives no tensor of numbers".into()),
        }
    }
}

#[cfg(test)]
impl Node {
    /// A node without a name, of no attributes but whole numbers.
    pub(super) fn made(op: &str, inputs: &[&str], output: &str, ints: &[(&str, &[i64])]) -> Node {
        let attribute = |(name, ints): &(&str, &[i64])| proto::Attribute {
            name: name.to_string(),
            ints: ints.to_vec(),
            kind: 7,
            ..proto::Attribute::default()
        };
        Node {
            name: output.into(),
            op: op.into(),
            inputs: inputs.iter().map(|name| name.to_string()).collect(),
            outputs: vec![output.into()],
            attributes: ints.iter().map(attribute).collect(),
        }
    }

    /// The same with a whole number more.
    pub(super) fn with_int(mut self, name: &str, i: i64) -> Node {
        let (name, kind) = (name.to_string(), 2);
        self.attributes.push(proto::Attribute { name, i, kind, ..proto::Attribute::default() });
        self
    }

    /// The same with a number more.
    pub(super) fn with_float(mut self, name: &str, f: f32) -> Node {
        let (name, kind) = (name.to_string(), 1);
        self.attributes.push(proto::Attribute { name, f, kind, ..proto::Attribute::default() });
        self
    }

    /// The same with a word more.
    pub(super) fn with_word(mut self, name: &str, word: &'static str) -> Node {
        let (name, kind, s) = (name.to_string(), 3, Bytes::from_static(word.as_bytes()));
        self.attributes.push(proto::Attribute { name, s, kind, ..proto::Attribute::default() });
        self
    }
}

impl Input {
    fn read(info: proto::ValueInfo) -> Result<Input, String> {
        let name = named(&info.name)?;
        let what = format!("its input `{name}`");
        let kind: proto::Type = message(&what, &info.kind, MOST_FIELDS, &[1])?;
        let tensor: proto::TensorType = message(&what, &kind.tensor, MOST_FIELDS, &[1, 2])?;
        let shape: proto::Shape = message(&what, &tensor.shape, MOST_SIDES, &[])?;
        let side = |bytes: &Bytes| -> Result<Option<usize>, String> {
            let side: proto::Side = message(&what, bytes, MOST_FIELDS, &[1])?;
            Ok(side.value.and_then(|side| usize::try_from(side).ok()))
        };
        let sides = shape.dims.iter().map(side).collect::<Result<_, _>>()?;
        Ok(Input { name, is_float: constant::is_float(tensor.element), sides })
    }
}

impl Arrays for Graph {
    fn names(&self) -> Vec<String> {
        self.constants.keys().cloned().collect()
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        let constant = self.constant(name)?;
        Ok(Tensor { name: name.into(), dtype: constant.dtype(), shape: constant.shape.clone() })
    }

    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let error = |reason: String| ModelError::Array { name: name.into(), reason };
        let constant = self.constant(name)?;
        if constant.shape != shape {
            return Err(error(format!("has shape {:?}, expected {shape:?}", constant.shape)));
        }
        constant.floats().map_err(error)
    }
}

#[cfg(test)]
mod tests;
