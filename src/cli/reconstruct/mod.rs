//! `reconstruct`: the receiver's part.

mod quality;

use super::args;
use super::batch::{Failed, Failures, is_folder};
use super::failure::Failure;
use super::files::{OutputKind, check_streams, check_writable, overwrite, quality_text};
use super::output::{Console, print_json};
use super::plausible::{tell_alarm, tell_implausible};
use crate::roles::{MeanQuality, Observer, Receiver, ReceiverEvent, Reconstruct, Reconstructed};
use quality::write_csv;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Instant;

/// What was put together.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Report<'a> {
    /// The denoised images.
    images: &'a [Reconstructed],
    /// Results that could not be combined.
    failed: &'a [Failed],
    /// With `--reference`: the means over the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MeanQuality")]
    mean: Option<MeanQuality>,
    /// Seconds of the whole command, without the start of the process.
    seconds: f64,
    /// Of these: encoding and writing the images.
    write_image_seconds: f64,
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
    if let (Some(mean), true) = (&made.mean, made.images.len() > 1) {
        let quality = quality_text(&mean.quality);
        console.note(format!("mean of {} images: {quality}", made.images.len()));
    }
    if let Some(csv) = &args.csv {
        write_csv(csv, kind, &made.images, made.mean.as_ref())?;
    }
    if args.common.json {
        let report = Report {
            images: &made.images,
            failed: &failures.list,
            mean: made.mean,
            seconds: started.elapsed().as_secs_f64(),
            write_image_seconds: made.write_seconds,
        };
        print_json(&report)?;
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
                console.note(format!(
                    "note: there is no '{file}': notes of images are not read, and results not judged; those of \
                     `share-image --average` stay turned and mirrored"
                ));
            }
            ReceiverEvent::NoteUnread { image, error } => {
                console.note(format!(
                    "note: image {image} keeps its id as name, and stays turned or mirrored if it was shared with \
                     --average: {error}"
                ));
            }
            ReceiverEvent::Implausible(result) => tell_implausible(&result, console),
            ReceiverEvent::RangeAlarm { file } => tell_alarm(&file, console),
            ReceiverEvent::NoNote { image } => {
                console.note(format!(
                    "note: image {image} has no note: its name and bit depth are not known, and 8 bits are written; what --like and --window say is not checked"
                ));
            }
            ReceiverEvent::HeadersLeftOut { images } => {
                let came = match images {
                    1 => "the image came from a DICOM file".to_string(),
                    n => format!("{n} images came from DICOM files"),
                };
                console.note(format!(
                    "note: {came}, and what is written leaves out patient, study, spacing, units and window; --like with the originals writes DICOM files that have them"
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
                match image.quality.as_ref().map(quality_text) {
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
