//! The levels of noise that a network is trained for.

use super::TrainError;
use super::normal::SplitMix;
use serde::{Deserialize, Serialize};

/// From the lowest to the highest level, in 8-bit grey levels; the same twice for a network that
/// knows one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    pub lowest: f64,
    pub highest: f64,
}

/// The most grey levels of noise.
const MOST: f64 = 255.0;

impl Noise {
    /// One level.
    pub fn of(sigma: f64) -> Noise {
        Noise { lowest: sigma, highest: sigma }
    }

    /// Whether it is one level.
    pub fn is_one(self) -> bool {
        self.lowest == self.highest
    }

    /// The level in the middle, by ratios; the level if there is one.
    pub fn middle(self) -> f64 {
        if self.is_one() { self.lowest } else { (self.lowest * self.highest).sqrt() }
    }

    /// Whether a level is one of them.
    pub fn has(self, sigma: f64) -> bool {
        (self.lowest..=self.highest).contains(&sigma)
    }

    /// The levels to validate at: both ends and the usual ones between.
    pub fn validated(self) -> Vec<f64> {
        if self.is_one() {
            return vec![self.lowest];
        }
        let between = [15.0, 25.0, 50.0].into_iter();
        let between = between.filter(|sigma| (self.lowest..self.highest).contains(sigma));
        let mut levels: Vec<f64> = [self.lowest].into_iter().chain(between).collect();
        levels.push(self.highest);
        levels.dedup();
        levels
    }

    /// A random level: as many between 10 and 20 as between 20 and 40.
    pub(super) fn level(self, rng: &mut SplitMix) -> f64 {
        if self.is_one() {
            return self.lowest;
        }
        self.lowest * (self.highest / self.lowest).powf(rng.part())
    }

    /// What the squared errors of a patch count: what is left of noise grows about as its level, and
    /// each level is to matter the same.
    pub(super) fn weight(self, sigma: f64) -> f64 {
        if self.is_one() { 1.0 } else { self.middle() / sigma }
    }

    /// # Errors
    /// [`TrainError::Recipe`] for levels that are none, or that end before they begin.
    pub(super) fn check(self) -> Result<(), TrainError> {
        let Noise { lowest, highest } = self;
        if lowest > 0.0 && lowest <= highest && highest <= MOST {
            return Ok(());
        }
        let (name, found) = ("the noise", format!("{lowest} to {highest}"));
        let expected = "levels above 0, the lower first, at most 255".into();
        Err(TrainError::Recipe { name, found, expected })
    }
}

impl std::fmt::Display for Noise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_one() {
            write!(f, "{}", self.lowest)
        } else {
            write!(f, "{}..{}", self.lowest, self.highest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_spread_by_ratios() {
        let noise = Noise { lowest: 5.0, highest: 80.0 };
        let mut rng = SplitMix::at(1, 2, 3);
        let levels: Vec<f64> = (0..4000).map(|_| noise.level(&mut rng)).collect();
        assert!(levels.iter().all(|l| noise.has(*l)));
        for octave in [5.0, 10.0, 20.0, 40.0] {
            let within = levels.iter().filter(|l| (octave..2.0 * octave).contains(*l)).count();
            assert!((850..1150).contains(&within), "{within} from {octave} on");
        }
        assert_eq!(noise.middle(), 20.0);
        assert_eq!((noise.weight(10.0), noise.weight(40.0)), (2.0, 0.5));
        assert_eq!(noise.validated(), [5.0, 15.0, 25.0, 50.0, 80.0]);
        let one = Noise::of(25.0);
        assert_eq!(
            (one.level(&mut rng), one.weight(25.0), one.validated()),
            (25.0, 1.0, vec![25.0])
        );
    }
}
