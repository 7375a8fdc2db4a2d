//! Results, each judged by the sketch of the noisy picture in the gateway's note.

use super::plan::Pair;
use super::request::ResultOf;
use super::{Note, Reconstruction, RoleError, Work};
use crate::image::Rect;
use crate::roles::observer::{Observer, Silent};
use crate::roles::plausible::Plausibility;
use crate::roles::range_alarm::RangeAlarm;
use crate::roles::settle::{settle, settle_alarm};

/// What an image is put together from, and how far its parts can be believed.
pub(super) struct Provenance {
    pub(super) shares: Vec<ResultOf>,
    /// Of how many tiles or frames, if it is joined.
    pub(super) tiles: Option<usize>,
    pub(super) plausibility: Plausibility,
    pub(super) range_alarm: RangeAlarm,
}

impl Provenance {
    /// Of no part yet.
    pub(super) fn new(tiles: Option<usize>) -> Self {
        Provenance {
            shares: Vec::new(),
            tiles,
            plausibility: Plausibility::Plausible,
            range_alarm: RangeAlarm::Silent,
        }
    }
}

impl Work<'_> {
    /// Opens the shares of one plane, whose first pixel is at row and column `at` of the image that it is a part of,
    /// and judges the result by its range alarm and its residual.
    ///
    /// # Errors
    /// As [`super::Receiver::image`].
    pub(super) fn result(
        &self,
        [a, b]: &Pair,
        at: (usize, usize),
        of: &mut Provenance,
        observer: &mut dyn Observer,
    ) -> Result<Reconstruction, RoleError> {
        let result = self.receiver.open_pair([a, b])?;
        // Whoever planned the work told of notes that cannot be read.
        let note = self.receiver.note(&result, &mut Silent);
        let alarm = settle_alarm(self.request.alarmed, result.alarm, a.name(), observer)?;
        of.range_alarm = of.range_alarm.and(alarm);
        let found = self.judge(&result, note.as_ref(), (a.name(), at), observer)?;
        of.shares.push(ResultOf::from(&result));
        of.plausibility = of.plausibility.and(found);
        Ok(result)
    }

    /// Judges a result by its note; `file` names it, and `at` is where it begins.
    ///
    /// # Errors
    /// [`RoleError::Implausible`], unless the request accepts that.
    pub(super) fn judge(
        &self,
        result: &Reconstruction,
        note: Option<&Note>,
        (file, at): (&std::path::Path, (usize, usize)),
        observer: &mut dyn Observer,
    ) -> Result<Plausibility, RoleError> {
        let sketch = note.map(|note| &note.sketch);
        let Some((sketch, residual)) = sketch.and_then(|s| Some((s, result.residual(s)?))) else {
            return Ok(Plausibility::Unknown);
        };
        let found = residual.judge(sketch.noise()).map_err(|mut found| {
            let Rect { top, left, .. } = found.place;
            (found.place.top, found.place.left) = (top + at.0, left + at.1);
            found
        });
        settle(self.request.implausibility, found, file, observer)
    }
}
