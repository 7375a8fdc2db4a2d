//! What a network's layers make together: a chain over the image, a chain beside which a plane of the noise stands, or
//! a U-Net of residual blocks, known by its names.

use super::layer::Parts;
use super::names::Role;
use crate::model::activation::Activation;
use crate::model::description::{Conv, From, Layer as Described};
use crate::model::load::Tensor;
use crate::network::{Continued, SQUARE};
use std::collections::BTreeMap;
use std::ops::Range;

/// How the layers of a file read one another.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// Each reads the one before it, the first the image.
    Chain,
    /// The first reads the image and the noise level (FDnCNN).
    Plane,
    /// The first reads the image in blocks of 2x2 pixels and the noise level (FFDNet).
    Blocks,
    /// The first reads a colour picture in blocks of so many pixels a side, and perhaps the noise level: KAIR's FFDNet
    /// for colour, and DnCNN.
    Colour { side: usize, told: bool },
    /// As a list says.
    List(Listed),
}

/// A list of layers, in which what is none is the activation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    pub(super) layers: Vec<Option<Described>>,
    /// Which layers read the image or its noise.
    pub(super) outside: Vec<Outside>,
    pub(super) continued: Continued,
}

/// Channels that a layer with weights, by its number from 0, reads of the image or of its noise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outside {
    pub(super) layer: usize,
    pub(super) channels: Range<usize>,
}

/// The names of what is read from outside.
fn outside() -> Vec<From> {
    ["image", "noise"].map(|name| From::Named(name.into())).into()
}

impl Form {
    /// By the channels that the first layer of a chain of convolutions takes and the last gives.
    pub(super) fn of_channels(inputs: usize, outputs: usize) -> Form {
        match (inputs, outputs) {
            (2, 1) => Form::Plane,
            (5, 4) => Form::Blocks,
            (3 | 4, 3) => Form::Colour { side: 1, told: inputs == 4 },
            (12 | 13, 12) => Form::Colour { side: 2, told: inputs == 13 },
            _ => Form::Chain,
        }
    }

    /// Whether it is told the noise.
    pub(super) fn reads_noise(&self) -> bool {
        match self {
            Form::Chain => false,
            Form::Plane | Form::Blocks => true,
            Form::Colour { told, .. } => *told,
            Form::List(list) => list.layers.iter().flatten().any(|layer| match layer {
                Described::Conv2d(conv) => conv.from.iter().any(|from| from.name() == "noise"),
                _ => false,
            }),
        }
    }

    /// How its makers continue an image whose sides do not fit: KAIR and deepinv by its last row and column. A graph
    /// does not say.
    pub(super) fn continued(&self) -> Continued {
        match self {
            Form::Blocks => Continued::Edge,
            Form::Colour { .. } => Continued::Mosaic,
            Form::List(list) => list.continued,
            Form::Chain | Form::Plane => Continued::Mirror,
        }
    }

    /// Whether a layer reads the image or its noise in this channel.
    pub(super) fn is_outside(&self, layer: usize, channel: usize) -> bool {
        match self {
            Form::List(list) => {
                list.outside.iter().any(|o| o.layer == layer && o.channels.contains(&channel))
            }
            _ => layer == 0,
        }
    }

    /// The layers as a description lists them, of convolutions (outputs, kernel) in a row.
    pub(super) fn convolutions(
        &self,
        layers: impl ExactSizeIterator<Item = (usize, usize)>,
        activation: Activation,
    ) -> Vec<Described> {
        if let Form::List(list) = self {
            let layer = |layer: &Option<Described>| layer.clone().unwrap_or(activation.into());
            return list.layers.iter().map(layer).collect();
        }
        let mut list = Vec::new();
        list.extend(match self {
            Form::Blocks => Some(Described::Blocks { size: 2 }),
            Form::Colour { side, .. } => Some(Described::Blocks { size: SQUARE * side }),
            _ => None,
        });
        let last = layers.len();
        for ((outputs, kernel), number) in layers.zip(1..) {
            let from = if number == 1 && self.reads_noise() { outside() } else { Vec::new() };
            list.push(Described::Conv2d(Conv { from, ..Conv::new(outputs, kernel) }));
            list.extend((number < last).then(|| activation.into()));
        }
        list
    }
}

/// A network of KAIR's class UNetRes, which DRUNet is, here and in deepinv: the modules with weights in their order,
/// and its layers. Nothing for other names or shapes.
///
/// Each scale is residual blocks (a convolution, an activation, a convolution, added to what came in), then a
/// convolution of stride 2; on the way back a transposed one, then blocks, and what the scale had is added.
pub(super) fn unet_res(
    modules: &BTreeMap<String, Parts>,
) -> Option<(Vec<String>, Vec<Option<Described>>)> {
    let scales =
        (1..).take_while(|n| modules.keys().any(|m| m.starts_with(&format!("m_down{n}.")))).count();
    let mut list = Lister { modules, order: Vec::new(), layers: Vec::new(), named: 0 };
    if scales == 0 {
        return None;
    }
    let mut skips = vec![list.convolution("m_head", 1, outside(), None)?];
    let mut here = skips[0].clone();
    for scale in 1..=scales {
        let room = format!("m_down{scale}");
        let blocks = list.blocks(&room, 0);
        here = list.residual(&room, 0..blocks, here, None)?;
        let down = format!("{room}.{blocks}");
        here = list.convolution(&down, 2, vec![From::Named(here)], None)?;
        skips.push(here.clone());
    }
    let blocks = list.blocks("m_body", 0);
    here = list.residual("m_body", 0..blocks, here, skips.pop())?;
    for scale in (1..=scales).rev() {
        let room = format!("m_up{scale}");
        here = list.transposed(&format!("{room}.0"), here)?;
        let blocks = list.blocks(&room, 1);
        here = list.residual(&room, 1..1 + blocks, here, skips.pop())?;
    }
    list.convolution("m_tail", 1, vec![From::Named(here)], None)?;
    // Whatever else there is would be left out.
    (list.order.len() == modules.len()).then_some((list.order, list.layers))
}

struct Lister<'a> {
    modules: &'a BTreeMap<String, Parts>,
    order: Vec<String>,
    layers: Vec<Option<Described>>,
    named: usize,
}

impl Lister<'_> {
    fn shape(&self, module: &str) -> Option<[usize; 4]> {
        let weight: &Tensor = self.modules.get(module)?.get(&Role::Weight)?;
        let shape: [usize; 4] = weight.shape[..].try_into().ok()?;
        (!shape.contains(&0) && shape[2] == shape[3]).then_some(shape)
    }

    /// How many residual blocks a room has from this number on.
    fn blocks(&self, room: &str, first: usize) -> usize {
        let is_there = |n: &usize| self.modules.contains_key(&format!("{room}.{n}.res.0"));
        (first..).take_while(is_there).count()
    }

    fn name(&mut self) -> String {
        self.named += 1;
        format!("map{}", self.named)
    }

    /// A convolution, of whose stride its kernel is one too unless that is 1; gives the name of its map.
    fn convolution(
        &mut self,
        module: &str,
        stride: usize,
        from: Vec<From>,
        added: Option<Vec<String>>,
    ) -> Option<String> {
        let [outputs, _, kernel, _] = self.shape(module)?;
        if stride > 1 && kernel != stride {
            return None;
        }
        let name = self.name();
        let conv = Conv { stride, from, name: Some(name.clone()), ..Conv::new(outputs, kernel) };
        self.layers.push(Some(Described::Conv2d(conv)));
        self.layers.extend(added.map(|from| Some(Described::Add { from })));
        self.order.push(module.into());
        Some(name)
    }

    fn transposed(&mut self, module: &str, from: String) -> Option<String> {
        let [_, outputs, kernel, _] = self.shape(module)?;
        if kernel != 2 {
            return None;
        }
        let (name, from) = (self.name(), vec![From::Named(from)]);
        let conv = Conv { stride: 2, from, name: Some(name.clone()), ..Conv::new(outputs, kernel) };
        self.layers.push(Some(Described::ConvTranspose2d(conv)));
        self.order.push(module.into());
        Some(name)
    }

    /// Residual blocks; `skipped` is added behind the last.
    fn residual(
        &mut self,
        room: &str,
        blocks: std::ops::Range<usize>,
        mut here: String,
        skipped: Option<String>,
    ) -> Option<String> {
        let last = blocks.clone().last()?;
        for block in blocks {
            let inner = self.convolution(
                &format!("{room}.{block}.res.0"),
                1,
                vec![From::Named(here.clone())],
                None,
            )?;
            self.layers.push(None);
            let more = skipped.iter().filter(|_| block == last).cloned();
            let added = std::iter::once(here).chain(more).collect();
            here = self.convolution(
                &format!("{room}.{block}.res.2"),
                1,
                vec![From::Named(inner)],
                Some(added),
            )?;
        }
        Some(here)
    }
}
