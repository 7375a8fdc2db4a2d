//! Published networks that are no chains over the image, of random weights, against their definitions in float64.

use super::*;
use crate::model::load::finite;
use crate::size::Size;
use std::collections::HashMap;

/// A map: its channels, each of `size` rows and columns.
#[derive(Clone)]
pub(super) struct Map {
    pub(super) size: Size,
    pub(super) channels: Vec<Vec<f64>>,
}

/// Arrays by name, with their shapes.
pub(super) struct Weights(pub(super) HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Weights {
    /// A convolution by its definition: zeros around a map for a stride of 1, no more than the map for others.
    fn convolution(&self, name: &str, map: &Map, stride: usize) -> Map {
        self.dilated(name, map, (stride, 1))
    }

    fn dilated(&self, name: &str, map: &Map, (stride, apart): (usize, usize)) -> Map {
        let (shape, weights) = &self.0[&format!("{name}.weight")];
        let bias = self.0.get(&format!("{name}.bias"));
        let (side, Size { height: h, width: w }) = (shape[2], map.size);
        let pad = if stride == 1 { side / 2 * apart } else { 0 };
        let size = Size::new(h / stride, w / stride);
        let mut channels = Vec::new();
        for o in 0..shape[0] {
            let first = bias.map_or(0.0, |(_, bias)| f64::from(bias[o]));
            let mut channel = vec![first; size.pixels()];
            for (p, sum) in channel.iter_mut().enumerate() {
                for (i, tap) in (0..shape[1]).flat_map(|i| (0..side * side).map(move |t| (i, t))) {
                    let y = (p / size.width * stride + tap / side * apart).wrapping_sub(pad);
                    let x = (p % size.width * stride + tap % side * apart).wrapping_sub(pad);
                    if y < h && x < w {
                        let weight = weights[(o * shape[1] + i) * side * side + tap];
                        *sum += f64::from(weight) * map.channels[i][y * w + x];
                    }
                }
            }
            channels.push(channel);
        }
        Map { size, channels }
    }

    /// A transposed convolution of 2x2 and stride 2 by its definition: each pixel adds a kernel to the result.
    fn transposed(&self, name: &str, map: &Map) -> Map {
        let (shape, weights) = &self.0[&format!("{name}.weight")];
        let Size { height: h, width: w } = map.size;
        let mut channels = vec![vec![0.0; 4 * h * w]; shape[1]];
        for (i, given) in map.channels.iter().enumerate() {
            for (o, channel) in channels.iter_mut().enumerate() {
                for (p, tap) in (0..h * w).flat_map(|p| (0..4).map(move |tap| (p, tap))) {
                    let at = (2 * (p / w) + tap / 2) * 2 * w + 2 * (p % w) + tap % 2;
                    channel[at] += f64::from(weights[(i * shape[1] + o) * 4 + tap]) * given[p];
                }
            }
        }
        Map { size: Size::new(2 * h, 2 * w), channels }
    }

    /// Convolutions with ReLUs between them, of KAIR's names.
    pub(super) fn chain(&self, mut map: Map, layers: usize) -> Map {
        for i in 0..layers {
            map = self.convolution(&format!("model.{}", 2 * i), &map, 1);
            if i + 1 < layers {
                map = relu(map);
            }
        }
        map
    }

    fn blocks(&self, room: &str, numbers: std::ops::Range<usize>, mut map: Map) -> Map {
        for block in numbers {
            let inner = relu(self.convolution(&format!("{room}.{block}.res.0"), &map, 1));
            map = sum(map, &self.convolution(&format!("{room}.{block}.res.2"), &inner, 1));
        }
        map
    }
}

fn relu(mut map: Map) -> Map {
    map.channels.iter_mut().flatten().for_each(|v| *v = v.max(0.0));
    map
}

fn sum(mut map: Map, other: &Map) -> Map {
    map.channels
        .iter_mut()
        .flatten()
        .zip(other.channels.iter().flatten())
        .for_each(|(v, o)| *v += o);
    map
}

/// An image continued by its mirror image, the last row and column not repeated, to a multiple; and the noise.
pub(super) fn continued(image: &[f64], size: Size, multiple: usize, noise: f64) -> Map {
    let mirrored = |at: usize, length: usize| if at < length { at } else { 2 * (length - 1) - at };
    continued_by(&mirrored, image, size, multiple, noise)
}

/// The same by its last row and column, as KAIR and deepinv do.
fn repeated(image: &[f64], size: Size, multiple: usize, noise: f64) -> Map {
    continued_by(&|at, length| at.min(length - 1), image, size, multiple, noise)
}

fn continued_by(
    place: &dyn Fn(usize, usize) -> usize,
    image: &[f64],
    Size { height: h, width: w }: Size,
    multiple: usize,
    noise: f64,
) -> Map {
    let size = Size::new(h.next_multiple_of(multiple), w.next_multiple_of(multiple));
    let pixel = |p: usize| image[place(p / size.width, h) * w + place(p % size.width, w)];
    let pixels = (0..size.pixels()).map(pixel).collect();
    Map { size, channels: vec![pixels, vec![noise; size.pixels()]] }
}

/// Arrays of these shapes, random, of a size that keeps values near 1; the last layer small.
pub(super) fn random(shapes: &[(String, Vec<usize>)]) -> Memory {
    let mut memory = Memory::default();
    for (i, (name, shape)) in shapes.iter().enumerate() {
        let inputs: usize = shape.iter().skip(1).product();
        let scale = match (shape.len(), i + 2 >= shapes.len()) {
            (1, _) => 0.05,
            (_, true) => 0.2 / (inputs as f32).sqrt(),
            (_, false) => 2.0 / (inputs as f32).sqrt(),
        };
        let values = numbers(i, shape.iter().product()).iter().map(|v| v * scale).collect();
        memory.put(name, shape, values);
    }
    memory
}

/// The shapes of a chain of KAIR's names.
pub(super) fn chain_of(layers: usize, ends: (usize, usize)) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    for i in 0..layers {
        let outputs = if i + 1 == layers { ends.1 } else { 64 };
        let inputs = if i == 0 { ends.0 } else { 64 };
        shapes.push((format!("model.{}.weight", 2 * i), vec![outputs, inputs, 3, 3]));
        shapes.push((format!("model.{}.bias", 2 * i), vec![outputs]));
    }
    shapes
}

/// The model that a file of these arrays is, in the way in which it was published, and what the file's notes say.
pub(super) fn published(memory: &mut Memory) -> (FloatModel, Vec<String>) {
    let plan = Plan::of(&memory.tensors(), None, None).unwrap();
    let layers = plan.read(memory).unwrap();
    let net = Net { layers: &layers, form: &plan.form };
    let published = plan.published().expect("it is named and shaped as one");
    let ways = ways(plan.family, Known::default(), net, false).unwrap();
    let way = ways.iter().find(|way| published.is(way)).expect("it is tried");
    let mut notes = plan.notes();
    notes.push(published.to_string());
    (way.model(net, 75.0).unwrap(), notes)
}

/// Compares a model with what `defined` makes of the image in 0 to 1 and its noise level.
fn compare(
    memory: &mut Memory,
    named: &str,
    sizes: &[Size],
    defined: impl Fn(&Weights, &[f64], Size, f64) -> Map,
) {
    let (model, notes) = published(memory);
    assert!(notes.iter().any(|note| note.contains(named)), "{notes:?}");
    let told = notes.iter().any(|note| note.contains("told the noise"));
    assert_eq!(told, model.network.reads_plane(), "{notes:?}");
    let arrays = memory.tensors().into_iter().map(|t| {
        let values = finite(memory, &t.name, &t.shape).unwrap();
        (t.name, (t.shape, values))
    });
    let weights = Weights(arrays.collect());
    for &size in sizes {
        let pixels = size.pixels();
        let image: Vec<f64> = (0..pixels).map(|i| 0.5 + 0.45 * (i as f64 * 0.9).sin()).collect();
        let noise = 15.0 / 255.0;
        let expected = defined(&weights, &image, size, noise);
        let units: Vec<f32> = image.iter().map(|v| *v as f32).collect();
        let apply = |v: &mut [f32]| model.activation.apply(v);
        let plane = if told { model.plane(15.0) } else { 0.0 };
        let found = model.denoise_at(&units, size, plane, &apply, &mut |_| ()).unwrap();
        let spread = found.iter().fold(0f32, |most, v| most.max(v.abs()));
        assert!(spread > 0.01, "a network that gives nothing shows nothing: {spread}");
        for (p, found) in found.iter().enumerate() {
            let at = p / size.width * expected.size.width + p % size.width;
            let levels = (f64::from(*found) - expected.channels[0][at]).abs() * 255.0;
            assert!(levels < 3e-4, "{named} {size:?} at {p}: {levels} levels");
        }
    }
}

#[test]
fn fdncnn_is_a_chain_that_is_told_the_noise() {
    let mut memory = random(&chain_of(20, (2, 1)));
    compare(
        &mut memory,
        "KAIR's FDnCNN",
        &[Size::new(8, 6), Size::new(7, 9)],
        |weights, image, size, noise| weights.chain(continued(image, size, 1, noise), 20),
    );
}

#[test]
fn ircnn_is_dilated() {
    let mut memory = random(&chain_of(7, (1, 1)));
    compare(
        &mut memory,
        "IRCNN",
        &[Size::new(9, 12), Size::new(7, 5)],
        |weights, image, size, noise| {
            let mut map = continued(image, size, 1, noise);
            map.channels.truncate(1);
            for (i, apart) in [1, 2, 3, 4, 3, 2, 1].into_iter().enumerate() {
                map = weights.dilated(&format!("model.{}", 2 * i), &map, (1, apart));
                map = if i < 6 { relu(map) } else { map };
            }
            // It gives the noise.
            for (v, x) in map.channels[0].iter_mut().zip(image) {
                *v = x - *v;
            }
            map
        },
    );
}

/// Of the published file of 25 networks the one for the noise is taken, as its makers take it.
#[test]
fn one_of_ircnns_networks_is_taken() {
    let file = |networks: std::ops::Range<usize>| -> Vec<Tensor> {
        let of = |n: usize| {
            chain_of(7, (1, 1)).into_iter().map(move |(name, shape)| Tensor {
                name: format!("{n}.{name}"),
                dtype: "F32".into(),
                shape,
            })
        };
        networks.flat_map(of).collect()
    };
    let cases = [
        (2.0, 0, "for noise of 2 "),
        (25.0, 12, "none for 25"),
        (50.0, 24, "of 50 "),
        (0.5, 0, "none"),
    ];
    for (sigma, key, words) in cases {
        let mut tensors = file(0..25);
        let one_of = ircnn::one_of_them(&mut tensors, sigma).unwrap().expect("it is IRCNN's");
        assert_eq!((tensors.len(), one_of.level), (14, 2.0 * (key as f64 + 1.0)));
        assert!(tensors.iter().all(|t| t.name.starts_with(&format!("{key}."))), "{tensors:?}");
        assert!(one_of.to_string().contains(words), "{one_of}");
        let plan = Plan::of(&tensors, None, None).unwrap();
        assert!(plan.published().unwrap().to_string().contains("IRCNN"));
    }
    let text = ircnn::one_of_them(&mut file(0..25), 51.0).unwrap_err().to_string();
    assert!(text.contains("2, 4, ... 50 grey levels, and none for 51"), "{text}");
    // Another number of networks is no file of IRCNN's.
    let mut other = file(0..24);
    assert_eq!(ircnn::one_of_them(&mut other, 25.0).unwrap(), None);
    let text = Plan::of(&other, None, None).unwrap_err().to_string();
    assert!(text.contains("holds 24 networks"), "{text}");
}

#[test]
fn ffdnet_works_on_blocks_of_the_image() {
    let mut memory = random(&chain_of(15, (5, 4)));
    compare(
        &mut memory,
        "KAIR's FFDNet",
        &[Size::new(8, 6), Size::new(7, 9)],
        |weights, image, size, noise| {
            let whole = repeated(image, size, 2, noise);
            let (Size { height: h, width: w }, pixels) = (whole.size, &whole.channels[0]);
            let (rows, columns) = (h / 2, w / 2);
            let part = |c: usize| {
                let pixel =
                    |p: usize| pixels[(p / columns * 2 + c / 2) * w + p % columns * 2 + c % 2];
                (0..rows * columns).map(pixel).collect::<Vec<f64>>()
            };
            let mut channels: Vec<Vec<f64>> = (0..4).map(part).collect();
            channels.push(vec![noise; rows * columns]);
            let out =
                weights.chain(Map { size: Size { height: rows, width: columns }, channels }, 15);
            let pixel = |p: usize| {
                let (y, x) = (p / w, p % w);
                out.channels[y % 2 * 2 + x % 2][y / 2 * columns + x / 2]
            };
            Map { size: Size::new(h, w), channels: vec![(0..h * w).map(pixel).collect()] }
        },
    );
}

/// The shapes of DRUNet with so many channels at each scale, four blocks each, without biases.
fn drunet(widths: [usize; 4]) -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![("m_head.weight".to_string(), vec![widths[0], 2, 3, 3])];
    let block = |room: &str, n: usize, width: usize| {
        [0, 2].map(|at| (format!("{room}.{n}.res.{at}.weight"), vec![width, width, 3, 3]))
    };
    for n in 1..=3 {
        let (room, width) = (format!("m_down{n}"), widths[n - 1]);
        (0..4).for_each(|i| shapes.extend(block(&room, i, width)));
        shapes.push((format!("{room}.4.weight"), vec![widths[n], width, 2, 2]));
    }
    (0..4).for_each(|i| shapes.extend(block("m_body", i, widths[3])));
    for n in (1..=3).rev() {
        let (room, width) = (format!("m_up{n}"), widths[n - 1]);
        shapes.push((format!("{room}.0.weight"), vec![widths[n], width, 2, 2]));
        (1..5).for_each(|i| shapes.extend(block(&room, i, width)));
    }
    shapes.push(("m_tail.weight".into(), vec![1, widths[0], 3, 3]));
    shapes
}

#[test]
fn drunet_is_a_u_net_of_residual_blocks() {
    let mut memory = random(&drunet([4, 8, 12, 16]));
    // What residual blocks add would grow from block to block.
    let inner = memory.0.iter_mut().filter(|(tensor, _)| tensor.name.ends_with("res.2.weight"));
    inner.flat_map(|(_, values)| values).for_each(|v| *v *= 0.2);
    compare(
        &mut memory,
        "DRUNet",
        &[Size::new(16, 8), Size::new(13, 11)],
        |weights, image, size, noise| {
            let first = weights.convolution("m_head", &repeated(image, size, 8, noise), 1);
            let mut maps = vec![first];
            for n in 1..=3 {
                let room = format!("m_down{n}");
                let inner = weights.blocks(&room, 0..4, maps[n - 1].clone());
                maps.push(weights.convolution(&format!("{room}.4"), &inner, 2));
            }
            let mut here = weights.blocks("m_body", 0..4, maps[3].clone());
            for n in (1..=3).rev() {
                let room = format!("m_up{n}");
                here = weights.transposed(&format!("{room}.0"), &sum(here, &maps[n]));
                here = weights.blocks(&room, 1..5, here);
            }
            weights.convolution("m_tail", &sum(here, &maps[0]), 1)
        },
    );
    // What is left over is no part of it.
    memory.put("m_more.weight", &[4, 4, 3, 3], vec![0.0; 144]);
    assert!(refused(&memory).contains("a U-Net"));
}

/// A file of four blocks' pixels and the noise becomes a model that denoises, and says how it was taken.
#[test]
fn a_network_on_blocks_is_imported() {
    let mut first = vec![0.0; 4 * 5 * 9];
    for (o, i) in (0..4).flat_map(|o| (0..4).map(move |i| (o, i))) {
        first[(o * 5 + i) * 9 + 4] = if o == i { 0.4 } else { 0.2 };
    }
    let mut second = vec![0.0; 4 * 4 * 9];
    (0..4).for_each(|o| second[(o * 4 + o) * 9 + 4] = 1.0);
    let mut memory = Memory::default();
    memory.put("model.0.weight", &[4, 5, 3, 3], first);
    memory.put("model.2.weight", &[4, 4, 3, 3], second);
    let known = Known { activation: Some(Activation::Relu), ..Known::default() };
    let imported = memory.file().import(known, 25.0, &mut |_| ()).unwrap();
    assert_eq!(imported.tries[imported.chosen].what, "0..1, net(x), relu");
    assert!(imported.model.network.reads_plane());
    let known = Known { range: Range::new(-1.0, 1.0), ..known };
    let text = memory.file().import(known, 25.0, &mut |_| ()).unwrap_err().to_string();
    assert!(text.contains("told the noise"), "{text}");
}
