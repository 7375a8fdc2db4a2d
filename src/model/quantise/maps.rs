//! The scales of maps while a model is quantised.

use crate::model::activation::{ActivationSpec, Evaluation, InputRange};
use crate::model::float::FloatModel;
use crate::model::piecewise::PlanError;
use crate::model::public::InputSpec;
use crate::network::{Op, Source};
use crate::numbers::fixed::exp2;
use std::collections::HashMap;

/// Values whose scale is known, or still to be chosen.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Of a scale: fraction bits, the largest magnitude, and by how much made material may have moved them.
    Scaled { frac: u32, largest: i128, moved: i128, linear: bool },
    /// What activation `op` gives of a range.
    Activated { op: usize, range: InputRange },
}

/// What a linear op reads and adds.
pub(super) struct Feeds<'a> {
    /// Values, in order, and the columns that they have; none are added.
    pub(super) values: Vec<(Value, Option<usize>)>,
    /// Where they are kept.
    places: Vec<Place>,
    model: &'a FloatModel,
    evaluation: &'a dyn Evaluation,
}

/// A value at a scale.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) frac: u32,
    pub(super) largest: i128,
    pub(super) moved: i128,
    /// Inputs that it is; none if it is added.
    pub(super) columns: Option<usize>,
    /// The activation that was scaled, by op.
    activation: Option<(usize, Chosen)>,
}

/// The range and the scale of an activation's results.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Chosen {
    range: InputRange,
    frac: u32,
}

impl Chosen {
    /// Activation `op` in integers.
    fn spec(
        self,
        op: usize,
        model: &FloatModel,
        evaluation: &dyn Evaluation,
    ) -> Result<ActivationSpec, PlanError> {
        evaluation.spec(model.network.activations_before(op), self.range, self.frac)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Map(usize),
    Plane,
    /// What the activation before the op gave.
    Inner,
}

/// The values that there are so far.
pub(super) struct Maps<'a> {
    model: &'a FloatModel,
    evaluation: &'a dyn Evaluation,
    maps: Vec<Option<Value>>,
    plane: Value,
    inner: Option<Value>,
    activations: HashMap<usize, Chosen>,
}

impl Feeds<'_> {
    /// All of them, where scales that are still to be chosen are `frac`.
    pub(super) fn at(&self, frac: u32) -> Result<Vec<Feed>, PlanError> {
        self.values.iter().map(|(value, columns)| self.scaled(value, *columns, frac)).collect()
    }

    fn scaled(&self, value: &Value, columns: Option<usize>, frac: u32) -> Result<Feed, PlanError> {
        match *value {
            Value::Scaled { frac, largest, moved, .. } => {
                Ok(Feed { frac, largest, moved, columns, activation: None })
            }
            Value::Activated { op, range } => {
                let chosen = Chosen { range, frac };
                let largest = chosen.spec(op, self.model, self.evaluation)?.max_abs().into();
                let activation = Some((op, chosen));
                Ok(Feed { frac, largest, moved: 0, columns, activation })
            }
        }
    }

    /// The most fraction bits of a value whose scale is known.
    pub(super) fn finest(&self) -> u32 {
        let frac = |(value, _): &(Value, _)| match value {
            Value::Scaled { frac, .. } => *frac,
            Value::Activated { .. } => 0,
        };
        self.values.iter().map(frac).max().unwrap_or(0)
    }

    /// Whether a map without activation is among them.
    pub(super) fn linear(&self) -> bool {
        self.values.iter().any(|(value, _)| matches!(value, Value::Scaled { linear: true, .. }))
    }
}

impl<'a> Maps<'a> {
    pub(super) fn new(
        model: &'a FloatModel,
        evaluation: &'a dyn Evaluation,
        input: InputSpec,
    ) -> Maps<'a> {
        let of = |largest: i64| Value::Scaled {
            frac: input.frac_bits,
            largest: largest.into(),
            moved: 0,
            linear: false,
        };
        let mut maps = vec![None; model.network.maps().len()];
        maps[0] = Some(of(input.limit()));
        // No image has more noise than the model was trained for.
        let plane = (model.plane(model.sigma) * exp2(input.frac_bits)).round() as i64;
        let (plane, activations) = (of(plane), HashMap::new());
        Maps { model, evaluation, maps, plane, inner: None, activations }
    }

    /// What linear op `op` reads, and what is added to its products.
    pub(super) fn feeds(&self, op: usize) -> Feeds<'a> {
        let network = &self.model.network;
        let stage = network.stage_of(op);
        let mut places: Vec<(Place, Option<usize>)> = Vec::new();
        if stage.first_linear() == op {
            for (read, channels) in stage.reads.iter().zip(&stage.channels) {
                let place = match read.from {
                    Source::Map(number) => Place::Map(number),
                    Source::Plane => Place::Plane,
                };
                places.push((place, Some(read.gather.patch.pow(2) * channels)));
            }
        } else if let Op::Linear(l) = &network.ops()[op] {
            places.push((Place::Inner, Some(l.weights.ncols())));
        }
        if let Some(Op::Add(maps)) = network.ops().get(op + 1) {
            places.extend(maps.iter().map(|map| (Place::Map(*map), None)));
        }
        let value = |(place, columns): &(Place, Option<usize>)| (self.value(*place), *columns);
        Feeds {
            values: places.iter().map(value).collect(),
            places: places.iter().map(|(place, _)| *place).collect(),
            model: self.model,
            evaluation: self.evaluation,
        }
    }

    fn value(&self, place: Place) -> Value {
        let found = match place {
            Place::Map(number) => self.maps[number].as_ref(),
            Place::Plane => Some(&self.plane),
            Place::Inner => self.inner.as_ref(),
        };
        found.expect("the network was checked: what is read was made before").clone()
    }

    /// Keeps the scales that a layer chose for what it reads and adds.
    pub(super) fn settle(&mut self, feeds: &Feeds<'_>, settled: &[Feed]) {
        for (place, feed) in feeds.places.iter().zip(settled) {
            let Some((op, chosen)) = feed.activation else { continue };
            self.activations.insert(op, chosen);
            let Feed { frac, largest, moved, .. } = *feed;
            let value = Value::Scaled { frac, largest, moved, linear: false };
            match *place {
                Place::Map(number) => self.maps[number] = Some(value),
                Place::Inner => self.inner = Some(value),
                Place::Plane => {}
            }
        }
    }

    /// What linear op `op` gives.
    pub(super) fn made(&mut self, op: usize, value: Value) {
        let network = &self.model.network;
        let stages = network.stages();
        let number = stages.partition_point(|stage| stage.ops.end <= op) + 1;
        let later =
            network.linears().any(|(at, _)| at > op && stages[number - 1].ops.contains(&at));
        match self.maps.get_mut(number).filter(|_| !later) {
            Some(map) => *map = Some(value),
            None => self.inner = Some(value),
        }
    }

    /// All activations in integers, by op.
    pub(super) fn activations(self) -> Result<HashMap<usize, ActivationSpec>, PlanError> {
        let spec = |(op, chosen): (&usize, &Chosen)| {
            Ok((*op, chosen.spec(*op, self.model, self.evaluation)?))
        };
        self.activations.iter().map(spec).collect()
    }
}
