//! The free-XOR offset, labels of a batch, colours of its outputs.

use super::GarbleError;
use crate::numbers::block::Block;
use crate::secret::Secret;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The offset between the two labels of every wire; also the choice of the OT extension's base
/// OTs, which makes the output of an oblivious transfer a wire label. Its colour bit is 1. Wiped
/// on drop.
#[derive(Debug)]
pub struct Delta(Secret<Block>);

impl Delta {
    /// The offset made of 127 of these 128 uniform bits.
    pub fn from_uniform(bits: [u8; 16]) -> Self {
        Delta(Secret::new(Block(u128::from_le_bytes(bits) | 1)))
    }

    /// The offset as a block; whoever holds it and one label of a wire knows the other.
    #[inline(always)]
    pub fn expose(&self) -> Block {
        *self.0.expose()
    }

    /// Delta if `bit`, else zero.
    #[inline(always)]
    pub fn times(&self, bit: bool) -> Block {
        self.expose().keep_if(bit)
    }
}

/// The labels of several wires for every instance of a batch, wire-major. Opaque in `Debug`, wiped
/// on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels {
    instances: usize,
    blocks: Vec<Block>,
}

impl Labels {
    /// Labels from blocks in wire-major order.
    ///
    /// # Errors
    /// [`GarbleError::BatchSize`] for an empty or oversized batch, [`GarbleError::InputLabels`] if
    /// the blocks are not whole wires.
    pub fn new(instances: usize, blocks: Vec<Block>) -> Result<Self, GarbleError> {
        if instances == 0 || instances > super::MAX_BATCH {
            return Err(GarbleError::BatchSize { found: instances });
        }
        if !blocks.len().is_multiple_of(instances) {
            let expected = blocks.len() / instances * instances;
            return Err(GarbleError::InputLabels { expected, found: blocks.len() });
        }
        Ok(Labels { instances, blocks })
    }

    /// Labels from a peer's message of `wires` wires.
    ///
    /// # Errors
    /// [`GarbleError::LabelLength`] if the message has another length, else as [`Labels::new`].
    pub fn from_bytes(instances: usize, wires: usize, bytes: &[u8]) -> Result<Self, GarbleError> {
        let count = instances.saturating_mul(wires);
        let blocks = Block::slice_from_bytes(bytes, count).ok_or(GarbleError::LabelLength {
            expected: count.saturating_mul(Block::BYTES),
            found: bytes.len(),
        })?;
        Labels::new(instances, blocks)
    }

    /// How many instances the batch has.
    pub fn instances(&self) -> usize {
        self.instances
    }

    /// How many wires these are the labels of.
    pub fn wires(&self) -> usize {
        self.blocks.len() / self.instances
    }

    /// The labels of a wire, one an instance.
    pub fn wire(&self, wire: usize) -> &[Block] {
        &self.blocks[wire * self.instances..][..self.instances]
    }

    /// All labels, wire-major.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The colour bits of a wire: this party's XOR share of its value.
    pub fn colours(&self, wire: usize) -> Vec<bool> {
        self.wire(wire).iter().map(|b| b.colour()).collect()
    }

    /// These wires followed by `other`'s.
    ///
    /// # Errors
    /// [`GarbleError::InputLabels`] if the batches differ in size.
    pub fn chain(mut self, other: &Labels) -> Result<Labels, GarbleError> {
        if self.instances != other.instances {
            let (expected, found) = (self.instances, other.instances);
            return Err(GarbleError::InputLabels { expected, found });
        }
        self.blocks.extend_from_slice(&other.blocks);
        Ok(self)
    }
}

impl Drop for Labels {
    fn drop(&mut self) {
        self.blocks.zeroize();
    }
}

impl ZeroizeOnDrop for Labels {}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Labels({} wires x {} instances)", self.wires(), self.instances)
    }
}

/// The garbler's colour bits of output wires, packed: with them the evaluator decodes its outputs.
///
/// Security: reveals the outputs to the evaluator; only for circuits whose outputs are masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Colours(Vec<u8>);

impl fmt::Debug for Colours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Colours({} bytes)", self.0.len())
    }
}

impl Colours {
    /// The colours of every label, in order.
    pub fn of(labels: &Labels) -> Self {
        let mut bytes = vec![0u8; labels.blocks.len().div_ceil(8)];
        for (i, label) in labels.blocks.iter().enumerate() {
            bytes[i / 8] |= u8::from(label.colour()) << (i % 8);
        }
        Colours(bytes)
    }

    /// The message.
    pub fn to_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The values of the wires whose active labels are `labels`, in wire-major order, given the
    /// peer's colours as a message.
    ///
    /// # Errors
    /// [`GarbleError::BitLength`] if the message has another length.
    pub fn decode(labels: &Labels, message: &[u8]) -> Result<Vec<bool>, GarbleError> {
        let expected = labels.blocks.len().div_ceil(8);
        if message.len() != expected {
            return Err(GarbleError::BitLength { expected, found: message.len() });
        }
        let value = |(i, b): (usize, &Block)| b.colour() ^ (message[i / 8] >> (i % 8) & 1 == 1);
        Ok(labels.blocks.iter().enumerate().map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delta_is_opaque_and_coloured() {
        for byte in [0, 0xfe, 0xff] {
            let delta = Delta::from_uniform([byte; 16]);
            assert!(delta.expose().colour());
            assert_eq!(format!("{delta:?}"), "Delta(Secret(..))");
            assert_eq!(delta.times(false), Block::ZERO);
            assert_eq!(delta.times(true), delta.expose());
        }
    }

    #[test]
    fn messages_of_another_length_are_refused() {
        let labels = Labels::new(3, vec![Block(1), Block(2), Block(3)]).unwrap();
        let bytes = Block::slice_to_bytes(labels.blocks());
        assert_eq!(Labels::from_bytes(3, 1, &bytes).unwrap(), labels);
        let short = GarbleError::LabelLength { expected: 48, found: 47 };
        assert_eq!(Labels::from_bytes(3, 1, &bytes[1..]).unwrap_err(), short);
        assert!(Labels::from_bytes(usize::MAX, 16, &bytes).is_err());
        assert!(Labels::new(0, vec![]).is_err());
        assert!(Labels::new(super::super::MAX_BATCH + 1, vec![]).is_err());
        assert!(Colours::decode(&labels, &[0, 0]).is_err());
    }
}
