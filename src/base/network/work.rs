//! What an image costs on its way through a network, in counts that have prices.

use super::{LinearShape, Network, NetworkError};
use crate::size::Size;

/// Counts of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Values that go through an activation.
    pub activations: u64,
    /// Of all matrix products, as they are computed: a transposed convolution's zeros count too.
    pub multiply_adds: u64,
    /// Values of windows, which are gathered from maps for the products: a pixel is in as many as it has neighbours.
    pub gathered: u64,
}

impl<L: LinearShape, A> Network<L, A> {
    /// The work of an image of `size`.
    ///
    /// # Errors
    /// As [`Network::grids`].
    pub fn work(&self, size: Size) -> Result<Work, NetworkError> {
        let (mut multiply_adds, mut gathered) = (0, 0);
        for grid in self.grids(size)? {
            let linears = self.linears().filter(|(op, _)| grid.stage.ops.contains(op));
            let weights: usize = linears.map(|(_, l)| l.inputs() * l.outputs()).sum();
            multiply_adds += (grid.rows() * weights) as u64;
            gathered += (grid.rows() * grid.stage.inputs()) as u64;
        }
        let activations = self.activation_count(size)? as u64;
        Ok(Work { activations, multiply_adds, gathered })
    }
}
