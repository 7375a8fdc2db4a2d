//! A network is a list of ops; everything that evaluates one walks the same list.
//!
//! The float reference, the integer twin, the dealer and the servers differ in what a linear op
//! and an activation carry (weights, scales, tables), so [`Op`] is generic over the two; shapes are
//! checked here and nowhere else.
//!
//! May use: nothing of this crate. Pure.
//!
//! Security: the list of ops and every size are public.

mod check;
mod grid;
mod reach;

pub use grid::{MAX_PIXELS, PatchGrid, gaussian_window};
pub use reach::Reach;

use crate::ids::bounded::at_most;
use serde::{Deserialize, Serialize};

/// The most features any layer may have: keeps every product of sizes far from overflow.
pub const MAX_WIDTH: usize = 1 << 16;
/// The most weights of a whole network.
pub const MAX_WEIGHTS: usize = 1 << 28;
/// The most ops of a network: twice what a model of 64 hidden layers has.
pub const MAX_OPS: usize = 256;
/// The most values of a map between two layers, of which a server keeps two: 16 GiB of 32 bits each.
pub const MAX_MAP: usize = 1 << 32;
/// The largest patch side.
pub const MAX_PATCH: usize = 127;
/// The most weights of an output patch.
const MAX_WINDOW: usize = MAX_PATCH * MAX_PATCH;

/// Why a network, or an image for it, is not acceptable.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkError {
    /// The image has fewer rows or columns than a patch, or than what is predicted of one.
    #[error("the image is {height}x{width}, smaller than the model's {patch}x{patch} patch")]
    ImageTooSmall {
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
        /// Side of the patch.
        patch: usize,
    },
    /// The image has more than [`MAX_PIXELS`] pixels.
    #[error("the image is {height}x{width}, more than {MAX_PIXELS} pixels")]
    ImageTooLarge {
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
    /// A map between two layers would have more than [`MAX_MAP`] values.
    #[error(
        "the image is {height}x{width}, too large for maps of {channels} channels: they may have at \
         most {MAX_MAP} values"
    )]
    MapTooLarge {
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
        /// Channels of the widest map.
        channels: usize,
    },
    /// The ops do not form a network this program evaluates.
    #[error("op {op} of the network: {reason}")]
    Op {
        /// Index in the list.
        op: usize,
        /// What is wrong.
        reason: String,
    },
}

/// How a map goes on beyond its border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Border {
    /// Mirrored, the border itself not repeated.
    Reflect,
    /// With zeros.
    Zero,
}

/// Cuts patches out of the image, or of the map that the ops before made, one feature a channel:
/// (height, width, channels) to rows of patch^2 x channels features.
///
/// Rows are the pixels of the next map: gather and linear op are a convolution, with a stride if the
/// gather has one. A stride s of the first, which reads the image, makes maps of 1/s^2 as many pixels,
/// and as many pixels of the image are predicted from each (as in FFDNet, Zhang et al., 2018).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// Side of a patch.
    pub patch: usize,
    /// Pixels between patches.
    pub stride: usize,
    /// Pixels beyond the border on each side; the centre patch - 2 pad pixels are predicted.
    pub pad: usize,
    /// What they are.
    pub border: Border,
}

impl Gather {
    /// The patches of a convolution with an odd kernel: one at every pixel, zeros beyond the border.
    pub fn convolution(kernel: usize) -> Gather {
        Gather { patch: kernel, stride: 1, pad: kernel / 2, border: Border::Zero }
    }

    /// Side of the predicted patch.
    pub fn inner(&self) -> usize {
        self.patch - 2 * self.pad
    }
}

/// The ops from a gather to before the next, or to the end: each patch goes through them by itself.
/// Rows are the same patches in every stage of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Indices of the ops; the first is the gather.
    pub ops: std::ops::Range<usize>,
    /// Features a pixel of the map that the stage reads.
    pub channels: usize,
    /// How it is cut.
    pub gather: Gather,
}

impl Stage {
    /// The linear op behind the gather, to which the mask of the map belongs.
    pub fn first_linear(&self) -> usize {
        self.ops.start + 1
    }
}

/// Adds the weighted output patches up in an image: rows of patch^2 features to (1, height, width).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Side of an output patch.
    pub patch: usize,
    /// Integer weights, row-major, patch^2 of them.
    #[serde(deserialize_with = "at_most::<_, _, MAX_WINDOW>")]
    pub window: Vec<u16>,
}

/// What every payload of a linear op can say of itself.
pub trait LinearShape {
    /// Features in.
    fn inputs(&self) -> usize;
    /// Features out.
    fn outputs(&self) -> usize;
}

/// One step of a network. `L` is what a linear op carries, `A` what an activation carries.
///
/// In JSON its name is outside its fields, so that it is read as it comes: a name among them would have
/// everything before it kept in memory, and would let unknown fields pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op<L, A> {
    /// Patches of the image.
    Gather(Gather),
    /// A matrix product and a bias.
    Linear(L),
    /// A bounded function of each feature.
    Activation(A),
    /// The centre of the input patch minus the features so far.
    Residual,
    /// The features so far plus the mean of the input patch (the paper's section 4.5).
    Mean,
    /// Weighted aggregation into an image.
    Fold(Fold),
}

impl<L, A> Op<L, A> {
    /// Whether it is an activation.
    pub fn is_activation(&self) -> bool {
        matches!(self, Op::Activation(_))
    }
}

/// A checked list of ops: gather, linear (activation gather? linear)*, (residual or mean)?, fold.
/// Gathers after the first make a network convolutional; they have stride 1. What is predicted and
/// folded are the centres of the first's patches.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<L, A> {
    ops: Vec<Op<L, A>>,
}

impl<L: LinearShape, A> Network<L, A> {
    /// Checks that the ops follow one another and that their shapes chain.
    ///
    /// # Errors
    /// [`NetworkError::Op`] naming the first op that does not fit.
    pub fn new(ops: Vec<Op<L, A>>) -> Result<Self, NetworkError> {
        if ops.len() > MAX_OPS {
            let reason = format!("{} ops, at most {MAX_OPS} are supported", ops.len());
            return Err(NetworkError::Op { op: MAX_OPS, reason });
        }
        check::order(&ops)?;
        Ok(Network { ops })
    }

    /// All ops in order.
    pub fn ops(&self) -> &[Op<L, A>] {
        &self.ops
    }

    /// The first op, which reads the image; its centres are predicted.
    pub fn gather(&self) -> &Gather {
        match &self.ops[0] {
            Op::Gather(g) => g,
            _ => unreachable!("checked by new: the first op is a gather"),
        }
    }

    /// The last op.
    pub fn fold(&self) -> &Fold {
        match &self.ops[self.ops.len() - 1] {
            Op::Fold(f) => f,
            _ => unreachable!("checked by new: the last op is a fold"),
        }
    }

    /// Whether the output is subtracted from the centre of the input patch.
    pub fn is_residual(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Residual))
    }

    /// Whether the mean of the input patch is added to the output.
    pub fn adds_mean(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Mean))
    }

    /// The linear ops with their index in the list.
    pub fn linears(&self) -> impl Iterator<Item = (usize, &L)> {
        self.ops.iter().enumerate().filter_map(|(i, op)| match op {
            Op::Linear(l) => Some((i, l)),
            _ => None,
        })
    }

    /// The activations with their index in the list and the number of features they act on.
    pub fn activations(&self) -> impl Iterator<Item = (usize, &A, usize)> {
        let mut features = 0;
        self.ops.iter().enumerate().filter_map(move |(i, op)| match op {
            Op::Linear(l) => {
                features = l.outputs();
                None
            }
            Op::Activation(a) => Some((i, a, features)),
            _ => None,
        })
    }

    /// The patch grid of an image for this network, which reads the image and places the output.
    ///
    /// # Errors
    /// As [`PatchGrid::new`].
    pub fn grid(&self, size: (usize, usize)) -> Result<PatchGrid, NetworkError> {
        Ok(self.grids(size)?.swap_remove(0).1)
    }

    /// The stages, in order; one for a network on patches, one a layer for a convolutional network.
    pub fn stages(&self) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::new();
        let mut features = 1;
        for (op, step) in self.ops.iter().enumerate() {
            match step {
                Op::Gather(gather) => {
                    let ops = op..op;
                    stages.push(Stage { ops, channels: features, gather: *gather });
                }
                Op::Linear(l) => features = l.outputs(),
                _ => {}
            }
            if let Some(stage) = stages.last_mut() {
                stage.ops.end = op + 1;
            }
        }
        stages
    }

    /// The stages with their grids on an image of `size`.
    ///
    /// # Errors
    /// As [`PatchGrid::new`].
    pub fn grids(&self, size: (usize, usize)) -> Result<Vec<(Stage, PatchGrid)>, NetworkError> {
        let (stages, first) = (self.stages(), PatchGrid::new(size, 1, self.gather())?);
        let channels = stages.iter().map(|stage| stage.channels).max().unwrap_or(1);
        if first.rows() > MAX_MAP / channels {
            let (height, width) = size;
            return Err(NetworkError::MapTooLarge { height, width, channels });
        }
        let grid = |(number, stage): (usize, Stage)| {
            let size = if number == 0 { size } else { first.map_size() };
            PatchGrid::new(size, stage.channels, &stage.gather).map(|grid| (stage, grid))
        };
        stages.into_iter().enumerate().map(grid).collect()
    }

    /// Whether it is made of convolutions.
    pub fn is_convolutional(&self) -> bool {
        self.ops.iter().filter(|op| matches!(op, Op::Gather(_))).count() > 1
    }

    /// Activations a patch.
    pub fn activations_per_row(&self) -> usize {
        self.activations().map(|(_, _, features)| features).sum()
    }

    /// The same list with other payloads.
    pub fn map<L2: LinearShape, A2>(
        &self,
        mut linear: impl FnMut(usize, &L) -> L2,
        mut activation: impl FnMut(usize, &A) -> A2,
    ) -> Network<L2, A2> {
        let ops = self.ops.iter().enumerate().map(|(i, op)| match op {
            Op::Gather(g) => Op::Gather(*g),
            Op::Linear(l) => Op::Linear(linear(i, l)),
            Op::Activation(a) => Op::Activation(activation(i, a)),
            Op::Residual => Op::Residual,
            Op::Mean => Op::Mean,
            Op::Fold(f) => Op::Fold(f.clone()),
        });
        Network { ops: ops.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Shape(usize, usize);
    impl LinearShape for Shape {
        fn inputs(&self) -> usize {
            self.0
        }
        fn outputs(&self) -> usize {
            self.1
        }
    }
    type TestOp = Op<Shape, ()>;

    fn reflected() -> Gather {
        Gather { patch: 5, stride: 2, pad: 1, border: Border::Reflect }
    }

    fn good() -> Vec<TestOp> {
        vec![
            Op::Gather(reflected()),
            Op::Linear(Shape(25, 4)),
            Op::Activation(()),
            Op::Linear(Shape(4, 9)),
            Op::Residual,
            Op::Fold(Fold { patch: 3, window: gaussian_window(3) }),
        ]
    }

    #[test]
    fn a_good_list_passes() {
        let network = Network::new(good()).unwrap();
        assert_eq!(network.activations_per_row(), 4);
        assert!(network.is_residual());
        assert_eq!(network.linears().map(|(i, _)| i).collect::<Vec<_>>(), [1, 3]);
        let mut ops = good();
        ops[4] = Op::Mean;
        let network = Network::new(ops).unwrap();
        assert!(network.adds_mean() && !network.is_residual());
    }

    #[test]
    fn every_broken_list_is_refused_at_its_op() {
        let edits: [(usize, Option<TestOp>); 11] = [
            (0, None),
            (0, Some(Op::Gather(Gather { patch: 5, stride: 4, ..reflected() }))),
            (0, Some(Op::Gather(Gather { patch: 5, pad: 3, ..reflected() }))),
            (1, Some(Op::Linear(Shape(24, 4)))),
            (1, Some(Op::Activation(()))),
            (3, Some(Op::Linear(Shape(4, 0)))),
            (3, Some(Op::Linear(Shape(4, 8)))),
            (5, Some(Op::Fold(Fold { patch: 3, window: vec![0; 9] }))),
            (2, Some(Op::Mean)),
            (3, Some(Op::Mean)),
            (5, None),
        ];
        for (at, edit) in edits {
            let mut ops = good();
            match edit {
                Some(op) => ops[at] = op,
                None => drop(ops.remove(at)),
            }
            assert!(matches!(Network::new(ops), Err(NetworkError::Op { .. })), "edit at {at}");
        }
    }

    fn convolutional() -> Vec<TestOp> {
        let conv = |kernel, inputs, outputs| {
            [Op::Gather(Gather::convolution(kernel)), Op::Linear(Shape(inputs, outputs))]
        };
        let mut ops = conv(3, 9, 4).to_vec();
        ops.push(Op::Activation(()));
        ops.extend(conv(5, 100, 2));
        ops.push(Op::Activation(()));
        ops.extend(conv(1, 2, 1));
        ops.extend([Op::Residual, Op::Fold(Fold { patch: 1, window: vec![1] })]);
        ops
    }

    #[test]
    fn a_convolutional_network_has_a_stage_a_layer() {
        let network = Network::new(convolutional()).unwrap();
        assert!(network.is_convolutional() && !Network::new(good()).unwrap().is_convolutional());
        let stages = network.stages();
        let found: Vec<_> = stages.iter().map(|s| (s.ops.clone(), s.channels)).collect();
        assert_eq!(found, [(0..3, 1), (3..6, 4), (6..10, 2)]);
        assert_eq!(network.grids((7, 6)).unwrap()[1].1.features(), 7 * 6 * 4);
        assert_eq!(network.grid((7, 6)).unwrap().rows(), 42);
        // Maps of 64 channels at the limit, and a column beyond it.
        let wide = Network::new(vec![
            Op::Gather(Gather::convolution(1)),
            Op::Linear(Shape(1, 64)),
            Op::Activation(()),
            Op::Gather(Gather::convolution(1)),
            Op::Linear(Shape(64, 1)),
            Op::Fold(Fold { patch: 1, window: vec![1] }),
        ])
        .unwrap();
        assert!(wide.grid((1 << 13, 1 << 13)).is_ok());
        let refused =
            NetworkError::MapTooLarge { height: 1 << 13, width: (1 << 13) + 1, channels: 64 };
        assert_eq!(wide.grid((1 << 13, (1 << 13) + 1)), Err(refused.clone()));
        assert_eq!(wide.grids((1 << 13, (1 << 13) + 1)), Err(refused));
        assert_eq!(Network::new(good()).unwrap().stages()[0].ops, 0..6);
    }

    /// The first gather may have a stride: maps are smaller, and as much more is predicted at each of
    /// their pixels.
    #[test]
    fn a_stride_makes_smaller_maps() {
        let strided = |inner: usize| {
            let gather = Gather { patch: inner + 4, stride: 2, pad: 2, border: Border::Reflect };
            let mut ops = convolutional();
            ops[0] = Op::Gather(gather);
            ops[1] = Op::Linear(Shape(gather.patch * gather.patch, 4));
            ops[7] = Op::Linear(Shape(2, inner * inner));
            ops[9] = Op::Fold(Fold { patch: inner, window: gaussian_window(inner) });
            Network::new(ops)
        };
        for inner in [2, 3] {
            let network = strided(inner).unwrap();
            let grids = network.grids((11, 14)).unwrap();
            let features: Vec<_> = grids.iter().map(|(_, grid)| grid.features()).collect();
            let map = (11 - inner).div_ceil(2) + 1;
            let map = map * ((14 - inner).div_ceil(2) + 1);
            assert_eq!(features, [11 * 14, map * 4, map * 2]);
            assert!(grids.iter().all(|(_, grid)| grid.rows() == map));
        }
        assert!(strided(1).is_err());
        // A mirrored map that is too small for its kernel is noticed with the image's grid.
        let mut ops = strided(2).unwrap().ops().to_vec();
        ops[3] = Op::Gather(Gather { border: Border::Reflect, ..Gather::convolution(5) });
        let mirrored = Network::new(ops).unwrap();
        assert!(matches!(mirrored.grid((8, 14)), Err(NetworkError::ImageTooSmall { .. })));
        assert!(mirrored.grid((10, 14)).is_ok() && strided(2).unwrap().grid((8, 14)).is_ok());
        let mut ops = convolutional();
        ops[3] = Op::Gather(Gather { stride: 2, ..Gather::convolution(5) });
        assert!(matches!(Network::new(ops), Err(NetworkError::Op { op: 3, .. })));
    }

    #[test]
    fn broken_convolutional_lists_are_refused() {
        let edits: [(usize, Option<TestOp>); 6] = [
            // A first gather that predicts other pixels than the last op, a later that is no convolution.
            (0, Some(Op::Gather(Gather { patch: 3, stride: 3, pad: 0, border: Border::Zero }))),
            (3, Some(Op::Gather(Gather { pad: 1, ..Gather::convolution(5) }))),
            (4, Some(Op::Linear(Shape(25, 2)))),
            (4, None),
            // A gather right behind a linear op.
            (2, None),
            (7, None),
        ];
        for (at, edit) in edits {
            let mut ops = convolutional();
            match edit {
                Some(op) => ops[at] = op,
                None => drop(ops.remove(at)),
            }
            assert!(matches!(Network::new(ops), Err(NetworkError::Op { .. })), "edit at {at}");
        }
    }
}
