//! Weights that read multiples of what activations give.

use super::FloatModel;
use crate::model::ModelError;
use crate::network::Op;

impl FloatModel {
    /// The same function if every activation gives `factor` times what it is: the weights that read one are smaller.
    ///
    /// # Errors
    /// [`ModelError::MultipleAdded`] if one is added, to what has no weights.
    pub(in crate::model) fn reading(&self, factor: f64) -> Result<FloatModel, ModelError> {
        let (network, stages) = (&self.network, self.network.stages());
        let is_activated = |map: &usize| {
            let ops = stages[map - 1].ops.clone();
            network.ops()[ops]
                .iter()
                .rfind(|op| !matches!(op, Op::Shuffle(_)))
                .is_some_and(Op::is_activation)
        };
        let mut added = network.ops().iter().filter_map(|op| match op {
            Op::Add(maps) => Some(maps),
            _ => None,
        });
        if added.any(|maps| maps.iter().any(|map| *map > 0 && is_activated(map))) {
            return Err(ModelError::MultipleAdded {
                activation: self.activation.to_string(),
                factor,
            });
        }
        // What each output of a linear op is a multiple by when it is read.
        let of_outputs: Vec<Vec<f64>> = network
            .linears()
            .map(|(op, l)| {
                let factor = if network.activation_after(op).is_some() { factor } else { 1.0 };
                vec![factor; l.bias.len()]
            })
            .collect();
        let mut model = self.clone();
        let mut number = 0;
        model.network = network.map(
            |op, l| {
                let factors = self.inputs_of(op, number, &of_outputs, 1.0);
                number += 1;
                let mut l = l.clone();
                for ((_, input), w) in l.weights.indexed_iter_mut() {
                    *w = (f64::from(*w) / factors[input]) as f32;
                }
                l
            },
            |_, ()| (),
        );
        Ok(model)
    }
}
