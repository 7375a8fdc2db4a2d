//! What the laboratory tells, on the console; why it failed, for people.

use super::failure::{Code, Failure};
use super::output::Console;
use crate::lab::{LabError, Observer};
use crate::size::Size;

impl Observer for Console {
    fn phase(&mut self, name: &str) {
        Console::phase(self, name);
    }

    fn progress(&mut self, done: f64) {
        Console::progress(self, done);
    }

    fn note(&mut self, text: &str) {
        Console::note(self, text);
    }

    fn pause(&mut self) {
        self.finish();
    }
}

impl From<LabError> for Failure {
    fn from(e: LabError) -> Self {
        let text = e.to_string();
        match e {
            LabError::Format(e) => e.into(),
            LabError::Image(e) => e.into(),
            LabError::Model(e) => e.into(),
            LabError::Network(e) => e.into(),
            LabError::Metrics(e) => e.into(),
            LabError::Choice(e) => e.into(),
            LabError::ModelFile(e) => e.into(),
            LabError::OutOfRange(e) => e.into(),
            LabError::ModelOwner(e) => e.into(),
            LabError::Cloud(e) => e.into(),
            LabError::User(e) => e.into(),
            #[cfg(feature = "train")]
            LabError::Train(crate::train::TrainError::NoImage { .. }) => {
                Failure::new(Code::Input, text).help("give larger images to --train")
            }
            #[cfg(feature = "train")]
            LabError::Train(e) => e.into(),
            LabError::NoTrainer => super::no_trainer(),
            LabError::About { file, source } => Failure::from(*source).about(&file),
            LabError::Unfit { image, unfit } => {
                let help = format!(
                    "use --interval {} or more, or leave that noise level away",
                    unfit.interval
                );
                let failure = Failure::new(Code::Input, unfit.to_string()).help(help);
                failure.about(image.as_ref())
            }
            LabError::Io { file, what, source } => {
                Failure::new(Code::Failed, format!("{what}: {source}")).about(&file)
            }
            LabError::Unreadable { file, source } => {
                Failure::new(Code::Input, format!("cannot be read: {source}")).about(&file)
            }
            LabError::Results { file, source } => {
                let text = format!("earlier results cannot be read: {source}");
                let help = "move the file away, or give another --out";
                Failure::new(Code::Input, text).about(&file).help(help)
            }
            LabError::NoWork { folder, source } => {
                let text = format!("no folder can be made in it: {source}");
                let help = "give --work a folder that exists and can be written";
                Failure::new(Code::Usage, text).about(&folder).help(help)
            }
            LabError::Foreign { folder } => {
                let text = "this folder was not made by ppdenoise, and its place is needed";
                Failure::new(Code::Usage, text).about(&folder).help("choose another --out")
            }
            LabError::Busy { folder } => {
                let text = "another run is at work in this folder";
                let help = "wait for it, or give another --out";
                Failure::new(Code::Usage, text).about(&folder).help(help)
            }
            LabError::Step { step, said, .. } => {
                Failure::new(Code::Failed, format!("`ppdenoise {step}` failed")).because(&said)
            }
            LabError::NoSpace(e) => {
                let Size { height, width } = e.size;
                let help = format!(
                    "the material of {} at {height}x{width} does not fit: give --work a folder on a \
                     larger disk, or ask for fewer --patches",
                    e.model
                );
                Failure::from(e.source).help(help)
            }
            LabError::TooManyPatches { .. } => {
                Failure::new(Code::Usage, text).help("ask for fewer --patches")
            }
            LabError::NoResult { .. } => {
                Failure::new(Code::Failed, text).help("run the command again")
            }
            LabError::Lettering(_)
            | LabError::Plot(_)
            | LabError::Program(_)
            | LabError::Start { .. }
            | LabError::Report { .. }
            | LabError::Relay { .. }
            | LabError::Protocol(_)
            | LabError::Randomness(_)
            | LabError::Threads(_) => Failure::new(Code::Failed, text),
        }
    }
}
