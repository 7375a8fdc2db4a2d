//! Networks on patches, layer by layer.

use super::{FloatLinear, FloatModel};
use crate::model::Normalisation;
use crate::model::activation::Activation;
use crate::network::{Fold, Gather, Network, NetworkError, Op, gaussian_window};

impl FloatModel {
    /// A network on patches: linear layers with tanh between them, `hidden` their outputs but for the last
    /// one's, which is the inner patch; results are put together under a Gaussian window. `layer` gives each
    /// layer by its (inputs, outputs). For noise of 25 grey levels in the units of Burger et al.
    ///
    /// # Errors
    /// [`NetworkError`] if gather and layers do not follow one another.
    pub fn on_patches(
        gather: Gather,
        hidden: &[usize],
        residual: bool,
        mut layer: impl FnMut(usize, usize) -> FloatLinear,
    ) -> Result<FloatModel, NetworkError> {
        let inner = gather.inner();
        let mut sizes = vec![gather.patch * gather.patch];
        sizes.extend(hidden);
        sizes.push(inner * inner);
        let mut ops = vec![Op::read(0, gather)];
        for (i, pair) in sizes.windows(2).enumerate() {
            if i > 0 {
                ops.push(Op::Activation(()));
            }
            ops.push(Op::Linear(layer(pair[0], pair[1])));
        }
        if residual {
            ops.push(Op::Residual);
        }
        ops.push(Op::Fold(Fold { patch: inner, window: gaussian_window(inner) }));
        Ok(FloatModel {
            network: Network::new(ops)?,
            sigma: 25.0,
            units: Normalisation::BURGER,
            activation: Activation::Tanh,
            extremes: None,
            piecewise: None,
            mean_shift: false,
        })
    }
}
