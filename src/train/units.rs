//! The same network for grey levels in other units.

use super::BATCH_UNITS;
use crate::model::{FloatLinear, Normalisation};
use crate::network::{LinearShape, Network, Op, Source};
use ndarray::s;
use std::ops::Range;

/// Columns of a layer's weights that meet grey levels, or noise levels.
struct Reading {
    layer: usize,
    columns: Range<usize>,
    is_plane: bool,
}

/// Where a network reads the image and the plane of noise levels.
fn readings<L: LinearShape, A>(network: &Network<L, A>) -> Vec<Reading> {
    let ops: Vec<usize> = network.linears().map(|(op, _)| op).collect();
    let mut readings = Vec::new();
    for stage in network.stages() {
        let layer = ops.partition_point(|op| *op < stage.first_linear());
        let mut first = 0;
        for (read, channels) in stage.reads.iter().zip(&stage.channels) {
            let columns = first..first + read.gather.patch.pow(2) * channels;
            first = columns.end;
            let is_plane = read.from == Source::Plane;
            if is_plane || read.from == Source::Map(0) {
                readings.push(Reading { layer, columns, is_plane });
            }
        }
    }
    readings
}

/// Whether weights alone can take a network to other units: not if the image is added to what layers
/// say, or what they say to the output.
pub(super) fn converts<L: LinearShape, A>(network: &Network<L, A>) -> bool {
    let last = network.stages().last().map_or(0, |stage| stage.ops.start);
    let mut ops = network.ops().iter().enumerate();
    !ops.any(|(i, op)| matches!(op, Op::Add(maps) if i > last || maps.contains(&0)))
}

/// Changes the layers that read grey levels, and the last, so that a network for levels in units `from`
/// takes and gives them in units `to`; what lies beyond the border of the image is the same grey level
/// before and after.
pub(super) fn in_units<L: LinearShape, A>(
    network: &Network<L, A>,
    layers: &mut [FloatLinear],
    from: Normalisation,
    to: Normalisation,
) {
    if from == to {
        return;
    }
    // Units `from` are scale x units `to` + shift.
    let scale = (to.grey_per_unit / from.grey_per_unit) as f32;
    let shift = level(from, to);
    for Reading { layer, columns, is_plane } in readings(network) {
        let FloatLinear { weights, bias } = &mut layers[layer];
        let mut weights = weights.slice_mut(s![.., columns]);
        if !is_plane {
            bias.iter_mut().zip(weights.rows()).for_each(|(b, row)| *b += shift * row.sum());
        }
        weights *= scale;
    }
    if let Some(last) = layers.last_mut() {
        last.weights /= scale;
        // A residual output is a difference of levels.
        let shift = if network.is_residual() { 0.0 } else { shift };
        last.bias.iter_mut().for_each(|b| *b = (*b - shift) / scale);
    }
}

/// A noise level in the units of batches.
pub(super) fn of_noise(sigma: f64) -> f64 {
    sigma / BATCH_UNITS.grey_per_unit
}

/// The value in units `from` of what is 0 in units `to`.
pub(super) fn level(from: Normalisation, to: Normalisation) -> f32 {
    ((to.mid_grey - from.mid_grey) / from.grey_per_unit) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random_model;
    use crate::size::Size;

    /// Two models, one for each unit, are the same function of grey levels.
    #[test]
    fn only_the_units_change() {
        let tanh = |v: &mut [f32]| v.iter_mut().for_each(|v| *v = v.tanh());
        let grey: Vec<f32> = (0..9 * 8).map(|i| (i * 53 % 256) as f32).collect();
        for residual in [false, true] {
            let model = random_model(&[4], 1.0, residual);
            let mut layers: Vec<_> = model.network.linears().map(|(_, l)| l.clone()).collect();
            in_units(&model.network, &mut layers, model.units, Normalisation::UNIT);
            let mut changed = layers.clone().into_iter();
            let mut other = model.clone();
            other.units = Normalisation::UNIT;
            other.network = model.network.map(|_, _| changed.next().unwrap(), |_, ()| ());
            let [a, b] = [&model, &other].map(|model| {
                let units = grey.iter().map(|&g| model.units.to_units(g.into(), 1.0) as f32);
                let units: Vec<f32> = units.collect();
                let out = model.denoise(&units, Size::new(9, 8), &tanh, &mut |_| ()).unwrap();
                out.into_iter().map(move |u| model.units.to_grey(u.into(), 1.0))
            });
            assert_ne!(model.network, other.network);
            a.zip(b).for_each(|(a, b)| assert!((a - b).abs() < 1e-3, "{a} {b}"));
            in_units(&model.network, &mut layers, Normalisation::UNIT, model.units);
            for (found, (_, before)) in layers.iter().zip(model.network.linears()) {
                let far = |a: &f32, b: &f32| (a - b).abs() > 1e-5;
                assert!(!found.weights.iter().zip(&before.weights).any(|(a, b)| far(a, b)));
                assert!(!found.bias.iter().zip(&before.bias).any(|(a, b)| far(a, b)));
            }
        }
        assert_eq!(level(Normalisation::BURGER, Normalisation::UNIT), -2.5);
    }
}
