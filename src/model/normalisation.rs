//! From grey levels to the units that networks compute in, and back.

use serde::{Deserialize, Serialize};

/// The middle of the grey levels 0 to 255.
pub(super) const MID_GREY: f64 = 127.5;

/// Grey levels to network units and back: (v - mid_grey) / grey_per_unit.
///
/// The paper's (v/255 - 0.5) / 0.2 (section 4.5, step 2) is mid_grey 127.5, grey_per_unit 51.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// The grey level that maps to 0.
    pub mid_grey: f64,
    /// Grey levels a unit.
    pub grey_per_unit: f64,
}

/// How far noise reaches beyond black and white, in standard deviations: Gaussian noise goes further once in 3.5 million
/// times.
pub(crate) const NOISE_REACH: f64 = 5.0;

/// From the middle of the grey levels 0 to 255 to their ends.
const HALF_SPAN: f64 = 127.5;

impl Normalisation {
    /// That of Burger et al. (CVPR 2012) and of the paper.
    pub const BURGER: Normalisation = Normalisation { mid_grey: 127.5, grey_per_unit: 51.0 };

    /// Grey levels as 0 to 1, which most convolutional networks take.
    pub const UNIT: Normalisation = Normalisation { mid_grey: 0.0, grey_per_unit: 255.0 };

    /// Network units of a grey level when the image's noise is `sigma_ratio` times weaker than the
    /// model's (sigma_ratio = model sigma / image sigma; scaled about mid-grey).
    pub fn to_units(self, grey: f64, sigma_ratio: f64) -> f64 {
        (grey - self.mid_grey) * sigma_ratio / self.grey_per_unit
    }

    /// How far from 0 the grey levels 0 to 255 reach in network units, scaled about mid-grey by
    /// `sigma_ratio`.
    pub fn reach(self, sigma_ratio: f64) -> f64 {
        (self.off_centre() + HALF_SPAN * sigma_ratio) / self.grey_per_unit
    }

    /// How far from 0 grey levels reach in network units that noise of `sigma` grey levels was added to and that are
    /// not scaled: 0 to 255, and [`NOISE_REACH`] times the noise beyond.
    pub fn reach_of_noise(self, sigma: f64) -> f64 {
        self.reach(1.0 + NOISE_REACH * sigma / HALF_SPAN)
    }

    /// The largest ratio at which grey levels 0 to 255 stay within `interval`; the inverse of
    /// [`Normalisation::reach`]. 0 if there is none.
    pub fn ratio_within(self, interval: f64) -> f64 {
        ((interval * self.grey_per_unit - self.off_centre()) / HALF_SPAN).max(0.0)
    }

    /// How many grey levels the unit 0 is from the level that scaling leaves where it is.
    fn off_centre(self) -> f64 {
        (MID_GREY - self.mid_grey).abs()
    }

    /// The inverse of [`Normalisation::to_units`].
    pub fn to_grey(self, units: f64, sigma_ratio: f64) -> f64 {
        units * self.grey_per_unit / sigma_ratio + self.mid_grey
    }

    /// The level, counted from mid-grey, that the network works on: its unit in grey levels of images whose noise is
    /// the model's. Levels of an image with other noise are scaled before, and Poisson noise is stabilised.
    pub fn to_level(self, units: f64) -> f64 {
        units * self.grey_per_unit + self.mid_grey - MID_GREY
    }
}
