//! Round after round the images that both servers have.

use super::agree::{Agreed, ImageList, agree};
use super::claim::{Claimed, decline, stop};
use super::denoise::Done;
use super::{Around, Session};
use crate::ids::ImageId;
use crate::numbers::ring::Ring;
use crate::protocol::Engine;
use crate::roles::server::report::Watch;
use crate::roles::server::supply::{Round, Task, tell};
use crate::roles::server::{ServerEvent, ServerPhase, ServiceError};
use crate::size::Size;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What came of an image.
enum Outcome {
    Done(Box<Done>),
    /// At this server, with the file that it is about.
    Failed(PathBuf, ServiceError),
    /// At the other one.
    Declined,
    /// No slot is left for it, and there may be one later.
    Starved,
    Stopped,
}

impl<R: Ring, E: Engine<R>> Session<'_, '_, R, E> {
    /// `setup` runs until both have told which images they have.
    pub(super) fn rounds(
        mut self,
        setup: Watch,
        around: &mut Around<'_>,
    ) -> Result<(), ServiceError> {
        let (mut round, mut agreed) = self.agree(around)?;
        around.report.setup = setup.stop(around.channel);
        around.report.not_begun = 0;
        loop {
            let stopped = self.round(round, &agreed, around)?;
            around.report.slots_left = self.inputs.slots_left(self.job.ledger)?;
            if agreed.last || stopped {
                return Ok(());
            }
            (round, agreed) = self.agree(around)?;
        }
    }

    /// Which images are there, and which of them both servers have.
    fn agree(&self, around: &mut Around<'_>) -> Result<(Round, Agreed), ServiceError> {
        let round = around.supply.next(&self.inputs, self.job.keys, around.observer)?;
        let images = round.tasks.iter().map(|task| (task.image.id, task.done)).collect();
        let offer = ImageList { images, last: round.last, exact: round.exact };
        let agreed = agree(&offer, around.channel)?;
        Ok((round, agreed))
    }

    /// The images of a round; whether the session was stopped.
    fn round(
        &mut self,
        round: Round,
        agreed: &Agreed,
        around: &mut Around<'_>,
    ) -> Result<bool, ServiceError> {
        let id = |task: Task| (task.image.id, task);
        let mut tasks: BTreeMap<_, _> = round.tasks.into_iter().map(id).collect();
        let session = |id: &ImageId| Some((*id, tasks.get(id)?.done?));
        let both_have: Vec<_> = agreed.done.iter().filter_map(session).collect();
        if !both_have.is_empty() {
            self.job.ledger.note_done(both_have)?;
        }
        for id in &agreed.done {
            tasks.remove(id);
            around.supply.finished(*id);
            // What this job made and the other server now has as well is no news.
            let ours = around.report.images.iter().any(|image| image.image_id == id.to_string());
            around.report.done_before += usize::from(!ours);
        }
        let (mut starved, mut served) = (Vec::new(), false);
        let total = agreed.images.len();
        for (i, id) in agreed.images.iter().enumerate() {
            let Some(task) = tasks.remove(id) else { continue };
            let (files, image) = (task.files(), task.image);
            // Both servers see the same: neither begins.
            if self.inputs.refilled && !self.has_slot(image.size) {
                starved.push(image);
                continue;
            }
            around.observer.event(ServerEvent::Phase(ServerPhase::Online(i + 1, total)));
            around.supply.begun(*id);
            match self.image(task, round.exact, around)? {
                Outcome::Done(done) => {
                    let Done { report: done, own } = *done;
                    own.into_iter().for_each(|own| around.supply.result(*id, own));
                    around.supply.made(*id, self.agreement.session);
                    around.observer.event(ServerEvent::Denoised(done.clone()));
                    around.report.images.push(done);
                    served = true;
                }
                Outcome::Failed(file, error) => {
                    around.supply.failed(*id);
                    around.observer.event(ServerEvent::Failed { file, error });
                }
                // It stays: the other server may get a better share of it.
                Outcome::Declined => tell(&files, ServiceError::Declined, around.observer),
                Outcome::Starved => starved.push(image),
                Outcome::Stopped => {
                    around.report.not_begun += total - i;
                    return Ok(true);
                }
            }
        }
        let unmatched = tasks.into_values().collect();
        around.supply.unmatched(unmatched, agreed.last, around.observer)?;
        if !starved.is_empty() {
            around.supply.starved(&starved, served, around.observer);
        }
        Ok(false)
    }

    /// Whether a set for images of this size has a slot left, as far as both servers have seen.
    fn has_slot(&self, size: Size) -> bool {
        let mut sets = self.inputs.sets.iter().zip(&self.used_up);
        sets.any(|(set, used_up)| set.size() == size && !used_up)
    }

    /// Takes an image's share, agrees on a slot and denoises. Who can do the former only tells the
    /// other server, and both go on with the next image, unless the round is `exact`; later the session fails.
    fn image(
        &mut self,
        task: Task,
        exact: bool,
        around: &mut Around<'_>,
    ) -> Result<Outcome, ServiceError> {
        let watch = Watch::start(around.channel);
        if around.supply.stopped() {
            stop(around.channel)?;
            return Ok(Outcome::Stopped);
        }
        // Every byte of the share is checked before a slot is spent on it.
        let ready = match task.ready::<R>(&self.inputs, self.job.keys, around.observer) {
            Ok(ready) => ready,
            Err((_, error)) if exact => return Err(error),
            Err((file, error)) => {
                return Ok(match decline(around.channel)? {
                    Claimed::Stopped => Outcome::Stopped,
                    _ => Outcome::Failed(file, error),
                });
            }
        };
        match self.claim(&ready.image, around.channel) {
            Ok(Claimed::Slot(slot)) => {
                let done = self.denoise(ready, slot, watch, around)?;
                Ok(Outcome::Done(Box::new(done)))
            }
            Ok(Claimed::Stopped) => Ok(Outcome::Stopped),
            Ok(Claimed::Declined) if exact => Err(ServiceError::Declined),
            Ok(Claimed::Declined) => Ok(Outcome::Declined),
            // Both servers come to this.
            Err(ServiceError::NoSlotLeft { .. }) if self.inputs.refilled => Ok(Outcome::Starved),
            Err(error @ ServiceError::NoSlotLeft { .. }) if !exact => {
                Ok(Outcome::Failed(ready.file, error))
            }
            Err(error) => Err(error),
        }
    }
}
