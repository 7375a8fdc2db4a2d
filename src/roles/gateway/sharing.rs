//! From an image to the shares of its planes.

use super::plane::{Plane, PlaneSource, Ready};
use super::request::{ShareImages, ShareReport, SharedPlane};
use super::{Gateway, GatewayError, GatewayEvent, Item};
use crate::artefact::{Channel, Note, SharedImage, SharedScan, Tile, Turned, write_image_shares};
use crate::files::output::half_done::HalfDone;
use crate::files::output::{Access, OutputFile, commit_all, commit_part, ensure_not_input};
use crate::files::{FormatError, Place};
use crate::ids::{ImageId, RandomError};
use crate::image::dicom::Origin;
use crate::image::{Average, ImageFormat, Raster, Sketch};
use crate::model::{Encoded, Fit, PublicModel, encode_image};
use crate::roles::images::{Chosen, Entry, ImageLevels, read_noisy};
use crate::roles::level_note::{LevelNote, tell_noise};
use crate::roles::observer::Observer;
use crate::size::Position;
use crate::size::Size;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A sketch of the noisy picture as the network sees it, by which the receiver judges what is taken away.
fn sketch(model: &PublicModel, ready: &Ready, size: Size) -> Result<Sketch, FormatError> {
    let mut seed = [0; Sketch::SEED];
    getrandom::fill(&mut seed).map_err(RandomError::from)?;
    let noise = model.trained().working_noise(&ready.levels.map);
    Ok(Sketch::of(size, model.working_levels(&ready.encoded.pixels), noise, seed))
}

/// An image that was read, its format, and which object its file is if that is DICOM.
pub(super) type Read<'i> = (Cow<'i, Raster>, ImageFormat, Option<Origin>);

/// A request at work.
pub(super) struct Sharing<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) request: &'a ShareImages<'a>,
    pub(super) several: bool,
    pub(super) report: ShareReport,
    /// The files so far of an image of several.
    pub(super) half_done: Vec<HalfDone>,
}

impl<'a> Sharing<'a> {
    pub(super) fn new(gateway: &'a Gateway, request: &'a ShareImages<'_>, several: bool) -> Self {
        let (report, half_done) = (ShareReport::default(), Vec::new());
        Sharing { gateway, request, several, report, half_done }
    }

    /// Shares image number `number`.
    pub(super) fn share(
        &mut self,
        number: usize,
        item: &Item<'_>,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<(), GatewayError> {
        let reading = Instant::now();
        let (image, format, origin) = match self.request.tile {
            None => self.read(item)?,
            Some(side) => match self.tiles(number, item, side, observer)? {
                None => return Ok(()),
                Some(fits_one) => fits_one,
            },
        };
        self.report.read_seconds += reading.elapsed().as_secs_f64();
        let scan = self.scan(origin);
        let (on_disk, scan) = (item.image.is_none(), scan.as_ref());
        let name = &item.name;
        let of = PlaneSource { number, file: &item.path, name, on_disk, format, scan };
        if image.frames() > 1 {
            return self.frames(of, &image, observer);
        }
        let known = self.report.images.len();
        let shared = self.planes(of, &image, observer);
        let fits = self.all_or_none(known, shared)?;
        for image in self.report.images[known..].iter().cloned() {
            observer.event(GatewayEvent::Shared { image, of_several: self.several });
        }
        for (fit, levels) in fits {
            self.tell_clamped(of.file, fit, &levels, observer);
        }
        Ok(())
    }

    /// Shares the planes of an image, and says how each fits.
    fn planes(
        &mut self,
        of: PlaneSource<'_>,
        image: &Raster,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<Vec<(Fit, ImageLevels)>, GatewayError> {
        let (depth, range) = (image.depth(), image.range());
        let group = self.group(of.file, image.is_colour(), false)?;
        // All channels are judged before the first is written.
        let mut planes = Vec::new();
        let images = self.entry().check(image).and_then(|()| self.entry().images(image.planes()));
        let images = images.map_err(|e| GatewayError::from(e).about(of.file))?;
        for (index, grey) in images.iter().enumerate() {
            let index = index as u8;
            let channel = (images.len() > 1).then_some(Channel { group, index });
            let plane = Plane { of, depth, range, grey, channel, tile: None, turned: None };
            let ready = self.encode(&plane, observer)?;
            self.judge(of.file, ready.encoded.fit, &ready.levels)?;
            planes.push((plane, ready));
        }
        planes.iter().try_for_each(|(plane, ready)| self.write(plane, ready))?;
        Ok(planes.into_iter().map(|(_, ready)| (ready.encoded.fit, ready.levels)).collect())
    }

    fn read<'i>(&self, item: &Item<'i>) -> Result<Read<'i>, GatewayError> {
        match item.image {
            Some((image, format)) => match self.request.range {
                None => Ok((Cow::Borrowed(image), format, None)),
                Some(range) => {
                    let scaled = image.clone().scaled(range);
                    let scaled = scaled.map_err(|e| GatewayError::from(e).about(&item.path))?;
                    Ok((Cow::Owned(scaled), format, None))
                }
            },
            None => {
                let (chosen, noise) = self.chosen();
                let (image, format, origin) = read_noisy(&item.path, chosen, noise)?;
                Ok((Cow::Owned(image), format, origin))
            }
        }
    }

    /// How the planes of a picture enter the model.
    pub(super) fn entry(&self) -> Entry {
        Entry::of(self.request.public.model.trained())
    }

    /// What becomes black and white in a file, and the noise that is told of it.
    pub(super) fn chosen(&self) -> (Chosen, Option<f64>) {
        let ShareImages { window, range, levels, public, .. } = *self.request;
        (Chosen { window, range }, levels.told(public.model.trained()))
    }

    /// What the receiver is told of a DICOM object.
    pub(super) fn scan(&self, origin: Option<Origin>) -> Option<SharedScan> {
        origin.map(|origin| SharedScan { origin, window: self.request.window })
    }

    /// A fresh id for what belongs together. Refuses colour unless it was asked for, and what could
    /// not be joined again.
    pub(super) fn group(
        &self,
        file: &Path,
        colour: bool,
        tiles: bool,
    ) -> Result<ImageId, GatewayError> {
        let refuse = |e: GatewayError| Err(e.about(file));
        if colour && !self.request.colour && !self.entry().is_mosaic() {
            return refuse(GatewayError::Colour);
        }
        match self.gateway.receiver {
            Err(_) if self.request.average != Average::None => {
                refuse(GatewayError::AverageWithoutNote)
            }
            Err(_) if tiles => refuse(GatewayError::TilesWithoutNote),
            Err(_) if colour && !self.entry().is_mosaic() => {
                refuse(GatewayError::ColourWithoutNote)
            }
            _ => Ok(ImageId::random().map_err(FormatError::from)?),
        }
    }

    /// One grey image in fixed point.
    pub(super) fn encode(
        &self,
        plane: &Plane<'_>,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<Ready, GatewayError> {
        let (model, file) = (&self.request.public.model, plane.of.file);
        let levels = self.request.levels.of(plane.grey, model.trained());
        let levels = levels.map_err(|e| GatewayError::from(e).about(file))?;
        tell_noise(&self.request.levels, file, levels.sigma, model.trained(), observer);
        Ok(Ready { encoded: encode_image(model, plane.grey, &levels.map), levels })
    }

    /// Writes the shares of a plane, in every orientation that is asked for.
    pub(super) fn write(&mut self, plane: &Plane<'_>, ready: &Ready) -> Result<(), GatewayError> {
        let average = self.request.average;
        if average == Average::None {
            return self.write_one(plane, ready);
        }
        let group = ImageId::random().map_err(FormatError::from)?;
        for &orientation in average.orientations() {
            let grey = &self.entry().turn(orientation, plane.grey)?;
            // The levels are those of the upright plane: an estimate of a mirror image may be another one.
            let levels = ready.levels;
            let encoded = encode_image(&self.request.public.model, grey, &levels.map);
            let turned = Some(Turned { group, orientation, average });
            self.write_one(&Plane { grey, turned, ..*plane }, &Ready { levels, encoded })?;
        }
        Ok(())
    }

    /// Writes the shares of one grey image.
    fn write_one(&mut self, plane: &Plane<'_>, ready: &Ready) -> Result<(), GatewayError> {
        let Plane { of, depth, range, grey, channel, tile, turned } = *plane;
        let Ready { levels, encoded: Encoded { pixels: encoded, fit, .. } } = ready;
        let size = grey.size();
        let public = self.request.public;
        let model = &public.model;
        let means = model.patch_means(encoded, size);
        let means = means.map_err(|e| GatewayError::from(e).about(of.file))?;
        let id = ImageId::random().map_err(FormatError::from)?;
        let prefix = self.prefix(plane, id);
        let outs = self.outputs(of, &prefix)?;
        let (name, headers) = (of.name.to_owned(), Vec::new());
        let sketch = sketch(model, ready, size)?;
        let (format, scan) = (of.format, of.scan.cloned());
        let note =
            Note { name, format, depth, range, channel, tile, turned, sketch, scan, headers };
        let shared = SharedImage {
            id,
            encoded,
            size,
            sigma: levels.sigma,
            levels: levels.map,
            means: &means,
            note: self.gateway.receiver.as_ref().ok().map(|receiver| (&note, receiver)),
        };
        let outs = write_image_shares(&shared, public, &self.gateway.parties, outs)?;
        match (tile, channel, turned) {
            (None, None, None) => commit_all(outs)?,
            _ => commit_part(outs, &mut self.half_done)?,
        }
        let size = public.model.network.picture_size(size);
        let entry = SharedPlane {
            file: of.file.to_owned(),
            channel: channel.map(|channel| channel.index),
            tile: tile.and_then(|tile: Tile| tile.tiling.rect(tile.place)),
            orientation: turned.map(|turned| turned.orientation),
            id,
            prefix: prefix.name().to_owned(),
            height: size.height,
            width: size.width,
            sigma: levels.sigma,
            clamped: fit.clamped,
        };
        self.report.images.push(entry);
        Ok(())
    }

    /// Both files, which replace no input.
    fn outputs(
        &self,
        of: PlaneSource<'_>,
        prefix: &Place,
    ) -> Result<[OutputFile; 2], GatewayError> {
        let mut inputs: Vec<&Path> = self.request.inputs.iter().map(PathBuf::as_path).collect();
        inputs.extend(of.on_disk.then_some(of.file));
        let create = |suffix| {
            let place = prefix.with_suffix(suffix);
            ensure_not_input(&place, &inputs)?;
            OutputFile::create(place, Access::Secret, self.request.overwrite)
        };
        Ok([create("s0")?, create("s1")?])
    }

    /// Where the shares go.
    fn prefix(&self, plane: &Plane<'_>, id: ImageId) -> Place {
        let out = &self.request.out;
        if out.is_folder() {
            return out.join(id.to_string());
        }
        let mut name = out.name().as_os_str().to_owned();
        if self.several {
            name.push(format!("-{}", plane.of.number + 1));
        }
        if let Some(Tile { tiling, place: Position { row, column }, .. }) = plane.tile {
            name.push(format!("-t{}", row * tiling.counts().width + column + 1));
        }
        if let Some(colour) = plane.colour() {
            name.push(format!("-{colour}"));
        }
        if let Some(Turned { orientation, .. }) = plane.turned {
            name.push(format!("-o{orientation}"));
        }
        out.called(name.into())
    }

    /// Refuses an image, or a channel of one, of which more had to be clamped than is accepted.
    pub(super) fn judge(
        &self,
        file: &Path,
        fit: Fit,
        levels: &ImageLevels,
    ) -> Result<(), GatewayError> {
        let clamping = self.request.clamping;
        let judged = fit.judge(clamping, &self.request.public.model, &levels.map);
        judged.map_err(|unfit| GatewayError::Unfit { unfit, clamping }.about(file))
    }

    pub(super) fn tell_clamped(
        &self,
        file: &Path,
        fit: Fit,
        levels: &ImageLevels,
        observer: &mut dyn Observer<GatewayEvent>,
    ) {
        if fit.clamped > 0 {
            let unfit = fit.unfit(&self.request.public.model, &levels.map);
            observer.event(LevelNote::Clamped { file: file.to_owned(), unfit }.into());
        }
    }
}
