//! Blocks of 128 bits.

use std::fmt;
use std::ops::{BitXor, BitXorAssign};
use zeroize::Zeroize;

/// 128 bits: a wire label, a row of a garbled table, a seed. Opaque in `Debug`.
///
/// As a number it is little-endian on the wire; its lowest bit is the colour bit.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Block(pub u128);

impl Block {
    /// The bytes of a block on the wire.
    pub const BYTES: usize = 16;
    /// All bits 0.
    pub const ZERO: Block = Block(0);

    /// The colour (point-and-permute) bit.
    #[inline(always)]
    pub fn colour(self) -> bool {
        self.0 & 1 == 1
    }

    /// This block if `keep`, else zero; no branch.
    #[inline(always)]
    pub fn keep_if(self, keep: bool) -> Block {
        Block(self.0 & u128::from(keep).wrapping_neg())
    }

    /// Twice this block in GF(2^128) = GF(2)\[X\] / (X^128 + X^7 + X^2 + X + 1); no branch.
    #[inline(always)]
    pub fn double(self) -> Block {
        Block(self.0 << 1 ^ (self.0 >> 127).wrapping_neg() & 0x87)
    }

    /// Blocks as bytes, little-endian.
    pub fn slice_to_bytes(blocks: &[Block]) -> Vec<u8> {
        if cfg!(target_endian = "little") {
            return bytemuck::cast_slice(blocks).to_vec();
        }
        blocks.iter().flat_map(|b| b.0.to_le_bytes()).collect()
    }

    /// The inverse of [`Block::slice_to_bytes`]; `None` unless there are exactly `count` blocks.
    pub fn slice_from_bytes(bytes: &[u8], count: usize) -> Option<Vec<Block>> {
        if Some(bytes.len()) != count.checked_mul(Self::BYTES) {
            return None;
        }
        let (chunks, _) = bytes.as_chunks::<16>();
        Some(chunks.iter().map(|&c| Block(u128::from_le_bytes(c))).collect())
    }
}

impl BitXor for Block {
    type Output = Block;
    #[inline(always)]
    fn bitxor(self, other: Block) -> Block {
        Block(self.0 ^ other.0)
    }
}

impl BitXorAssign for Block {
    #[inline(always)]
    fn bitxor_assign(&mut self, other: Block) {
        self.0 ^= other.0;
    }
}

impl Zeroize for Block {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Block(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_opaque() {
        assert_eq!(format!("{:?}", Block(7)), "Block(..)");
    }

    /// Doubling 128 times from 1 walks X^0..X^127 and then the reduction polynomial.
    #[test]
    fn doubling_reduces_by_the_field_polynomial() {
        let mut x = Block(1);
        for i in 0..128 {
            assert_eq!(x, Block(1 << i));
            x = x.double();
        }
        assert_eq!(x, Block(0x87));
    }
}
