//! The image that results of tiles make together.

use super::{Core, Job, Parts, Plane, Refused, Scan, average, scan_name};
use crate::artefact::Note;
use crate::ids::ImageId;
use crate::image::{ImageFormat, by_rows};
use crate::roles::images::restored_name;
use crate::roles::receiver::error::ReceiverError;
use crate::size::Position;
use std::collections::BTreeMap;

/// The results of a group of tiles, by the place of their cores; a grey one is the first of three.
pub(super) type Tiles = BTreeMap<Position, [Option<Plane>; 3]>;

/// The image of its tiles, if all are here.
pub(super) fn of_tiles(group: ImageId, tiles: Tiles) -> Result<Option<Job>, Refused> {
    let first = tiles.values().flatten().flatten().next();
    let of = |(note, _, results): &Plane| {
        Some((note.tile?.tiling, is_colour(note), results.first[0].clone()))
    };
    let Some((tiling, colour, file)) = first.and_then(of) else { return Ok(None) };
    let first_scan = first.and_then(|(note, ..)| note.scan.clone());
    let first_is_mosaic = first.is_some_and(|(.., results)| results.entry.is_mosaic());
    let like = |(note, _, results): &Plane| {
        note.scan == first_scan
            && results.entry.is_mosaic() == first_is_mosaic
            && !(colour && first_is_mosaic)
            && is_colour(note) == colour
            && note.tile.is_some_and(|tile| tile.tiling == tiling)
    };
    if !tiles.values().flatten().flatten().all(like) {
        return Err(Refused::new(file, ReceiverError::TilesDiffer));
    }
    let results = if colour { 3 } else { 1 };
    let is_here = |place: &Position| {
        tiles.get(place).is_some_and(|planes| planes.iter().flatten().count() == results)
    };
    let missing: Vec<_> = tiling.places().filter(|place| !is_here(place)).collect();
    if let Some(first) = missing.first().and_then(|&place| tiling.rect(place)) {
        let (missing, all) = (missing.len(), tiling.count());
        return Err(Refused::new(file, ReceiverError::TilesMissing { missing, all, first }));
    }
    Ok(job(group, tiles, if first_is_mosaic { 3 } else { results }))
}

/// The image of tiles that are all here.
fn job(group: ImageId, tiles: Tiles, channels: usize) -> Option<Job> {
    let (mut tiling, mut said) = (None, None);
    let mut cores: Vec<Core> = Vec::with_capacity(tiles.len());
    // By rows, and within a row by columns.
    for planes in tiles.into_values() {
        let mut core = Core { inset: Position::new(0, 0), planes: Vec::new() };
        for (note, _, results) in planes.into_iter().flatten() {
            let tile = note.tile?;
            core.inset = tile.inset;
            core.planes.push(results);
            tiling.get_or_insert(tile.tiling);
            said.get_or_insert_with(|| {
                let depth = (note.depth, note.range);
                let average = average(Some(&note));
                (name(&note, group), depth, average, scan_name(Some(&note)), note.scan.clone())
            });
        }
        cores.push(core);
    }
    let (name, (depth, range), average, scan, shared) = said?;
    let tiling = tiling?;
    // Frames have no neighbours, and tiles have some on every side but the image's.
    let frames = scan.is_some()
        && tiling.counts().width == 1
        && cores.len() > 1
        && cores.iter().all(|core| core.inset == Position::new(0, 0));
    let parts = Parts::Tiles(Scan { tiling, channels, cores, frames });
    let (original, window, part_of) = (None, None, None);
    Some(Job { name, depth, range, parts, average, part_of, scan, shared, original, window })
}

fn is_colour(note: &Note) -> bool {
    note.channel.is_some()
}

/// The name of the file, PNG where the format is not written by rows.
fn name(note: &Note, group: ImageId) -> String {
    let format = by_rows(note.format).map_or(ImageFormat::Png, |()| note.format);
    if note.name.is_empty() {
        restored_name(&group.to_string(), format)
    } else {
        restored_name(&note.name, format)
    }
}
