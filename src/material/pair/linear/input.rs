//! A server's share of the masks of a batch, put where the ring elements have them.

use super::{OpPlan, Packing, Part};
use crate::material::SlotView;
use crate::model::{ActivationSpec, LinearSpec};
use crate::network::{Network, StageGrid};
use crate::size::Size;
use std::ops::Range;
use zeroize::Zeroizing;

/// This server's share Y_i of the input of a batch: a row a coefficient, a ring element a column. `slots` are
/// the views of the slots that parts count from 0, `grid` that of the op's stage.
pub(crate) fn batch_input(
    plan: &OpPlan,
    part: &Part,
    network: &Network<LinearSpec, ActivationSpec>,
    grid: &StageGrid,
    slots: &[SlotView<'_>],
) -> Zeroizing<Vec<u32>> {
    match (part, &plan.packing) {
        (Part::Tile { slot, lines, columns, .. }, Packing::Tiles(tile)) => {
            let mask =
                |map: usize, run| slots[*slot].input_mask::<u32>(network.maps()[map].op, run);
            let mut maps = Vec::new();
            let reads = grid.stage.maps().zip(&grid.reads);
            for ((map, cut), shape) in reads.zip(&tile.maps) {
                // The kernel begins so far inside the window that the map's own border does, which may begin on a
                // line that is none of the first phase.
                let inset = shape.stride * (shape.inset + shape.before()) - shape.pad;
                let at = |first: usize, count: usize| {
                    (shape.stride * first, shape.stride * count, inset)
                };
                let (lines, columns) =
                    (at(lines.start, tile.lines), at(columns.start, tile.columns));
                let source = cut.padded_sources(lines);
                let mask = Zeroizing::new(mask(map, source.clone()));
                let mut part = Zeroizing::new(cut.padded(lines, columns, &mask, source.start));
                if shape.stride > 1 {
                    part = Zeroizing::new(shape.spread(Size::new(tile.lines, tile.columns), &part));
                }
                maps.push((part, shape.elements()));
            }
            if maps.len() == 1 {
                return maps.swap_remove(0).0;
            }
            let pixels = tile.lines * tile.columns;
            let mut y = Zeroizing::new(Vec::with_capacity(pixels * plan.elements()));
            for pixel in 0..pixels {
                for (part, elements) in &maps {
                    y.extend_from_slice(&part[pixel * elements..][..*elements]);
                }
            }
            y
        }
        (Part::Columns(columns), _) => {
            let mut y = Zeroizing::new(Vec::with_capacity(columns.len() * plan.inputs));
            for (slot, rows) in slot_rows(columns, grid.rows()) {
                y.extend(rows_of(plan, rows, network, grid, &slots[slot]).iter());
            }
            y
        }
        (Part::Tile { .. }, Packing::Columns) => unreachable!("parts are made for their plan"),
    }
}

/// Patches of slots, counted on, as patches of each slot.
fn slot_rows(columns: &Range<usize>, rows: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let (start, end) = (columns.start, columns.end);
    (start / rows..end.div_ceil(rows)).map(move |slot| {
        let first = slot * rows;
        (slot, start.max(first) - first..end.min(first + rows) - first)
    })
}

fn rows_of(
    plan: &OpPlan,
    rows: Range<usize>,
    network: &Network<LinearSpec, ActivationSpec>,
    grid: &StageGrid,
    view: &SlotView<'_>,
) -> Zeroizing<Vec<u32>> {
    Zeroizing::new(match network.inner_mask(plan.op) {
        Some(op) => view.input_mask(op, rows.start * plan.inputs..rows.end * plan.inputs),
        None => grid.gather_masked(rows, |map, run| {
            Zeroizing::new(view.input_mask::<u32>(network.maps()[map].op, run))
        }),
    })
}
