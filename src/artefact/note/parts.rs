//! What an image is a part of: a channel, a tile, an orientation.

use crate::ids::ImageId;
use crate::image::{Average, Orientation, Tiling};
use crate::size::{Position, Size};

/// One of the three channels of a colour image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Random, the same for the three.
    pub group: ImageId,
    /// 0, 1 or 2: red, green or blue.
    pub index: u8,
}

/// One of the tiles that a larger image was cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Random, the same for all tiles of the image and their channels.
    pub group: ImageId,
    /// The larger image and the cores that it consists of.
    pub tiling: Tiling,
    /// The core that this tile answers for: its row and column among the cores.
    pub place: Position,
    /// Where in the tile that core begins: row and column. What lies around it is its neighbours'.
    pub inset: Position,
}

impl Tile {
    /// Size of the image, size of a core, place, inset.
    pub(super) fn numbers(&self) -> Option<[u32; 8]> {
        let (size, core) = (self.tiling.size(), self.tiling.core());
        let pairs = [
            (size.height, size.width),
            (core.height, core.width),
            (self.place.row, self.place.column),
            (self.inset.row, self.inset.column),
        ];
        let mut numbers = [0; 8];
        for (to, from) in numbers.iter_mut().zip(pairs.iter().flat_map(|p| [p.0, p.1])) {
            *to = u32::try_from(from).ok()?;
        }
        Some(numbers)
    }

    /// Nothing for cores that no image has, or none of them.
    pub(super) fn of(group: ImageId, numbers: [u32; 8]) -> Option<Tile> {
        let [height, width, rows, columns, row, column, top, left] = numbers.map(|n| n as usize);
        let tiling = Tiling::new(Size { height, width }, Size::new(rows, columns)).ok()?;
        tiling.rect(Position::new(row, column))?;
        Some(Tile {
            group,
            tiling,
            place: Position::new(row, column),
            inset: Position::new(top, left),
        })
    }
}

/// One of the orientations of a plane, of whose results the mean is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turned {
    /// Random, the same for all orientations of the plane, and no other plane's.
    pub group: ImageId,
    /// How the picture lies that was shared. All else that a note says is of the upright one.
    pub orientation: Orientation,
    /// All of them.
    pub average: Average,
}

impl Turned {
    /// Number of the orientation, how many there are.
    pub(super) fn numbers(self) -> (u8, u8) {
        (self.orientation.number(), self.average.orientations().len() as u8)
    }

    /// Nothing for an orientation that is not among so many, and for an average of one.
    pub(super) fn of(group: ImageId, (number, count): (u8, u8)) -> Option<Turned> {
        let orientation = Orientation::of_number(number)?;
        let average = Average::of_count(count.into()).filter(|&all| all != Average::None)?;
        let turned = Turned { group, orientation, average };
        average.orientations().contains(&orientation).then_some(turned)
    }
}
