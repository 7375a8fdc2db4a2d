//! One image through every role's own process, and beside it the same network in this one.

use super::Section;
use super::run::{Difference, MadeRun, Parts, Run, ServerRun, Step};
use super::subject::Subject;
use crate::files::output::ensure_space;
use crate::image::{GreyImage, ImageError, Raster};
use crate::lab::error::{LabError, NoSpace, io_error};
use crate::lab::observer::Observer;
use crate::lab::pictures::{read_image, write_image};
use crate::lab::pipeline::{Command, Joint, Link, Made, Pipeline, Prepared, Served};
use crate::lab::ranges::out_of_range;
use crate::material::Origin;
use crate::model::{Clamping, OutOfRange, TwinOptions, encode_image};
use crate::network::Work;
use crate::roles::Implausibility;
use crate::roles::images::Entry;
use crate::size::Size;
use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs a subject in a folder of its own under `work`, which is removed at the end.
pub(super) fn run(
    subject: &Subject<'_>,
    work: &Path,
    observer: &mut dyn Observer,
) -> Result<Run, LabError> {
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(work);
    let folder = folder.map_err(io_error(work, "no folder can be made"))?;
    let pipeline = Pipeline::new(folder.path())?;
    Drive { subject, pipeline, folder: folder.path(), steps: Vec::new() }.run(observer)
}

/// Refuses runs whose material does not fit the disk, before anything is measured.
pub(super) fn check_space(subjects: &[Subject<'_>], work: &Path) -> Result<(), LabError> {
    for subject in subjects {
        let needed = subject.material_bytes(&subject.quantised()?)?;
        ensure_space(&work.join("trip.s0"), needed).map_err(|source| {
            let (model, size) = (subject.model.name.clone(), subject.size);
            LabError::NoSpace(Box::new(NoSpace { model, size, source }))
        })?;
    }
    Ok(())
}

/// What the network takes and gives in this process, without any shares.
struct Clear {
    plaintext_seconds: f64,
    plaintext_tanh_seconds: f64,
    plaintext: Vec<GreyImage>,
    twin_seconds: f64,
    twinned: Vec<GreyImage>,
    out_of_range: Option<OutOfRange>,
}

struct Drive<'a> {
    subject: &'a Subject<'a>,
    pipeline: Pipeline,
    folder: &'a Path,
    steps: Vec<Step>,
}

impl Drive<'_> {
    fn run(mut self, observer: &mut dyn Observer) -> Result<Run, LabError> {
        let subject = self.subject;
        let (Size { height, width }, engine) = (subject.size, subject.engine().name());
        let what = format!("{}, {engine}, {height}x{width}", subject.model.name);
        let noisy = subject.picture()?;
        write_image(&self.folder.join("noisy.png"), &noisy)?;

        observer.phase(&format!("{what}: setup"));
        self.keygen()?;
        self.share_model()?;
        let gateway = self.share_image()?;
        observer.phase(&format!("{what}: offline"));
        let made = self.gen_triplets()?;
        if subject.request.prepare {
            self.prepare()?;
        }
        observer.phase(&format!("{what}: online"));
        let served = self.servers::<Served>(Joint::Serve, subject.request.link)?;
        observer.phase(&format!("{what}: receiver"));
        let receiver = self.reconstruct()?;
        let secure = read_image(&self.folder.join("denoised.png"))?;

        observer.phase(&format!("{what}: plaintext"));
        let clear = self.in_the_clear(&noisy, observer)?;
        observer.pause();
        self.summarise(&served, made, gateway, receiver, &secure, &clear)
    }

    fn summarise(
        self,
        served: &[Served; 2],
        made: Option<MadeRun>,
        gateway: Parts,
        receiver: Parts,
        secure: &Raster,
        clear: &Clear,
    ) -> Result<Run, LabError> {
        let (subject, request) = (self.subject, self.subject.request);
        let servers = [ServerRun::new(&served[0])?, ServerRun::new(&served[1])?];
        let image = served[0].images[0];
        let (patches, activations) = (image.patches, image.activations);
        let traffic = servers[0].online.both_directions();
        let online_seconds = servers[0].online.seconds.max(servers[1].online.seconds);
        let network = &subject.model.float.network;
        let Work { multiply_adds, gathered, .. } =
            network.work(network.image_size(subject.size))?;
        Ok(Run {
            section: if subject.section == Section::Patch { "patch" } else { "image" },
            model: subject.model.name.clone(),
            engine: subject.engine().name(),
            prepared: request.prepare,
            added_rtt_ms: request.link.round_trip.as_secs_f64() * 1e3,
            line_mbit_per_second: request.link.bits_per_second.map(|bits| bits / 1e6),
            ring_bits: request.ring.bits(),
            weights: network.linears().map(|(_, l)| l.weights.len()).sum(),
            stride: network.gather().stride,
            height: subject.size.height,
            width: subject.size.width,
            patches,
            activations,
            multiply_adds,
            gathered,
            steps: self.steps,
            gateway,
            receiver,
            material_bytes: self.pipeline.size("trip.s0"),
            made,
            online_seconds,
            online_seconds_per_patch: online_seconds / patches.max(1) as f64,
            online_bytes_both_directions: traffic,
            online_bytes_per_patch_both_directions: traffic as f64 / patches.max(1) as f64,
            online_bytes_per_activation_both_directions: traffic as f64 / activations.max(1) as f64,
            servers,
            plaintext_seconds: clear.plaintext_seconds,
            plaintext_tanh_seconds: clear.plaintext_tanh_seconds,
            twin_seconds: clear.twin_seconds,
            out_of_range: clear.out_of_range.clone(),
            online_over_plaintext: online_seconds / clear.plaintext_seconds,
            difference_from_plaintext: Difference::between(secure.planes(), &clear.plaintext),
            difference_from_twin: Difference::between(secure.planes(), &clear.twinned),
        })
    }

    fn step(
        &mut self,
        phase: &'static str,
        step: &'static str,
        who: &'static str,
        seconds: f64,
        bytes: [u64; 2],
    ) {
        self.steps.push(Step { phase, step, who, seconds, bytes });
    }

    fn keygen(&mut self) -> Result<(), LabError> {
        let seconds = self.pipeline.run(&Command::Keygen { roles: &[] })?.seconds;
        self.step("setup", "keygen", "all roles", seconds, [0; 2]);
        Ok(())
    }

    fn share_model(&mut self) -> Result<(), LabError> {
        let share = Command::ShareModel { denoiser: &self.subject.denoiser };
        let seconds = self.pipeline.run(&share)?.seconds;
        self.step("setup", "share-model", "model owner", seconds, self.pipeline.sizes("model"));
        Ok(())
    }

    fn share_image(&mut self) -> Result<Parts, LabError> {
        let noisy = self.folder.join("noisy.png");
        let share = Command::ShareImage { noisy: &noisy, sigma: None, clamping: Clamping::Few };
        let done = self.pipeline.run(&share)?;
        let parts = Parts::gateway(done.seconds, &done.report()?);
        let sizes = self.pipeline.sizes("img");
        self.step("setup", "share-image", "gateway", parts.seconds, sizes);
        Ok(parts)
    }

    fn gen_triplets(&mut self) -> Result<Option<MadeRun>, LabError> {
        let (size, request) = (self.subject.size, self.subject.request);
        let (who, seconds, made) = match request.material {
            Origin::Made => {
                let told = self.servers::<Made>(Joint::Make(size), request.link)?;
                let made = MadeRun::new(&told);
                ("both servers", made.seconds, Some(made))
            }
            Origin::Dealt => {
                let deal = Command::Deal { size, threads: Some(request.threads) };
                ("dealer", self.pipeline.run(&deal)?.seconds, None)
            }
        };
        self.step("offline", "gen-triplets", who, seconds, self.pipeline.sizes("trip"));
        Ok(made)
    }

    /// Both servers' work ahead of time, each on its own.
    fn prepare(&mut self) -> Result<(), LabError> {
        let told = self.servers::<Prepared>(Joint::Prepare, Link::default())?;
        let first = told.each_ref().map(|told| told.slots.first());
        let [a, b] = first.map(|slot| slot.map_or(0.0, |slot| slot.seconds));
        let bytes = first.map(|slot| slot.map_or(0, |slot| slot.bytes));
        self.step("offline", "prepare", "both servers", a.max(b), bytes);
        Ok(())
    }

    fn servers<R: serde::de::DeserializeOwned>(
        &self,
        task: Joint,
        link: Link,
    ) -> Result<[R; 2], LabError> {
        self.pipeline.servers(task, self.subject.request.threads, link)
    }

    fn reconstruct(&mut self) -> Result<Parts, LabError> {
        let out = self.folder.join("denoised.png");
        // Only time counts.
        let implausibility = Implausibility::Accepted;
        let done = self.pipeline.run(&Command::Reconstruct { out: &out, implausibility })?;
        let parts = Parts::receiver(done.seconds, &done.report()?);
        let sizes = self.pipeline.sizes("den");
        self.step("receiver", "reconstruct", "receiver", parts.seconds, sizes);
        Ok(parts)
    }

    /// The float32 network and the integer twin, one after the other.
    fn in_the_clear(&self, noisy: &Raster, observer: &mut dyn Observer) -> Result<Clear, LabError> {
        let model = &self.subject.model.float;
        let (levels, entry) = (model.levels(model.sigma), Entry::of(model.trained()));
        let images = entry.images(noisy.planes())?;
        let image = images.first().ok_or(ImageError::Planes { found: 0 })?;
        let tanh_time = Cell::new(Duration::ZERO);
        let activation = |values: &mut [f32]| {
            let started = Instant::now();
            model.activation.apply(values);
            tanh_time.set(tanh_time.get() + started.elapsed());
        };
        let started = Instant::now();
        let plaintext = model.denoise_grey(image, &levels, &activation, &mut |_| ())?.image;
        let plaintext_seconds = started.elapsed().as_secs_f64();
        let quantised = self.subject.quantised()?;
        let started = Instant::now();
        let encoded = encode_image(&quantised.public, image, &levels);
        let size = image.size();
        let nearest = TwinOptions::default();
        let twinned = quantised.denoise_encoded(&encoded, size, &levels, nearest, &mut |_| ())?;
        let (twinned, twin_seconds) =
            (entry.planes(twinned.image)?, started.elapsed().as_secs_f64());
        // Beside the timed run: it takes each layer's products twice.
        let denoiser = &self.subject.denoiser;
        let out_of_range = out_of_range(
            model,
            &denoiser.choices,
            Path::new(&self.subject.model.name),
            noisy,
            model.sigma,
            self.subject.request.strict,
            observer,
        )?;
        Ok(Clear {
            plaintext_seconds,
            plaintext_tanh_seconds: tanh_time.get().as_secs_f64(),
            plaintext: entry.planes(plaintext)?,
            twin_seconds,
            twinned,
            out_of_range,
        })
    }
}
