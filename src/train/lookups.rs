//! The errors that masked lookups make at the kink of a ReLU, so that a network can learn to live with them.
//!
//! A table's line serves the values up to a cell's width on either side of its cell's centre; which of the two
//! lines around a value does is decided by a mask, with probabilities that fall with the distance. All lines but the
//! two on either side of the kink are exact (docs/numerics.md). Forward, a line is drawn for each value as two servers
//! would draw it, and backward its slope counts.
//!
//! A table's range is a multiple of the largest value that a channel showed, so a channel whose largest values are
//! rare has wide cells, and may have larger ones still on other images. Tails that are kept short cure both: values
//! that are many times as large as is usual in their channel add to the loss, in proportion to their magnitude (after
//! Kundu, Nair, Piramuthu, "Range regularisation", 2023, who penalise weights).

use super::normal::SplitMix;
use crate::model::{MARGIN, cell_widths, slope_below_kink};
use crate::network::{LinearShape, Network};

/// Draws of their own among those of a seed.
const SALT: u64 = 0x6c6f_6f6b_7570_7321;
/// How much of the largest magnitude that was seen is left after a step: a tenth is gone after 2,000.
const FADING: f32 = 0.999_95;
/// How much of the mean square that was seen is left after a step.
const AVERAGE: f32 = 0.999;

/// A value is in the tail if it is so many times as large as the root of the channel's mean square. Noise of one
/// level reaches 5 times, and the highest of several some 8 times the mean of all.
const TAIL: f32 = 8.0;
/// What counts as the root of a channel's mean square at least, over that of the layer: values of channels that have
/// nearly none are not worth a push.
const LEAST: f32 = 0.01;

/// The numbers of lines in the tails, above and below.
const TAILS: [u8; 2] = [4, 5];

/// By how much the lines next to the kink lie above it at the centres of their cells, in cells.
const ABOVE: f32 = 1.0 / 48.0;

/// What values each output of each layer has shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen(Vec<Vec<Channel>>);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Channel {
    /// The largest magnitude of late.
    largest: f32,
    /// The mean square.
    square: f32,
}

impl Seen {
    /// Of each output.
    pub(super) const NUMBERS: usize = 2;

    /// Of nothing yet.
    pub(super) fn new(shapes: &[(usize, usize)]) -> Seen {
        Seen(shapes.iter().map(|(outputs, _)| vec![Channel::default(); *outputs]).collect())
    }

    /// All numbers, layer by layer, [`Seen::NUMBERS`] of each output.
    pub(super) fn values(&self) -> impl Iterator<Item = f32> {
        self.0.iter().flatten().flat_map(|seen| [seen.largest, seen.square])
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        self.0.iter_mut().flatten().flat_map(|seen| [&mut seen.largest, &mut seen.square])
    }

    /// With what the parts of a step showed, each its share of the mean squares.
    pub(super) fn add<'a>(&mut self, parts: impl Iterator<Item = &'a Seen>) {
        let parts: Vec<&Seen> = parts.collect();
        for (layer, channels) in self.0.iter_mut().enumerate() {
            for (channel, seen) in channels.iter_mut().enumerate() {
                let new = parts.iter().map(|part| part.0[layer][channel]);
                seen.largest = new.clone().map(|n| n.largest).fold(seen.largest * FADING, f32::max);
                let square = new.map(|n| n.square).sum();
                seen.square = match seen.square {
                    0.0 => square,
                    before => before * AVERAGE + square * (1.0 - AVERAGE),
                };
            }
        }
    }

    /// Of tables of so many cells, if calibration saw these values, at the default margin.
    pub(super) fn ranges<L: LinearShape>(&self, network: &Network<L, ()>, cells: u32) -> Ranges {
        let of_layer = |layer: &Vec<Channel>| layer.iter().map(|c| f64::from(c.largest)).collect();
        let extremes: Vec<Vec<f64>> = self.0.iter().map(of_layer).collect();
        let widths = cell_widths(network, &extremes, (MARGIN, cells));
        let usual = |layer: &Vec<Channel>| -> Vec<f32> {
            let mean = layer.iter().map(|seen| seen.square).sum::<f32>() / layer.len() as f32;
            let least = if mean > 0.0 { LEAST * mean.sqrt() } else { f32::INFINITY };
            layer.iter().map(|seen| seen.square.sqrt().max(least)).collect()
        };
        Ranges {
            widths: widths.into_iter().map(|l| l.into_iter().map(|w| w as f32).collect()).collect(),
            usual: self.0.iter().map(usual).collect(),
        }
    }
}

/// Of the channels behind each output of each layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    /// Widths of cells.
    widths: Vec<Vec<f32>>,
    /// Roots of mean squares, those of weak channels raised; infinite if nothing was seen.
    usual: Vec<Vec<f32>>,
}

/// Lookups of the patches of a block.
pub(super) struct Lookups {
    /// Those of a step.
    ranges: Ranges,
    /// What a step showed so far.
    pub(super) seen: Seen,
    /// The slopes of the lines, by number: four around the kink, and those in the tails.
    slopes: [f32; 6],
    /// Loss by a value in the tail, in roots of the mean square.
    push: f32,
    /// Patches of a step, those of all blocks.
    batch: usize,
    /// The number of the line that served each value of each map.
    lines: Vec<Vec<u8>>,
    /// What draws follow from: seed, step, and the number of the first patch in the batch.
    pub(super) at: (u64, u64, u64),
}

impl Lookups {
    /// For maps of these sizes and tables of so many cells, of a batch of which `outputs` are predicted; `tails` as in
    /// the recipe.
    pub(super) fn new(
        shapes: &[(usize, usize)],
        maps: impl Iterator<Item = usize>,
        cells: u32,
        (batch, outputs, tails): (usize, usize, f64),
    ) -> Lookups {
        Lookups {
            ranges: Ranges::default(),
            seen: Seen::new(shapes),
            slopes: slopes(cells),
            push: (tails / outputs as f64) as f32,
            batch,
            lines: maps.map(|values| vec![0; values]).collect(),
            at: (0, 0, 0),
        }
    }

    /// For another step.
    pub(super) fn begin(&mut self, ranges: &Ranges) {
        self.ranges = ranges.clone();
        self.seen.values_mut().for_each(|seen| *seen = 0.0);
    }

    /// ReLU of the values of a map, which has `size` of each patch, as a lookup gives it.
    pub(super) fn activate(
        &mut self,
        (layer, map): (usize, usize),
        size: usize,
        values: &mut [f32],
    ) {
        let channels = &mut self.seen.0[layer];
        let part = channels.len() as f32 / (self.batch * size) as f32;
        for row in values.chunks_exact(channels.len()) {
            for (seen, v) in channels.iter_mut().zip(row) {
                seen.largest = seen.largest.max(v.abs());
                seen.square += part * v * v;
            }
        }
        let ((seed, step, first), slopes) = (self.at, self.slopes);
        let (widths, usual) = (&self.ranges.widths[layer], &self.ranges.usual[layer]);
        let patches = values.chunks_exact_mut(size).zip(self.lines[map].chunks_exact_mut(size));
        for ((values, lines), patch) in patches.zip(first..) {
            let mut draws = SplitMix::at(seed ^ SALT ^ ((map as u64) << 32), step, patch);
            let rows =
                values.chunks_exact_mut(widths.len()).zip(lines.chunks_exact_mut(widths.len()));
            for (values, lines) in rows {
                let channels = widths.iter().zip(usual);
                for ((value, line), (&width, usual)) in values.iter_mut().zip(lines).zip(channels) {
                    let z = *value;
                    (*value, *line) = served(z, width, &slopes, || draws.next());
                    if z.abs() > TAIL * usual {
                        *line = TAILS[usize::from(z < 0.0)];
                    }
                }
            }
        }
    }

    /// Loss by pre-activations, from loss by what lookups gave.
    pub(super) fn differentiate(&self, (layer, map): (usize, usize), slopes: &mut [f32]) {
        let usual = &self.ranges.usual[layer];
        let rows = slopes.chunks_exact_mut(usual.len());
        for (slopes, lines) in rows.zip(self.lines[map].chunks_exact(usual.len())) {
            for ((s, &line), usual) in slopes.iter_mut().zip(lines).zip(usual) {
                *s *= self.slopes[line as usize];
                match TAILS.map(|tail| tail == line) {
                    [true, _] => *s += self.push / usual,
                    [_, true] => *s -= self.push / usual,
                    _ => {}
                }
            }
        }
    }
}

/// The slopes of the lines around the kink in tables of so many cells.
fn slopes(cells: u32) -> [f32; 6] {
    let below = slope_below_kink(cells);
    [0.0, below, 1.0 - below, 1.0, 1.0, 0.0]
}

/// What a lookup gives of a value, and by which line.
fn served(value: f32, width: f32, slopes: &[f32; 6], draw: impl FnOnce() -> u64) -> (f32, u8) {
    // The centres of the lines are at -3/2, -1/2, 1/2 and 3/2 cells.
    let place = value / width + 1.5;
    if !(0.0..3.0).contains(&place) {
        return (value.max(0.0), if value > 0.0 { 3 } else { 0 });
    }
    let draw = (draw() >> 40) as f32 / (1u64 << 24) as f32;
    // A sum may be rounded up to the next whole number.
    let line = ((place + draw) as usize).min(3);
    let from_centre = value - (line as f32 - 1.5) * width;
    let at_centre = [0.0, ABOVE * width, (0.5 + ABOVE) * width, 1.5 * width][line];
    (at_centre + slopes[line] * from_centre, line as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Cells, Choices, Method, QuantiseOptions, RandomRounding, Randomness, quantise,
    };
    use crate::train::tests::{convolutional, told};
    use crate::train::{Recipe, State, Trainer};

    const CELLS: u32 = 64;
    /// Enough for slopes of 0 and 1 alone.
    const MANY: u32 = 512;

    /// Far from the kink a lookup is the function itself; near it, what is drawn is above it in the mean, as a line
    /// through both sides is.
    #[test]
    fn lookups_are_exact_but_at_the_kink() {
        let (mut draws, slopes) = (SplitMix::at(3, 0, 0), slopes(CELLS));
        for i in -400..=400 {
            let value = i as f32 / 100.0;
            let mut draw = || served(value, 1.0, &slopes, || draws.next());
            let runs: Vec<_> = (0..4000).map(|_| draw()).collect();
            let relu = value.max(0.0);
            if value.abs() >= 1.5 {
                assert!(runs.iter().all(
                    |(v, line)| *v == relu && slopes[*line as usize] == f32::from(value > 0.0)
                ));
            } else {
                let mean = runs.iter().map(|(v, _)| v).sum::<f32>() / runs.len() as f32;
                assert!((mean - relu).abs() < 0.2, "{mean} of {value}");
                assert!(runs.iter().any(|(v, _)| *v != relu), "{value}");
            }
        }
        for value in [0.0, -1.0, 1.0, f32::NAN] {
            let (found, _) = served(value, 0.0, &slopes, || panic!("nothing to draw"));
            assert!(found == value.max(0.0));
        }
    }

    /// The error of a drawn value is that of the table that the model will have: mean and mean square, for values
    /// all over the kink.
    #[test]
    fn errors_are_those_of_the_tables() {
        for cells in [CELLS, MANY] {
            errors_are_those_of(cells);
        }
    }

    fn errors_are_those_of(cells: u32) {
        let recipe = convolutional(1);
        let state = State::new(&recipe).unwrap();
        let trainer = Trainer::new(recipe.clone(), crate::train::tests::grey(), state, 1).unwrap();
        let mut model = trainer.model().unwrap();
        let image: Vec<f32> = (0..900).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
        model.extremes = Some(model.extremes_of(&image, (30, 30), 0.0, &mut |_| ()).unwrap());
        let options = Choices::default().one_cloud().options(&model).unwrap();
        let method = Method::tables(Cells::of_count(cells).unwrap());
        let quantised = quantise(&model, &QuantiseOptions { method, ..options }).unwrap();
        let (_, spec, _) = quantised.public.network.activations().next().unwrap();
        let widths = cell_widths(&model.network, model.extremes.as_ref().unwrap(), (MARGIN, cells));
        // A channel's range of 1 is 2^31 units; the kink is half a cell above 0 there.
        let cell = (1u64 << 32) as f64 / f64::from(cells);
        let slopes = slopes(cells);
        let mut random = RandomRounding::new(5);
        let mut draws = SplitMix::at(4, 0, 0);
        const RUNS: usize = 4000;
        for i in -20..=20 {
            let place = f64::from(i) / 10.0;
            let z = ((place + 0.5) * cell) as i64 as u32;
            let found = random.activate(0, 0..RUNS, &[z; RUNS], spec);
            let unit = f64::from(spec.out_frac()).exp2();
            let of_tables =
                found.iter().map(|v| f64::from(*v as i32) / unit * f64::from(cells) / 2.0);
            let of_training = (0..RUNS).map(|_| {
                let width = widths[0][0] as f32;
                f64::from(served(place as f32 * width, width, &slopes, || draws.next()).0 / width)
            });
            let moments = |values: &mut dyn Iterator<Item = f64>| {
                let errors: Vec<f64> = values.map(|v| v - place.max(0.0)).collect();
                let mean =
                    |f: fn(f64) -> f64| errors.iter().map(|e| f(*e)).sum::<f64>() / RUNS as f64;
                [mean(|e| e), mean(|e| e * e)]
            };
            let (a, b) = (moments(&mut { of_tables }), moments(&mut { of_training }));
            assert!((a[0] - b[0]).abs() < 0.02, "mean at {place}: {a:?} and {b:?}");
            assert!((a[1] - b[1]).abs() < 0.01, "square at {place}: {a:?} and {b:?}");
        }
    }

    /// The loss grows with values in the tails alone, each by what is usual in its channel.
    #[test]
    fn values_in_the_tails_are_pushed_back() {
        let usual = [1.0, 0.5, f32::INFINITY];
        let mut lookups = Lookups::new(&[(3, 1)], [12].into_iter(), MANY, (1, 5, 15.0));
        lookups.begin(&Ranges { widths: vec![vec![0.01; 3]], usual: vec![usual.to_vec()] });
        let rows = [TAIL - 0.1, 0.1 - TAIL, TAIL + 0.1, -0.1 - TAIL];
        let values: Vec<f32> = rows.iter().flat_map(|v| [1.0, 0.5, 1.0].map(|u| v * u)).collect();
        let mut given = values.clone();
        lookups.activate((0, 0), 12, &mut given);
        assert!(given.iter().zip(&values).all(|(given, v)| (given - v.max(0.0)).abs() < 1e-6));
        let mut slopes = [0.25; 12];
        lookups.differentiate((0, 0), &mut slopes);
        // A push is 15 over 5 outputs. The third channel showed nothing so far, and has no tail.
        let expected = [[0.25, 0.25, 0.25], [0.0; 3], [3.25, 6.25, 0.25], [-3.0, -6.0, 0.0]];
        assert_eq!(slopes, *expected.as_flattened());
        let seen = lookups.seen.0[0][0];
        assert_eq!(seen.largest, TAIL + 0.1);
        let square = rows.iter().map(|v| v * v / 4.0).sum::<f32>();
        assert!((seen.square - square).abs() < 1e-3);
    }

    /// A channel that shows nearly nothing is measured by its layer: by itself, any push would be endless.
    #[test]
    fn weak_channels_are_measured_by_their_layer() {
        let [_, _, unet] = told();
        let mut seen = Seen::new(&unet.shapes().unwrap());
        for layer in &mut seen.0 {
            layer.fill(Channel { largest: 2.0, square: 1.0 });
        }
        seen.0[1][0] = Channel { largest: 1e-9, square: 1e-20 };
        seen.0[2].fill(Channel::default());
        let usual = seen.ranges(&unet.network().unwrap(), CELLS).usual;
        assert_eq!(usual[0][0], 1.0);
        assert!((0.005..=LEAST).contains(&usual[1][0]), "{}", usual[1][0]);
        assert_eq!(usual[2][0], f32::INFINITY);
    }

    /// Patches have their draws whatever the thread, and what was seen goes on from step to step.
    #[test]
    fn networks_learn_with_the_errors_of_lookups() {
        let [_, _, unet] = told();
        for recipe in [convolutional(1), unet] {
            let recipe = Recipe { cells: Some(CELLS), ..recipe };
            let run = |threads: usize| {
                let state = State::new(&recipe).unwrap();
                let corpus = crate::train::tests::grey();
                let mut trainer = Trainer::new(recipe.clone(), corpus, state, threads).unwrap();
                let losses: Vec<f64> =
                    (0..200).map(|_| trainer.step(recipe.rate).unwrap().loss).collect();
                (losses, trainer.state().clone())
            };
            let (losses, state) = run(1);
            let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
            assert!(mean(&losses[190..]) < 0.7 * mean(&losses[..5]), "{losses:?}");
            assert!(state.seen.values().any(|seen| seen > 0.0));
            assert_eq!(run(1), (losses.clone(), state));
            let (other, _) = run(3);
            assert!((other[0] - losses[0]).abs() < 1e-6 * losses[0]);
            assert!((other[20] - losses[20]).abs() < 0.05 * losses[20]);
        }
    }
}
