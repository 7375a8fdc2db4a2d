//! `train`: from a folder of images to a model.

use super::args::train::Train;
use super::failure::{Code, Failure};
use super::files::{OutputKind, check_writable, read_bytes, read_image, write_public};
use super::models::read_model;
use super::output::{Console, print_json};
use crate::files::FormatError;
use crate::files::output::ensure_not_input;
use crate::image::metrics::{PEAK_8BIT, psnr};
use crate::image::{GreyImage, add_gaussian};
use crate::model::{Description, FloatModel, Normalisation, Packing, save_npz};
use crate::train::{
    Card, Checkpoint, Corpus, CurvePoint, LevelPoint, Noise, Recipe, Schedule, State, Taught,
    TrainError, Trainer, TrainingRecord,
};
use serde::Serialize;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Seed of the noise on the first validation image.
const VALIDATION_SEED: u64 = 100;

#[derive(Serialize)]
struct Report<'a> {
    model: String,
    steps: u64,
    minutes: f64,
    interrupted: bool,
    curve: &'a [CurvePoint],
}

pub(super) fn run(args: &Train, console: &mut Console) -> Result<(), Failure> {
    let described = args.recipe.layers.as_deref().map(description).transpose()?;
    let mut recipe = args.recipe.recipe(described)?;
    recipe.check()?;
    check_outputs(args)?;
    let teacher = args.teacher.as_deref().map(|path| read_model(path, None)).transpose()?;
    if let (Some(path), Some(teacher)) = (&args.teacher, &teacher) {
        let own = if recipe.noise.is_one() { Noise::of(teacher.sigma) } else { recipe.noise };
        let noise = args.teacher_sigma.unwrap_or(own);
        let model = blake3::hash(&read_bytes(path)?).to_hex().to_string();
        recipe.teacher = Some(Taught { model, noise });
    }
    let (state, seconds, curve) = start(args, &recipe)?;
    let (mut corpus, held) = images(args, &recipe)?;
    if let Some(teacher) = teacher {
        corpus = corpus.with_teacher(teacher, &recipe)?;
    }
    let trainer = Trainer::new(recipe, corpus, state, usize::from(args.threads))
        .map_err(|e| Failure::from(e).about(&args.images))?;
    let (images, held_count) = (trainer.images(), held.len());
    console.note(format!("{images} training images, {held_count} held for validation"));
    let mut run = Run { args, trainer, held, seconds, curve };
    let interrupted = run.train(console)?;
    console.finish();
    let steps = run.trainer.state().step;
    let minutes = run.seconds / 60.0;
    console.note(format!("{}: {steps} steps, {minutes:.1} minutes", args.out.display()));
    if args.json {
        let model = args.out.display().to_string();
        let report = Report { model, steps, minutes, interrupted, curve: &run.curve };
        print_json("ppdenoise.train.v1", &report)?;
    }
    Ok(())
}

/// What a file says of layers.
fn description(path: &Path) -> Result<Description, Failure> {
    Description::parse(&read_bytes(path)?).map_err(|e| Failure::from(e).about(path))
}

/// Refuses, before any work, names that cannot be written or must not be.
fn check_outputs(args: &Train) -> Result<(), Failure> {
    if args.out.extension().is_none_or(|e| e != "npz") {
        return Err(Failure::new(Code::Usage, "the model's name must end in .npz").about(&args.out));
    }
    let mut inputs: Vec<&Path> = Vec::new();
    inputs.extend(args.init.as_deref());
    inputs.extend(args.teacher.as_deref());
    inputs.extend(args.recipe.layers.as_deref());
    let card = args.out.with_extension("json");
    let mut outputs: Vec<&Path> = vec![&args.out, &card];
    if let Some(checkpoint) = &args.checkpoint {
        if outputs.contains(&checkpoint.as_path()) {
            let fail =
                Failure::new(Code::Usage, "is the model and the checkpoint").about(checkpoint);
            return Err(fail.help("give the checkpoint a name of its own"));
        }
        outputs.push(checkpoint);
    }
    for path in outputs {
        ensure_not_input(path, &inputs)?;
        if path.exists() && !args.force && !args.resume {
            let fail = Failure::new(Code::Usage, "exists already").about(path);
            return Err(fail.help("choose another name, or replace it with --force"));
        }
    }
    check_writable(&args.out, OutputKind::REPORT)?;
    let checkpoint = args.checkpoint.as_deref();
    checkpoint.map_or(Ok(()), |path| check_writable(path, OutputKind::REPORT))
}

/// Where training starts: state, seconds and curve so far.
fn start(args: &Train, recipe: &Recipe) -> Result<(State, f64, Vec<CurvePoint>), Failure> {
    match (&args.checkpoint, &args.init) {
        (Some(path), _) if args.resume => {
            let about = |e: TrainError| Failure::from(e).about(path);
            let checkpoint = Checkpoint::decode(&read_bytes(path)?).map_err(about)?;
            checkpoint.check_recipe(recipe).map_err(about)?;
            Ok((checkpoint.state, checkpoint.seconds, checkpoint.curve))
        }
        (_, Some(path)) => {
            let model = read_model(path, None)?;
            let state = State::from_model(recipe, &model);
            Ok((state.map_err(|e| Failure::from(e).about(path))?, 0.0, Vec::new()))
        }
        _ => Ok((State::new(recipe)?, 0.0, Vec::new())),
    }
}

/// Training images, and those held for validation.
fn images(args: &Train, recipe: &Recipe) -> Result<(Corpus, Vec<Held>), Failure> {
    let names = image_names(&args.images)?;
    let count = args.hold_out.unwrap_or(0);
    if count >= names.len() {
        let text = format!("{} images; cannot hold {count} of them", names.len());
        return Err(Failure::new(Code::Usage, text).about(&args.images));
    }
    let places: Vec<usize> = (0..count).map(|i| (2 * i + 1) * names.len() / (2 * count)).collect();
    let mut held: Vec<PathBuf> = places.iter().map(|&i| names[i].clone()).collect();
    if let Some(folder) = &args.validation {
        held = image_names(folder)?;
    }
    let held = held.iter().zip(VALIDATION_SEED..);
    let held = held.map(|(name, seed)| Held::read(name, recipe.noise, seed));
    let held = held.collect::<Result<_, _>>()?;
    let mut corpus = Corpus::new();
    for (_, name) in names.iter().enumerate().filter(|(i, _)| !places.contains(i)) {
        corpus.add(&read_image(name)?, &recipe.scales);
    }
    Ok((corpus, held))
}

/// The PNG and .npy files of a folder by name.
fn image_names(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |e| Failure::from(FormatError::io(folder, "read", e));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if ["png", "npy"].iter().any(|e| extension.eq_ignore_ascii_case(e)) {
            names.push(path);
        }
    }
    if names.is_empty() {
        return Err(Failure::new(Code::Input, "there is no .png or .npy image here").about(folder));
    }
    names.sort();
    Ok(names)
}

/// A validation image, clean and with each level of noise.
struct Held {
    clean: GreyImage,
    noisy: Vec<GreyImage>,
}

impl Held {
    fn read(name: &Path, noise: Noise, seed: u64) -> Result<Held, Failure> {
        let clean = read_image(name)?;
        let noisy = noise.validated().into_iter().map(|sigma| add_gaussian(&clean, sigma, seed));
        Ok(Held { noisy: noisy.collect::<Result<_, _>>()?, clean })
    }
}

struct Run<'a> {
    args: &'a Train,
    trainer: Trainer,
    held: Vec<Held>,
    /// Seconds of training, earlier runs included; validation is not counted.
    seconds: f64,
    curve: Vec<CurvePoint>,
}

impl Run<'_> {
    /// Trains to the end or until interrupted; whether it was.
    fn train(&mut self, console: &mut Console) -> Result<bool, Failure> {
        let stop = interrupts()?;
        let recipe = self.trainer.recipe();
        let schedule = Schedule { peak: recipe.rate, warm_up: recipe.warm_up };
        console.phase("training");
        let mut recent = Recent::default();
        loop {
            let step = self.trainer.state().step;
            let done = self.done();
            let stopped = stop.load(Ordering::Relaxed);
            if done >= 1.0 || stopped {
                match recent.steps {
                    0 => self.write()?,
                    _ => self.report(console, schedule.rate(step, done), &recent)?,
                }
                return Ok(stopped && done < 1.0);
            }
            let rate = schedule.rate(step, done);
            let started = Instant::now();
            recent.add(self.trainer.step(rate)?);
            self.seconds += started.elapsed().as_secs_f64();
            console.progress(done);
            if (step + 1).is_multiple_of(self.args.every) {
                self.report(console, rate, &recent)?;
                recent = Recent::default();
            }
        }
    }

    /// The share of training that is over.
    fn done(&self) -> f64 {
        match (self.args.steps, self.args.minutes) {
            (Some(steps), _) => self.trainer.state().step as f64 / steps as f64,
            (None, minutes) => self.seconds / (60.0 * minutes.unwrap_or(f64::MIN_POSITIVE)),
        }
    }

    /// Validates, writes checkpoint and model, says how it stands.
    fn report(&mut self, console: &Console, rate: f64, recent: &Recent) -> Result<(), Failure> {
        let model = self.trainer.model()?;
        let levels = self.validate(&model)?;
        let sum: f64 = levels.iter().map(|point| point.validation_db).sum();
        let validation_db = (!levels.is_empty()).then(|| sum / levels.len() as f64);
        let point = CurvePoint {
            step: self.trainer.state().step,
            minutes: self.seconds / 60.0,
            rate,
            training_db: recent.psnr(),
            validation_db,
            levels: if levels.len() > 1 { levels } else { Vec::new() },
        };
        let mut validation =
            validation_db.map_or(String::new(), |v| format!(", validation {v:.3} dB"));
        let level = |l: &LevelPoint| format!("{}: {:.3}", l.sigma, l.validation_db);
        if let Some(text) = point.levels.iter().map(level).reduce(|a, b| format!("{a}, {b}")) {
            validation += &format!(" ({text})");
        }
        console.note(format!(
            "step {}, {:.1} min, rate {rate:.2e}, gradient {:.3}, training {:.3} dB{validation}",
            point.step,
            point.minutes,
            recent.gradient(),
            point.training_db
        ));
        self.curve.push(point);
        self.write()
    }

    /// Mean PSNR of the averaged weights over the validation images, for each level of noise; nothing
    /// without images.
    fn validate(&self, model: &FloatModel) -> Result<Vec<LevelPoint>, Failure> {
        let activation = |values: &mut [f32]| model.nonlinearity.apply(values);
        let mut points = Vec::new();
        let levels = self.trainer.recipe().noise.validated();
        for (i, sigma) in levels.into_iter().enumerate().filter(|_| !self.held.is_empty()) {
            let mut sum = 0.0;
            for held in &self.held {
                let map = model.levels(sigma);
                let out = model.denoise_grey(&held.noisy[i], &map, &activation, &mut |_| ())?;
                sum += psnr(&held.clean, &out.rounded(), PEAK_8BIT)?;
            }
            points.push(LevelPoint { sigma, validation_db: sum / self.held.len() as f64 });
        }
        Ok(points)
    }

    fn write(&self) -> Result<(), Failure> {
        let model = self.trainer.described_model()?;
        let (recipe, state) = (self.trainer.recipe(), self.trainer.state());
        if let Some(path) = &self.args.checkpoint {
            write_public(path, &Checkpoint::encode(recipe, state, self.seconds, &self.curve)?)?;
        }
        let training = TrainingRecord {
            recipe: recipe.clone(),
            images: self.trainer.images(),
            steps: state.step,
            minutes: self.seconds / 60.0,
            threads: usize::from(self.args.threads),
            curve: self.curve.clone(),
        };
        let mut archive = Cursor::new(Vec::new());
        save_npz(&model, None, Packing::Deflated, &mut archive)
            .map_err(|e| TrainError::Write(e.to_string()))?;
        let json = Card::new(recipe, &model).with_training(training).to_json()?;
        write_public(&self.args.out.with_extension("json"), json.as_bytes())?;
        write_public(&self.args.out, archive.get_ref())
    }
}

/// A flag that an interrupt or a request to terminate sets.
fn interrupts() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|e| {
            Failure::new(Code::Failed, format!("cannot listen for interrupts: {e}"))
        })?;
    }
    Ok(stop)
}

/// Means since the last report.
#[derive(Default)]
struct Recent {
    steps: u32,
    loss: f64,
    gradient: f64,
}

impl Recent {
    fn add(&mut self, report: crate::train::StepReport) {
        self.steps += 1;
        self.loss += report.loss;
        self.gradient += report.gradient;
    }

    /// The mean squared error as PSNR.
    fn psnr(&self) -> f64 {
        let loss = self.loss / f64::from(self.steps.max(1));
        20.0 * (PEAK_8BIT / Normalisation::BURGER.grey_per_unit).log10() - 10.0 * loss.log10()
    }

    fn gradient(&self) -> f64 {
        self.gradient / f64::from(self.steps.max(1))
    }
}
