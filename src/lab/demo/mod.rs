//! The whole pipeline on one image, every step a process of its own.

mod embedded;
mod pictured;

pub(crate) use embedded::{
    IMAGE_NAME as EMBEDDED_IMAGE_NAME, image as embedded_image, model as embedded_model,
};

use super::error::{LabError, io_error};
use super::observer::Observer;
use super::pictures::{middle, read_image, write_image};
use super::pipeline::{
    Command, Denoiser, Joint, Link, Made, Phase, Pipeline, Served, fresh_work,
    half_of_this_machine, remove_work,
};
use crate::ids::Role;
use crate::image::metrics::Quality;
use crate::image::{ImageError, Raster};
use crate::lab::ranges::out_of_range;
use crate::material::Origin;
use crate::model::{Choices, Clamping, FloatModel, OutOfRange};
use crate::roles::Implausibility;
use crate::roles::models::read_model;
use crate::size::Size;
use pictured::{Pictures, compare};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Without a dealer nobody holds a dealer's key.
const WITHOUT_DEALER: [Role; 5] =
    [Role::ModelOwner, Role::Gateway, Role::Server0, Role::Server1, Role::Receiver];

/// What is to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The clean image's name, for readers.
    pub name: String,
    /// The clean image.
    pub image: Raster,
    /// The model.
    pub model: DemoModel,
    /// Pixels between patches; the model's own if not given.
    pub stride: Option<usize>,
    /// What is asked of quantisation.
    pub choices: Choices,
    /// Who makes the material.
    pub material: Origin,
    /// The middle of the image, at most so many pixels each way; all of it if not given.
    pub crop: Option<usize>,
    /// Noise in 8-bit grey levels.
    pub sigma: f64,
    /// Of the noise.
    pub seed: u64,
    /// What becomes of levels that the model was not shared for.
    pub clamping: Clamping,
    /// What becomes of results that take away more than the noise.
    pub implausibility: Implausibility,
    /// Whether an image that leaves calibrated ranges is an error.
    pub strict: bool,
    /// Folder for the pictures; created if missing.
    pub out: PathBuf,
    /// Whether keys, shares and material stay, in `out`/work.
    pub keep: bool,
}

/// A model of the demonstration.
#[derive(Clone, Debug)]
pub(crate) enum DemoModel {
    /// In a file.
    File(PathBuf),
    /// The tiny one within this program.
    Embedded,
}

/// What was shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Name of the picture.
    pub image: String,
    /// Name of the model.
    pub model: String,
    /// Standard deviation of the noise, in grey levels.
    pub sigma: f64,
    /// Of the noisy picture.
    #[schemars(with = "crate::roles::schema::Quality")]
    pub noisy: Quality,
    /// Of the plaintext result.
    #[schemars(with = "crate::roles::schema::Quality")]
    pub plaintext: Quality,
    /// Of the secure result.
    #[schemars(with = "crate::roles::schema::Quality")]
    pub secure: Quality,
    /// PSNR in dB that the secure result loses against the plaintext one.
    pub psnr_lost_db: f64,
    /// What left calibrated ranges, by the integer twin; null where no image can leave them.
    pub out_of_range: Option<OutOfRange>,
    /// What each role took, phase after phase.
    pub phases: Vec<PhaseRow>,
    /// Bytes between the servers online, both directions together.
    pub server_bytes_both_directions: u64,
    /// `made` by the two servers or `dealt` by a dealer.
    pub material: &'static str,
    /// Size of S0's material in bytes.
    pub material_bytes: u64,
    /// Number of activations.
    pub activations: u64,
    /// The bytes between the servers divided by the activations.
    pub online_bytes_per_activation_both_directions: f64,
    /// Peak memory of S0 and S1 in bytes; null if the platform does not report it.
    pub peak_memory_bytes: [Option<u64>; 2],
}

/// What a role took for a phase.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct PhaseRow {
    /// Name of the phase.
    pub phase: &'static str,
    /// The party that works.
    pub who: &'static str,
    /// Seconds that it took.
    pub seconds: f64,
    /// Size in bytes of what the phase makes.
    pub bytes: u64,
    /// What these bytes are.
    pub what: &'static str,
}

/// Runs the demonstration: pictures in `out`, and what each role took.
///
/// Cost: the disk holds the material of one image while it runs; the time is that of the servers.
///
/// # Errors
/// [`LabError::Foreign`] if the place of its folder is taken, [`LabError::Step`] for a role that fails, pictures
/// that cannot be written.
pub(crate) fn run(request: &Request, observer: &mut dyn Observer) -> Result<Report, LabError> {
    let work = request.out.join("work");
    fresh_work(&work)?;
    let shown = Demonstration::new(request, &work).and_then(|demo| demo.run(observer));
    if !request.keep {
        remove_work(&work)?;
    }
    observer.pause();
    shown
}

struct Demonstration<'a> {
    request: &'a Request,
    denoiser: Denoiser,
    model: FloatModel,
    pipeline: Pipeline,
    phases: Vec<PhaseRow>,
    out_of_range: Option<OutOfRange>,
}

impl<'a> Demonstration<'a> {
    fn new(request: &'a Request, work: &Path) -> Result<Self, LabError> {
        let file = match &request.model {
            DemoModel::File(file) => file.clone(),
            DemoModel::Embedded => {
                let file = work.join("tiny-9-5-24.npz");
                let written = std::fs::write(&file, embedded::MODEL);
                written.map_err(io_error(&file, "the model cannot be written"))?;
                file
            }
        };
        let denoiser = Denoiser {
            file,
            stride: request.stride,
            choices: request.choices.clone(),
            unchecked: false,
        };
        let model = read_model(&denoiser.file, request.stride)?;
        let odd = match (model.trained().of_colours, request.image.is_colour()) {
            (true, false) => Some(ImageError::Grey),
            (false, true) => Some(ImageError::Colour),
            _ => None,
        };
        if let Some(odd) = odd {
            return Err(LabError::from(odd).about(Path::new(&request.name)));
        }
        let (pipeline, phases) = (Pipeline::new(work)?, Vec::new());
        Ok(Demonstration { request, denoiser, model, pipeline, phases, out_of_range: None })
    }

    fn run(mut self, observer: &mut dyn Observer) -> Result<Report, LabError> {
        let files = Pictures::of(&self.request.out);
        let clean = self.clean(observer)?;
        write_image(&files.original, &clean)?;
        observer.phase("adding noise");
        self.add_noise(&files)?;
        observer.phase("denoising in plaintext");
        self.in_plaintext(&files)?;
        self.count_out_of_range(&files, observer)?;
        observer.phase("sharing the model");
        self.share_model()?;
        observer.phase("sharing the image");
        self.share_image(&files)?;
        observer.phase("making triples");
        self.material(clean.size())?;
        observer.phase("denoising on shares");
        let served = self.serve()?;
        observer.phase("reconstructing");
        self.reconstruct(&files)?;
        self.report(&files, clean, &served)
    }

    /// The image, or the part of it that is used.
    fn clean(&self, observer: &mut dyn Observer) -> Result<Raster, LabError> {
        let (image, name) = (&self.request.image, &self.request.name);
        match self.request.crop {
            Some(side) if side < image.height() || side < image.width() => {
                let planes = image.planes().iter().map(|plane| middle(plane, side));
                let part = image.with_planes(planes.collect::<Result<_, _>>()?)?;
                let Size { height, width } = part.size();
                let text = format!("the middle {height}x{width} of {name}; --crop 0 for all");
                observer.note(&text);
                Ok(part)
            }
            _ => Ok(image.clone()),
        }
    }

    fn took(
        &mut self,
        phase: &'static str,
        who: &'static str,
        seconds: f64,
        bytes: u64,
        what: &'static str,
    ) {
        self.phases.push(PhaseRow { phase, who, seconds, bytes, what });
    }

    fn add_noise(&self, files: &Pictures) -> Result<(), LabError> {
        let (sigma, seed) = (self.request.sigma, self.request.seed);
        let (clean, out) = (&files.original, &files.noisy);
        self.pipeline.run(&Command::AddNoise { clean, sigma, seed, out })?;
        Ok(())
    }

    fn in_plaintext(&mut self, files: &Pictures) -> Result<(), LabError> {
        let (noisy, out) = (&files.noisy, &files.plaintext);
        let Request { sigma, implausibility, .. } = *self.request;
        let denoiser = &self.denoiser;
        let denoise = Command::Denoise { noisy, denoiser, sigma, out, implausibility };
        let seconds = self.pipeline.run(&denoise)?.seconds;
        self.took("plaintext", "one process", seconds, 0, "the same network in float32");
        Ok(())
    }

    fn count_out_of_range(
        &mut self,
        files: &Pictures,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let (model, choices) = (&self.model, &self.denoiser.choices);
        let (name, noisy) = (&files.noisy, read_image(&files.noisy)?);
        let Request { sigma, strict, .. } = *self.request;
        self.out_of_range = out_of_range(model, choices, name, &noisy, sigma, strict, observer)?;
        Ok(())
    }

    fn share_model(&mut self) -> Result<(), LabError> {
        let roles = match self.request.material {
            Origin::Made => &WITHOUT_DEALER[..],
            Origin::Dealt => &[],
        };
        self.pipeline.run(&Command::Keygen { roles })?;
        let share = Command::ShareModel { denoiser: &self.denoiser };
        let seconds = self.pipeline.run(&share)?.seconds;
        let bytes = self.pipeline.size("model.s0");
        self.took("share-model", "model owner", seconds, bytes, "model share to S0, once");
        Ok(())
    }

    fn share_image(&mut self, files: &Pictures) -> Result<(), LabError> {
        let (noisy, sigma) = (&files.noisy, Some(self.request.sigma));
        let share = Command::ShareImage { noisy, sigma, clamping: self.request.clamping };
        let seconds = self.pipeline.run(&share)?.seconds;
        let bytes = self.pipeline.size("img.s0");
        self.took("share-image", "gateway", seconds, bytes, "image share to S0");
        Ok(())
    }

    /// Has the material made, by whom was asked for.
    fn material(&mut self, size: Size) -> Result<(), LabError> {
        let (who, seconds, bytes, what) = match self.request.material {
            Origin::Dealt => {
                let deal = Command::Deal { size, threads: None };
                let seconds = self.pipeline.run(&deal)?.seconds;
                ("dealer", seconds, self.pipeline.size("trip.s0"), "material to S0")
            }
            Origin::Made => {
                let [told, _] = self.servers::<Made>(Joint::Make(size))?;
                let bytes = told.both_directions();
                ("both servers", told.seconds, bytes, "both directions, nobody else")
            }
        };
        self.took("gen-triplets", who, seconds, bytes, what);
        Ok(())
    }

    fn serve(&mut self) -> Result<[Served; 2], LabError> {
        let served = self.servers::<Served>(Joint::Serve)?;
        let (setup, online) = (served[0].setup, online(&served[0])?);
        for (phase, of, what) in [
            ("serve, setup", setup, "both directions, once a model"),
            ("serve, online", online, "both directions"),
        ] {
            self.took(phase, "both servers", of.seconds, of.both_directions(), what);
        }
        Ok(served)
    }

    fn servers<R: serde::de::DeserializeOwned>(&self, task: Joint) -> Result<[R; 2], LabError> {
        self.pipeline.servers(task, half_of_this_machine(), Link::default())
    }

    fn reconstruct(&mut self, files: &Pictures) -> Result<(), LabError> {
        let implausibility = self.request.implausibility;
        let reconstruct = Command::Reconstruct { out: &files.secure, implausibility };
        let seconds = self.pipeline.run(&reconstruct)?.seconds;
        let bytes = self.pipeline.sizes("den").iter().sum();
        self.took("reconstruct", "receiver", seconds, bytes, "result shares");
        Ok(())
    }

    fn report(
        self,
        files: &Pictures,
        clean: Raster,
        served: &[Served; 2],
    ) -> Result<Report, LabError> {
        let [noisy, plaintext, secure] =
            [&files.noisy, &files.plaintext, &files.secure].map(|file| read_image(file));
        let images = [clean, noisy?, plaintext?, secure?];
        let [noisy, plaintext, secure] = compare(&files.comparison, &images)?;
        let (request, online) = (self.request, online(&served[0])?.both_directions());
        let activations = served[0].images[0].activations;
        Ok(Report {
            image: request.name.clone(),
            model: match &request.model {
                DemoModel::File(file) => file.display().to_string(),
                DemoModel::Embedded => embedded::MODEL_NAME.into(),
            },
            sigma: request.sigma,
            noisy,
            plaintext,
            secure,
            psnr_lost_db: plaintext.psnr_db - secure.psnr_db,
            out_of_range: self.out_of_range,
            phases: self.phases,
            server_bytes_both_directions: online,
            material: match request.material {
                Origin::Made => "made",
                Origin::Dealt => "dealt",
            },
            material_bytes: self.pipeline.size("trip.s0"),
            activations,
            online_bytes_per_activation_both_directions: online as f64 / activations.max(1) as f64,
            peak_memory_bytes: served.each_ref().map(|server| server.peak_memory_bytes),
        })
    }
}

/// What a server took for the image.
fn online(served: &Served) -> Result<Phase, LabError> {
    let none = || LabError::Report { step: "serve", reason: "there is no image in it".to_string() };
    Ok(served.images.first().ok_or_else(none)?.online)
}
