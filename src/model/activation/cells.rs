//! How fine the lookup's tables are: of one activation, and of all activations of a network.

use crate::numbers::slope_table::HI_BITS;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

/// How fine a table is: `128` cells or cells of `1/8`, a number or a text in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub enum Cells {
    /// Cells of width 2^-bits, as many as the range needs.
    Width(u32),
    /// 2^bits cells, as narrow as the range allows.
    Count(u32),
}

/// How cells are written.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "`cells`: expected a number of cells or a width like \"1/8\"")]
enum Written {
    Count(u32),
    Width(String),
}

impl From<Cells> for Written {
    fn from(cells: Cells) -> Written {
        match cells {
            Cells::Count(bits) => Written::Count(1 << bits),
            Cells::Width(_) => Written::Width(cells.to_string()),
        }
    }
}

impl TryFrom<Written> for Cells {
    type Error = String;

    fn try_from(written: Written) -> Result<Cells, String> {
        match written {
            Written::Count(count) => Cells::of_count(count),
            Written::Width(text) => Cells::of_width(&text),
        }
        .map_err(|expected| format!("`cells`: expected {expected}"))
    }
}

impl fmt::Display for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cells::Count(bits) => write!(f, "{}", 1u64 << bits),
            Cells::Width(bits) => write!(f, "1/{}", 1u64 << bits),
        }
    }
}

impl Cells {
    /// Widths of cells as logarithms of what divides 1.
    pub const WIDTHS: RangeInclusive<u32> = 1..=6;

    /// So many cells.
    ///
    /// # Errors
    /// What is expected, if it is not `count`.
    pub fn of_count(count: u32) -> Result<Cells, &'static str> {
        match count.is_power_of_two() && HI_BITS.contains(&count.ilog2()) {
            true => Ok(Cells::Count(count.ilog2())),
            false => Err("a power of two from 16 to 4096"),
        }
    }

    /// Cells of a width written as `1/8`.
    ///
    /// # Errors
    /// What is expected, if it is not `text`.
    pub fn of_width(text: &str) -> Result<Cells, &'static str> {
        let cells = text.strip_prefix("1/").and_then(|n| n.parse::<u32>().ok());
        match cells {
            Some(n) if n.is_power_of_two() && Cells::WIDTHS.contains(&n.ilog2()) => {
                Ok(Cells::Width(n.ilog2()))
            }
            _ => Err("1/2, 1/4, 1/8, ... 1/64"),
        }
    }

    /// hi: a table of range 2^range_bits, whose units are `stretch` network units, has 2^hi cells.
    pub(super) fn hi(self, range_bits: u32, stretch: f64) -> u32 {
        match self {
            Cells::Width(bits) => range_bits + 1 + bits + stretch_bits(stretch),
            Cells::Count(bits) => bits,
        }
    }
}

/// How much more cells a stretched range has, as a logarithm: cells are at most sqrt 2 wider than they
/// were asked for, which the quality hardly shows (docs/numerics.md), and twice as many cost a third
/// more material.
pub(super) fn stretch_bits(stretch: f64) -> u32 {
    stretch.log2().round() as u32
}

/// The cells of the tables of a network: of all alike, or a list with one entry an activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "WrittenTables", try_from = "WrittenTables")]
pub enum TableCells {
    /// Of every table.
    Alike(Cells),
    /// Of each activation, in the order of the network.
    Each(Vec<Cells>),
}

/// How the cells of tables are written.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`cells`: expected a number of cells or a width like \"1/8\", or a list of these"
)]
enum WrittenTables {
    Alike(Written),
    Each(Vec<Written>),
}

impl From<TableCells> for WrittenTables {
    fn from(cells: TableCells) -> WrittenTables {
        match cells {
            TableCells::Alike(cells) => WrittenTables::Alike(cells.into()),
            TableCells::Each(list) => {
                WrittenTables::Each(list.into_iter().map(Written::from).collect())
            }
        }
    }
}

impl TryFrom<WrittenTables> for TableCells {
    type Error = String;

    fn try_from(written: WrittenTables) -> Result<TableCells, String> {
        Ok(match written {
            WrittenTables::Alike(cells) => TableCells::Alike(cells.try_into()?),
            WrittenTables::Each(list) => {
                TableCells::Each(list.into_iter().map(Cells::try_from).collect::<Result<_, _>>()?)
            }
        })
    }
}

impl fmt::Display for TableCells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableCells::Alike(cells) => cells.fmt(f),
            TableCells::Each(list) => {
                f.write_str(&list.iter().map(Cells::to_string).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl From<Cells> for TableCells {
    fn from(cells: Cells) -> TableCells {
        TableCells::Alike(cells)
    }
}

impl From<Vec<Cells>> for TableCells {
    /// A list of equal entries is said in one word.
    fn from(list: Vec<Cells>) -> TableCells {
        match &list[..] {
            [first, rest @ ..] if rest.iter().all(|cells| cells == first) => {
                TableCells::Alike(*first)
            }
            _ => TableCells::Each(list),
        }
    }
}

impl TableCells {
    /// The cells of activation `number` of a network.
    ///
    /// # Panics
    /// If there is no such entry; [`TableCells::fits`] tells before.
    pub fn of(&self, number: usize) -> Cells {
        match self {
            TableCells::Alike(cells) => *cells,
            TableCells::Each(list) => list[number],
        }
    }

    /// Whether they are those of a network of so many activations.
    ///
    /// # Errors
    /// What is expected and what was found.
    pub fn fits(&self, activations: usize) -> Result<(), String> {
        match self {
            TableCells::Each(list) if list.len() != activations => Err(format!(
                "`cells`: {} entries, expected one for each of {activations} activations",
                list.len()
            )),
            _ => Ok(()),
        }
    }
}
