//! How the grey levels of an image become network units, and come back.

use super::normalisation::MID_GREY;
use super::{FloatModel, Normalisation, PublicModel};
use crate::image::{GreyImage, Poisson, Residual, is_ground};
use crate::network::{LinearShape, Network};

/// What a model was trained on, as far as the levels of images for it depend on that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    /// Grey levels to network units.
    pub units: Normalisation,
    /// Noise in grey levels; the most that a model which reads the plane was trained on.
    pub sigma: f64,
    /// Whether it is told the noise of each image.
    pub reads_plane: bool,
    /// Whether it is a chain of convolutions, not a network on patches by themselves.
    pub convolutional: bool,
    /// Whether its images are mosaics of colour pictures.
    pub of_colours: bool,
}

/// Parts of the most noise that a model was trained for: next to none, little, half of it, all.
const SAMPLED: [f64; 4] = [1.0 / 16.0, 0.25, 0.5, 1.0];

/// The least noise that a network which is told the noise serves, as a part of the most: below, pictures become worse.
const LEAST_TOLD: f64 = 1.0 / 40.0;
/// What a network for one level serves, in parts of that: other noise is scaled to it, and contrasts with it. Stronger
/// contrasts, of less noise, convolutions do not bear (docs/numerics.md, the noise that a model serves).
const ON_PATCHES: [f64; 2] = [0.2, 3.0];
const CONVOLUTIONAL: [f64; 2] = [0.98, 3.0];

/// The ladder of noise levels has as many rungs for each halving, each this part of the one for all the noise; digits
/// and halvings are the same on every machine.
const STEPS: [f64; 8] = [
    1.0,
    0.917_004_043_204_671,
    0.840_896_415_253_715,
    0.771_105_412_703_970,
    std::f64::consts::FRAC_1_SQRT_2,
    0.648_419_777_325_505,
    0.594_603_557_501_361,
    0.545_253_866_332_629,
];

/// Rungs of noise levels ([`Trained::level_of`]): down to a 64th of the most noise.
pub(crate) const NOISE_RUNGS: u8 = 49;

impl Trained {
    fn of<L: LinearShape, A>(network: &Network<L, A>, units: Normalisation, sigma: f64) -> Self {
        let (reads_plane, convolutional) = (network.reads_plane(), network.is_convolutional());
        let of_colours = network.is_of_colours();
        Trained { units, sigma, reads_plane, convolutional, of_colours }
    }

    /// The noise level of a rung, in grey levels: rung 0 is the most noise that the model was trained for, and eight
    /// rungs further down it is half of that.
    pub fn level_of(&self, rung: u8) -> f64 {
        let halvings = i32::from(rung / 8);
        self.sigma * STEPS[usize::from(rung % 8)] * 0.5f64.powi(halvings)
    }

    /// The rung that is nearest to a noise level: what is told of an image's noise where it leaves its owner, and what
    /// its network works with then, which is off by 4.5 % at most.
    pub fn rung(&self, sigma: f64) -> u8 {
        let distance = |rung: u8| (self.level_of(rung) / sigma).ln().abs();
        let rungs = (0..NOISE_RUNGS).map(|rung| (rung, distance(rung)));
        // Of no noise at all every rung is infinitely far.
        rungs
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|r| r.1.is_finite())
            .map_or(NOISE_RUNGS - 1, |r| r.0)
    }

    /// What of an image's noise level leaves its owner: its rung, or nothing where the network does not read it.
    pub fn told(&self, sigma: f64) -> Option<u8> {
        self.reads_plane.then(|| self.rung(sigma))
    }

    /// The noise levels, in grey levels, that the model serves: with others its pictures may be worse than those of a
    /// simple filter, or than the noisy ones.
    pub fn served(&self) -> [f64; 2] {
        let parts = if self.reads_plane {
            [LEAST_TOLD, 1.0]
        } else if self.convolutional {
            CONVOLUTIONAL
        } else {
            ON_PATCHES
        };
        parts.map(|part| part * self.sigma)
    }

    /// Whether noise of this level is one of these.
    pub fn serves(&self, sigma: f64) -> bool {
        let [least, most] = self.served();
        // Levels are told with few digits.
        (least * 0.999..=most * 1.001).contains(&sigma)
    }

    /// The standard deviation of an image's noise in the levels that the network works on
    /// ([`Normalisation::to_level`]): the model's, which other noise is scaled to, or the image's own where the
    /// network is told of it. Of a mosaic it is that over all places, of which a quarter are black and have none.
    pub fn working_noise(&self, levels: &LevelMap) -> f64 {
        let noise = if self.reads_plane { levels.noise } else { self.sigma };
        if self.of_colours { noise * 0.75f64.sqrt() } else { noise }
    }

    /// Noise levels, in grey levels, that stand for all that the model is to see where nobody names any: its own,
    /// which images of other noise are scaled to, or several from hardly any to the most it was trained on, if it
    /// is told the noise of each image.
    pub fn sampled(&self) -> Vec<f64> {
        if self.reads_plane {
            SAMPLED.map(|part| part * self.sigma).to_vec()
        } else {
            vec![self.sigma]
        }
    }
}

/// The map from grey levels to network units for one image and model; public throughout.
///
/// Poisson noise is stabilised first, so that it is Gaussian of one sigma; then levels are scaled by
/// the model's sigma over the image's, which leaves `scale_about` where it is; then normalised.
/// Affine but for the stabilising transform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelMap {
    /// Grey levels to network units at the model's sigma.
    pub units: Normalisation,
    /// The model's noise level over the image's.
    pub sigma_ratio: f64,
    /// The grey level that scaling leaves where it is: mid-grey keeps inputs smallest, the paper
    /// scales about 0 (section 4.5, step 1).
    pub scale_about: f64,
    /// Poisson noise, if the image has it.
    pub poisson: Option<Poisson>,
    /// The image's noise level in grey levels, which a network that reads the plane is given; 0 for others.
    pub noise: f64,
}

impl LevelMap {
    /// Gaussian noise, scaled about mid-grey, for a model that does not read the plane.
    pub fn new(units: Normalisation, sigma_ratio: f64) -> Self {
        LevelMap { units, sigma_ratio, scale_about: MID_GREY, poisson: None, noise: 0.0 }
    }

    /// Gaussian noise of `sigma` grey levels. Levels are scaled so that their noise is the model's; a model that
    /// reads the plane takes them as they are, and is told their noise.
    pub fn for_noise(trained: Trained, sigma: f64) -> Self {
        if trained.reads_plane {
            LevelMap { noise: sigma, ..LevelMap::new(trained.units, 1.0) }
        } else {
            LevelMap::new(trained.units, trained.sigma / sigma)
        }
    }

    /// Network units of a noisy grey level.
    pub fn to_units(&self, grey: f64) -> f64 {
        let level = self.poisson.map_or(grey, |noise| noise.stabilise(grey));
        self.units.to_units(level, self.sigma_ratio) + self.shift()
    }

    /// Network units of a noisy image; of a mosaic the ground is 0, however levels are scaled.
    pub fn units_of(&self, image: &GreyImage, mosaic: bool) -> impl Iterator<Item = f64> {
        let width = image.width();
        image.pixels().iter().enumerate().map(move |(i, &grey)| {
            let ground = mosaic && is_ground(i / width, i % width);
            if ground { 0.0 } else { self.to_units(grey.into()) }
        })
    }

    /// The grey level of denoised network units; the inverse of [`LevelMap::to_units`], but for
    /// Poisson noise the unbiased one.
    pub fn to_grey(&self, units: f64) -> f64 {
        let level = self.units.to_grey(units - self.shift(), self.sigma_ratio);
        self.poisson.map_or(level, |noise| noise.restore(level))
    }

    /// How far scaling about `scale_about` moves units from where scaling about their 0 puts them.
    fn shift(&self) -> f64 {
        (self.scale_about - self.units.mid_grey) * (1.0 - self.sigma_ratio)
            / self.units.grey_per_unit
    }
}

impl LevelMap {
    /// The residual of a noisy image, less its denoised network units, in the levels that the network works on.
    pub fn residual(&self, noisy: &GreyImage, denoised: &[f64], trained: Trained) -> Residual {
        let level = |units| self.units.to_level(units);
        let noisy_levels = self.units_of(noisy, trained.of_colours).map(level);
        let size = noisy.size();
        Residual::of(size, noisy_levels, denoised.iter().map(|&units| level(units)))
    }
}

impl FloatModel {
    /// How grey levels with noise of `sigma` become the model's units.
    pub fn levels(&self, sigma: f64) -> LevelMap {
        LevelMap::for_noise(self.trained(), sigma)
    }

    /// What it was trained on.
    pub fn trained(&self) -> Trained {
        let FloatModel { units, sigma, .. } = *self;
        Trained::of(&self.network, units, sigma)
    }
}

impl PublicModel {
    /// As [`FloatModel::levels`].
    pub fn levels(&self, sigma: f64) -> LevelMap {
        LevelMap::for_noise(self.trained(), sigma)
    }

    /// The levels that encoded pixels stand for ([`Normalisation::to_level`]).
    pub fn working_levels(&self, encoded: &[i64]) -> impl Iterator<Item = f64> {
        let (units, scale) = (self.units, f64::from(self.input.frac_bits).exp2());
        encoded.iter().map(move |&value| units.to_level(value as f64 / scale))
    }

    /// As [`FloatModel::trained`].
    pub fn trained(&self) -> Trained {
        let PublicModel { units, sigma, .. } = *self;
        Trained::of(&self.network, units, sigma)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network that is told the noise serves nearly all of it, one on patches much, convolutions little.
    #[test]
    fn noise_that_a_model_serves_follows_from_its_kind() {
        let of = |reads_plane, convolutional| {
            let units = Normalisation::UNIT;
            let (sigma, of_colours) = (50.0, false);
            Trained { units, sigma, reads_plane, convolutional, of_colours }
        };
        let (told, patches, convolutions) = (of(true, true), of(false, false), of(false, true));
        assert_eq!((told.served(), patches.served()), ([1.25, 50.0], [10.0, 150.0]));
        assert!(told.serves(1.25) && told.serves(50.0) && !told.serves(1.2) && !told.serves(51.0));
        assert!(patches.serves(10.0) && !patches.serves(9.9));
        assert!(convolutions.serves(50.0) && convolutions.serves(140.0));
        assert!(!convolutions.serves(45.0) && !convolutions.serves(160.0));
    }

    /// Rungs are an eighth of a halving apart, and every level that is served has one within 4.5 %.
    #[test]
    fn noise_is_told_by_the_nearest_rung() {
        let trained = Trained {
            units: Normalisation::UNIT,
            sigma: 50.0,
            reads_plane: true,
            convolutional: true,
            of_colours: false,
        };
        for rung in 0..NOISE_RUNGS {
            let expected = 50.0 * (-f64::from(rung) / 8.0).exp2();
            assert!((trained.level_of(rung) / expected - 1.0).abs() < 1e-14, "{rung}");
            assert_eq!(trained.rung(expected * 1.04), rung);
            assert_eq!(trained.rung(expected * 0.96), rung);
        }
        let [least, most] = trained.served();
        for percent in 0..=100 {
            let sigma = least + (most - least) * f64::from(percent) / 100.0;
            let told = trained.level_of(trained.rung(sigma));
            assert!((told / sigma - 1.0).abs() < 0.045, "{sigma}: {told}");
        }
        assert_eq!([0.0, 1e-9, 50.0, 1e9].map(|sigma| trained.rung(sigma)), [48, 48, 0, 0]);
    }

    #[test]
    fn scaling_about_zero_is_the_papers_formula() {
        let map =
            LevelMap { scale_about: 0.0, ..LevelMap::new(Normalisation::BURGER, 25.0 / 15.0) };
        for grey in [-3.0, 0.0, 17.0, 127.5, 255.0] {
            // Section 4.5, steps 1 and 2, and the inverses.
            let units = (25.0 / 15.0 * grey / 255.0 - 0.5) / 0.2;
            assert!((map.to_units(grey) - units).abs() < 1e-12);
            assert!((((units / 5.0 + 0.5) * 255.0 * 15.0 / 25.0) - grey).abs() < 1e-9);
            assert!((map.to_grey(units) - grey).abs() < 1e-9);
        }
    }

    #[test]
    fn mid_grey_is_the_default_and_stays() {
        let map = LevelMap::new(Normalisation::BURGER, 0.5);
        assert_eq!(map.to_units(127.5), 0.0);
        assert_eq!(map.to_units(255.0), 1.25);
        assert_eq!(map.to_grey(1.25), 255.0);
    }

    #[test]
    fn poisson_noise_is_stabilised_first() {
        let noise = Poisson::new(8.0, 3.0).unwrap();
        let ratio = 25.0 / noise.sigma();
        let map = LevelMap { poisson: Some(noise), ..LevelMap::new(Normalisation::BURGER, ratio) };
        let plain = LevelMap::new(Normalisation::BURGER, ratio);
        assert_eq!(map.to_units(90.0), plain.to_units(noise.stabilise(90.0)));
        assert_eq!(map.to_grey(0.3), noise.restore(plain.to_grey(0.3)));
    }
}
