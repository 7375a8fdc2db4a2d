//! `share-image --tile`: an image that is read band by band and shared tile by tile.

use super::super::failure::{Code, Failure};
use super::super::files::open_rows;
use super::super::output::Console;
use super::{Plane, Sharing};
use crate::artefact::{Channel, Tile};
use crate::files::output::half_done::HalfDone;
use crate::image::{
    Cut, Cutter, Depth, GreyImage, ImageError, ImageFormat, Raster, RowReader, Tiling,
};
use crate::model::Fit;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// The part of an image that a tile answers for.
#[derive(Serialize)]
pub(super) struct Part {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Part {
    pub(super) fn of(tile: Tile) -> Option<Part> {
        let cell = tile.tiling.rect(tile.place)?;
        Some(Part { top: cell.top, left: cell.left, height: cell.height, width: cell.width })
    }
}

impl Sharing<'_> {
    /// Shares image number `number` in tiles; hands it out if one tile would hold it all. A failure
    /// leaves none of the image's tiles, and neither does a signal.
    pub(super) fn tiles(
        &mut self,
        number: usize,
        file: &Path,
        side: usize,
        console: &mut Console,
    ) -> Result<Option<(Raster, ImageFormat)>, Failure> {
        let about = |e: ImageError| Failure::from(e).about(file);
        let (rows, format) = open_rows(file, self.args.dicom.window)?;
        let network = &self.public.model.network;
        if rows.frames() > 1 {
            let (frames, (height, width)) = (rows.frames(), rows.size());
            let frame = (height / frames, width);
            if Cut::new(frame, side, network.reach()).map_err(about)?.is_some() {
                let text = format!("an image of {frames} frames is not cut into tiles");
                let help = format!("leave --tile away, or give --tile {}", frame.0.max(frame.1));
                return Err(Failure::new(Code::Usage, text).about(file).help(help));
            }
            let image = all(rows).and_then(|image| image.in_frames(frames)).map_err(about)?;
            return Ok(Some((image, format)));
        }
        let Some(cut) = Cut::new(rows.size(), side, network.reach()).map_err(about)? else {
            return Ok(Some((all(rows).map_err(about)?, format)));
        };
        network.grid(cut.tile()).map_err(|e| Failure::from(e).about(file))?;
        let (known, scan) = (self.entries.len(), Scan { number, file, format });
        let shared = self.rows_of_tiles(&scan, rows, cut, console);
        self.all_or_none(known, shared, console).map(|()| None)
    }

    /// Shares the frames of an image, each as a tile that answers for itself. A failure leaves none of
    /// them, and neither does a signal.
    pub(super) fn frames(
        &mut self,
        scan: &Scan<'_>,
        image: &Raster,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let known = self.entries.len();
        let shared = self.each_frame(scan, image, console);
        self.all_or_none(known, shared, console)
    }

    /// After a failure, forgets the entries behind those that were `known` and removes their files.
    fn all_or_none(
        &mut self,
        known: usize,
        shared: Result<(), Failure>,
        console: &mut Console,
    ) -> Result<(), Failure> {
        console.finish();
        if shared.is_err() {
            self.entries.truncate(known);
            self.half_done.drain(..).for_each(HalfDone::remove);
        }
        while self.half_done.pop().is_some() {}
        shared
    }

    fn each_frame(
        &mut self,
        scan: &Scan<'_>,
        image: &Raster,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let Scan { number, file, format } = *scan;
        let about = |e: ImageError| Failure::from(e).about(file);
        let (frames, size) = (image.frames(), (image.height(), image.width()));
        let tiling = Tiling::new(size, (size.0 / frames, size.1)).map_err(about)?;
        let group = self.group(file, image.is_colour(), true)?;
        let channels = if image.is_colour() { 3 } else { 1 };
        let depth = image.depth();
        // Of all frames, as of all tiles.
        let mut fits = vec![(Fit::of(size.0 * size.1), None); channels];
        console.phase("sharing frames");
        for frame in 0..frames {
            let tile = Some(Tile { group, tiling, place: (frame, 0), inset: (0, 0) });
            let planes = image.frame(frame).map_err(about)?;
            for (index, (grey, (fit, met))) in planes.iter().zip(&mut fits).enumerate() {
                let channel = image.is_colour().then_some(Channel { group, index: index as u8 });
                let plane = Plane { number, file, format, depth, grey, channel, tile };
                let ready = self.encode(&plane, console)?;
                fit.note(ready.encoded.fit);
                self.judge(file, *fit, &ready.levels)?;
                self.write(&plane, &ready, console)?;
                *met = Some(ready.levels);
            }
            console.progress((frame + 1) as f64 / frames as f64);
        }
        console.finish();
        let (rows, columns) = tiling.cell();
        console.note(format!(
            "{}: {frames} frames of {rows}x{columns} shared in {}",
            file.display(),
            self.args.out.display()
        ));
        for (fit, levels) in fits {
            levels.iter().for_each(|levels| self.tell_clamped(fit, levels, console));
        }
        Ok(())
    }

    fn rows_of_tiles(
        &mut self,
        scan: &Scan<'_>,
        rows: RowReader<'static>,
        cut: Cut,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let Scan { number, file, format } = *scan;
        let about = |e: ImageError| Failure::from(e).about(file);
        let (depth, channels) = (rows.depth(), rows.channels());
        let group = self.group(file, channels > 1, true)?;
        let mut cutter = Cutter::new(rows, cut).map_err(about)?;
        let tiling = *cut.tiling();
        // Of all tiles, so that no more tiles are shared than it takes to know that it is too many.
        let pixels = tiling.count() * cut.tile().0 * cut.tile().1;
        let mut fits = vec![(Fit::of(pixels), None); channels];
        console.phase("sharing tiles");
        loop {
            let reading = Instant::now();
            let row = cutter.advance().map_err(about)?;
            self.read_image_seconds += reading.elapsed().as_secs_f64();
            let Some(row) = row else { break };
            for column in 0..tiling.counts().1 {
                let place = (row, column);
                let tile = Some(Tile { group, tiling, place, inset: cut.inset(place) });
                for (index, (fit, met)) in fits.iter_mut().enumerate() {
                    let grey = &cutter.tile(column, index).map_err(about)?;
                    let channel = (channels > 1).then_some(Channel { group, index: index as u8 });
                    let plane = Plane { number, file, format, depth, grey, channel, tile };
                    let ready = self.encode(&plane, console)?;
                    fit.note(ready.encoded.fit);
                    self.judge(file, *fit, &ready.levels)?;
                    self.write(&plane, &ready, console)?;
                    *met = Some(ready.levels);
                }
            }
            console.progress((row + 1) as f64 / tiling.counts().0 as f64);
        }
        console.finish();
        self.tell_tiles(scan, &cut, channels, console);
        for (fit, levels) in fits {
            levels.iter().for_each(|levels| self.tell_clamped(fit, levels, console));
        }
        Ok(())
    }

    fn tell_tiles(&self, scan: &Scan<'_>, cut: &Cut, channels: usize, console: &Console) {
        let ((height, width), (rows, columns)) = (cut.tiling().size(), cut.tile());
        let each = if channels > 1 { ", three shares each," } else { "" };
        console.note(format!(
            "{}: {height}x{width} shared as {} tiles of {rows}x{columns}{each} in {}",
            scan.file.display(),
            cut.tiling().count(),
            self.args.out.display()
        ));
    }
}

/// The image that is cut.
pub(super) struct Scan<'a> {
    pub(super) number: usize,
    pub(super) file: &'a Path,
    pub(super) format: ImageFormat,
}

/// An image that is small enough.
fn all(mut rows: RowReader<'_>) -> Result<Raster, ImageError> {
    let ((height, width), depth): (_, Depth) = (rows.size(), rows.depth());
    let mut planes = vec![Vec::new(); rows.channels()];
    rows.read(height, &mut planes)?;
    let planes = planes.into_iter().map(|pixels| GreyImage::new(height, width, pixels));
    Raster::of_planes(planes.collect::<Result<_, _>>()?, depth)
}
