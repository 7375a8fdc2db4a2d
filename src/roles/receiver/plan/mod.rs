//! Which result shares make which images.

mod bind;
mod tiles;

use super::Work;
use super::error::ReceiverError;
use super::event::ReceiverEvent;
use super::references::Reference;
use super::request::Reconstruct;
use crate::artefact::{Note, Reconstruction, SharedScan};
use crate::files::Place;
use crate::files::container::header::ResultShare;
use crate::ids::{ImageId, Party, SessionId};
use crate::image::dicom::{Origin, Window};
use crate::image::{Average, Depth, ImageFormat, Orientation, Range, Rect, Tiling};
use crate::roles::images::{CHANNELS, Entry, Target, restored_name, shares};
use crate::roles::observer::Observer;
use crate::size::Position;
pub(super) use bind::Originals;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tiles::{Tiles, of_tiles};

/// One image to be made.
pub(super) struct Job {
    /// The name of its file.
    pub(super) name: String,
    pub(super) depth: Depth,
    /// Which of the file's values are black and white, where that is no matter of the depth alone.
    pub(super) range: Option<Range>,
    pub(super) parts: Parts,
    /// In how many orientations each of its planes was shared.
    average: Average,
    /// What it is one of, if it is without the others.
    pub(super) part_of: Option<&'static str>,
    /// The name that its file had, if that was DICOM.
    scan: Option<String>,
    /// Which DICOM object was shared, and how, if the note says it.
    shared: Option<SharedScan>,
    /// The DICOM file that it is derived from, of those in the folder that was given.
    original: Option<PathBuf>,
    /// Through which values of DICOM files are read.
    window: Option<Window>,
}

/// Both shares of a result.
pub(super) type Pair = [Place; 2];

/// The results that make one plane, or all three.
pub(super) struct PlaneResults {
    pub(super) first: Pair,
    /// Those of its other orientations, of which with the first the mean is taken.
    pub(super) others: Vec<Pair>,
    /// Whether they are of the mosaic of three planes.
    pub(super) entry: Entry,
}

impl PlaneResults {
    /// Of one orientation.
    fn new(first: Pair, entry: Entry) -> Self {
        PlaneResults { first, others: Vec::new(), entry }
    }
}

/// What an image is made of.
pub(super) enum Parts {
    /// Itself, or each of its channels.
    Planes(Vec<PlaneResults>),
    Tiles(Scan),
}

/// An image that is joined from tiles.
pub(super) struct Scan {
    pub(super) tiling: Tiling,
    /// 1 or 3.
    pub(super) channels: usize,
    /// One a core, row after row.
    pub(super) cores: Vec<Core>,
    /// Whether they are the frames of one file, each an image of its own.
    frames: bool,
}

/// The tile that answers for a core.
pub(super) struct Core {
    /// Where in the tile it is.
    pub(super) inset: Position,
    /// One a channel, or those of a mosaic.
    pub(super) planes: Vec<PlaneResults>,
}

impl Core {
    /// Where the tile of a core begins in the image.
    pub(super) fn first(&self, core: Rect) -> Position {
        let Position { row, column } = self.inset;
        Position::new(core.top.saturating_sub(row), core.left.saturating_sub(column))
    }
}

impl Job {
    /// One plane, which is reconstructed already; `depth` is that of an image without a note.
    pub(super) fn single(note: Option<Note>, result: &Reconstruction, depth: Depth) -> Job {
        let part_of = note.as_ref().and_then(|n| match (n.tile, n.channel, n.turned) {
            (Some(_), _, _) => Some("tile of a larger image"),
            (None, Some(_), _) => Some("channel of a colour image"),
            (None, None, Some(_)) => Some("result of several whose mean is the image"),
            (None, None, None) => None,
        });
        Job { part_of, ..Job::of(note.as_ref(), result.image_id, Vec::new(), depth) }
    }

    fn of(note: Option<&Note>, image: ImageId, planes: Vec<PlaneResults>, depth: Depth) -> Job {
        let name = match note {
            Some(note) if !note.name.is_empty() => restored_name(&note.name, note.format),
            Some(note) => restored_name(&image.to_string(), note.format),
            None => format!("{image}.png"),
        };
        let depth = note.map_or(depth, |note| note.depth);
        let range = note.and_then(|note| note.range);
        let (parts, scan) = (Parts::Planes(planes), scan_name(note));
        let shared = note.and_then(|note| note.scan.clone());
        let (original, window, part_of) = (None, None, None);
        let average = average(note);
        Job { name, depth, range, parts, average, part_of, scan, shared, original, window }
    }

    /// Itself, or its frames one by one where no file takes them together.
    ///
    /// # Errors
    /// [`ReceiverError::FramesForOneFile`].
    fn by_frames(self, request: &Reconstruct) -> Result<Vec<Job>, ReceiverError> {
        let folder = request.out.is_folder();
        let out = if folder { request.out.join(&self.name) } else { request.out.clone() };
        let is_dicom = self.target(request, &out).is_dicom();
        match self.parts {
            Parts::Tiles(Scan { frames: true, cores, .. }) if !is_dicom => {
                if !folder {
                    let error = ReceiverError::FramesForOneFile { frames: cores.len() };
                    return Err(error.about(out.name()));
                }
                let digits = cores.len().to_string().len();
                let (stem, extension) = self.name.rsplit_once('.').unwrap_or((&self.name, "png"));
                let frame = |(core, number): (Core, usize)| Job {
                    name: format!("{stem}-{number:0digits$}.{extension}"),
                    depth: self.depth,
                    range: self.range,
                    parts: Parts::Planes(core.planes),
                    average: self.average,
                    part_of: None,
                    scan: None,
                    shared: self.shared.clone(),
                    original: None,
                    window: self.window,
                };
                Ok(cores.into_iter().zip(1..).map(frame).collect())
            }
            parts => Ok(vec![Job { parts, ..self }]),
        }
    }

    /// Where its image goes.
    pub(super) fn target<'a>(&'a self, request: &'a Reconstruct, out: &'a Place) -> Target<'a> {
        request.target(self.original.as_deref(), out, self.window)
    }

    /// The clean image of its result.
    pub(super) fn reference<'a>(&self, path: &'a Option<PathBuf>) -> Option<Reference<'a>> {
        path.as_deref().map(|path| Reference { path, window: self.window })
    }

    /// Which DICOM object it was shared from.
    pub(super) fn origin(&self) -> Option<&Origin> {
        self.shared.as_ref().map(|shared| &shared.origin)
    }

    /// An error with what it is an error of, beside the ids in names of shares.
    pub(super) fn named(&self, error: ReceiverError) -> ReceiverError {
        match self.origin() {
            Some(origin) => {
                ReceiverError::OfScan { origin: Box::new(origin.clone()), error: Box::new(error) }
            }
            None => error,
        }
    }

    fn file(&self) -> &Place {
        let planes = match &self.parts {
            Parts::Planes(planes) => planes,
            Parts::Tiles(scan) => &scan.cores[0].planes,
        };
        &planes[0].first[0]
    }
}

/// In how many orientations a plane was shared.
fn average(note: Option<&Note>) -> Average {
    note.and_then(|note| note.turned).map_or(Average::None, |turned| turned.average)
}

/// The name of an image's file, if it was DICOM and had one.
fn scan_name(note: Option<&Note>) -> Option<String> {
    let note = note.filter(|n| n.format == ImageFormat::Dicom && !n.name.is_empty())?;
    Some(note.name.clone())
}

/// One plane, or one of its orientations: its note, id and results.
type Plane = (Note, ImageId, PlaneResults);

/// An image that cannot be made of what is here.
struct Refused {
    file: Place,
    error: Box<ReceiverError>,
}

impl Refused {
    fn new(file: Place, error: ReceiverError) -> Self {
        Refused { file, error: Box::new(error) }
    }
}

/// All images of the files given, in the order of their names: reads headers and notes. What cannot
/// be paired is told as failed, and so is a scan whose original is not in the folder of originals.
pub(super) fn plan(
    work: &mut Work<'_>,
    observer: &mut dyn Observer<ReceiverEvent>,
) -> Result<Vec<Job>, ReceiverError> {
    let (request, receiver) = (work.request, work.receiver);
    let mut jobs = Vec::new();
    let mut colours: BTreeMap<ImageId, [Option<Plane>; 3]> = BTreeMap::new();
    let mut scans: BTreeMap<ImageId, Tiles> = BTreeMap::new();
    let (mut planes, mut turned) = (Vec::new(), BTreeMap::<ImageId, Orientations>::new());
    let mut parts: BTreeMap<ImageId, PathBuf> = BTreeMap::new();
    for (image, pair) in pairs(work, observer)? {
        let (entry, sealed) = match receiver.sealed_note(&pair[0]) {
            Ok(found) => found,
            Err(e) => {
                work.failed(pair[0].name(), e.into(), observer);
                continue;
            }
        };
        let Some(mut note) = receiver.open_note(image, &sealed, observer) else {
            let results = PlaneResults::new(pair, entry);
            jobs.push(Job::of(None, image, vec![results], request.depth));
            continue;
        };
        if note.is_part() {
            let first = parts.entry(image).or_insert_with(|| pair[0].name().to_owned());
            if first != pair[0].name() {
                let error = ReceiverError::DenoisedTwice { other: first.clone() };
                refuse(work, &pair[0], error, observer);
                continue;
            }
        }
        // Read again when the result is judged: there may be tens of thousands of tiles.
        drop(std::mem::take(&mut note.sketch));
        let results = PlaneResults::new(pair, entry);
        match note.turned {
            None => planes.push((note, image, results)),
            Some(of) => {
                let all = turned.entry(of.group).or_default();
                all.insert(of.orientation, (note, image, results));
            }
        }
    }
    // Of an image of several parts it is told once that one of them is not complete.
    let mut incomplete = BTreeSet::new();
    for orientations in turned.into_values() {
        let group = orientations.values().next().and_then(|(note, ..)| note.group());
        match averaged(orientations) {
            Ok(plane) => planes.extend(plane),
            Err(_) if group.is_some_and(|group| incomplete.contains(&group)) => {}
            Err(Refused { file, error }) => {
                incomplete.extend(group);
                refuse(work, &file, *error, observer);
            }
        }
    }
    planes.retain(|(note, ..)| note.group().is_none_or(|group| !incomplete.contains(&group)));
    for (note, image, results) in planes {
        // A note says 0, 1 or 2.
        let index = note.channel.map_or(0, |channel| usize::from(channel.index));
        match (note.tile, note.channel) {
            (Some(tile), _) => {
                let planes = scans.entry(tile.group).or_default().entry(tile.place).or_default();
                planes[index] = Some((note, image, results));
            }
            (None, Some(channel)) => {
                colours.entry(channel.group).or_default()[index] = Some((note, image, results));
            }
            (None, None) => jobs.push(Job::of(Some(&note), image, vec![results], request.depth)),
        }
    }
    let colours = colours.into_values().map(|planes| joined(planes, request.depth));
    let scans = scans.into_iter().map(|(group, tiles)| of_tiles(group, tiles));
    for joined in colours.chain(scans) {
        match joined {
            Ok(job) => jobs.extend(job),
            Err(Refused { file, error }) => refuse(work, &file, *error, observer),
        }
    }
    let mut originals = Originals::default();
    jobs.retain_mut(|job| match job.bind(request, &mut originals) {
        Ok(()) => true,
        Err(e) => {
            work.failed(job.file().name(), e, observer);
            false
        }
    });
    let mut jobs = by_frames(jobs, request)?;
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(same) = jobs.windows(2).find(|jobs| jobs[0].name == jobs[1].name) {
        return Err(bind::one_name(&same[0], &same[1]));
    }
    match request.shares.first() {
        Some(first) if jobs.is_empty() && work.report.failed.is_empty() => {
            Err(ReceiverError::NoResults.about(first.name()))
        }
        _ => Ok(jobs),
    }
}

/// The shares of server 0 and server 1 that belong together, by image and session.
fn pairs(
    work: &mut Work<'_>,
    observer: &mut dyn Observer<ReceiverEvent>,
) -> Result<Vec<(ImageId, Pair)>, ReceiverError> {
    let mut halves: BTreeMap<(ImageId, SessionId), [Option<Place>; 2]> = BTreeMap::new();
    for (file, fields) in shares::<ResultShare>(&work.request.shares)? {
        let both = halves.entry((fields.image_id, fields.session_id)).or_default();
        let half = &mut both[fields.party.index()];
        match half.clone() {
            Some(other) => {
                let other = other.name().to_owned();
                refuse(work, &file, ReceiverError::Copy { other }, observer);
            }
            None => *half = Some(file),
        }
    }
    let mut pairs = Vec::new();
    for ((image, _), both) in halves {
        let (file, party) = match both {
            [Some(s0), Some(s1)] => {
                pairs.push((image, [s0, s1]));
                continue;
            }
            [Some(file), None] => (file, Party::S1),
            [None, Some(file)] => (file, Party::S0),
            [None, None] => continue,
        };
        refuse(work, &file, ReceiverError::HalfMissing { party }, observer);
    }
    Ok(pairs)
}

/// The jobs, those of frames that no file takes together one by one.
fn by_frames(jobs: Vec<Job>, request: &Reconstruct) -> Result<Vec<Job>, ReceiverError> {
    let mut all = Vec::with_capacity(jobs.len());
    for job in jobs {
        all.extend(job.by_frames(request)?);
    }
    Ok(all)
}

/// Tells of a file that makes no image.
fn refuse(
    work: &mut Work<'_>,
    file: &Place,
    e: ReceiverError,
    observer: &mut dyn Observer<ReceiverEvent>,
) {
    work.failed(file.name(), e.about(file.name()), observer);
}

/// The results of a plane by the orientation that was shared.
type Orientations = BTreeMap<Orientation, Plane>;

/// The plane whose orientations these are, if all are here.
fn averaged(orientations: Orientations) -> Result<Option<Plane>, Refused> {
    let found = orientations.len();
    let mut planes = orientations.into_values();
    let Some((note, image, mut results)) = planes.next() else { return Ok(None) };
    let all = note.turned.map_or(1, |turned| turned.average.orientations().len());
    if found < all {
        let [file, _] = results.first;
        return Err(Refused::new(file, ReceiverError::OrientationsMissing { found, all }));
    }
    for (_, _, other) in planes {
        if other.entry != results.entry {
            let [file, _] = other.first;
            return Err(Refused::new(file, ReceiverError::OrientationsDiffer));
        }
        results.others.push(other.first);
    }
    Ok(Some((note, image, results)))
}

/// The colour image of its channels, if all are here.
fn joined(planes: [Option<Plane>; 3], depth: Depth) -> Result<Option<Job>, Refused> {
    let missing: Vec<&str> =
        planes.iter().zip(CHANNELS).filter(|(plane, _)| plane.is_none()).map(|(_, c)| c).collect();
    let mut planes = planes.into_iter().flatten();
    let Some((note, image, first)) = planes.next() else { return Ok(None) };
    if !missing.is_empty() {
        let [file, _] = first.first;
        return Err(Refused::new(file, ReceiverError::ChannelsMissing { missing }));
    }
    let mut channels = vec![first];
    channels.extend(planes.map(|(_, _, results)| results));
    Ok(Some(Job::of(Some(&note), image, channels, depth)))
}
