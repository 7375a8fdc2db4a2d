//! Work on a thread of its own, so that a call ends when its user interrupts it.

use crate::Failure;
use crate::fault::{Refused, raise, sentence};
use ppdenoise::api::{
    GatewayEvent, Implausibility, LevelNote, Observer, PlainEvent, Plausibility, Stop, Trained,
};
use pyo3::prelude::*;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// How often signals are looked for.
const TICK: Duration = Duration::from_millis(50);
/// How long an interrupted call waits for its work to end. Work that takes longer, as reading a large file does, ends
/// by itself later: nobody has its result, and it has no file open but to read.
const PATIENCE: Duration = Duration::from_millis(700);

/// What is to be done about a result that is refused.
const OTHERWISE: &str = "; even_if_implausible=True gives it all the same";

/// Works with the lock released, and makes an exception of a failure. An interrupt (Ctrl-C), of which Python tells its
/// main thread, stops the work.
pub(crate) fn work<T: Send + 'static>(
    py: Python<'_>,
    task: impl FnOnce(&Stop) -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    let stop = Stop::new();
    let wish = stop.clone();
    let (done, ended) = sync_channel(1);
    let worker = thread::Builder::new().name("ppdenoise".into()).spawn(move || {
        let outcome = Stop::within(|| task(&wish));
        // After an interrupt nobody waits.
        let _ = done.send(outcome);
    });
    let worker = worker.map_err(|e| raise(py, &e))?;
    let outcome = py.detach(move || {
        loop {
            match ended.recv_timeout(TICK) {
                Ok(outcome) => return Ok(outcome),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(signal) = Python::attach(|py| py.check_signals()) {
                        stop.stop();
                        let _ = ended.recv_timeout(PATIENCE);
                        return Err(signal);
                    }
                }
                // The worker panicked: a bug that shall show.
                Err(RecvTimeoutError::Disconnected) => match worker.join() {
                    Err(panic) => resume_unwind(panic),
                    Ok(()) => return Ok(None),
                },
            }
        }
    })?;
    match outcome {
        Some(Ok(done)) => Ok(done),
        Some(Err(failure)) => Err(raise(py, &*failure)),
        // Only an interrupt stops work.
        None => Err(pyo3::exceptions::PyKeyboardInterrupt::new_err(())),
    }
}

/// What is told of images while they are denoised or shared: it becomes warnings.
pub(crate) struct Watch<'a> {
    pub(crate) stop: &'a Stop,
    pub(crate) notes: Vec<String>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(stop: &'a Stop) -> Self {
        Watch { stop, notes: Vec::new() }
    }

    /// Each once.
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Tells whose noise is not said, of a network that is told it: the most is no good guess of most pictures.
    pub(crate) fn unsaid(&mut self, said: bool, trained: Trained) {
        if trained.reads_plane && !said {
            self.note(format!(
                "sigma is not told, and is taken for {} grey levels, the most that this model \
                 serves: say it, or 'auto'",
                trained.sigma
            ));
        }
    }

    /// A failure, with what was told before it.
    pub(crate) fn after<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match (outcome, &self.notes[..]) {
            (Err(e), notes @ [_, ..]) => {
                Err(Refused(format!("{}; {}", sentence(&*e), notes.join("; "))).into())
            }
            (outcome, _) => outcome,
        }
    }

    /// Tells of a result that takes away more than the noise told, or refuses it.
    pub(crate) fn settle(
        &mut self,
        name: &str,
        judged: Plausibility,
        accepted: Implausibility,
    ) -> Result<(), Failure> {
        match (judged, accepted) {
            (Plausibility::Implausible(found), Implausibility::Accepted) => {
                self.note(format!("'{name}': {found}"));
                Ok(())
            }
            (Plausibility::Implausible(found), Implausibility::Refused) => {
                Err(Refused(format!("'{name}': {found}{OTHERWISE}")).into())
            }
            _ => Ok(()),
        }
    }

    fn level(&mut self, note: &LevelNote) {
        match note {
            LevelNote::Unserved { file, sigma, trained } => {
                let [least, most] = trained.served();
                self.note(format!(
                    "'{}': noise of {sigma:.3} grey levels, and the model serves {least:.3} to {most:.3}: the picture \
                     may be worse than the noisy one",
                    file.display()
                ));
            }
            LevelNote::Clamped { file, unfit } => self.note(format!(
                "'{}': {unfit}; they were clamped, which costs quality",
                file.display()
            )),
            _ => {}
        }
    }
}

impl Observer<PlainEvent> for Watch<'_> {
    fn event(&mut self, event: PlainEvent) {
        match &event {
            PlainEvent::Level(note) => self.level(note),
            PlainEvent::OutOfRange { file, left } => self.note(format!(
                "'{}': {left}: the picture is wrong where they count",
                file.display()
            )),
            _ => {}
        }
        self.stop.check();
    }

    fn progress(&mut self, _: f64) {
        self.stop.check();
    }
}

impl Observer<GatewayEvent> for Watch<'_> {
    fn event(&mut self, event: GatewayEvent) {
        if let GatewayEvent::Level(note) = &event {
            self.level(note);
        }
        self.stop.check();
    }

    fn progress(&mut self, _: f64) {
        self.stop.check();
    }
}
