//! The stages of a network and the maps between them.

use super::{Read, Source};
use std::ops::Range;

/// The ops from a gather to before the next, or to the end: each row goes through them by itself. Stage n,
/// counted from 1, makes map n; the last makes the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Indices of the ops; the first is the gather.
    pub ops: Range<usize>,
    /// What it reads, the plane last.
    pub reads: Vec<Read>,
    /// Features a pixel of each of these.
    pub channels: Vec<usize>,
    /// Rows are pixels of the grid that is so many times coarser than the predicted patches.
    pub scale: usize,
    /// How many times as high and wide as its rows the map is that it makes.
    pub shuffle: usize,
}

impl Stage {
    /// The linear op behind the gather.
    pub fn first_linear(&self) -> usize {
        self.ops.start + 1
    }

    /// Features of a row that come from maps: those of the plane, which follow them, have no mask.
    pub fn masked_inputs(&self) -> usize {
        self.features(|read| read.from != Source::Plane)
    }

    /// Features of a row.
    pub fn inputs(&self) -> usize {
        self.features(|_| true)
    }

    /// The maps that it reads.
    pub fn maps(&self) -> impl Iterator<Item = usize> + '_ {
        self.reads.iter().filter_map(Read::number)
    }

    fn features(&self, counts: impl Fn(&Read) -> bool) -> usize {
        let of = |(read, channels): (&Read, &usize)| read.gather.patch.pow(2) * channels;
        self.reads.iter().zip(&self.channels).filter(|(read, _)| counts(read)).map(of).sum()
    }
}

/// The image, or what a stage before the last makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// The op that its mask Y belongs to: the last of the stage that makes it, 0 for the image.
    pub op: usize,
    /// Features a pixel.
    pub channels: usize,
    /// Its pixels are those of the grid that is so many times coarser than the predicted patches.
    pub scale: usize,
    /// Whether a stage reads it: then it is masked and opened, once, for all that read it. Otherwise it is
    /// only added to others.
    pub opened: bool,
    /// The last stage, counted from 0, that reads it or adds it.
    pub last: usize,
}
