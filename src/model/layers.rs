//! From a model back to the list of layers that describes it.

use super::description::{Conv, Cut, From, Layer, Weights};
use super::{Description, FloatModel, ModelError};
use crate::network::{Border, Gather, Network, Op, Read, Source, Stage};

impl FloatModel {
    /// The layers that a description lists. Maps are named where what follows is not all that reads them.
    pub fn layers(&self) -> Vec<Layer> {
        let network = &self.network;
        let mut layers = Vec::new();
        let blocks = network.gather().border == Border::Zero && network.gather().stride > 1;
        let size = network.gather().stride;
        layers.extend(blocks.then_some(Layer::Blocks { size }));
        for (number, stage) in network.stages().iter().enumerate() {
            for op in stage.ops.clone() {
                layers.extend(match &network.ops()[op] {
                    Op::Gather(_) => self.patches(number, stage),
                    Op::Linear(l) => Some(match self.patches(number, stage) {
                        None if op == stage.first_linear() => {
                            Layer::Conv2d(self.convolution(number, l.bias.len(), blocks))
                        }
                        _ => Layer::dense(l.bias.len()),
                    }),
                    Op::Add(maps) => {
                        let from = maps.iter().map(|map| name(*map)).collect();
                        Some(Layer::Add { from })
                    }
                    Op::Activation(()) => Some(self.activation.into()),
                    Op::Shuffle(factor) => Some(Layer::Shuffle { factor: *factor }),
                    Op::Residual => Some(Layer::Residual),
                    Op::Mean | Op::Fold(_) => None,
                });
            }
        }
        layers
    }

    /// Patches of the image, if that is what a stage reads.
    fn patches(&self, number: usize, stage: &Stage) -> Option<Layer> {
        let g = stage.reads[0].gather;
        let reads = number == 0 && g.border == Border::Reflect;
        reads.then(|| Layer::Patches { size: g.patch, output: g.inner(), stride: g.stride })
    }

    fn convolution(&self, number: usize, outputs: usize, blocks: bool) -> Conv {
        let stage = &self.network.stages()[number];
        let side = self.network.gather().stride;
        // The image's blocks are its pixels.
        let cut = |read: &Read| match read.from {
            Source::Map(0) if blocks => Gather {
                patch: read.gather.patch / side,
                stride: 1,
                pad: read.gather.pad / side,
                border: Border::Zero,
            },
            _ => read.gather,
        };
        let pad = |g: &Gather| (Gather::strided(g.patch, g.stride).pad != g.pad).then_some(g.pad);
        let own = cut(&stage.reads[0]);
        let from = |read: &Read| {
            let (map, gather) = (source(read.from), cut(read));
            if gather == own {
                From::Named(map)
            } else {
                From::Cut(Cut {
                    map,
                    kernel: gather.patch,
                    stride: gather.stride,
                    pad: pad(&gather),
                })
            }
        };
        let plain = matches!(stage.reads[..], [read] if read.from == Source::Map(number));
        let read = |stage: &Stage| stage.maps().any(|map| map == number + 1);
        let added = |op: &Op<_, _>| matches!(op, Op::Add(maps) if maps.contains(&(number + 1)));
        let later = &self.network.stages()[(number + 2).min(self.network.stages().len())..];
        let beside = |stage: &Stage| stage.reads.len() > 1 && read(stage);
        let named = later.iter().any(read)
            || self.network.stages().get(number + 1).is_some_and(beside)
            || self.network.ops().iter().any(added);
        Conv {
            stride: own.stride,
            pad: pad(&own),
            from: if plain { Vec::new() } else { stage.reads.iter().map(from).collect() },
            name: named.then(|| name(number + 1)),
            ..Conv::new(outputs, own.patch)
        }
    }
}

fn source(source: Source) -> String {
    match source {
        Source::Map(map) => name(map),
        Source::Plane => "noise".into(),
    }
}

fn name(map: usize) -> String {
    if map == 0 { "image".into() } else { format!("map{map}") }
}

/// The arrays that a model's weights are stored in.
///
/// # Errors
/// [`ModelError::Description`] for a network that no list of layers says.
pub(super) fn described(model: &FloatModel) -> Result<Network<Weights, ()>, ModelError> {
    let description = Description {
        layers: model.layers(),
        sigma: model.sigma,
        units: model.units,
        mean_shift: false,
        pixel_order: None,
        piecewise: None,
        extremes: None,
        continued: model.network.continued(),
    };
    let network = description.network()?;
    let reads = |stages: &[Stage]| -> Vec<_> {
        stages.iter().map(|stage| (stage.reads.clone(), stage.shuffle)).collect()
    };
    if reads(network.stages()) == reads(model.network.stages()) {
        Ok(network)
    } else {
        Err(ModelError::Description("no list of layers says what this network is".into()))
    }
}
