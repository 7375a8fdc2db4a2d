//! One image through every role's own process, and beside it the same network in this one.

use super::subject::Subject;
use crate::cli::args::Material;
use crate::cli::args::bench::Section;
use crate::cli::denoise::{plain, twin};
use crate::cli::failure::{Code, Failure};
use crate::cli::files::{read_image, write_image};
use crate::cli::output::Console;
use crate::cli::pipeline::{Pipeline, path};
use crate::files::output::ensure_space;
use crate::image::GreyImage;
use crate::model::{LevelMap, encode_image};
use crate::roles::server::PhaseReport;
use crate::wire::Traffic;
use serde::Serialize;
use serde_json::Value;
use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

/// What one run gave.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    /// `patch` or `image`.
    pub(super) section: &'static str,
    pub(super) model: String,
    pub(super) engine: &'static str,
    /// Whether U Y_i was computed ahead of time.
    pub(super) prepared: bool,
    /// What a relay added to the round trip, in milliseconds.
    pub(super) added_rtt_ms: f64,
    /// The rate a relay limited each direction to, in Mbit/s.
    pub(super) line_mbit_per_second: Option<f64>,
    pub(super) ring_bits: u32,
    pub(super) weights: usize,
    pub(super) stride: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) patches: u64,
    pub(super) activations: u64,
    /// Whole subcommands, in order.
    pub(super) steps: Vec<Step>,
    /// `share-image` in parts.
    pub(super) gateway: Parts,
    /// `reconstruct` in parts.
    pub(super) receiver: Parts,
    /// S0 and S1.
    pub(super) servers: [ServerRun; 2],
    pub(super) material_bytes: u64,
    /// What making it took, if the servers made it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) made: Option<Made>,
    pub(super) online_seconds: f64,
    pub(super) online_seconds_per_patch: f64,
    pub(super) online_bytes_both_directions: u64,
    pub(super) online_bytes_per_patch_both_directions: f64,
    pub(super) online_bytes_per_activation_both_directions: f64,
    /// In float32 in this process, one thread, exact tanh.
    pub(super) plaintext_seconds: f64,
    /// Of these, in tanh; most of the rest is the matrix products.
    pub(super) plaintext_tanh_seconds: f64,
    /// In the integers of the secure computation, in this process, one thread.
    pub(super) twin_seconds: f64,
    pub(super) online_over_plaintext: f64,
    /// Of the secure result and the plaintext one, in grey levels.
    pub(super) difference_from_plaintext: Difference,
    /// Of the secure result and the integer twin's.
    pub(super) difference_from_twin: Difference,
}

/// Material that the two servers made themselves.
#[derive(Debug, Serialize)]
pub(super) struct Made {
    /// Of the slower server, hints included.
    pub(super) seconds: f64,
    /// Hints included.
    pub(super) bytes_both_directions: u64,
    /// Once a model.
    pub(super) hint_bytes_both_directions: u64,
    pub(super) peak_memory_bytes: [Option<u64>; 2],
}

/// A subcommand.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// `setup`, `offline` or `receiver`; `online` is the servers' own report.
    pub(super) phase: &'static str,
    pub(super) step: &'static str,
    pub(super) who: &'static str,
    /// Of the whole process.
    pub(super) seconds: f64,
    /// What it makes for S0 and for S1, or takes from them.
    pub(super) bytes: [u64; 2],
}

/// Where a short command's time goes.
#[derive(Debug, Serialize)]
pub(super) struct Parts {
    /// From the start of the process to its end, as its parent sees it.
    pub(super) seconds: f64,
    /// Starting and ending the process.
    pub(super) process_seconds: f64,
    /// Reading or writing the PNG, coding included.
    pub(super) png_seconds: f64,
    /// All else: keys, sharing or adding, the share files.
    pub(super) work_seconds: f64,
}

/// What a server tells.
#[derive(Debug, Serialize)]
pub(super) struct ServerRun {
    pub(super) setup: PhaseReport,
    pub(super) online: PhaseReport,
    pub(super) peak_memory_bytes: Option<u64>,
}

/// Between two images, in grey levels.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) mean: f64,
    pub(super) max: f64,
}

/// Runs a subject in a folder of its own under `work`, which is removed at the end.
pub(super) fn run(
    subject: &Subject<'_>,
    work: &Path,
    console: &mut Console,
) -> Result<Run, Failure> {
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(work).map_err(|e| {
        Failure::new(Code::Failed, format!("no folder can be made: {e}")).about(work)
    })?;
    let drive = Drive { subject, pipeline: Pipeline::new(folder.path())?, folder: folder.path() };
    drive.run(console)
}

/// What the network takes and gives in this process, without any shares.
struct Clear {
    plaintext_seconds: f64,
    plaintext_tanh_seconds: f64,
    plaintext: GreyImage,
    twin_seconds: f64,
    twinned: GreyImage,
}

struct Drive<'a> {
    subject: &'a Subject<'a>,
    pipeline: Pipeline,
    folder: &'a Path,
}

impl Drive<'_> {
    fn run(&self, console: &mut Console) -> Result<Run, Failure> {
        let subject = self.subject;
        let (height, width) = subject.size;
        let engine = subject.flags.engine();
        let what = format!("{}, {}, {height}x{width}", subject.model.name, engine.name());
        let noisy = subject.picture()?;
        write_image(&self.folder.join("noisy.png"), &noisy)?;

        let mut steps = Vec::new();
        console.phase(&format!("{what}: setup"));
        self.keygen(&mut steps)?;
        self.share_model(&mut steps)?;
        let gateway = self.share_image(&mut steps)?;
        console.phase(&format!("{what}: offline"));
        let made = self.gen_triplets(&mut steps)?;
        if subject.prepare {
            self.prepare(&mut steps)?;
        }
        console.phase(&format!("{what}: online"));
        let reports = self.pipeline.servers("serve", &self.online_flags(), |s0| self.route(s0))?;
        console.phase(&format!("{what}: receiver"));
        let receiver = self.reconstruct(&mut steps)?;
        let secure = read_image(&self.folder.join("denoised.png"))?;

        console.phase(&format!("{what}: plaintext"));
        let clear = self.in_the_clear(&noisy)?;
        console.finish();

        let [s0, s1] = &reports;
        let servers = [server(s0)?, server(s1)?];
        let count = |key: &str| number(s0, &format!("/images/0/{key}"));
        let (patches, activations) = (count("patches")?, count("activations")?);
        let online = &servers[0].online;
        let traffic = both_directions(&online.traffic);
        // The slower of the two: the image is done when both are.
        let online_seconds = servers[0].online.seconds.max(servers[1].online.seconds);
        let network = &subject.model.float.network;
        Ok(Run {
            section: if subject.section == Section::Patch { "patch" } else { "image" },
            model: subject.model.name.clone(),
            engine: engine.name(),
            prepared: subject.prepare,
            added_rtt_ms: subject.link.round_trip.as_secs_f64() * 1e3,
            line_mbit_per_second: subject.link.bits_per_second.map(|bits| bits / 1e6),
            ring_bits: subject.flags.ring().bits(),
            weights: network.linears().map(|(_, l)| l.weights.len()).sum(),
            stride: network.gather().stride,
            height,
            width,
            patches,
            activations,
            steps,
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
            online_over_plaintext: online_seconds / clear.plaintext_seconds,
            difference_from_plaintext: difference(&secure, &clear.plaintext),
            difference_from_twin: difference(&secure, &clear.twinned),
        })
    }

    fn keygen(&self, steps: &mut Vec<Step>) -> Result<(), Failure> {
        let seconds = self.pipeline.timed(&["keygen", "--out", &self.at("keys")])?.0;
        steps.push(step("setup", "keygen", "all roles", seconds, [0; 2]));
        Ok(())
    }

    fn share_model(&self, steps: &mut Vec<Step>) -> Result<(), Failure> {
        let (keys, out) = (self.at("keys"), self.at("model"));
        let model = path(&self.subject.model.file)?;
        let mut flags = self.subject.flags.given();
        if let Some(stride) = self.subject.flags.stride {
            flags.extend(["--stride".into(), stride.to_string()]);
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let args = ["share-model", model, "--keys", &keys, "--out", &out];
        let seconds = self.pipeline.timed(&[&args[..], &flags].concat())?.0;
        steps.push(step("setup", "share-model", "model owner", seconds, self.sizes("model")));
        Ok(())
    }

    fn share_image(&self, steps: &mut Vec<Step>) -> Result<Parts, Failure> {
        let [keys, model, noisy, out] =
            ["keys", "model.pub", "noisy.png", "img"].map(|n| self.at(n));
        let args = ["share-image", &noisy, "--keys", &keys, "--model", &model, "--out", &out];
        let timed = self.pipeline.timed(&[&args[..], &["--json"]].concat())?;
        let parts = parts("share-image", timed, "/read_image_seconds")?;
        let sizes = self.sizes("img");
        steps.push(step("setup", "share-image", "gateway", parts.seconds, sizes));
        Ok(parts)
    }

    fn gen_triplets(&self, steps: &mut Vec<Step>) -> Result<Option<Made>, Failure> {
        let size = format!("{}x{}", self.subject.size.0, self.subject.size.1);
        let threads = self.subject.threads.to_string();
        let flags = ["--threads", &threads, "--size", &size];
        if self.subject.material == Material::Made {
            let flags = flags.map(String::from);
            let reports = self.pipeline.servers("gen-triplets", &flags, |s0| self.route(s0))?;
            let made = made(&reports)?;
            let sizes = self.sizes("trip");
            steps.push(step("offline", "gen-triplets", "both servers", made.seconds, sizes));
            return Ok(Some(made));
        }
        let [keys, model, out] = ["keys", "model.pub", "trip"].map(|n| self.at(n));
        let args = ["gen-triplets", "--keys", &keys, "--model", &model, "--out", &out];
        let seconds = self.pipeline.timed(&[&args[..], &flags].concat())?.0;
        steps.push(step("offline", "gen-triplets", "dealer", seconds, self.sizes("trip")));
        Ok(None)
    }

    /// Both servers' work ahead of time, each on its own.
    fn prepare(&self, steps: &mut Vec<Step>) -> Result<(), Failure> {
        let reports = self.pipeline.servers("prepare", &self.online_flags(), Ok)?;
        let values = |key: &str| {
            let value = |report: &Value| report.pointer(&format!("/slots/0/{key}")).cloned();
            reports.each_ref().map(|report| value(report).unwrap_or_default())
        };
        let seconds = values("seconds").map(|v| v.as_f64().unwrap_or_default());
        let bytes = values("bytes").map(|v| v.as_u64().unwrap_or_default());
        steps.push(step("offline", "prepare", "both servers", seconds[0].max(seconds[1]), bytes));
        Ok(())
    }

    /// Where S1 finds S0: at its own address, or behind a relay.
    fn route(&self, s0: String) -> Result<String, Failure> {
        let link = self.subject.link;
        if link.is_plain() {
            return Ok(s0);
        }
        let failed = |e: &dyn std::fmt::Display| {
            Failure::new(Code::Failed, format!("the relay to {s0} cannot be made: {e}"))
        };
        let target = s0.parse().map_err(|e| failed(&e))?;
        Ok(link.relay_to(target).map_err(|e| failed(&e))?.to_string())
    }

    fn online_flags(&self) -> Vec<String> {
        vec!["--threads".into(), self.subject.threads.to_string()]
    }

    fn reconstruct(&self, steps: &mut Vec<Step>) -> Result<Parts, Failure> {
        let [s0, s1, keys, out] = ["den.s0", "den.s1", "keys", "denoised.png"].map(|n| self.at(n));
        let args = ["reconstruct", &s0, &s1, "--keys", &keys, "--out", &out, "--json", "--force"];
        let parts = parts("reconstruct", self.pipeline.timed(&args)?, "/write_image_seconds")?;
        let sizes = self.sizes("den");
        steps.push(step("receiver", "reconstruct", "receiver", parts.seconds, sizes));
        Ok(parts)
    }

    /// The float32 network and the integer twin, one after the other.
    fn in_the_clear(&self, noisy: &GreyImage) -> Result<Clear, Failure> {
        let model = &self.subject.model.float;
        let levels = LevelMap::new(model.units, 1.0);
        let tanh_time = Cell::new(Duration::ZERO);
        let activation = |values: &mut [f32]| {
            let started = Instant::now();
            model.nonlinearity.apply(values);
            tanh_time.set(tanh_time.get() + started.elapsed());
        };
        let started = Instant::now();
        let plaintext = plain(model, noisy, &levels, &activation, &mut |_| ())?;
        let plaintext_seconds = started.elapsed().as_secs_f64();
        let quantised = self.subject.quantised()?;
        let started = Instant::now();
        let encoded = encode_image(&quantised.public, noisy, &levels);
        let twinned = twin(&quantised, noisy, &levels, &encoded, &mut |_| ())?;
        Ok(Clear {
            plaintext_seconds,
            plaintext_tanh_seconds: tanh_time.get().as_secs_f64(),
            plaintext,
            twin_seconds: started.elapsed().as_secs_f64(),
            twinned,
        })
    }

    fn at(&self, name: &str) -> String {
        self.pipeline.at(name)
    }

    /// The bytes of S0's and S1's files of this name.
    fn sizes(&self, stem: &str) -> [u64; 2] {
        ["s0", "s1"].map(|suffix| self.pipeline.size(&format!("{stem}.{suffix}")))
    }
}

/// Refuses runs whose material does not fit the disk, before anything is measured.
pub(super) fn check_space(subjects: &[Subject<'_>], work: &Path) -> Result<(), Failure> {
    for subject in subjects {
        let needed = subject.material_bytes(&subject.quantised()?)?;
        ensure_space(&work.join("trip.s0"), needed).map_err(|e| {
            let (height, width) = subject.size;
            Failure::from(e).help(format!(
                "the material of {} at {height}x{width} does not fit: give --work a folder on a \
                 larger disk, or ask for fewer --patches",
                subject.model.name
            ))
        })?;
    }
    Ok(())
}

fn step(
    phase: &'static str,
    step: &'static str,
    who: &'static str,
    seconds: f64,
    bytes: [u64; 2],
) -> Step {
    Step { phase, step, who, seconds, bytes }
}

/// Splits a command's time with what its JSON report says; `png` points at the time of the PNG.
fn parts(command: &str, (seconds, stdout): (f64, Vec<u8>), png: &str) -> Result<Parts, Failure> {
    let report: Value = serde_json::from_slice(&stdout).map_err(|_| unreadable(command))?;
    let told = |pointer: &str| {
        report.pointer(pointer).and_then(Value::as_f64).ok_or_else(|| unreadable(command))
    };
    let (inside, png_seconds) = (told("/seconds")?, told(png)?);
    Ok(Parts {
        seconds,
        process_seconds: seconds - inside,
        png_seconds,
        work_seconds: inside - png_seconds,
    })
}

fn server(report: &Value) -> Result<ServerRun, Failure> {
    Ok(ServerRun {
        setup: phase(report, "/setup")?,
        online: phase(report, "/images/0/online")?,
        peak_memory_bytes: report["peak_memory_bytes"].as_u64(),
    })
}

/// Of both servers' reports of `gen-triplets`.
fn made([s0, s1]: &[Value; 2]) -> Result<Made, Failure> {
    let seconds = |report: &Value| report["seconds"].as_f64();
    let slower = seconds(s0).zip(seconds(s1)).map(|(a, b)| a.max(b));
    let both = |at: &str| -> Result<u64, Failure> {
        Ok(number(s0, &format!("{at}_sent"))? + number(s0, &format!("{at}_received"))?)
    };
    Ok(Made {
        seconds: slower.ok_or_else(|| unreadable("gen-triplets"))?,
        bytes_both_directions: both("/setup/bytes")? + both("/sets/0/bytes")?,
        hint_bytes_both_directions: both("/hint_bytes")?,
        peak_memory_bytes: [s0, s1].map(|report| report["peak_memory_bytes"].as_u64()),
    })
}

fn phase(report: &Value, at: &str) -> Result<PhaseReport, Failure> {
    let count = |key: &str| number(report, &format!("{at}/{key}"));
    let seconds = report.pointer(&format!("{at}/seconds")).and_then(Value::as_f64);
    Ok(PhaseReport {
        seconds: seconds.ok_or_else(|| unreadable("serve"))?,
        traffic: Traffic {
            bytes_sent: count("bytes_sent")?,
            bytes_received: count("bytes_received")?,
            rounds: count("rounds")?,
        },
    })
}

fn number(report: &Value, pointer: &str) -> Result<u64, Failure> {
    report.pointer(pointer).and_then(Value::as_u64).ok_or_else(|| unreadable("serve"))
}

fn unreadable(command: &str) -> Failure {
    Failure::new(Code::Failed, format!("the report of `ppdenoise {command}` is unreadable"))
}

pub(super) fn both_directions(traffic: &Traffic) -> u64 {
    traffic.bytes_sent + traffic.bytes_received
}

fn difference(a: &GreyImage, b: &GreyImage) -> Difference {
    let (a, b) = (a.pixels(), b.pixels());
    let each = a.iter().zip(b).map(|(x, y)| f64::from((x - y).abs()));
    let (sum, max) = each.fold((0.0, 0.0_f64), |(sum, max), d| (sum + d, max.max(d)));
    Difference { mean: sum / a.len() as f64, max }
}
