//! Weights that a layer does not have: a transposed convolution is trained as the convolution to blocks of
//! pixels that it is, of which some weights are always 0 and all pixels of a block have one bias.

use crate::model::{FloatLinear, Weights};
use crate::network::Network;
use ndarray::{Array2, ArrayViewMut1};

/// What is free in each layer.
pub(super) struct Ties(Vec<Option<Tie>>);

struct Tie {
    /// 1 for weights that there are, 0 for others.
    mask: Array2<f32>,
    /// So many outputs in a row have one bias.
    repeated: usize,
}

impl Ties {
    pub(super) fn new(network: &Network<Weights, ()>) -> Self {
        let tie = |(_, weights): (usize, &Weights)| {
            let repeated = weights.repeated();
            let ones = || vec![1.0; weights.shape().iter().product()];
            let tied = (repeated > 1).then(|| weights.arranged(ones()));
            tied.flatten().map(|mask| Tie { mask, repeated })
        };
        Ties(network.linears().map(tie).collect())
    }

    /// Takes away weights of a layer that there are not.
    pub(super) fn mask(&self, index: usize, weights: &mut Array2<f32>) {
        if let Some(tie) = &self.0[index] {
            *weights *= &tie.mask;
        }
    }

    /// How many inputs an output of a layer has.
    pub(super) fn inputs(&self, index: usize, layer: &FloatLinear) -> usize {
        match &self.0[index] {
            Some(tie) => tie.mask.sum() as usize / tie.mask.nrows(),
            None => layer.weights.ncols(),
        }
    }

    /// The gradient of what is free, for every weight and bias that it decides.
    pub(super) fn gradient(&self, gradient: &mut [FloatLinear]) {
        for (i, layer) in gradient.iter_mut().enumerate() {
            self.mask(i, &mut layer.weights);
            let Some(tie) = &self.0[i] else { continue };
            let together = |mut block: ArrayViewMut1<'_, f32>| {
                let sum = block.sum();
                block.fill(sum);
            };
            layer.bias.exact_chunks_mut(tie.repeated).into_iter().for_each(together);
        }
    }
}
