//! How far apart two pixels of an image can be and still matter to one another.

use super::{LinearShape, Network};

/// What cutting an image into tiles has to keep to, so that a pixel of a tile becomes what it is in
/// the whole image.
///
/// Along an axis let a tile begin at a multiple of `alignment`. A pixel with at least `margin` pixels
/// of the tile between itself and either cut has the very value that it has in the whole image; the
/// ends of the image itself are no cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Pixels that a tile goes on beyond what it answers for.
    pub margin: usize,
    /// Tiles begin at multiples of it.
    pub alignment: usize,
}

impl<L: LinearShape, A> Network<L, A> {
    /// How a cut through the image is felt.
    ///
    /// A pixel y is the mean of the output patches that cover it. They begin at y - (inner - 1) to y,
    /// and what they read of the image begins and ends `pad` pixels further out. Later stages read
    /// patches beside them too: as many on either side as their pads add up to, a stride apart. So the
    /// pixel depends on inner - 1 + pads pixels on either side and on no others: were they all in the
    /// tile, nothing is mirrored or taken for zero that the whole image has.
    ///
    /// The patches must also be the same. They begin every stride pixels from the first, so a tile
    /// begins at a multiple of the stride. The last lies flush with the tile's end and may fit no
    /// stride: it covers the last `inner` pixels and follows patches that end before them, which are
    /// out of reach already, but for pads of 0, which take one pixel more.
    pub fn reach(&self) -> Reach {
        let gather = self.gather();
        let later: usize = self.stages()[1..].iter().map(|stage| stage.gather.pad).sum();
        let pads = gather.pad + later * gather.stride;
        Reach { margin: gather.inner() - 1 + pads.max(1), alignment: gather.stride }
    }
}
