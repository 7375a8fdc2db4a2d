//! Small random networks that are graphs: several reads, skips, strides, shuffles, maps without activation, a
//! plane of the noise level.

// Two kinds of tests have it as a module of their own.
#![allow(unreachable_pub)]

use ndarray::{Array1, Array2};
use ppdenoise::internals::model::Activation;
use ppdenoise::internals::model::{FloatLinear, FloatModel, Normalisation};
use ppdenoise_base::network::{
    Border, Continued, Fold, Gather, Network, Op, Read, Source, gaussian_window,
};
use ppdenoise_base::size::Size;

/// Numbers that have nothing to do with one another.
pub struct Numbers(pub u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        self.0 >> 33
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }

    /// Between -1 and 1.
    pub fn real(&mut self) -> f32 {
        self.next() as f32 / (1u64 << 30) as f32 - 1.0
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A map that was made.
#[derive(Clone, Copy)]
struct Made {
    channels: usize,
    scale: usize,
    used: bool,
}

struct Graph {
    numbers: Numbers,
    ops: Vec<Op<FloatLinear, ()>>,
    /// The image first.
    maps: Vec<Made>,
    /// How the image is read by a kernel of so many blocks, which are pixels if the side is 1.
    block: usize,
    plane: bool,
    linear: bool,
}

/// What a network may have.
#[derive(Clone, Copy, Debug, Default)]
pub struct May {
    /// Maps without activation.
    pub linear: bool,
    /// A plane of the noise level.
    pub plane: bool,
}

/// A random network of ReLUs whose calibration is of one image of noise.
pub fn random_graph(seed: u64, may: May) -> FloatModel {
    let mut numbers = Numbers(seed ^ 0x5eed);
    numbers.next();
    let block = if numbers.one_in(4) { 2 } else { 1 };
    let plane = may.plane && numbers.one_in(2);
    let maps = vec![Made { channels: block * block, scale: 1, used: true }];
    let mut graph = Graph { numbers, ops: Vec::new(), maps, block, plane, linear: may.linear };
    graph.stage(1, vec![0]);
    for _ in 0..1 + graph.numbers.below(4) {
        let scale = [1, 1, 2, 4][graph.numbers.below(4)];
        let suits = |map: &usize| scale % graph.maps[*map].scale == 0 && (*map > 0 || scale == 1);
        let mut from: Vec<usize> = (0..graph.maps.len()).filter(suits).collect();
        for _ in 0..from.len().saturating_sub(1 + graph.numbers.below(2)) {
            let at = graph.numbers.below(from.len());
            from.remove(at);
        }
        if from.is_empty() || from == [0] && graph.block == 2 {
            from = vec![1];
        }
        let scale = from.iter().map(|map| graph.maps[*map].scale).max().unwrap().max(scale);
        graph.stage(scale, from);
    }
    graph.finish()
}

impl Graph {
    fn gather(&mut self, map: usize, scale: usize) -> Gather {
        let stride = scale / self.maps[map].scale;
        if map == 0 && self.block > 1 {
            let kernel = [1, 3][self.numbers.below(2)];
            let (patch, pad) = (kernel * self.block, kernel / 2 * self.block);
            return Gather { patch, stride: self.block, pad, border: Border::Zero };
        }
        let kernel = match stride {
            1 => [1, 3, 3, 5][self.numbers.below(4)],
            _ => stride + self.numbers.below(2 + stride),
        };
        let gather = Gather::strided(kernel, stride);
        if self.numbers.one_in(4) {
            Gather { pad: self.numbers.below(kernel), ..gather }
        } else {
            gather
        }
    }

    fn linear_op(&mut self, inputs: usize, outputs: usize) {
        let (numbers, scale) = (&mut self.numbers, 1.5 / (inputs as f32).sqrt());
        let weights = Array2::from_shape_simple_fn((outputs, inputs), || scale * numbers.real());
        let bias = Array1::from_shape_simple_fn(outputs, || 0.1 * numbers.real());
        self.ops.push(Op::Linear(FloatLinear { weights, bias }));
    }

    /// Reads of maps, and sometimes of the plane; their features.
    fn reads(&mut self, scale: usize, from: &[usize]) -> usize {
        let (mut reads, mut features) = (Vec::new(), 0);
        for &map in from {
            let gather = self.gather(map, scale);
            let channels = if map == 0 { 1 } else { self.maps[map].channels };
            self.maps[map].used = true;
            features += gather.patch.pow(2) * channels;
            reads.push(Read::map(map, gather));
        }
        if self.plane && (self.ops.is_empty() || self.numbers.one_in(3)) {
            let gather = Gather::convolution([1, 3][self.numbers.below(2)]);
            features += gather.patch.pow(2);
            reads.push(Read { from: Source::Plane, gather });
        }
        self.ops.push(Op::Gather(reads));
        features
    }

    fn stage(&mut self, scale: usize, from: Vec<usize>) {
        let mut features = self.reads(scale, &from);
        if self.numbers.one_in(4) {
            let outputs = 1 + self.numbers.below(4);
            self.linear_op(features, outputs);
            self.ops.push(Op::Activation(()));
            features = outputs;
        }
        let shuffle = if scale > 1 && self.numbers.one_in(2) { 2 } else { 1 };
        let same = |map: &usize| *map > 0 && self.maps[*map].scale == scale;
        let added: Vec<usize> = (0..self.maps.len()).filter(same).collect();
        let mut channels = 1 + self.numbers.below(4);
        let mut add = Vec::new();
        if !added.is_empty() && shuffle == 1 && self.numbers.one_in(2) {
            add.push(added[self.numbers.below(added.len())]);
            channels = self.maps[add[0]].channels;
            let fits = |map: &usize| self.maps[*map].channels == channels && !add.contains(map);
            let more: Vec<usize> = added.iter().copied().filter(fits).take(1).collect();
            add.extend(more);
        }
        self.linear_op(features, channels * shuffle * shuffle);
        if !add.is_empty() {
            add.iter().for_each(|map| self.maps[*map].used = true);
            self.ops.push(Op::Add(add));
        }
        if !(self.linear && self.maps.len() > 1 && self.numbers.one_in(4)) {
            self.ops.push(Op::Activation(()));
        }
        if shuffle > 1 {
            self.ops.push(Op::Shuffle(shuffle));
        }
        self.maps.push(Made { channels, scale: scale / shuffle, used: false });
    }

    fn unused(&self) -> Vec<usize> {
        (1..self.maps.len()).filter(|map| !self.maps[*map].used).collect()
    }

    /// Brings what nobody read to the output.
    fn finish(mut self) -> FloatModel {
        let unused = self.unused();
        let coarsest = unused.iter().map(|map| self.maps[*map].scale).max().unwrap_or(1);
        if coarsest > 1 {
            let features = self.reads(coarsest, &unused);
            self.linear_op(features, 2 * coarsest * coarsest);
            self.ops.extend([Op::Activation(()), Op::Shuffle(coarsest)]);
            self.maps.push(Made { channels: 2, scale: 1, used: false });
        }
        let mut from = self.unused();
        if from.is_empty() {
            from.push(1);
        }
        let features = self.reads(1, &from);
        self.linear_op(features, self.block * self.block);
        if self.block == 1 && self.numbers.one_in(2) {
            self.ops.push(Op::Add(vec![0]));
        } else if self.numbers.one_in(2) {
            self.ops.push(Op::Residual);
        }
        let continued = match self.numbers.0 >> 40 & 1 {
            0 => Continued::Mirror,
            _ => Continued::Edge,
        };
        let window = gaussian_window(self.block);
        self.ops.push(Op::Fold(Fold { patch: self.block, window }));
        let mut model = FloatModel {
            network: Network::new(self.ops).unwrap().with_continued(continued),
            sigma: 50.0,
            units: Normalisation::UNIT,
            activation: Activation::Relu,
            extremes: None,
            piecewise: None,
            mean_shift: false,
        };
        let image: Vec<f32> = (0..23 * 18).map(|_| self.numbers.real()).collect();
        let plane = model.plane(model.sigma);
        model.extremes =
            Some(model.extremes_of(&image, Size::new(23, 18), plane, &mut |_| ()).unwrap());
        model
    }
}
