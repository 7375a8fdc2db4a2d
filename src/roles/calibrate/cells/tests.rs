//! The search, and what it finds for a network whose kink is in the middle of every picture.

use super::*;
use crate::model::{
    Activation, FloatLinear, Method, Normalisation, Packing, describe, load_npz, save_npz,
};
use crate::network::{Fold, Gather, Network, Op, Read, gaussian_window};
use crate::numbers::slope_table::HI_BITS;
use crate::roles::calibrate::calibrate;
use crate::roles::observer::Silent;
use ndarray::{Array1, Array2, arr1, arr2};
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
        activation: Activation::Relu,
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
        prune: false,
        activations: None,
        strict: false,
    };
    calibrate(model, &request, read, &mut Silent).unwrap().cells.unwrap()
}

#[test]
fn the_fewest_cells_within_the_budget_are_chosen() {
    let mut before = None;
    for budget in [3.0, 0.3, 0.03, 0.003] {
        let mut model = mean_filter();
        let found = run(&mut model, budget);
        let chosen = found.chosen.clone().expect("there are cells enough");
        assert_eq!(model.cells.as_ref(), Some(&chosen));
        let bits = |cells: &TableCells| match cells.of(0) {
            Cells::Count(bits) => bits,
            Cells::Width(_) => panic!("{cells}"),
        };
        let at = found.tried.iter().position(|tried| tried.cells == chosen).unwrap();
        assert!(found.tried[at].worst_level_db <= budget, "{found:?}");
        assert!(found.tried[..at].iter().all(|fewer| fewer.worst_level_db > budget), "{found:?}");
        assert!(at > 0 || bits(&chosen) == *HI_BITS.start(), "none below was tried: {found:?}");
        assert!(found.tried.iter().all(|t| t.largest_loss_db >= t.loss_db), "{found:?}");
        assert!(before.is_none_or(|before| before <= bits(&chosen)), "{found:?}");
        before = Some(bits(&chosen));
    }
    assert!(before > Some(*HI_BITS.start()), "a small budget needs more than the fewest");
}

/// Two images at three levels of noise, image by image: the level that loses most is what counts, however much the
/// others gain.
#[test]
fn a_gain_at_one_level_does_not_pay_for_a_loss_at_another() {
    let losses = [0.25, -1.0, 0.0, 0.75, -3.0, 0.25];
    let tried = TriedCells::of(Cells::Count(8).into(), &losses, 3);
    assert_eq!(tried.loss_db_by_sigma, [0.5, -2.0, 0.125]);
    assert_eq!((tried.worst_level_db, tried.largest_loss_db), (0.5, 0.75));
    assert!(tried.loss_db < 0.0, "{tried:?}");
}

/// The description says what was chosen, and `share-model` takes it unless it is told otherwise.
#[test]
fn what_is_chosen_is_described_and_taken() {
    let mut model = mean_filter();
    let chosen = run(&mut model, 0.3).chosen.unwrap();
    let mut npz = Cursor::new(Vec::new());
    save_npz(&model, Some(&describe(&model)), Packing::Stored, &mut npz).unwrap();
    let again = load_npz(Cursor::new(npz.into_inner()), None).unwrap();
    assert_eq!(again.cells.as_ref(), Some(&chosen));
    let method = |choices: Choices| choices.options(&again).unwrap().method;
    assert_eq!(method(Choices::default().one_cloud()), Method::Lut { cells: chosen });
    assert_eq!(method(Choices::default()), Method::Relu { alarm: true });
    let other = Some(Cells::Count(9));
    let asked = Choices { cells: other, ..Choices::default() };
    assert_eq!(method(asked), Method::tables(Cells::Count(9)));
}

#[test]
fn a_budget_that_no_cells_keep_chooses_none_and_says_what_the_most_lose() {
    let mut model = FloatModel { cells: Some(Cells::Count(5).into()), ..mean_filter() };
    let found = run(&mut model, -100.0);
    assert_eq!((&found.chosen, &model.cells), (&None, &None));
    assert_eq!(found.finest().unwrap().cells, Cells::Count(*HI_BITS.end()).into());
    assert!(model.extremes.is_some());
}

/// Of a network with tanh the width is chosen, as far as its ranges allow.
#[test]
fn tables_of_tanh_have_a_width() {
    let mut model = crate::model::random_model(&[8], 1.0, true);
    let found = run(&mut model, 1.0);
    assert!(matches!(found.chosen, Some(TableCells::Alike(Cells::Width(_)))), "{found:?}");
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

/// A network whose second table sees what hardly moves the picture: that one needs fewer cells.
#[test]
fn tables_that_matter_less_have_fewer_cells() {
    let mut model = mean_filter();
    let small = FloatLinear { weights: arr2(&[[0.1, 0.0]]), bias: arr1(&[0.0]) };
    let sum = FloatLinear { weights: arr2(&[[1.0, -1.0, 0.05]]), bias: arr1(&[0.5]) };
    let mut ops = model.network.ops().to_vec();
    let fold = ops.pop().unwrap();
    *ops.last_mut().unwrap() = Op::Linear(small);
    let pixels = Gather::convolution(1);
    let both = Op::Gather([1, 2].map(|map| Read::map(map, pixels)).to_vec());
    ops.extend([Op::Activation(()), both, Op::Linear(sum), fold]);
    model.network = Network::new(ops).unwrap();
    let mut differ = false;
    for budget in (0..24).map(|step| 0.4 * 0.8f64.powi(step)) {
        let mut model = model.clone();
        let chosen = run(&mut model, budget).chosen.unwrap();
        if let TableCells::Each(list) = &chosen {
            let bits = |cells: &Cells| if let Cells::Count(bits) = cells { *bits } else { 0 };
            assert!(list.len() == 2 && bits(&list[0]) > bits(&list[1]), "{budget}: {chosen}");
            differ = true;
        }
        assert_eq!(model.cells, Some(chosen));
    }
    assert!(differ);
}
