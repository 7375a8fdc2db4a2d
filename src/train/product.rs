//! Matrix products of training, in float32 or with operands rounded to bfloat16.

use super::TrainError;
use super::rounding::{Half, Precision, SQUARE, half, round_to, transpose};
use crate::model::FloatLinear;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use numkong::{Global, PackedMatrix, StorageElement, Tensor};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Matrix products of one thread, with the memory for rounded operands and their results.
pub(super) struct Products {
    precision: Precision,
    /// Each layer's weights for products with its input, and with its deltas; none in float32.
    packed: Vec<[PackedMatrix<numkong::bf16>; 2]>,
    halves: HashMap<(usize, usize), Half>,
    sums: HashMap<(usize, usize), Tensor<f32, Global, 2>>,
}

thread_local! {
    /// Lets the processor use its matrix tiles, where it has them: a thread without that leave is
    /// killed at the first one.
    static TILES: bool = numkong::configure_thread();
}

/// Which of a layer's packed weights a product takes.
#[derive(Clone, Copy)]
enum Way {
    Forward,
    Backward,
}

impl Products {
    pub(super) fn new(precision: Precision) -> Self {
        let (halves, sums) = (HashMap::new(), HashMap::new());
        Products { precision, packed: Vec::new(), halves, sums }
    }

    /// Makes the weights of a step ready; the same must be given to the products.
    ///
    /// # Errors
    /// [`TrainError::Memory`].
    pub(super) fn prepare(&mut self, layers: &[FloatLinear]) -> Result<(), TrainError> {
        if self.precision == Precision::F32 {
            return Ok(());
        }
        TILES.with(|_| ());
        self.packed.clear();
        for layer in layers {
            let (rows, columns) = layer.weights.dim();
            let mut plain = half(rows, columns)?;
            round_to(super::optimiser::slice(&layer.weights), plain.as_mut_slice());
            let mut turned = half(columns, rows)?;
            transpose(plain.as_slice(), rows, columns, turned.as_mut_slice(), rows);
            let pack = |m: &Half| PackedMatrix::try_pack(m).map_err(|_| TrainError::Memory);
            self.packed.push([pack(&plain)?, pack(&turned)?]);
        }
        Ok(())
    }

    /// `inputs weights^T`, row-major: (rows, inputs) to (rows, outputs).
    pub(super) fn forward(
        &mut self,
        index: usize,
        layer: &FloatLinear,
        inputs: &[f32],
        out: &mut [f32],
    ) -> Result<(), TrainError> {
        self.by_weights(index, Way::Forward, layer.weights.t(), inputs, out)
    }

    /// `deltas weights`, row-major: (rows, outputs) to (rows, inputs).
    pub(super) fn backward(
        &mut self,
        index: usize,
        layer: &FloatLinear,
        deltas: &[f32],
        out: &mut [f32],
    ) -> Result<(), TrainError> {
        self.by_weights(index, Way::Backward, layer.weights.view(), deltas, out)
    }

    fn by_weights(
        &mut self,
        index: usize,
        way: Way,
        weights: ArrayView2<'_, f32>,
        values: &[f32],
        out: &mut [f32],
    ) -> Result<(), TrainError> {
        let (columns, width) = weights.dim();
        let rows = values.len() / columns;
        if self.precision == Precision::F32 {
            general_mat_mul(1.0, &view(values, columns), &weights, 0.0, &mut view_mut(out, width));
            return Ok(());
        }
        let whole = rows.next_multiple_of(SQUARE);
        let rounded = entry(&mut self.halves, whole, columns, numkong::bf16(0))?;
        let (head, tail) = rounded.as_mut_slice().split_at_mut(values.len());
        round_to(values, head);
        tail.fill(numkong::bf16(0));
        let sums = entry(&mut self.sums, whole, width, 0.0)?;
        let packed = &self.packed[index][way as usize];
        rounded.try_dots_packed_into(packed, sums).map_err(|_| TrainError::Memory)?;
        out.copy_from_slice(&sums.as_slice()[..out.len()]);
        Ok(())
    }

    /// Adds `deltas^T inputs` to the (outputs, inputs) of `weights`.
    pub(super) fn slopes(
        &mut self,
        deltas: &[f32],
        inputs: &[f32],
        mut weights: ArrayViewMut2<'_, f32>,
    ) -> Result<(), TrainError> {
        let (outputs, columns) = weights.dim();
        if self.precision == Precision::F32 {
            let (deltas, inputs) = (view(deltas, outputs), view(inputs, columns));
            general_mat_mul(1.0, &deltas.t(), &inputs, 1.0, &mut weights);
            return Ok(());
        }
        TILES.with(|_| ());
        let turned = self.turned(inputs, columns)?;
        let packed = PackedMatrix::try_pack(turned).map_err(|_| TrainError::Memory)?;
        let rows = turned.shape()[1];
        self.turned(deltas, outputs)?;
        let sums = entry(&mut self.sums, outputs, columns, 0.0)?;
        let turned = &self.halves[&(outputs, rows)];
        turned.try_dots_packed_into(&packed, sums).map_err(|_| TrainError::Memory)?;
        let weights = weights.as_slice_mut().expect("matrices of training are in standard layout");
        weights.iter_mut().zip(sums.as_slice()).for_each(|(w, s)| *w += s);
        Ok(())
    }

    /// The rounded transpose of rows; their number is rounded up to squares with zeros.
    fn turned(&mut self, values: &[f32], columns: usize) -> Result<&Half, TrainError> {
        let rows = values.len() / columns;
        let whole = rows.next_multiple_of(SQUARE);
        // Taken out, since the transpose may have the same shape.
        let mut rounded = match self.halves.remove(&(whole, columns)) {
            Some(rounded) => rounded,
            None => half(whole, columns)?,
        };
        let (head, tail) = rounded.as_mut_slice().split_at_mut(values.len());
        round_to(values, head);
        tail.fill(numkong::bf16(0));
        let mut turned = match self.halves.remove(&(columns, whole)) {
            Some(turned) => turned,
            None => half(columns, whole)?,
        };
        transpose(rounded.as_slice(), whole, columns, turned.as_mut_slice(), whole);
        self.halves.insert((whole, columns), rounded);
        Ok(self.halves.entry((columns, whole)).insert_entry(turned).into_mut())
    }
}

fn view(values: &[f32], columns: usize) -> ArrayView2<'_, f32> {
    let shape = (values.len() / columns, columns);
    ArrayView2::from_shape(shape, values).expect("rows are whole")
}

fn view_mut(values: &mut [f32], columns: usize) -> ArrayViewMut2<'_, f32> {
    let shape = (values.len() / columns, columns);
    ArrayViewMut2::from_shape(shape, values).expect("rows are whole")
}

/// The tensor of so many rows and columns, made of `fill` at the first time.
fn entry<T: StorageElement>(
    tensors: &mut HashMap<(usize, usize), Tensor<T, Global, 2>>,
    rows: usize,
    columns: usize,
    fill: T,
) -> Result<&mut Tensor<T, Global, 2>, TrainError> {
    Ok(match tensors.entry((rows, columns)) {
        Entry::Occupied(found) => found.into_mut(),
        Entry::Vacant(place) => {
            let made = Tensor::try_full(&[rows, columns], fill);
            place.insert(made.map_err(|_| TrainError::Memory)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::normal::SplitMix;
    use ndarray::{Array1, Array2};

    fn matrix(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut rng = SplitMix::at(seed, 0, 0);
        let value = || (rng.next() >> 40) as f32 / 2f32.powi(23) - 1.0;
        Array2::from_shape_simple_fn((rows, columns), value)
    }

    fn assert_close(found: &[f32], exact: &Array2<f64>, tolerance: f64) {
        assert_eq!(found.len(), exact.len());
        for (f, e) in found.iter().zip(exact) {
            assert!((f64::from(*f) - e).abs() < tolerance, "{f} is not {e}");
        }
    }

    /// The three products, for sides around the squares of the transposition; twice, so that
    /// nothing is left of a larger product before.
    #[test]
    fn products_agree_with_the_definition() {
        for precision in [Precision::F32, Precision::Bf16] {
            let mut products = Products::new(precision);
            for (rows, inputs, outputs) in
                [(1, 1, 1), (64, 32, 32), (33, 31, 65), (32, 32, 64), (40, 32, 64), (326, 40, 33)]
            {
                let (x, d) = (matrix(rows, inputs, 1), matrix(rows, outputs, 2));
                let (weights, bias) = (matrix(outputs, inputs, 3), Array1::zeros(outputs));
                let layer = FloatLinear { weights, bias };
                let exact = |m: &Array2<f32>| m.mapv(f64::from);
                let w = exact(&layer.weights);
                let unit = if precision == Precision::F32 { 1e-5 } else { 6e-3 };
                products.prepare(std::slice::from_ref(&layer)).unwrap();
                let tolerance = |n: usize| unit * (n as f64).sqrt();
                let (xs, ds) = (x.as_slice().unwrap(), d.as_slice().unwrap());
                let mut out = vec![f32::NAN; rows * outputs];
                products.forward(0, &layer, xs, &mut out).unwrap();
                assert_close(&out, &exact(&x).dot(&w.t()), tolerance(inputs));
                let mut back = vec![f32::NAN; rows * inputs];
                products.backward(0, &layer, ds, &mut back).unwrap();
                assert_close(&back, &exact(&d).dot(&w), tolerance(outputs));
                let mut slopes = Array2::ones((outputs, inputs));
                products.slopes(ds, xs, slopes.view_mut()).unwrap();
                let sum = exact(&d).t().dot(&exact(&x)) + 1.0;
                assert_close(slopes.as_slice().unwrap(), &sum, tolerance(rows));
            }
        }
    }
}
