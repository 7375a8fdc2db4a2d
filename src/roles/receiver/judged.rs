//! Results, each judged by the sketch of the noisy picture in the gateway's note.

use super::plan::{Job, Pair, PlaneResults};
use super::request::{Reconstructed, ResultOf};
use super::{Note, ReceiverError, ReceiverEvent, Reconstruction, Work, judge, upright};
use crate::files::Place;
use crate::image::metrics::Quality;
use crate::image::{GreyImage, Rect, mean_image};
use crate::roles::observer::{Observer, Silent};
use crate::roles::plausible::Plausibility;
use crate::roles::range_alarm::{Alarmed, RangeAlarm};
use crate::roles::settle::settle;
use crate::size::Position;
use crate::size::Size;
use std::path::Path;

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

    /// What is told of the image once it is written.
    pub(super) fn report(
        self,
        job: &Job,
        out: &Place,
        Size { height, width }: Size,
        quality: Option<Quality>,
    ) -> Reconstructed {
        let Provenance { shares, tiles, plausibility, range_alarm } = self;
        let (file, origin) = (out.name().to_owned(), job.origin().cloned());
        Reconstructed {
            file,
            shares,
            tiles,
            origin,
            height,
            width,
            plausibility,
            range_alarm,
            quality,
        }
    }
}

impl Work<'_> {
    /// One plane, or the three of a mosaic, whose first pixel is at row and column `at` of the image that it is a part
    /// of: the mean of the results that make it, each judged and upright.
    ///
    /// # Errors
    /// As [`super::Receiver::image`].
    pub(super) fn planes(
        &self,
        results: &PlaneResults,
        at: Position,
        of: &mut Provenance,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<Vec<GreyImage>, ReceiverError> {
        let first = self.result(&results.first, at, of, observer)?;
        let others = results.others.iter().map(|pair| self.result(pair, at, of, observer));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        let planes = mean_image(first, &others).and_then(|mean| results.entry.planes(mean));
        planes.map_err(|e| ReceiverError::from(e).about(results.first[0].name()))
    }

    /// Opens the shares of one result, and judges it by its range alarm and its residual.
    ///
    /// # Errors
    /// As [`super::Receiver::image`].
    fn result(
        &self,
        [a, b]: &Pair,
        at: Position,
        of: &mut Provenance,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<GreyImage, ReceiverError> {
        let result = self.receiver.open_pair([a, b])?;
        // Whoever planned the work told of notes that cannot be read.
        let note = self.receiver.note(&result, &mut Silent);
        let alarm = settle_alarm(self.request.alarmed, result.alarm, a.name(), observer)?;
        of.range_alarm = of.range_alarm.and(alarm);
        let found = self.judge(&result, note.as_ref(), a.name(), at, observer)?;
        of.shares.push(ResultOf::from(&result));
        of.plausibility = of.plausibility.and(found);
        let upright = upright(&result, note.as_ref());
        upright.map_err(|e| ReceiverError::from(e).about(a.name()))
    }

    /// Judges a result by its note; `file` names it, and `at` is where it begins.
    ///
    /// # Errors
    /// [`ReceiverError::Implausible`], unless the request accepts that.
    pub(super) fn judge(
        &self,
        result: &Reconstruction,
        note: Option<&Note>,
        file: &Path,
        at: Position,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<Plausibility, ReceiverError> {
        let Some(judged) = note.and_then(|note| judge(result, note)) else {
            return Ok(Plausibility::Unknown);
        };
        let found = judged.map_err(|mut found| {
            let (top, left) = (found.place.top + at.row, found.place.left + at.column);
            found.place = Rect { top, left, ..found.place };
            found
        });
        let settled = settle(self.request.implausibility, found, file, observer);
        settled.map_err(|found| ReceiverError::from(found).about(file))
    }
}

/// Refuses a result, called `file`, whose alarm was raised; or tells of it, and goes on.
///
/// # Errors
/// [`ReceiverError::OutOfRangeOnShares`] about `file`.
pub(super) fn settle_alarm(
    alarmed: Alarmed,
    raised: Option<bool>,
    file: &Path,
    observer: &mut dyn Observer<ReceiverEvent>,
) -> Result<RangeAlarm, ReceiverError> {
    let alarm = alarmed.settle(raised).map_err(|found| ReceiverError::from(found).about(file))?;
    if alarm == RangeAlarm::Raised {
        observer.event(ReceiverEvent::RangeAlarm { file: file.to_owned() });
    }
    Ok(alarm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_alarm_is_refused_unless_it_is_accepted() {
        let settle = |alarmed, raised| settle_alarm(alarmed, raised, Path::new("x"), &mut Silent);
        assert!(matches!(settle(Alarmed::Refused, None), Ok(RangeAlarm::None)));
        assert!(matches!(settle(Alarmed::Refused, Some(false)), Ok(RangeAlarm::Silent)));
        assert!(matches!(settle(Alarmed::Accepted, Some(true)), Ok(RangeAlarm::Raised)));
        let refused = settle(Alarmed::Refused, Some(true)).unwrap_err().to_string();
        assert!(refused.contains("range alarm"), "{refused}");
    }
}
