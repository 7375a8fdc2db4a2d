//! What the values behind linear ops are like on an image.

use super::{FloatModel, Input};
use crate::model::{Beyond, ModelError, OutOfRange};
use crate::network::LinearShape;
use crate::size::Size;

/// Some values behind an output of a linear op, and what its activation makes of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The lowest.
    pub low: f32,
    /// The highest.
    pub high: f32,
    /// How many.
    pub count: f64,
    /// The sum of what the activation makes of them, or of themselves if there is none.
    pub sum: f64,
    /// The sum of the squares of that.
    pub squares: f64,
}

impl Span {
    /// Of no values.
    pub const NONE: Span =
        Span { low: f32::INFINITY, high: f32::NEG_INFINITY, count: 0.0, sum: 0.0, squares: 0.0 };

    /// With a value, and what the activation makes of it.
    fn with(self, value: f32, given: f32) -> Span {
        let given = f64::from(given);
        Span {
            low: self.low.min(value),
            high: self.high.max(value),
            count: self.count + 1.0,
            sum: self.sum + given,
            squares: self.squares + given * given,
        }
    }

    /// Of the values of both.
    pub fn and(self, other: Span) -> Span {
        Span {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }

    /// The largest magnitude; 0 of no values.
    pub fn largest(self) -> f64 {
        f64::from(self.high.max(-self.low).max(0.0))
    }

    /// The mean of what the activation makes of them; 0 of no values.
    pub fn mean(self) -> f64 {
        self.sum / self.count.max(1.0)
    }

    pub fn variance(self) -> f64 {
        (self.squares / self.count.max(1.0) - self.mean().powi(2)).max(0.0)
    }
}

impl FloatModel {
    /// The largest magnitude behind each linear op and what is added to it, before its activation, by output,
    /// for an image in network units: what ranges of a calibrated model rest on. `plane` as for
    /// [`FloatModel::denoise_at`].
    ///
    /// # Errors
    /// As [`FloatModel::denoise`].
    pub fn extremes_of(
        &self,
        image: &[f32],
        size: Size,
        plane: f64,
        progress: &mut dyn FnMut(f64),
    ) -> Result<Vec<Vec<f64>>, ModelError> {
        let spans = self.spans_of(image, size, plane, progress)?;
        let largest = |layer: Vec<Span>| layer.into_iter().map(Span::largest).collect();
        Ok(spans.into_iter().map(largest).collect())
    }

    /// The values there that are beyond `reaches`, of each output of each linear op ([`FloatModel::reaches`]).
    ///
    /// # Errors
    /// As [`FloatModel::denoise`].
    pub fn beyond(
        &self,
        image: &[f32],
        size: Size,
        plane: f64,
        reaches: &[Vec<f64>],
    ) -> Result<OutOfRange, ModelError> {
        let ops: Vec<usize> = self.network.linears().map(|(op, _)| op).collect();
        let mut found: Vec<Vec<Beyond>> =
            reaches.iter().map(|layer| vec![Beyond::default(); layer.len()]).collect();
        let mut observe = |op: usize, values: &[f32]| {
            let Some(i) = ops.iter().position(|at| *at == op) else { return };
            for row in values.chunks_exact(reaches[i].len()) {
                for ((value, reach), found) in row.iter().zip(&reaches[i]).zip(&mut found[i]) {
                    let times = f64::from(value.abs()) / reach;
                    if times > 1.0 {
                        *found = found.and(Beyond { values: 1, times, ..Beyond::default() });
                    }
                }
            }
        };
        let activation = |values: &mut [f32]| self.activation.apply(values);
        let input = Input { image, size, plane: plane.into() };
        self.evaluate(&input, &activation, &mut observe, &mut |_| ())?;
        Ok(OutOfRange::of(found))
    }

    /// The values there, and what activations make of them.
    ///
    /// # Errors
    /// As [`FloatModel::denoise`].
    pub fn spans_of(
        &self,
        image: &[f32],
        size: Size,
        plane: f64,
        progress: &mut dyn FnMut(f64),
    ) -> Result<Vec<Vec<Span>>, ModelError> {
        let ops: Vec<usize> = self.network.linears().map(|(op, _)| op).collect();
        let widths = self.network.linears().map(|(_, l)| vec![Span::NONE; l.outputs()]);
        let mut spans: Vec<Vec<Span>> = widths.collect();
        let activated: Vec<bool> =
            ops.iter().map(|op| self.network.activation_after(*op).is_some()).collect();
        let mut observe = |op: usize, values: &[f32]| {
            let Some(i) = ops.iter().position(|at| *at == op) else { return };
            let mut given = values.to_vec();
            if activated[i] {
                self.activation.apply(&mut given);
            }
            let width = spans[i].len();
            for (row, given) in values.chunks_exact(width).zip(given.chunks_exact(width)) {
                let values = row.iter().zip(given);
                spans[i].iter_mut().zip(values).for_each(|(s, (v, given))| *s = s.with(*v, *given));
            }
        };
        let activation = |values: &mut [f32]| self.activation.apply(values);
        let input = Input { image, size, plane: plane.into() };
        self.evaluate(&input, &activation, &mut observe, progress)?;
        Ok(spans)
    }
}
