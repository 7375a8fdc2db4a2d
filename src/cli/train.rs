//! `train`: from a folder of images to a model.

use super::args::train::Train;
use super::failure::{Code, Failure};
use super::files::overwrite;
use super::output::{Console, print_json};
use crate::roles::Observer;
use crate::roles::models::read_description;
use crate::roles::training::{self, Length, Start, Trained, TrainingEvent, Validation, train};
use crate::train::{CurvePoint, LevelPoint};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How training ended.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report<'a> {
    /// The file that was written.
    model: String,
    #[serde(flatten)]
    trained: &'a Trained,
}

pub(super) fn run(args: &Train, console: &mut Console) -> Result<(), Failure> {
    let described = args.recipe.layers.as_deref().map(read_description).transpose()?;
    let request = training::Train {
        images: args.images.clone(),
        recipe: args.recipe.recipe(described)?,
        out: args.out.clone(),
        // One of the two is given.
        length: match (args.steps, args.minutes) {
            (Some(steps), _) => Length::Steps(steps),
            (None, minutes) => Length::Minutes(minutes.unwrap_or(f64::MIN_POSITIVE)),
        },
        threads: usize::from(args.threads),
        validation: match &args.validation {
            Some(folder) => Validation::Folder(folder.clone()),
            None => Validation::HoldOut(args.hold_out.unwrap_or(0)),
        },
        every: args.every,
        checkpoint: args.checkpoint.clone(),
        start: match &args.init {
            _ if args.resume => Start::Checkpoint,
            Some(model) => Start::Model(model.clone()),
            None => Start::Random,
        },
        teacher: args.teacher.clone().map(|model| (model, args.teacher_sigma)),
        keep: args.recipe.layers.iter().cloned().collect(),
        overwrite: overwrite(args.force),
    };
    let stop = interrupts()?;
    let report = train(&request, &stop, console)?;
    console.finish();
    let (steps, minutes) = (report.steps, report.minutes);
    console.note(format!("{}: {steps} steps, {minutes:.1} minutes", args.out.display()));
    if args.json {
        let report = Report { model: args.out.display().to_string(), trained: &report };
        print_json(&report)?;
    }
    Ok(())
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

impl Observer<TrainingEvent> for Console {
    fn event(&mut self, event: TrainingEvent) {
        match event {
            TrainingEvent::Images { images, held } => {
                self.note(format!("{images} training images, {held} held for validation"));
            }
            TrainingEvent::Training => self.phase("training"),
            TrainingEvent::Point { point, gradient } => self.note(line(&point, gradient)),
        }
    }

    fn progress(&mut self, done: f64) {
        Console::progress(self, done);
    }
}

fn line(point: &CurvePoint, gradient: f64) -> String {
    let mut validation =
        point.validation_db.map_or(String::new(), |v| format!(", validation {v:.3} dB"));
    let level = |l: &LevelPoint| format!("{}: {:.3}", l.sigma, l.validation_db);
    if let Some(text) = point.levels.iter().map(level).reduce(|a, b| format!("{a}, {b}")) {
        validation += &format!(" ({text})");
    }
    let CurvePoint { step, minutes, rate, training_db, .. } = point;
    format!(
        "step {step}, {minutes:.1} min, rate {rate:.2e}, gradient {gradient:.3}, training {training_db:.3} \
         dB{validation}"
    )
}
