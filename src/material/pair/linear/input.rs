//! A server's share of the masks of a batch, put where the ring elements have them.

use super::{OpPlan, Packing, Part};
use crate::material::SlotView;
use crate::network::{PatchGrid, Stage};
use std::ops::Range;
use zeroize::Zeroizing;

/// This server's share Y_i of the input of a batch: a row a coefficient, a ring element a column. `slots` are
/// the views of the slots that parts count from 0, `stage` and `grid` those of the op.
pub fn batch_input(
    plan: &OpPlan,
    part: &Part,
    (stage, grid): (&Stage, &PatchGrid),
    slots: &[SlotView<'_>],
) -> Zeroizing<Vec<u32>> {
    match (part, &plan.packing) {
        (Part::Tile { slot, lines, columns, .. }, Packing::Tiles(tile)) => {
            let lines = lines.start..lines.start + tile.lines;
            let columns = columns.start..columns.start + tile.columns;
            let source = grid.padded_sources(lines.clone());
            let map = Zeroizing::new(slots[*slot].input_mask::<u32>(plan.op, source.clone()));
            Zeroizing::new(grid.padded(lines, columns, &map, source.start))
        }
        (Part::Columns(columns), _) => {
            let mut y = Zeroizing::new(Vec::with_capacity(columns.len() * plan.inputs));
            for (slot, rows) in slot_rows(columns, grid.rows()) {
                y.extend(rows_of(plan, rows, (stage, grid), &slots[slot]).iter());
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
    (stage, grid): (&Stage, &PatchGrid),
    view: &SlotView<'_>,
) -> Zeroizing<Vec<u32>> {
    if plan.op != stage.first_linear() {
        let at = rows.start * plan.inputs..rows.end * plan.inputs;
        return Zeroizing::new(view.input_mask(plan.op, at));
    }
    let lines = grid.sources(rows.clone());
    let map = Zeroizing::new(view.input_mask::<u32>(plan.op, lines.clone()));
    Zeroizing::new(grid.gather(rows, &map, lines.start))
}
