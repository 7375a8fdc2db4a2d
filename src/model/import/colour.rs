//! Networks for colour pictures as networks on their mosaic.
//!
//! What reads b x b pixels of three planes reads 2b x 2b places of the mosaic, of which a quarter are black and meet
//! weights of 0; what it gives there is 0 as well.

use super::layer::Layer;
use crate::image::PLACES;
use crate::network::SQUARE;

/// Which channel of a block of the mosaic each channel of a block of `side` x `side` pixels is, plane after plane.
fn places(side: usize) -> Vec<usize> {
    let of_plane = |(down, right)| {
        (0..side * side).map(move |pixel| {
            let (row, column) = (SQUARE * (pixel / side) + down, SQUARE * (pixel % side) + right);
            row * SQUARE * side + column
        })
    };
    PLACES.into_iter().flat_map(of_plane).collect()
}

/// The layers of a network that reads and gives blocks of `side` x `side` pixels, and perhaps reads the noise behind
/// them, on the mosaic.
pub(super) fn on_mosaic(mut layers: Vec<Layer>, side: usize) -> Vec<Layer> {
    let (places, all) = (places(side), SQUARE * SQUARE * side * side);
    if let Some(first) = layers.first_mut() {
        first.read_at(&places, all);
    }
    if let Some(last) = layers.last_mut() {
        last.give_at(&places, all);
    }
    layers
}

impl Layer {
    /// Reads its first channels at these places of `all`, and the others behind them.
    fn read_at(&mut self, places: &[usize], all: usize) {
        let &[outputs, inputs, side, _] = &self.shape[..] else { return };
        let (taps, wide) = (side * side, all + inputs - places.len());
        let mut weights = vec![0.0; outputs * wide * taps];
        for (i, kernel) in self.weights.chunks_exact(taps).enumerate() {
            let (output, input) = (i / inputs, i % inputs);
            let to = places.get(input).copied().unwrap_or(all + input - places.len());
            weights[(output * wide + to) * taps..][..taps].copy_from_slice(kernel);
        }
        (self.shape[1], self.weights) = (wide, weights);
    }

    /// Gives its channels at these places of `all`, and 0 elsewhere.
    fn give_at(&mut self, places: &[usize], all: usize) {
        let per_output = self.shape[1..].iter().product::<usize>();
        let (mut weights, mut bias) = (vec![0.0; all * per_output], vec![0.0; all]);
        let outputs = self.weights.chunks_exact(per_output.max(1)).zip(&self.bias);
        for ((kernels, own), &place) in outputs.zip(places) {
            weights[place * per_output..][..per_output].copy_from_slice(kernels);
            bias[place] = *own;
        }
        (self.shape[0], self.weights, self.bias) = (all, weights, bias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_three_planes_are_blocks_of_the_mosaic() {
        assert_eq!(places(1), [0, 1, 2]);
        assert_eq!(places(2), [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14]);
    }

    #[test]
    fn a_layer_reads_and_gives_three_of_four_places() {
        let weights: Vec<f32> = (1..=8).map(|v| v as f32).collect();
        let first = Layer { shape: vec![2, 4, 1, 1], weights, bias: vec![9.0, 10.0] };
        let weights: Vec<f32> = (11..=16).map(|v| v as f32).collect();
        let last = Layer { shape: vec![3, 2, 1, 1], weights, bias: vec![17.0, 18.0, 19.0] };
        let found = on_mosaic(vec![first, last], 1);
        assert_eq!(found[0].shape, [2, 5, 1, 1]);
        assert_eq!(found[0].weights, [1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 7.0, 0.0, 8.0]);
        assert_eq!(found[1].shape, [4, 2, 1, 1]);
        assert_eq!(found[1].weights, [11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 0.0, 0.0]);
        assert_eq!(found[1].bias, [17.0, 18.0, 19.0, 0.0]);
    }
}
