//! An image that is cut into tiles, denoised tile by tile and joined is the denoised whole.

use crate::graphs::{May, random_graph};
use ndarray::{Array1, Array2};
use ppdenoise::internals::model::Activation;
use ppdenoise::internals::model::{FloatLinear, FloatModel, Normalisation};
use ppdenoise_base::network::{Border, Fold, Gather, Network, Op, Reach, gaussian_window};
use ppdenoise_base::size::Position;
use ppdenoise_base::size::Size;
use ppdenoise_image::{
    Cut, Cutter, Depth, GreyImage, ImageFormat, Joiner, Raster, Rect, RowReader,
};
use proptest::prelude::*;

/// Numbers between -1 and 1 that have nothing to do with one another.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 40) as f32 / (1 << 23) as f32) - 1.0
    }
}

fn linear(inputs: usize, outputs: usize, numbers: &mut Numbers) -> FloatLinear {
    let weights = Array2::from_shape_fn((outputs, inputs), |_| numbers.next() / inputs as f32);
    let bias = Array1::from_shape_fn(outputs, |_| numbers.next());
    FloatLinear { weights, bias }
}

fn model(ops: Vec<Op<FloatLinear, ()>>) -> FloatModel {
    FloatModel {
        network: Network::new(ops).unwrap(),
        sigma: 25.0,
        units: Normalisation::BURGER,
        activation: Activation::Tanh,
        extremes: None,
        piecewise: None,
        mean_shift: false,
    }
}

fn fold(inner: usize) -> Op<FloatLinear, ()> {
    Op::Fold(Fold { patch: inner, window: gaussian_window(inner) })
}

/// A network on patches: `pad` pixels around `inner`, every `stride` pixels.
fn patches(pad: usize, inner: usize, stride: usize, residual: bool, mean: bool) -> FloatModel {
    let numbers = &mut Numbers(1);
    let patch = inner + 2 * pad;
    let gather = Gather { patch, stride, pad, border: Border::Reflect };
    let layer = |inputs, outputs| linear(inputs, outputs, numbers);
    let model = FloatModel::on_patches(gather, &[6], residual, layer).unwrap();
    if mean { model.with_mean_shift().unwrap() } else { model }
}

/// A network of convolutions with these kernels.
fn convolutions(kernels: &[usize], residual: bool) -> FloatModel {
    convolutions_behind(Gather::convolution(kernels[0]), &kernels[1..], residual)
}

/// A network of convolutions, the first of which reads the image like this.
fn convolutions_behind(first: Gather, kernels: &[usize], residual: bool) -> FloatModel {
    let numbers = &mut Numbers(2);
    let later = kernels.iter().map(|&kernel| Gather::convolution(kernel));
    let (mut ops, mut channels) = (Vec::new(), 1);
    for (layer, gather) in std::iter::once(first).chain(later).enumerate() {
        let last = layer == kernels.len();
        let outputs = if last { first.inner().pow(2) } else { 3 };
        ops.push(Op::read(layer, gather));
        let inputs = gather.patch * gather.patch * channels;
        ops.push(Op::Linear(linear(inputs, outputs, numbers)));
        if !last {
            ops.push(Op::Activation(()));
        }
        channels = outputs;
    }
    if residual {
        ops.push(Op::Residual);
    }
    ops.push(fold(first.inner()));
    model(ops)
}

fn denoise(model: &FloatModel, image: &GreyImage) -> GreyImage {
    let size = image.size();
    let activation = |values: &mut [f32]| model.activation.apply(values);
    let out = model.denoise(image.pixels(), size, &activation, &mut |_| ()).unwrap();
    GreyImage::new(size.height, size.width, out).unwrap()
}

fn image(Size { height, width }: Size, seed: u64) -> GreyImage {
    let mut numbers = Numbers(seed);
    let pixels = (0..height * width).map(|_| numbers.next());
    GreyImage::new(height, width, pixels.collect()).unwrap()
}

/// The image cut for this reach, denoised tile by tile and joined.
fn in_tiles(model: &FloatModel, image: &GreyImage, side: usize, reach: Reach) -> Option<GreyImage> {
    let size = image.size();
    let cut = Cut::new(size, side, reach).unwrap()?;
    let rows = RowReader::whole(Raster::grey(image.clone(), Depth::Float));
    let mut cutter = Cutter::new(rows, cut).unwrap();
    let (format, tiling) = (ImageFormat::Npy, *cut.tiling());
    let mut joiner = Joiner::new(format, tiling, 1, Depth::Float, Vec::new()).unwrap();
    while let Some(row) = cutter.advance().unwrap() {
        for column in 0..cut.tiling().counts().width {
            let tile = denoise(model, &cutter.tile(column, 0).unwrap());
            joiner.put(column, 0, &tile, cut.inset(Position::new(row, column))).unwrap();
        }
        joiner.end_row().unwrap();
    }
    let joined = format.decode(&joiner.finish().unwrap()).unwrap();
    Some(joined.into_grey().unwrap())
}

fn furthest(a: &GreyImage, b: &GreyImage) -> f32 {
    assert_eq!((a.height(), a.width()), (b.height(), b.width()));
    a.pixels().iter().zip(b.pixels()).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

/// Room for another order of additions, far below what another patch would change.
const ROUNDING: f32 = 1e-5;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn tiles_of_patches_join_to_the_whole(
        pad in 0usize..4, inner in 1usize..6, stride in 1usize..6, residual: bool, mean: bool,
        height in 1usize..50, width in 1usize..50, side in 1usize..25, seed: u64,
    ) {
        let model = patches(pad, inner, stride.min(inner), residual, mean && !residual);
        let patch = inner + 2 * pad;
        let image = image(Size::new(height.max(patch), width.max(patch)), seed);
        let reach = model.network.reach();
        prop_assert_eq!(reach.alignment, stride.min(inner));
        if let Some(joined) = in_tiles(&model, &image, side, reach) {
            let off = furthest(&joined, &denoise(&model, &image));
            prop_assert!(off <= ROUNDING, "{off}");
        }
    }

    #[test]
    fn tiles_of_convolutions_join_to_the_whole(
        kernels in proptest::collection::vec(0usize..3, 2..5), residual: bool,
        height in 5usize..40, width in 5usize..40, side in 1usize..20, seed: u64,
    ) {
        let kernels: Vec<usize> = kernels.into_iter().map(|half| 2 * half + 1).collect();
        let model = convolutions(&kernels, residual);
        let image = image(Size::new(height, width), seed);
        if let Some(joined) = in_tiles(&model, &image, side, model.network.reach()) {
            let off = furthest(&joined, &denoise(&model, &image));
            prop_assert!(off <= ROUNDING, "{off}");
        }
    }

    #[test]
    fn tiles_of_convolutions_with_a_stride_join_to_the_whole(
        pad in 0usize..4, inner in 1usize..5, stride in 1usize..5,
        kernels in proptest::collection::vec(0usize..3, 1..4), residual: bool,
        height in 1usize..50, width in 1usize..50, side in 1usize..25, seed: u64,
    ) {
        let (patch, stride) = (inner + 2 * pad, stride.min(inner));
        let gather = Gather { patch, stride, pad, border: Border::Reflect };
        let kernels: Vec<usize> = kernels.into_iter().map(|half| 2 * half + 1).collect();
        let model = convolutions_behind(gather, &kernels, residual);
        let image = image(Size::new(height.max(patch), width.max(patch)), seed);
        if let Some(joined) = in_tiles(&model, &image, side, model.network.reach()) {
            let off = furthest(&joined, &denoise(&model, &image));
            prop_assert!(off <= ROUNDING, "{off}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    /// U-shapes, skips and shuffles, on images of any size.
    #[test]
    fn tiles_of_graphs_join_to_the_whole(
        seed: u64, height in 2usize..70, width in 2usize..70, side in 1usize..30,
    ) {
        let model = random_graph(seed, May { linear: true, plane: true });
        let image = image(Size::new(height, width), seed);
        let reach = model.network.reach();
        if let Some(joined) = in_tiles(&model, &image, side, reach) {
            let whole = denoise(&model, &image);
            let most = whole.pixels().iter().fold(1f32, |most, v| most.max(v.abs()));
            let off = furthest(&joined, &whole);
            prop_assert!(off <= ROUNDING * most, "{off} of {most}, {reach:?}");
        }
    }
}

/// Convolutions of kernels 3 and 5 behind one of 3 steps of a stride.
fn strided(stride: usize) -> FloatModel {
    let gather = Gather { patch: 3 * stride, stride, pad: stride, border: Border::Reflect };
    convolutions_behind(gather, &[3, 5], true)
}

/// How many pixels a cut is felt: the first `rows` rows of an image against the whole.
fn felt(model: &FloatModel, rows: usize) -> usize {
    let image = image(Size::new(47, 12), 7);
    let whole = denoise(model, &image);
    let rect = Rect { top: 0, left: 0, height: rows, width: 12 };
    let (part, same) = (denoise(model, &image.crop(rect).unwrap()), whole.crop(rect).unwrap());
    let mut pairs = part.pixels().chunks(12).zip(same.pixels().chunks(12));
    let differs = |(a, b): (&[f32], &[f32])| a.iter().zip(b).any(|(x, y)| (x - y).abs() > ROUNDING);
    rows - pairs.position(differs).unwrap_or(rows)
}

/// The margin is what a cut is felt at most, and no wider.
#[test]
fn the_margin_is_needed() {
    for model in [
        patches(2, 5, 1, false, false),
        patches(2, 5, 3, false, false),
        patches(0, 5, 3, false, false),
        patches(3, 4, 4, true, false),
        patches(1, 3, 2, false, true),
        convolutions(&[3, 5, 3], false),
        convolutions(&[5, 1], true),
        strided(2),
        strided(3),
    ] {
        let margin = (20..40).map(|rows| felt(&model, rows)).max().unwrap();
        assert_eq!(margin, model.network.reach().margin, "{:?}", model.network.gather());
    }
    let reach = |model: FloatModel| model.network.reach();
    assert_eq!(reach(patches(11, 17, 3, false, false)), Reach { margin: 27, alignment: 3 });
    assert_eq!(reach(convolutions(&[3; 5], true)), Reach { margin: 5, alignment: 1 });
    assert_eq!(reach(strided(2)), Reach { margin: 1 + 2 + 3 * 2, alignment: 2 });
}

/// Tiles that begin between two patches of the whole image have other patches.
#[test]
fn the_alignment_is_needed() {
    for model in [patches(2, 5, 3, false, false), patches(3, 4, 4, true, false), strided(2)] {
        let (image, reach) = (image(Size::new(43, 41), 7), model.network.reach());
        let other = Reach { alignment: reach.alignment + 1, ..reach };
        let whole = denoise(&model, &image);
        assert!(furthest(&in_tiles(&model, &image, 8, reach).unwrap(), &whole) <= ROUNDING);
        assert!(furthest(&in_tiles(&model, &image, 8, other).unwrap(), &whole) > 100.0 * ROUNDING);
    }
}
