//! Matrix products of training, in float32 or with operands rounded to bfloat16.

use super::TrainError;
use super::features::{Block, Features, Store, round_to, transpose};
use super::half::Half;
use super::half::{Precision, half};
use crate::model::FloatLinear;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, s};
use numkong::{Global, PackedMatrix, Tensor};

use std::collections::HashMap;
use std::collections::hash_map::Entry;

type Single = Tensor<f32, Global, 2>;

/// Matrix products of one thread, with the memory for their results.
pub(super) struct Products {
    precision: Precision,
    /// Each layer's weights for products with its input, and with its deltas; none in float32.
    packed: Vec<[PackedMatrix<numkong::bf16>; 2]>,
    tensors: HashMap<(usize, usize), Single>,
    arrays: HashMap<(usize, usize), Array2<f32>>,
}

thread_local! {
    /// Lets the processor use its matrix tiles, where it has them: a thread without that leave is
    /// killed at the first one.
    static TILES: bool = numkong::configure_thread();
}

impl Products {
    pub(super) fn new(precision: Precision) -> Self {
        let (tensors, arrays) = (HashMap::new(), HashMap::new());
        Products { precision, packed: Vec::new(), tensors, arrays }
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
            let mut plain = half((rows, columns))?;
            round_to(super::optimiser::slice(&layer.weights), plain.as_mut_slice());
            let mut turned = half((columns, rows))?;
            transpose(plain.as_slice(), (rows, columns), turned.as_mut_slice(), rows, 0);
            let pack = |m: &Half| PackedMatrix::try_pack(m).map_err(|_| TrainError::Memory);
            self.packed.push([pack(&plain)?, pack(&turned)?]);
        }
        Ok(())
    }

    /// `input weights^T` for the rows of a block: (rows, outputs).
    pub(super) fn forward(
        &mut self,
        index: usize,
        layer: &FloatLinear,
        input: &Features,
        block: Block,
    ) -> Result<&[f32], TrainError> {
        self.by_weights([index, 0], layer.weights.t(), input, block)
    }

    /// `delta weights` for the rows of a block: (rows, inputs).
    pub(super) fn backward(
        &mut self,
        index: usize,
        layer: &FloatLinear,
        delta: &Features,
        block: Block,
    ) -> Result<&[f32], TrainError> {
        self.by_weights([index, 1], layer.weights.view(), delta, block)
    }

    fn by_weights(
        &mut self,
        [index, way]: [usize; 2],
        weights: ArrayView2<'_, f32>,
        features: &Features,
        block: Block,
    ) -> Result<&[f32], TrainError> {
        match &features.store {
            Store::Single(all) => {
                let rows = all.slice(s![block.first..block.first + block.rows, ..]);
                Ok(times(&mut self.arrays, rows, weights))
            }
            Store::Half { block, .. } => {
                dots(&mut self.tensors, block, &self.packed[index][way], weights.ncols())
            }
        }
    }

    /// `delta^T input` over all rows: (outputs, inputs).
    pub(super) fn slopes(
        &mut self,
        delta: &Features,
        input: &Features,
    ) -> Result<&[f32], TrainError> {
        match (&delta.store, &input.store) {
            (Store::Single(delta), Store::Single(input)) => {
                Ok(times(&mut self.arrays, delta.t(), input.view()))
            }
            (Store::Half { transposed: delta, .. }, Store::Half { transposed: input, .. }) => {
                TILES.with(|_| ());
                let packed = PackedMatrix::try_pack(input).map_err(|_| TrainError::Memory)?;
                dots(&mut self.tensors, delta, &packed, input.shape()[0])
            }
            _ => unreachable!("features of a worker have one precision"),
        }
    }
}

fn times<'a>(
    arrays: &'a mut HashMap<(usize, usize), Array2<f32>>,
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
) -> &'a [f32] {
    let shape = (a.nrows(), b.ncols());
    let out = arrays.entry(shape).or_insert_with(|| Array2::zeros(shape));
    general_mat_mul(1.0, &a, &b, 0.0, out);
    super::optimiser::slice(out)
}

fn dots<'a>(
    tensors: &'a mut HashMap<(usize, usize), Single>,
    a: &Half,
    packed: &PackedMatrix<numkong::bf16>,
    columns: usize,
) -> Result<&'a [f32], TrainError> {
    let memory = |_| TrainError::Memory;
    let shape = (a.shape()[0], columns);
    let out = match tensors.entry(shape) {
        Entry::Occupied(out) => out.into_mut(),
        Entry::Vacant(place) => {
            place.insert(Tensor::try_full(&[shape.0, shape.1], 0.0).map_err(memory)?)
        }
    };
    a.try_dots_packed_into(packed, out).map_err(memory)?;
    Ok(out.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::features::BLOCK;
    use crate::train::features::tests::blocks;
    use crate::train::normal::SplitMix;
    use ndarray::Array1;

    fn matrix(shape: (usize, usize), seed: u64) -> Array2<f32> {
        let mut rng = SplitMix::at(seed, 0, 0);
        Array2::from_shape_simple_fn(shape, || (rng.next() >> 40) as f32 / 2f32.powi(23) - 1.0)
    }

    fn features(precision: Precision, values: &Array2<f32>) -> Vec<(Block, Features)> {
        let mut all = Features::new(precision, values.nrows(), BLOCK, values.ncols()).unwrap();
        let mut snapshots = Vec::new();
        for block in blocks(values.nrows()) {
            for i in 0..block.rows {
                all.put(block, i, values.row(block.first + i).as_slice().unwrap());
            }
            all.finish(block);
            snapshots.push((block, all.clone()));
        }
        snapshots
    }

    fn assert_close(found: &[f32], exact: &Array2<f64>, tolerance: f64) {
        assert!(found.len() >= exact.len());
        for (f, e) in found.iter().zip(exact) {
            assert!((f64::from(*f) - e).abs() < tolerance, "{f} is not {e}");
        }
    }

    /// The three products, for sides around the squares of the transposition and the blocks.
    #[test]
    fn products_agree_with_the_definition() {
        for (rows, inputs, outputs) in
            [(1, 1, 1), (33, 31, 65), (BLOCK, 32, 64), (BLOCK + 70, 40, 33)]
        {
            let (x, d) = (matrix((rows, inputs), 1), matrix((rows, outputs), 2));
            let layer =
                FloatLinear { weights: matrix((outputs, inputs), 3), bias: Array1::zeros(outputs) };
            let exact = |m: &Array2<f32>| m.mapv(f64::from);
            let w = exact(&layer.weights);
            for (precision, unit) in [(Precision::F32, 1e-5), (Precision::Bf16, 6e-3)] {
                let mut products = Products::new(precision);
                products.prepare(std::slice::from_ref(&layer)).unwrap();
                let (xs, ds) = (features(precision, &x), features(precision, &d));
                let tolerance = |n: usize| unit * (n as f64).sqrt();
                for ((block, x_part), (_, d_part)) in xs.iter().zip(&ds) {
                    let range = s![block.first..block.first + block.rows, ..];
                    let y = products.forward(0, &layer, x_part, *block).unwrap();
                    assert_close(y, &exact(&x).slice(range).dot(&w.t()), tolerance(inputs));
                    let back = products.backward(0, &layer, d_part, *block).unwrap();
                    assert_close(back, &exact(&d).slice(range).dot(&w), tolerance(outputs));
                }
                let (x_all, d_all) = (&xs.last().unwrap().1, &ds.last().unwrap().1);
                let slopes = products.slopes(d_all, x_all).unwrap();
                assert_close(slopes, &exact(&d).t().dot(&exact(&x)), tolerance(rows));
            }
        }
    }
}
