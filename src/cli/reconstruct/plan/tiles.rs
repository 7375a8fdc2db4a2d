//! The image that results of tiles make together.

use super::{Cell, Job, Parts, Plane, Scan, scan_name};
use crate::artefact::Note;
use crate::cli::batch::Failures;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::Console;
use crate::ids::ImageId;
use crate::image::{ImageFormat, by_rows};
use crate::roles::images::restored_name;
use std::collections::BTreeMap;

/// The results of a group of tiles, by the place of their cells; a grey one is the first of three.
pub(in crate::cli::reconstruct) type Tiles = BTreeMap<(usize, usize), [Option<Plane>; 3]>;

/// The image of its tiles, if all are here.
pub(in crate::cli::reconstruct) fn of_tiles(
    group: ImageId,
    mut tiles: Tiles,
    failures: &mut Failures,
    console: &mut Console,
) -> Option<Job> {
    let first = tiles.values().flatten().flatten().next();
    let (tiling, colour, file) =
        first.and_then(|(note, _, pair)| Some((note.tile?.tiling, is_colour(note), &pair[0])))?;
    let file = file.clone();
    let mut refuse = |text: String, help| {
        let failure = Failure::new(Code::Input, text).about(&file);
        failures.note(&file, &failure.help(help), console);
        None
    };
    let like = |(note, ..): &Plane| {
        is_colour(note) == colour && note.tile.is_some_and(|tile| tile.tiling == tiling)
    };
    if !tiles.values().flatten().flatten().all(like) {
        let text = "the tiles of this image do not say the same of it".into();
        return refuse(text, "share the image again, and denoise those shares");
    }
    let channels = if colour { 3 } else { 1 };
    let is_here = |place: &(usize, usize)| {
        tiles.get(place).is_some_and(|planes| planes.iter().flatten().count() == channels)
    };
    let missing: Vec<_> = tiling.places().filter(|place| !is_here(place)).collect();
    if let Some(rect) = missing.first().and_then(|&place| tiling.rect(place)) {
        let (missing, all) = (missing.len(), tiling.count());
        let text = format!(
            "the results of {missing} of the {all} tiles of this image are missing, the first that \
             of {rect}"
        );
        return refuse(text, "give the results of all tiles; denoise those that are missing");
    }
    let mut job = None;
    let mut cells = Vec::with_capacity(tiling.count());
    for place in tiling.places() {
        let planes = tiles.remove(&place)?;
        let mut cell = Cell { inset: (0, 0), pairs: Vec::with_capacity(channels) };
        for (note, _, pair) in planes.into_iter().flatten() {
            cell.inset = note.tile?.inset;
            cell.pairs.push(pair);
            job.get_or_insert_with(|| (name(&note, group), note.depth, scan_name(Some(&note))));
        }
        cells.push(cell);
    }
    let (name, depth, scan) = job?;
    let parts = Parts::Tiles(Scan { tiling, channels, cells });
    Some(Job { name, depth, parts, part_of: None, scan, original: None })
}

pub(in crate::cli::reconstruct) fn is_colour(note: &Note) -> bool {
    note.channel.is_some()
}

/// The name of the file, PNG where the format is not written by rows.
pub(in crate::cli::reconstruct) fn name(note: &Note, group: ImageId) -> String {
    let format = by_rows(note.format).map_or(ImageFormat::Png, |()| note.format);
    match note.name.is_empty() {
        true => restored_name(&group.to_string(), format),
        false => restored_name(&note.name, format),
    }
}
