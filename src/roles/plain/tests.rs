use super::*;
use crate::image::{Depth, add_gaussian};
use crate::model::{Method, QuantiseOptions, load_npz, quantise};
use crate::numbers::ring::RingBits;
use crate::roles::Silent;
use std::io::Cursor;

const SIZE: Size = Size::new(40, 48);

fn model(npz: &'static [u8]) -> FloatModel {
    load_npz(Cursor::new(npz), None).unwrap()
}

/// A network that is told the noise, of at most 75 grey levels, and one that is not.
fn networks() -> [FloatModel; 2] {
    [
        model(include_bytes!("../../../fixtures/models/default.npz")),
        model(include_bytes!("../../../fixtures/models/tiny-9-5-24.npz")),
    ]
}

fn flat(level: f32, Size { height, width }: Size) -> GreyImage {
    GreyImage::new(height, width, vec![level; height * width]).unwrap()
}

fn denoised(
    arithmetic: Arithmetic<'_>,
    levels: Levels,
    noise_map: Option<&GreyImage>,
) -> Result<Denoised, PlainError> {
    let noisy = add_gaussian(&flat(120.0, SIZE), 25.0, 1).unwrap();
    let request = Denoise {
        name: Path::new("image"),
        image: &Raster::grey(noisy, Depth::Float),
        average: Average::None,
        arithmetic,
        levels,
        noise_map,
        implausibility: Implausibility::Refused,
        strict: false,
    };
    denoise(&request, &mut Silent)
}

#[test]
fn a_map_of_one_level_is_that_level() {
    let [told, _] = networks();
    let arithmetic = Arithmetic::Float { model: &told, stand_in: None };
    let level = denoised(arithmetic, Noise::Sigma(25.0).into(), None).unwrap();
    // What the levels say does not count.
    let map = denoised(arithmetic, Noise::Sigma(60.0).into(), Some(&flat(25.0, SIZE))).unwrap();
    assert_eq!((level.image, level.sigmas), (map.image, map.sigmas));
}

/// Of a pixel's square every place is told the noise, in every orientation.
#[test]
fn a_map_of_one_level_is_that_level_to_a_network_for_colours() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/colour.npz");
    let model = load_npz(Cursor::new(std::fs::read(file).unwrap()), None).unwrap();
    let size = Size::new(9, 14);
    let plane = |seed: u64| add_gaussian(&flat(60.0 * seed as f32, size), 25.0, seed).unwrap();
    let image = Raster::rgb([1, 2, 3].map(plane), Depth::Float).unwrap();
    let run = |image: &Raster, sigma: f64, noise_map: Option<&GreyImage>| {
        let request = Denoise {
            name: Path::new("image"),
            image,
            average: Average::Eight,
            arithmetic: Arithmetic::Float { model: &model, stand_in: None },
            levels: Noise::Sigma(sigma).into(),
            noise_map,
            implausibility: Implausibility::Refused,
            strict: false,
        };
        denoise(&request, &mut Silent)
    };
    let level = run(&image, 25.0, None).unwrap();
    let map = run(&image, 60.0, Some(&flat(25.0, size))).unwrap();
    assert_eq!((level.image, level.sigmas), (map.image, map.sigmas));
    // A grey picture is refused, and so are three equal planes.
    for planes in [vec![plane(1)], vec![plane(1); 3]] {
        let grey = Raster::of_planes(planes, Depth::Float).unwrap();
        assert!(run(&grey, 25.0, None).unwrap_err().to_string().contains("the image is grey"));
    }
}

#[test]
fn maps_are_refused_that_a_network_cannot_be_told() {
    let [told, fixed] = networks();
    let float = |model| Arithmetic::Float { model, stand_in: None };
    let refused = |arithmetic, map: &GreyImage| {
        let error = denoised(arithmetic, Levels::default(), Some(map)).unwrap_err();
        let PlainError::About { file, error } = error else { panic!("{error}") };
        assert_eq!(file, Path::new("image"));
        *error
    };
    let map = flat(25.0, SIZE);
    let not_told = refused(float(&fixed), &map);
    assert!(matches!(not_told, PlainError::NoNoiseMap(NoNoiseMap::NotTold)), "{not_told}");
    let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
    let integers = quantise(&fixed, &options).unwrap();
    let (clamping, rounding) = (Clamping::Few, Rounding::Nearest);
    let on_shares = refused(Arithmetic::Integer { model: &integers, clamping, rounding }, &map);
    assert!(matches!(on_shares, PlainError::NoNoiseMap(NoNoiseMap::OnShares)), "{on_shares}");
    let size = refused(float(&told), &flat(25.0, Size::new(SIZE.width, SIZE.height)));
    assert!(
        matches!(size, PlainError::MapSize { found: Size { height: 48, width: 40 }, .. }),
        "{size}"
    );
    for level in [76.0, -1.0] {
        let error = refused(float(&told), &flat(level, SIZE));
        let expected = match level {
            76.0 => matches!(error, PlainError::Image(ImageError::TooNoisy { .. })),
            _ => matches!(error, PlainError::Image(ImageError::Sigma { .. })),
        };
        assert!(expected, "{error}");
    }
}

#[test]
fn an_average_is_the_mean_of_orientations_and_the_map_turns_with_the_picture() {
    let [told, _] = networks();
    let ramp = (0..SIZE.pixels()).map(|i| 5.0 + (i % SIZE.width) as f32);
    let map = GreyImage::new(SIZE.height, SIZE.width, ramp.collect()).unwrap();
    let noisy = add_gaussian(&flat(120.0, SIZE), 25.0, 1).unwrap();
    let run = |image: &GreyImage, map: &GreyImage, average| {
        let request = Denoise {
            name: Path::new("image"),
            image: &Raster::grey(image.clone(), Depth::Float),
            average,
            arithmetic: Arithmetic::Float { model: &told, stand_in: None },
            levels: Levels::default(),
            noise_map: Some(map),
            implausibility: Implausibility::Refused,
            strict: false,
        };
        denoise(&request, &mut Silent).unwrap().image.into_grey().unwrap()
    };
    for average in [Average::Two, Average::Eight] {
        let each = average.orientations().iter().map(|orientation| {
            let [image, map] = [&noisy, &map].map(|image| orientation.turn(image));
            orientation.turn_back(&run(&image, &map, Average::None))
        });
        let each: Vec<GreyImage> = each.collect();
        let mean = mean_image(each[0].clone(), &each[1..]).unwrap();
        assert_eq!(run(&noisy, &map, average), mean);
        assert_ne!(mean, each[0]);
    }
}
