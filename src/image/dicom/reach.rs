//! How far the values of a picture reach, by which it is judged whether noise can be told of them.

use super::super::{Extent, Remedy};
use super::{Colour, Picture};

/// The least and the greatest stored value that is a measurement.
#[derive(Default)]
pub(super) struct Reach(Option<(i64, i64)>);

impl Reach {
    pub(super) fn add(&mut self, picture: &Picture<'_>, value: i64) {
        if !picture.is_padding(value) {
            let (least, greatest) = self.0.unwrap_or((value, value));
            self.0 = Some((least.min(value), greatest.max(value)));
        }
    }

    /// As it was measured; nothing for a picture that holds no measurement.
    pub(super) fn extent(&self, picture: &Picture<'_>) -> Option<Extent> {
        let (least, greatest) = self.0?;
        let part = (greatest - least) as f64 / ((1i64 << picture.bits) - 1) as f64;
        let has_window = picture.colour == Colour::Grey && !picture.table;
        // Of several frames the first speaks for all: it is what a message says.
        let meanings = picture.groups.meanings(picture.meaning, picture.frames).unwrap_or_default();
        let meaning = meanings.first().copied().unwrap_or(picture.meaning);
        let measured = |value: i64| match meaning.rescale {
            Some(rescale) if has_window => value as f64 * rescale.slope + rescale.intercept,
            _ => value as f64,
        };
        let (a, b) = (measured(least), measured(greatest));
        let remedy = match has_window {
            true => Remedy::Window { own: meaning.window.is_some() },
            false => Remedy::None,
        };
        Some(Extent::of_integers((a.min(b), a.max(b)), picture.bits, part, remedy))
    }
}
