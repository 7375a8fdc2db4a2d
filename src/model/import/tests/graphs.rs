//! Graphs of ONNX files against their operators in float64, and what is refused of them.

mod files;
mod refused;

use super::families::{Map, continued};
use super::ways::Interpretation;
use super::*;
use crate::model::import::chain::Amounts;
use crate::model::onnx::{Constant, Graph, Input, Node};
use crate::size::Size;
use std::collections::{BTreeMap, HashMap};

/// A graph that is put together, with constants that look random.
struct Made {
    graph: Graph,
}

impl Made {
    fn of(inputs: &[(&str, usize)], output: &str) -> Made {
        let input = |(name, channels): &(&str, usize)| Input {
            name: name.to_string(),
            is_float: true,
            sides: vec![Some(1), Some(*channels), None, None],
        };
        Made {
            graph: Graph {
                nodes: Vec::new(),
                constants: BTreeMap::new(),
                inputs: inputs.iter().map(input).collect(),
                outputs: vec![output.into()],
            },
        }
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str, ints: &[(&str, &[i64])]) {
        self.graph.nodes.push(Node::made(op, inputs, output, ints));
    }

    fn put(&mut self, name: &str, shape: &[usize], scale: f32) {
        let count = shape.iter().product();
        let values: Vec<f32> =
            numbers(self.graph.constants.len(), count).iter().map(|v| v * scale).collect();
        self.constant(name, shape, &values);
    }

    fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let constant = Constant::floats_of(shape.to_vec(), values);
        self.graph.constants.insert(name.into(), constant);
    }

    /// A convolution with weights and biases of its own.
    fn conv(&mut self, input: &str, output: &str, shape: [usize; 4], ints: &[(&str, &[i64])]) {
        let (w, b) = (format!("{output}.w"), format!("{output}.b"));
        let scale = 1.2 / ((shape[1] * shape[2] * shape[3]) as f32).sqrt();
        self.put(&w, &shape, scale);
        self.put(&b, &[shape[0]], 0.05);
        self.node("Conv", &[input, &w, &b], output, ints);
    }

    /// A convolution of 3x3 that keeps the size of its map, and an activation.
    fn layer(&mut self, input: &str, output: &str, channels: (usize, usize)) {
        let sums = format!("{output}.sums");
        self.conv(input, &sums, [channels.1, channels.0, 3, 3], SAME);
        self.node("Relu", &[&sums], output, &[]);
    }

    fn refused(&self) -> String {
        graph::read(&self.graph, Amounts { weights: 1 << 20, outputs: 1 << 12 })
            .unwrap_err()
            .to_string()
    }

    /// Compares the model that the graph is with the operators in float64, on images of these sizes, in a range.
    fn compare(&self, range: (f64, f64), multiple: usize, sizes: &[Size]) {
        let read =
            graph::read(&self.graph, Amounts { weights: 1 << 20, outputs: 1 << 12 }).unwrap();
        let net = Net { layers: &read.layers, form: &read.form };
        let way = Interpretation {
            range: Range::new(range.0, range.1).unwrap(),
            predicts: read.predicts.unwrap_or(Predicts::Image),
            activation: read.activation,
            mean_shift: false,
            order: None,
            dilated: false,
        };
        let model = way.model(net, 50.0).unwrap();
        for &size in sizes {
            let image: Vec<f64> =
                (0..size.pixels()).map(|i| 127.0 + 90.0 * (i as f64 * 0.9).sin()).collect();
            let (low, high) = range;
            let taken: Vec<f64> = image.iter().map(|v| low + v / 255.0 * (high - low)).collect();
            let noise = 15.0 / 255.0 * (high - low);
            let expected = self.evaluate(continued(&taken, size, multiple, noise));
            let levels = crate::model::LevelMap::new(model.units, 1.0);
            let units: Vec<f32> = image.iter().map(|v| levels.to_units(*v) as f32).collect();
            let plane = if model.network.reads_plane() { model.plane(15.0) } else { 0.0 };
            let apply = |v: &mut [f32]| model.activation.apply(v);
            let found = model.denoise_at(&units, size, plane, &apply, &mut |_| ()).unwrap();
            for (p, found) in found.iter().enumerate() {
                let at = p / size.width * expected.size.width + p % size.width;
                let wanted = (expected.channels[0][at] - low) / (high - low) * 255.0;
                let off = (levels.to_grey(f64::from(*found)) - wanted).abs();
                assert!(off < 3e-4, "{range:?} {size:?} at {p}: {off} levels of {wanted}");
            }
        }
    }

    /// What the graph gives of the image, and of the noise, which are the channels of a map.
    fn evaluate(&self, taken: Map) -> Map {
        let mut maps: HashMap<&str, Map> = HashMap::new();
        let plain = |c: usize| Map { size: taken.size, channels: vec![taken.channels[c].clone()] };
        match &self.graph.inputs[..] {
            [one] if one.sides[1] == Some(1) => {
                maps.insert(&one.name, plain(0));
            }
            [one] => {
                maps.insert(&one.name, taken.clone());
            }
            [image, noise, ..] => {
                maps.insert(&image.name, plain(0));
                // One number, which is repeated where it is read.
                let number = vec![taken.channels[1][..1].to_vec()];
                maps.insert(&noise.name, Map { size: Size::new(1, 1), channels: number });
            }
            [] => {}
        }
        for node in &self.graph.nodes {
            let value = self.apply(node, &maps);
            maps.insert(&node.outputs[0], value);
        }
        maps[&self.graph.outputs[0][..]].clone()
    }

    fn numbers(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let constant = &self.graph.constants[name];
        let values = constant.floats().unwrap().into_iter().map(f64::from).collect();
        (constant.shape.clone(), values)
    }

    fn apply(&self, node: &Node, maps: &HashMap<&str, Map>) -> Map {
        let map = |at: usize| maps[&node.inputs[at][..]].clone();
        let each = |f: &dyn Fn(f64) -> f64| {
            let mut map = map(0);
            map.channels.iter_mut().flatten().for_each(|v| *v = f(*v));
            map
        };
        match &node.op[..] {
            "Identity" | "Expand" => map(0),
            "Relu" => each(&|v| v.max(0.0)),
            "LeakyRelu" => each(&|v| if v < 0.0 { v * 0.2 } else { v }),
            "PRelu" => each(&|v| if v < 0.0 { v * 0.25 } else { v }),
            "Conv" => self.conv_of(node, &map(0)),
            "ConvTranspose" => self.transposed_of(node, &map(0)),
            "BatchNormalization" => {
                let part = |at: usize| self.numbers(&node.inputs[at]).1;
                let (gain, shift, mean, variance) = (part(1), part(2), part(3), part(4));
                let mut map = map(0);
                for (c, channel) in map.channels.iter_mut().enumerate() {
                    let factor = gain[c] / (variance[c] + 1e-5).sqrt();
                    channel.iter_mut().for_each(|v| *v = (*v - mean[c]) * factor + shift[c]);
                }
                map
            }
            "Concat" => {
                let all: Vec<Map> = (0..node.inputs.len()).map(map).collect();
                let size = all.iter().map(|map| map.size).max().unwrap();
                let wide = |map: &Map| -> Vec<Vec<f64>> {
                    if map.size == size {
                        map.channels.clone()
                    } else {
                        map.channels.iter().map(|c| vec![c[0]; size.pixels()]).collect()
                    }
                };
                Map { size, channels: all.iter().flat_map(wide).collect() }
            }
            "DepthToSpace" | "SpaceToDepth" => shuffled(node, &map(0)),
            "Pad" => {
                let pads = node.ints("pads").unwrap().unwrap();
                zero_padded(&map(0), [pads[2], pads[3], pads[6], pads[7]].map(|p| p as usize))
            }
            op => self.both(node, op, maps),
        }
    }

    /// Arithmetic of two maps, or of a map and a constant of one number or one for each channel.
    fn both(&self, node: &Node, op: &str, maps: &HashMap<&str, Map>) -> Map {
        let of = |name: &str, like: &Map| match maps.get(name) {
            Some(map) => map.clone(),
            None => {
                let (_, values) = self.numbers(name);
                let count = like.size.height * like.size.width;
                let channel = |c: usize| vec![values[c % values.len()]; count];
                Map { size: like.size, channels: (0..like.channels.len()).map(channel).collect() }
            }
        };
        let known = node.inputs.iter().find_map(|name| maps.get(&name[..])).unwrap();
        let (mut a, b) = (of(&node.inputs[0], known), of(&node.inputs[1], known));
        for (a, b) in a.channels.iter_mut().flatten().zip(b.channels.iter().flatten()) {
            *a = match op {
                "Add" => *a + b,
                "Sub" => *a - b,
                "Mul" => *a * b,
                "Div" => *a / b,
                _ => panic!("{op}"),
            };
        }
        a
    }

    fn conv_of(&self, node: &Node, map: &Map) -> Map {
        let (shape, weights) = self.numbers(&node.inputs[1]);
        let bias = node.inputs.get(2).map(|name| self.numbers(name).1);
        let one = |name: &str| node.ints(name).unwrap().map_or(1, |v| v[0] as usize);
        let (stride, apart) = (one("strides"), one("dilations"));
        let (side, wide) = (shape[2], apart_by(shape[2], apart));
        let pads = match node.word("auto_pad").unwrap().as_deref() {
            Some("SAME_UPPER") => {
                let all = wide.saturating_sub(stride);
                [all / 2, all / 2, all - all / 2, all - all / 2]
            }
            _ => node.ints("pads").unwrap().map_or([0; 4], |p| [0, 1, 2, 3].map(|i| p[i] as usize)),
        };
        let padded = zero_padded(map, pads);
        let size = Size::new(
            (padded.size.height - wide) / stride + 1,
            (padded.size.width - wide) / stride + 1,
        );
        let mut channels = Vec::new();
        for o in 0..shape[0] {
            let pixel = |p: usize| {
                let mut sum = bias.as_ref().map_or(0.0, |bias| bias[o]);
                for (i, tap) in (0..shape[1]).flat_map(|i| (0..side * side).map(move |t| (i, t))) {
                    let y = p / size.width * stride + tap / side * apart;
                    let x = p % size.width * stride + tap % side * apart;
                    let weight = weights[(o * shape[1] + i) * side * side + tap];
                    sum += weight * padded.channels[i][y * padded.size.width + x];
                }
                sum
            };
            channels.push((0..size.pixels()).map(pixel).collect());
        }
        Map { size, channels }
    }

    fn transposed_of(&self, node: &Node, map: &Map) -> Map {
        let (shape, weights) = self.numbers(&node.inputs[1]);
        let bias = node.inputs.get(2).map(|name| self.numbers(name).1);
        let one = |name: &str, or: usize| node.ints(name).unwrap().map_or(or, |v| v[0] as usize);
        let (stride, pad) = (one("strides", 1), one("pads", 0));
        let (side, more) = (shape[2], one("output_padding", 0));
        let end = node.ints("pads").unwrap().map_or(0, |pads| pads[2] as usize);
        let long = |n: usize| stride * (n - 1) + side + more - pad - end;
        let size = Size::new(long(map.size.height), long(map.size.width));
        let first = |o: usize| vec![bias.as_ref().map_or(0.0, |b| b[o]); size.pixels()];
        let mut channels: Vec<Vec<f64>> = (0..shape[1]).map(first).collect();
        for (i, given) in map.channels.iter().enumerate() {
            for (o, channel) in channels.iter_mut().enumerate() {
                for (p, tap) in (0..given.len()).flat_map(|p| (0..side * side).map(move |t| (p, t)))
                {
                    let y = (p / map.size.width * stride + tap / side).wrapping_sub(pad);
                    let x = (p % map.size.width * stride + tap % side).wrapping_sub(pad);
                    if y < size.height && x < size.width {
                        let weight = weights[(i * shape[1] + o) * side * side + tap];
                        channel[y * size.width + x] += weight * given[p];
                    }
                }
            }
        }
        Map { size, channels }
    }
}

fn apart_by(side: usize, apart: usize) -> usize {
    apart * (side - 1) + 1
}

fn zero_padded(map: &Map, [above, left, below, right]: [usize; 4]) -> Map {
    let Size { height: h, width: w } = map.size;
    let size = Size::new(h + above + below, w + left + right);
    let channel = |c: &Vec<f64>| {
        let pixel = |p: usize| {
            let (y, x) =
                ((p / size.width).wrapping_sub(above), (p % size.width).wrapping_sub(left));
            if y < h && x < w { c[y * w + x] } else { 0.0 }
        };
        (0..size.pixels()).map(pixel).collect()
    };
    Map { size, channels: map.channels.iter().map(channel).collect() }
}

/// Depth to space, and of one channel the other way.
fn shuffled(node: &Node, map: &Map) -> Map {
    let r = node.int("blocksize").unwrap().unwrap() as usize;
    let Size { height: h, width: w } = map.size;
    if node.op == "SpaceToDepth" {
        let size = Size::new(h / r, w / r);
        let part = |k: usize| {
            let pixel = |p: usize| {
                map.channels[0][(p / size.width * r + k / r) * w + p % size.width * r + k % r]
            };
            (0..size.pixels()).map(pixel).collect()
        };
        return Map { size, channels: (0..r * r).map(part).collect() };
    }
    let crd = node.word("mode").unwrap().as_deref() == Some("CRD");
    let (count, size) = (map.channels.len() / (r * r), Size::new(h * r, w * r));
    let channel = |c: usize| {
        let pixel = |p: usize| {
            let (y, x) = (p / size.width, p % size.width);
            let within = y % r * r + x % r;
            let from = if crd { c * r * r + within } else { within * count + c };
            map.channels[from][y / r * w + x / r]
        };
        (0..size.pixels()).map(pixel).collect()
    };
    Map { size, channels: (0..count).map(channel).collect() }
}

const SAME: &[(&str, &[i64])] = &[("pads", &[1, 1, 1, 1])];
const UNIT: (f64, f64) = (0.0, 1.0);
const RANGES: [(f64, f64); 3] = [UNIT, (0.0, 255.0), (-1.0, 1.0)];

/// Everything that is folded into convolutions, behind a residual.
#[test]
fn a_chain_is_what_its_operators_are() {
    let mut made = Made::of(&[("x", 1)], "out");
    made.constant("two", &[], &[2.0]);
    made.put("shift", &[1, 4, 1, 1], 0.1);
    made.node("Mul", &["x", "two"], "twice", &[]);
    made.node("Pad", &["twice"], "padded", &[("pads", &[0, 0, 2, 2, 0, 0, 2, 2])]);
    made.put("w", &[4, 1, 5, 5], 0.2);
    made.node("Conv", &["padded", "w"], "a", &[]);
    made.node("Add", &["shift", "a"], "b", &[]);
    made.node("Div", &["b", "two"], "c", &[]);
    made.graph.nodes.push(Node::made("LeakyRelu", &["c"], "d", &[]).with_float("alpha", 0.2));
    // Taps that are two pixels apart.
    made.conv("d", "e", [3, 4, 3, 3], &[("pads", &[2, 2, 2, 2]), ("dilations", &[2, 2])]);
    for (name, scale) in [("gain", 0.9), ("move", 0.1), ("mean", 0.1)] {
        made.put(name, &[3], scale);
    }
    made.constant("variance", &[3], &[0.3, 0.2, 0.9]);
    let parts = ["e", "gain", "move", "mean", "variance"];
    made.graph
        .nodes
        .push(Node::made("BatchNormalization", &parts, "f", &[]).with_float("epsilon", 1e-5));
    made.node("Identity", &["f"], "g", &[]);
    made.graph.nodes.push(Node::made("LeakyRelu", &["g"], "h", &[]).with_float("alpha", 0.2));
    made.conv("h", "y", [1, 3, 3, 3], SAME);
    made.node("Sub", &["x", "y"], "out", &[]);
    for range in RANGES {
        made.compare(range, 1, &[Size::new(7, 9), Size::new(1, 4)]);
    }
    let read = graph::read(&made.graph, Amounts { weights: 1 << 20, outputs: 1 << 12 }).unwrap();
    assert_eq!(read.predicts, Some(Predicts::Noise));
    assert_eq!(read.activation, Leaky::of(0.2).map(Activation::Leaky).unwrap());
    made.graph.nodes[9].inputs[0] = "e.2".into();
    let text = made.refused();
    assert!(text.contains("`e.2`, which nothing before it gives"), "{text}");
}

/// Scales, skips, sums of finished maps, an image that is read twice, and a sum at the end.
#[test]
fn branches_are_what_their_operators_are() {
    let mut made = Made::of(&[("x", 1)], "out");
    made.layer("x", "fine", (1, 3));
    made.conv("fine", "down.sums", [4, 3, 4, 4], &[("pads", &[1, 1, 1, 1]), ("strides", &[2, 2])]);
    made.node("Relu", &["down.sums"], "down", &[]);
    made.put("down2.w", &[5, 4, 3, 3], 0.2);
    let upper = Node::made("Conv", &["down", "down2.w"], "down2.sums", &[("strides", &[2, 2])]);
    made.graph.nodes.push(upper.with_word("auto_pad", "SAME_UPPER"));
    made.node("Relu", &["down2.sums"], "down2", &[]);
    made.put("up.w", &[5, 8, 3, 3], 0.2);
    made.put("up.b", &[8], 0.1);
    let ints: &[(&str, &[i64])] =
        &[("pads", &[1, 1, 1, 1]), ("strides", &[2, 2]), ("output_padding", &[1, 1])];
    made.node("ConvTranspose", &["down2", "up.w", "up.b"], "up.sums", ints);
    made.node("Relu", &["up.sums"], "up", &[]);
    made.conv("up", "wide", [12, 8, 3, 3], SAME);
    // Of this map both what comes before and behind the sum is read, and its channels come pixel by pixel.
    made.graph
        .nodes
        .push(Node::made("DepthToSpace", &["wide"], "shuffled", &[]).with_int("blocksize", 2));
    made.node("Add", &["shuffled", "fine"], "sum", &[]);
    made.node("Relu", &["sum"], "same", &[]);
    made.graph
        .nodes
        .push(Node::made("Concat", &["same", "x", "fine"], "beside", &[]).with_int("axis", 1));
    made.layer("beside", "last", (7, 2));
    made.conv("last", "y", [1, 2, 1, 1], &[]);
    made.conv("fine", "z", [1, 3, 1, 1], &[]);
    made.node("Add", &["y", "z"], "both", &[]);
    made.node("Add", &["both", "x"], "out", &[]);
    for range in RANGES {
        made.compare(range, 4, &[Size::new(8, 12), Size::new(7, 9)]);
    }
}

/// The skip of a U-shape is added to a map that was made larger.
#[test]
fn a_sum_behind_a_transposed_convolution_is_what_it_is() {
    let mut made = Made::of(&[("x", 1)], "y");
    made.layer("x", "fine", (1, 4));
    made.conv("fine", "down.sums", [6, 4, 2, 2], &[("strides", &[2, 2])]);
    made.node("Relu", &["down.sums"], "down", &[]);
    made.put("up.w", &[6, 4, 2, 2], 0.3);
    made.put("up.b", &[4], 0.1);
    made.node("ConvTranspose", &["down", "up.w", "up.b"], "up", &[("strides", &[2, 2])]);
    made.node("Add", &["fine", "up"], "sum", &[]);
    made.node("Relu", &["sum"], "both", &[]);
    made.conv("both", "y", [1, 4, 3, 3], SAME);
    made.compare(UNIT, 2, &[Size::new(8, 10), Size::new(7, 9)]);
}

/// FFDNet's form, with the noise in an input of its own, that comes first, and times a number.
#[test]
fn blocks_and_noise_are_what_their_operators_are() {
    for mode in ["CRD", "DCR"] {
        let mut made = Made::of(&[("x", 1), ("sigma", 1)], "out");
        made.constant("half", &[1], &[0.5]);
        made.graph
            .nodes
            .push(Node::made("SpaceToDepth", &["x"], "blocks", &[]).with_int("blocksize", 2));
        made.node("Mul", &["sigma", "half"], "less", &[]);
        made.node("Expand", &["less", "half"], "plane", &[]);
        made.graph
            .nodes
            .push(Node::made("Concat", &["plane", "blocks"], "in", &[]).with_int("axis", -3));
        made.conv("in", "a", [6, 5, 3, 3], SAME);
        made.constant("slopes", &[6, 1, 1], &[0.25; 6]);
        made.node("PRelu", &["a", "slopes"], "b", &[]);
        made.conv("b", "c", [4, 6, 3, 3], SAME);
        let last = Node::made("DepthToSpace", &["c"], "out", &[]).with_int("blocksize", 2);
        made.graph.nodes.push(last.with_word("mode", mode));
        for range in [UNIT, (0.0, 255.0)] {
            made.compare(range, 2, &[Size::new(6, 4), Size::new(5, 7)]);
        }
        made.node("Sub", &["x", "out"], "picture", &[]);
        made.graph.outputs = vec!["picture".into()];
        made.compare(UNIT, 2, &[Size::new(5, 7)]);
    }
    // Both in one input; sums of what was not a convolution's last.
    let mut made = Made::of(&[("x", 2)], "out");
    made.layer("x", "a", (2, 3));
    made.layer("a", "b", (3, 3));
    made.node("Add", &["a", "b"], "c", &[]);
    made.node("Add", &["c", "c"], "d", &[]);
    made.conv("d", "e", [4, 3, 3, 3], &[("pads", &[1, 1, 1, 1])]);
    made.node("Relu", &["e"], "f", &[]);
    made.conv("f", "out", [1, 4, 3, 3], SAME);
    made.compare(UNIT, 1, &[Size::new(5, 7)]);
}
