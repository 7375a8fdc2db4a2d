//! How far the values of a picture reach, by which it is judged whether noise can be told of them.

use super::super::values::used;
use super::super::{Extent, Remedy, Scanned, Values};
use super::groups::{Meaning, Rescale};
use super::{Colour, Picture};

/// The least and the greatest stored value that is a measurement.
#[derive(Default)]
pub(super) struct Reach {
    ends: Option<(i64, i64)>,
    samples: u64,
    padding: u64,
}

impl Reach {
    pub(super) fn add(&mut self, picture: &Picture<'_>, value: i64) {
        self.samples += 1;
        if picture.is_padding(value) {
            self.padding += 1;
            return;
        }
        let (least, greatest) = self.ends.unwrap_or((value, value));
        self.ends = Some((least.min(value), greatest.max(value)));
    }

    /// As it was measured; nothing for a picture that holds no measurement.
    pub(super) fn extent(&self, picture: &Picture<'_>) -> Option<Extent> {
        let (least, greatest) = self.ends?;
        let part = (greatest - least) as f64 / ((1i64 << picture.bits) - 1) as f64;
        let meaning = meaning(picture);
        let remedy = if has_window(picture) {
            Remedy::Window { own: meaning.window.is_some() }
        } else {
            Remedy::None
        };
        let (least, greatest) = measured(least, greatest, rescale(picture, meaning));
        Some(Extent::of_integers(least, greatest, picture.bits, part, remedy))
    }

    /// The same for who asks what the file holds.
    pub(super) fn values(&self, picture: &Picture<'_>) -> Option<Values> {
        let (least, greatest) = self.ends?;
        let meaning = meaning(picture);
        let rescale = rescale(picture, meaning);
        let ends = measured(least, greatest, rescale);
        Some(Values {
            least: ends.0,
            greatest: ends.1,
            bits: Some(picture.bits),
            bits_used: Some(used((greatest - least) as u64)),
            a_level: ((1i64 << picture.bits) - 1) as f64 / 255.0
                * rescale.map_or(1.0, |r| r.slope.abs()),
            scan: Some(Scanned {
                rescale: rescale.map(|rescale| (rescale.slope, rescale.intercept)),
                window: meaning.window.map(|window| (window.center, window.width)),
                padding: self.padding as f64 / self.samples as f64,
            }),
        })
    }
}

/// Whether values are measured ones of a grey picture, on which a window may lie.
fn has_window(picture: &Picture<'_>) -> bool {
    picture.colour == Colour::Grey && !picture.table
}

/// Of several frames the first speaks for all: it is what a message says.
fn meaning(picture: &Picture<'_>) -> Meaning {
    let meanings = picture.groups.meanings(picture.meaning, picture.frames).unwrap_or_default();
    meanings.first().copied().unwrap_or(picture.meaning)
}

fn rescale(picture: &Picture<'_>, meaning: Meaning) -> Option<Rescale> {
    meaning.rescale.filter(|_| has_window(picture))
}

fn measured(least: i64, greatest: i64, rescale: Option<Rescale>) -> (f64, f64) {
    let Rescale { slope, intercept } = rescale.unwrap_or(Rescale { slope: 1.0, intercept: 0.0 });
    let [a, b] = [least, greatest].map(|value| value as f64 * slope + intercept);
    (a.min(b), a.max(b))
}
