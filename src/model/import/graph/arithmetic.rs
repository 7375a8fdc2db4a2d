//! Sums, products by constants, maps side by side, shuffles and zeros around maps.

use super::value::{Part, Value};
use super::{Builder, Predicts, finite};
use crate::model::onnx::{Constant, Node};
use crate::network::MAX_SCALE;

/// Maps side by side that a convolution may read: each time they are put beside themselves they are twice as many.
const MOST_PARTS: usize = 512;

/// A number for each of `outputs` channels, of a constant that is one number or lies along the channels.
fn along_channels(name: &str, constant: &Constant, outputs: usize) -> Result<Vec<f64>, String> {
    let one = constant.count() == 1;
    let rank = constant.shape.len();
    let others = |at: usize, side: &usize| at + 3 == rank || *side == 1;
    let channels = (3..=4).contains(&rank)
        && constant.shape[rank - 3] == outputs
        && constant.shape.iter().enumerate().all(|(at, side)| others(at, side));
    if !one && !channels {
        return Err(format!(
            "reads the constant `{name}` of shape {:?}, expected one number, or one for each of {outputs} channels",
            constant.shape
        ));
    }
    let values = finite(name, constant)?;
    Ok((0..outputs).map(|o| f64::from(values[if one { 0 } else { o }])).collect())
}

impl<'a> Builder<'a> {
    pub(super) fn arithmetic(&mut self, node: &'a Node) -> Result<Value, String> {
        node.has_only(&[])?;
        let [first, second] = [self.value(node, 0)?, self.value(node, 1)?];
        let op = node.op.as_str();
        match (first, second) {
            (Value::Constant(_), Value::Constant(_)) => {
                Err("is of two constants; simplify the file first (onnxsim)".into())
            }
            (value, Value::Constant(constant)) => self.by_constant(node, 0, value, &constant, op),
            (Value::Constant(constant), value) if op == "Add" || op == "Mul" => {
                self.by_constant(node, 1, value, &constant, op)
            }
            (Value::One(Part::Image { scale: 1.0 }), Value::One(Part::Map(layer)))
                if op == "Sub" =>
            {
                Ok(Value::Picture { layer, predicts: Predicts::Noise })
            }
            (Value::One(Part::Image { scale: 1.0 }), Value::One(Part::Map(layer)))
            | (Value::One(Part::Map(layer)), Value::One(Part::Image { scale: 1.0 }))
                if op == "Add" =>
            {
                Ok(Value::Picture { layer, predicts: Predicts::Correction })
            }
            (Value::One(Part::Map(a)), Value::One(Part::Map(b))) if op == "Add" => {
                self.sum(node, a, b)
            }
            (first, second) => {
                Err(format!("is of {first} and {second}, which no network here has"))
            }
        }
    }

    /// What a value, which is input `at` of the node, becomes with the other one, a constant.
    fn by_constant(
        &mut self,
        node: &'a Node,
        at: usize,
        value: Value,
        constant: &Constant,
        op: &str,
    ) -> Result<Value, String> {
        let name = &node.inputs[1 - at][..];
        let scales = op == "Mul" || op == "Div";
        let factor = |v: f64| if op == "Div" { 1.0 / v } else { v };
        let outside = |scale: f64| -> Result<f64, String> {
            if !scales {
                return Err("moves the grey levels that the network takes: zeros around maps would be others".into());
            }
            let by = scale * factor(along_channels(name, constant, 1)?[0]);
            if by.is_finite() && by != 0.0 && constant.count() == 1 {
                Ok(by)
            } else {
                Err(format!("multiplies its input by {by}"))
            }
        };
        match value {
            Value::One(Part::Image { scale }) => Ok(Part::Image { scale: outside(scale)? }.into()),
            Value::One(Part::Noise { scale }) => Ok(Part::Noise { scale: outside(scale)? }.into()),
            Value::One(Part::Map(_)) => {
                let layer = self.changes(node, at)?;
                if !self.layers[layer].is_linear() {
                    return Err(
                        "does not follow a convolution right away, so it cannot be merged into one"
                            .into(),
                    );
                }
                let values = along_channels(name, constant, self.layers[layer].outputs())?;
                let sign = if op == "Sub" { -1.0 } else { 1.0 };
                let by = |o: usize| {
                    if scales { (factor(values[o]), 0.0) } else { (1.0, sign * values[o]) }
                };
                if let Some(o) = (0..values.len()).find(|o| !by(*o).0.is_finite()) {
                    return Err(format!("divides by {} at output {o}", values[o]));
                }
                self.layers[layer].fold(by);
                Ok(Part::Map(layer).into())
            }
            value => Err(format!("is of {value} and a constant, which no network here has")),
        }
    }

    /// The sum of two maps: the convolution that came last adds the other, if nobody else reads what it gave.
    fn sum(&mut self, node: &'a Node, a: usize, b: usize) -> Result<Value, String> {
        let channels = [a, b].map(|layer| self.layers[layer].channels());
        if channels[0] != channels[1] {
            return Err(format!("adds maps of {} and {} channels", channels[0], channels[1]));
        }
        let ((late, at), early) = if a > b { ((a, 0), b) } else { ((b, 1), a) };
        if a != b && self.layers[late].takes_sums() && self.may_change(node, at, late) {
            self.layers[late].added.push(early);
            return Ok(Part::Map(late).into());
        }
        Ok(Part::Map(self.copy(late, Some(early))?).into())
    }

    pub(super) fn beside(&mut self, node: &'a Node) -> Result<Value, String> {
        node.has_only(&["axis"])?;
        match node.int("axis")? {
            Some(1 | -3) => {}
            axis => return Err(format!("has axis={axis:?}, expected 1, the channels")),
        }
        if node.inputs.len() == 1 {
            return self.same(node);
        }
        let mut all = Vec::new();
        for at in 0..node.inputs.len() {
            match self.value(node, at)?.parts() {
                Ok((parts, [0, 0, 0, 0])) if all.len() + parts.len() > MOST_PARTS => {
                    return Err(format!("puts more than {MOST_PARTS} maps side by side"));
                }
                Ok((parts, [0, 0, 0, 0])) => all.extend(parts),
                Ok(_) => return Err("is of a map with zeros around it".into()),
                Err(value) => {
                    return Err(format!("is of {value}, which no convolution here reads"));
                }
            }
        }
        if all.is_empty() { Err("is of nothing".into()) } else { Ok(Value::Beside(all)) }
    }

    pub(super) fn shuffled(&mut self, node: &'a Node) -> Result<Value, String> {
        let factor = blocksize(node, &["blocksize", "mode"])?;
        let at = self.changes(node, 0)?;
        let built = &mut self.layers[at];
        let (outputs, square) = (built.outputs(), factor * factor);
        if built.shuffle.is_some() || built.is_transposed || !outputs.is_multiple_of(square) {
            return Err(format!("does not follow a convolution of a multiple of {square} outputs"));
        }
        let mode = node.word("mode")?.unwrap_or("DCR".into());
        let channels = outputs / square;
        match mode.as_str() {
            "CRD" => {}
            "DCR" if channels == 1 => {}
            // There channel c of pixel p of a block is output p C + c, here it is c r^2 + p.
            "DCR" if built.added.is_empty() => {
                built.reorder(|o| o % square * channels + o / square);
            }
            _ => return Err(format!("has mode={mode} behind a sum, expected CRD")),
        }
        built.shuffle = Some(factor);
        Ok(Part::Map(at).into())
    }

    pub(super) fn in_blocks(&mut self, node: &'a Node) -> Result<Value, String> {
        let size = blocksize(node, &["blocksize"])?;
        match self.value(node, 0)? {
            Value::One(Part::Image { scale }) => Ok(Part::Blocks { size, scale }.into()),
            value => Err(format!("is of {value}, expected the image")),
        }
    }

    /// Zeros around a map, which a convolution reads then.
    pub(super) fn padded(&mut self, node: &'a Node) -> Result<Value, String> {
        node.has_only(&["mode", "pads", "value"])?;
        let pads = match node.ints("pads")? {
            Some(pads) => pads.to_vec(),
            None => {
                self.constant(node, 1)?.numbers().map_err(|e| format!("reads pads that {e}"))?
            }
        };
        let axes = match self.optional(node, 3) {
            Some(_) => {
                self.constant(node, 3)?.numbers().map_err(|e| format!("reads axes that {e}"))?
            }
            None => vec![0, 1, 2, 3],
        };
        if pads.len() != 2 * axes.len() {
            return Err(format!("has {} pads for {} axes", pads.len(), axes.len()));
        }
        if pads.iter().all(|pad| *pad == 0) {
            return self.same(node);
        }
        let mode = node.word("mode")?.unwrap_or("constant".into());
        let number = match self.optional(node, 2) {
            Some(name) => finite(name, &self.constant(node, 2)?)?,
            None => vec![node.float("value")?.unwrap_or(0.0)],
        };
        if mode != "constant" || number.iter().any(|v| *v != 0.0) {
            return Err(format!(
                "has mode={mode} and pads of {number:?}, and only zeros are padded here"
            ));
        }
        let (parts, mut around) =
            self.value(node, 0)?.parts().map_err(|value| format!("is of {value}"))?;
        for (i, axis) in axes.iter().enumerate() {
            let both = [pads[i], pads[i + axes.len()]].map(|pad| usize::try_from(pad).ok());
            let [Some(before), Some(behind)] = both else {
                return Err(format!("has pads={pads:?}, which cut"));
            };
            match axis {
                2 | -2 => {
                    (around[0], around[2]) =
                        (around[0].saturating_add(before), around[2].saturating_add(behind))
                }
                3 | -1 => {
                    (around[1], around[3]) =
                        (around[1].saturating_add(before), around[3].saturating_add(behind))
                }
                _ if before == 0 && behind == 0 => {}
                _ => {
                    return Err(format!(
                        "has pads={pads:?}, expected zeros around rows and columns alone"
                    ));
                }
            }
        }
        Ok(Value::Padded(parts, around))
    }
}

fn blocksize(node: &Node, known: &[&str]) -> Result<usize, String> {
    node.has_only(known)?;
    let size = node.int("blocksize")?.unwrap_or(0);
    let size = usize::try_from(size).ok().filter(|size| (2..=MAX_SCALE).contains(size));
    size.ok_or_else(|| format!("has no blocksize of 2 to {MAX_SCALE}"))
}
