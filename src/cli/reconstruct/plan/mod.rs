//! Which result shares make which images.

mod tiles;

use super::super::batch::Failures;
use super::super::failure::{Code, Failure};
use super::super::output::Console;
use super::{Keys, UNKNOWN};
use crate::artefact::{Note, Reconstruction, read_result_note};
use crate::files::container::header::ResultShare;
use crate::files::folder::files_in;
use crate::ids::Party;
use crate::ids::{ImageId, SessionId};
use crate::image::{Depth, ImageFormat, Tiling};
use crate::roles::images::{CHANNELS, base_name, ensure_distinct, restored_name, shares};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tiles::{Tiles, of_tiles};

/// One image to be made.
pub(super) struct Job {
    /// The name of its file.
    pub(super) name: String,
    pub(super) depth: Depth,
    pub(super) parts: Parts,
    /// What it is one of, if it is without the others.
    pub(super) part_of: Option<&'static str>,
    /// The name that its file had, if that was DICOM.
    pub(super) scan: Option<String>,
    /// The DICOM file of that name in the folder that was given.
    pub(super) original: Option<PathBuf>,
}

/// Both shares of a result.
pub(super) type Pair = [PathBuf; 2];

/// What an image is made of.
pub(super) enum Parts {
    /// Itself, or each of its channels.
    Planes(Vec<Pair>),
    Tiles(Scan),
}

/// An image that is joined from tiles.
pub(super) struct Scan {
    pub(super) tiling: Tiling,
    /// 1 or 3.
    pub(super) channels: usize,
    /// One a cell, row after row.
    pub(super) cells: Vec<Cell>,
}

/// The tile that answers for a cell.
pub(super) struct Cell {
    /// Where in the tile it is.
    pub(super) inset: (usize, usize),
    /// One a channel.
    pub(super) pairs: Vec<Pair>,
}

impl Job {
    /// One plane, which is reconstructed already.
    pub(super) fn single(note: Option<Note>, result: &Reconstruction) -> Job {
        let part_of = note.as_ref().and_then(|note| match (note.tile, note.channel) {
            (Some(_), _) => Some("tile of a larger image"),
            (None, Some(_)) => Some("channel of a colour image"),
            (None, None) => None,
        });
        Job { part_of, ..Job::of(note.as_ref(), result.image_id, Vec::new()) }
    }

    fn of(note: Option<&Note>, image: ImageId, pairs: Vec<Pair>) -> Job {
        let name = match note {
            Some(note) if !note.name.is_empty() => restored_name(&note.name, note.format),
            Some(note) => restored_name(&image.to_string(), note.format),
            None => format!("{image}.png"),
        };
        let depth = note.map_or(UNKNOWN, |note| note.depth);
        let parts = Parts::Planes(pairs);
        Job { name, depth, parts, part_of: None, scan: scan_name(note), original: None }
    }

    /// Derives its file from the one of its name in a folder, if that was DICOM.
    pub(super) fn derive_from(&mut self, folder: &Path) -> Result<(), Failure> {
        let Some(name) = &self.scan else { return Ok(()) };
        let exact = folder.join(name);
        let found = match exact.is_file() {
            true => Some(exact),
            // Notes have no control characters and backslashes.
            false => files_in(folder, |path| base_name(path) == *name)?.pop(),
        };
        let missing = || {
            let text = format!("there is no '{name}' to derive from");
            let help = "give the folder of the DICOM files that were shared, by their names";
            Failure::new(Code::Input, text).about(folder).help(help)
        };
        self.original = Some(found.ok_or_else(missing)?);
        let extension = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or("");
        self.name = match ImageFormat::from_extension(extension) {
            Ok(ImageFormat::Dicom) => name.clone(),
            _ => format!("{name}.dcm"),
        };
        Ok(())
    }

    /// One of its files.
    fn file(&self) -> &Path {
        let pairs = match &self.parts {
            Parts::Planes(pairs) => pairs,
            Parts::Tiles(scan) => &scan.cells[0].pairs,
        };
        &pairs[0][0]
    }
}

/// The name of an image's file, if it was DICOM and had one.
pub(super) fn scan_name(note: Option<&Note>) -> Option<String> {
    let note = note.filter(|n| n.format == ImageFormat::Dicom && !n.name.is_empty())?;
    Some(note.name.clone())
}

/// One channel of a colour image: its note, id and shares.
pub(super) type Plane = (Note, ImageId, Pair);

/// All images of the files given, in the order of their names: reads headers and notes. What cannot
/// be paired is noted as failed, and so is a scan whose original is not in the folder `like`.
///
/// # Errors
/// For a file that was named and is no result share, and for two images of one name.
pub(super) fn jobs(
    given: &[PathBuf],
    like: Option<&Path>,
    keys: &Keys,
    failures: &mut Failures,
    console: &mut Console,
) -> Result<Vec<Job>, Failure> {
    let mut jobs = Vec::new();
    let mut colours: BTreeMap<ImageId, [Option<Plane>; 3]> = BTreeMap::new();
    let mut scans: BTreeMap<ImageId, Tiles> = BTreeMap::new();
    for (image, pair) in pairs(given, failures, console)? {
        let sealed = match read_result_note(&pair[0], &keys.receiver, &keys.servers) {
            Ok((_, sealed)) => sealed,
            Err(e) => {
                failures.note(&pair[0], &e.into(), console);
                continue;
            }
        };
        let note = keys.note(image, &sealed, console);
        let Some(note) = note else {
            jobs.push(Job::of(None, image, vec![pair]));
            continue;
        };
        // A note says 0, 1 or 2.
        let index = note.channel.map_or(0, |channel| usize::from(channel.index));
        match (note.tile, note.channel) {
            (Some(tile), _) => {
                let planes = scans.entry(tile.group).or_default().entry(tile.place).or_default();
                planes[index] = Some((note, image, pair));
            }
            (None, Some(channel)) => {
                colours.entry(channel.group).or_default()[index] = Some((note, image, pair));
            }
            (None, None) => jobs.push(Job::of(Some(&note), image, vec![pair])),
        }
    }
    for planes in colours.into_values() {
        jobs.extend(joined(planes, failures, console));
    }
    for (group, tiles) in scans {
        jobs.extend(of_tiles(group, tiles, failures, console));
    }
    if let Some(folder) = like {
        jobs.retain_mut(|job| match job.derive_from(folder) {
            Ok(()) => true,
            Err(failure) => {
                failures.note(job.file(), &failure, console);
                false
            }
        });
    }
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    ensure_distinct(jobs.iter().map(|job| (job.name.clone(), job.file())))?;
    if jobs.is_empty() && failures.list.is_empty() {
        let failure = Failure::new(Code::Input, "there are no result shares here");
        let help = "`ppdenoise serve` writes them, as files ending in .s0 or .s1";
        return Err(failure.about(&given[0]).help(help));
    }
    Ok(jobs)
}

/// The shares of server 0 and server 1 that belong together, by image and session.
fn pairs(
    given: &[PathBuf],
    failures: &mut Failures,
    console: &mut Console,
) -> Result<Vec<(ImageId, Pair)>, Failure> {
    let mut halves: BTreeMap<(ImageId, SessionId), [Option<PathBuf>; 2]> = BTreeMap::new();
    for (path, fields) in shares::<ResultShare>(given)? {
        let both = halves.entry((fields.image_id, fields.session_id)).or_default();
        let half = &mut both[fields.party.index()];
        match half {
            Some(other) => {
                let text = format!("a copy of '{}'", other.display());
                let failure = Failure::new(Code::Input, text).about(&path);
                failures.note(&path, &failure.help("give each share once"), console);
            }
            None => *half = Some(path),
        }
    }
    let mut pairs = Vec::new();
    for ((image, _), both) in halves {
        match both {
            [Some(s0), Some(s1)] => pairs.push((image, [s0, s1])),
            [Some(path), None] => half_missing(&path, Party::S1, failures, console),
            [None, Some(path)] => half_missing(&path, Party::S0, failures, console),
            [None, None] => {}
        }
    }
    Ok(pairs)
}

/// The colour image of its channels, if all are here.
fn joined(
    planes: [Option<Plane>; 3],
    failures: &mut Failures,
    console: &mut Console,
) -> Option<Job> {
    let missing: Vec<&str> =
        planes.iter().zip(CHANNELS).filter(|(plane, _)| plane.is_none()).map(|(_, c)| c).collect();
    let mut planes = planes.into_iter().flatten();
    let (note, image, first) = planes.next()?;
    if !missing.is_empty() {
        let text = format!("results of {} of this colour image are missing", missing.join(", "));
        let failure = Failure::new(Code::Input, text).about(&first[0]);
        failures.note(&first[0], &failure.help("give the shares of all three channels"), console);
        return None;
    }
    let mut pairs = vec![first];
    pairs.extend(planes.map(|(_, _, pair)| pair));
    Some(Job::of(Some(&note), image, pairs))
}

fn half_missing(path: &Path, party: Party, failures: &mut Failures, console: &mut Console) {
    let text = format!("the result of server {} that belongs to it is not here", party.index());
    let failure = Failure::new(Code::Input, text).about(path);
    let help = "get it from that server, or denoise the image again";
    failures.note(path, &failure.help(help), console);
}
