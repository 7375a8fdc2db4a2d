//! Noise levels that a model is looked at with.

use super::ranges::Extremes;
use super::*;
use crate::graphs::{May, random_graph};
use crate::roles::observer::Silent;

/// A small random network that is told the noise.
fn told() -> FloatModel {
    let graphs = (0..).map(|seed| random_graph(seed, May { linear: false, plane: true }));
    let mut told = graphs.filter(|model| model.network.reads_plane());
    told.next().expect("there are as many as there are seeds")
}

fn read(_: &Path) -> Result<GreyImage, RoleError> {
    let pixels = (0..20 * 24).map(|i| (i * 37 % 256) as f32).collect();
    Ok(GreyImage::new(20, 24, pixels)?)
}

/// A model that is told the noise is looked at with little and with all of it, without being asked to.
#[test]
fn a_model_that_is_told_the_noise_is_looked_at_with_several_levels() {
    let files = [PathBuf::from("image")];
    let run = |sigmas: &[f64]| {
        let mut model = told();
        let request =
            Calibrate { images: &files, held_out: &[], sigmas, seed: 3, loss_budget: None };
        let found = calibrate(&mut model, &request, read, &mut Silent)?;
        Ok::<_, RoleError>((found.sigmas, model.extremes.expect("it was calibrated")))
    };
    let (sigmas, all) = run(&[]).unwrap();
    let most = told().sigma;
    assert_eq!(sigmas, [most / 16.0, most / 4.0, most / 2.0, most]);
    assert_eq!((sigmas.clone(), all.clone()), run(&sigmas).unwrap());
    // Each level alone sees less, and one alone does not see it all.
    let alone = [most / 16.0, most].map(|sigma| run(&[sigma]).unwrap().1);
    let below = |one: &Extremes| {
        let pairs = one.iter().flatten().zip(all.iter().flatten());
        pairs.map(|(one, all)| (one <= &(all + 1e-9), one < all)).collect::<Vec<_>>()
    };
    assert!(below(&alone[0]).iter().all(|(at_most, _)| *at_most));
    assert!(alone.iter().all(|one| below(one).iter().any(|(_, less)| *less)));
    let error = run(&[10.0, 2.0 * most]).unwrap_err().to_string();
    assert!(error.contains(&most.to_string()), "{error}");
}
