//! Channels scaled so that each uses its whole range.

use super::FloatModel;
use crate::network::{LinearShape, Network, Op, Source};

/// The smallest extreme of an output that is believed, against the largest of its layer.
const LEAST_EXTREME: f64 = 1.0 / 64.0;

impl FloatModel {
    /// The same model with every output behind a hidden linear op scaled so that `margin` times its
    /// extreme is `limit`, and every op that reads it scaled back: a ReLU, or what else is linear on either
    /// side of 0, commutes with positive factors, so the function is the same, and every channel uses its
    /// whole range. Channels that are added to one another have one factor, by the largest of their
    /// extremes; those that the image is added to have 1.
    ///
    /// `None` unless the model is calibrated and its activation commutes with positive factors.
    pub(in crate::model) fn equalised(&self, margin: f64, limit: f64) -> Option<FloatModel> {
        let extremes = self.extremes.as_ref()?;
        if !self.activation.rules().is_positively_homogeneous() {
            return None;
        }
        let mut channels = Channels::of(&self.network);
        let factors = channels.factors(extremes, margin, limit);
        let mut model = self.clone();
        let mut number = 0;
        model.network = self.network.map(
            |op, l| {
                let (scale, before) = (&factors[number], self.inputs_of(op, number, &factors, 1.0));
                number += 1;
                let mut l = l.clone();
                for ((output, input), w) in l.weights.indexed_iter_mut() {
                    *w = (f64::from(*w) * scale[output] / before[input]) as f32;
                }
                l.bias.iter_mut().zip(scale).for_each(|(b, s)| *b = (f64::from(*b) * s) as f32);
                l
            },
            |_, ()| (),
        );
        let scaled = extremes.iter().enumerate().map(|(i, layer)| {
            if channels.tied(i) { layer.clone() } else { vec![limit / margin; layer.len()] }
        });
        model.extremes = Some(scaled.collect());
        Some(model)
    }

    /// The largest magnitude behind each output of each linear op that calibrated ranges hold with this margin, in
    /// network units; none unless the model is calibrated.
    pub fn reaches(&self, margin: f64) -> Option<Vec<Vec<f64>>> {
        let extremes = self.extremes.as_ref()?;
        let is_homogeneous = self.activation.rules().is_positively_homogeneous();
        let mut channels = Channels::of(&self.network);
        let factors = channels.factors(extremes, margin, 1.0);
        let reach = |(number, factors): (usize, Vec<f64>)| {
            let largest = extremes[number].iter().copied().fold(0.0, f64::max);
            if is_homogeneous && !channels.tied(number) {
                factors.into_iter().map(|factor| 1.0 / factor).collect()
            } else {
                vec![margin * largest; factors.len()]
            }
        };
        Some(factors.into_iter().enumerate().map(reach).collect())
    }

    /// What there is of each input of linear op `op`, the one numbered `number`: `of` says it for the outputs of
    /// all linear ops, `given` for the image and the plane.
    pub(super) fn inputs_of<T: Copy>(
        &self,
        op: usize,
        number: usize,
        of: &[Vec<T>],
        given: T,
    ) -> Vec<T> {
        let stage = self.network.stage_of(op);
        if stage.first_linear() != op {
            return of[number - 1].clone();
        }
        let of_read = |(read, &channels): (&crate::network::Read, &usize)| {
            let of_channel = match read.from {
                Source::Map(0) | Source::Plane => vec![given; channels],
                Source::Map(map) => {
                    let (linear, square) = maker(&self.network, map);
                    of[linear].iter().step_by(square).copied().collect()
                }
            };
            // Channels are the fastest index of a patch.
            of_channel.repeat(read.gather.patch * read.gather.patch)
        };
        stage.reads.iter().zip(&stage.channels).flat_map(of_read).collect()
    }
}

/// The largest value that a channel's range of 1 is for, where inputs have so many units: less one and a little for
/// rounded weights.
pub(in crate::model) fn limit(units: f64) -> f64 {
    1.0 - 2.0 * 2.0 / units
}

/// The number of the linear op that makes map `map`, from 1 on, and how many of its outputs make a channel.
pub(super) fn maker<L: LinearShape>(network: &Network<L, ()>, map: usize) -> (usize, usize) {
    let stage = &network.stages()[map - 1];
    let linear = network.linears().take_while(|(op, _)| *op < stage.ops.end).count() - 1;
    (linear, stage.shuffle * stage.shuffle)
}

/// Which outputs of linear ops belong together, since they are added to one another or are pixels of one channel:
/// a forest whose roots are found by following `parents`.
pub(super) struct Channels {
    /// The node of each output of each linear op; node 0 is the image.
    pub(super) nodes: Vec<Vec<usize>>,
    parents: Vec<usize>,
}

impl Channels {
    pub(super) fn of<L: LinearShape>(network: &Network<L, ()>) -> Channels {
        let mut channels = Channels { nodes: Vec::new(), parents: vec![0] };
        let makers: Vec<_> = (1..network.maps().len()).map(|map| maker(network, map)).collect();
        for (number, (_, l)) in network.linears().enumerate() {
            let square = makers.iter().find(|(linear, _)| *linear == number).map_or(1, |m| m.1);
            let first = channels.parents.len();
            channels.nodes.push((0..l.outputs()).map(|output| first + output / square).collect());
            channels.parents.extend(first..first + l.outputs() / square);
        }
        let mut linear = None;
        for op in network.ops() {
            match op {
                Op::Linear(_) => linear = Some(linear.map_or(0, |number| number + 1)),
                Op::Add(maps) => {
                    let Some(linear) = linear else { continue };
                    for &map in maps {
                        for output in 0..channels.nodes[linear].len() {
                            let added = match map {
                                0 => 0,
                                map => {
                                    let (linear, square) = makers[map - 1];
                                    channels.nodes[linear][output * square]
                                }
                            };
                            channels.join(channels.nodes[linear][output], added);
                        }
                    }
                }
                _ => {}
            }
        }
        let last: Vec<usize> = channels.nodes.last().cloned().unwrap_or_default();
        last.into_iter().for_each(|node| channels.join(node, 0));
        channels
    }

    pub(super) fn root(&self, mut node: usize) -> usize {
        while self.parents[node] != node {
            node = self.parents[node];
        }
        node
    }

    /// One tree of two; the image stays a root.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }

    /// Whether the outputs of a linear op keep their scale.
    fn tied(&self, linear: usize) -> bool {
        self.nodes[linear].iter().any(|node| self.root(*node) == 0)
    }

    /// The factor of every output.
    fn factors(&mut self, extremes: &[Vec<f64>], margin: f64, limit: f64) -> Vec<Vec<f64>> {
        let mut largest = vec![0f64; self.parents.len()];
        for (nodes, layer) in self.nodes.iter().zip(extremes) {
            // An output that is hardly ever anything is not blown up to a full range.
            let least = LEAST_EXTREME * layer.iter().copied().fold(0.0, f64::max);
            for (node, extreme) in nodes.iter().zip(layer) {
                let root = self.root(*node);
                largest[root] = largest[root].max(extreme.max(least));
            }
        }
        let factor = |node: &usize| match self.root(*node) {
            0 => 1.0,
            root => limit / (margin * largest[root]),
        };
        self.nodes.iter().map(|nodes| nodes.iter().map(factor).collect()).collect()
    }
}
