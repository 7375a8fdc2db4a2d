//! `client`: a user of a cloud, who takes part as server 1.

use super::args::cloud::Visit as Args;
use super::batch::Failed;
use super::failure::{Code, Failure, refused};
use super::files::{check_streams, is_stream, overwrite, read_raster};
use super::levels::{tell_clamped, unfit};
use super::output::{Console, bytes, peak_memory, print_json};
use super::server_side::Watcher;
use crate::files::output::ensure_not_input;
use crate::image::{GreyImage, ImageError, ImageFormat, Raster};
use crate::kernels;
use crate::model::{Encoded, PublicModel, Unfit, encode_image};
use crate::roles::Threads;
use crate::roles::images::{
    ImageLevels, Levels, Target, base_name, ensure_distinct, images, is_folder, restored_name,
};
use crate::roles::one_cloud::{Own, User, Visit};
use crate::roles::server::{MakePaths, description_beside};
use crate::wire::{Limits, connect};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

#[derive(Serialize)]
struct Report<'a> {
    threads: usize,
    backend: &'static str,
    images: &'a [Entry],
    failed: &'a [Failed],
    slots_made: u64,
    /// That the quota leaves today.
    images_left: u64,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Entry {
    file: String,
    out: String,
    height: usize,
    width: usize,
    /// Of the first channel.
    sigma: f64,
    /// One for each channel of each frame.
    slots: usize,
    /// From the agreement on the first slot to the last result.
    online_seconds: f64,
}

/// An image that is read and in fixed point.
struct Picture {
    image: Raster,
    /// One a channel of each frame, frame after frame.
    planes: Vec<(ImageLevels, Vec<i64>)>,
    /// Of a frame.
    size: (usize, usize),
}

pub(super) fn run(args: &Args, console: &mut Console) -> Result<(), Failure> {
    Threads::Own(args.threads.number()).run(|| work(args, console))?
}

fn work(args: &Args, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    let files = images(&args.image)?;
    check(args, &files)?;
    let met = args.met.levels()?;
    let public = args.public.clone().unwrap_or_else(|| description_beside(&args.model));
    let paths = MakePaths { model: args.model.clone(), public };
    let ask = |file: &Path| args.unlock.passphrase(file);
    let user = User::open(&args.keys, &ask, paths, args.state.as_deref())?;
    let model = &user.public().model;
    // One that is no good is told before anybody is asked.
    let mut first = match (&files[..], args.prepare) {
        ([file], None) => Some(read((args, &met), file, model, console)?),
        _ => None,
    };
    let seconds = Duration::from_secs;
    let limits = Limits::new(seconds(args.wait), seconds(args.timeout));
    console.note(format!("connecting to {}", args.cloud));
    let mut channel = connect(&args.cloud, &user.security()?, limits)?;
    let mut work = Work {
        args,
        watcher: Watcher::new(console),
        visit: user.visit(&mut channel).map_err(refused)?,
        entries: Vec::new(),
        slots_made: 0,
    };
    if let Some(slots) = args.prepare {
        for size in work.sizes(&files)? {
            work.make(size, slots)?;
        }
    } else {
        for file in &files {
            let picture = match first.take() {
                Some(picture) => Ok(picture),
                None => read((args, &met), file, model, work.watcher.console),
            };
            let done = match picture {
                Ok(picture) => work.denoise(file, picture)?,
                Err(failure) => Err(failure),
            };
            match done {
                Err(failure) if files.len() > 1 => {
                    work.watcher.failures.note(file, &failure, work.watcher.console);
                }
                other => other?,
            }
        }
    }
    let Work { watcher, visit, entries, slots_made, .. } = work;
    let images_left = visit.images_left();
    drop(channel);
    let Watcher { console, failures, .. } = watcher;
    console.finish();
    if args.common.json {
        let report = Report {
            threads: args.threads.number().get(),
            backend: kernels::active().name(),
            images: &entries,
            failed: &failures.list,
            slots_made,
            images_left,
            seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory(),
        };
        print_json("ppdenoise.client.v1", &report)?;
    }
    failures.end(files.len())
}

/// What can be wrong with outputs, before any work is done.
fn check(args: &Args, files: &[PathBuf]) -> Result<(), Failure> {
    let Some(out) = &args.out else { return Ok(()) };
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    check_streams(&inputs, out, args.common.json)?;
    if !is_folder(out) && files.len() > 1 {
        let text = format!("{} images do not go into one file", files.len());
        let failure = Failure::new(Code::Usage, text).about(out);
        return Err(failure.help("give a folder that exists as --out"));
    }
    let targets = files.iter().map(|file| target(out, file));
    let targets: Vec<PathBuf> = targets.collect();
    let names = targets.iter().map(|target| target.display().to_string());
    ensure_distinct(names.zip(inputs.iter().copied()))?;
    for (file, out) in files.iter().zip(&targets) {
        let target = place(args, file, out);
        target.check()?;
        if !is_stream(out) {
            ensure_not_input(out, &inputs)?;
        }
        target.prove()?;
    }
    Ok(())
}

/// The output of an image: within a folder its own name, in a format that is written.
fn target(out: &Path, file: &Path) -> PathBuf {
    if !is_folder(out) {
        return out.into();
    }
    let name = base_name(file);
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or("");
    match ImageFormat::from_extension(extension) {
        Ok(ImageFormat::Dicom) => out.join(name),
        Ok(format) => out.join(restored_name(&name, format)),
        // Scanners name files as they like.
        Err(_) => out.join(format!("{name}.dcm")),
    }
}

fn place<'a>(args: &Args, file: &'a Path, out: &'a Path) -> Target<'a> {
    let (window, overwrite) = (args.dicom.window, overwrite(args.common.force));
    Target { out, original: Some(file), window, overwrite }
}

/// Reads an image and encodes its channels; refuses what the model was not shared for.
fn read(
    (args, met): (&Args, &Levels),
    file: &Path,
    model: &PublicModel,
    console: &Console,
) -> Result<Picture, Failure> {
    let image = read_raster(file, args.dicom.window)?;
    if image.is_colour() && !args.color {
        let failure = Failure::from(ImageError::Colour).about(file);
        return Err(failure.help("add --color to denoise each channel by itself"));
    }
    let mut planes = Vec::new();
    let mut size = (image.height(), image.width());
    for frame in 0..image.frames() {
        for grey in image.frame(frame)? {
            size = (grey.height(), grey.width());
            model.network.grid(size).map_err(|e| Failure::from(e).about(file))?;
            planes.push(encode((args, met), (file, &grey), model, console)?);
        }
    }
    Ok(Picture { image, planes, size })
}

fn encode(
    (args, met): (&Args, &Levels),
    (file, grey): (&Path, &GreyImage),
    model: &PublicModel,
    console: &Console,
) -> Result<(ImageLevels, Vec<i64>), Failure> {
    let levels = met.of(grey, model.sigma, model.units);
    let levels = levels.map_err(|e| Failure::from(e).about(file))?;
    if met.is_estimated() {
        console.note(format!("estimated noise: {:.2} grey levels", levels.sigma));
    }
    let Encoded { pixels, fit } = encode_image(model, grey, &levels.map);
    let remedy =
        |e: &Unfit| format!("have the model shared with `share-model --sigma-from {}`", e.needed);
    let judged = fit.judge(args.clamp.clamping(), model, &levels.map);
    let but = "add --clamp to denoise what is left of them";
    judged.map_err(|e| unfit(file, &e, &remedy(&e), but))?;
    if fit.clamped > 0 {
        let e = fit.unfit(model, &levels.map);
        tell_clamped(&e, &remedy(&e), console);
    }
    Ok((levels, pixels))
}

struct Work<'a, 'v> {
    args: &'a Args,
    watcher: Watcher<'a>,
    visit: Visit<'v>,
    entries: Vec<Entry>,
    slots_made: u64,
}

impl Work<'_, '_> {
    /// The sizes to make slots for.
    fn sizes(&self, files: &[PathBuf]) -> Result<BTreeSet<(usize, usize)>, Failure> {
        let of_file = |file: &PathBuf| {
            let image = read_raster(file, self.args.dicom.window)?;
            let frame = image.frame(0)?;
            let first = frame.first().map(|grey| (grey.height(), grey.width()));
            Ok(first.unwrap_or((image.height(), image.width())))
        };
        let sizes: Result<BTreeSet<_>, Failure> = files.iter().map(of_file).collect();
        Ok(sizes?.into_iter().chain(self.args.size).collect())
    }

    /// Makes slots, with a word about it.
    fn make(&mut self, size: (usize, usize), slots: u64) -> Result<(), Failure> {
        let (height, width) = size;
        let needed = self
            .visit
            .bytes(size, slots)?
            .map_or(String::new(), |n| format!(": {} at each end", bytes(n)));
        let console = &self.watcher.console;
        console.note(format!("making {slots} slot(s) for {height}x{width} images{needed}"));
        let made = self.visit.prepare(size, slots, &mut self.watcher).map_err(refused)?;
        self.slots_made += slots;
        self.watcher.console.finish();
        let seconds: f64 = made.sets.iter().map(|set| set.made.seconds).sum();
        let sent: u64 = made.sets.iter().map(|set| set.made.traffic.bytes_sent).sum();
        let console = &self.watcher.console;
        console.note(format!(
            "made in {:.1} s, {} sent",
            seconds + made.setup.seconds,
            bytes(sent)
        ));
        Ok(())
    }

    /// Denoises an image. The outer error is of the session, the inner one of this image alone.
    fn denoise(&mut self, file: &Path, picture: Picture) -> Result<Result<(), Failure>, Failure> {
        let Picture { image, planes, size } = picture;
        let Some(out) = &self.args.out else { return Ok(Ok(())) };
        let count = planes.len() as u64;
        // Twice where the cloud has lost the mask of older slots.
        for _ in 0..2 {
            match count.saturating_sub(self.visit.slots(size)) {
                0 => break,
                missing => self.make(size, missing)?,
            }
        }
        let (levels, owns): (Vec<ImageLevels>, Vec<Own>) = planes
            .into_iter()
            .map(|(levels, pixels)| {
                let own = Own { name: file.into(), size, pixels: Zeroizing::new(pixels) };
                (levels, own)
            })
            .unzip();
        let done = self.visit.denoise(owns, &mut self.watcher).map_err(refused)?;
        let (results, reports) = done;
        if results.len() < levels.len() {
            let text = "the cloud is ending, and this image is not done";
            return Err(Failure::new(Code::Peer, text).about(file).help("run it again later"));
        }
        let online = reports.iter().flat_map(|report| &report.images);
        let online_seconds = online.map(|image| image.online.seconds).sum();
        let slots = results.len();
        let out = target(out, file);
        self.entries.push(Entry {
            file: file.display().to_string(),
            out: out.display().to_string(),
            height: image.height(),
            width: image.width(),
            sigma: levels[0].sigma,
            slots,
            online_seconds,
        });
        let written = assemble(&image, &levels, results);
        let written =
            written.and_then(|denoised| Ok(place(self.args, file, &out).write(&denoised)?));
        if written.is_err() {
            self.entries.pop();
        }
        Ok(written)
    }
}

/// The image of its denoised planes, which are frame after frame.
fn assemble(
    image: &Raster,
    levels: &[ImageLevels],
    results: Vec<Vec<f64>>,
) -> Result<Raster, Failure> {
    let channels = image.planes().len();
    let mut planes = vec![Vec::new(); channels];
    for (i, (levels, units)) in levels.iter().zip(results).enumerate() {
        planes[i % channels].extend(units.iter().map(|&u| levels.map.to_grey(u) as f32));
    }
    let (height, width) = (image.height(), image.width());
    let planes = planes.into_iter().map(|pixels| GreyImage::new(height, width, pixels));
    Ok(image.with_planes(planes.collect::<Result<_, _>>()?)?)
}
