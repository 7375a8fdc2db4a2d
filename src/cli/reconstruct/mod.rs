//! `reconstruct`: the receiver's part.

mod quality;

use super::args;
use super::batch::{Failed, Failures, is_folder};
use super::failure::Failure;
use super::files::{OutputKind, QualityReport, check_streams, check_writable, overwrite};
use super::output::{Console, print_json};
use super::plausible::{Residual, alarm_name, tell_alarm, tell_implausible};
use crate::image::dicom::Origin;
use crate::roles::{Observer, Receiver, ReceiverEvent, Reconstruct, Reconstructed, ResultOf};
use quality::{Summary, write_csv};
use serde::Serialize;
use std::time::Instant;

#[derive(Serialize)]
struct Report<'a> {
    images: Vec<Entry>,
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
    /// Which DICOM object it was shared from.
    #[serde(skip_serializing_if = "Option::is_none")]
    scan: Option<Scan>,
    height: usize,
    width: usize,
    #[serde(flatten)]
    residual: Residual,
    /// none, silent or raised.
    range_alarm: &'static str,
    #[serde(flatten)]
    quality: Option<QualityReport>,
}

#[derive(Serialize)]
struct Scan {
    study_uid: String,
    series_uid: String,
    instance_uid: String,
}

impl From<&Origin> for Scan {
    fn from(origin: &Origin) -> Self {
        Scan {
            study_uid: origin.study.clone(),
            series_uid: origin.series.clone(),
            instance_uid: origin.instance.clone(),
        }
    }
}

#[derive(Serialize)]
struct Share {
    image_id: String,
    session_id: String,
}

impl From<&ResultOf> for Share {
    fn from(result: &ResultOf) -> Self {
        Share { image_id: result.image.to_string(), session_id: result.session.to_string() }
    }
}

impl From<&Reconstructed> for Entry {
    fn from(image: &Reconstructed) -> Self {
        Entry {
            file: image.file.display().to_string(),
            shares: image.shares.iter().map(Share::from).collect(),
            tiles: image.tiles,
            scan: image.origin.as_ref().map(Scan::from),
            height: image.size.0,
            width: image.size.1,
            residual: image.plausibility.into(),
            range_alarm: alarm_name(image.range_alarm),
            quality: image.quality.map(QualityReport::from),
        }
    }
}

pub(super) fn run(
    args: &args::receiver::Reconstruct,
    console: &mut Console,
) -> Result<(), Failure> {
    let started = Instant::now();
    let mut request = Reconstruct::new(&args.share, &args.out);
    request.like = args.like.clone();
    request.window = args.dicom.window;
    request.reference = args.reference.clone();
    request.implausibility = args.plausible.implausibility();
    request.alarmed = args.in_range.alarmed();
    request.overwrite = overwrite(args.common.force);
    request.check()?;
    let kind = OutputKind::picture(args.common.force);
    if let Some(csv) = &args.csv {
        check_writable(csv, kind)?;
    }
    let streams = [args.reference.as_deref(), args.unlock.passphrase_file.as_deref()];
    check_streams(&streams.into_iter().flatten().collect::<Vec<_>>(), &args.out, args.common.json)?;
    let receiver = Receiver::open(&args.keys, &|file| args.unlock.passphrase(file))?;
    let folder = is_folder(&args.out);
    let mut teller = Teller { folder, failures: Failures::default(), console };
    let made = receiver.reconstruct(&request, &mut teller);
    let failures = teller.failures;
    console.finish();
    let made = made?;
    let mean = made.mean.map(Summary::from);
    if let (Some(mean), true) = (&mean, made.images.len() > 1) {
        console.note(format!("mean of {} images: {mean}", made.images.len()));
    }
    if let Some(csv) = &args.csv {
        write_csv(csv, kind, &made.images, mean.as_ref())?;
    }
    if args.common.json {
        let report = Report {
            images: made.images.iter().map(Entry::from).collect(),
            failed: &failures.list,
            mean,
            seconds: started.elapsed().as_secs_f64(),
            write_image_seconds: made.write_seconds,
        };
        print_json("ppdenoise.reconstruct.v2", &report)?;
    }
    failures.end(made.total)
}

/// Tells how the work goes.
struct Teller<'a> {
    /// Whether images get their names from their notes.
    folder: bool,
    failures: Failures,
    console: &'a mut Console,
}

impl Observer<ReceiverEvent> for Teller<'_> {
    fn event(&mut self, event: ReceiverEvent) {
        let console = &mut *self.console;
        match event {
            ReceiverEvent::JoiningTiles => console.phase("joining tiles"),
            ReceiverEvent::JoiningFrames => console.phase("joining frames"),
            ReceiverEvent::NoGateway { file } => {
                let file = file.display();
                console.note(format!("note: there is no '{file}': notes of images are not read, and results not judged"));
            }
            ReceiverEvent::NoteUnread { image, error } => {
                console.note(format!("note: image {image} keeps its id as name: {error}"));
            }
            ReceiverEvent::Implausible(result) => tell_implausible(&result, console),
            ReceiverEvent::RangeAlarm { file } => tell_alarm(&file, console),
            ReceiverEvent::NoNote { image } => {
                console.note(format!(
                    "note: image {image} has no note: its name and bit depth are not known, and 8 bits are written; what --like and --window say is not checked"
                ));
            }
            ReceiverEvent::PartOnly { file, part } => {
                console.finish();
                console.note(format!("note: '{}' is one {part}", file.display()));
            }
            ReceiverEvent::Reconstructed(image) => {
                console.finish();
                let of =
                    image.origin.as_ref().map_or(String::new(), |origin| format!(" ({origin})"));
                let file = format!("{}{of}", image.file.display());
                match image.quality.map(QualityReport::from) {
                    Some(quality) => console.note(format!("{file}: {quality}")),
                    None if self.folder => console.note(format!("{file} written")),
                    None => {}
                }
            }
            ReceiverEvent::Failed { file, error } => {
                self.failures.note(&file, &error.into(), console)
            }
        }
    }

    fn progress(&mut self, done: f64) {
        Console::progress(self.console, done);
    }
}
