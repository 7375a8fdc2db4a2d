//! What training changes, and where it begins: random weights, or those of a model.

use super::grown::Growth;
use super::normal::{Normals, SplitMix};
use super::optimiser::{LayerState, Update, bound_rows, slice_mut};
use super::pass::zeros;
use super::tails::Seen;
use super::tied::Ties;
use super::units::in_units;
use super::{LayerShape, MEAN_OFFSET, Recipe, TrainError};
use crate::model::{FloatLinear, FloatModel};
use crate::network::Op;

/// All that changes in training: enough to go on from.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// The weights that gradients are taken at, for levels in the units of batches.
    pub weights: Vec<FloatLinear>,
    /// Their running average: the model.
    pub average: Vec<FloatLinear>,
    /// The mean of gradients.
    pub(super) first: Vec<FloatLinear>,
    /// Adam's mean of squared gradients.
    pub(super) second: Vec<FloatLinear>,
    /// The values before activations of late, if the recipe keeps tails short; zeros if not.
    pub(super) seen: Seen,
}

impl State {
    /// Random first weights: normal, of variance 1 / inputs, 2 / inputs before a ReLU, which halves what
    /// goes through it (He et al., 2015); biases are 0.
    ///
    /// # Errors
    /// As [`Recipe::check`].
    pub fn new(recipe: &Recipe) -> Result<Self, TrainError> {
        recipe.check()?;
        let normals = Normals::new();
        let network = recipe.network()?;
        let ties = Ties::new(&network);
        let before_activation = recipe.description().activation().rules().first_variance();
        let layers = network.linears().enumerate().map(|(i, (op, shape))| {
            let activated = network.ops()[op + 1..].iter().find(|op| !matches!(op, Op::Add(_)));
            let is_hidden = activated.is_some_and(Op::is_activation);
            let gain = if is_hidden { before_activation } else { 1.0 };
            let mut layer = zeros(LayerShape::of(shape));
            let inputs = ties.inputs(i, &layer);
            let mut rng = SplitMix::at(recipe.seed, u64::MAX, i as u64);
            normals.fill(&mut rng, (gain / inputs as f32).sqrt(), slice_mut(&mut layer.weights));
            ties.mask(i, &mut layer.weights);
            layer
        });
        Self::of(recipe, layers.collect())
    }

    /// The weights of a model, to be trained further. The network of the recipe may be wider, and deeper by residual
    /// blocks: it is then the same function at first, with channels that are still random and that nothing reads.
    ///
    /// # Errors
    /// [`TrainError::OtherShapes`] if its layers differ from those of the recipe in anything else.
    pub fn from_model(recipe: &Recipe, model: &FloatModel) -> Result<Self, TrainError> {
        if model.network.is_of_colours() {
            return Err(TrainError::Colours);
        }
        let layer = |(_, l): (usize, &FloatLinear)| FloatLinear {
            weights: l.weights.as_standard_layout().into_owned(),
            bias: l.bias.clone(),
        };
        let mut layers: Vec<_> = model.network.linears().map(layer).collect();
        in_units(&model.network, &mut layers, model.units, recipe.batch_units()?);
        if let Err(other) = recipe.check_layers(model) {
            let (large, description) = (recipe.network()?, recipe.description());
            let alike = !recipe.mean_shift
                && (model.mean_shift, model.units) == (false, recipe.units)
                && model.activation == description.activation();
            let growth = Growth::between(&large, &model.network, model.activation)
                .filter(|_| alike)
                .ok_or(other)?;
            let mut weights = State::new(recipe)?.weights;
            growth.place(&large, &mut weights, &model.network, &layers);
            return Self::of(recipe, weights);
        }
        if let (true, false, Some(last)) =
            (recipe.mean_shift, recipe.is_residual(), layers.last_mut())
        {
            // A model has it in its bias, of which training knows nothing.
            last.bias -= MEAN_OFFSET;
        }
        Self::of(recipe, layers)
    }

    fn of(recipe: &Recipe, mut weights: Vec<FloatLinear>) -> Result<Self, TrainError> {
        let count = weights.len();
        for (i, layer) in weights.iter_mut().enumerate() {
            bound_rows(recipe.bound, i, count, layer);
        }
        let shapes = recipe.shapes()?;
        let seen = Seen::new(&shapes);
        let moments: Vec<FloatLinear> = shapes.into_iter().map(zeros).collect();
        Ok(State {
            step: 0,
            average: weights.clone(),
            weights,
            first: moments.clone(),
            second: moments,
            seen,
        })
    }

    /// One update by a gradient of length `length`, at learning rate `rate`.
    pub(super) fn follow(
        &mut self,
        recipe: &Recipe,
        ties: &Ties,
        gradient: &[FloatLinear],
        length: f64,
        rate: f64,
    ) {
        let shorten = (recipe.clip / length.max(f64::MIN_POSITIVE)).min(1.0) as f32;
        let (step, layers) = (self.step, gradient.len());
        let update = Update { recipe, ties, layers, step, rate, shorten };
        for (i, gradient) in gradient.iter().enumerate() {
            let layer = LayerState {
                weights: &mut self.weights[i],
                average: &mut self.average[i],
                first: &mut self.first[i],
                second: &mut self.second[i],
            };
            update.layer(i, gradient, layer);
        }
        self.step += 1;
    }
}
