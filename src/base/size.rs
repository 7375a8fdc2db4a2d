//! How large an image, a map or a tile is, and where something in it lies.

use crate::ids::codec::{Decode, Encode};
use std::fmt;

/// Rows and columns of an image, a map of features or a tile. It is written `512x768`: 512 rows of 768 pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Size {
    /// So many rows and columns.
    pub const fn new(height: usize, width: usize) -> Self {
        Size { height, width }
    }

    /// As many rows as columns.
    pub const fn square(side: usize) -> Self {
        Size::new(side, side)
    }

    /// How many pixels. For sizes that were checked: of others the product may not fit.
    pub const fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Both sides changed in the same way.
    pub fn map(self, side: impl Fn(usize) -> usize) -> Self {
        Size::new(side(self.height), side(self.width))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

/// A row and a column, from 0: of a pixel of an image, of a tile among an image's tiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The row.
    pub row: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place in this row and column.
    pub const fn new(row: usize, column: usize) -> Self {
        Position { row, column }
    }
}
