//! Convolutions, and what is folded into them.

use super::layer::Built;
use super::value::{Part, Value};
use super::{Builder, Layer};
use crate::model::onnx::Node;

/// The widest kernel, the zeros between taps that are apart among it.
const MOST_KERNEL: usize = 15;

/// Two numbers that are the same, for rows and columns.
fn both(node: &Node, name: &str, otherwise: usize) -> Result<usize, String> {
    match node.ints(name)? {
        None => Ok(otherwise),
        Some(&[rows, columns]) if rows == columns => {
            usize::try_from(rows).map_err(|_| format!("has {name}={rows}"))
        }
        Some(other) => {
            Err(format!("has {name}={other:?}, expected the same along rows and columns"))
        }
    }
}

/// Zeros before and behind rows, and columns, which must be the same.
fn around([above, left, below, right]: [usize; 4]) -> Result<(usize, usize), String> {
    if above == left && below == right {
        Ok((above, below))
    } else {
        Err(format!(
            "has {above} and {below} zeros around rows and {left} and {right} around columns, expected the same"
        ))
    }
}

/// The attribute `pads` of a convolution.
fn pads(node: &Node) -> Result<[usize; 4], String> {
    let Some(pads) = node.ints("pads")? else { return Ok([0; 4]) };
    let sizes: Vec<usize> = pads.iter().filter_map(|pad| usize::try_from(*pad).ok()).collect();
    sizes.try_into().ok().filter(|_| pads.len() == 4).ok_or_else(|| format!("has pads={pads:?}"))
}

/// The zeros around a map of which a kernel of `wide` pixels makes one of 1/stride the size, as the node says.
fn zeros(
    node: &Node,
    wide: usize,
    stride: usize,
    more: [usize; 4],
) -> Result<(usize, usize), String> {
    let mode = node.word("auto_pad")?.unwrap_or("NOTSET".into());
    let all = wide.saturating_sub(stride);
    match mode.as_str() {
        "NOTSET" => {
            let own = pads(node)?;
            let sum: Vec<usize> = own.iter().zip(more).map(|(a, b)| a.saturating_add(b)).collect();
            around([sum[0], sum[1], sum[2], sum[3]])
        }
        "VALID" => around(more),
        "SAME_UPPER" | "SAME_LOWER" if more != [0; 4] => {
            Err(format!("has auto_pad={mode} and zeros around its map already"))
        }
        "SAME_UPPER" => Ok((all / 2, all - all / 2)),
        "SAME_LOWER" => Ok((all - all / 2, all / 2)),
        _ => Err(format!("has auto_pad={mode}")),
    }
}

impl<'a> Builder<'a> {
    /// Counts the weights and outputs of a layer before any is read.
    fn spend(&mut self, weights: Option<usize>, outputs: usize) -> Result<(), String> {
        let left = weights.and_then(|weights| self.left.weights.checked_sub(weights));
        match left.filter(|_| outputs <= self.left.outputs) {
            Some(left) => self.left.weights = left,
            None => {
                return Err(format!(
                    "has {outputs} outputs, and with those before it more weights than a file of this length may have: \
                     trying such a network costs too much for what it says"
                ));
            }
        }
        Ok(())
    }

    /// The sides of a kernel, of which there must be four, and what is said of it.
    fn kernel(&self, node: &'a Node) -> Result<[usize; 4], String> {
        let shape = self.constant(node, 1)?.shape;
        let Ok(sides) = <[usize; 4]>::try_from(&shape[..]) else {
            return Err(format!(
                "has weights of shape {shape:?}, expected a convolution in two dimensions"
            ));
        };
        let [first, second, rows, columns] = sides;
        if rows != columns || rows == 0 || first == 0 || second == 0 {
            return Err(format!("has weights of shape {shape:?}, expected a square kernel"));
        }
        if both(node, "kernel_shape", rows)? != rows {
            return Err("has another kernel_shape than its weights".into());
        }
        match node.int("group")?.unwrap_or(1) {
            1 => Ok(sides),
            groups => Err(format!("has group={groups}, and convolutions here have one group")),
        }
    }

    pub(super) fn convolution(&mut self, node: &'a Node) -> Result<Value, String> {
        node.has_only(&["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"])?;
        let [outputs, inputs, side, _] = self.kernel(node)?;
        let (apart, stride) = (both(node, "dilations", 1)?, both(node, "strides", 1)?);
        let wide = apart.checked_mul(side - 1).and_then(|wide| wide.checked_add(1));
        let Some(wide) = wide.filter(|wide| *wide <= MOST_KERNEL && apart > 0) else {
            let text = format!(
                "has a kernel of {side} pixels, {apart} apart: at most {MOST_KERNEL} pixels are read"
            );
            return Err(text);
        };
        let (parts, more) = self.value(node, 0)?.parts().map_err(|v| format!("reads {v}"))?;
        let (before, behind) = zeros(node, wide, stride, more)?;
        let all = before + behind;
        if stride == 0 || all >= wide || wide - all > stride || before >= wide {
            return Err(format!(
                "has {before} zeros before its map and {behind} behind it, expected together {} to {}, which leave 1/{} \
                 of its size",
                wide.saturating_sub(stride),
                wide - 1,
                stride.max(1)
            ));
        }
        if stride == 1 && wide.is_multiple_of(2) {
            return Err(format!(
                "has a kernel of {wide} pixels, expected an odd one where the stride is 1"
            ));
        }
        let sizes = [outputs, inputs, wide, wide];
        self.spend(sizes.iter().try_fold(1usize, |n, side| n.checked_mul(*side)), outputs)?;
        let weights = self.numbers(node, 1, &[outputs, inputs, side, side])?;
        let bias = match self.optional(node, 2) {
            Some(_) => self.numbers(node, 2, &[outputs])?,
            None => vec![0.0; outputs],
        };
        let mut layer = Layer { shape: vec![outputs, inputs, side, side], weights, bias };
        if apart > 1 {
            layer = layer.spread(apart);
        }
        let from = self.read_by(&mut layer, parts)?;
        Ok(self.push(Built {
            node: node.name.clone(),
            from,
            layer,
            is_transposed: false,
            stride,
            pad: before,
            added: Vec::new(),
            activation: false,
            shuffle: None,
        }))
    }

    /// What the layer reads, the noise last; scales and order go into its weights.
    fn read_by(&mut self, layer: &mut Layer, parts: Vec<Part>) -> Result<Vec<Part>, String> {
        let counts: Vec<usize> = parts.iter().map(|part| self.channels(part)).collect();
        let inputs = layer.shape[1];
        if counts.iter().sum::<usize>() != inputs {
            return Err(format!(
                "takes {inputs} channels, and what it reads has {}",
                counts.iter().sum::<usize>()
            ));
        }
        for part in &parts {
            let blocks = match part {
                Part::Blocks { size, .. } => Some(*size),
                Part::Image { .. } => None,
                _ => continue,
            };
            let first = self.blocks.is_none() && !self.reads_pixels;
            if !first && self.blocks != blocks {
                return Err("reads the image in other blocks than another node".into());
            }
            (self.blocks, self.reads_pixels) = (blocks, blocks.is_none());
        }
        let is_noise = |part: &Part| matches!(part, Part::Noise { .. });
        if parts.iter().filter(|part| is_noise(part)).count() > 1 {
            return Err("reads the noise level twice".into());
        }
        // Where each part's channels begin.
        let begins = |at: usize| counts[..at].iter().sum::<usize>();
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|at| is_noise(&parts[*at]));
        let channels: Vec<(usize, f64)> = order
            .iter()
            .flat_map(|&at| (0..counts[at]).map(move |c| (at, c)))
            .map(|(at, c)| (begins(at) + c, parts[at].scale()))
            .collect();
        let taps = layer.shape[2] * layer.shape[3];
        let found = layer.weights.clone();
        for (i, weight) in layer.weights.iter_mut().enumerate() {
            let (row, tap) = (i / taps, i % taps);
            let (channel, scale) = channels[row % inputs];
            *weight =
                (f64::from(found[(row / inputs * inputs + channel) * taps + tap]) * scale) as f32;
        }
        Ok(order.into_iter().map(|at| parts[at]).collect())
    }

    fn push(&mut self, built: Built) -> Value {
        self.layers.push(built);
        Part::Map(self.layers.len() - 1).into()
    }

    /// A convolution of one pixel that gives what a layer gives, and another's map added: sums that no convolution
    /// is the last to make.
    pub(super) fn copy(&mut self, layer: usize, added: Option<usize>) -> Result<usize, String> {
        let channels = self.layers[layer].channels();
        self.spend(channels.checked_mul(channels), channels)?;
        let mut weights = vec![0.0; channels * channels];
        (0..channels).for_each(|c| weights[c * channels + c] = 1.0);
        let made =
            Layer { shape: vec![channels, channels, 1, 1], weights, bias: vec![0.0; channels] };
        self.layers.push(Built {
            node: self.layers[layer].node.clone(),
            from: vec![Part::Map(layer)],
            layer: made,
            is_transposed: false,
            stride: 1,
            pad: 0,
            added: added.into_iter().collect(),
            activation: false,
            shuffle: None,
        });
        Ok(self.layers.len() - 1)
    }

    pub(super) fn transposed(&mut self, node: &'a Node) -> Result<Value, String> {
        node.has_only(&[
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "output_padding",
            "pads",
            "strides",
        ])?;
        let [inputs, outputs, side, _] = self.kernel(node)?;
        let (apart, stride) = (both(node, "dilations", 1)?, both(node, "strides", 1)?);
        let mode = node.word("auto_pad")?.unwrap_or("NOTSET".into());
        if apart != 1 || mode != "NOTSET" {
            return Err(format!(
                "has dilations={apart} and auto_pad={mode}, expected 1 and NOTSET"
            ));
        }
        if stride < 2 || side < stride || side > MOST_KERNEL {
            return Err(format!(
                "has a kernel of {side} and a stride of {stride}, expected a stride of 2 or more and a kernel of that to \
                 {MOST_KERNEL}"
            ));
        }
        let (before, behind) = around(pads(node)?)?;
        let more = both(node, "output_padding", 0)?;
        let cut = (side - stride).div_ceil(2);
        if before != cut || side + more != stride + before + behind {
            return Err(format!(
                "has pads={before},{behind} and output_padding={more}, expected {cut} before the map and {stride} times its \
                 size"
            ));
        }
        let parts = match self.value(node, 0)? {
            Value::One(part @ Part::Map(_)) => vec![part],
            Value::Beside(parts) if parts.iter().all(|part| matches!(part, Part::Map(_))) => parts,
            value => return Err(format!("reads {value}, expected what convolutions gave")),
        };
        let found: usize = parts.iter().map(|part| self.channels(part)).sum();
        if found != inputs {
            return Err(format!("takes {inputs} channels, and what it reads has {found}"));
        }
        let shape = [inputs, outputs, side, side];
        self.spend(shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side)), outputs)?;
        let weights = self.numbers(node, 1, &shape)?;
        let bias = match self.optional(node, 2) {
            Some(_) => self.numbers(node, 2, &[outputs])?,
            None => vec![0.0; outputs],
        };
        Ok(self.push(Built {
            node: node.name.clone(),
            from: parts,
            layer: Layer { shape: shape.to_vec(), weights, bias },
            is_transposed: true,
            stride,
            pad: 0,
            added: Vec::new(),
            activation: false,
            shuffle: None,
        }))
    }

    pub(super) fn normalisation(&mut self, node: &'a Node) -> Result<Value, String> {
        node.has_only(&["epsilon", "momentum", "training_mode", "spatial"])?;
        // Before operators 14 more outputs than one say that statistics are those of the image.
        let trains = node.outputs.iter().skip(1).any(|output| !output.is_empty());
        if trains
            || node.int("training_mode")?.unwrap_or(0) != 0
            || node.int("spatial")?.unwrap_or(1) != 1
        {
            return Err("normalises by the image itself".into());
        }
        let at = self.changes(node, 0)?;
        if !self.layers[at].is_linear() {
            return Err(
                "does not follow a convolution right away, so it cannot be merged into one".into(),
            );
        }
        let outputs = [self.layers[at].outputs()];
        let part = |i: usize| self.numbers(node, i, &outputs);
        let (gain, shift, mean, variance) = (part(1)?, part(2)?, part(3)?, part(4)?);
        if let Some(variance) = variance.iter().find(|variance| **variance < 0.0) {
            return Err(format!("has a variance of {variance}"));
        }
        let epsilon = f64::from(node.float("epsilon")?.unwrap_or(1e-5));
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return Err(format!("has epsilon={epsilon}"));
        }
        let factor = |o: usize| f64::from(gain[o]) / (f64::from(variance[o]) + epsilon).sqrt();
        if let Some(o) = (0..outputs[0]).find(|o| !factor(*o).is_finite()) {
            return Err(format!("divides by a variance of 0 at output {o}"));
        }
        let moved = |o: usize| f64::from(shift[o]) - f64::from(mean[o]) * factor(o);
        self.layers[at].fold(|o| (factor(o), moved(o)));
        Ok(Part::Map(at).into())
    }
}
