//! The images of a session that ends when material or keys change.

use super::{AGAIN, tell_standing, tell_starving};
use crate::files::ledger::Ledger;
use crate::ids::{Fingerprint, ImageId, SessionId, WeightMaskId};
use crate::roles::observer::Observer;
use crate::roles::server::inputs::{Inputs, ServerKeys};
use crate::roles::server::stock::Shelf;
use crate::roles::server::supply::{AgreedImage, Batch, Round, Supply, Task};
use crate::roles::server::{Server, ServerEvent, ServiceError, Standing};
use crate::size::Size;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// The images of a session that ends when material or keys change.
pub(super) struct Watched<'a> {
    pub(super) server: &'a Server,
    pub(super) patience: Duration,
    pub(super) batch: &'a mut Batch,
    pub(super) shelf: Option<&'a mut Shelf>,
    /// A handle of its own: the session has the other.
    pub(super) ledger: &'a mut Ledger,
    pub(super) keys: [Option<Fingerprint>; 4],
    pub(super) elsewhere: Vec<(Size, WeightMaskId)>,
    pub(super) starving: &'a mut HashSet<Size>,
    /// What was told last.
    pub(super) standing: &'a mut Standing,
    pub(super) renews: bool,
    pub(super) looked: Instant,
}

impl Watched<'_> {
    /// Once a second.
    fn keys_changed(&mut self) -> bool {
        if self.looked.elapsed() < AGAIN {
            return false;
        }
        self.looked = Instant::now();
        // A key that is just being copied is no key yet.
        self.server.keys().is_ok_and(|now| now.names() != self.keys)
    }
}

impl Supply for Watched<'_> {
    fn next(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Round, ServiceError> {
        observer.alive();
        let mut round = self.batch.next(inputs, keys, observer)?;
        if let Some(shelf) = &mut self.shelf {
            let patience = self.patience;
            self.renews |= shelf.changed(inputs, keys, self.ledger, patience, observer)?;
        }
        self.renews |= self.keys_changed();
        round.last |= self.renews;
        let waiting = round.tasks.iter().filter(|task| task.done.is_none()).count() as u64;
        let slots_left = match &self.shelf {
            Some(shelf) => shelf.slots_by_size(self.ledger)?,
            None => inputs.slots_by_size(self.ledger)?,
        };
        tell_standing(Standing { waiting, slots_left }, self.standing, observer);
        Ok(round)
    }

    fn finished(&mut self, image: ImageId) {
        self.batch.finished(image);
    }

    fn made(&mut self, image: ImageId, session: SessionId) {
        self.batch.made(image, session);
    }

    fn failed(&mut self, image: ImageId) {
        self.batch.failed(image);
    }

    fn stopped(&self) -> bool {
        self.batch.stopped()
    }

    fn begun(&mut self, image: ImageId) {
        self.batch.begun(image);
    }

    fn unmatched(
        &mut self,
        mut tasks: Vec<Task>,
        last: bool,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<(), ServiceError> {
        // The other server does not name an image any more once it knows that both have the result. That this one
        // has it, or had it before it was fetched, is known after a restart from the result or the ledger.
        tasks.retain(|task| task.done.is_none());
        let done = self.ledger.done_of(tasks.iter().map(|task| task.image.id))?;
        tasks.retain(|task| !done.contains(&task.image.id));
        self.batch.unmatched(tasks, last, observer)
    }

    fn starved(
        &mut self,
        images: &[AgreedImage],
        served: bool,
        observer: &mut dyn Observer<ServerEvent>,
    ) {
        let mask_for =
            |size| self.elsewhere.iter().find(|(of, _)| *of == size).map(|(_, mask)| *mask);
        if let Some(mask) = images.iter().find_map(|image| mask_for(image.size)) {
            // Both servers see the same images and sets, and ask for the same. First those that this session can do.
            if !served && let Some(shelf) = &mut self.shelf {
                shelf.wanted = Some(mask);
                self.renews = true;
            }
            return;
        }
        let mut waiting = BTreeMap::new();
        images.iter().for_each(|image| *waiting.entry(image.size).or_default() += 1);
        tell_starving(&waiting, self.starving, observer);
    }
}
