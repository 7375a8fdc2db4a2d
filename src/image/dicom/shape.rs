//! What a frame is, whatever it is packed in.

/// What every frame of a picture is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Samples a pixel: 1 or 3.
    pub(super) samples: usize,
    /// Bits of a sample in native form: 1, 8, 16 or 32.
    pub(super) allocated: usize,
}

impl Shape {
    pub(super) fn area(&self) -> usize {
        self.rows * self.columns
    }
}

/// Pixel by pixel what was plane by plane.
pub(super) fn interleaved(planes: &[u32], shape: Shape) -> Vec<u32> {
    let (area, samples) = (shape.area(), shape.samples);
    (0..area * samples).map(|i| planes[i % samples * area + i / samples]).collect()
}
