//! The same network for grey levels in other units.

use crate::model::{FloatLinear, Normalisation};

/// Changes first and last layer so that a network for levels in units `from` takes and gives them in
/// units `to`; what lies beyond the border of the image is the same grey level before and after.
pub(super) fn in_units(
    layers: &mut [FloatLinear],
    residual: bool,
    from: Normalisation,
    to: Normalisation,
) {
    if from == to {
        return;
    }
    // Units `from` are scale x units `to` + shift.
    let scale = (to.grey_per_unit / from.grey_per_unit) as f32;
    let shift = level(from, to);
    if let Some(first) = layers.first_mut() {
        for (row, bias) in first.weights.rows().into_iter().zip(&mut first.bias) {
            *bias += shift * row.sum();
        }
        first.weights *= scale;
    }
    if let Some(last) = layers.last_mut() {
        last.weights /= scale;
        // A residual output is a difference of levels.
        last.bias.iter_mut().for_each(|b| *b = (*b - if residual { 0.0 } else { shift }) / scale);
    }
}

/// The value in units `from` of what is 0 in units `to`.
pub(super) fn level(from: Normalisation, to: Normalisation) -> f32 {
    ((to.mid_grey - from.mid_grey) / from.grey_per_unit) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random_model;

    /// Two models, one for each unit, are the same function of grey levels.
    #[test]
    fn only_the_units_change() {
        let tanh = |v: &mut [f32]| v.iter_mut().for_each(|v| *v = v.tanh());
        let grey: Vec<f32> = (0..9 * 8).map(|i| (i * 53 % 256) as f32).collect();
        for residual in [false, true] {
            let model = random_model(&[4], 1.0, residual);
            let mut layers: Vec<_> = model.network.linears().map(|(_, l)| l.clone()).collect();
            in_units(&mut layers, residual, model.units, Normalisation::UNIT);
            let mut changed = layers.clone().into_iter();
            let mut other = model.clone();
            other.units = Normalisation::UNIT;
            other.network = model.network.map(|_, _| changed.next().unwrap(), |_, ()| ());
            let [a, b] = [&model, &other].map(|model| {
                let units = grey.iter().map(|&g| model.units.to_units(g.into(), 1.0) as f32);
                let units: Vec<f32> = units.collect();
                let out = model.denoise(&units, (9, 8), &tanh, &mut |_| ()).unwrap();
                out.into_iter().map(move |u| model.units.to_grey(u.into(), 1.0))
            });
            assert_ne!(model.network, other.network);
            a.zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-3, "{a} {b}"));
            in_units(&mut layers, residual, Normalisation::UNIT, model.units);
            for (found, (_, before)) in layers.iter().zip(model.network.linears()) {
                let far = |a: &f32, b: &f32| (a - b).abs() > 1e-5;
                assert!(!found.weights.iter().zip(&before.weights).any(|(a, b)| far(a, b)));
                assert!(!found.bias.iter().zip(&before.bias).any(|(a, b)| far(a, b)));
            }
        }
        assert_eq!(level(Normalisation::BURGER, Normalisation::UNIT), -2.5);
    }
}
