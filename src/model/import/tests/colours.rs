//! Networks for colour pictures, which give on a mosaic what they give of its planes.

use super::families::{Map, Weights, chain_of, published, random};
use crate::image::PLACES;
use crate::model::load::finite;
use crate::network::{Continued, NetworkError, SQUARE};
use crate::size::Size;

/// Level of a plane at a row and column, which go on by the last ones.
fn level(plane: usize, size: Size, row: usize, column: usize) -> f64 {
    let (row, column) = (row.min(size.height - 1), column.min(size.width - 1));
    0.5 + 0.45 * ((plane * 31 + row * size.width + column) as f64 * 0.9).sin()
}

/// What a network of so many layers on blocks of `side` pixels makes of a picture, plane by plane, each as large as
/// whole blocks are.
fn defined(weights: &Weights, layers: usize, side: usize, size: Size, noise: Option<f64>) -> Map {
    let whole = Size::new(size.height.next_multiple_of(side), size.width.next_multiple_of(side));
    let blocks = Size::new(whole.height / side, whole.width / side);
    let part = |channel: usize| {
        let (plane, at) = (channel / (side * side), channel % (side * side));
        let pixel = |p: usize| {
            let (row, column) = (p / blocks.width * side, p % blocks.width * side);
            level(plane, size, row + at / side, column + at % side)
        };
        (0..blocks.pixels()).map(pixel).collect::<Vec<f64>>()
    };
    let mut channels: Vec<Vec<f64>> = (0..3 * side * side).map(part).collect();
    channels.extend(noise.map(|noise| vec![noise; blocks.pixels()]));
    let out = weights.chain(Map { size: blocks, channels }, layers);
    let plane = |plane: usize| {
        let pixel = |p: usize| {
            let (row, column) = (p / whole.width, p % whole.width);
            let channel = (plane * side + row % side) * side + column % side;
            out.channels[channel][row / side * blocks.width + column / side]
        };
        (0..whole.pixels()).map(pixel).collect()
    };
    Map { size: whole, channels: (0..3).map(plane).collect() }
}

fn compare(shapes: &[(String, Vec<usize>)], named: &str, side: usize, told: bool, sign: f64) {
    let mut memory = random(shapes);
    let (model, notes) = published(&mut memory);
    let said = |text: &str| notes.iter().any(|note| note.contains(text));
    assert!(said(named) && said("colour picture together"), "{notes:?}");
    assert_eq!(model.network.continued(), Continued::Mosaic);
    assert_eq!(model.network.reads_plane(), told);
    let arrays = memory.tensors().into_iter().map(|t| {
        let values = finite(&mut memory, &t.name, &t.shape).unwrap();
        (t.name, (t.shape, values))
    });
    let weights = Weights(arrays.collect());
    for size in [Size::new(4, 6), Size::new(5, 3)] {
        let noise = 15.0 / 255.0;
        let expected = defined(&weights, shapes.len() / 2, side, size, told.then_some(noise));
        let image = model.network.image_size(size);
        let mut units = vec![0f32; image.pixels()];
        let pixels = (0..3 * size.pixels()).map(|i| (i / size.pixels(), i % size.pixels()));
        let places: Vec<(usize, usize, usize)> = pixels
            .map(|(plane, p)| {
                let (row, column) = (p / size.width, p % size.width);
                let (down, right) = PLACES[plane];
                let at = (SQUARE * row + down) * image.width + SQUARE * column + right;
                units[at] = level(plane, size, row, column) as f32;
                (plane, row * expected.size.width + column, at)
            })
            .collect();
        let apply = |v: &mut [f32]| model.activation.apply(v);
        let plane = if told { model.plane(15.0) } else { 0.0 };
        let mut found = model.denoise_at(&units, image, plane, &apply, &mut |_| ()).unwrap();
        for (plane, p, at) in places {
            let given = expected.channels[plane][p];
            let wanted = if sign < 0.0 { f64::from(units[at]) - given } else { given };
            let levels = (f64::from(found[at]) - wanted).abs() * 255.0;
            assert!(levels < 3e-4, "{named} {size:?} plane {plane} at {p}: {levels} levels");
            found[at] = 0.0;
        }
        assert!(found.iter().all(|v| *v == 0.0), "black stays black");
    }
    let odd = model.network.grids(Size::new(4, 5)).unwrap_err();
    assert_eq!(odd, NetworkError::NoMosaic { height: 4, width: 5 });
}

#[test]
fn ffdnet_for_colours_works_on_blocks_of_the_mosaic() {
    let mut shapes = chain_of(12, (13, 12));
    for (_, shape) in &mut shapes {
        shape.iter_mut().filter(|side| **side == 64).for_each(|side| *side = 96);
    }
    compare(&shapes, "KAIR's FFDNet", 2, true, 1.0);
}

#[test]
fn dncnn_for_colours_works_on_squares() {
    compare(&chain_of(20, (3, 3)), "KAIR's DnCNN", 1, false, -1.0);
}
