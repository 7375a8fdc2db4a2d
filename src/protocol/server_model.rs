//! One server's share of a model, ready for online use.
//!
//! Linear layers are matrix Beaver triples with X reused for the model: U = G - X is opened once a
//! model, and for each batch V = A - Y, Z = X Y from the dealer:
//! `[GA]_i = (X_i + i U) V + (U Y_i + Z_i)` (the paper's Fig. 3; Beaver 1991). Both products of a
//! layer are matrix products with a constant left side, packed once. A layer that reads several maps has their V
//! below one another. Of a public input V is the value itself and Y is 0: its columns are in the first product only.

use super::{MaskProducts, ProtocolError, SourceError};
use crate::crypto::prg::Seed;
use crate::ids::Digest;
use crate::ids::Party;
use crate::kernels::{PackedWeights, matmul_acc_by_rows};
use crate::material::weight_mask;
use crate::model::{LinearSpec, PublicModel};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::wire::{Channel, Tag};
use zeroize::Zeroizing;

/// Supplies a server's share of one op's weights (row-major) and biases.
pub trait WeightSource<R> {
    /// The share of op `op`: `spec.weights()` weights, then `spec.outputs` biases.
    ///
    /// # Errors
    /// Whatever reading it gives.
    fn share(&mut self, op: usize, spec: &LinearSpec) -> Result<Vec<R>, SourceError>;
}

/// A server's share of a model after the opening of U.
pub struct ServerModel<R: Ring> {
    /// Which server this is.
    pub party: Party,
    /// The public description.
    pub public: PublicModel,
    /// U, applied to Y_i where that was not done ahead of time.
    pub(super) masks: MaskProducts<R>,
    layers: Vec<(usize, Layer<R>)>,
}

struct Layer<R: Ring> {
    /// X_i + i U, applied to V.
    on_opened: PackedWeights<R>,
    bias: Zeroizing<Vec<R>>,
}

/// A server's half of U = G - X and its shares of the biases: what it has before anything leaves.
pub struct MaskedWeights<R: Ring> {
    party: Party,
    public: PublicModel,
    mask_seed: Seed,
    /// One vector an op, row-major. The other server gets them; to it they are uniform.
    halves: Vec<Vec<R>>,
    biases: Vec<Zeroizing<Vec<R>>>,
}

impl<R: Ring> MaskedWeights<R> {
    /// Reads this server's share of the weights and subtracts its half of X.
    ///
    /// # Errors
    /// [`ProtocolError::Source`] from `weights`.
    pub fn new(
        party: Party,
        public: PublicModel,
        weights: &mut dyn WeightSource<R>,
        mask_seed: &Seed,
    ) -> Result<Self, ProtocolError> {
        let (mut halves, mut biases) = (Vec::new(), Vec::new());
        for (op, spec) in public.network.linears() {
            let mut share = weights.share(op, spec).map_err(ProtocolError::Source)?;
            biases.push(Zeroizing::new(share.split_off(spec.weights())));
            let x = Zeroizing::new(weight_mask::<R>(mask_seed, op, spec.weights()));
            ring::sub_assign(&mut share, &x);
            halves.push(share);
        }
        let mask_seed = Seed::from_bytes(*mask_seed.expose());
        Ok(MaskedWeights { party, public, mask_seed, halves, biases })
    }

    /// The digest of this server's half of U, which has to be the same whenever this X is opened.
    pub fn digest(&self) -> Digest {
        weights_digest(&self.halves)
    }

    /// Opens U with the other server, or takes it from `cached` (one vector an op, row-major, as a
    /// former call returned it), and prepares the layers.
    ///
    /// Returns U in the same form. Opening is repeatable as long as both halves are what they were:
    /// [`MaskedWeights::digest`] is for the caller to compare.
    /// Cost: 1 round and l / 8 bytes a weight for each op unless cached.
    /// Security: semi-honest; U is uniform since X is, and X belongs to these weights alone.
    ///
    /// # Errors
    /// [`ProtocolError::Net`] from the channel.
    pub fn open(
        self,
        channel: &mut dyn Channel,
        cached: Option<Vec<Vec<R>>>,
    ) -> Result<(ServerModel<R>, Vec<Vec<R>>), ProtocolError> {
        let MaskedWeights { party, public, mask_seed, halves, biases } = self;
        let known = cached.is_some();
        let mut opened = cached.unwrap_or(halves);
        let mut layers = Vec::new();
        for (((op, spec), u), bias) in public.network.linears().zip(&mut opened).zip(biases) {
            if !known {
                let theirs = channel.exchange(Tag::Weights, &ring::to_le_bytes(u))?;
                let theirs = ring::from_le_bytes(&theirs).expect("exchange keeps the length");
                ring::add_assign(u, &theirs);
            }
            let mut x = Zeroizing::new(weight_mask::<R>(&mask_seed, op, spec.weights()));
            if party == Party::S1 {
                ring::add_assign(&mut x, u);
            }
            let layer =
                Layer { on_opened: PackedWeights::pack(spec.outputs, spec.inputs, &x), bias };
            layers.push((op, layer));
        }
        let masks = MaskProducts::new(&public, &opened);
        Ok((ServerModel { party, public, masks, layers }, opened))
    }
}

/// One digest over all of U, or over a half of it. Both servers know all of these, so it may be sent
/// from one to the other; and to test a guess of the weights takes the guesser X.
pub(crate) fn weights_digest<R: Ring>(weights: &[Vec<R>]) -> Digest {
    let parts = weights.iter().map(|u| *Digest::of(&ring::to_le_bytes(u)).as_bytes());
    Digest::of(&parts.collect::<Vec<_>>().concat())
}

impl<R: Ring> ServerModel<R> {
    /// Turns `acc`, this party's U Y_i + Z_i, into its share of `G A + b` for one batch.
    ///
    /// Shapes: opened V p x n, `acc` p x m, row-major by patch. Scale: that of the products. Cost:
    /// local; V was opened before.
    pub(super) fn linear(&self, op: usize, opened: &[R], acc: &mut [R]) {
        let layer = self.layer(op);
        let add_bias = |row: &mut [R]| ring::add_assign(row, &layer.bias);
        matmul_acc_by_rows(&layer.on_opened, opened, acc, add_bias);
    }

    fn layer(&self, op: usize) -> &Layer<R> {
        let found = self.layers.iter().find(|(at, _)| *at == op);
        &found.expect("only called for the linear ops it was made from").1
    }
}
