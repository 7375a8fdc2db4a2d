//! Learned perturbation in a setting of two tasks: handwritten digits, of which the cloud is to know one thing and
//! not the other.
//!
//! The desired and the undesired question are the digit and its parity, either way round. Who knows the digit knows its
//! parity, so one of the two ways cannot work whatever is learned.

use super::game::{Allowed, Game, Local, cross_entropy, learn, rate};
use super::networks::{Effort, local, recipe};
use crate::lab::error::LabError;
use crate::lab::observer::Observer;
use crate::model::Layer;
use crate::train::{Learner, Recipe, TrainError};
use flate2::read::GzDecoder;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Of fixtures/digits.
const DIGITS: &[u8] = include_bytes!("../../../../fixtures/digits/digits.csv.gz");
/// Side of an image.
const SIDE: usize = 8;
/// Its darkest level, and levels a unit: as grey levels are of mean 0 and variance 1 or so.
const DARKEST: f32 = 16.0;
const LEVELS_PER_UNIT: f32 = 3.2;
/// The last of the images, which are for the test.
const TEST: usize = 500;
/// Images of a step.
const BATCH: usize = 64;
/// Hidden units of a classifier.
const HIDDEN: usize = 64;

/// What can be asked of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Digit,
    Parity,
}

impl Question {
    pub(super) fn name(self) -> &'static str {
        match self {
            Question::Digit => "digit",
            Question::Parity => "parity",
        }
    }

    fn classes(self) -> usize {
        match self {
            Question::Digit => 10,
            Question::Parity => 2,
        }
    }

    fn answer(self, digit: usize) -> usize {
        digit % self.classes()
    }

    /// A classifier: a network from a patch to a smaller one, of whose pixels as many as there are classes count.
    fn layers(self) -> Vec<Layer> {
        let output = if self == Question::Digit { 4 } else { 2 };
        vec![
            Layer::Patches { size: SIDE, output, stride: output },
            Layer::dense(HIDDEN),
            Layer::Tanh,
            Layer::dense(output * output),
        ]
    }
}

/// A game: what is desired, what is not, what may be added and what the undesired loss counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) desired: Question,
    pub(super) undesired: Question,
    pub(super) allowed: Allowed,
    pub(super) weight: f32,
}

const NOTHING: Allowed = Allowed { strength: 0.0, grain: 0.0 };
const NOISE: Allowed = Allowed { strength: 0.0, grain: 2.0 };
const LEARNED: Allowed = Allowed { strength: 2.5, grain: 1.0 };

/// Nothing added; noise alone; a local network; the last two again the other way round.
pub(super) const SETTINGS: [Setting; 5] = [
    parity_wanted("nothing", NOTHING, 0.0),
    parity_wanted("noise alone", NOISE, 0.0),
    parity_wanted("learned", LEARNED, 1.0),
    parity_wanted("noise alone", NOISE, 0.0).reversed(),
    parity_wanted("learned", LEARNED, 1.0).reversed(),
];

const fn parity_wanted(name: &'static str, allowed: Allowed, weight: f32) -> Setting {
    let (desired, undesired) = (Question::Parity, Question::Digit);
    Setting { name, desired, undesired, allowed, weight }
}

impl Setting {
    const fn reversed(self) -> Setting {
        Setting { desired: self.undesired, undesired: self.desired, ..self }
    }
}

/// Shares of the test images of which the answer is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Played {
    pub(super) setting: Setting,
    /// The cloud's, on the desired question.
    pub(super) desired: f64,
    /// Of an attacker trained afterwards, on the undesired one.
    pub(super) undesired: f64,
}

/// Images and their digits.
pub(super) struct Digits {
    /// In units, one behind the other.
    pixels: Vec<f32>,
    digits: Vec<usize>,
}

impl Digits {
    /// The images to train on, and those for the test.
    ///
    /// # Panics
    /// If what is embedded is no list of digits: a bug.
    pub(super) fn embedded() -> [Digits; 2] {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).from_reader(GzDecoder::new(DIGITS));
        let [mut training, mut test] =
            [(); 2].map(|()| Digits { pixels: Vec::new(), digits: Vec::new() });
        let lines: Vec<Vec<f32>> = reader
            .deserialize()
            .collect::<Result<_, _>>()
            .expect("the embedded digits are numbers");
        let first = lines.len() - TEST;
        for (i, line) in lines.iter().enumerate() {
            let to = if i < first { &mut training } else { &mut test };
            let (levels, digit) = line.split_at(SIDE * SIDE);
            to.pixels.extend(levels.iter().map(|v| (v - DARKEST / 2.0) / LEVELS_PER_UNIT));
            to.digits.push(digit[0] as usize);
        }
        [training, test]
    }

    /// The images of these numbers, and their digits.
    fn chosen(&self, numbers: &[usize]) -> (Vec<f32>, Vec<usize>) {
        let image = |i: &usize| &self.pixels[i * SIDE * SIDE..][..SIDE * SIDE];
        (
            numbers.iter().flat_map(image).copied().collect(),
            numbers.iter().map(|i| self.digits[*i]).collect(),
        )
    }

    /// A random batch.
    fn batch(&self, rng: &mut ChaCha20Rng) -> (Vec<f32>, Vec<usize>) {
        let numbers: Vec<usize> =
            (0..BATCH).map(|_| rng.next_u64() as usize % self.digits.len()).collect();
        self.chosen(&numbers)
    }
}

/// Plays a setting and attacks the local network that came of it.
pub(super) fn play(
    setting: &Setting,
    effort: &Effort,
    observer: &mut dyn Observer,
) -> Result<Played, LabError> {
    let [training, test] = Digits::embedded();
    let effort = Effort { patch: SIDE, batch: BATCH, ..*effort };
    let (desired, undesired) = (setting.desired, setting.undesired);
    let layers = [local(), desired.layers(), undesired.layers()];
    let mut game = Game::new(layers, &effort, setting.allowed, setting.weight)?;
    let rng = &mut ChaCha20Rng::seed_from_u64(21);
    let steps = effort.digit_steps;
    let rates: Recipe = game.cloud.recipe().clone();
    for step in 0..steps {
        let (images, digits) = training.batch(rng);
        let [wanted, hidden] = [desired, undesired].map(|q| answers(q, &digits));
        let desired = cross_entropy(&wanted, desired.classes());
        let undesired = cross_entropy(&hidden, undesired.classes());
        game.step(&images, &desired, &undesired, rate(step, steps, &rates))?;
        observer.progress(step as f64 / (2 * steps) as f64);
    }
    let Game { mut local, mut cloud, .. } = game;
    let mut attacker = Learner::new(recipe(undesired.layers(), &effort, 22))?;
    for step in 0..steps {
        let (images, digits) = training.batch(rng);
        let (sent, hidden) = (local.perturb(&images)?, answers(undesired, &digits));
        let loss = cross_entropy(&hidden, undesired.classes());
        learn(&mut attacker, &sent, &loss, rate(step, steps, &rates))?;
        observer.progress(0.5 + step as f64 / (2 * steps) as f64);
    }
    Ok(Played {
        setting: *setting,
        desired: right(&mut local, &mut cloud, desired, &test)?,
        undesired: right(&mut local, &mut attacker, undesired, &test)?,
    })
}

fn answers(question: Question, digits: &[usize]) -> Vec<usize> {
    digits.iter().map(|digit| question.answer(*digit)).collect()
}

/// The share of images of which a classifier says the right class when the local network sends them.
fn right(
    local: &mut Local,
    classifier: &mut Learner,
    question: Question,
    test: &Digits,
) -> Result<f64, TrainError> {
    let (numbers, mut right) = ((0..test.digits.len()).collect::<Vec<_>>(), 0);
    let width = classifier.outputs();
    for numbers in numbers.chunks(BATCH) {
        let (images, digits) = test.chosen(numbers);
        let sent = local.perturb(&images)?;
        let said = classifier.forward(&sent)?.chunks_exact(width);
        right += said
            .zip(answers(question, &digits))
            .filter(|(said, answer)| {
                let classes = &said[..question.classes()];
                (0..classes.len()).max_by(|a, b| classes[*a].total_cmp(&classes[*b]))
                    == Some(*answer)
            })
            .count();
    }
    Ok(right as f64 / test.digits.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::observer::Unseen;

    #[test]
    fn the_embedded_digits_are_whole() {
        let [training, test] = Digits::embedded();
        assert_eq!((training.digits.len(), test.digits.len()), (1297, 500));
        for part in [&training, &test] {
            assert_eq!(part.pixels.len(), part.digits.len() * 64);
            assert!(part.pixels.iter().all(|v| v.abs() <= 2.5));
            assert!((0..10).all(|digit| part.digits.iter().filter(|d| **d == digit).count() > 40));
        }
        // The first image, a nought, begins with 0, 0, 5, 13 of 16.
        let levels = [0.0, 0.0, 5.0, 13.0].map(|v: f32| (v - 8.0) / 3.2);
        assert_eq!((training.pixels[..4].to_vec(), training.digits[0]), (levels.to_vec(), 0));
    }

    /// Without perturbation both questions are answered; who may know the digit answers the parity too, whatever the
    /// local network learns; a hidden digit is guessed less well.
    #[test]
    fn what_can_be_hidden_is_hidden_in_part() {
        let effort = Effort { digit_steps: 400, ..Effort::QUICK };
        let played = |i: usize| play(&SETTINGS[i], &effort, &mut Unseen).unwrap();
        let [nothing, learned, reversed] = [0, 2, 4].map(played);
        assert!(nothing.desired > 0.9 && nothing.undesired > 0.85, "{nothing:?}");
        assert!(learned.undesired < nothing.undesired - 0.05, "{learned:?}");
        assert!(learned.desired > learned.undesired, "{learned:?}");
        assert!(reversed.undesired > reversed.desired - 0.15, "{reversed:?}");
    }
}
