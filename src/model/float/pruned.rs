//! Channels that are 0 wherever they were looked at are left out.

use super::equalised::{Channels, maker};
use super::{FloatLinear, FloatModel, Span};
use crate::model::ModelError;
use crate::network::Op;
use ndarray::Axis;

/// Which outputs of each linear op are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept(pub(super) Vec<Vec<bool>>);

impl Kept {
    /// Of what there is of the outputs of each linear op what is kept.
    pub fn of<T: Copy>(&self, all: &[Vec<T>]) -> Vec<Vec<T>> {
        all.iter().zip(&self.0).map(|(layer, kept)| chosen(layer, kept)).collect()
    }
}

impl FloatModel {
    /// Which outputs of linear ops are needed for images like those on which they took the values of `spans`
    /// ([`FloatModel::spans_of`]): all but channels that a ReLU made 0 everywhere. Those that are added to one
    /// another are left out together or not at all; each linear op keeps one output.
    pub fn needed(&self, spans: &[Vec<Span>]) -> Kept {
        let network = &self.network;
        let channels = Channels::of(network);
        let nodes = || channels.nodes.iter().flatten();
        let mut needed = vec![false; nodes().max().map_or(1, |last| last + 1)];
        needed[0] = true;
        let makers = (1..network.maps().len()).map(|map| (maker(network, map).0, map));
        let makers: Vec<(usize, usize)> = makers.collect();
        for (number, (op, _)) in network.linears().enumerate() {
            let has_activation = self.activation.rules().is_zero_below()
                && self.network.activation_after(op).is_some();
            let map = makers.iter().find(|(linear, _)| *linear == number).map(|(_, map)| *map);
            // What is only added to others is needed if they are.
            let is_read = map.is_none_or(|map| network.maps()[map].opened);
            for (node, span) in channels.nodes[number].iter().zip(&spans[number]) {
                if if has_activation { span.high > 0.0 } else { is_read } {
                    needed[channels.root(*node)] = true;
                }
            }
        }
        for layer in &channels.nodes {
            if !layer.iter().any(|node| needed[channels.root(*node)])
                && let Some(node) = layer.first()
            {
                needed[channels.root(*node)] = true;
            }
        }
        let of_layer =
            |layer: &Vec<usize>| layer.iter().map(|node| needed[channels.root(*node)]).collect();
        Kept(channels.nodes.iter().map(of_layer).collect())
    }

    /// The network without the other outputs, and without the weights by which they were multiplied; biases stand in
    /// for what the others gave in the mean of `spans`.
    ///
    /// # Errors
    /// [`ModelError::Network`] if `kept` is of another network.
    pub fn pruned(&self, kept: &Kept, spans: &[Vec<Span>]) -> Result<FloatModel, ModelError> {
        let means: Vec<Vec<f64>> =
            spans.iter().map(|layer| layer.iter().map(|span| span.mean()).collect()).collect();
        let mut number = 0;
        let ops = self.network.ops().iter().enumerate().map(|(op, of)| match of {
            Op::Linear(l) => {
                let inputs = self.inputs_of(op, number, &kept.0, true);
                let means = self.inputs_of(op, number, &means, 0.0);
                let outputs = &kept.0[number];
                number += 1;
                let mut bias = l.bias.clone();
                for ((column, _), mean) in l
                    .weights
                    .columns()
                    .into_iter()
                    .zip(&inputs)
                    .zip(means)
                    .filter(|((_, kept), _)| !**kept)
                {
                    bias.scaled_add(mean as f32, &column);
                }
                Op::Linear(FloatLinear {
                    weights: l
                        .weights
                        .select(Axis(0), &places(outputs))
                        .select(Axis(1), &places(&inputs)),
                    bias: bias.select(Axis(0), &places(outputs)),
                })
            }
            other => other.clone(),
        });
        let network = self.network.of_ops(ops.collect())?;
        let extremes = self.extremes.as_ref().map(|extremes| kept.of(extremes));
        Ok(FloatModel { network, extremes, ..self.clone() })
    }

    /// The channels of all activations.
    pub fn channels(&self) -> usize {
        self.network.activations().map(|(_, _, width)| width).sum()
    }
}

fn chosen<T: Copy>(all: &[T], kept: &[bool]) -> Vec<T> {
    all.iter().zip(kept).filter(|(_, kept)| **kept).map(|(v, _)| *v).collect()
}

fn places(kept: &[bool]) -> Vec<usize> {
    kept.iter().enumerate().filter(|(_, kept)| **kept).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphs::{May, random_graph};
    use crate::model::random_model;
    use crate::network::LinearShape;
    use crate::size::Size;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(9, 8);

    fn image(seed: u64) -> Vec<f32> {
        (0..SIZE.pixels()).map(|i| ((i as u64 * 37 + seed % 101) as f32 * 0.61).sin()).collect()
    }

    fn outputs(model: &FloatModel) -> usize {
        model.network.linears().map(|(_, l)| l.outputs()).sum()
    }

    /// The same network where one in three biases is so low that a ReLU gives 0.
    fn with_dead_channels(model: &FloatModel, seed: u64) -> FloatModel {
        let last = model.network.linears().count() - 1;
        let mut number = 0;
        let network = model.network.map(
            |_, l| {
                let mut l = l.clone();
                for (output, bias) in l.bias.iter_mut().enumerate() {
                    if number < last && (seed >> ((output + 3 * number) % 60)).is_multiple_of(3) {
                        *bias = -1e6;
                    }
                }
                number += 1;
                l
            },
            |_, ()| (),
        );
        FloatModel { network, ..model.clone() }
    }

    proptest! {
        /// Without what is 0 on an image the network is the same function of it; then all that is left is needed.
        #[test]
        fn what_is_left_is_the_same_function(seed: u64) {
            let model = random_graph(seed, May { linear: true, plane: true });
            let model = with_dead_channels(&model, seed);
            let (image, plane) = (image(seed), model.plane(model.sigma / 2.0));
            let spans = model.spans_of(&image, SIZE, plane, &mut |_| ()).unwrap();
            let kept = model.needed(&spans);
            let pruned = model.pruned(&kept, &spans).unwrap();
            let run = |m: &FloatModel| {
                m.denoise_at(&image, SIZE, plane, &|v| m.activation.apply(v), &mut |_| ()).unwrap()
            };
            let (whole, less) = (run(&model), run(&pruned));
            let most = whole.iter().fold(1f32, |most, v| most.max(v.abs()));
            prop_assert!(whole.iter().zip(&less).all(|(a, b)| (a - b).abs() < 1e-4 * most));
            let again = pruned.spans_of(&image, SIZE, plane, &mut |_| ()).unwrap();
            prop_assert_eq!(outputs(&pruned.pruned(&pruned.needed(&again), &again).unwrap()), outputs(&pruned));
            prop_assert_eq!(kept.of(&spans).iter().map(Vec::len).sum::<usize>(), outputs(&pruned));
        }
    }

    /// The test above is of something: most networks have channels that are left out, some that are added.
    #[test]
    fn most_random_networks_become_smaller() {
        let left_out = |seed: u64| {
            let model = random_graph(seed, May { linear: true, plane: true });
            let model = with_dead_channels(&model, seed);
            let spans = model.spans_of(&image(seed), SIZE, 0.1, &mut |_| ()).unwrap();
            let pruned = model.pruned(&model.needed(&spans), &spans).unwrap();
            let adds = model.network.ops().iter().any(|op| matches!(op, Op::Add(_)));
            (pruned.channels() < model.channels(), adds)
        };
        let found: Vec<_> = (0..100).map(left_out).collect();
        assert!(found.iter().filter(|(smaller, _)| *smaller).count() > 50);
        assert!(found.iter().filter(|(smaller, adds)| *smaller && *adds).count() > 5);
    }

    /// tanh is 0 nowhere.
    #[test]
    fn channels_of_tanh_are_kept() {
        let model = random_model(&[8], 1.0, true);
        let below = Span { low: -2.0, high: -1.0, ..Span::NONE };
        let spans: Vec<Vec<Span>> =
            model.network.linears().map(|(_, l)| vec![below; l.outputs()]).collect();
        let kept = model.needed(&spans);
        assert_eq!(outputs(&model.pruned(&kept, &spans).unwrap()), outputs(&model));
    }
}
