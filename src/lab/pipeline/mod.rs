//! Every step of the pipeline as a process of its own, on the files of one folder: what `demo`, `bench` and
//! `reproduce` drive. Processes, because time and memory are measured of each party by itself.

mod command;
mod link;
mod process;
mod report;
pub(crate) mod tied;
mod work;

pub(crate) use command::quantise_flags;
pub(crate) use command::{Command, Denoiser, Joint};
pub(crate) use link::Link;
pub(crate) use report::Phase;
pub(super) use report::{Made, Prepared, Reconstructed, Served, Shared};
pub(super) use work::{fresh_work, remove_work, temporary_work};

use super::error::LabError;
use super::pictures::{read_grey, write_grey};
use crate::ids::Party;
use crate::image::GreyImage;
use crate::kernels;
use crate::material::Origin;
use crate::model::Clamping;
use crate::roles::Implausibility;
use crate::size::Size;
use process::Process;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// Runs subcommands of this program. By convention the folder holds keys/, model.pub, and .s0 and
/// .s1 of model, img, trip and den.
pub(crate) struct Pipeline {
    program: PathBuf,
    work: PathBuf,
}

/// A step that was done.
pub(super) struct Done {
    step: &'static str,
    /// The start of the process included.
    pub(super) seconds: f64,
    stdout: Vec<u8>,
}

impl Done {
    /// What the step told.
    pub(super) fn report<R: DeserializeOwned>(&self) -> Result<R, LabError> {
        told(self.step, &self.stdout)
    }
}

impl Pipeline {
    /// A pipeline in a folder that exists. The program is that of this process.
    ///
    /// # Errors
    /// [`LabError::Program`].
    pub(crate) fn new(work: &Path) -> Result<Self, LabError> {
        let program = std::env::current_exe().map_err(LabError::Program)?;
        Ok(Pipeline { program, work: work.to_path_buf() })
    }

    /// The bytes of a file of the folder, 0 if it is not there.
    pub(super) fn size(&self, name: &str) -> u64 {
        std::fs::metadata(self.work.join(name)).map_or(0, |m| m.len())
    }

    /// The bytes of S0's and S1's files of this name.
    pub(super) fn sizes(&self, stem: &str) -> [u64; 2] {
        ["s0", "s1"].map(|suffix| self.size(&format!("{stem}.{suffix}")))
    }

    /// Runs a step of one role.
    pub(super) fn run(&self, command: &Command<'_>) -> Result<Done, LabError> {
        let (started, step) = (Instant::now(), command.name());
        let process = Process::start(step, self.command().args(command.args(&self.work)))?;
        let stdout = process.succeed()?;
        Ok(Done { step, seconds: started.elapsed().as_secs_f64(), stdout })
    }

    /// Both servers as processes with so many compute threads each, to their ends; S0 takes a free port
    /// and tells it. Their reports.
    pub(super) fn servers<R: DeserializeOwned>(
        &self,
        task: Joint,
        threads: usize,
        link: Link,
    ) -> Result<[R; 2], LabError> {
        let step = task.name();
        let spawn = |party, address: Option<&str>| {
            let args = task.args(&self.work, party, threads, address);
            Process::start(step, self.command().args(args))
        };
        let first = spawn(Party::S0, None)?;
        let address = link.route(first.address()?)?;
        let second = spawn(Party::S1, Some(&address))?;
        let second = told(step, &second.succeed()?)?;
        Ok([told(step, &first.succeed()?)?, second])
    }

    /// Makes keys for all roles and shares a model, once, under names that [`Pipeline::denoise`]
    /// knows.
    ///
    /// # Errors
    /// [`LabError::Start`], [`LabError::Step`].
    pub(crate) fn share_model(&self, denoiser: &Denoiser) -> Result<(), LabError> {
        self.run(&Command::Keygen { roles: &[] })?;
        self.run(&Command::ShareModel { denoiser })?;
        Ok(())
    }

    /// Denoises an image with two servers under the model shared before; the image is not rounded on
    /// its way. Also tells how many pixels were clamped. Shares and material are removed.
    ///
    /// # Errors
    /// [`LabError::Start`], [`LabError::Step`], [`LabError::Report`]; files that cannot be written.
    pub(crate) fn denoise(
        &self,
        noisy: &GreyImage,
        sigma: f64,
        material: Origin,
    ) -> Result<(GreyImage, usize), LabError> {
        let input = self.work.join("noisy.npy");
        write_grey(&input, noisy)?;
        let denoised = self.denoise_file(&input, noisy.size(), sigma, material);
        for stem in ["img", "trip", "den"] {
            for party in ["s0", "s1"] {
                // What is not there need not be removed, and what cannot be is seen next time.
                let _ = std::fs::remove_file(self.work.join(format!("{stem}.{party}")));
            }
        }
        denoised
    }

    fn denoise_file(
        &self,
        noisy: &Path,
        size: Size,
        sigma: f64,
        material: Origin,
    ) -> Result<(GreyImage, usize), LabError> {
        let clamping = Clamping::Few;
        let share = Command::ShareImage { noisy, sigma: Some(sigma), clamping };
        let shared: Shared = self.run(&share)?.report()?;
        let (threads, link) = (half_of_this_machine(), Link::default());
        match material {
            Origin::Dealt => drop(self.run(&Command::Deal { size, threads: None })?),
            Origin::Made => drop(self.servers::<Made>(Joint::Make(size), threads, link)?),
        }
        self.servers::<Served>(Joint::Serve, threads, link)?;
        let out = self.work.join("denoised.png");
        // The picture is judged by whoever asks for it: a bad one is a measurement too.
        let implausibility = Implausibility::Accepted;
        self.run(&Command::Reconstruct { out: &out, implausibility })?;
        let clamped = shared.images.first().map_or(0, |image| image.pixels_clamped);
        Ok((read_grey(&out)?, clamped))
    }

    /// This program, quiet, on the kernels that this process uses.
    fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(["--quiet", "--backend", kernels::active().name()]).stdin(Stdio::null());
        // The keys of this folder are its own and not locked.
        command.env_remove("PPDENOISE_PASSPHRASE_FILE");
        command
    }
}

/// Half of this machine's cores, for each of two servers.
pub(super) fn half_of_this_machine() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).max(1)
}

fn told<R: DeserializeOwned>(step: &'static str, stdout: &[u8]) -> Result<R, LabError> {
    serde_json::from_slice(stdout).map_err(|e| LabError::Report { step, reason: e.to_string() })
}
