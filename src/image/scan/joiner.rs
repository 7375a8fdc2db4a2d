//! Denoised tiles joined into one image while it is written: one row of tiles in memory.

use crate::network::MAX_PIXELS;
use crate::{Depth, GreyImage, ImageError, ImageFormat, Range, StripWriter, Tiling};
use ppdenoise_base::size::Position;
use ppdenoise_base::size::Size;
use std::io::Write;

/// An image that is written from its cores, row of cores after row of cores.
///
/// Memory: the rows of one row of cores, core height x image width x 4 bytes a channel.
pub struct Joiner<W: Write + 'static> {
    tiling: Tiling,
    out: StripWriter<W>,
    band: Vec<Vec<f32>>,
    row: usize,
}

impl<W: Write + 'static> Joiner<W> {
    /// Begins the file, of 1 or 3 channels.
    ///
    /// # Errors
    /// As [`StripWriter::new`]; [`ImageError::BandTooLarge`] if one row of cores is more than an image
    /// may have pixels.
    pub fn new(
        format: ImageFormat,
        tiling: Tiling,
        channels: usize,
        depth: Depth,
        out: W,
    ) -> Result<Self, ImageError> {
        let (rows, width) = (tiling.core().height, tiling.size().width);
        let pixels = rows.checked_mul(width).filter(|pixels| *pixels <= MAX_PIXELS);
        let pixels = pixels.ok_or(ImageError::BandTooLarge { rows, width })?;
        let out = StripWriter::new(format, tiling.size(), channels, depth, out)?;
        Ok(Joiner { tiling, out, band: vec![vec![0.0; pixels]; channels], row: 0 })
    }

    /// The same file of levels that stand for other values ([`crate::Raster::range`]).
    pub fn with_range(self, range: Option<Range>) -> Self {
        Joiner { out: self.out.with_range(range), ..self }
    }

    /// Puts a channel of the core in `column` of the present row of cores, which lies in `tile` from
    /// `inset` (row, column) on.
    ///
    /// # Errors
    /// [`ImageError::Crop`] if it does not lie there, or there is no such core or channel.
    pub fn put(
        &mut self,
        column: usize,
        channel: usize,
        tile: &GreyImage,
        inset: Position,
    ) -> Result<(), ImageError> {
        let Size { height, width } = tile.size();
        let core = self.tiling.rect(Position::new(self.row, column));
        let plane = self.band.get_mut(channel);
        let (Some(core), Some(plane)) = (core, plane) else {
            return Err(ImageError::Planes { found: channel + 1 });
        };
        let rect = crate::Rect { top: inset.row, left: inset.column, ..core };
        if !rect.is_inside(height, width) {
            return Err(ImageError::Crop { rect, height, width });
        }
        let lines = tile.pixels().chunks_exact(width).skip(rect.top).take(rect.height);
        for (line, to) in lines.zip(plane.chunks_exact_mut(self.tiling.size().width)) {
            to[core.left..][..core.width].copy_from_slice(&line[rect.left..][..rect.width]);
        }
        Ok(())
    }

    /// Writes the present row of cores, of which all were put, and returns its rows, plane by plane.
    ///
    /// # Errors
    /// As [`StripWriter::write`].
    pub fn end_row(&mut self) -> Result<Vec<&[f32]>, ImageError> {
        let Size { height, width } = self.tiling.size();
        let rows = self
            .tiling
            .core()
            .height
            .min(height.saturating_sub(self.row * self.tiling.core().height));
        let planes: Vec<&[f32]> = self.band.iter().map(|plane| &plane[..rows * width]).collect();
        self.out.write(&planes)?;
        self.row += 1;
        Ok(planes)
    }

    /// Ends the file behind the last row of cores and gives its writer back.
    ///
    /// # Errors
    /// As [`StripWriter::finish`].
    pub fn finish(self) -> Result<W, ImageError> {
        self.out.finish()
    }
}
