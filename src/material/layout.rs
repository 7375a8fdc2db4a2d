//! Which chunks a slot's explicit material consists of, in file order.

use crate::ids::codec::{ORIGIN, encode_as_number};
use crate::ids::{MAX_PAYLOAD, Party};
use crate::kernels::one_hot_words;
use crate::model::{ActivationSpec, LinearSpec, PublicModel};
use crate::network::{NetworkError, Op};
use crate::numbers::relu::ReluShape;
use crate::size::Size;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// Patches a batch of a network on patches unless messages would become too large.
const BATCH_ROWS: usize = 128;
/// Activations a batch of a convolutional network: its rows are narrow, so it takes more of them.
const BATCH_ACTIVATIONS: usize = 1 << 17;
/// The largest opening of one batch, in bytes; well under the wire's frame limit.
const MAX_OPENING: usize = 8 << 20;
/// The most patches a batch may have in any format.
const MAX_BATCH_ROWS: usize = 1 << 16;

/// Who made a set of slots, and with it which server has explicit material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A dealer: S0 has explicit material, S1 seeds alone.
    Dealt,
    /// The two servers between themselves: both have explicit material, of one layout. That of a
    /// lookup has the shares of rho too, and that of an exact ReLU those of rho and its masks, which come out of the making
    /// and of no seed.
    Made,
}

impl Origin {
    /// Whether `party` has explicit material.
    pub fn explicit_at(self, party: Party) -> bool {
        self == Origin::Made || party == Party::S0
    }

    /// Its public number in files and greetings.
    pub fn number(self) -> u32 {
        match self {
            Origin::Dealt => 0,
            Origin::Made => 1,
        }
    }

    /// The origin with this number, if there is one.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Origin::Dealt),
            1 => Some(Origin::Made),
            _ => None,
        }
    }

    /// Bytes of the explicit material of one lookup whose table has `hi` high bits, with elements of
    /// `ring` bytes: the one-hot words, K2, K3, and rho where it is made.
    pub fn lookup_bytes(self, hi: u32, ring: usize) -> usize {
        let elements = match self {
            Origin::Dealt => 2,
            Origin::Made => 3,
        };
        8 * one_hot_words(hi) + elements * ring
    }

    /// Bytes of the explicit material of one exact ReLU: the packed words, F, FR, and the element of rho and the masks
    /// where it is made.
    pub fn relu_bytes(self, shape: &ReluShape) -> usize {
        let elements = match self {
            Origin::Dealt => 2,
            Origin::Made => 3,
        };
        (shape.words() + elements) * shape.ring_bits() as usize / 8
    }
}

encode_as_number!(Origin, ORIGIN, &[0, 1], |o| o.number(), Origin::from_number);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Dealt => "dealt",
            Origin::Made => "made",
        })
    }
}

/// The explicit material of one slot: chunks keyed (op, batch), all ops of a batch together, batch
/// after batch and stage after stage, so that it can be consumed as a stream.
#[derive(Clone, Debug)]
pub struct MaterialLayout {
    batch_rows: usize,
    stages: Vec<StageLayout>,
}

#[derive(Clone, Debug)]
struct StageLayout {
    /// Its patches: stages have as many as their maps have pixels.
    rows: usize,
    /// The number of its first batch.
    first: usize,
    /// (op, bytes a patch) of every op with material.
    ops: Vec<(usize, usize)>,
}

/// Some patches on their way through a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSpan {
    /// Index of the stage.
    pub stage: usize,
    /// The patches.
    pub rows: Range<usize>,
}

impl MaterialLayout {
    /// The layout for images of `size` in batches of `batch_rows` patches: of S0's file, and of both
    /// servers' if they made the set themselves.
    ///
    /// # Errors
    /// As [`crate::network::Network::grid`].
    pub fn new(
        public: &PublicModel,
        size: Size,
        batch_rows: usize,
        origin: Origin,
    ) -> Result<Self, NetworkError> {
        let bytes = bytes_per_row(public, origin);
        let mut first = 0;
        let mut stages = Vec::new();
        for grid in public.network.grids(size)? {
            let ops = &grid.stage.ops;
            let ops = bytes.iter().filter(|(op, _)| ops.contains(op)).copied().collect();
            stages.push(StageLayout { rows: grid.rows(), first, ops });
            first += grid.rows().div_ceil(batch_rows);
        }
        Ok(MaterialLayout { batch_rows, stages })
    }

    /// The layout of the products alone: one ring element for each output of each linear op.
    pub fn products(mut self, public: &PublicModel) -> Self {
        let ring = public.ring.bytes();
        let outputs: HashMap<usize, usize> =
            public.network.linears().map(|(op, l)| (op, l.outputs * ring)).collect();
        for stage in &mut self.stages {
            stage.ops =
                stage.ops.iter().filter_map(|(op, _)| outputs.get(op).map(|n| (*op, *n))).collect();
        }
        self
    }

    /// The largest batch for which every opening of a batch fits a frame.
    pub fn max_batch_rows(public: &PublicModel) -> usize {
        (MAX_PAYLOAD / Self::largest_message(public)).clamp(1, MAX_BATCH_ROWS)
    }

    /// The batch size that suits a model.
    pub fn default_batch_rows(public: &PublicModel) -> usize {
        let widest = public.network.activations().map(|(_, _, width)| width).max();
        let rows = if public.network.is_convolutional() {
            BATCH_ACTIVATIONS / widest.unwrap_or(1)
        } else {
            BATCH_ROWS
        };
        (MAX_OPENING / Self::largest_message(public)).clamp(1, rows.max(1))
    }

    /// The batch size that was asked for, or else that suits the model; no more than fits a frame.
    pub fn chosen_batch_rows(public: &PublicModel, asked: Option<usize>) -> usize {
        let largest = Self::max_batch_rows(public);
        asked.map_or(Self::default_batch_rows(public), |rows| rows.min(largest))
    }

    /// Bytes of the largest opening of one patch: of an activation, or of a map or an activation's result that is
    /// read.
    pub fn largest_message(public: &PublicModel) -> usize {
        let ring = public.ring.bytes();
        let message =
            |(_, spec, width): (_, &ActivationSpec, usize)| spec.message_bytes(ring) * width;
        let network = &public.network;
        // What has no activation is opened at its width.
        let bare = |(op, l): (usize, &LinearSpec)| {
            let next = &network.ops()[op + 1..];
            let last = next.iter().all(|op| !matches!(op, Op::Gather(_)));
            let activated = next.iter().find(|op| !matches!(op, Op::Add(_)));
            let opened = !last && !activated.is_some_and(Op::is_activation);
            if opened { ring * l.outputs } else { 0 }
        };
        let activations = network.activations().map(message);
        activations.chain(network.linears().map(bare)).max().unwrap_or(1).max(1)
    }

    /// Number of patches of the last stage, which are those that are predicted of the image.
    pub fn rows(&self) -> usize {
        self.stages.last().map_or(0, |stage| stage.rows)
    }

    /// Patches of a full batch.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Number of batches, over all stages.
    pub fn batches(&self) -> usize {
        self.stages.last().map_or(0, |stage| stage.first + stage.batches(self.batch_rows))
    }

    /// The numbers of the batches of a stage.
    pub fn stage_batches(&self, stage: usize) -> Range<usize> {
        let stage = &self.stages[stage];
        stage.first..stage.first + stage.batches(self.batch_rows)
    }

    /// A batch by its number.
    pub fn batch(&self, batch: usize) -> BatchSpan {
        let stage = self.stages.partition_point(|stage| stage.first <= batch) - 1;
        let of = &self.stages[stage];
        let first = (batch - of.first) * self.batch_rows;
        BatchSpan { stage, rows: first..of.rows.min(first + self.batch_rows) }
    }

    /// (op, bytes) of the chunks of a batch, in file order.
    pub fn chunks(&self, batch: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let BatchSpan { stage, rows } = self.batch(batch);
        self.stages[stage].ops.iter().map(move |&(op, bytes)| (op, bytes * rows.len()))
    }

    /// Chunks of a slot.
    pub fn chunks_per_slot(&self) -> u64 {
        let of = |stage: &StageLayout| (stage.batches(self.batch_rows) * stage.ops.len()) as u64;
        self.stages.iter().map(of).sum()
    }

    /// Payload bytes of a slot.
    pub fn bytes_per_slot(&self) -> u64 {
        let per_row =
            |stage: &StageLayout| stage.ops.iter().map(|(_, bytes)| *bytes as u64).sum::<u64>();
        self.stages.iter().map(|stage| per_row(stage) * stage.rows as u64).sum()
    }
}

impl StageLayout {
    fn batches(&self, batch_rows: usize) -> usize {
        self.rows.div_ceil(batch_rows)
    }
}

fn bytes_per_row(public: &PublicModel, origin: Origin) -> Vec<(usize, usize)> {
    let ring = public.ring.bytes();
    let mut width = 0;
    let bytes = |(i, op): (usize, &Op<LinearSpec, ActivationSpec>)| match op {
        Op::Linear(l) => {
            width = l.outputs;
            Some((i, width * ring))
        }
        Op::Activation(ActivationSpec::Lookup(table)) => {
            Some((i, width * origin.lookup_bytes(table.hi, ring)))
        }
        Op::Activation(ActivationSpec::Piecewise(_)) => Some((i, width * ring)),
        Op::Activation(ActivationSpec::Exact(relu)) => {
            let shape = relu.shape_in(public.ring);
            Some((i, width * shape.map_or(0, |shape| origin.relu_bytes(&shape))))
        }
        Op::Gather(_) | Op::Add(_) | Op::Shuffle(_) | Op::Residual | Op::Mean | Op::Fold(_) => None,
    };
    public.network.ops().iter().enumerate().filter_map(bytes).collect()
}
