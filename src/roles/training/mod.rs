//! Training: from a folder of images to a model with its description and, so that it can go on, a checkpoint.

mod error;
mod event;
mod images;
mod run;

use super::images::MAX_WHOLE_BYTES;
use super::models::read_model;
use super::observer::Observer;
use crate::files::FormatError;
use crate::files::output::{Access, OutputFile, Overwrite, ensure_not_input};
use crate::model::FloatModel;
use crate::train::{Checkpoint, CurvePoint, Noise, Recipe, State, Taught, TrainError, Trainer};
use serde::Serialize;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

pub(crate) use error::TrainingError;
pub(crate) use event::TrainingEvent;

/// What is to be trained, and on what.
#[derive(Clone, Debug)]
pub(crate) struct Train {
    /// Folder of grey PNG or .npy images.
    pub images: PathBuf,
    /// The network and how it is trained; its teacher is that of [`Train::teacher`].
    pub recipe: Recipe,
    /// `NAME.npz`; the description becomes `NAME.json` beside it.
    pub out: PathBuf,
    /// For how long.
    pub length: Length,
    /// Compute threads, which share each batch.
    pub threads: usize,
    /// What is validated on.
    pub validation: Validation,
    /// Steps between reports; each validates and writes checkpoint and model.
    pub every: u64,
    /// Where the state of training is kept.
    pub checkpoint: Option<PathBuf>,
    /// Where training starts.
    pub start: Start,
    /// A model whose answers are the targets, and the noise at which it is asked if that is not its own (of a
    /// range of noise all).
    pub teacher: Option<(PathBuf, Option<Noise>)>,
    /// Files that must stay as they are, beside those named above.
    pub keep: Vec<PathBuf>,
    /// Whether a model and a checkpoint that are there are replaced; those of a run that goes on are.
    pub overwrite: Overwrite,
}

/// For how long is trained, earlier runs of the checkpoint included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Length {
    /// Steps.
    Steps(u64),
    /// Minutes of training, validation not counted.
    Minutes(f64),
}

/// Images that are not trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    /// So many of the folder, spread evenly over the sorted names.
    HoldOut(usize),
    /// Those of another folder.
    Folder(PathBuf),
}

/// Where training starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// From random weights.
    Random,
    /// From a model's.
    Model(PathBuf),
    /// From the checkpoint.
    Checkpoint,
}

/// How training ended.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub(crate) struct Trained {
    /// Steps in all.
    pub steps: u64,
    /// Minutes of training in all.
    pub minutes: f64,
    /// Whether an interrupt ended the run.
    pub interrupted: bool,
    /// What was reached on the way.
    pub curve: Vec<CurvePoint>,
}

/// Trains until the length is reached or `stop` says so, then after the current step. `observer` is told of the
/// images, and of every point of the curve.
///
/// # Errors
/// [`TrainingError`], mostly about a file.
pub(crate) fn train(
    request: &Train,
    stop: &AtomicBool,
    observer: &mut dyn Observer<TrainingEvent>,
) -> Result<Trained, TrainingError> {
    let mut recipe = request.recipe.clone();
    recipe.check()?;
    request.check_outputs()?;
    let teacher = match &request.teacher {
        None => None,
        Some((path, noise)) => {
            let teacher = read_model(path, None)?;
            if teacher.network.is_of_colours() {
                return Err(TrainingError::from(TrainError::Colours).about(path));
            }
            let own = levels_of_teacher(&teacher, recipe.noise);
            let model = blake3::hash(&read_bytes(path)?).to_hex().to_string();
            recipe.teacher = Some(Taught { model, noise: noise.unwrap_or(own) });
            Some(teacher)
        }
    };
    let (state, seconds, curve) = request.begin(&recipe)?;
    let (mut corpus, held) = images::read(&request.images, &request.validation, &recipe)?;
    if let Some(teacher) = teacher {
        corpus = corpus.with_teacher(teacher, &recipe)?;
    }
    let trainer = Trainer::new(recipe, corpus, state, request.threads)
        .map_err(|e| TrainingError::from(e).about(&request.images))?;
    run::Run { request, trainer, held, seconds, curve }.train(stop, observer)
}

/// The levels at which a teacher is asked unless others are said: its own if the recipe has one, or all of the recipe's;
/// those below its own only if it is told the noise. An image of less noise is scaled up for a teacher that is not, to
/// grey levels that it was not trained on.
fn levels_of_teacher(teacher: &FloatModel, noise: Noise) -> Noise {
    if noise.is_one() {
        Noise::of(teacher.sigma)
    } else if teacher.network.reads_plane() {
        noise
    } else {
        Noise { lowest: teacher.sigma.clamp(noise.lowest, noise.highest), ..noise }
    }
}

impl Train {
    /// Refuses, before any work, names that cannot be written or must not be.
    fn check_outputs(&self) -> Result<(), TrainingError> {
        if self.out.extension().is_none_or(|e| e != "npz") {
            return Err(TrainingError::NotNpz.about(&self.out));
        }
        let mut inputs: Vec<&Path> = self.keep.iter().map(AsRef::as_ref).collect();
        inputs.extend(self.teacher.as_ref().map(|(path, _)| path.as_path()));
        if let Start::Model(path) = &self.start {
            inputs.push(path);
        }
        let card = self.out.with_extension("json");
        let mut outputs: Vec<&Path> = vec![&self.out, &card];
        if let Some(checkpoint) = &self.checkpoint {
            if outputs.contains(&checkpoint.as_path()) {
                return Err(TrainingError::OneName.about(checkpoint));
            }
            outputs.push(checkpoint);
        }
        let overwrite = match self.start {
            Start::Checkpoint => Overwrite::Allow,
            _ => self.overwrite,
        };
        for path in outputs {
            ensure_not_input(path, &inputs)?;
            OutputFile::create(path, Access::Public, overwrite)?;
        }
        Ok(())
    }

    /// Where training starts: state, seconds and curve so far.
    fn begin(&self, recipe: &Recipe) -> Result<(State, f64, Vec<CurvePoint>), TrainingError> {
        match (&self.start, &self.checkpoint) {
            (Start::Checkpoint, Some(path)) => {
                let about = |e: TrainError| TrainingError::from(e).about(path);
                let checkpoint = Checkpoint::decode(&read_bytes(path)?).map_err(about)?;
                checkpoint.check_recipe(recipe).map_err(about)?;
                Ok((checkpoint.state, checkpoint.seconds, checkpoint.curve))
            }
            (Start::Model(path), _) => {
                let state = State::from_model(recipe, &read_model(path, None)?);
                Ok((state.map_err(|e| TrainingError::from(e).about(path))?, 0.0, Vec::new()))
            }
            _ => Ok((State::new(recipe)?, 0.0, Vec::new())),
        }
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| FormatError::io(path, "open", e))?;
    let read = file.take(MAX_WHOLE_BYTES).read_to_end(&mut bytes);
    read.map_err(|e| FormatError::io(path, "read", e))?;
    Ok(bytes)
}

/// Writes what may be made again, in place of what is there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainingError> {
    let mut file = OutputFile::create(path, Access::Public, Overwrite::Allow)?;
    file.write_all(bytes).map_err(FormatError::from_writer)?;
    Ok(file.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphs::{May, random_graph};

    #[test]
    fn a_teacher_for_one_level_is_not_asked_below_it() {
        let model = |plane: bool| {
            let mut models =
                (0..).map(|seed| random_graph(seed, May { linear: false, plane: true }));
            models.find(|model| model.network.reads_plane() == plane).unwrap()
        };
        let (told, one) = (model(true), model(false));
        let levels = |lowest: f64, highest: f64| Noise { lowest, highest };
        assert_eq!(one.sigma, 50.0);
        for (teacher, noise, expected) in [
            (&told, levels(5.0, 75.0), levels(5.0, 75.0)),
            (&one, levels(5.0, 75.0), levels(50.0, 75.0)),
            (&one, levels(60.0, 75.0), levels(60.0, 75.0)),
            (&one, levels(5.0, 40.0), levels(40.0, 40.0)),
            (&one, Noise::of(25.0), Noise::of(50.0)),
        ] {
            assert_eq!(levels_of_teacher(teacher, noise), expected);
        }
    }
}
