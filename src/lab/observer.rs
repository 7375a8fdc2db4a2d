//! How work goes, for whoever wants to show it.

/// Told how work in the laboratory goes. Every method does nothing unless it is written.
pub(crate) trait Observer {
    /// A phase begins; what comes before is over.
    fn phase(&mut self, _name: &str) {}
    /// The share of the phase that is done.
    fn progress(&mut self, _done: f64) {}
    /// Something worth a line.
    fn note(&mut self, _text: &str) {}
    /// The phase is over and none follows at once.
    fn pause(&mut self) {}
}

/// An [`Observer`] that shows nothing.
#[cfg(all(test, feature = "train"))]
pub(crate) struct Unseen;

#[cfg(all(test, feature = "train"))]
impl Observer for Unseen {}
