//! A network is a list of ops; everything that evaluates one walks the same list.
//!
//! Ops form stages, each of which reads maps through gathers and makes one: [`Op::Gather`] begins it. Maps are
//! numbered, 0 is the image, so that a stage may read any that were made before it, several side by side, and
//! add others to what it computes: a chain is the network in which each reads the map before it.
//!
//! Every map lies on the grid of predicted patches or on one that is a whole number of times coarser, its
//! `scale`: a map of scale t has ceil(n / t) pixels along an axis on which there are n patches. A gather with
//! stride s makes a map s times coarser, a shuffle one as many times finer, of which what would lie beyond
//! the grid is left out. So maps of one scale are of one size, whatever the image's.
//!
//! Of a network on blocks, or with scales, the image is first continued to a multiple of its coarsest place
//! ([`Padding`]), and the result is cut: n is then a multiple of every scale. Whoever evaluates a network
//! continues the image where it enters; sizes that are asked for ([`Network::grids`]) are those of the picture.
//!
//! The float reference, the integer twin, the dealer and the servers differ in what a linear op
//! and an activation carry (weights, scales, tables), so [`Op`] is generic over the two; shapes are
//! checked here and nowhere else.
//!
//! May use: nothing of this crate. Pure.
//!
//! Security: the list of ops and every size are public.
//!
//! Stability: none but of the names that `ppdenoise::api` has.

mod check;
mod grid;
mod op;
mod padding;
mod placed;
mod reach;
mod stage;
mod work;

pub use grid::{MAX_PIXELS, PatchGrid, Span, gaussian_window};
pub use op::{Border, Fold, Gather, LinearShape, Op, Read, Source};
pub use padding::{Continued, Outputs, Padding, SQUARE};
pub use placed::{Placement, StageGrid};
pub use reach::Reach;
pub use stage::{Map, Stage};
pub use work::Work;

use crate::size::Size;
use check::Checked;

/// The most features any layer may have: keeps every product of sizes far from overflow.
pub const MAX_WIDTH: usize = 1 << 16;
/// The most weights of a whole network.
pub const MAX_WEIGHTS: usize = 1 << 28;
/// The most ops of a network: four a layer of a network of 256.
pub const MAX_OPS: usize = 1024;
/// The most maps that a stage reads, or adds.
pub const MAX_READS: usize = 64;
/// How many times coarser than the predicted patches a map may be at most.
pub const MAX_SCALE: usize = 64;
/// The most values of a map: 16 GiB of 32 bits each.
pub const MAX_MAP: usize = 1 << 32;
/// The most values of all maps that are needed at one time: a chain keeps two.
pub const MAX_MAPS: usize = 2 * MAX_MAP;
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
    /// The image cannot be the mosaic of a colour picture, which the network is for.
    #[error(
        "the image is {height}x{width}, and no mosaic of a colour picture, whose sides are even"
    )]
    NoMosaic {
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
    /// The maps that are needed at one time would have more than [`MAX_MAPS`] values.
    #[error(
        "the image is {height}x{width}, too large for the {channels} channels of the maps that this network \
         keeps at one time: they may have at most {MAX_MAPS} values"
    )]
    MapsTooLarge {
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
        /// Their values for a predicted patch, rounded up.
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

/// A checked list of ops: stages of gather, linear (add? activation linear)* add? activation? shuffle?, of which
/// the last ends in linear add? (residual or mean)? fold. What is predicted and folded are the centres of the
/// patches that the first op cuts out of the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<L, A> {
    ops: Vec<Op<L, A>>,
    checked: Checked,
    continued: Continued,
}

impl<L: LinearShape, A> Network<L, A> {
    /// Checks that the ops follow one another and that their shapes join.
    ///
    /// # Errors
    /// [`NetworkError::Op`] naming the first op that does not fit.
    pub fn new(ops: Vec<Op<L, A>>) -> Result<Self, NetworkError> {
        if ops.len() > MAX_OPS {
            let reason = format!("{} ops, at most {MAX_OPS} are supported", ops.len());
            return Err(NetworkError::Op { op: MAX_OPS, reason });
        }
        let checked = check::check(&ops)?;
        Ok(Network { ops, checked, continued: Continued::Mirror })
    }

    /// Other ops, for images that go on in the same way.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn of_ops(&self, ops: Vec<Op<L, A>>) -> Result<Self, NetworkError> {
        Ok(Network::new(ops)?.with_continued(self.continued))
    }

    /// The same for images that go on in this way where their sides do not fit.
    pub fn with_continued(self, continued: Continued) -> Self {
        Network { continued, ..self }
    }

    /// How an image whose sides do not fit goes on.
    pub fn continued(&self) -> Continued {
        self.continued
    }

    /// Whether its images are mosaics of colour pictures ([`Continued::Mosaic`]).
    pub fn is_of_colours(&self) -> bool {
        self.continued == Continued::Mosaic
    }

    /// The size of the image that it is given of a picture.
    pub fn image_size(&self, Size { height, width }: Size) -> Size {
        let square = if self.is_of_colours() { SQUARE } else { 1 };
        Size::new(height.saturating_mul(square), width.saturating_mul(square))
    }

    /// The size of the picture that an image is of.
    pub fn picture_size(&self, Size { height, width }: Size) -> Size {
        let square = if self.is_of_colours() { SQUARE } else { 1 };
        Size::new(height / square, width / square)
    }

    /// How a cut through a picture is felt: [`Network::reach`] in its pixels.
    pub fn picture_reach(&self) -> Reach {
        let Reach { margin, alignment } = self.reach();
        if self.is_of_colours() {
            // Blocks of a mosaic have even sides.
            return Reach { margin: margin.div_ceil(SQUARE), alignment: alignment / SQUARE };
        }
        Reach { margin, alignment }
    }

    /// Why an image may not be continued as the network says, if it may not.
    pub fn mosaic_problem(&self) -> Option<&'static str> {
        let odd = self.is_of_colours() && !self.multiple().is_multiple_of(SQUARE);
        odd.then_some("a mosaic of a colour picture is read in blocks of even sides")
    }

    /// All ops in order.
    pub fn ops(&self) -> &[Op<L, A>] {
        &self.ops
    }

    /// The stages, in order; one for a network on patches, one a layer for a convolutional network.
    pub fn stages(&self) -> &[Stage] {
        &self.checked.stages
    }

    /// The maps: the image, then what each stage but the last makes.
    pub fn maps(&self) -> &[Map] {
        &self.checked.maps
    }

    /// The patches of the image whose centres are predicted.
    pub fn gather(&self) -> &Gather {
        &self.checked.frame
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

    /// Whether it is given the image's noise level.
    pub fn reads_plane(&self) -> bool {
        self.stages().iter().flat_map(|stage| &stage.reads).any(|r| r.from == Source::Plane)
    }

    /// Whether each stage reads the map before it and no other, and nothing is added or shuffled.
    pub fn is_chain(&self) -> bool {
        let alone = |(number, stage): (usize, &Stage)| {
            stage.shuffle == 1 && stage.reads.len() == 1 && stage.maps().eq([number])
        };
        let added = self.ops.iter().any(|op| matches!(op, Op::Add(_)));
        !added && self.stages().iter().enumerate().all(alone)
    }

    /// The stage of an op.
    pub fn stage_of(&self, op: usize) -> &Stage {
        let at = self.stages().partition_point(|stage| stage.ops.end <= op);
        &self.stages()[at]
    }

    /// The op that the mask Y of a linear op's input belongs to, where that is no map but what the activation
    /// before it gave; none behind a gather.
    pub fn inner_mask(&self, linear: usize) -> Option<usize> {
        (self.stage_of(linear).first_linear() != linear).then(|| linear - 1)
    }

    /// Columns of a linear op's weights that meet masked inputs: all but those of the plane, which come last.
    pub fn masked_inputs(&self, linear: usize) -> usize {
        let stage = self.stage_of(linear);
        match &self.ops[linear] {
            Op::Linear(l) if stage.first_linear() != linear => l.inputs(),
            _ => stage.masked_inputs(),
        }
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

    /// Rows of the stage of an op for each pixel of a picture, away from its border.
    pub fn rows_a_pixel(&self, op: usize) -> f64 {
        let step = self.gather().stride * self.stage_of(op).scale;
        self.image_size(Size::square(1)).pixels() as f64 / (step as f64).powi(2)
    }

    /// The activation that a linear op, with what is added to it, goes through.
    pub fn activation_after(&self, linear: usize) -> Option<usize> {
        let added = matches!(self.ops.get(linear + 1), Some(Op::Add(_)));
        let next = linear + 1 + usize::from(added);
        self.ops.get(next).filter(|op| op.is_activation()).map(|_| next)
    }

    /// How many activations come before an op: the number of the activation that it is, or that is next, from 0.
    pub fn activations_before(&self, op: usize) -> usize {
        self.ops[..op].iter().filter(|op| op.is_activation()).count()
    }

    /// The multiple to which both sides of an image are continued: of a network on blocks or with maps of
    /// several scales as many pixels as a place of its coarsest grid has; 1 for any other. Patches that overlap
    /// never need it, and neither do dense layers alone: their last patch lies flush with the border.
    pub fn multiple(&self) -> usize {
        let Gather { stride, border, .. } = *self.gather();
        let is_mlp = self.stages().len() == 1 && border == Border::Reflect;
        if self.gather().inner() != stride || is_mlp { 1 } else { self.alignment() }
    }

    /// How an image of `size` is continued before it enters, and what comes out is cut.
    pub fn padding(&self, size: Size) -> Padding {
        Padding::to_multiple(size, self.multiple(), self.continued)
    }

    /// The patch grid of the continued image, which places the output; `size` is that of the image.
    ///
    /// # Errors
    /// As [`Network::grids`].
    pub fn grid(&self, size: Size) -> Result<PatchGrid, NetworkError> {
        self.grids(size)?;
        self.padding(size).grid(self.gather())
    }

    /// The stages with their grids on an image of `size`, which is continued as [`Network::padding`] says.
    ///
    /// # Errors
    /// As [`PatchGrid::new`]; [`NetworkError::NoMosaic`]; [`NetworkError::MapTooLarge`] and [`NetworkError::MapsTooLarge`] for an image
    /// whose maps nobody has room for.
    pub fn grids(&self, size: Size) -> Result<Vec<StageGrid>, NetworkError> {
        let Size { height, width } = size;
        if self.is_of_colours() && (height % SQUARE, width % SQUARE) != (0, 0) {
            return Err(NetworkError::NoMosaic { height, width });
        }
        placed::grids(self.stages(), self.maps(), self.gather(), self.padding(size))
    }

    /// How output patches lie on an image.
    pub fn outputs(&self) -> Outputs<'_> {
        let Fold { patch, window } = self.fold();
        let (stride, padded) = (self.gather().stride, self.multiple() > 1);
        Outputs { patch: *patch, stride, padded, window }
    }

    /// Whether it is made of convolutions.
    pub fn is_convolutional(&self) -> bool {
        self.stages().len() > 1
    }

    /// Activations of an image of `size`.
    ///
    /// # Errors
    /// As [`Network::grids`].
    pub fn activation_count(&self, size: Size) -> Result<usize, NetworkError> {
        let grids = self.grids(size)?;
        let of_stage = |grid: &StageGrid| {
            let ops = &grid.stage.ops;
            let widths = self.activations().filter(|(op, ..)| ops.contains(op));
            grid.rows() * widths.map(|(_, _, width)| width).sum::<usize>()
        };
        Ok(grids.iter().map(of_stage).sum())
    }

    /// The same list with other payloads of the same shapes.
    pub fn map<L2: LinearShape, A2>(
        &self,
        mut linear: impl FnMut(usize, &L) -> L2,
        mut activation: impl FnMut(usize, &A) -> A2,
    ) -> Network<L2, A2> {
        let ops = self.ops.iter().enumerate().map(|(i, op)| match op {
            Op::Gather(reads) => Op::Gather(reads.clone()),
            Op::Linear(l) => Op::Linear(linear(i, l)),
            Op::Add(maps) => Op::Add(maps.clone()),
            Op::Activation(a) => Op::Activation(activation(i, a)),
            Op::Shuffle(factor) => Op::Shuffle(*factor),
            Op::Residual => Op::Residual,
            Op::Mean => Op::Mean,
            Op::Fold(f) => Op::Fold(f.clone()),
        });
        Network { ops: ops.collect(), checked: self.checked.clone(), continued: self.continued }
    }
}

#[cfg(test)]
mod tests;
