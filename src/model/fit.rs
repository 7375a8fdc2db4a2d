//! Whether the grey levels of an image fit what a model was shared for: the one place that decides
//! how many pixels may be clamped.

use super::normalisation::MID_GREY;
use super::{LevelMap, NOISE_REACH, PublicModel};
use crate::image::GreyImage;
use std::fmt;

/// Clamping one pixel in so many is no error: outliers, tails of noise beyond black and white.
const ONE_IN: usize = 100;

/// Which clamped pixels are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clamping {
    /// None.
    Never,
    /// Up to 1 % of an image's.
    #[default]
    Few,
    /// Any number.
    Any,
}

/// Pixels in fixed point, and how they fitted.
pub struct Encoded {
    /// Within the model's input interval.
    pub pixels: Vec<i64>,
    /// The noise level for a network that reads the plane, of [`PublicModel::plane`].
    pub plane: i64,
    /// How many had to be clamped to it.
    pub fit: Fit,
}

/// How many pixels of an image lie outside a model's input interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fit {
    /// Of so many.
    pub pixels: usize,
    /// These were clamped.
    pub clamped: usize,
    /// How far the furthest of them reaches from 0, in network units.
    furthest: f64,
}

/// An image with more clamped pixels than are accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unfit {
    /// How many pixels.
    pub clamped: usize,
    /// Of how many.
    pub pixels: usize,
    /// The lowest noise level at which grey levels 0 to 255 fit, rounded for people.
    pub serves: f64,
    /// That of the image, rounded for people.
    pub sigma: f64,
    /// What makes the image fit.
    pub remedy: Remedy,
    /// The input interval that holds all of its pixels.
    pub interval: f64,
}

/// What makes an image fit a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Remedy {
    /// Sharing the model for noise from this level on.
    SigmaFrom(f64),
    /// Sharing it with this input interval.
    Interval(f64),
    /// Other levels or another noise level: no sharing takes levels so far from 0 to 255 with this noise.
    Levels,
}

impl std::error::Error for Unfit {}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unfit { clamped, pixels, serves, sigma, remedy, .. } = self;
        write!(f, "{clamped} of {pixels} pixels lie ")?;
        if *remedy == Remedy::Levels {
            return write!(
                f,
                "outside 0 to 255 by more than {NOISE_REACH} times this image's noise of {sigma} grey levels"
            );
        }
        write!(f, "outside the levels that the model was shared for, ")?;
        if matches!(remedy, Remedy::SigmaFrom(_)) && sigma < serves {
            write!(f, "noise of {serves} grey levels or more, and this image's is {sigma}")
        } else {
            write!(f, "0 to 255 and a little more at this image's noise of {sigma}")
        }
    }
}

impl Fit {
    /// None of so many pixels seen yet.
    pub fn of(pixels: usize) -> Fit {
        Fit { pixels, ..Fit::default() }
    }

    /// The same of a mosaic, of which three of four places have levels of the picture, if it is one.
    pub fn of_levels(self, mosaic: bool) -> Fit {
        let pixels = if mosaic { self.pixels / 4 * 3 } else { self.pixels };
        Fit { pixels, ..self }
    }

    /// Takes in what a part of the image clamped.
    pub fn note(&mut self, part: Fit) {
        self.clamped += part.clamped;
        self.furthest = self.furthest.max(part.furthest);
    }

    /// Whether so many clamped pixels are accepted.
    ///
    /// # Errors
    /// [`Unfit`] if not.
    pub fn judge(
        self,
        clamping: Clamping,
        public: &PublicModel,
        levels: &LevelMap,
    ) -> Result<(), Unfit> {
        let most = match clamping {
            Clamping::Never => 0,
            Clamping::Few => self.pixels / ONE_IN,
            Clamping::Any => self.pixels,
        };
        if self.clamped <= most { Ok(()) } else { Err(self.unfit(public, levels)) }
    }

    /// What there is to say of clamped pixels, whether they are accepted or not.
    pub fn unfit(self, public: &PublicModel, levels: &LevelMap) -> Unfit {
        let own = public.sigma;
        let lowest = |interval| own / public.units.ratio_within(interval);
        let interval = (2.0 * self.furthest).ceil() / 2.0;
        let (image, remedy) = if !public.network.reads_plane() {
            let least = for_people(lowest(self.furthest), f64::floor);
            (own / levels.sigma_ratio, Remedy::SigmaFrom(least))
        } else if public.input.interval < public.units.reach_of_noise(levels.noise) {
            (levels.noise, Remedy::Interval(interval))
        } else {
            (levels.noise, Remedy::Levels)
        };
        Unfit {
            clamped: self.clamped,
            pixels: self.pixels,
            serves: for_people(lowest(public.input.interval), f64::ceil),
            sigma: for_people(image, f64::round),
            remedy,
            interval,
        }
    }
}

/// Two digits, more above 100.
fn for_people(sigma: f64, round: impl Fn(f64) -> f64) -> f64 {
    let unit = 10f64.powi((sigma.log10().floor() as i32).saturating_sub(1).clamp(-300, 0));
    // A little, so that 10 made of thirds is 10 for `ceil` and `floor`.
    let steps = sigma / unit;
    let near = steps.round();
    let steps = if (steps - near).abs() < 1e-6 { near } else { round(steps) };
    // Tenths and hundredths print as such when divided, not when multiplied.
    steps / (1.0 / unit).round()
}

/// The pixels of an image for a model, clamped to its input interval, and how many had to be.
///
/// Where 0 is not mid-grey, levels may be as far below mid-grey as above it: ranges that are calibrated
/// hold for that contrast, and not for what else the interval has room for. For the same reason a network that is told
/// the noise takes levels as far beyond 0 to 255 as that noise reaches, though its interval has room for its highest.
pub fn encode_image(public: &PublicModel, image: &GreyImage, levels: &LevelMap) -> Encoded {
    let of_colours = public.network.is_of_colours();
    let mut fit = Fit::of(image.pixels().len()).of_levels(of_colours);
    let reach = if public.network.reads_plane() {
        public.units.reach_of_noise(levels.noise)
    } else {
        f64::INFINITY
    };
    let centre = public.units.to_units(MID_GREY, 1.0);
    let lowest = 2.0 * centre - public.input.interval.min(reach);
    let pixel = |units: f64| {
        let (value, clamped) = public.input.encode(units.max(lowest).min(reach));
        if clamped || units < lowest || units > reach {
            let furthest = (units - centre).abs() + centre.abs();
            fit.note(Fit { pixels: 0, clamped: 1, furthest });
        }
        value
    };
    let pixels = levels.units_of(image, of_colours).map(pixel).collect();
    Encoded { pixels, plane: public.plane(levels.noise), fit }
}

#[cfg(test)]
mod tests {
    use super::super::{Method, Normalisation, QuantiseOptions, Ranges, quantise, random_model};
    use super::*;
    use crate::graphs::{May, random_graph};
    use crate::numbers::ring::RingBits;

    #[test]
    fn levels_reach_as_far_as_the_interval_says() {
        let burger = Normalisation::BURGER;
        assert_eq!((burger.reach(1.0), burger.reach(2.5)), (2.5, 6.25));
        assert_eq!(Normalisation::UNIT.reach(2.5), 1.75);
        for units in [burger, Normalisation::UNIT] {
            assert!((units.ratio_within(units.reach(3.0)) - 3.0).abs() < 1e-12);
            let map = LevelMap::new(units, 3.0);
            let furthest = map.to_units(0.0).abs().max(map.to_units(255.0).abs());
            assert!((furthest - units.reach(3.0)).abs() < 1e-12);
        }
    }

    fn public(interval: f64) -> PublicModel {
        let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), interval);
        quantise(&random_model(&[8], 1.0, true), &options).unwrap().public
    }

    #[test]
    fn one_pixel_in_a_hundred_may_be_clamped() {
        let public = public(6.25);
        let image = |outside: usize| {
            let levels = (0..1000).map(|i| if i < outside { 255.0 } else { 100.0 });
            GreyImage::new(20, 50, levels.collect()).unwrap()
        };
        let levels = LevelMap::new(public.units, public.sigma / 8.0);
        let judge = |outside, clamping| {
            encode_image(&public, &image(outside), &levels).fit.judge(clamping, &public, &levels)
        };
        assert_eq!(judge(0, Clamping::Never), Ok(()));
        assert_eq!(judge(10, Clamping::Few), Ok(()));
        assert_eq!(judge(1000, Clamping::Any), Ok(()));
        assert!(judge(1, Clamping::Never).is_err());
        let unfit = judge(11, Clamping::Few).unwrap_err();
        assert_eq!((unfit.clamped, unfit.pixels), (11, 1000));
        assert_eq!((unfit.serves, unfit.sigma, unfit.remedy), (10.0, 8.0, Remedy::SigmaFrom(8.0)));
    }

    /// Black is as far from mid-grey as white is, though 0 is black: it is not let through because
    /// the interval reaches below 0.
    #[test]
    fn darkness_counts_as_light_does() {
        let mut public = public(2.0);
        public.units = Normalisation::UNIT;
        let levels = LevelMap::new(public.units, 5.0);
        for (grey, clamped) in [(200.0, 0), (210.0, 1), (55.0, 0), (45.0, 1)] {
            let image = GreyImage::new(1, 1, vec![grey]).unwrap();
            let encoded = encode_image(&public, &image, &levels);
            assert_eq!(encoded.fit.clamped, clamped, "{grey}");
            assert!(encoded.pixels[0].abs() <= public.input.limit());
        }
    }

    /// A network that is told the noise, for noise of up to 50.
    fn told(interval: f64) -> PublicModel {
        let may = May { linear: false, plane: true };
        let model = (0..).map(|seed| random_graph(seed, may)).find(|m| m.network.reads_plane());
        let options = QuantiseOptions {
            ring: RingBits::L64,
            method: Method::Relu { alarm: true },
            interval,
            ranges: Ranges::Calibrated { margin: 2.0 },
            one_cloud: false,
        };
        quantise(&model.unwrap(), &options).unwrap().public
    }

    /// Its interval has room for the highest noise, and an image still has only that of its own.
    #[test]
    fn told_networks_take_levels_as_far_out_as_the_noise_reaches() {
        let public = told(Normalisation::UNIT.reach_of_noise(50.0));
        let image = |grey: f32| GreyImage::new(1, 2, vec![grey, 100.0]).unwrap();
        for sigma in [0.0, 5.0, 50.0] {
            let levels = public.levels(sigma);
            let judge = |grey| {
                let encoded = encode_image(&public, &image(grey), &levels);
                encoded.fit.judge(Clamping::Few, &public, &levels)
            };
            let reach = 5.0 * sigma as f32;
            for inside in [-reach + 0.1, 0.5, 255.0 + reach - 0.1] {
                assert_eq!(judge(inside), Ok(()), "{inside} with noise of {sigma}");
            }
            for outside in [-reach - 0.5, 255.5 + reach] {
                let unfit = judge(outside).unwrap_err();
                assert_eq!((unfit.clamped, unfit.sigma), (1, sigma), "{outside}");
                assert_eq!(unfit.remedy, Remedy::Levels);
            }
        }
    }

    /// A narrow interval is the owner's choice, and another one is the remedy.
    #[test]
    fn told_networks_say_which_interval_holds_an_image() {
        let public = told(1.5);
        let levels = public.levels(50.0);
        let judge = |public: &PublicModel| {
            let image = GreyImage::new(1, 2, vec![255.0 + 200.0, 100.0]).unwrap();
            let encoded = encode_image(public, &image, &levels);
            encoded.fit.judge(Clamping::Few, public, &levels)
        };
        let unfit = judge(&public).unwrap_err();
        assert_eq!(unfit.remedy, Remedy::Interval(2.0));
        assert!(unfit.to_string().contains("the model was shared for"), "{unfit}");
        assert_eq!(judge(&told(2.0)), Ok(()));
    }

    #[test]
    fn levels_for_people() {
        assert_eq!(for_people(2.345_67, f64::floor), 2.3);
        assert_eq!(for_people(0.0456, f64::ceil), 0.046);
        assert_eq!(for_people(10.0 + 1e-12, f64::ceil), 10.0);
        assert_eq!(for_people(123.4, f64::floor), 123.0);
        assert_eq!(for_people(f64::INFINITY, f64::floor), f64::INFINITY);
        assert_eq!(for_people(0.0, f64::floor), 0.0);
    }
}
