//! Images of tiles: which results make one, and how it is joined, one row of tiles in memory.

use super::super::failure::{Code, Failure};
use super::super::files::{QualityReport, is_stream, read_reference};
use super::super::output::Console;
use super::plan::{Job, Parts, Scan};
use super::{Entry, Share, Work, grey};

use crate::files::FormatError;

use crate::image::{GreyImage, ImageError, ImageFormat, Joiner, Raster, Rect, by_rows};
use crate::network::MAX_PIXELS;
use crate::roles::images::{Target, output_format};

use std::path::{Path, PathBuf};
use std::time::Instant;

/// Refuses an image of tiles that cannot be written, or compared, before any work is done.
pub(super) fn check(job: &Job, target: &Target<'_>, compared: bool) -> Result<(), Failure> {
    let Parts::Tiles(scan) = &job.parts else { return Ok(()) };
    if target.is_dicom() {
        let (height, width) = scan.tiling.size();
        return match height * width <= MAX_PIXELS {
            true => Ok(()),
            false => Err(Failure::from(ImageError::TooLarge { height, width }).about(target.out)),
        };
    }
    let target = target.out;
    if is_stream(target) {
        let text = "an image of tiles is not written to standard output";
        return Err(Failure::new(Code::Usage, text).help("give a file or a folder as --out"));
    }
    let about = |e: ImageError| Failure::from(e).about(target);
    let format = output_format(target)?;
    by_rows(format).map_err(about)?;
    if scan.channels > 1 && format == ImageFormat::Npy {
        return Err(about(ImageError::Colour));
    }
    let (height, width) = scan.tiling.size();
    if compared && height * width > MAX_PIXELS {
        let text = format!(
            "the image is {height}x{width}; one of more than {MAX_PIXELS} pixels is not compared"
        );
        let help = "leave --reference away, and compare parts of it with `metrics`";
        return Err(Failure::new(Code::Usage, text).about(target).help(help));
    }
    Ok(())
}

impl Work<'_> {
    /// Writes an image of tiles, and judges it.
    pub(super) fn join(
        &mut self,
        job: &Job,
        scan: &Scan,
        target: &Path,
        reference: &Option<PathBuf>,
        console: &mut Console,
    ) -> Result<Option<QualityReport>, Failure> {
        let failed = |e: ImageError| match e {
            ImageError::Io(e) => FormatError::from_writer(e).into(),
            e => Failure::from(e).about(target),
        };
        if self.args.target(job, target).is_dicom() {
            return self.join_scan(job, scan, target, reference, console);
        }
        let Scan { tiling, channels, ref cells } = *scan;
        let (height, width) = tiling.size();
        // Compared as a whole, if it is compared.
        let mut whole: Option<Vec<Vec<f32>>> =
            reference.as_ref().map(|_| vec![Vec::with_capacity(height * width); channels]);
        let out = self.args.target(job, target).create()?;
        let format = output_format(target)?;
        let mut joiner = Joiner::new(format, tiling, channels, job.depth, out).map_err(failed)?;
        let mut shares = Vec::with_capacity(cells.len() * channels);
        let mut writing = 0.0;
        console.phase("joining tiles");
        let columns = tiling.counts().1;
        for (row, cells) in cells.chunks(columns).enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                for (channel, [a, b]) in cell.pairs.iter().enumerate() {
                    let result = self.keys.reconstruct([a, b])?;
                    shares.push(Share::of(&result));
                    let about = |e| Failure::from(e).about(a);
                    let tile = grey(result).map_err(about)?;
                    joiner.put(column, channel, &tile, cell.inset).map_err(about)?;
                }
            }
            let started = Instant::now();
            let planes = joiner.end_row().map_err(failed)?;
            writing += started.elapsed().as_secs_f64();
            for (whole, rows) in whole.iter_mut().flatten().zip(planes) {
                whole.extend_from_slice(rows);
            }
            console.progress((row + 1) as f64 / tiling.counts().0 as f64);
        }
        console.finish();
        let quality = match (whole, reference) {
            (Some(planes), Some(reference)) => {
                let planes = planes.into_iter().map(|p| GreyImage::new(height, width, p));
                let image = Raster::of_planes(planes.collect::<Result<_, _>>()?, job.depth)?;
                let reference = read_reference(reference, self.args.dicom.window)?;
                Some(QualityReport::new(&reference, &image)?)
            }
            _ => None,
        };
        let started = Instant::now();
        joiner.finish().map_err(failed)?.commit()?;
        self.write_image_seconds += writing + started.elapsed().as_secs_f64();
        let (file, tiles) = (target.display().to_string(), Some(tiling.count()));
        self.entries.push(Entry { file, shares, tiles, height, width, quality });
        Ok(quality)
    }

    /// Writes a DICOM file of its frames, or tiles, which is in memory as a whole.
    fn join_scan(
        &mut self,
        job: &Job,
        scan: &Scan,
        target: &Path,
        reference: &Option<PathBuf>,
        console: &mut Console,
    ) -> Result<Option<QualityReport>, Failure> {
        let (tiling, (height, width)) = (scan.tiling, scan.tiling.size());
        let mut planes = vec![vec![0.0; height * width]; scan.channels];
        let mut shares = Vec::new();
        console.phase("joining frames");
        for (done, (cell, rect)) in scan.cells.iter().zip(tiling.rects()).enumerate() {
            for (plane, [a, b]) in planes.iter_mut().zip(&cell.pairs) {
                let result = self.keys.reconstruct([a, b])?;
                shares.push(Share::of(&result));
                let own = Rect { top: cell.inset.0, left: cell.inset.1, ..rect };
                let part = grey(result).and_then(|tile| tile.crop(own));
                let part = part.map_err(|e| Failure::from(e).about(a))?;
                let lines = part.pixels().chunks_exact(rect.width).zip(rect.top..);
                for (line, row) in lines {
                    plane[row * width + rect.left..][..rect.width].copy_from_slice(line);
                }
            }
            console.progress((done + 1) as f64 / scan.cells.len() as f64);
        }
        console.finish();
        let planes = planes.into_iter().map(|plane| GreyImage::new(height, width, plane));
        let image = Raster::of_planes(planes.collect::<Result<_, _>>()?, job.depth)?;
        let window = self.args.dicom.window;
        let reference =
            reference.as_deref().map(|path| read_reference(path, window)).transpose()?;
        let quality = reference.map(|r| QualityReport::new(&r, &image)).transpose()?;
        let writing = Instant::now();
        self.args.target(job, target).write(&image)?;
        self.write_image_seconds += writing.elapsed().as_secs_f64();
        let (file, tiles) = (target.display().to_string(), Some(tiling.count()));
        self.entries.push(Entry { file, shares, tiles, height, width, quality });
        Ok(quality)
    }
}
