//! A network that begins as a smaller one: the function is the same at first, and there is room to learn more.
//!
//! Wider: every channel of the smaller network keeps its weights and its place among the channels of its map; the
//! channels behind it have random weights, and whatever reads them begins with 0. So gradients reach what reads the
//! new channels from the first step on, and the new channels themselves from the second (after Net2Net: Chen,
//! Goodfellow, Shlens, ICLR 2016, who copy channels instead).
//!
//! Deeper: a map x that went through ReLU may get residual blocks, relu(x + V relu(U x)). U is random and V begins with
//! 0, so that a block gives x at first (zero initialisation: Goyal et al., 2017); whatever read x reads what the last
//! block made of it.

use crate::model::Activation;
use crate::model::FloatLinear;
use crate::network::{LinearShape, Network, Op, Read, Source, Stage};
use ndarray::s;
use std::ops::Range;

/// How a network contains a smaller one: what each of its stages is.
pub(super) struct Growth(Vec<Part>);

#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// A stage of the smaller network, as wide or wider.
    Of(usize),
    /// What a new block begins with.
    Inner,
    /// What it ends with.
    Outer,
}

impl Growth {
    /// How `large` contains `small`, if it is nothing but wider and, with an activation that keeps its results, such as
    /// ReLU, deeper.
    pub(super) fn between<L: LinearShape, M: LinearShape>(
        large: &Network<L, ()>,
        small: &Network<M, ()>,
        activation: Activation,
    ) -> Option<Growth> {
        let mut parts = Vec::new();
        // What each map of the smaller network has become.
        let mut now = vec![0];
        while parts.len() < large.stages().len() {
            let (at, next) = (parts.len(), now.len() - 1);
            let on = match is_block(small, next) {
                None if activation.rules().keeps_its_results() => is_block(large, at),
                _ => None,
            };
            if let Some(on) = on.and_then(|on| now.iter().position(|map| *map == on)) {
                parts.extend([Part::Inner, Part::Outer]);
                now[on] = parts.len();
            } else {
                let is_next = next < small.stages().len() && is_wider(large, at, small, next, &now);
                if !is_next {
                    return None;
                }
                parts.push(Part::Of(next));
                now.push(parts.len());
            }
        }
        (now.len() == small.stages().len() + 1).then_some(Growth(parts))
    }

    /// Puts the layers of the smaller network into the random ones of the larger.
    pub(super) fn place<L: LinearShape, M: LinearShape>(
        &self,
        large: &Network<L, ()>,
        random: &mut [FloatLinear],
        small: &Network<M, ()>,
        layers: &[FloatLinear],
    ) {
        for (at, part) in self.0.iter().enumerate() {
            let random = &mut random[linears(large, at)];
            match *part {
                Part::Of(of) => {
                    let columns = columns(&large.stages()[at], &small.stages()[of]);
                    for (i, (into, from)) in
                        random.iter_mut().zip(&layers[linears(small, of)]).enumerate()
                    {
                        if i == 0 {
                            widen(into, from, columns.iter().copied());
                        } else {
                            widen(into, from, 0..from.inputs());
                        }
                    }
                }
                Part::Inner => {}
                Part::Outer => random.iter_mut().for_each(|layer| {
                    layer.weights.fill(0.0);
                    layer.bias.fill(0.0);
                }),
            }
        }
    }
}

/// The ops of a stage.
fn ops<L: LinearShape>(network: &Network<L, ()>, stage: usize) -> &[Op<L, ()>] {
    network.stages().get(stage).map_or(&[], |stage| &network.ops()[stage.ops.clone()])
}

/// Numbers of the linear ops of a stage among those of the network.
fn linears<L: LinearShape>(network: &Network<L, ()>, stage: usize) -> Range<usize> {
    let ops = &network.stages()[stage].ops;
    let before = |op: usize| network.linears().take_while(|(at, _)| *at < op).count();
    before(ops.start)..before(ops.end)
}

/// The map that a stage and the one behind it are a residual block on, if they are one.
fn is_block<L: LinearShape>(network: &Network<L, ()>, stage: usize) -> Option<usize> {
    let [Op::Gather(outer), Op::Linear(_), Op::Activation(())] = ops(network, stage) else {
        return None;
    };
    let [Op::Gather(inner), Op::Linear(_), Op::Add(added), Op::Activation(())] =
        ops(network, stage + 1)
    else {
        return None;
    };
    let is_read = |reads: &[Read], map: usize| matches!(reads, [Read { from: Source::Map(read), gather }] if *read == map && gather.stride == 1);
    let [on] = added[..] else { return None };
    let mut makes = ops(network, on.checked_sub(1)?).iter().rev();
    let went_through = makes.find(|op| !matches!(op, Op::Shuffle(_)))?.is_activation();
    (went_through && is_read(outer, on) && is_read(inner, stage + 1)).then_some(on)
}

/// Whether a stage is one of a smaller network with as many or more channels, whose maps have become those of `now`.
fn is_wider<L: LinearShape, M: LinearShape>(
    large: &Network<L, ()>,
    at: usize,
    small: &Network<M, ()>,
    of: usize,
    now: &[usize],
) -> bool {
    let is_same = |large: &Read, small: &Read| {
        let from = match small.from {
            Source::Map(map) => Source::Map(now[map]),
            Source::Plane => Source::Plane,
        };
        (large.from, large.gather) == (from, small.gather)
    };
    let (large, small) = (ops(large, at), ops(small, of));
    large.len() == small.len()
        && large.iter().zip(small).all(|ops| match ops {
            (Op::Gather(large), Op::Gather(small)) => {
                large.len() == small.len() && large.iter().zip(small).all(|(l, s)| is_same(l, s))
            }
            (Op::Linear(large), Op::Linear(small)) => large.outputs() >= small.outputs(),
            (Op::Add(large), Op::Add(small)) => large.iter().eq(small.iter().map(|map| &now[*map])),
            (Op::Activation(()), Op::Activation(())) | (Op::Residual, Op::Residual) => true,
            (Op::Shuffle(large), Op::Shuffle(small)) => large == small,
            (Op::Mean, Op::Mean) => true,
            (Op::Fold(large), Op::Fold(small)) => large == small,
            _ => false,
        })
}

/// Puts a layer into a random one, its inputs at `columns`.
fn widen(into: &mut FloatLinear, from: &FloatLinear, columns: impl Iterator<Item = usize>) {
    let rows = from.outputs();
    into.weights.slice_mut(s![..rows, ..]).fill(0.0);
    for (column, weights) in columns.zip(from.weights.columns()) {
        into.weights.slice_mut(s![..rows, column]).assign(&weights);
    }
    into.bias.slice_mut(s![..rows]).assign(&from.bias);
}

/// Where each input of a narrow stage is among those of a wide one: reads one behind the other, pixels of a patch one
/// behind the other, channels fastest.
fn columns(wide: &Stage, narrow: &Stage) -> Vec<usize> {
    let (mut columns, mut first) = (Vec::new(), 0);
    for ((read, &among), &channels) in wide.reads.iter().zip(&wide.channels).zip(&narrow.channels) {
        let pixels = read.gather.patch.pow(2);
        for pixel in 0..pixels {
            columns.extend((0..channels).map(|channel| first + pixel * among + channel));
        }
        first += pixels * among;
    }
    columns
}

#[cfg(test)]
mod tests {
    use crate::model::{Description, Layer};
    use crate::size::Size;
    use crate::train::tests::told;
    use crate::train::{Recipe, State, TrainError, Trainer};

    /// A network with a skip, a shuffle and a plane; widths of its six layers but the last.
    fn recipe(widths: [usize; 5]) -> Recipe {
        with_blocks(widths, 0)
    }

    /// With so many residual blocks on both maps of the finer grid.
    fn with_blocks(widths: [usize; 5], blocks: usize) -> Recipe {
        let [a, b, c, d, e] = widths;
        let on = |map: &str, outputs: usize| {
            let block = |i: usize| {
                let [before, after] = [i, i + 1].map(|i| match i {
                    i if i == blocks => map.into(),
                    i => format!("{map}{i}"),
                });
                format!(
                    r#"{{"conv2d":{{"outputs":{},"kernel":3,"from":["{before}"]}}}},"relu",
                    {{"conv2d":{{"outputs":{outputs},"kernel":1,"name":"{after}"}}}},{{"add":{{"from":["{before}"]}}}},"relu","#,
                    outputs + 1
                )
            };
            (0..blocks).map(block).collect::<String>()
        };
        let first = |map: &str| if blocks == 0 { map.into() } else { format!("{map}0") };
        let json = format!(
            r#"{{"layers":[{{"blocks":{{"size":2}}}},
            {{"conv2d":{{"outputs":{a},"kernel":3,"from":["image","noise"],"name":"{}"}}}},"relu",{}
            {{"conv2d":{{"outputs":{b},"kernel":3,"stride":2}}}},"relu",
            {{"conv2d":{{"outputs":{c},"kernel":3,"name":"up"}}}},{{"shuffle":{{"factor":2}}}},
            {{"conv2d":{{"outputs":{d},"kernel":3,"from":["a"],"name":"{}"}}}},{{"add":{{"from":["up"]}}}},"relu",{}
            {{"conv2d":{{"outputs":{e},"kernel":1,"from":["sum","up"]}}}},"relu",
            {{"conv2d":{{"outputs":4,"kernel":3}}}},"residual"],"sigma":40,"normalisation":"v/255"}}"#,
            first("a"),
            on("a", a),
            first("sum"),
            on("sum", d),
        );
        let Description { layers, units, .. } = Description::parse(json.as_bytes()).unwrap();
        let [told, ..] = told();
        Recipe { layers, units, patch: 12, average: 0.0, ..told }
    }

    fn trainer(recipe: &Recipe, state: State) -> Trainer {
        Trainer::new(recipe.clone(), crate::train::tests::grey(), state, 1).unwrap()
    }

    #[test]
    fn a_grown_network_is_the_same_function_and_learns_more() {
        let small = recipe([3, 4, 8, 2, 3]);
        let large = [
            recipe([5, 4, 16, 4, 4]),
            with_blocks([3, 4, 8, 2, 3], 1),
            with_blocks([3, 5, 16, 4, 4], 2),
        ];
        for large in large {
            grows(&small, &large);
        }
        // A network that has blocks gets more.
        grows(&with_blocks([3, 4, 8, 2, 3], 1), &with_blocks([3, 4, 8, 2, 3], 3));
    }

    fn grows(small: &Recipe, large: &Recipe) {
        let mut first = trainer(small, State::new(small).unwrap());
        for _ in 0..40 {
            first.step(1e-3).unwrap();
        }
        let model = first.model().unwrap();
        let mut grown = trainer(large, State::from_model(large, &model).unwrap());
        let units: Vec<f32> = (0..24 * 16).map(|i| (i as f32 * 0.7).sin().abs()).collect();
        let denoised = |model: &crate::model::FloatModel| {
            let relu = |values: &mut [f32]| model.activation.apply(values);
            model
                .denoise_at(&units, Size::new(24, 16), model.plane(20.0), &relu, &mut |_| ())
                .unwrap()
        };
        let same = denoised(&grown.model().unwrap());
        let pairs = same.iter().zip(denoised(&model));
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
        // Weights move within two steps, those of new channels too; but for ReLU that is 0 everywhere.
        let before = grown.state().weights.clone();
        for _ in 0..2 {
            grown.step(1e-3).unwrap();
        }
        for (before, after) in before.iter().zip(&grown.state().weights) {
            let moved = before.weights.iter().zip(&after.weights).filter(|(a, b)| a != b).count();
            assert!(moved * 10 > before.weights.len() * 5, "{moved} of {}", before.weights.len());
        }
    }

    #[test]
    fn only_larger_networks_begin_as_others() {
        let own = recipe([3, 4, 8, 2, 3]);
        let model = trainer(&own, State::new(&own).unwrap()).model().unwrap();
        let mut other = recipe([3, 4, 8, 2, 4]);
        other.layers.pop();
        // The second layer of a block must have what it is added to.
        let mut open = with_blocks([3, 4, 8, 2, 3], 1);
        let added = open.layers.iter().position(|layer| matches!(layer, Layer::Add { .. }));
        open.layers.remove(added.unwrap());
        for other in [recipe([3, 3, 8, 2, 3]), recipe([2, 4, 8, 2, 3]), other, open] {
            let error = State::from_model(&other, &model).unwrap_err();
            assert!(matches!(error, TrainError::OtherShapes { .. }), "{error}");
        }
    }
}
