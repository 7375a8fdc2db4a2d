//! `reconstruct`: the receiver puts result shares together.

mod joined;
mod plan;
mod quality;

use super::args::Reconstruct;
use super::batch::{Failed, Failures, is_folder};
use super::failure::{Code, Failure};
use super::files::{
    OutputKind, QualityReport, check_streams, check_writable, is_stream, overwrite, read_reference,
};
use super::output::{Console, print_json};
use crate::artefact::{Note, Reconstruction, reconstruct};
use crate::files::FormatError;
use crate::files::container::OpenFrom;
use crate::files::keys::KeyFolder;
use crate::files::keys::{PublicKey, SecretKey};
use crate::files::output::ensure_not_input;
use crate::ids::{ImageId, Role};
use crate::image::{Depth, GreyImage, ImageError, Raster};
use crate::roles::images::Target;
use plan::{Job, Parts};
use quality::Summary;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Serialize)]
struct Report<'a> {
    images: &'a [Entry],
    failed: &'a [Failed],
    /// The mean over the images, if there is a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<Summary>,
    /// The whole command less the start of the process.
    seconds: f64,
    /// Of these, coding and writing the images' files.
    write_image_seconds: f64,
}

#[derive(Serialize)]
struct Entry {
    file: String,
    /// One share, or those of red, green and blue; of an image of tiles those of each tile.
    shares: Vec<Share>,
    /// Of how many tiles it was joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    tiles: Option<usize>,
    height: usize,
    width: usize,
    #[serde(flatten)]
    quality: Option<QualityReport>,
}

#[derive(Serialize)]
struct Share {
    image_id: String,
    session_id: String,
}

impl Share {
    fn of(result: &Reconstruction) -> Share {
        let (image_id, session_id) = (result.image_id.to_string(), result.session_id.to_string());
        Share { image_id, session_id }
    }
}

/// The grey levels as an image.
fn grey(result: Reconstruction) -> Result<GreyImage, ImageError> {
    let pixels = result.grey.iter().map(|&v| v as f32).collect();
    GreyImage::new(result.size.0, result.size.1, pixels)
}

/// The keys that a receiver opens results with.
struct Keys {
    receiver: SecretKey,
    servers: [PublicKey; 2],
    /// Whose notes are read.
    gateway: Option<PublicKey>,
}

impl Keys {
    fn open(args: &Reconstruct, console: &Console) -> Result<Self, Failure> {
        let keys = KeyFolder::open(&args.keys)?;
        let receiver = args.unlock.secret(&keys, Role::Receiver)?;
        let servers = [keys.public(Role::Server0)?, keys.public(Role::Server1)?];
        let gateway = match keys.public(Role::Gateway) {
            Err(FormatError::KeyMissing { file, .. }) => {
                let file = file.display();
                console.note(format!("note: there is no '{file}': notes of images are not read"));
                None
            }
            other => Some(other?),
        };
        Ok(Keys { receiver, servers, gateway })
    }

    fn reconstruct(&self, [first, second]: [&Path; 2]) -> Result<Reconstruction, Failure> {
        Ok(reconstruct([first, second], &self.receiver, &self.servers)?)
    }

    /// What a note says; nothing if there is none, or none that can be read.
    fn note(&self, image: ImageId, sealed: &[u8], console: &Console) -> Option<Note> {
        let sender = self.gateway.as_ref().filter(|_| !sealed.is_empty())?;
        let keys = OpenFrom { recipient: &self.receiver, sender, role: Role::Gateway };
        let told = |e| console.note(format!("note: image {image} keeps its id as name: {e}"));
        Note::open(keys, image, sealed).map_err(told).ok()
    }
}

pub(super) fn run(args: &Reconstruct, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    let folder = is_folder(&args.out);
    let original = args.original();
    let (window, overwrite) = (args.dicom.window, overwrite(args.common.force));
    let target = Target { out: &args.out, original, window, overwrite };
    if original.is_some() && !target.is_dicom() {
        return Err(Failure::new(Code::Usage, "--like goes with a DICOM file")
            .help("name the output with .dcm, or leave --like away"));
    }
    if args.originals().is_some() && !folder {
        return Err(Failure::new(Code::Usage, "--like names a folder, and --out does not")
            .help("give a folder that exists as --out, or one DICOM file as --like"));
    }
    if !folder {
        check_outputs(args, [target], std::slice::from_ref(&args.reference))?;
    }
    let streams = [args.reference.as_deref(), args.unlock.passphrase_file.as_deref()];
    check_streams(&streams.into_iter().flatten().collect::<Vec<_>>(), &args.out, args.common.json)?;
    let keys = Keys::open(args, console)?;
    let mut failures = Failures::default();
    let (jobs, loaded) = match &args.share[..] {
        // Two files are put together whatever they are, so that it is told why they cannot be.
        [a, b] if !a.is_dir() && !b.is_dir() => {
            let result = keys.reconstruct([a, b])?;
            let note = keys.note(result.image_id, &result.note, console);
            let mut job = Job::single(note, &result);
            if let Some(folder) = args.originals() {
                job.derive_from(folder)?;
            }
            if let (true, Some(part)) = (folder, job.part_of) {
                let text = format!("this is one {part}");
                let help = "give the shares of all of them, or an --out file for this one";
                return Err(Failure::new(Code::Usage, text).about(a).help(help));
            }
            (vec![job], Some(result))
        }
        _ => {
            let jobs = plan::jobs(&args.share, args.originals(), &keys, &mut failures, console);
            (jobs?, None)
        }
    };
    let total = jobs.len() + failures.list.len();
    let targets = targets(args, &jobs)?;
    let references = quality::references(args.reference.as_deref(), &targets)?;
    let derived = jobs.iter().zip(&targets).map(|(job, target)| args.target(job, target));
    check_outputs(args, derived, &references)?;
    for ((job, target), reference) in jobs.iter().zip(&targets).zip(&references) {
        joined::check(job, &args.target(job, target), reference.is_some())?;
    }
    let mut work = Work { args, keys, entries: Vec::new(), write_image_seconds: 0.0 };
    let mut loaded = loaded.map(|result| vec![result]);
    for ((job, target), reference) in jobs.iter().zip(&targets).zip(&references) {
        let made = match (loaded.take(), &job.parts) {
            (Some(results), _) => work.write(job, results, target, reference),
            (None, Parts::Tiles(scan)) => work.join(job, scan, target, reference, console),
            (None, Parts::Planes(pairs)) => {
                let results = pairs.iter().map(|[a, b]| work.keys.reconstruct([a, b]));
                let results: Result<Vec<_>, _> = results.collect();
                results.and_then(|results| work.write(job, results, target, reference))
            }
        };
        match made {
            Ok(Some(quality)) => console.note(format!("{}: {quality}", target.display())),
            Ok(None) => {}
            Err(failure) if total == 1 => return Err(failure),
            Err(failure) => failures.note(target, &failure, console),
        }
    }
    let mean = quality::mean(&work.entries);
    if let (Some(mean), true) = (&mean, work.entries.len() > 1) {
        console.note(format!("mean of {} images: {mean}", work.entries.len()));
    }
    if let Some(csv) = &args.csv {
        let kind = OutputKind::picture(args.common.force);
        quality::write_csv(csv, kind, &work.entries, mean.as_ref())?;
    }
    if args.common.json {
        let report = Report {
            images: &work.entries,
            failed: &failures.list,
            mean,
            seconds: started.elapsed().as_secs_f64(),
            write_image_seconds: work.write_image_seconds,
        };
        print_json("ppdenoise.reconstruct.v2", &report)?;
    }
    failures.end(total)
}

/// One output a job.
fn targets(args: &Reconstruct, jobs: &[Job]) -> Result<Vec<PathBuf>, Failure> {
    if is_folder(&args.out) {
        return Ok(jobs.iter().map(|job| args.out.join(&job.name)).collect());
    }
    match jobs.len() {
        0 | 1 => Ok(vec![args.out.clone(); jobs.len()]),
        several => {
            let text = format!("{several} images do not go into one file");
            let help = "give a folder that exists as --out";
            Err(Failure::new(Code::Usage, text).about(&args.out).help(help))
        }
    }
}

impl Reconstruct {
    /// The one DICOM file that was named to derive from.
    fn original(&self) -> Option<&Path> {
        self.like.as_deref().filter(|like| !is_folder(like))
    }

    /// The folder of DICOM files that was named.
    fn originals(&self) -> Option<&Path> {
        self.like.as_deref().filter(|like| is_folder(like))
    }

    /// An output, derived from the original that was named, or from its own.
    fn target<'a>(&'a self, job: &'a Job, out: &'a Path) -> Target<'a> {
        let original = job.original.as_deref().or(self.original());
        let overwrite = overwrite(self.common.force);
        Target { out, original, window: self.dicom.window, overwrite }
    }
}

/// Proves that outputs can be written and are no inputs.
fn check_outputs<'a>(
    args: &Reconstruct,
    targets: impl IntoIterator<Item = Target<'a>>,
    references: &[Option<PathBuf>],
) -> Result<(), Failure> {
    let targets: Vec<Target<'_>> = targets.into_iter().collect();
    let inputs = args.share.iter().chain(references.iter().flatten()).map(PathBuf::as_path);
    let originals = targets.iter().filter_map(|target| target.original);
    let inputs: Vec<&Path> = inputs.chain(originals).collect();
    for target in targets {
        target.check()?;
        if !is_stream(target.out) {
            ensure_not_input(target.out, &inputs)?;
        }
        check_writable(target.out, OutputKind::picture(args.common.force))?;
    }
    if let Some(csv) = &args.csv {
        check_writable(csv, OutputKind::picture(args.common.force))?;
    }
    Ok(())
}

struct Work<'a> {
    args: &'a Reconstruct,
    keys: Keys,
    entries: Vec<Entry>,
    write_image_seconds: f64,
}

impl Work<'_> {
    /// Writes an image of one plane or three, and judges it.
    fn write(
        &mut self,
        job: &Job,
        results: Vec<Reconstruction>,
        target: &Path,
        reference: &Option<PathBuf>,
    ) -> Result<Option<QualityReport>, Failure> {
        let shares = results.iter().map(Share::of).collect();
        let planes = results.into_iter().map(grey).collect::<Result<Vec<_>, _>>()?;
        let image = Raster::of_planes(planes, job.depth)?;
        let window = self.args.dicom.window;
        let reference = reference.as_deref().map(|path| read_reference(path, window));
        let reference = reference.transpose()?;
        let quality = reference.map(|r| QualityReport::new(&r, &image)).transpose()?;
        let writing = Instant::now();
        self.args.target(job, target).write(&image)?;
        self.write_image_seconds += writing.elapsed().as_secs_f64();
        let (height, width) = (image.height(), image.width());
        let file = target.display().to_string();
        self.entries.push(Entry { file, shares, tiles: None, height, width, quality });
        Ok(quality)
    }
}

/// The depth of an image without a note.
const UNKNOWN: Depth = Depth::Float;
