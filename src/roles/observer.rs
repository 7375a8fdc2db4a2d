//! Who is told how work goes: each role tells events of its own.

/// Told how a role's work goes: facts, from which whoever shows them makes sentences. `E` are the events of
/// the role.
///
/// It may end the work: what it is told is where unwinding leaves nothing half done ([`super::Stop`]).
pub trait Observer<E>: Send {
    /// Something happened.
    fn event(&mut self, event: E);

    /// The share of the current phase that is done, from 0 to 1.
    fn progress(&mut self, _done: f64) {}

    /// Work that goes on for months goes on, or waits for what it may wait for: the loop that does it says so itself each
    /// time it comes around, and from nowhere else, so that nobody is told of a loop that hangs.
    fn alive(&mut self) {}
}

/// An [`Observer`] of any role that is told and says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl<E> Observer<E> for Silent {
    fn event(&mut self, _: E) {}
}

/// The observer of a role, told by a part of it: the part's events become the role's.
pub(super) struct Within<'a, E>(pub(super) &'a mut dyn Observer<E>);

impl<E: From<Part>, Part> Observer<Part> for Within<'_, E> {
    fn event(&mut self, event: Part) {
        self.0.event(event.into());
    }

    fn progress(&mut self, done: f64) {
        self.0.progress(done);
    }

    fn alive(&mut self) {
        self.0.alive();
    }
}
