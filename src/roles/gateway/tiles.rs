//! Images that are shared in parts: scans that are read band by band and shared tile by tile, and frames.

use super::plane::{Plane, PlaneSource};
use super::sharing::{Read, Sharing};
use super::{GatewayError, GatewayEvent, Item};
use crate::artefact::{Channel, Tile};
use crate::files::output::half_done::HalfDone;
use crate::image::{Cut, Cutter, GreyImage, ImageError, Raster, RowReader, Tiling};
use crate::model::Fit;
use crate::roles::images::{Entry, ImageLevels, open_noisy_rows};
use crate::roles::observer::Observer;
use crate::size::Position;
use crate::size::Size;
use std::borrow::Cow;
use std::time::Instant;

/// How the parts of one channel fit together, and the levels of the last.
type Fitted = (Fit, Option<ImageLevels>);

impl Sharing<'_> {
    /// Shares image number `number` in tiles; hands it out if one tile would hold it all. A failure
    /// leaves none of the image's tiles, and neither does a signal.
    pub(super) fn tiles<'i>(
        &mut self,
        number: usize,
        item: &'i Item<'_>,
        side: usize,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<Option<Read<'i>>, GatewayError> {
        let about = |e: ImageError| GatewayError::from(e).about(&item.path);
        let (rows, format, origin) = match item.image {
            Some((image, format)) => {
                let rows = RowReader::whole(image.clone());
                let rows = match self.request.range {
                    Some(range) => rows.scaled(range),
                    None => rows,
                };
                (rows, format, None)
            }
            None => {
                let (chosen, noise) = self.chosen();
                open_noisy_rows(&item.path, chosen, noise)?
            }
        };
        let network = &self.request.public.model.network;
        let (frames, Size { height, width }) = (rows.frames(), rows.size());
        let picture = Size::new(height / frames, width);
        let cut = Cut::new(picture, side, network.picture_reach()).map_err(about)?;
        match cut {
            None => Ok(Some((Cow::Owned(rows.all().map_err(about)?), format, origin))),
            Some(_) if frames > 1 => {
                let side = (height / frames).max(width);
                Err(GatewayError::FramesInTiles { frames, side }.about(&item.path))
            }
            Some(cut) => {
                let tile = network.image_size(cut.tile());
                network.grid(tile).map_err(|e| GatewayError::from(e).about(&item.path))?;
                let scan = self.scan(origin);
                let (on_disk, scan) = (item.image.is_none(), scan.as_ref());
                let name = &item.name;
                let of = PlaneSource { number, file: &item.path, name, on_disk, format, scan };
                let known = self.report.images.len();
                let shared = self.rows_of_tiles(of, rows, cut, observer);
                self.all_or_none(known, shared).map(|()| None)
            }
        }
    }

    /// Shares the frames of an image, each as a tile that answers for itself. A failure leaves none of
    /// them, and neither does a signal.
    pub(super) fn frames(
        &mut self,
        of: PlaneSource<'_>,
        image: &Raster,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<(), GatewayError> {
        let known = self.report.images.len();
        let shared = self.each_frame(of, image, observer);
        self.all_or_none(known, shared)
    }

    /// After a failure, forgets the entries behind those that were `known` and removes their files.
    pub(super) fn all_or_none<T>(
        &mut self,
        known: usize,
        shared: Result<T, GatewayError>,
    ) -> Result<T, GatewayError> {
        if shared.is_err() {
            self.report.images.truncate(known);
            self.half_done.drain(..).for_each(HalfDone::remove);
        }
        while self.half_done.pop().is_some() {}
        shared
    }

    fn each_frame(
        &mut self,
        of: PlaneSource<'_>,
        image: &Raster,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<(), GatewayError> {
        let about = |e: ImageError| GatewayError::from(e).about(of.file);
        let (frames, size) = (image.frames(), image.size());
        self.entry().check(image).map_err(about)?;
        let tiling =
            Tiling::new(size, Size { height: size.height / frames, ..size }).map_err(about)?;
        let group = self.group(of.file, image.is_colour(), true)?;
        let (depth, range) = (image.depth(), image.range());
        // Of all frames, as of all tiles.
        let mut fits = self.unfitted(size.pixels(), image.planes().len());
        let colour = (fits.len() > 1).then_some(group);
        observer.event(GatewayEvent::SharingFrames);
        for frame in 0..frames {
            let tile = Some(Tile {
                group,
                tiling,
                place: Position::new(frame, 0),
                inset: Position::new(0, 0),
            });
            let planes = image.frame(frame).map_err(about)?;
            let images = self.entry().images(&planes).map_err(about)?;
            for (index, (grey, fitted)) in images.iter().zip(&mut fits).enumerate() {
                let channel = colour.map(|group| Channel { group, index: index as u8 });
                let plane = Plane { of, depth, range, grey, channel, tile, turned: None };
                self.part(&plane, fitted, observer)?;
            }
            observer.progress((frame + 1) as f64 / frames as f64);
        }
        observer.event(GatewayEvent::SharedFrames {
            file: of.file.to_owned(),
            frames,
            size: tiling.core(),
        });
        self.tell_all_clamped(of, &fits, observer);
        Ok(())
    }

    fn rows_of_tiles(
        &mut self,
        of: PlaneSource<'_>,
        rows: RowReader<'static>,
        cut: Cut,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<(), GatewayError> {
        let about = |e: ImageError| GatewayError::from(e).about(of.file);
        let (depth, range, channels) = (rows.depth(), rows.range(), rows.channels());
        let group = self.group(of.file, channels > 1, true)?;
        let mut cutter = Cutter::new(rows, cut).map_err(about)?;
        let tiling = *cut.tiling();
        // Of all tiles, so that no more tiles are shared than it takes to know that it is too many.
        let pixels = tiling.count() * cut.tile().height * cut.tile().width;
        let mut fits = self.unfitted(pixels, channels);
        let colour = (fits.len() > 1).then_some(group);
        observer.event(GatewayEvent::SharingTiles);
        loop {
            let reading = Instant::now();
            let row = cutter.advance().map_err(about)?;
            self.report.read_seconds += reading.elapsed().as_secs_f64();
            let Some(row) = row else { break };
            for column in 0..tiling.counts().width {
                let place = Position::new(row, column);
                let tile = Some(Tile { group, tiling, place, inset: cut.inset(place) });
                let planes = (0..channels).map(|channel| cutter.tile(column, channel));
                let planes = planes.collect::<Result<Vec<GreyImage>, _>>().map_err(about)?;
                let images = self.entry().images(&planes).map_err(about)?;
                for (index, (grey, fitted)) in images.iter().zip(&mut fits).enumerate() {
                    let channel = colour.map(|group| Channel { group, index: index as u8 });
                    let plane = Plane { of, depth, range, grey, channel, tile, turned: None };
                    self.part(&plane, fitted, observer)?;
                }
            }
            observer.progress((row + 1) as f64 / tiling.counts().height as f64);
        }
        let shares = fits.len() * self.request.average.orientations().len();
        observer.event(GatewayEvent::SharedTiles { file: of.file.to_owned(), cut, shares });
        self.tell_all_clamped(of, &fits, observer);
        Ok(())
    }

    /// How nothing yet of so many pixels a channel fits, one for each image that enters the model.
    fn unfitted(&self, pixels: usize, channels: usize) -> Vec<Fitted> {
        match self.entry() {
            Entry::Planes => vec![(Fit::of(pixels), None); channels],
            Entry::Mosaic { .. } => vec![(Fit::of(pixels * channels), None)],
        }
    }

    /// Shares one part of a channel, unless those so far do not fit together.
    fn part(
        &mut self,
        plane: &Plane<'_>,
        (fit, met): &mut Fitted,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<(), GatewayError> {
        let ready = self.encode(plane, observer)?;
        fit.note(ready.encoded.fit);
        self.judge(plane.of.file, *fit, &ready.levels)?;
        self.write(plane, &ready)?;
        *met = Some(ready.levels);
        Ok(())
    }

    fn tell_all_clamped(
        &self,
        of: PlaneSource<'_>,
        fits: &[Fitted],
        observer: &mut dyn Observer<GatewayEvent>,
    ) {
        for (fit, levels) in fits {
            levels.iter().for_each(|levels| self.tell_clamped(of.file, *fit, levels, observer));
        }
    }
}
