//! The search, and what it finds for a network whose kink is in the middle of every picture.

use super::*;
use crate::model::{FloatLinear, Method, Normalisation, Packing, describe, load_npz, save_npz};
use crate::network::{Fold, Gather, Network, Op, gaussian_window};
use crate::roles::calibrate::calibrate;
use crate::roles::observer::Silent;
use ndarray::{Array1, Array2, arr2};
use proptest::prelude::*;
use std::io::Cursor;

/// The mean of 3x3 pixels, as relu(h) - relu(-h) of what it has beyond mid-grey.
fn mean_filter() -> FloatModel {
    let signs = [1.0, -1.0];
    let means = FloatLinear {
        weights: Array2::from_shape_fn((2, 9), |(output, _)| signs[output] / 9.0),
        bias: Array1::from_iter(signs.map(|sign| -0.5 * sign)),
    };
    let sum = FloatLinear { weights: arr2(&[[1.0, -1.0]]), bias: Array1::from_elem(1, 0.5) };
    let ops = vec![
        Op::read(0, Gather::convolution(3)),
        Op::Linear(means),
        Op::Activation(()),
        Op::read(1, Gather::convolution(1)),
        Op::Linear(sum),
        Op::Fold(Fold { patch: 1, window: gaussian_window(1) }),
    ];
    FloatModel {
        network: Network::new(ops).unwrap(),
        sigma: 25.0,
        units: Normalisation::UNIT,
        nonlinearity: Nonlinearity::Relu,
        extremes: None,
        cells: None,
        piecewise: None,
        mean_shift: false,
    }
}

/// A slope from dark to light, across mid-grey.
fn read(file: &Path) -> Result<GreyImage, RoleError> {
    let wide = file.to_string_lossy().len();
    let pixels = (0..60 * 80).map(|i| 60.0 + (i % 80 * wide % 140) as f32).collect();
    Ok(GreyImage::new(60, 80, pixels)?)
}

fn run(model: &mut FloatModel, budget: f64) -> ChosenCells {
    let images = ["a", "b"].map(PathBuf::from);
    let request = Calibrate {
        images: &images,
        held_out: &[],
        sigmas: &[],
        seed: 4,
        loss_budget: Some(budget),
    };
    calibrate(model, &request, read, &mut Silent).unwrap().cells.unwrap()
}

#[test]
fn the_fewest_cells_within_the_budget_are_chosen() {
    let mut before = None;
    for budget in [3.0, 0.3, 0.03, 0.003] {
        let mut model = mean_filter();
        let found = run(&mut model, budget);
        let chosen = found.chosen.expect("there are cells enough");
        assert_eq!(model.cells, Some(chosen));
        let bits = |cells| if let Cells::Count(bits) = cells { bits } else { panic!("{cells}") };
        let at = found.tried.iter().position(|tried| tried.cells == chosen).unwrap();
        assert!(found.tried[at].loss_db <= budget, "{found:?}");
        assert!(found.tried[..at].iter().all(|fewer| fewer.loss_db > budget), "{found:?}");
        assert!(at > 0 || bits(chosen) == *HI_BITS.start(), "none below was tried: {found:?}");
        assert!(found.tried.iter().all(|t| t.largest_loss_db >= t.loss_db), "{found:?}");
        assert!(before.is_none_or(|before| before <= bits(chosen)), "{found:?}");
        before = Some(bits(chosen));
    }
    assert!(before > Some(*HI_BITS.start()), "a small budget needs more than the fewest");
}

/// The description says what was chosen, and `share-model` takes it unless it is told otherwise.
#[test]
fn what_is_chosen_is_described_and_taken() {
    let mut model = mean_filter();
    let chosen = run(&mut model, 0.3).chosen.unwrap();
    let mut npz = Cursor::new(Vec::new());
    save_npz(&model, Some(&describe(&model)), Packing::Stored, &mut npz).unwrap();
    let again = load_npz(Cursor::new(npz.into_inner()), None).unwrap();
    assert_eq!(again.cells, Some(chosen));
    let method = |choices: Choices| choices.options(&again).unwrap().method;
    assert_eq!(method(Choices::default()), Method::Lut { cells: chosen });
    let other = Some(Cells::Count(9));
    let asked = Choices { cells: other, ..Choices::default() };
    assert_eq!(method(asked), Method::Lut { cells: Cells::Count(9) });
}

#[test]
fn a_budget_that_no_cells_keep_chooses_none_and_says_what_the_most_lose() {
    let mut model = FloatModel { cells: Some(Cells::Count(5)), ..mean_filter() };
    let found = run(&mut model, -100.0);
    assert_eq!((found.chosen, model.cells), (None, None));
    assert_eq!(found.finest().unwrap().cells, Cells::Count(*HI_BITS.end()));
    assert!(model.extremes.is_some());
}

/// Of a network with tanh the width is chosen, as far as its ranges allow.
#[test]
fn tables_of_tanh_have_a_width() {
    let mut model = crate::model::random_model(&[8], 1.0, true);
    let found = run(&mut model, 1.0);
    assert!(matches!(found.chosen, Some(Cells::Width(_))), "{found:?}");
    let found = run(&mut model, -100.0);
    assert!(found.chosen.is_none() && found.problem.is_none(), "{found:?}");
}

#[test]
fn many_images_are_thinned_evenly() {
    let images: Vec<PathBuf> = (0..100).map(|i| PathBuf::from(i.to_string())).collect();
    let some = spread(&images);
    assert_eq!((some.len(), some[0], some[31]), (32, Path::new("0"), Path::new("96")));
    assert_eq!(spread(&images[..3]).len(), 3);
}

proptest! {
    /// A larger budget never takes more cells, whatever the losses; and of losses that fall it takes the fewest.
    #[test]
    fn the_search_is_monotone_in_the_budget(
        mut losses in proptest::collection::vec(0.0..1.0f64, 1..10),
        first: usize, budgets in (0.0..1.0f64, 0.0..1.0f64), falling: bool, possible: usize,
    ) {
        if falling {
            losses.sort_by(|a, b| b.total_cmp(a));
        }
        let first = first % losses.len();
        let possible = first + 1 + possible % (losses.len() - first);
        let search = |budget: f64| {
            let loss = |step: usize| Ok::<_, ()>((step < possible).then(|| losses[step]));
            fewest_within(losses.len(), first, budget, loss).unwrap()
        };
        let (small, large) = (budgets.0.min(budgets.1), budgets.0.max(budgets.1));
        match (search(small), search(large)) {
            (Some(small), Some(large)) => prop_assert!(large <= small),
            (found, other) => prop_assert!(found.is_none(), "{found:?} {other:?}"),
        }
        if falling {
            let fewest = losses[..possible].iter().position(|loss| *loss <= large);
            prop_assert_eq!(search(large), fewest);
        }
    }
}
