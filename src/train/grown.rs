//! A network that begins as a narrower one: the function is the same at first, and there is room to learn more.
//!
//! Every channel of the narrow network keeps its weights and its place among the channels of its map; the channels
//! behind it have random weights, and whatever reads them begins with 0. So gradients reach what reads the new channels
//! from the first step on, and the new channels themselves from the second (after Net2Net: Chen, Goodfellow, Shlens,
//! ICLR 2016, who copy channels instead).

use crate::model::FloatLinear;
use crate::network::{LinearShape, Network, Op, Stage};
use ndarray::s;

/// Whether `wide` is `narrow` with as many or more channels: ops, reads and the output are the same.
pub(super) fn is_wider<L: LinearShape, M: LinearShape>(
    wide: &Network<L, ()>,
    narrow: &Network<M, ()>,
) -> bool {
    let last = narrow.linears().last().map(|(op, _)| op);
    let mut pairs = wide.ops().iter().zip(narrow.ops()).enumerate();
    wide.ops().len() == narrow.ops().len()
        && pairs.all(|(at, ops)| match ops {
            (Op::Linear(wide), Op::Linear(narrow)) if Some(at) == last => {
                wide.outputs() == narrow.outputs()
            }
            (Op::Linear(wide), Op::Linear(narrow)) => wide.outputs() >= narrow.outputs(),
            (Op::Gather(wide), Op::Gather(narrow)) => wide == narrow,
            (Op::Add(wide), Op::Add(narrow)) => wide == narrow,
            (Op::Activation(()), Op::Activation(())) | (Op::Residual, Op::Residual) => true,
            (Op::Shuffle(wide), Op::Shuffle(narrow)) => wide == narrow,
            (Op::Mean, Op::Mean) => true,
            (Op::Fold(wide), Op::Fold(narrow)) => wide == narrow,
            _ => false,
        })
}

/// Puts the layers of a narrow network into the random ones of a network that [`is_wider`].
pub(super) fn place<L: LinearShape, M: LinearShape>(
    (wide, random): (&Network<L, ()>, &mut [FloatLinear]),
    (narrow, layers): (&Network<M, ()>, &[FloatLinear]),
) {
    for (((op, _), into), from) in wide.linears().zip(random).zip(layers) {
        let columns = match (wide.stage_of(op), narrow.stage_of(op)) {
            (wide, narrow) if wide.first_linear() == op => columns(wide, narrow),
            _ => (0..from.inputs()).collect(),
        };
        let rows = from.outputs();
        into.weights.slice_mut(s![..rows, ..]).fill(0.0);
        for (&column, weights) in columns.iter().zip(from.weights.columns()) {
            into.weights.slice_mut(s![..rows, column]).assign(&weights);
        }
        into.bias.slice_mut(s![..rows]).assign(&from.bias);
    }
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
    use crate::model::Description;
    use crate::train::tests::told;
    use crate::train::{Recipe, State, TrainError, Trainer};

    /// A network with a skip, a shuffle and a plane; widths of its six layers but the last.
    fn recipe(widths: [usize; 5]) -> Recipe {
        let [a, b, c, d, e] = widths;
        let json = format!(
            r#"{{"layers":[{{"blocks":{{"size":2}}}},
            {{"conv2d":{{"outputs":{a},"kernel":3,"from":["image","noise"],"name":"a"}}}},"relu",
            {{"conv2d":{{"outputs":{b},"kernel":3,"stride":2}}}},"relu",
            {{"conv2d":{{"outputs":{c},"kernel":3,"name":"up"}}}},{{"shuffle":{{"factor":2}}}},
            {{"conv2d":{{"outputs":{d},"kernel":3,"from":["a"],"name":"sum"}}}},{{"add":{{"from":["up"]}}}},"relu",
            {{"conv2d":{{"outputs":{e},"kernel":1,"from":["sum","up"]}}}},"relu",
            {{"conv2d":{{"outputs":4,"kernel":3}}}},"residual"],"sigma":40,"normalisation":"v/255"}}"#
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
        let (narrow, wide) = (recipe([3, 4, 8, 2, 3]), recipe([5, 4, 16, 4, 4]));
        let mut first = trainer(&narrow, State::new(&narrow).unwrap());
        for _ in 0..40 {
            first.step(1e-3).unwrap();
        }
        let model = first.model().unwrap();
        let mut grown = trainer(&wide, State::from_model(&wide, &model).unwrap());
        let units: Vec<f32> = (0..24 * 16).map(|i| (i as f32 * 0.7).sin().abs()).collect();
        let denoised = |model: &crate::model::FloatModel| {
            let relu = |values: &mut [f32]| model.nonlinearity.apply(values);
            model.denoise_at(&units, (24, 16), model.plane(20.0), &relu, &mut |_| ()).unwrap()
        };
        let same = denoised(&grown.model().unwrap());
        let pairs = same.iter().zip(denoised(&model));
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
        // All weights move within two steps, those of new channels too.
        let before = grown.state().weights.clone();
        for _ in 0..2 {
            grown.step(1e-3).unwrap();
        }
        for (before, after) in before.iter().zip(&grown.state().weights) {
            let moved = before.weights.iter().zip(&after.weights).filter(|(a, b)| a != b).count();
            assert!(moved * 10 > before.weights.len() * 8, "{moved} of {}", before.weights.len());
        }
    }

    #[test]
    fn only_wider_networks_begin_as_others() {
        let own = recipe([3, 4, 8, 2, 3]);
        let model = trainer(&own, State::new(&own).unwrap()).model().unwrap();
        let mut other = recipe([3, 4, 8, 2, 4]);
        other.layers.pop();
        for other in [recipe([3, 3, 8, 2, 3]), recipe([2, 4, 8, 2, 3]), other] {
            let error = State::from_model(&other, &model).unwrap_err();
            assert!(matches!(error, TrainError::OtherShapes { .. }), "{error}");
        }
    }
}
