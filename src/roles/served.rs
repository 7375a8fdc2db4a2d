//! What somebody should know of a plane's noise.

use super::images::Levels;
use super::observer::{Event, Observer};
use crate::model::Trained;
use std::path::Path;

/// Tells the noise of a plane where it was estimated, and where the model does not serve it.
pub(super) fn tell_noise(
    levels: &Levels,
    (file, sigma): (&Path, f64),
    trained: Trained,
    observer: &mut dyn Observer,
) {
    if levels.is_estimated() {
        observer.event(Event::Estimated { file, sigma });
    }
    if !trained.serves(sigma) {
        observer.event(Event::Unserved { file, sigma, trained });
    }
}
