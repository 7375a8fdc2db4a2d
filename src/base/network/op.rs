//! The steps of a network.

use super::{MAX_READS, MAX_WINDOW};
use crate::ids::bounded::at_most;
use serde::{Deserialize, Serialize};

/// How a map goes on beyond its border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Border {
    /// Mirrored, the border itself not repeated.
    Reflect,
    /// With zeros.
    Zero,
}

/// Cuts patches out of a map: (height, width, channels) to rows of patch^2 x channels features, one row a
/// patch.
///
/// Rows are the pixels of the map that is made: gather and linear op are a convolution, with a stride if the
/// gather has one. Patch i begins `pad` pixels before pixel i `stride` of the map, and there are as many as
/// begin inside it (counted without the pad), zeros following where the map ends. Where dense layers predict
/// patches of the image that do not fit it, the last patch lies flush with the border instead; blocks fit, since
/// the image is continued ([`super::Padding`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// Side of a patch.
    pub patch: usize,
    /// Pixels between patches.
    pub stride: usize,
    /// Pixels beyond the border before the first patch; of a patch of the image whose centre is predicted the
    /// centre patch - 2 pad pixels are.
    pub pad: usize,
    /// What they are.
    pub border: Border,
}

impl Gather {
    /// The patches of a convolution with an odd kernel: one at every pixel, zeros beyond the border.
    pub fn convolution(kernel: usize) -> Gather {
        Gather::strided(kernel, 1)
    }

    /// The patches of a convolution with a stride, zeros beyond the border. Pads are PyTorch's usual ones: 1
    /// for a kernel of 3, 0 where kernel and stride are the same.
    pub fn strided(kernel: usize, stride: usize) -> Gather {
        let pad = (kernel + 1).saturating_sub(stride) / 2;
        Gather { patch: kernel, stride, pad, border: Border::Zero }
    }

    /// Side of the predicted patch.
    pub fn inner(&self) -> usize {
        self.patch.saturating_sub(2 * self.pad)
    }
}

/// What a stage reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A map: 0 is the image, n what stage n, counted from 1, made.
    Map(usize),
    /// The image's noise level at every pixel, one channel: public, chosen with each image.
    Plane,
}

/// One of the things that a stage reads, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// What.
    pub from: Source,
    /// How it is cut.
    pub gather: Gather,
}

impl Read {
    /// Patches of a map.
    pub fn map(number: usize, gather: Gather) -> Read {
        Read { from: Source::Map(number), gather }
    }

    /// The number of the map, if it is one.
    pub fn number(&self) -> Option<usize> {
        match self.from {
            Source::Map(number) => Some(number),
            Source::Plane => None,
        }
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
    /// Begins a stage: patches of one or several maps, one map's features behind the other's; the plane, if
    /// it is read, last.
    #[serde(deserialize_with = "at_most::<_, _, MAX_READS>")]
    Gather(Vec<Read>),
    /// A matrix product and a bias.
    Linear(L),
    /// Maps added, feature by feature, to what a linear op gave.
    #[serde(deserialize_with = "at_most::<_, _, MAX_READS>")]
    Add(Vec<usize>),
    /// A bounded function of each feature.
    Activation(A),
    /// Ends a stage: the map is this many times as high and wide, of as many times squared fewer channels.
    /// Feature (c r + y) r + x of a pixel becomes channel c of the pixel at (y, x) of its r x r (PyTorch's
    /// pixel shuffle; Shi et al., 2016).
    Shuffle(usize),
    /// The centre of the input patch minus the features so far.
    Residual,
    /// The features so far plus the mean of the input patch (the paper's section 4.5).
    Mean,
    /// Weighted aggregation into an image.
    Fold(Fold),
}

impl<L, A> Op<L, A> {
    /// Begins a stage that reads one map: 0 is the image, n what stage n, counted from 1, made.
    pub fn read(map: usize, gather: Gather) -> Self {
        Op::Gather(vec![Read::map(map, gather)])
    }

    /// Whether it is an activation.
    pub fn is_activation(&self) -> bool {
        matches!(self, Op::Activation(_))
    }
}
