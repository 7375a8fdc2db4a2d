//! From the graph of an ONNX file to the layers that a description lists: what the graph says is used, and whatever
//! such a network cannot have is refused by the name of the node.
//!
//! A layer is a convolution with what follows it before another reads its map: a normalisation that is folded in, maps
//! that are added, an activation, a shuffle. A node may change a layer only where no other node reads what it was
//! before.

mod arithmetic;
mod convolution;
mod layer;
mod value;

use super::ImportError;
use super::chain::Amounts;
use super::form::{Form, Listed, Outside};
use super::layer::Layer;
use super::ways::Predicts;
use crate::model::activation::{Activation, Leaky};
use crate::model::description::{From, Layer as Described};
use crate::model::onnx::{Constant, Graph, Input, Node};
use crate::network::Continued;
use layer::Built;
use std::collections::{HashMap, HashSet};
use value::{Part, Value};

/// What is read, for messages.
const READ: &str = "Conv, ConvTranspose, BatchNormalization, Relu, LeakyRelu, PRelu, Tanh, Abs, Add, Sub, Mul, Div, \
                    Concat, DepthToSpace, SpaceToDepth, Pad, Identity, Constant";

/// A network that a graph is, with what the graph says of it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) layers: Vec<Layer>,
    pub(super) form: Form,
    pub(super) activation: Activation,
    /// What it gives, if the graph ends in the difference to its input or the sum with it.
    pub(super) predicts: Option<Predicts>,
}

/// Reads a graph into a network of at most so many weights, and outputs of a layer.
///
/// # Errors
/// [`ImportError::Foreign`] with the name of what is in the way.
pub(super) fn read(graph: &Graph, most: Amounts) -> Result<Read, ImportError> {
    let refuse = |text: String| Err(ImportError::Foreign(text));
    let [output] = &graph.outputs[..] else {
        return refuse(format!(
            "it gives {} things, and a network here gives one",
            graph.outputs.len()
        ));
    };
    let mut builder = Builder {
        graph,
        values: inputs(&graph.inputs)?,
        uses: HashMap::new(),
        layers: Vec::new(),
        activation: None,
        blocks: None,
        reads_pixels: false,
        left: most,
        shared: HashSet::new(),
    };
    let needed = builder.needed(output);
    for (at, node) in graph.nodes.iter().enumerate() {
        if needed.contains(&at) {
            let name = if node.name.is_empty() { node.outputs.first() } else { Some(&node.name) };
            let name = name.map_or("", |name| name.as_str());
            let told = |text: String| {
                ImportError::Foreign(format!("its node `{name}` ({}) {text}", node.op))
            };
            builder.node(node).map_err(told)?;
        }
    }
    builder.finish(output).map_err(ImportError::Foreign)
}

/// What goes in: an image, or an image and its noise in two channels, or in two inputs.
fn inputs(inputs: &[Input]) -> Result<HashMap<String, Value>, ImportError> {
    let channels = |input: &Input| {
        let shown: Vec<String> =
            input.sides.iter().map(|s| s.map_or("?".into(), |s| s.to_string())).collect();
        let what = format!("its input `{}` is [{}]", input.name, shown.join("x"));
        match (input.is_float, &input.sides[..]) {
            (true, &[_, Some(channels), _, _]) => Ok((channels, what)),
            (true, [_, None, _, _]) => {
                Err(format!("{what}, which does not say how many channels it has"))
            }
            (true, _) => Err(format!("{what}, expected images: batch, channels, height, width")),
            (false, _) => Err(format!("{what} of numbers that are no floats")),
        }
    };
    let channels: Vec<(usize, String)> =
        inputs.iter().map(channels).collect::<Result<_, _>>().map_err(ImportError::Foreign)?;
    let (image, noise) = (Part::Image { scale: 1.0 }, Part::Noise { scale: 1.0 });
    let given: Vec<Value> = match &channels[..] {
        [(1, _)] => vec![image.into()],
        [(2, _)] => vec![Value::Beside(vec![image, noise])],
        [(1, _), (1, _)] => vec![image.into(), noise.into()],
        [(count, what), ..] if *count > 2 => {
            let text = format!(
                "{what}, of {count} channels: a grey image has one, with its noise two (are the channels last?)"
            );
            return Err(ImportError::Foreign(text));
        }
        other => {
            let text = format!(
                "it takes {} inputs, expected an image, or an image and its noise",
                other.len()
            );
            return Err(ImportError::Foreign(text));
        }
    };
    Ok(inputs.iter().map(|input| input.name.clone()).zip(given).collect())
}

struct Builder<'a> {
    graph: &'a Graph,
    values: HashMap<String, Value>,
    /// How many nodes that are needed read a value, and whether the graph gives it.
    uses: HashMap<&'a str, usize>,
    layers: Vec<Built>,
    activation: Option<Activation>,
    /// The side of the blocks in which the image is read.
    blocks: Option<usize>,
    reads_pixels: bool,
    /// Weights, and outputs of a layer, that there may be yet.
    left: Amounts,
    /// Layers whose maps have another name that something reads.
    shared: HashSet<usize>,
}

impl<'a> Builder<'a> {
    /// The nodes that the output depends on; counts who reads what.
    fn needed(&mut self, output: &'a str) -> HashSet<usize> {
        let gives = |(at, node): (usize, &'a Node)| {
            node.outputs.iter().filter(|name| !name.is_empty()).map(move |name| (name.as_str(), at))
        };
        // A name that two nodes give is found again when the second gives it.
        let givers: HashMap<&str, usize> =
            self.graph.nodes.iter().enumerate().flat_map(gives).collect();
        let (mut needed, mut open) = (HashSet::new(), vec![output]);
        *self.uses.entry(output).or_default() += 1;
        while let Some(name) = open.pop() {
            let Some(&at) = givers.get(name) else { continue };
            if needed.insert(at) {
                for input in self.graph.nodes[at].inputs.iter().filter(|name| !name.is_empty()) {
                    *self.uses.entry(input).or_default() += 1;
                    open.push(input);
                }
            }
        }
        needed
    }

    fn node(&mut self, node: &'a Node) -> Result<(), String> {
        let value = match node.op.as_str() {
            "Constant" => Value::Constant(node.constant()?),
            "Identity" => {
                node.has_only(&[])?;
                self.same(node)?
            }
            "Dropout" => {
                node.has_only(&["ratio", "seed"])?;
                match self.optional(node, 2) {
                    None => self.same(node)?,
                    Some(_) => {
                        return Err(
                            "says whether it trains, which a network in use does not".into()
                        );
                    }
                }
            }
            "Conv" => self.convolution(node)?,
            "ConvTranspose" => self.transposed(node)?,
            "BatchNormalization" => self.normalisation(node)?,
            "Relu" | "Tanh" | "Abs" | "LeakyRelu" | "PRelu" => self.activated(node)?,
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node)?,
            "Concat" => self.beside(node)?,
            "DepthToSpace" => self.shuffled(node)?,
            "SpaceToDepth" => self.in_blocks(node)?,
            "Pad" => self.padded(node)?,
            "Expand" | "Tile" => match self.value(node, 0)? {
                Value::One(Part::Noise { scale }) => Part::Noise { scale }.into(),
                _ => return Err("is read of the noise level alone".into()),
            },
            _ => return Err(format!("is none of what is read: {READ}")),
        };
        let Some(name) = node.outputs.first().filter(|name| !name.is_empty()) else {
            return Err("gives nothing".into());
        };
        let known = self.graph.constants.contains_key(name);
        if self.values.insert(name.clone(), value).is_some() || known {
            Err(format!("gives `{name}`, which something else gives too"))
        } else {
            Ok(())
        }
    }

    /// What the node reads there, if it reads anything.
    fn optional(&self, node: &'a Node, at: usize) -> Option<&'a str> {
        node.inputs.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn value(&self, node: &'a Node, at: usize) -> Result<Value, String> {
        let name = self.optional(node, at).ok_or_else(|| format!("lacks its input {}", at + 1))?;
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let constant = self.graph.constants.get(name).cloned().map(Value::Constant);
        constant.ok_or_else(|| format!("reads `{name}`, which nothing before it gives"))
    }

    /// What the node reads, under a name of its own.
    fn same(&mut self, node: &'a Node) -> Result<Value, String> {
        let value = self.value(node, 0)?;
        if let (Value::One(Part::Map(layer)), false) = (&value, self.is_alone(node, 0)) {
            self.shared.insert(*layer);
        }
        Ok(value)
    }

    fn constant(&self, node: &'a Node, at: usize) -> Result<Constant, String> {
        match self.value(node, at)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(format!("reads `{}`, which is no constant", node.inputs[at])),
        }
    }

    /// The finite numbers of a constant of this shape.
    fn numbers(&self, node: &'a Node, at: usize, shape: &[usize]) -> Result<Vec<f32>, String> {
        let constant = self.constant(node, at)?;
        let name = &node.inputs[at];
        if constant.shape != shape {
            return Err(format!(
                "reads `{name}` of shape {:?}, expected {shape:?}",
                constant.shape
            ));
        }
        finite(name, &constant)
    }

    /// The layer whose map a node may change, since no other reads it.
    fn changes(&self, node: &'a Node, at: usize) -> Result<usize, String> {
        match self.value(node, at)? {
            Value::One(Part::Map(layer)) if self.may_change(node, at, layer) => Ok(layer),
            Value::One(Part::Map(_)) => Err(format!(
                "changes `{}`, which something else reads too; only the map behind an activation can be read twice",
                node.inputs[at]
            )),
            value => Err(format!("is of {value}, expected what a convolution gave")),
        }
    }

    fn is_alone(&self, node: &'a Node, at: usize) -> bool {
        self.uses.get(node.inputs[at].as_str()) == Some(&1)
    }

    fn channels(&self, part: &Part) -> usize {
        part.channels(|layer| self.layers[layer].channels())
    }

    fn may_change(&self, node: &'a Node, at: usize, layer: usize) -> bool {
        self.is_alone(node, at) && !self.shared.contains(&layer)
    }

    fn activated(&mut self, node: &'a Node) -> Result<Value, String> {
        let activation = self.activation_of(node)?;
        let at = self.changes(node, 0)?;
        if self.layers[at].activation {
            return Err("follows an activation".into());
        }
        match self.activation {
            Some(other) if other != activation => {
                return Err(format!(
                    "is {activation}, and others are {other}: all activations must be the same"
                ));
            }
            _ => self.activation = Some(activation),
        }
        self.layers[at].activation = true;
        Ok(Part::Map(at).into())
    }

    fn activation_of(&self, node: &'a Node) -> Result<Activation, String> {
        let slope = match node.op.as_str() {
            "LeakyRelu" => {
                node.has_only(&["alpha"])?;
                // As people write it, 0.2, and not as float32 has it.
                let alpha = node.float("alpha")?.unwrap_or(0.01).to_string();
                alpha.parse().map_err(|_| format!("has a slope of {alpha}"))?
            }
            "PRelu" => {
                node.has_only(&[])?;
                let slopes = self.constant(node, 1)?;
                let slopes = finite(&node.inputs[1], &slopes)?;
                match slopes.first().filter(|first| slopes.iter().all(|slope| slope == *first)) {
                    Some(slope) => f64::from(*slope),
                    None => {
                        return Err("has slopes that differ; they are weights, which would have to be public".into());
                    }
                }
            }
            op => {
                node.has_only(&[])?;
                return Ok(match op {
                    "Relu" => Activation::Relu,
                    "Tanh" => Activation::Tanh,
                    _ => Activation::Leaky(Leaky::ABS),
                });
            }
        };
        match slope {
            0.0 => Ok(Activation::Relu),
            slope => match Leaky::of(slope) {
                Ok(leaky) => Ok(Activation::Leaky(leaky)),
                Err(expected) => Err(format!("has a slope of {slope}, expected {expected}")),
            },
        }
    }

    /// The network, whose result this is.
    fn finish(mut self, output: &str) -> Result<Read, String> {
        let (mut last, predicts) = match self.values.get(output) {
            Some(Value::One(Part::Map(layer))) => (*layer, None),
            Some(Value::Picture { layer, predicts }) => (*layer, Some(*predicts)),
            Some(value) => {
                return Err(format!("it gives {value}, expected what a convolution gave"));
            }
            None => return Err(format!("it gives `{output}`, which no node gives")),
        };
        if self.layers[last].activation {
            return Err(format!(
                "its node `{}` is the last and has an activation behind it",
                self.layers[last].node
            ));
        }
        // What is predicted is scaled with the weights of the last layer, to which nothing may be added then.
        match self.blocks {
            Some(size) if self.layers[last].shuffle == Some(size) => {
                self.layers[last].shuffle = None
            }
            Some(_) => {
                return Err("it reads the image in blocks and does not give blocks back".into());
            }
            None => {}
        }
        let built = &self.layers[last];
        let is_plain = built.added.is_empty() && built.shuffle.is_none() && !built.is_transposed;
        if last + 1 < self.layers.len() || !is_plain {
            last = self.copy(last, None)?;
        }
        let gives = self.layers[last].channels();
        let expected = self.blocks.map_or(1, |size| size * size);
        if gives != expected {
            return Err(format!("it gives {gives} channels, expected {expected}: a grey image"));
        }
        let activation = self.activation.ok_or("it has no activation between its layers")?;
        let mut list = Vec::new();
        list.extend(self.blocks.map(|size| Some(Described::Blocks { size })));
        let mut outside = Vec::new();
        for (at, built) in self.layers.iter().enumerate() {
            list.extend(built.described(at));
            let mut first = 0;
            for part in &built.from {
                let range = first..first + self.channels(part);
                first = range.end;
                if !matches!(part, Part::Map(_)) {
                    outside.push(Outside { layer: at, channels: range });
                }
            }
        }
        let layers = self.layers.into_iter().map(|built| built.layer).collect();
        Ok(Read {
            layers,
            form: Form::List(Listed { layers: list, outside, continued: Continued::Mirror }),
            activation,
            predicts,
        })
    }
}

/// The numbers of a constant, of which none is NaN or infinite.
fn finite(name: &str, constant: &Constant) -> Result<Vec<f32>, String> {
    let values = constant.floats().map_err(|e| format!("reads `{name}`, which {e}"))?;
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(format!("reads `{name}`, whose number {at} is {}", values[at])),
        None => Ok(values),
    }
}

/// The name of the map that a layer makes.
fn map_name(layer: usize) -> String {
    format!("map{}", layer + 1)
}

fn from_map(layer: usize) -> From {
    From::Named(map_name(layer))
}
