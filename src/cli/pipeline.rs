//! Every step of the pipeline as a process of its own, on the files of one folder: what `demo` and
//! `bench` drive.

use super::failure::{Code, Failure};
use super::files::{read_image, write_image};
use super::interrupt::{TiedChild, tie_folder};
use crate::image::GreyImage;
use crate::kernels;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

/// Runs subcommands of this program. By convention the folder holds keys/, model.pub, and .s0 and
/// .s1 of model, img, trip and den.
pub(super) struct Pipeline {
    program: PathBuf,
    work: PathBuf,
}

impl Pipeline {
    /// A pipeline in a folder that exists.
    pub(super) fn new(work: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|e| Failure::new(Code::Failed, format!("cannot find this program: {e}")))?;
        path(work)?;
        Ok(Pipeline { program, work: work.to_path_buf() })
    }

    /// The path of a file of the folder.
    pub(super) fn at(&self, name: &str) -> String {
        self.work.join(name).to_string_lossy().into_owned()
    }

    /// The bytes of a file of the folder, 0 if it is not there.
    pub(super) fn size(&self, name: &str) -> u64 {
        std::fs::metadata(self.work.join(name)).map_or(0, |m| m.len())
    }

    /// Runs a subcommand.
    pub(super) fn step(&self, args: &[&str]) -> Result<(), Failure> {
        self.timed(args).map(|_| ())
    }

    /// Runs a subcommand; its seconds, the start of the process included, and standard output.
    pub(super) fn timed(&self, args: &[&str]) -> Result<(f64, Vec<u8>), Failure> {
        let started = Instant::now();
        let failed = |e| Failure::new(Code::Failed, format!("cannot start `{}`: {e}", args[0]));
        let (status, stdout, stderr) =
            Step::start(self.command().args(args)).and_then(Step::end).map_err(failed)?;
        if !status.success() {
            return Err(step_failed(args[0], &stderr));
        }
        Ok((started.elapsed().as_secs_f64(), stdout))
    }

    /// Both servers as processes, to their ends: `gen-triplets`, `serve` or `prepare`; S0 takes a free port and tells
    /// it. Their reports. `route` is given S0's address and returns the one that S1 connects to.
    pub(super) fn servers(
        &self,
        step: &str,
        flags: &[String],
        route: impl FnOnce(String) -> Result<String, Failure>,
    ) -> Result<[Value; 2], Failure> {
        let files =
            [("--model", "model"), ("--triplets", "trip"), ("--image", "img"), ("--out", "den")];
        let files = match step {
            "serve" => &files[..],
            "gen-triplets" => &files[..1],
            _ => &files[..2],
        };
        let spawn = |party: usize, link: [&str; 2]| {
            let mut command = self.command();
            command.args([step, "--json", "--party", &party.to_string()]).args(flags);
            command.args(["--keys", &self.at("keys")]).args(link);
            for (flag, stem) in files {
                command.arg(flag).arg(self.at(&format!("{stem}.s{party}")));
            }
            command.args(["--state", &self.at(&format!("state{party}"))]);
            if step == "gen-triplets" {
                command.args(["--out", &self.at("trip")]);
            }
            Step::start(&mut command)
        };
        let failed =
            |e: std::io::Error| Failure::new(Code::Failed, format!("cannot start a server: {e}"));
        let first = spawn(0, ["--listen", "127.0.0.1:0"]).map_err(failed)?;
        let address = route(first.address(step)?)?;
        let second = spawn(1, ["--connect", &address]).map_err(failed)?;
        let second = second.report(step)?;
        Ok([first.report(step)?, second])
    }

    /// Makes keys for all roles and shares a model, once, under names that [`Pipeline::denoise`]
    /// knows. `flags` are those of `share-model`.
    pub(super) fn share_model(&self, model: &Path, flags: &[String]) -> Result<(), Failure> {
        let [keys, out] = ["keys", "model"].map(|name| self.at(name));
        self.step(&["keygen", "--out", &keys, "--force"])?;
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let args = ["share-model", path(model)?, "--keys", &keys, "--out", &out, "--force"];
        self.step(&[&args[..], &flags].concat())
    }

    /// Denoises an image with two servers under the model shared before; the image is not rounded on
    /// its way. Also tells how many pixels were clamped. Shares and material are removed.
    pub(super) fn denoise(
        &self,
        noisy: &GreyImage,
        sigma: f64,
    ) -> Result<(GreyImage, usize), Failure> {
        let input = self.work.join("noisy.npy");
        write_image(&input, noisy)?;
        let denoised = self.denoise_file(path(&input)?, (noisy.height(), noisy.width()), sigma);
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
        noisy: &str,
        (height, width): (usize, usize),
        sigma: f64,
    ) -> Result<(GreyImage, usize), Failure> {
        let names = ["keys", "model.pub", "img", "trip", "den.s0", "den.s1", "denoised.png"];
        let [keys, public, img, trip, den0, den1, out] = names.map(|name| self.at(name));
        let (sigma, size) = (sigma.to_string(), format!("{height}x{width}"));
        let common = ["--keys", &keys, "--model", &public, "--force"];
        let share = ["share-image", noisy, "--sigma", &sigma, "--out", &img, "--json"];
        let (_, report) = self.timed(&[&share[..], &common].concat())?;
        let report: Value = serde_json::from_slice(&report).map_err(|e| {
            Failure::new(Code::Failed, format!("the report of share-image is unreadable: {e}"))
        })?;
        let clamped = report["images"][0]["pixels_clamped"].as_u64().unwrap_or(0) as usize;
        let triples = ["gen-triplets", "--size", &size, "--out", &trip];
        self.step(&[&triples[..], &common].concat())?;
        self.servers("serve", &shared_machine(), Ok)?;
        self.step(&["reconstruct", &den0, &den1, "--keys", &keys, "--out", &out, "--force"])?;
        Ok((read_image(Path::new(&out))?, clamped))
    }

    /// This program, quiet, on the kernels that this process uses.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--quiet", "--backend", kernels::active().name()]).stdin(Stdio::null());
        // The keys of this folder are its own and not locked.
        command.env_remove("PPDENOISE_PASSPHRASE_FILE");
        command
    }
}

/// Marks a folder as one that this program made and may remove.
const MARKER: &str = ".ppdenoise-work";

/// A fresh folder for keys, shares and material; what an earlier run left there is removed.
pub(super) fn fresh_work(work: &Path) -> Result<(), Failure> {
    remove_work(work)?;
    let failed = |what: &str, e| {
        Failure::new(Code::Failed, format!("the work folder cannot {what}: {e}")).about(work)
    };
    tie_folder(work);
    std::fs::create_dir_all(work).map_err(|e| failed("be created", e))?;
    std::fs::write(work.join(MARKER), []).map_err(|e| failed("be written to", e))
}

/// Removes a folder that [`fresh_work`] made, and refuses to touch any other.
pub(super) fn remove_work(work: &Path) -> Result<(), Failure> {
    if !work.exists() {
        return Ok(());
    }
    if !work.join(MARKER).exists() {
        let text = "this folder was not made by ppdenoise, and its place is needed";
        return Err(Failure::new(Code::Usage, text).about(work).help("choose another --out"));
    }
    std::fs::remove_dir_all(work)
        .map_err(|e| Failure::new(Code::Failed, format!("cannot be removed: {e}")).about(work))
}

/// Half of this machine's cores for each server.
pub(super) fn shared_machine() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    vec!["--threads".into(), (cores / 2).max(1).to_string()]
}

/// A path as an argument.
pub(super) fn path(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| Failure::new(Code::Usage, "the path is not UTF-8").about(path))
}

/// A subcommand that runs; killed if it is dropped before its end, so that a failure leaves none.
struct Step(TiedChild);

impl Step {
    fn start(command: &mut Command) -> std::io::Result<Step> {
        TiedChild::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped())).map(Step)
    }

    /// The address that a listening server prints.
    fn address(&self, step: &str) -> Result<String, Failure> {
        let mut line = String::new();
        let stderr = self.0.process().stderr.take();
        if let Some(stderr) = stderr {
            let mut reader = BufReader::new(stderr);
            let _ = reader.read_line(&mut line);
            if let Some(address) = line.trim().strip_prefix("listening at ") {
                // The rest of its messages is short and fits the pipe until it is read.
                self.0.process().stderr = Some(reader.into_inner());
                return Ok(address.into());
            }
            let _ = reader.read_to_string(&mut line);
        }
        Err(step_failed(step, line.as_bytes()))
    }

    /// Its exit status, standard output and standard error.
    fn end(self) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let pipes = {
            let mut process = self.0.process();
            (process.stdout.take(), process.stderr.take())
        };
        if let Some(mut pipe) = pipes.0 {
            pipe.read_to_end(&mut stdout)?;
        }
        if let Some(mut pipe) = pipes.1 {
            pipe.read_to_end(&mut stderr)?;
        }
        Ok((self.0.wait()?, stdout, stderr))
    }

    /// The report of a server that succeeds.
    fn report(self, step: &str) -> Result<Value, Failure> {
        let unreadable =
            |e: String| Failure::new(Code::Failed, format!("a server's report is unreadable: {e}"));
        let (status, stdout, stderr) = self.end().map_err(|e| unreadable(e.to_string()))?;
        if !status.success() {
            return Err(step_failed(step, &stderr));
        }
        serde_json::from_slice(&stdout).map_err(|e| unreadable(e.to_string()))
    }
}

fn step_failed(step: &str, stderr: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim().trim_start_matches("error: ");
    Failure::new(Code::Failed, format!("`ppdenoise {step}` failed")).because(text)
}
