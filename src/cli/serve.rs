//! `serve`: one of the two servers.

use super::args::Serve;
use super::failure::{Code, Failure};
use super::files::overwrite;
use super::output::{Console, bytes, peak_memory, print_json, say};
use crate::format::keys::KeyFolder;
use crate::format::ledger::{Ledger, state_dir_default};
use crate::format::output::{Access, OutputFile, ensure_not_input};
use crate::format::{FormatError, Role};
use crate::kernels;
use crate::net::{Listener, NetError, TcpChannel, connect};
use crate::service::{
    InputPaths, Inputs, Job, Observer, Phase, Report, claim_state, run as run_job,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Serialize)]
struct ServeReport<'a> {
    party: usize,
    backend: &'static str,
    #[serde(flatten)]
    job: &'a Report,
    peak_memory_bytes: Option<u64>,
}

pub(super) fn run(args: &Serve, console: &mut Console) -> Result<(), Failure> {
    if args.image.len() != args.out.len() {
        let text = format!("{} --image but {} --out", args.image.len(), args.out.len());
        return Err(Failure::new(Code::Usage, text).help("give one --out for each --image"));
    }
    let places: Vec<PathBuf> = args.out.iter().map(|path| place(path)).collect();
    let repeated = |(i, _): &(usize, &PathBuf)| places[..*i].contains(&places[*i]);
    if let Some((_, path)) = args.out.iter().enumerate().find(repeated) {
        let text = "given twice as --out";
        let help = "give every image an output of its own";
        return Err(Failure::new(Code::Usage, text).about(path).help(help));
    }
    let keys = KeyFolder::open(&args.keys)?;
    let key = keys.secret(Role::server(args.party))?.public().fingerprint();
    let receiver = keys.public(Role::Receiver)?.fingerprint();
    let paths = InputPaths {
        model: args.model.clone(),
        public: args.public.clone().unwrap_or_else(|| args.model.with_extension("pub")),
        triples: args.triplets.clone(),
        images: args.image.clone(),
    };
    let inputs = Inputs::open(args.party, key, &paths)?;
    let outputs = open_outputs(args, &paths)?;
    let state = match &args.state {
        Some(dir) => dir.clone(),
        None => state_dir_default(key)?,
    };
    let mut ledger = Ledger::open(&state)?;
    claim_state(&state, key)?;
    inputs.check_slots(&mut ledger)?;

    let mut channel = link(args, console)?;
    let job = Job { key, receiver, ledger: &mut ledger, state: &state, outputs };
    let report = run_job(inputs, job, &mut channel, &mut Watcher(console))?;
    // Closing waits for the other server's end; its report need not.
    drop(channel);
    console.finish();
    tell(&report, console);
    if args.common.json {
        let report = ServeReport {
            party: args.party.index(),
            backend: kernels::active().name(),
            job: &report,
            peak_memory_bytes: peak_memory(),
        };
        print_json("ppdenoise.serve.v1", &report)?;
    }
    Ok(())
}

/// One spelling of an output: its folder made canonical, where it exists.
fn place(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}

fn open_outputs(args: &Serve, paths: &InputPaths) -> Result<Vec<OutputFile>, FormatError> {
    let mut inputs: Vec<&Path> = vec![&paths.model, &paths.public, &paths.triples];
    inputs.extend(paths.images.iter().map(|p| p.as_path()));
    let create = |path: &std::path::PathBuf| {
        ensure_not_input(path, &inputs)?;
        OutputFile::create(path, Access::Secret, overwrite(args.common.force))
    };
    args.out.iter().map(create).collect()
}

fn link(args: &Serve, console: &Console) -> Result<TcpChannel, NetError> {
    let (wait, silence) = (Duration::from_secs(args.wait), Duration::from_secs(args.timeout));
    match (&args.listen, &args.connect) {
        (Some(address), _) => {
            let listener = Listener::bind(address)?;
            // Scripts that listen at port 0 read this line, so it is printed even when quiet.
            say(&format!("listening at {}", listener.address()));
            listener.accept(wait, silence)
        }
        (None, Some(address)) => {
            console.note(format!("connecting to {address}"));
            connect(address, wait, silence)
        }
        (None, None) => unreachable!("clap requires one of --listen and --connect"),
    }
}

struct Watcher<'a>(&'a mut Console);

impl Observer for Watcher<'_> {
    fn phase(&mut self, phase: Phase) {
        match phase {
            Phase::Setup => self.0.phase("setup"),
            Phase::Online(1, 1) => self.0.phase("denoising"),
            Phase::Online(i, n) => self.0.phase(&format!("denoising image {i} of {n}")),
        }
    }

    fn progress(&mut self, done: f64) {
        self.0.progress(done);
    }
}

fn tell(report: &Report, console: &Console) {
    for image in &report.images {
        let online = &image.online;
        console.note(format!(
            "image {} in slot {}: {} patches, {} activations, {:.2} s, {} sent, {} received",
            image.image_id,
            image.slot,
            image.patches,
            image.activations,
            online.seconds,
            bytes(online.traffic.bytes_sent),
            bytes(online.traffic.bytes_received)
        ));
    }
    console.note(format!("{} slot(s) left", report.slots_left));
}
