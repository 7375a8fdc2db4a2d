//! The steps, and what is reported of them.

use super::images::ValidationImage;
use super::{Length, Train, Trained, TrainingError, TrainingEvent, write};
use crate::image::metrics::{PEAK_8BIT, psnr};
use crate::model::{FloatModel, Normalisation, Packing, save_npz};
use crate::roles::observer::Observer;
use crate::train::{
    Card, Checkpoint, CurvePoint, LevelPoint, Schedule, StepReport, TrainError, Trainer,
    TrainingRecord,
};
use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(super) struct Run<'a> {
    pub(super) request: &'a Train,
    pub(super) trainer: Trainer,
    pub(super) held: Vec<ValidationImage>,
    /// Seconds of training, earlier runs included; validation is not counted.
    pub(super) seconds: f64,
    pub(super) curve: Vec<CurvePoint>,
}

impl Run<'_> {
    pub(super) fn train(
        mut self,
        stop: &AtomicBool,
        observer: &mut dyn Observer<TrainingEvent>,
    ) -> Result<Trained, TrainingError> {
        let (images, held) = (self.trainer.images(), self.held.len());
        observer.event(TrainingEvent::Images { images, held });
        observer.event(TrainingEvent::Training);
        let interrupted = self.steps(stop, observer)?;
        let (steps, minutes) = (self.trainer.state().step, self.seconds / 60.0);
        Ok(Trained { steps, minutes, interrupted, curve: self.curve })
    }

    /// Trains to the end or until it is asked to stop; whether it was.
    fn steps(
        &mut self,
        stop: &AtomicBool,
        observer: &mut dyn Observer<TrainingEvent>,
    ) -> Result<bool, TrainingError> {
        let recipe = self.trainer.recipe();
        let schedule = Schedule { peak: recipe.rate, warm_up: recipe.warm_up };
        let mut recent = Recent::default();
        loop {
            let step = self.trainer.state().step;
            let done = self.done();
            let stopped = stop.load(Ordering::Relaxed);
            if done >= 1.0 || stopped {
                match recent.steps {
                    0 => self.write()?,
                    _ => self.report(observer, schedule.rate(step, done), &recent)?,
                }
                return Ok(stopped && done < 1.0);
            }
            let rate = schedule.rate(step, done);
            let started = Instant::now();
            recent.add(self.trainer.step(rate)?);
            self.seconds += started.elapsed().as_secs_f64();
            observer.progress(done);
            if (step + 1).is_multiple_of(self.request.every) {
                self.report(observer, rate, &recent)?;
                recent = Recent::default();
            }
        }
    }

    /// The share of training that is over.
    fn done(&self) -> f64 {
        match self.request.length {
            Length::Steps(steps) => self.trainer.state().step as f64 / steps as f64,
            Length::Minutes(minutes) => self.seconds / (60.0 * minutes),
        }
    }

    /// Validates, writes checkpoint and model, says how it stands.
    fn report(
        &mut self,
        observer: &mut dyn Observer<TrainingEvent>,
        rate: f64,
        recent: &Recent,
    ) -> Result<(), TrainingError> {
        let model = self.trainer.model()?;
        let levels = self.validate(&model)?;
        let sum: f64 = levels.iter().map(|point| point.validation_db).sum();
        let point = CurvePoint {
            step: self.trainer.state().step,
            minutes: self.seconds / 60.0,
            rate,
            training_db: recent.psnr(),
            validation_db: (!levels.is_empty()).then(|| sum / levels.len() as f64),
            levels: if levels.len() > 1 { levels } else { Vec::new() },
        };
        observer.event(TrainingEvent::Point { point: point.clone(), gradient: recent.gradient() });
        self.curve.push(point);
        self.write()
    }

    /// Mean PSNR of the averaged weights over the validation images, for each level of noise; nothing
    /// without images.
    fn validate(&self, model: &FloatModel) -> Result<Vec<LevelPoint>, TrainingError> {
        let activation = |values: &mut [f32]| model.activation.apply(values);
        let mut points = Vec::new();
        let levels = self.trainer.recipe().noise.validated();
        for (i, sigma) in levels.into_iter().enumerate().filter(|_| !self.held.is_empty()) {
            let mut sum = 0.0;
            for held in &self.held {
                let map = model.levels(sigma);
                let out = model.denoise_grey(&held.noisy[i], &map, &activation, &mut |_| ())?.image;
                sum += psnr(&held.clean, &out.rounded(), PEAK_8BIT)?;
            }
            points.push(LevelPoint { sigma, validation_db: sum / self.held.len() as f64 });
        }
        Ok(points)
    }

    fn write(&self) -> Result<(), TrainingError> {
        let model = self.trainer.described_model()?;
        let (recipe, state) = (self.trainer.recipe(), self.trainer.state());
        if let Some(path) = &self.request.checkpoint {
            write(path, &Checkpoint::encode(recipe, state, self.seconds, &self.curve)?)?;
        }
        let training = TrainingRecord {
            recipe: recipe.clone(),
            images: self.trainer.images(),
            steps: state.step,
            minutes: self.seconds / 60.0,
            threads: self.request.threads,
            curve: self.curve.clone(),
        };
        let mut archive = Cursor::new(Vec::new());
        save_npz(&model, None, Packing::Deflated, &mut archive)
            .map_err(|e| TrainError::Write(e.to_string()))?;
        let json = Card::new(recipe, &model).with_training(training).to_json()?;
        write(&self.request.out.with_extension("json"), json.as_bytes())?;
        write(&self.request.out, archive.get_ref())
    }
}

/// Means since the last report.
#[derive(Default)]
struct Recent {
    steps: u32,
    loss: f64,
    gradient: f64,
}

impl Recent {
    fn add(&mut self, report: StepReport) {
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
