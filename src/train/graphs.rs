//! Random networks for tests: maps of several sizes that are read side by side, added and shuffled.

use super::normal::SplitMix;
use super::{Noise, Recipe, tests};
use crate::model::{Conv, Cut, Layer, LayerFrom, Normalisation};

/// A map that is made.
#[derive(Clone)]
struct Made {
    name: String,
    /// How many times coarser than the predicted patches.
    scale: usize,
    channels: usize,
    is_read: bool,
}

struct Maker {
    rng: SplitMix,
    activation: Layer,
    layers: Vec<Layer>,
    maps: Vec<Made>,
}

/// A network that differs with the seed, on patches of 16x16.
pub(super) fn random(seed: u64) -> Recipe {
    let mut rng = SplitMix::at(seed, 1, 1);
    let block = 1 + rng.below(2);
    let activation = if rng.below(2) == 0 { Layer::Relu } else { Layer::Tanh };
    let blocks = (block > 1).then_some(Layer::Blocks { size: block });
    let mut maker =
        Maker { rng, activation, layers: blocks.into_iter().collect(), maps: Vec::new() };
    let given = ["image", "noise"].map(|name| LayerFrom::Named(name.into()));
    maker.convolution(given.to_vec(), 1, false);
    for _ in 0..2 + maker.rng.below(4) {
        maker.any();
    }
    maker.finish(block * block);
    let residual = maker.rng.below(2) == 0;
    let mut layers = maker.layers;
    layers.extend(residual.then_some(Layer::Residual));
    let noise = Noise { lowest: 10.0, highest: 40.0 };
    let units = if seed.is_multiple_of(2) { Normalisation::UNIT } else { Normalisation::BURGER };
    Recipe {
        layers,
        units,
        noise,
        bound: None,
        patch: 16,
        batch: 3,
        average: 0.0,
        ..tests::recipe()
    }
}

impl Maker {
    /// A convolution that makes a map, with its activation or without, and perhaps finer than its rows.
    fn convolution(&mut self, from: Vec<LayerFrom>, scale: usize, finer: bool) {
        let channels = 1 + self.rng.below(3);
        let name = format!("m{}", self.maps.len());
        let outputs = if finer { channels * scale * scale } else { channels };
        let conv = Conv { from, name: Some(name.clone()), ..Conv::new(outputs, 3) };
        self.layers.push(Layer::Conv2d(conv));
        let added = self.maps.iter_mut().filter(|m| (m.scale, m.channels) == (scale, outputs));
        let added: Vec<&mut Made> = added.take(self.rng.below(3)).collect();
        if !added.is_empty() {
            let from = added.iter().map(|map| map.name.clone()).collect();
            added.into_iter().for_each(|map| map.is_read = true);
            self.layers.push(Layer::Add { from });
        }
        if self.maps.is_empty() || self.rng.below(4) > 0 {
            self.layers.push(self.activation.clone());
        }
        if finer && scale > 1 {
            self.layers.push(Layer::Shuffle { factor: scale });
        }
        let scale = if finer { 1 } else { scale };
        self.maps.push(Made { name, scale, channels, is_read: false });
    }

    /// One that reads some of the maps.
    fn any(&mut self) {
        let first = self.rng.below(self.maps.len());
        let scale = (self.maps[first].scale * (1 + self.rng.below(2))).min(4);
        let mut from = Vec::new();
        for i in 0..self.maps.len() {
            if i == first || (self.rng.below(2) == 0 && scale.is_multiple_of(self.maps[i].scale)) {
                from.push(self.cut(i, scale));
            }
        }
        if self.rng.below(3) == 0 {
            let stride = if scale > 1 { 1 + self.rng.below(2) } else { 1 };
            let kernel = if stride == 1 { 1 } else { 2 };
            from.push(LayerFrom::Cut(Cut { map: "noise".into(), kernel, stride, pad: None }));
        }
        self.convolution(from, scale, false);
    }

    /// How a map is read for rows of a coarser one.
    fn cut(&mut self, map: usize, scale: usize) -> LayerFrom {
        let map = &mut self.maps[map];
        map.is_read = true;
        let stride = scale / map.scale;
        let kernel = if stride == 1 { 3 } else { stride + self.rng.below(2) };
        LayerFrom::Cut(Cut { map: map.name.clone(), kernel, stride, pad: None })
    }

    /// Brings what nobody reads back to the finest map, and says the pixels of each place.
    fn finish(&mut self, outputs: usize) {
        while let Some(i) = self.maps.iter().position(|m| !m.is_read && m.scale > 1) {
            let scale = self.maps[i].scale;
            let from = vec![self.cut(i, scale)];
            self.convolution(from, scale, true);
        }
        let unread: Vec<usize> = (0..self.maps.len()).filter(|i| !self.maps[*i].is_read).collect();
        let from = unread.into_iter().map(|i| self.cut(i, 1)).collect();
        self.layers.push(Layer::Conv2d(Conv { from, ..Conv::new(outputs, 3) }));
    }
}

/// The layers with another activation.
pub(super) fn with(layers: &[Layer], activation: &Layer) -> Vec<Layer> {
    let other = |layer: &Layer| match layer.activation() {
        Some(_) => activation.clone(),
        None => layer.clone(),
    };
    layers.iter().map(other).collect()
}
