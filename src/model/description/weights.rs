//! The arrays of a model's weights, and the matrices that they are.

use crate::network::LinearShape;
use ndarray::{Array2, Axis};

/// The weights of a layer as its array has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Features out of the linear op.
    outputs: usize,
    /// Features into it.
    inputs: usize,
    arrangement: Arrangement,
}

/// How an array is a matrix (outputs, inputs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// It is one.
    Matrix,
    /// (outputs, channels, kernel, kernel) of one kernel for all maps that are read, whose channels follow one
    /// another, or (outputs, inputs) with each map's (channels, kernel, kernel) behind the other's. For each
    /// map channels, kernel and the side of the blocks that they are.
    Convolution(Vec<(usize, usize, usize)>),
    /// (channels, outputs, kernel, kernel), with the channels of the maps that are read.
    Transposed { kernel: usize, stride: usize, channels: Vec<usize> },
}

impl LinearShape for Weights {
    fn inputs(&self) -> usize {
        self.inputs
    }
    fn outputs(&self) -> usize {
        self.outputs
    }
}

impl Arrangement {
    /// A transposed convolution, of maps that are not known yet.
    pub(super) fn transposed(kernel: usize, stride: usize) -> Arrangement {
        Arrangement::Transposed { kernel, stride, channels: Vec::new() }
    }

    /// Pixels of the result before what a pixel of the map adds to begins, for a transposed convolution;
    /// PyTorch's `padding` with which, and an `output_padding` of 0 or 1, the result is `stride` times as high
    /// and wide.
    fn cut(kernel: usize, stride: usize) -> usize {
        kernel.saturating_sub(stride).div_ceil(2)
    }

    /// Side of the convolution to blocks that a transposed convolution is.
    pub(super) fn side(&self) -> usize {
        let Arrangement::Transposed { kernel, stride, .. } = *self else { return 1 };
        let cut = Self::cut(kernel, stride);
        // Pixel r q + y of the result takes tap k from pixel q + (y + cut - k) / r.
        let (after, before) = (cut.div_ceil(stride), (kernel - 1 - cut.min(kernel - 1)) / stride);
        2 * after.max(before) + 1
    }
}

impl Weights {
    pub(super) fn matrix(outputs: usize, inputs: usize) -> Weights {
        Weights { outputs, inputs, arrangement: Arrangement::Matrix }
    }

    /// Of maps with these channels, kernels and blocks.
    pub(crate) fn convolution(outputs: usize, parts: Vec<(usize, usize, usize)>) -> Weights {
        let inputs = parts.iter().map(|(channels, kernel, _)| channels * kernel * kernel).sum();
        Weights { outputs, inputs, arrangement: Arrangement::Convolution(parts) }
    }

    pub(super) fn transposed(
        outputs: usize,
        channels: Vec<usize>,
        arrangement: Arrangement,
    ) -> Weights {
        let (side, all) = (arrangement.side(), channels.iter().sum::<usize>());
        let (kernel, stride) = match arrangement {
            Arrangement::Transposed { kernel, stride, .. } => (kernel, stride),
            _ => (1, 1),
        };
        Weights {
            outputs: outputs * stride * stride,
            inputs: all * side * side,
            arrangement: Arrangement::Transposed { kernel, stride, channels },
        }
    }

    /// The sides of the array.
    pub fn shape(&self) -> Vec<usize> {
        match &self.arrangement {
            Arrangement::Matrix => vec![self.outputs, self.inputs],
            Arrangement::Convolution(parts) => match one_kernel(parts) {
                Some(kernel) => {
                    let channels = parts.iter().map(|(channels, ..)| channels).sum();
                    vec![self.outputs, channels, kernel, kernel]
                }
                None => vec![self.outputs, self.inputs],
            },
            Arrangement::Transposed { kernel, stride, channels } => {
                let outputs = self.outputs / (stride * stride);
                vec![channels.iter().sum(), outputs, *kernel, *kernel]
            }
        }
    }

    /// Numbers of the array of biases; each is that of all pixels of a block.
    pub fn biases(&self) -> usize {
        self.outputs / self.repeated()
    }

    /// How many outputs of the op one bias is of.
    pub(crate) fn repeated(&self) -> usize {
        match self.arrangement {
            Arrangement::Transposed { stride, .. } => stride * stride,
            _ => 1,
        }
    }

    /// The matrix (outputs, inputs) of an array of this shape, row-major; nothing for another number of values.
    pub(crate) fn arranged(&self, array: Vec<f32>) -> Option<Array2<f32>> {
        if array.len() != self.shape().iter().product::<usize>() {
            return None;
        }
        match &self.arrangement {
            Arrangement::Transposed { kernel, stride, channels } => {
                Some(self.spread(&array, *kernel, *stride, channels))
            }
            _ => {
                let matrix = Array2::from_shape_vec((self.outputs, self.inputs), array).ok()?;
                Some(match self.columns() {
                    Some(columns) => matrix.select(Axis(1), &columns),
                    None => matrix,
                })
            }
        }
    }

    /// The array of a matrix, the inverse of [`Weights::arranged`]; none for a transposed convolution, which
    /// has more weights as a convolution.
    pub(crate) fn stored(&self, matrix: &Array2<f32>) -> Option<Vec<f32>> {
        let columns = match (&self.arrangement, self.columns()) {
            (Arrangement::Transposed { .. }, _) => return None,
            (_, None) => return Some(matrix.iter().copied().collect()),
            (_, Some(columns)) => columns,
        };
        let mut order = vec![0; columns.len()];
        columns.iter().enumerate().for_each(|(to, from)| order[*from] = to);
        Some(matrix.select(Axis(1), &order).iter().copied().collect())
    }

    /// Where each column of the matrix, whose features are pixel after pixel of each map's patch with a
    /// pixel's channels together, lies in a row of the array.
    fn columns(&self) -> Option<Vec<usize>> {
        let Arrangement::Convolution(parts) = &self.arrangement else { return None };
        let (mut columns, mut first) = (Vec::with_capacity(self.inputs), 0);
        for &(channels, kernel, block) in parts {
            let (taps, side) = (kernel * kernel, kernel * block);
            if block > 1 {
                // Pixels of the image; those of a block are the channels.
                let pixel = |i: usize| {
                    let (y, x) = (i / side, i % side);
                    let channel = y % block * block + x % block;
                    first + channel * taps + y / block * kernel + x / block
                };
                columns.extend((0..side * side).map(pixel));
            } else {
                let feature = |i: usize| first + i % channels * taps + i / channels;
                columns.extend((0..taps * channels).map(feature));
            }
            first += channels * taps;
        }
        Some(columns)
    }

    /// A transposed convolution's weights as those of a convolution to blocks of `stride` x `stride` pixels:
    /// pixel (r q + y) of the result takes tap k of the kernel from pixel q + (y + cut - k) / r of the map.
    fn spread(&self, array: &[f32], kernel: usize, stride: usize, maps: &[usize]) -> Array2<f32> {
        let (side, cut) = (self.arrangement.side(), Arrangement::cut(kernel, stride));
        let (half, outputs) = (side as isize / 2, self.outputs / (stride * stride));
        // The tap that a pixel of the block takes from a pixel of the patch.
        let tap = |within: usize, at: usize| {
            let tap = (within + cut) as isize - (at as isize - half) * stride as isize;
            usize::try_from(tap).ok().filter(|tap| *tap < kernel)
        };
        let mut matrix = Array2::zeros((self.outputs, self.inputs));
        let (mut column, mut first) = (0, 0);
        for &channels in maps {
            for (y, x, c) in (0..side * side * channels)
                .map(|i| (i / channels / side, i / channels % side, i % channels))
            {
                for (o, within) in
                    (0..outputs).flat_map(|o| (0..stride * stride).map(move |within| (o, within)))
                {
                    let taps = (tap(within / stride, y), tap(within % stride, x));
                    if let (Some(ky), Some(kx)) = taps {
                        let at = (((first + c) * outputs + o) * kernel + ky) * kernel + kx;
                        matrix[[o * stride * stride + within, column]] = array[at];
                    }
                }
                column += 1;
            }
            first += channels;
        }
        matrix
    }
}

/// The kernel, if it is that of all maps.
fn one_kernel(parts: &[(usize, usize, usize)]) -> Option<usize> {
    let (_, kernel, _) = parts.first()?;
    parts.iter().all(|(_, other, _)| other == kernel).then_some(*kernel)
}
