//! From a list of layers to ops, each with the layer that it comes from.

use super::layer::{Conv, From, IMAGE, Layer, NOISE};
use super::weights::{Arrangement, Weights};
use crate::network::{
    Border, Fold, Gather, LinearShape, Network, NetworkError, Op, Read, Source, gaussian_window,
};
use std::collections::HashMap;

/// The network that layers describe. What is wrong is said with the number of the layer, from 1.
pub(super) fn network(layers: &[Layer]) -> Result<Network<Weights, ()>, String> {
    let mut graph = Graph::default();
    for (layer, number) in layers.iter().zip(1..) {
        graph.number = number;
        graph.layer(layer).map_err(|e| format!("`layers`, entry {number}: {e}"))?;
    }
    graph.end_stage();
    let size = graph.frame.side();
    graph.push(Op::Fold(Fold { patch: size, window: gaussian_window(size) }));
    let Graph { ops, layers, .. } = graph;
    Network::new(ops).map_err(|e| match e {
        NetworkError::Op { op, reason } => match layers.get(op) {
            Some(number) => format!("`layers`, entry {number}: {reason}"),
            None => format!("`layers`: {reason}"),
        },
        other => other.to_string(),
    })
}

/// What the image is cut into.
#[derive(Clone, Copy, Default)]
enum Frame {
    #[default]
    Pixels,
    /// Of which so many a side are predicted.
    Patches(usize),
    Blocks(usize),
}

impl Frame {
    /// Side of what is predicted.
    fn side(self) -> usize {
        match self {
            Frame::Pixels => 1,
            Frame::Patches(output) => output,
            Frame::Blocks(size) => size,
        }
    }
}

#[derive(Default)]
struct Graph {
    ops: Vec<Op<Weights, ()>>,
    /// The layer of each op.
    layers: Vec<usize>,
    number: usize,
    frame: Frame,
    /// Maps by name.
    names: HashMap<String, usize>,
    /// Channels of the maps that are finished, behind the image.
    maps: Vec<usize>,
    /// What the stage has so far.
    features: usize,
    /// By how much the map of the stage is shuffled.
    factor: usize,
    stages: usize,
}

impl Graph {
    fn push(&mut self, op: Op<Weights, ()>) {
        self.ops.push(op);
        self.layers.push(self.number);
    }

    fn layer(&mut self, layer: &Layer) -> Result<(), String> {
        layer.problem()?;
        match layer {
            Layer::Patches { .. } | Layer::Blocks { .. } if !self.ops.is_empty() => {
                return Err("patches and blocks are of the image, and come first".into());
            }
            Layer::Patches { size, output, stride } => {
                let (size, output, stride) = (*size, *output, *stride);
                self.frame = Frame::Patches(output);
                let (pad, border) = ((size - output) / 2, Border::Reflect);
                self.begin(vec![Read::map(0, Gather { patch: size, stride, pad, border })]);
                self.features = size * size;
            }
            Layer::Blocks { size } => self.frame = Frame::Blocks(*size),
            Layer::Dense { outputs, .. } => {
                if self.ops.is_empty() {
                    return Err("a dense layer must follow patches or an activation".into());
                }
                self.linear(Weights::matrix(*outputs, self.features));
            }
            Layer::Conv2d(conv) => self.convolution(conv)?,
            Layer::ConvTranspose2d(conv) => self.transposed(conv)?,
            Layer::Shuffle { factor } if self.factor > 1 => {
                return Err(format!(
                    "the map is shuffled already; once more by {factor} it cannot be"
                ));
            }
            Layer::Shuffle { factor } => self.factor = *factor,
            Layer::Add { from } => {
                let find = |name: &String| match name.as_str() {
                    NOISE => Err(format!("`{NOISE}` cannot be added")),
                    name => self.map_named(name),
                };
                let maps = from.iter().map(find).collect::<Result<_, _>>()?;
                self.push(Op::Add(maps));
            }
            Layer::Tanh | Layer::Relu | Layer::LeakyRelu { .. } | Layer::Abs => {
                self.push(Op::Activation(()))
            }
            Layer::Residual => self.push(Op::Residual),
        }
        Ok(())
    }

    fn begin(&mut self, reads: Vec<Read>) {
        self.push(Op::Gather(reads));
        (self.stages, self.factor) = (self.stages + 1, 1);
    }

    fn linear(&mut self, weights: Weights) {
        self.features = weights.outputs();
        self.push(Op::Linear(weights));
    }

    /// Ends the stage that there is: its map has channels now.
    fn end_stage(&mut self) {
        if self.factor > 1 {
            self.push(Op::Shuffle(self.factor));
        }
        if self.stages > self.maps.len() {
            let square = self.factor.saturating_mul(self.factor).max(1);
            self.maps.push(self.features / square);
        }
        self.factor = 1;
    }

    fn map_named(&self, name: &str) -> Result<usize, String> {
        let known = match name {
            IMAGE => Some(0),
            name => self.names.get(name).copied(),
        };
        known
            .filter(|map| *map <= self.maps.len())
            .ok_or_else(|| format!("nothing before it is named `{name}`"))
    }

    /// What a convolution reads, with the channels of each.
    fn reads(&mut self, conv: &Conv) -> Result<Vec<(Read, usize)>, String> {
        self.end_stage();
        if let Some(name) = &conv.name {
            let map = self.maps.len() + 1;
            if self.names.insert(name.clone(), map).is_some() {
                return Err(format!("two layers are named `{name}`"));
            }
        }
        if conv.from.is_empty() {
            return Ok(vec![self.read(self.maps.len(), conv, None)?]);
        }
        let mut reads = Vec::new();
        for from in &conv.from {
            let name = from.name();
            if name == NOISE {
                let read = Read { from: Source::Plane, gather: conv.gather(Some(from)) };
                reads.push((read, 1));
                continue;
            }
            if reads.iter().any(|(read, _): &(Read, usize)| read.from == Source::Plane) {
                return Err(format!("`{NOISE}` must be the last in `from`"));
            }
            let number = self.map_named(name)?;
            reads.push(self.read(number, conv, Some(from))?);
        }
        Ok(reads)
    }

    fn read(
        &self,
        number: usize,
        conv: &Conv,
        from: Option<&From>,
    ) -> Result<(Read, usize), String> {
        let gather = conv.gather(from);
        if number > 0 {
            return Ok((Read::map(number, gather), self.maps[number - 1]));
        }
        match self.frame {
            Frame::Pixels => Ok((Read::map(0, gather), 1)),
            Frame::Blocks(size) if gather.stride == 1 => {
                let (patch, pad) = (gather.patch * size, gather.pad * size);
                let gather = Gather { patch, stride: size, pad, border: Border::Zero };
                Ok((Read::map(0, gather), size * size))
            }
            Frame::Blocks(_) => Err("blocks of the image are read with a stride of 1".into()),
            Frame::Patches(_) => {
                Err(format!("`{IMAGE}` is read as patches, by the dense layer behind them"))
            }
        }
    }

    fn convolution(&mut self, conv: &Conv) -> Result<(), String> {
        let reads = self.reads(conv)?;
        let parts: Vec<_> =
            reads.iter().map(|(read, channels)| self.part(read, *channels)).collect();
        self.begin(reads.into_iter().map(|(read, _)| read).collect());
        self.linear(Weights::convolution(conv.outputs, parts));
        Ok(())
    }

    /// Channels and kernel of a read, and of a block of the image its side, as an array has them.
    fn part(&self, read: &Read, channels: usize) -> (usize, usize, usize) {
        match (self.frame, read.from) {
            (Frame::Blocks(size), Source::Map(0)) => (channels, read.gather.patch / size, size),
            _ => (channels, read.gather.patch, 1),
        }
    }

    /// A transposed convolution as a convolution to the pixels of each block, and a shuffle.
    fn transposed(&mut self, conv: &Conv) -> Result<(), String> {
        let reads = self.reads(conv)?;
        let Conv { outputs, kernel, stride, .. } = *conv;
        let transposed = Arrangement::transposed(kernel, stride);
        let wide = Gather::convolution(transposed.side());
        let widen = |(read, _): &(Read, usize)| match read.from {
            Source::Plane => Err(format!("`{NOISE}` is read by no conv_transpose2d")),
            Source::Map(0) => Err(format!("`{IMAGE}` is read by no conv_transpose2d")),
            from => Ok(Read { from, gather: wide }),
        };
        let channels = reads.iter().map(|(_, channels)| *channels).collect();
        let reads = reads.iter().map(widen).collect::<Result<Vec<_>, _>>()?;
        self.begin(reads);
        self.linear(Weights::transposed(outputs, channels, transposed));
        self.factor = stride;
        Ok(())
    }
}
