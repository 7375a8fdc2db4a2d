//! The integer twin: what two servers compute, in one place and in the clear.
//!
//! It walks the public network on the owner's integers. The secure computation rounds at random
//! and picks one of two table cells at random; the twin takes both choices from a [`Randomness`],
//! so that it equals a real run exactly when given that run's choices, is distributed as one with
//! [`super::RandomRounding`], and stays within the stated units of any run with [`super::NearestRounding`].

use super::watch::Watch;
use super::{ModelError, OutOfRange, QuantisedModel, Randomness};
use crate::kernels::{PackedWeights, matmul_acc};
use crate::network::{Op, PatchGrid, Source, StageGrid};
use crate::numbers::ring::Ring;
use crate::size::Size;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

const BATCH_ROWS: usize = 128;

/// What a twin run gives.
pub(crate) struct TwinRun<R> {
    /// The weighted sum at every pixel, what the receiver's two shares add up to.
    pub sums: Vec<R>,
    /// What left its range, if that was asked for; ranges that no image can leave are not looked at.
    pub out_of_range: Option<OutOfRange>,
}

/// An image as the twin takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TwinInput<'a> {
    /// Encoded pixels, row-major.
    pub image: &'a [i64],
    /// Rows and columns.
    pub size: Size,
    /// The noise level for a network that reads the plane, of [`super::PublicModel::plane`].
    pub plane: i64,
    /// Whether values that leave their range are counted, which takes each layer's products a second time.
    pub watched: bool,
}

/// Runs the twin on an encoded image.
///
/// # Errors
/// [`ModelError::Network`] if the image does not suit the patch grid.
pub(crate) fn run_twin<R: Ring>(
    model: &QuantisedModel,
    input: &TwinInput<'_>,
    randomness: &mut dyn Randomness<R>,
    progress: &mut dyn FnMut(f64),
) -> Result<TwinRun<R>, ModelError> {
    let network = &model.public.network;
    let (grids, whole) = (network.grids(input.size)?, network.grid(input.size)?);
    let padding = network.padding(input.size);
    let means = model.public.patch_means(input.image, input.size)?;
    let image: Vec<R> = input.image.iter().map(|&v| R::from_i64(v)).collect();
    let mut twin = Twin {
        model,
        whole: &whole,
        maps: vec![padding.pad(&image)],
        fracs: model.public.map_fracs(),
        plane: R::from_i64(input.plane),
        means,
        packed: model.network.linears().map(|(op, l)| (op, pack::<R>(l))).collect(),
        randomness,
        watch: if input.watched { Watch::of(model) } else { None },
    };
    let (window, mut sums) = (&network.fold().window, vec![R::ZERO; whole.pixels()]);
    for (number, grid) in grids.iter().enumerate() {
        let mut next = Vec::new();
        for first in (0..grid.rows()).step_by(BATCH_ROWS) {
            let rows = first..grid.rows().min(first + BATCH_ROWS);
            let done = number as f64 + first as f64 / grid.rows() as f64;
            progress(done / grids.len() as f64);
            let features = twin.batch(grid, rows.clone());
            if number + 1 < grids.len() {
                let width = features.len() / rows.len();
                next.resize(grid.map_values(width), R::ZERO);
                let placement = grid.placement(rows, width);
                placement.put(&placement.select(features), &mut next);
            } else {
                whole.fold(rows, &features, window, &mut sums, |sum, w, v| {
                    *sum = sum.add(v.mul(R::from_u64(w.into())));
                });
            }
        }
        twin.maps.push(next);
        let done = network.maps().iter().zip(&mut twin.maps).skip(1);
        done.filter(|(map, _)| map.last <= number).for_each(|(_, values)| *values = Vec::new());
    }
    progress(1.0);
    let out_of_range = twin.watch.map(Watch::found);
    Ok(TwinRun { sums: padding.crop(sums), out_of_range })
}

fn pack<R: Ring>(l: &super::IntLinear) -> (PackedWeights<R>, Vec<R>) {
    let ring = |v: &[i64]| -> Vec<R> { v.iter().map(|&v| R::from_i64(v)).collect() };
    (PackedWeights::pack(l.bias.len(), l.inputs, &ring(&l.weights)), ring(&l.bias))
}

struct Twin<'a, R: Ring> {
    model: &'a QuantisedModel,
    /// The grid of the predicted patches.
    whole: &'a PatchGrid,
    /// The continued image, and what was made so far; empty where nobody needs it any more.
    maps: Vec<Vec<R>>,
    /// Fraction bits of each map.
    fracs: Vec<u32>,
    plane: R,
    /// Of each patch, if the model adds it.
    means: Vec<i64>,
    /// Weights and biases by op.
    packed: HashMap<usize, (PackedWeights<R>, Vec<R>)>,
    randomness: &'a mut dyn Randomness<R>,
    watch: Option<Watch>,
}

impl<R: Ring> Twin<'_, R> {
    fn batch(&mut self, grid: &StageGrid, rows: Range<usize>) -> Vec<R> {
        let mut features = Vec::new();
        let public = &self.model.public;
        let (ops, range) = (public.network.ops(), &grid.stage.ops);
        // Of the last linear op; what is watched is complete with what is added.
        let (mut frac, mut linear) = (0, 0);
        for i in range.clone() {
            match &ops[i] {
                Op::Gather(_) => {
                    features = grid.gather(rows.clone(), |source, run| match source {
                        Source::Map(number) => Cow::Borrowed(&self.maps[number][run]),
                        Source::Plane => Cow::Owned(vec![self.plane; run.len()]),
                    });
                }
                Op::Linear(l) => {
                    let (weights, bias) = &self.packed[&i];
                    let mut z: Vec<R> = Vec::with_capacity(rows.len() * bias.len());
                    rows.clone().for_each(|_| z.extend_from_slice(bias));
                    matmul_acc(weights, &features, &mut z);
                    if let Some(watch) = &mut self.watch {
                        watch.multiply(i, &features);
                        if !matches!(ops.get(i + 1), Some(Op::Add(_))) {
                            watch.compare(i, &z);
                        }
                    }
                    (features, frac, linear) = (z, l.out_frac, i);
                }
                Op::Add(maps) => {
                    let width = features.len() / rows.len();
                    let run = rows.start * width..rows.end * width;
                    for &number in maps {
                        let up = frac - self.fracs[number];
                        let map = &self.maps[number][run.clone()];
                        features.iter_mut().zip(map).for_each(|(v, a)| *v = v.add(a.shl(up)));
                        self.watch.iter_mut().for_each(|watch| watch.add(map, up));
                    }
                    self.watch.iter_mut().for_each(|watch| watch.compare(linear, &features));
                }
                Op::Activation(spec) => {
                    let results = self.randomness.activate(i, rows.clone(), &features, spec);
                    features = results.into_iter().map(R::from_i64).collect();
                }
                Op::Residual => {
                    let up = public.output_frac() - public.input.frac_bits;
                    let centres = self.whole.centres(rows.clone(), &self.maps[0]);
                    for (v, centre) in features.iter_mut().zip(centres) {
                        *v = centre.shl(up).sub(*v);
                    }
                }
                Op::Mean => {
                    let outputs = features.len() / rows.len();
                    for (row, &mean) in
                        features.chunks_exact_mut(outputs).zip(&self.means[rows.clone()])
                    {
                        row.iter_mut().for_each(|v| *v = v.add(R::from_i64(mean)));
                    }
                }
                Op::Shuffle(_) | Op::Fold(_) => {}
            }
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::super::random_model;
    use super::super::{
        Extremes, InputSpec, Method, NearestRounding, QuantiseOptions, decode_sums, quantise,
    };
    use super::*;
    use crate::numbers::ring::RingBits;

    const SIZE: Size = Size::new(17, 14);

    fn input(image: &[i64]) -> TwinInput<'_> {
        TwinInput { image, size: SIZE, plane: 0, watched: false }
    }

    fn options(ring: RingBits, cell_bits: u32) -> QuantiseOptions {
        QuantiseOptions::guaranteed(ring, Method::lut(cell_bits), 2.5)
    }

    fn encode(input: &InputSpec, units: &[f32]) -> Vec<i64> {
        units.iter().map(|&u| input.encode(u.into()).0).collect()
    }

    fn image() -> Vec<f32> {
        (0..SIZE.pixels()).map(|i| (i as f32 * 0.37).sin() * 2.4).collect()
    }

    fn twin_error<R: Ring>(cell_bits: u32, residual: bool) -> f64 {
        let model = random_model(&[12, 10], 3.0, residual);
        let q = quantise(&model, &options(R::RING, cell_bits)).unwrap();
        let units = image();
        let tanh = |v: &mut [f32]| v.iter_mut().for_each(|v| *v = v.tanh());
        let exact = model.denoise(&units, SIZE, &tanh, &mut |_| ()).unwrap();
        let encoded = encode(&q.public.input, &units);
        let run: TwinRun<R> =
            run_twin(&q, &input(&encoded), &mut NearestRounding, &mut |_| ()).unwrap();
        let weights = q.public.network.outputs().weight_sums(SIZE).unwrap();
        let got = decode_sums(&run.sums, &weights, q.public.output_frac(), 0);
        got.iter().zip(&exact).map(|(g, e)| (g - f64::from(*e)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn the_twin_follows_the_float_model() {
        for residual in [false, true] {
            assert!(twin_error::<u32>(3, residual) < 0.02);
            assert!(twin_error::<u64>(4, residual) < 0.01);
        }
    }

    /// Black, white, checkerboard, and the sign pattern of each output row: nothing leaves the
    /// guaranteed range, and the worst case is no empty promise (some image comes near it).
    #[test]
    fn adversarial_images_stay_inside_the_guaranteed_range() {
        for interval in [2.5, 6.25, 12.5] {
            stays_inside(interval);
        }
    }

    fn stays_inside(interval: f64) {
        let options = QuantiseOptions { interval, ..options(RingBits::L32, 2) };
        let q = quantise(&random_model(&[6, 8], 14.0, true), &options).unwrap();
        let limit = q.public.input.limit();
        let Size { height: h, width: w } = SIZE;
        let at = |f: &dyn Fn(usize) -> bool| -> Vec<i64> {
            (0..h * w).map(|i| if f(i) { limit } else { -limit }).collect()
        };
        let mut images = vec![at(&|_| true), at(&|_| false), at(&|i| (i / w + i % w) % 2 == 0)];
        let (_, first) = q.network.linears().next().unwrap();
        for row in first.weights.chunks(first.inputs) {
            images.push(at(&|i| i / w < 5 && i % w < 5 && row[i / w * 5 + i % w] > 0));
        }
        let mut seen = 0.0f64;
        for image in images {
            let mut extremes = Extremes::default();
            run_twin::<u32>(&q, &input(&image), &mut extremes, &mut |_| ()).unwrap();
            assert_eq!(extremes.0.len(), 2);
            let scales = q.public.network.linears().map(|(_, l)| l.out_frac);
            let tables = q.public.network.activations().map(|(_, table, _)| table.range_bits());
            let stretches = q.ranges.iter().zip(tables).map(|(r, bits)| r / f64::from(bits).exp2());
            let layers = extremes.0.values().zip(&q.worst_cases).zip(scales).zip(stretches);
            for (((extreme, worst), frac), stretch) in layers {
                let extreme = *extreme as f64 / f64::from(frac).exp2() * stretch;
                assert!(extreme <= *worst, "{extreme} > {worst}");
                seen = seen.max(extreme / q.worst_cases[0]);
            }
        }
        assert!(seen > 0.5, "the adversarial images reach {seen} of the worst case");
    }
}
