//! What a user wants of a cloud in one session: image files denoised, or material made ahead.

use super::error::UserError;
use super::event::UserEvent;
use super::user::{OwnImage, Visit};
use crate::files::Place;
use crate::files::output::{Overwrite, ensure_not_input};
use crate::image::dicom::Window;
use crate::image::{GreyImage, ImageFormat, Implausible, Range, Raster};
use crate::model::{
    ActivationSpec, Clamping, Encoded, LinearSpec, PublicModel, Trained, encode_image,
};
use crate::network::Network;
use crate::roles::images::{
    Chosen, Entry, ImageLevels, Levels, Target, base_name, ensure_distinct, is_folder, read_noisy,
    read_picture, restored_name,
};
use crate::roles::level_note::{LevelNote, tell_noise};
use crate::roles::observer::Observer;
use crate::roles::plausible::{Implausibility, Plausibility};
use crate::roles::range_alarm::{Alarmed, RangeAlarm};
use crate::roles::server::OwnResult;
use crate::roles::settle::settle;
use crate::roles::shown;
use crate::size::Size;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a user wants of a cloud in one session.
#[derive(Clone, Debug)]
pub struct Errand<'a> {
    /// The images' files, as [`crate::roles::images::images`] lists them; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The window through which DICOM is read; other formats have none.
    pub window: Option<Window>,
    /// Which values of other formats are black and white; those that noise cannot be told of are refused if none.
    pub range: Option<Range>,
    /// Whether images in colour are taken too, channel by channel.
    pub colour: bool,
    /// Their noise.
    pub levels: Levels,
    /// How many pixels may have to be clamped to what the model was shared for.
    pub clamping: Clamping,
    /// What becomes of results that take away more than the noise told.
    pub implausibility: Implausibility,
    /// What becomes of results whose range alarm was raised.
    pub alarmed: Alarmed,
    /// What is to be done.
    pub goal: Goal<'a>,
}

/// What is to be done for some images.
#[derive(Clone, Copy, Debug)]
pub enum Goal<'a> {
    /// Denoise them.
    Denoise {
        /// A file for one image, or a folder that exists, or `-`.
        out: &'a Path,
        /// Whether files may be replaced.
        overwrite: Overwrite,
    },
    /// Make slots ahead, of each size among them.
    Prepare {
        /// Slots of each size.
        slots: u64,
        /// One more size.
        size: Option<Size>,
    },
}

/// What came of an [`Errand`].
#[derive(Clone, Debug, Default)]
pub struct Errands {
    /// The images that are denoised and written, in order.
    pub images: Vec<Brought>,
    /// Slots that were made.
    pub slots_made: u64,
}

/// An image that is denoised and written.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Brought {
    /// The noisy image.
    #[serde(serialize_with = "shown::path")]
    pub file: PathBuf,
    /// The denoised image.
    #[serde(serialize_with = "shown::path")]
    pub out: PathBuf,
    /// Rows, of all frames.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Noise level of the first channel, in grey levels.
    pub sigma: f64,
    /// Slots used: one for each channel of each frame; with a model for colours one for each frame.
    pub slots: usize,
    /// Seconds from the agreement on the first slot to the last result.
    pub online_seconds: f64,
    /// Whether what was taken away looks like the noise told.
    #[serde(flatten)]
    pub plausibility: Plausibility,
    /// What its range alarm says.
    pub range_alarm: RangeAlarm,
}

/// The levels of a grey image, and its pixels in fixed point.
type EncodedPlane = (ImageLevels, Vec<i64>);

/// An image that is read and in fixed point.
struct Plain {
    image: Raster,
    /// One a channel of each frame, frame after frame.
    planes: Vec<EncodedPlane>,
    /// Of a frame.
    size: Size,
}

/// An errand whose outputs can be written.
pub struct Ready<'a> {
    errand: Errand<'a>,
    /// The only image, which is read before anybody is asked.
    first: Option<Plain>,
}

impl<'a> Errand<'a> {
    /// Refuses outputs that cannot be written or would replace an input, before any work is done.
    ///
    /// # Errors
    /// [`UserError::OneFile`], [`UserError::Picture`], [`UserError::Format`].
    pub fn ready(self) -> Result<Ready<'a>, UserError> {
        if let Goal::Denoise { out, .. } = self.goal {
            self.check(out)?;
        }
        Ok(Ready { errand: self, first: None })
    }

    fn check(&self, out: &Path) -> Result<(), UserError> {
        let inputs: Vec<&Path> = self.files.iter().map(PathBuf::as_path).collect();
        if !is_folder(out) && inputs.len() > 1 {
            return Err(UserError::OneFile { images: inputs.len() }.about(out));
        }
        let outputs: Vec<Place> = inputs.iter().map(|file| output(out, file)).collect();
        let names = outputs.iter().map(|output| output.name().display().to_string());
        ensure_distinct(names.zip(inputs.iter().copied()))?;
        for (file, output) in inputs.iter().zip(&outputs) {
            let target = self.target(file, output);
            target.check()?;
            if !output.is_stream() {
                ensure_not_input(output, &inputs)?;
            }
            target.prove()?;
        }
        Ok(())
    }

    fn target<'f>(&self, file: &'f Path, out: &'f Place) -> Target<'f> {
        let overwrite = match self.goal {
            Goal::Denoise { overwrite, .. } => overwrite,
            Goal::Prepare { .. } => Overwrite::Never,
        };
        Target { out, original: Some(file), window: self.window, overwrite }
    }

    /// Reads an image and encodes its channels; refuses what the model was not shared for.
    fn read(
        &self,
        file: &Path,
        model: &PublicModel,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<Plain, UserError> {
        let chosen = Chosen { window: self.window, range: self.range };
        let (image, ..) = read_noisy(file, chosen, self.levels.told(model.trained()))?;
        let entry = Entry::of(model.trained());
        if image.is_colour() && !self.colour && !entry.is_mosaic() {
            return Err(UserError::Colour.about(file));
        }
        let mut planes = Vec::new();
        let mut size = image.size();
        for frame in 0..image.frames() {
            let images = entry.images(&image.frame(frame)?).map(Cow::into_owned);
            for grey in images.map_err(|e| UserError::from(e).about(file))? {
                size = grey.size();
                model.network.grid(size).map_err(|e| UserError::from(e).about(file))?;
                planes.push(self.encode(file, &grey, model, observer)?);
            }
        }
        Ok(Plain { image, planes, size })
    }

    fn encode(
        &self,
        file: &Path,
        grey: &GreyImage,
        model: &PublicModel,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<EncodedPlane, UserError> {
        let levels = self.levels.of(grey, model.trained());
        let levels = levels.map_err(|e| UserError::from(e).about(file))?;
        tell_noise(&self.levels, file, levels.sigma, model.trained(), observer);
        let Encoded { pixels, fit, .. } = encode_image(model, grey, &levels.map);
        let judged = fit.judge(self.clamping, model, &levels.map);
        judged.map_err(|unfit| UserError::Unfit(unfit).about(file))?;
        if fit.clamped > 0 {
            let (file, unfit) = (file.to_owned(), fit.unfit(model, &levels.map));
            observer.event(LevelNote::Clamped { file, unfit }.into());
        }
        Ok((levels, pixels))
    }

    /// Refuses a result whose alarm was raised, or tells of it and goes on.
    fn settle_alarm(
        &self,
        raised: Option<bool>,
        file: &Path,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<RangeAlarm, UserError> {
        let alarm = self.alarmed.settle(raised);
        let alarm = alarm.map_err(|found| UserError::from(found).about(file))?;
        if alarm == RangeAlarm::Raised {
            observer.event(UserEvent::RangeAlarm { file: file.to_owned() });
        }
        Ok(alarm)
    }

    /// The sizes to make slots for.
    fn sizes(&self, more: Option<Size>) -> Result<BTreeSet<Size>, UserError> {
        let of_file = |file: &PathBuf| {
            let (image, _) = read_picture(file, self.window)?;
            let first = image.frame(0)?.first().map(|grey| grey.size());
            Ok(first.unwrap_or(image.size()))
        };
        let sizes: Result<BTreeSet<_>, UserError> = self.files.iter().map(of_file).collect();
        Ok(sizes?.into_iter().chain(more).collect())
    }
}

impl Ready<'_> {
    /// Reads an image that is the only one, so that one which is no good is told before anybody is asked.
    ///
    /// # Errors
    /// [`UserError::Picture`], [`UserError::Image`], [`UserError::Network`], [`UserError`].
    pub fn read_ahead(
        &mut self,
        model: &PublicModel,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<(), UserError> {
        if let ([file], Goal::Denoise { .. }) = (&self.errand.files[..], self.errand.goal) {
            self.first = Some(self.errand.read(file, model, observer)?);
        }
        Ok(())
    }
}

impl Visit<'_> {
    /// Runs an errand. An image of several that cannot be read or written is told to `observer`, and the
    /// others go on; slots are made where too few are left.
    ///
    /// # Errors
    /// As [`Visit::prepare`] and [`Visit::denoise`]; [`UserError::CloudEnds`].
    pub fn run(
        &mut self,
        errand: Ready<'_>,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<Errands, UserError> {
        let Ready { errand, mut first } = errand;
        let mut done = Errands::default();
        let out = match errand.goal {
            Goal::Prepare { slots, size } => {
                for size in errand.sizes(size)? {
                    let size = self.user.public().model.network.image_size(size);
                    done.slots_made += self.make(size, slots, observer)?;
                }
                return Ok(done);
            }
            Goal::Denoise { out, .. } => out,
        };
        for file in &errand.files {
            let plain = match first.take() {
                Some(plain) => Ok(plain),
                None => errand.read(file, &self.user.public().model, observer),
            };
            let written = match plain {
                Ok(plain) => {
                    self.bring(&errand, file, &output(out, file), plain, &mut done, observer)?
                }
                Err(error) => Err(error),
            };
            match written {
                Err(error) if errand.files.len() > 1 => {
                    observer.event(UserEvent::Failed { file: file.clone(), error });
                }
                other => other?,
            }
        }
        Ok(done)
    }

    /// Denoises an image and writes it. The outer error is of the session, the inner one of this image alone.
    fn bring(
        &mut self,
        errand: &Errand<'_>,
        file: &Path,
        out: &Place,
        plain: Plain,
        done: &mut Errands,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<Result<(), UserError>, UserError> {
        let Plain { image, planes, size } = plain;
        if let Some(frames) = errand.target(file, out).stacked(&image) {
            observer.event(UserEvent::Stacked { out: out.name().into(), frames });
        }
        let count = planes.len() as u64;
        done.slots_made += self.supply(size, count, observer)?;
        let own = |levels: ImageLevels, pixels| {
            let (name, noise) = (file.into(), levels.map.noise);
            (levels, OwnImage { name, size, pixels: Zeroizing::new(pixels), noise })
        };
        let (levels, owns): (Vec<ImageLevels>, Vec<OwnImage>) =
            planes.into_iter().map(|(levels, pixels)| own(levels, pixels)).unzip();
        let (results, reports) = self.denoise(owns, observer)?;
        if results.len() < levels.len() {
            return Err(UserError::CloudEnds.about(file));
        }
        let slots = results.len();
        let trained = self.user.public().model.trained();
        let raised = raised(&results);
        let units: Vec<Vec<f64>> = results.into_iter().map(|result| result.units).collect();
        let judged = errand.settle_alarm(raised, file, observer).and_then(|range_alarm| {
            let plausibility = judge(&image, &levels, &units, trained, |found| {
                let settled = settle(errand.implausibility, found, file, observer);
                settled.map_err(|found| UserError::from(found).about(file))
            })?;
            Ok((plausibility, range_alarm))
        });
        let written = judged.and_then(|judged| {
            let network = &self.user.public().model.network;
            let image = assemble(network, &image, &levels, units)?;
            errand.target(file, out).write(&image)?;
            Ok(judged)
        });
        let written = written.map(|(plausibility, range_alarm)| {
            let online = reports.iter().flat_map(|report| &report.images);
            done.images.push(Brought {
                file: file.into(),
                out: out.name().into(),
                height: image.height(),
                width: image.width(),
                sigma: levels[0].sigma,
                slots,
                online_seconds: online.map(|image| image.online.seconds).sum(),
                plausibility,
                range_alarm,
            });
        });
        Ok(written)
    }
}

/// Where an image goes: within a folder under its own name, in a format that is written.
fn output(out: &Path, file: &Path) -> Place {
    let out = Place::from(out);
    if !out.is_folder() {
        return out;
    }
    let name = base_name(file);
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or("");
    match ImageFormat::from_extension(extension) {
        Ok(ImageFormat::Dicom) => out.join(name),
        Ok(format) => out.join(restored_name(&name, format)),
        // Scanners name files as they like.
        Err(_) => out.join(format!("{name}.dcm")),
    }
}

/// Whether the alarm of a plane was raised; none of a model without.
fn raised(planes: &[OwnResult]) -> Option<bool> {
    planes.iter().filter_map(|plane| plane.alarm).reduce(|a, b| a | b)
}

/// Settles what was taken away from each plane.
fn judge(
    image: &Raster,
    levels: &[ImageLevels],
    results: &[Vec<f64>],
    trained: Trained,
    mut settled: impl FnMut(Result<(), Implausible>) -> Result<Plausibility, UserError>,
) -> Result<Plausibility, UserError> {
    let mut plausibility = Plausibility::Plausible;
    let mut known = levels.iter().zip(results);
    for frame in 0..image.frames() {
        let entry = Entry::of(trained);
        let images = entry.images(&image.frame(frame)?)?.into_owned();
        for (grey, (levels, units)) in images.iter().zip(&mut known) {
            let noise = trained.working_noise(&levels.map);
            let found = levels.map.residual(grey, units, trained).judge(noise);
            let found = settled(found.map_err(|found| entry.placed(found, grey.size())))?;
            plausibility = plausibility.and(found);
        }
    }
    Ok(plausibility)
}

/// The image of its denoised planes, which are frame after frame.
fn assemble(
    network: &Network<LinearSpec, ActivationSpec>,
    image: &Raster,
    levels: &[ImageLevels],
    results: Vec<Vec<f64>>,
) -> Result<Raster, UserError> {
    let channels = image.planes().len();
    let frame = Size { height: image.height() / image.frames().max(1), width: image.width() };
    let Size { height: rows, width: columns } = network.image_size(frame);
    let (entry, mut planes) =
        (Entry::of_results(network.is_of_colours()), vec![Vec::new(); channels]);
    let mut next = 0;
    for (levels, units) in levels.iter().zip(results) {
        let grey = units.iter().map(|&u| levels.map.to_grey(u) as f32).collect();
        for plane in entry.planes(GreyImage::new(rows, columns, grey)?)? {
            planes[next % channels].extend(plane.into_pixels());
            next += 1;
        }
    }
    let Size { height, width } = image.size();
    let planes = planes.into_iter().map(|pixels| GreyImage::new(height, width, pixels));
    Ok(image.with_planes(planes.collect::<Result<_, _>>()?)?)
}
