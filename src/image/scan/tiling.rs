//! How a scan is cut into tiles that overlap, and which pixels of it each of them answers for.

use crate::limits::{MAX_SCAN_PIXELS, MAX_TILES};
use crate::network::{MAX_PIXELS, Reach};
use crate::{ImageError, Rect};
use ppdenoise_base::size::Position;
use ppdenoise_base::size::Size;

/// The longest side of a scan: a row is in memory, and may be as long as an image is large.
const MAX_SIDE: usize = MAX_PIXELS;
/// The cores that a scan consists of, row after row: all of one size, but for the last of each row
/// and column, which end with the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    size: Size,
    core: Size,
}

impl Tiling {
    /// Cores of `core` rows and columns on a scan of `size`.
    ///
    /// # Errors
    /// [`ImageError::Empty`] for a side of 0, [`ImageError::Cores`] for a core larger than the scan,
    /// [`ImageError::ScanTooLarge`] beyond [`MAX_SCAN_PIXELS`], [`ImageError::TooManyTiles`] beyond
    /// [`MAX_TILES`].
    pub fn new(size: Size, core: Size) -> Result<Tiling, ImageError> {
        check_scan(size)?;
        let fits = |core: usize, side: usize| (1..=side).contains(&core);
        if !fits(core.height, size.height) || !fits(core.width, size.width) {
            return Err(ImageError::Cores { core, size });
        }
        let tiling = Tiling { size, core };
        let Size { height: rows, width: columns } = tiling.counts();
        match rows.checked_mul(columns) {
            Some(count) if count <= MAX_TILES => Ok(tiling),
            _ => Err(ImageError::TooManyTiles { rows, columns }),
        }
    }

    /// Rows and columns of the scan.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Rows and columns of a core that is not the last.
    pub fn core(&self) -> Size {
        self.core
    }

    /// Rows and columns of cores.
    pub fn counts(&self) -> Size {
        Size::new(
            self.size.height.div_ceil(self.core.height),
            self.size.width.div_ceil(self.core.width),
        )
    }

    /// The number of cores.
    pub fn count(&self) -> usize {
        let Size { height: rows, width: columns } = self.counts();
        rows * columns
    }

    /// Where each core is, row after row: its row and column among the cores.
    pub fn places(&self) -> impl Iterator<Item = Position> + use<> {
        let Size { height: rows, width: columns } = self.counts();
        (0..rows).flat_map(move |row| (0..columns).map(move |column| Position { row, column }))
    }

    /// The pixels of every core, row after row.
    pub fn rects(&self) -> impl Iterator<Item = Rect> + use<'_> {
        self.places().filter_map(|place| self.rect(place))
    }

    /// The pixels of a core; nothing for a place that is none.
    pub fn rect(&self, Position { row, column }: Position) -> Option<Rect> {
        let Size { height: rows, width: columns } = self.counts();
        if row >= rows || column >= columns {
            return None;
        }
        let (top, left) = (row * self.core.height, column * self.core.width);
        let (height, width) = (self.size.height - top, self.size.width - left);
        Some(Rect {
            top,
            left,
            height: height.min(self.core.height),
            width: width.min(self.core.width),
        })
    }
}

/// Refuses a scan without pixels, or with too many.
pub(crate) fn check_scan(Size { height, width }: Size) -> Result<(), ImageError> {
    match height.checked_mul(width) {
        Some(0) => Err(ImageError::Empty { height, width }),
        Some(area) if area <= MAX_SCAN_PIXELS && height.max(width) <= MAX_SIDE => Ok(()),
        _ => Err(ImageError::ScanTooLarge { height, width }),
    }
}

/// A scan cut into tiles: around each core what a network reads of its neighbours, so that the cores
/// of the denoised tiles are those of the denoised scan.
///
/// All tiles of a scan have one size, so one size of triples serves them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    tiling: Tiling,
    reach: Reach,
    tile: Size,
}

impl Cut {
    /// Cores of `side` rows and columns; nothing if one tile would hold the whole scan. An axis on
    /// which one tile suffices is not cut.
    ///
    /// A tile has `side` + 2 margin pixels along an axis, and less than twice the alignment more:
    /// that many less one pixels so that it can begin at a multiple and end with the scan.
    ///
    /// # Errors
    /// As [`Tiling::new`].
    pub fn new(size: Size, side: usize, reach: Reach) -> Result<Option<Cut>, ImageError> {
        check_scan(size)?;
        let rows = axis(size.height, side, reach);
        let columns = axis(size.width, side, reach);
        let tile = Size::new(rows.unwrap_or(size.height), columns.unwrap_or(size.width));
        let core =
            Size::new(rows.map_or(size.height, |_| side), columns.map_or(size.width, |_| side));
        if tile == size {
            return Ok(None);
        }
        Ok(Some(Cut { tiling: Tiling::new(size, core)?, reach, tile }))
    }

    /// The cores.
    pub fn tiling(&self) -> &Tiling {
        &self.tiling
    }

    /// Rows and columns of every tile.
    pub fn tile(&self) -> Size {
        self.tile
    }

    /// The pixels of the tile around the core at a place.
    pub fn window(&self, Position { row, column }: Position) -> Rect {
        let begin = |number: usize, core: usize, tile: usize, side: usize| {
            let first = (number * core).saturating_sub(self.reach.margin);
            (first - first % self.reach.alignment).min(side - tile)
        };
        let (Size { height, width }, core, size) = (self.tile, self.tiling.core, self.tiling.size);
        let top = begin(row, core.height, height, size.height);
        let left = begin(column, core.width, width, size.width);
        Rect { top, left, height, width }
    }

    /// Where in the tile at a place its core begins: rows and columns.
    pub fn inset(&self, place: Position) -> Position {
        let window = self.window(place);
        let core = self.tiling.core;
        Position {
            row: place.row * core.height - window.top,
            column: place.column * core.width - window.left,
        }
    }
}

/// The tiles' length along an axis; nothing if it need not be cut. The scan's length less that of a
/// tile is a multiple of the alignment, so the last tile can begin where a tile may.
fn axis(length: usize, side: usize, reach: Reach) -> Option<usize> {
    let Reach { margin, alignment } = reach;
    let least = side.saturating_add(2 * margin).saturating_add(alignment - 1);
    let tile = least + length.checked_sub(least)? % alignment;
    (side > 0 && tile < length).then_some(tile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scan_in_numbers() {
        // Output patches of 17, a pad of 11, every 3 pixels.
        let reach = Reach { margin: 27, alignment: 3 };
        let cut = Cut::new(Size::new(16384, 3000), 1024, reach).unwrap().unwrap();
        assert_eq!(cut.tiling().counts(), Size::new(16, 3));
        assert_eq!(cut.tile(), Size::new(1081, 1080));
        assert_eq!(
            cut.window(Position::new(1, 0)),
            Rect { top: 996, left: 0, height: 1081, width: 1080 },
            "a multiple of 3 at most 1024 - 27"
        );
        assert_eq!(cut.inset(Position::new(1, 1)), Position::new(28, 28));
        let last = cut.tiling().rect(Position::new(15, 2)).unwrap();
        assert_eq!(last, Rect { top: 15360, left: 2048, height: 1024, width: 952 });
        assert_eq!(cut.tiling().rect(Position::new(16, 0)), None);
        // A tile that holds everything is no tile.
        assert!(Cut::new(Size::new(1080, 1080), 1024, reach).unwrap().is_none());
        assert!(Cut::new(Size::new(1024, 10), 1024, reach).unwrap().is_none());
        let tall = Cut::new(Size::new(200_000, 64), 1024, reach).unwrap().unwrap();
        assert_eq!((tall.tiling().counts(), tall.tile().width), (Size::new(196, 1), 64));
    }

    #[test]
    fn impossible_cells_are_refused() {
        let new = |size: (usize, usize), core: (usize, usize)| {
            Tiling::new(Size::new(size.0, size.1), Size::new(core.0, core.1))
        };
        assert!(matches!(new((0, 4), (1, 1)), Err(ImageError::Empty { .. })));
        for core in [(0, 1), (1, 0), (5, 1), (1, 5), (usize::MAX, 1)] {
            assert!(matches!(new((4, 4), core), Err(ImageError::Cores { .. })), "{core:?}");
        }
        for size in [(1 << 31, 1), (1 << 19, 1 << 18), (usize::MAX, usize::MAX)] {
            assert!(matches!(new(size, (1, 1)), Err(ImageError::ScanTooLarge { .. })), "{size:?}");
        }
        assert!(matches!(new((1 << 11, 1 << 10), (1, 1)), Err(ImageError::TooManyTiles { .. })));
        assert!(new((1 << 18, 1 << 18), (1 << 8, 1 << 8)).is_ok());
    }

    proptest! {
        #[test]
        fn every_cell_is_far_enough_from_every_cut(
            height in 1usize..300, width in 1usize..300, side in 1usize..60,
            margin in 1usize..30, alignment in 1usize..9,
        ) {
            let reach = Reach { margin, alignment };
            let Some(cut) = Cut::new(Size::new(height, width), side, reach).unwrap() else {
                let most = side + 2 * (margin + alignment - 1);
                prop_assert!(height <= most && width <= most);
                return Ok(());
            };
            let mut covered = vec![0u8; height * width];
            for place in cut.tiling().places() {
                let core = cut.tiling().rect(place).unwrap();
                let tile = cut.window(place);
                prop_assert_eq!(Size::new(tile.height, tile.width), cut.tile());
                let inset = Position::new(core.top - tile.top, core.left - tile.left);
                prop_assert_eq!(cut.inset(place), inset);
                for (begin, length, first, count, end) in [
                    (tile.top, tile.height, core.top, core.height, height),
                    (tile.left, tile.width, core.left, core.width, width),
                ] {
                    prop_assert_eq!(begin % alignment, 0);
                    prop_assert!(begin + length <= end);
                    prop_assert!(begin == 0 || begin + margin <= first);
                    prop_assert!(begin + length == end || first + count + margin <= begin + length);
                    prop_assert!(length <= side + 2 * (margin + alignment - 1) || length == end);
                }
                for y in core.top..core.top + core.height {
                    for x in core.left..core.left + core.width {
                        covered[y * width + x] += 1;
                    }
                }
            }
            prop_assert!(covered.iter().all(|&n| n == 1), "each pixel once");
        }
    }
}
