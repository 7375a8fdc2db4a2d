//! Channels that matter least are left out, so that an image costs fewer activations.

use super::equalised::Channels;
use super::pruned::Kept;
use super::{FloatModel, Span};
use crate::network::LinearShape;

/// Outputs that go together: what they cost, and what the layers that read them would miss.
#[derive(Clone, Copy, Default)]
struct Group {
    /// Activations a pixel of the image.
    cost: f64,
    /// Of the variance of the products of each layer that reads it, the part that is its own; added up.
    worth: f64,
    /// Whether it is the image or what is added to it.
    image: bool,
}

impl FloatModel {
    /// Which outputs of linear ops are left if those that matter least are left out until a pixel of an image takes at
    /// most `activations`: the least part of the variance of what their readers compute for each activation that
    /// is saved. Each linear op keeps one output, so it may take more. `spans` are of the model's own values
    /// ([`FloatModel::spans_of`]).
    pub fn affordable(&self, spans: &[Vec<Span>], activations: f64) -> Kept {
        let channels = Channels::of(&self.network);
        let roots = |layer: &Vec<usize>| layer.iter().map(|node| channels.root(*node)).collect();
        let roots: Vec<Vec<usize>> = channels.nodes.iter().map(roots).collect();
        let groups = self.groups(&roots, channels.root(0), spans);
        let mut left: f64 = groups.iter().map(|group| group.cost).sum();
        let mut outputs: Vec<Vec<usize>> = roots.clone();
        let mut order: Vec<usize> =
            (0..groups.len()).filter(|root| groups[*root].cost > 0.0).collect();
        let price = |root: &usize| groups[*root].worth / groups[*root].cost;
        order.sort_by(|a, b| price(a).total_cmp(&price(b)));
        let mut out = vec![false; groups.len()];
        for root in order {
            if left <= activations {
                break;
            }
            let is_last =
                |layer: &Vec<usize>| layer.iter().all(|of| *of == root) && !layer.is_empty();
            if groups[root].image || outputs.iter().any(is_last) {
                continue;
            }
            outputs.iter_mut().for_each(|layer| layer.retain(|of| *of != root));
            out[root] = true;
            left -= groups[root].cost;
        }
        Kept(roots.iter().map(|layer| layer.iter().map(|root| !out[*root]).collect()).collect())
    }

    /// By root of their outputs.
    fn groups(&self, roots: &[Vec<usize>], image: usize, spans: &[Vec<Span>]) -> Vec<Group> {
        let most = roots.iter().flatten().copied().max().unwrap_or(0).max(image);
        let mut groups = vec![Group::default(); most + 1];
        groups[image].image = true;
        let sources: Vec<Vec<Option<(usize, f64)>>> = roots
            .iter()
            .zip(spans)
            .map(|(roots, spans)| {
                roots.iter().zip(spans).map(|(root, span)| Some((*root, span.variance()))).collect()
            })
            .collect();
        for (number, (op, layer)) in self.network.linears().enumerate() {
            if self.network.activation_after(op).is_some() {
                let cost = self.network.rows_a_pixel(op);
                roots[number].iter().for_each(|root| groups[*root].cost += cost);
            }
            let inputs = self.inputs_of(op, number, &sources, None);
            let parts = inputs.iter().zip(layer.weights.columns()).filter_map(|(input, column)| {
                let (root, variance) = (*input)?;
                Some((root, variance * f64::from(column.dot(&column))))
            });
            let parts: Vec<(usize, f64)> = parts.collect();
            let whole = parts.iter().map(|(_, part)| part).sum::<f64>().max(f64::MIN_POSITIVE);
            parts.into_iter().for_each(|(root, part)| groups[root].worth += part / whole);
        }
        groups
    }

    /// Activations a pixel of a picture, away from its border.
    pub fn activations_a_pixel(&self) -> f64 {
        let linears =
            self.network.linears().filter(|(op, _)| self.network.activation_after(*op).is_some());
        linears.map(|(op, l)| l.outputs() as f64 * self.network.rows_a_pixel(op)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphs::{May, random_graph};
    use crate::network::Op;
    use crate::size::Size;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(16, 16);

    fn spans(model: &FloatModel, seed: u64) -> Vec<Vec<Span>> {
        let image: Vec<f32> = (0..SIZE.pixels())
            .map(|i| ((i as u64 * 37 + seed % 101) as f32 * 0.61).sin())
            .collect();
        model.spans_of(&image, SIZE, 0.1, &mut |_| ()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        /// What is left is a network within the limit, if one output of each layer is; nothing is left out without
        /// need.
        #[test]
        fn what_is_left_is_within_the_limit(seed: u64, part in 0.0f64..1.2) {
            let model = random_graph(seed, May { linear: true, plane: true });
            let (spans, whole) = (spans(&model, seed), model.activations_a_pixel());
            let kept = model.affordable(&spans, part * whole);
            let pruned = model.pruned(&kept, &spans).unwrap();
            let least = model.pruned(&model.affordable(&spans, 0.0), &spans).unwrap();
            let found = pruned.activations_a_pixel();
            prop_assert!(found <= (part * whole).max(least.activations_a_pixel()) + 1e-9);
            prop_assert!(part < 1.0 || kept.0.iter().flatten().all(|kept| *kept));
            prop_assert!(pruned.network.linears().all(|(_, l)| l.outputs() > 0));
            let (last, first) = (|m: &FloatModel| m.network.linears().last().unwrap().1.outputs(), &model);
            prop_assert_eq!(last(&pruned), last(first));
        }
    }

    /// Of two channels the one whose reader would miss less goes, and its mean stays.
    #[test]
    fn the_channel_that_matters_less_goes() {
        let model = (0..)
            .map(|seed| random_graph(seed, May::default()))
            .find(|model| {
                let widths: Vec<usize> =
                    model.network.linears().map(|(_, l)| l.outputs()).collect();
                let adds =
                    model.network.ops().iter().any(|op| matches!(op, Op::Add(_) | Op::Shuffle(_)));
                widths.len() == 3 && widths[1] == 2 && !adds
            })
            .unwrap();
        let mut spans = spans(&model, 3);
        for (span, (sum, squares)) in spans[1].iter_mut().zip([(40.0, 170.0), (0.0, 1000.0)]) {
            *span = Span { count: 10.0, sum, squares, ..*span };
        }
        let one = model.activations_a_pixel()
            - model.network.rows_a_pixel(model.network.linears().nth(1).unwrap().0);
        let kept = model.affordable(&spans, one);
        let (_, reader) = model.network.linears().nth(2).unwrap();
        let weights = |channel: usize| -> f64 {
            let columns = reader.weights.columns().into_iter().enumerate();
            columns.filter(|(i, _)| i % 2 == channel).map(|(_, c)| f64::from(c.dot(&c))).sum()
        };
        // Variances of 1 and 100.
        let [first, second] = [weights(0), 100.0 * weights(1)];
        assert_eq!(kept.0[1], [first > second, second > first]);
        let pruned = model.pruned(&kept, &spans).unwrap();
        let (_, after) = pruned.network.linears().nth(2).unwrap();
        let mean = if first > second { 0.0 } else { 4.0 };
        let columns = reader.weights.columns().into_iter().step_by(2);
        let expected = columns.fold(reader.bias.clone(), |bias, column| bias + &column * mean);
        assert!(
            after.bias.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4 * b.abs().max(1.0))
        );
    }
}
