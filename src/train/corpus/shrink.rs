//! Smaller copies of images.

use super::Plane;
use crate::image::GreyImage;
use crate::size::Size;
use ndarray::{Array2, ArrayViewMut2, Axis};

/// The image at `scale` < 1: each pixel is a mean with triangular weights two target pixels wide.
pub(super) fn shrunk(image: &GreyImage, scale: f64) -> Plane {
    let Size { height: h, width: w } = image.size();
    let sides = [h, w].map(|s| ((s as f64 * scale).round() as usize).max(1));
    let taps = [(h, sides[0]), (w, sides[1])].map(|(from, to)| triangle_taps(from, to));
    let source = Array2::from_shape_vec((h, w), image.pixels().to_vec());
    let source = source.expect("an image has as many pixels as its sides say");
    let mut narrow = Array2::zeros((h, sides[1]));
    resample_columns(source.view().reversed_axes(), &taps[1], narrow.view_mut().reversed_axes());
    let mut small = Array2::zeros((sides[0], sides[1]));
    resample_columns(narrow.view(), &taps[0], small.view_mut());
    Plane::new(sides[0], sides[1], small.as_slice().expect("standard layout"))
}

/// What a target position is made of: source positions from `first` on, with weights that sum to 1.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Those of each target position.
fn triangle_taps(from: usize, to: usize) -> Vec<Taps> {
    let width = from as f64 / to as f64;
    let taps = |i: usize| {
        let centre = (i as f64 + 0.5) * width - 0.5;
        let first = (centre - width).ceil().max(0.0) as usize;
        let last = ((centre + width).floor() as usize).min(from - 1);
        let weight = |x: usize| (1.0 - (x as f64 - centre).abs() / width).max(0.0);
        let total: f64 = (first..=last).map(weight).sum();
        let weights = (first..=last).map(|x| (weight(x) / total) as f32).collect();
        Taps { first, weights }
    };
    (0..to).map(taps).collect()
}

/// Target row i is the weighted sum of source rows that `taps[i]` says.
fn resample_columns(
    source: ndarray::ArrayView2<'_, f32>,
    taps: &[Taps],
    mut target: ArrayViewMut2<'_, f32>,
) {
    for (mut row, Taps { first, weights }) in target.axis_iter_mut(Axis(0)).zip(taps) {
        for (i, &w) in weights.iter().enumerate() {
            row.scaled_add(w, &source.row(first + i));
        }
    }
}
