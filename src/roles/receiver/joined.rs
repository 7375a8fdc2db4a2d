//! Images of tiles and frames: how they are joined, one row of tiles in memory.

use super::Work;
use super::error::ReceiverError;
use super::event::ReceiverEvent;
use super::judged::Provenance;
use super::plan::{Job, Parts, Scan};
use super::request::Reconstructed;
use crate::files::{FormatError, Place};
use crate::image::{GreyImage, ImageError, Joiner, Raster, Rect, by_rows};
use crate::network::MAX_PIXELS;
use crate::roles::images::{Target, output_format};
use crate::roles::observer::Observer;
use crate::size::Size;
use std::path::PathBuf;
use std::time::Instant;

/// Refuses an image of tiles that cannot be written, or compared, before any work is done.
pub(super) fn check(job: &Job, target: &Target<'_>, compared: bool) -> Result<(), ReceiverError> {
    let Parts::Tiles(scan) = &job.parts else { return Ok(()) };
    let Size { height, width } = scan.tiling.size();
    let too_large = height * width > MAX_PIXELS;
    let about = |e: ImageError| ReceiverError::from(e).about(target.out.name());
    if target.is_dicom() {
        return if too_large { Err(about(ImageError::TooLarge { height, width })) } else { Ok(()) };
    }
    if target.out.is_stream() {
        return Err(ReceiverError::TilesToStream);
    }
    let format = output_format(target.out.name())?;
    by_rows(format).map_err(about)?;
    if compared && too_large {
        let error = ReceiverError::NotCompared { height, width };
        return Err(error.about(target.out.name()));
    }
    Ok(())
}

impl Work<'_> {
    /// Writes an image of tiles, and judges it.
    pub(super) fn join(
        &mut self,
        job: &Job,
        scan: &Scan,
        out: &Place,
        reference: &Option<PathBuf>,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<Reconstructed, ReceiverError> {
        let target = job.target(self.request, out);
        if target.is_dicom() {
            let (image, of) = self.join_whole(job, scan, observer)?;
            return self.finish(job, &image, out, reference, of);
        }
        let failed = |e: ImageError| match e {
            ImageError::Io(e) => ReceiverError::from(FormatError::from_writer(e)),
            e => ReceiverError::from(e).about(out.name()),
        };
        let Scan { tiling, channels, ref cores, .. } = *scan;
        let Size { height, width } = tiling.size();
        let reference = job.reference(reference);
        // Compared as a whole, if it is compared.
        let mut whole: Option<Vec<Vec<f32>>> =
            reference.map(|_| vec![Vec::with_capacity(height * width); channels]);
        let (format, file) = (output_format(out.name())?, target.create()?);
        let mut joiner = Joiner::new(format, tiling, channels, job.depth, file)
            .map_err(failed)?
            .with_range(job.range);
        let mut of = Provenance::new(Some(tiling.count()));
        let mut writing = 0.0;
        observer.event(ReceiverEvent::JoiningTiles);
        let Size { height: rows, width: columns } = tiling.counts();
        let mut rects = tiling.rects();
        for (row, cores) in cores.chunks(columns).enumerate() {
            for ((column, core), rect) in cores.iter().enumerate().zip(&mut rects) {
                let mut channel = 0;
                for results in &core.planes {
                    for tile in self.planes(results, core.first(rect), &mut of, observer)? {
                        let put = joiner.put(column, channel, &tile, core.inset);
                        put.map_err(|e| ReceiverError::from(e).about(results.first[0].name()))?;
                        channel += 1;
                    }
                }
            }
            let started = Instant::now();
            let planes = joiner.end_row().map_err(failed)?;
            writing += started.elapsed().as_secs_f64();
            for (whole, rows) in whole.iter_mut().flatten().zip(planes) {
                whole.extend_from_slice(rows);
            }
            observer.progress((row + 1) as f64 / rows as f64);
        }
        let quality = match (whole, reference) {
            (Some(planes), Some(reference)) => {
                Some(reference.judge(&raster(planes, Size::new(height, width), job)?)?)
            }
            _ => None,
        };
        let started = Instant::now();
        joiner.finish().map_err(failed)?.commit()?;
        self.report.write_seconds += writing + started.elapsed().as_secs_f64();
        Ok(of.report(job, out, Size::new(height, width), quality))
    }

    /// The frames, or tiles, of an image whose format is written as a whole.
    fn join_whole(
        &self,
        job: &Job,
        scan: &Scan,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<(Raster, Provenance), ReceiverError> {
        let (tiling, Size { height, width }) = (scan.tiling, scan.tiling.size());
        let mut planes = vec![vec![0.0; height * width]; scan.channels];
        let mut of = Provenance::new(Some(scan.cores.len()));
        observer.event(ReceiverEvent::JoiningFrames);
        for (done, (core, rect)) in scan.cores.iter().zip(tiling.rects()).enumerate() {
            let own = Rect { top: core.inset.row, left: core.inset.column, ..rect };
            let mut parts = Vec::with_capacity(scan.channels);
            for results in &core.planes {
                let about = |e| ReceiverError::from(e).about(results.first[0].name());
                for part in self.planes(results, core.first(rect), &mut of, observer)? {
                    parts.push(part.crop(own).map_err(about)?);
                }
            }
            for (plane, part) in planes.iter_mut().zip(&parts) {
                let lines = part.pixels().chunks_exact(rect.width).zip(rect.top..);
                for (line, row) in lines {
                    plane[row * width + rect.left..][..rect.width].copy_from_slice(line);
                }
            }
            observer.progress((done + 1) as f64 / scan.cores.len() as f64);
        }
        Ok((raster(planes, Size::new(height, width), job)?, of))
    }
}

/// The image of its planes.
fn raster(
    planes: Vec<Vec<f32>>,
    Size { height, width }: Size,
    job: &Job,
) -> Result<Raster, ImageError> {
    let planes = planes.into_iter().map(|plane| GreyImage::new(height, width, plane));
    let image = Raster::of_planes(planes.collect::<Result<_, _>>()?, job.depth)?;
    Ok(image.with_range(job.range))
}
