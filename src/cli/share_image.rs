//! `share-image`: the gateway's part.

use super::args::gateway::ShareImage;
use super::batch::{CHANNELS, Failed, Failures, no_picture, unsearched};
use super::failure::{Failure, unfit};
use super::files::{check_streams, overwrite};
use super::levels::tell_level;
use super::output::{Console, print_json};
use crate::image::Cut;
use crate::model::Clamping;
use crate::roles::{
    Gateway, GatewayError, GatewayEvent, Observer, Picture, ShareImages, SharedPlane, read_public,
};
use crate::size::Size;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What was shared.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report<'a> {
    /// The sharings: one for each image, channel and tile.
    images: &'a [SharedPlane],
    /// Number of images that were shared into the folder before and are skipped.
    skipped: usize,
    /// Images that could not be shared.
    failed: &'a [Failed],
    /// Whether notes to the receiver are included.
    notes: bool,
    /// Seconds of the whole command, without the start of the process.
    seconds: f64,
    /// Of these: reading and decoding the images.
    read_image_seconds: f64,
}

pub(super) fn run(args: &ShareImage, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    let streams =
        args.image.iter().map(PathBuf::as_path).chain(args.unlock.passphrase_file.as_deref());
    check_streams(&streams.collect::<Vec<_>>(), &args.out, false)?;
    let levels = args.met.levels()?;
    if args.tile.is_some() && levels.noise == crate::roles::images::Noise::Estimated {
        return Err(GatewayError::EstimateInTiles.into());
    }
    let gateway = Gateway::open(&args.keys, &|file| args.unlock.passphrase(file))?;
    let public = read_public(&args.model)?;
    let mut request = ShareImages::new(&public, &args.out);
    request.images = args.image.iter().map(|path| Picture::File(path.clone())).collect();
    request.window = args.dicom.window;
    request.range = args.ranged.range;
    request.levels = levels;
    request.colour = args.color;
    request.tile = args.tile.map(|side| side as usize);
    request.average = args.average.unwrap_or_default();
    request.shard = args.part.shard();
    request.clamping = if args.strict { Clamping::Never } else { args.clamp.clamping() };
    request.recursive = args.recursive;
    request.again = args.again;
    request.overwrite = overwrite(args.common.force);
    request.inputs = vec![args.model.clone()];
    let mut teller = Teller { out: &args.out, failures: Failures::default(), console };
    let shared = gateway.share(&request, &mut teller);
    let failures = teller.failures;
    console.finish();
    let shared = shared?;
    if args.common.json {
        let report = Report {
            images: &shared.images,
            skipped: shared.skipped,
            failed: &failures.list,
            notes: shared.notes,
            seconds: started.elapsed().as_secs_f64(),
            read_image_seconds: shared.read_seconds,
        };
        print_json(&report)?;
    }
    failures.end(shared.total)
}

/// Tells how the sharing goes.
struct Teller<'a> {
    out: &'a Path,
    failures: Failures,
    console: &'a mut Console,
}

impl Observer<GatewayEvent> for Teller<'_> {
    fn event(&mut self, event: GatewayEvent) {
        let console = &mut *self.console;
        match event {
            GatewayEvent::SharingTiles => console.phase("sharing tiles"),
            GatewayEvent::SharingFrames => console.phase("sharing frames"),
            GatewayEvent::NoReceiver { file } => console.note(format!(
                "note: there is no '{}': names, formats, depths and ranges do not travel to the receiver, and results are not judged",
                file.display()
            )),
            GatewayEvent::Level(note) => tell_level(&note, unfit::of_gateway, console),
            GatewayEvent::NoPicture { file, kind } => console.note(no_picture(&file, kind)),
            GatewayEvent::Unsearched { folder, folders } => console.note(format!(
                "{}; --recursive searches them",
                unsearched(&folder, folders)
            )),
            GatewayEvent::SharedBefore { images } => console.note(format!(
                "{images} image(s) were shared into this folder before and are passed over; --again \
                 shares them once more"
            )),
            GatewayEvent::Shared { image, of_several } => self.shared(&image, of_several),
            GatewayEvent::SharedTiles { file, cut, shares } => self.tiles(&file, &cut, shares),
            GatewayEvent::SharedFrames { file, frames, size: Size { height: rows, width: columns } } => {
                console.finish();
                let (file, out) = (file.display(), self.out.display());
                console
                    .note(format!("{file}: {frames} frames of {rows}x{columns} shared in {out}"));
            }
            GatewayEvent::Failed { file, error } => self.failures.note(&file, &error.into(), console),
        }
    }

    fn progress(&mut self, done: f64) {
        Console::progress(self.console, done);
    }
}

impl Teller<'_> {
    fn shared(&self, image: &SharedPlane, of_several: bool) {
        let colour = image.channel.map(|index| format!(", {}", CHANNELS[usize::from(index)]));
        let turned = image.orientation.map(|orientation| format!(", orientation {orientation}"));
        let part = [colour, turned].map(Option::unwrap_or_default).concat();
        let which = if of_several || !part.is_empty() {
            format!("{}{part}: ", image.file.display())
        } else {
            String::new()
        };
        let (id, prefix) = (image.id, image.prefix.display());
        self.console.note(format!("{which}image {id} shared as {prefix}.s0, .s1"));
    }

    fn tiles(&mut self, file: &Path, cut: &Cut, shares: usize) {
        self.console.finish();
        let (Size { height, width }, Size { height: rows, width: columns }) =
            (cut.tiling().size(), cut.tile());
        let each = if shares > 1 { format!(", {shares} shares each,") } else { String::new() };
        self.console.note(format!(
            "{}: {height}x{width} shared as {} tiles of {rows}x{columns}{each} in {}",
            file.display(),
            cut.tiling().count(),
            self.out.display()
        ));
    }
}
