//! `client`: a user of a cloud, who takes part as server 1.

use super::args::cloud::Visit as Args;
use super::batch::{Failed, no_picture, unsearched};
use super::failure::{Failure, refused, unfit};
use super::files::{check_streams, overwrite, tell_stacked};
use super::levels::tell_level;
use super::output::{Console, bytes, peak_memory, print_json};
use super::plausible::{tell_alarm, tell_implausible};
use super::server_side::Watcher;
use crate::files::Place;
use crate::kernels;
use crate::roles::images::{PictureError, images};
use crate::roles::one_cloud::{Brought, Errand, Errands, Goal, Ready, User, UserEvent};
use crate::roles::server::{MakePaths, MakeReport, description_beside};
use crate::roles::{Observer, Threads};
use crate::size::Size;
use crate::wire::{Limits, connect};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What came of a visit to the cloud.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report<'a> {
    /// Compute threads.
    threads: usize,
    /// Instruction set of the kernels.
    backend: &'static str,
    /// The images that are denoised.
    images: &'a [Brought],
    /// Files that were skipped.
    failed: &'a [Failed],
    /// Slots that were made.
    slots_made: u64,
    /// Images for which the quota lets slots be made today, beyond those that are there.
    images_left: u64,
    /// Seconds of the whole command, without the start of the process.
    seconds: f64,
    /// Peak memory of the process in bytes; null if the platform does not report it.
    peak_memory_bytes: Option<u64>,
}

pub(super) fn run(args: &Args, console: &mut Console) -> Result<(), Failure> {
    Threads::Own(args.threads.number()).run(|| work(args, console))?
}

fn work(args: &Args, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    let errand = errand(args, console)?;
    let files = errand.files.len();
    if let Some(out) = &args.out {
        let inputs: Vec<&Path> = errand.files.iter().map(PathBuf::as_path).collect();
        check_streams(&inputs, out, args.common.json)?;
    }
    let ready = errand.ready()?;
    let public = args.public.as_ref().map_or_else(|| description_beside(&args.model), Place::from);
    let paths = MakePaths::new(&args.model, public);
    let ask = |file: &Path| args.unlock.passphrase(file);
    let user = User::open(&args.keys, &ask, paths, args.state.as_deref())?;
    let mut shown = Shown(Watcher::new(console));
    let (done, images_left) = visit(args, &user, ready, &mut shown)?;
    let Watcher { console, failures, .. } = shown.0;
    console.finish();
    if args.common.json {
        let report = Report {
            threads: args.threads.number().get(),
            backend: kernels::active().name(),
            images: &done.images,
            failed: &failures.list,
            slots_made: done.slots_made,
            images_left,
            seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory(),
        };
        print_json(&report)?;
    }
    failures.end(files)
}

/// What the flags ask for.
fn errand<'a>(args: &'a Args, console: &Console) -> Result<Errand<'a>, Failure> {
    let found = images(&args.image, false)?;
    for (file, kind) in &found.no_picture {
        console.note(no_picture(file, kind));
    }
    for (folder, folders) in &found.unsearched {
        console.note(unsearched(folder, *folders));
    }
    let files: Vec<PathBuf> = found.files.into_iter().map(|file| file.path).collect();
    if let (true, Some((folder, _))) = (files.is_empty(), found.no_picture.first()) {
        let folder = folder.parent().unwrap_or(folder).to_owned();
        return Err(PictureError::NoImages { folder, unsearched: 0 }.into());
    }
    let goal = match (&args.out, args.prepare) {
        (Some(out), None) => Goal::Denoise { out, overwrite: overwrite(args.common.force) },
        (_, slots) => Goal::Prepare { slots: slots.unwrap_or_default(), size: args.size },
    };
    Ok(Errand {
        files,
        window: args.dicom.window,
        range: args.ranged.range,
        colour: args.color,
        levels: args.met.levels()?,
        clamping: args.clamp.clamping(),
        implausibility: args.plausible.implausibility(),
        alarmed: args.in_range.alarmed(),
        goal,
    })
}

/// One session with the cloud; also what its quota leaves.
fn visit(
    args: &Args,
    user: &User,
    mut errand: Ready<'_>,
    shown: &mut Shown<'_>,
) -> Result<(Errands, u64), Failure> {
    errand.read_ahead(&user.public().model, shown)?;
    let seconds = Duration::from_secs;
    let limits = Limits::new(seconds(args.wait), seconds(args.timeout));
    shown.0.console.note(format!("connecting to {}", args.cloud));
    let mut channel = connect(&args.cloud, &user.security()?, limits)?;
    let mut visit = user.visit(&mut channel).map_err(refused)?;
    let done = visit.run(errand, shown).map_err(refused)?;
    Ok((done, visit.images_left()))
}

/// What is shown of a session: what any server shows of its jobs, and what is a user's.
struct Shown<'a>(Watcher<'a>);

impl Observer<UserEvent> for Shown<'_> {
    fn event(&mut self, event: UserEvent) {
        let console = &mut *self.0.console;
        match event {
            UserEvent::Level(note) => tell_level(&note, unfit::of_user, console),
            UserEvent::Implausible(result) => tell_implausible(&result, console),
            UserEvent::RangeAlarm { file } => tell_alarm(&file, console),
            UserEvent::Stacked { out, frames } => tell_stacked(frames, &out, console),
            UserEvent::Making { size: Size { height, width }, slots, bytes: needed } => console
                .note(format!(
                    "making {slots} slot(s) for {height}x{width} images: {} at each end",
                    bytes(needed)
                )),
            UserEvent::Made(report) => made(&report, console),
            UserEvent::Failed { file, error } => {
                self.0.failures.note(&file, &error.into(), self.0.console);
            }
            UserEvent::Server(event) => self.0.event(event),
        }
    }

    fn progress(&mut self, done: f64) {
        self.0.progress(done);
    }
}

fn made(report: &MakeReport, console: &mut Console) {
    console.finish();
    let seconds: f64 = report.sets.iter().map(|set| set.made.seconds).sum();
    let sent: u64 = report.sets.iter().map(|set| set.made.traffic.bytes_sent).sum();
    let seconds = seconds + report.setup.seconds;
    console.note(format!("made in {seconds:.1} s, {} sent", bytes(sent)));
}
