//! Small and odd pictures: what is shared comes back, what cannot come back is not shared, and sides that do not
//! suit a network's blocks and scales are continued.

use crate::graphs::{May, random_graph};
use crate::images::{Lab, memory};
use ppdenoise::api::{
    Choices, Continued, Deal, Dealer, DealerError, Depth, FloatModel, GatewayError, GreyImage,
    MaterialDemand, NetworkError, NoiseSeed, Raster, Silent, Size, add_gaussian,
    images::{Noise, read_picture},
    load_npz, no_passphrase as none,
};
use proptest::prelude::*;
use std::fs;

/// The models that come with the program.
const SHIPPED: [&str; 7] = [
    "default",
    "fine",
    "dncnn-s25",
    "mlp-s25",
    "mlp-21-9-3x512-s25",
    "mlp-29-13-3x640-s25-r32",
    "tiny-9-5-24",
];

fn shipped(name: &str) -> FloatModel {
    let file = |suffix| format!("{}/fixtures/models/{name}.{suffix}", env!("CARGO_MANIFEST_DIR"));
    let beside = fs::read(file("json")).ok();
    load_npz(fs::File::open(file("npz")).unwrap(), beside.as_deref()).unwrap()
}

/// A slope with noise, from 60 to 200 grey levels.
fn picture(Size { height, width }: Size, seed: u64) -> GreyImage {
    let level =
        |i: usize| 60.0 + 140.0 * ((i / width + i % width) as f32 / (height + width) as f32);
    let clean = GreyImage::new(height, width, (0..height * width).map(level).collect()).unwrap();
    add_gaussian(&clean, 10.0, NoiseSeed { seed, plane: 0 }).unwrap()
}

fn plain(model: &FloatModel, image: &GreyImage, sigma: f64) -> GreyImage {
    let activation = |v: &mut [f32]| model.activation.apply(v);
    model.denoise_grey(image, &model.levels(sigma), &activation, &mut |_| ()).unwrap().image
}

fn is_too_small_to_share(error: &GatewayError) -> bool {
    match error {
        GatewayError::About { error, .. } => is_too_small_to_share(error),
        GatewayError::Network(NetworkError::ImageTooSmall { .. }) => true,
        _ => false,
    }
}

/// All sizes from 1x1 to a pixel more than a patch, through gateway, dealer, both servers and receiver.
fn every_size_comes_back_or_is_refused_first(name: &str) {
    let model = shipped(name);
    let lab = Lab::of(&model, &Choices::default().options(&model).unwrap());
    let (side, sigma) = (model.network.gather().patch + 1, 20.0);
    let sizes = (1..=side).flat_map(|h| (1..=side).map(move |w| Size::new(h, w)));
    let (mut taken, mut pictures) = (Vec::new(), Vec::new());
    for (number, size) in sizes.enumerate() {
        let image = picture(size, number as u64);
        let named = memory(
            &format!("{}x{}.npy", size.height, size.width),
            Raster::grey(image.clone(), Depth::Float),
        );
        if model.network.grid(size).is_ok() {
            taken.push(image);
            pictures.push(named);
            continue;
        }
        // Whoever could spend something on it says so.
        let request = lab.request(vec![named]);
        let refused = lab.gateway().share(&request, &mut Silent).unwrap_err();
        assert!(is_too_small_to_share(&refused), "{size:?}: {refused}");
        let dealer = Dealer::open(&lab.at("keys"), &none).unwrap();
        let deal = Deal::new(lab.at("model.pub"), MaterialDemand::slots(size, 1));
        let refused = dealer.deal(&deal, lab.at("none"), &mut Silent).unwrap_err();
        let too_small = matches!(refused, DealerError::Network(NetworkError::ImageTooSmall { .. }));
        assert!(too_small, "{size:?}: {refused}");
    }
    assert_eq!(fs::read_dir(lab.at("shares")).unwrap().count(), 0);
    assert!(taken.iter().any(|image| image.height() == side), "{name}");
    let mut request = lab.request(pictures);
    request.levels = Noise::Sigma(sigma).into();
    lab.denoise(&request);
    let made = lab.reconstruct(&lab.results());
    assert_eq!(made.images.len(), taken.len(), "{name}");
    for image in taken {
        let size = image.size();
        let of_size =
            made.images.iter().find(|made| Size::new(made.height, made.width) == size).unwrap();
        let got = read_picture(&of_size.file, None).unwrap().0.into_grey().unwrap();
        assert_eq!(got.size(), size, "{name}");
        for (a, b) in got.pixels().iter().zip(plain(&model, &image, sigma).pixels()) {
            assert!((a - b).abs() < 4.0, "{name}, {size:?}: {a} for {b}");
        }
    }
}

#[test]
fn every_size_comes_back_from_default() {
    every_size_comes_back_or_is_refused_first("default");
}

#[test]
fn every_size_comes_back_from_fine() {
    every_size_comes_back_or_is_refused_first("fine");
}

#[test]
fn every_size_comes_back_from_dncnn() {
    every_size_comes_back_or_is_refused_first("dncnn-s25");
}

#[test]
fn every_size_comes_back_from_networks_on_patches() {
    for name in &SHIPPED[3..] {
        every_size_comes_back_or_is_refused_first(name);
    }
}

/// Blocks and the scales of maps say what sides are continued to; dense layers on patches and convolutions of
/// stride 1 take images as they are.
#[test]
fn sides_are_continued_where_blocks_and_scales_ask_for_it() {
    let multiples = SHIPPED.map(|name| shipped(name).network.multiple());
    assert_eq!(multiples, [4, 2, 1, 1, 1, 1, 1]);
    for (name, multiple) in SHIPPED.iter().zip(multiples) {
        let network = shipped(name).network;
        for size in [Size::new(96, 64), Size::new(40, 104)] {
            assert!(!network.padding(size).is_needed(), "{name}");
        }
        assert_eq!(network.padding(Size::new(97, 40)).is_needed(), multiple > 1, "{name}");
        assert_eq!(network.reach().alignment, multiple.max(network.gather().stride), "{name}");
    }
}

/// The places of a side of `length` that stand at 0, 1, 2 and so on: forth and back if it goes on by its mirror image,
/// or forth and the last again.
fn places(length: usize, by: Continued) -> Vec<usize> {
    let forth = 0..length;
    match by {
        Continued::Mirror => forth.chain((1..length.max(2) - 1).rev()).cycle().take(64).collect(),
        Continued::Edge => forth.chain(std::iter::repeat(length - 1)).take(64).collect(),
        Continued::Mosaic => {
            let last = [length.saturating_sub(2), length - 1];
            forth.chain(last.repeat(64)).take(64).collect()
        }
    }
}

/// The continued image as an image of its own.
fn continued(image: &GreyImage, padded: Size, by: Continued) -> GreyImage {
    let of = |length: usize, padded: usize| places(length, by).into_iter().take(padded);
    let columns = of(image.width(), padded.width);
    let line = |y: usize| columns.clone().map(move |x| image.pixels()[y * image.width() + x]);
    let pixels = of(image.height(), padded.height).flat_map(line).collect();
    GreyImage::new(padded.height, padded.width, pixels).unwrap()
}

/// To the bit what the network makes of the continued image, less what was added.
fn is_that_of_the_continued_image(model: &FloatModel, image: &GreyImage) {
    let size = image.size();
    let padded = model.network.padding(size).padded();
    let image_of_its_own = continued(image, padded, model.network.continued());
    let (ours, whole) = (plain(model, image, 10.0), plain(model, &image_of_its_own, 10.0));
    let lines = whole.pixels().chunks(padded.width).map(|line| &line[..size.width]);
    assert_eq!(ours.pixels(), lines.take(size.height).collect::<Vec<_>>().concat());
}

#[test]
fn shipped_models_see_the_continued_picture() {
    for name in ["default", "fine"] {
        let model = shipped(name);
        for size in [Size::new(19, 24), Size::new(24, 17), Size::new(9, 15)] {
            is_that_of_the_continued_image(&model, &picture(size, 3));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn graphs_see_the_continued_picture(seed: u64, height in 1usize..24, width in 1usize..24) {
        let model = random_graph(seed, May { linear: true, plane: true });
        is_that_of_the_continued_image(&model, &picture(Size::new(height, width), seed));
    }
}
