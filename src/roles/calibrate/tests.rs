//! Noise levels that a model is looked at with.

use super::*;
use crate::graphs::{May, random_graph};
use crate::roles::observer::Silent;

/// A small random network that is told the noise.
fn told() -> FloatModel {
    let graphs = (0..).map(|seed| random_graph(seed, May { linear: false, plane: true }));
    let mut told = graphs.filter(|model| model.network.reads_plane());
    told.next().expect("there are as many as there are seeds")
}

fn read(_: &Path) -> Result<Raster, CalibrateError> {
    let pixels = (0..20 * 24).map(|i| (i * 37 % 256) as f32).collect();
    Ok(GreyImage::new(20, 24, pixels)?.into())
}

/// A model that is told the noise is looked at with little and with all of it, without being asked to.
#[test]
fn a_model_that_is_told_the_noise_is_looked_at_with_several_levels() {
    let files = [PathBuf::from("image")];
    let run = |sigmas: &[f64]| {
        let mut model = told();
        let request = Calibrate {
            images: &files,
            held_out: &[],
            sigmas,
            seed: 3,
            prune: false,
            activations: None,
            strict: false,
        };
        let found = calibrate(&mut model, &request, read, &mut Silent)?;
        Ok::<_, CalibrateError>((found.sigmas, model.extremes.expect("it was calibrated")))
    };
    let (sigmas, all) = run(&[]).unwrap();
    let most = told().sigma;
    assert_eq!(sigmas, [most / 16.0, most / 4.0, most / 2.0, most]);
    assert_eq!((sigmas.clone(), all.clone()), run(&sigmas).unwrap());
    // Each level alone sees less, and one alone does not see it all.
    let alone = [most / 16.0, most].map(|sigma| run(&[sigma]).unwrap().1);
    let below = |one: &Vec<Vec<f64>>| {
        let pairs = one.iter().flatten().zip(all.iter().flatten());
        pairs.map(|(one, all)| (one <= &(all + 1e-9), one < all)).collect::<Vec<_>>()
    };
    assert!(below(&alone[0]).iter().all(|(at_most, _)| *at_most));
    assert!(alone.iter().all(|one| below(one).iter().any(|(_, less)| *less)));
    let error = run(&[10.0, 2.0 * most]).unwrap_err().to_string();
    assert!(error.contains(&most.to_string()), "{error}");
}

/// One picture that is no photograph, as small as the images: which channels are left out does not depend on such
/// pictures, and those that the program draws take most of the time.
fn checkers() -> [Raster; 1] {
    let pixels = (0..20 * 24).map(|i| if (i / 24 + i % 24) % 2 == 0 { 255.0 } else { 0.0 });
    [GreyImage::new(20, 24, pixels.collect()).unwrap().into()]
}

/// Channels that are 0 on all images are left out, those that only held-out images need are not, and what is known of
/// the others stays.
#[test]
fn channels_that_are_0_on_every_image_are_left_out() {
    let [light, dark] = ["light", "dark"].map(PathBuf::from);
    let read = |file: &Path| {
        let level = if file == Path::new("light") { 200.0 } else { 20.0 };
        Ok::<_, CalibrateError>(GreyImage::new(20, 24, vec![level; 20 * 24])?.into())
    };
    let run = |model: &mut FloatModel, held_out: &[PathBuf], prune| {
        let images = [light.clone()];
        let sigmas = &[1.0];
        let activations = None;
        let request = Calibrate {
            images: &images,
            held_out,
            sigmas,
            seed: 3,
            prune,
            activations,
            strict: false,
        };
        let found = calibrate_beside(&checkers(), model, &request, read, &mut Silent).unwrap();
        (found.channels, found.left_out)
    };
    let mut with_less = 0;
    for seed in 0..40 {
        let model = random_graph(seed, May { linear: false, plane: false });
        let (mut whole, mut one, mut both) = (model.clone(), model.clone(), model.clone());
        assert_eq!(run(&mut whole, &[], false), (model.channels(), 0));
        let found = run(&mut one, &[], true);
        let with_dark = run(&mut both, std::slice::from_ref(&dark), true);
        assert_eq!((found.0, with_dark.0), (model.channels(), model.channels()));
        assert_eq!(found.1, model.channels() - one.channels());
        assert!(with_dark.1 <= found.1);
        with_less += usize::from(with_dark.1 < found.1);
        let shapes: Vec<usize> = one.network.linears().map(|(_, l)| l.bias.len()).collect();
        let extremes = one.extremes.clone().unwrap();
        assert_eq!(extremes.iter().map(Vec::len).collect::<Vec<_>>(), shapes);
        // What is known of the channels that are left is theirs.
        let mut again = FloatModel { extremes: None, ..one.clone() };
        run(&mut again, &[], false);
        let both = again.extremes.iter().flatten().flatten().zip(extremes.iter().flatten());
        for (again, first) in both {
            // Sums of float32 with and without terms that are 0 may round differently.
            assert!((again - first).abs() <= 1e-5 * first.abs(), "seed {seed}: {again}, {first}");
        }
    }
    assert!(with_less > 5, "{with_less}");
}

/// With a limit on activations channels that matter are left out too, and what is known is of the network that is left.
#[test]
fn channels_that_matter_least_are_left_out_for_a_limit() {
    let images = ["a", "b"].map(PathBuf::from);
    let read = |_: &Path| {
        let levels = (0..20 * 24).map(|i| (i * i % 251) as f32).collect();
        Ok::<_, CalibrateError>(GreyImage::new(20, 24, levels)?.into())
    };
    let mut fewer = 0;
    for seed in 0..20 {
        let whole = random_graph(seed, May { linear: false, plane: true });
        let calibrated = |model: &FloatModel, prune: bool, activations: Option<f64>| {
            let request = Calibrate {
                images: &images,
                held_out: &images[1..],
                sigmas: &[],
                seed: 3,
                prune,
                activations,
                strict: false,
            };
            let mut model = model.clone();
            let found =
                calibrate_beside(&checkers(), &mut model, &request, read, &mut Silent).unwrap();
            (model, found)
        };
        let (zero, _) = calibrated(&whole, true, None);
        let most = zero.activations_a_pixel() * 0.7;
        let (model, found) = calibrated(&whole, true, Some(most));
        assert_eq!(found.left_out, whole.channels() - model.channels());
        assert_eq!(found.not_zero, zero.channels() - model.channels());
        assert_eq!(found.activations_a_pixel, model.activations_a_pixel());
        fewer += usize::from(found.not_zero > 0 && found.activations_a_pixel <= most);
        let (again, _) = calibrated(&model, false, None);
        assert_eq!(again.extremes, model.extremes, "seed {seed}");
    }
    assert!(fewer > 10, "{fewer}");
}
