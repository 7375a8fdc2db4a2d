//! What the commands of a server share: its inputs, its state folder, its link to the other server
//! and its compute threads.

use super::failure::{Code, Failure};
use super::output::{Console, say};
use super::server_args::{ServerSide, Threads};
use crate::format::keys::KeyFolder;
use crate::format::ledger::{Ledger, state_dir_default};
use crate::format::{Fingerprint, Role};
use crate::net::{Listener, NetError, TcpChannel, connect};
use crate::service::{InputPaths, Inputs, Observer, Phase, claim_state};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A server that has opened everything but its connection.
pub(super) struct Opened {
    pub(super) key: Fingerprint,
    pub(super) receiver: Fingerprint,
    pub(super) paths: InputPaths,
    pub(super) inputs: Inputs,
}

impl Opened {
    /// Opens and checks the inputs.
    pub(super) fn new(args: &ServerSide, images: &[PathBuf]) -> Result<Self, Failure> {
        let keys = KeyFolder::open(&args.keys)?;
        let key = keys.secret(Role::server(args.party))?.public().fingerprint();
        let receiver = keys.public(Role::Receiver)?.fingerprint();
        let paths = InputPaths {
            model: args.model.clone(),
            public: args.public.clone().unwrap_or_else(|| args.model.with_extension("pub")),
            triples: args.triplets.clone(),
            images: images.to_vec(),
        };
        let inputs = Inputs::open(args.party, key, &paths)?;
        Ok(Opened { key, receiver, paths, inputs })
    }

    /// Opens the state folder's ledger, once the folder is found to be this server's.
    pub(super) fn ledger(&self, args: &ServerSide) -> Result<(Ledger, PathBuf), Failure> {
        let state = state_folder(args.state.as_deref(), self.key)?;
        Ok((own_ledger(&state, self.key)?, state))
    }

    /// Every input, which no output may be.
    pub(super) fn input_paths(&self) -> Vec<&Path> {
        let InputPaths { model, public, triples, images } = &self.paths;
        let files = [model, public, triples].into_iter().chain(images);
        files.map(PathBuf::as_path).collect()
    }
}

/// The state folder of the server with this key, unless the user names another.
pub(super) fn state_folder(named: Option<&Path>, key: Fingerprint) -> Result<PathBuf, Failure> {
    named.map_or_else(|| Ok(state_dir_default(key)?), |dir| Ok(dir.to_owned()))
}

/// Opens the ledger in a state folder, once the folder is found to be this server's.
pub(super) fn own_ledger(state: &Path, key: Fingerprint) -> Result<Ledger, Failure> {
    let ledger = Ledger::open(state)?;
    claim_state(state, key)?;
    Ok(ledger)
}

/// Connects to the other server; nothing if neither way was given.
pub(super) fn link(args: &ServerSide, console: &Console) -> Result<Option<TcpChannel>, NetError> {
    let (wait, silence) = (Duration::from_secs(args.wait), Duration::from_secs(args.timeout));
    match (&args.listen, &args.connect) {
        (Some(address), _) => {
            let listener = Listener::bind(address)?;
            // Scripts that listen at port 0 read this line, so it is printed even when quiet.
            say(&format!("listening at {}", listener.address()));
            listener.accept(wait, silence).map(Some)
        }
        (None, Some(address)) => {
            console.note(format!("connecting to {address}"));
            connect(address, wait, silence).map(Some)
        }
        (None, None) => Ok(None),
    }
}

/// Runs `work` with as many compute threads as were asked for.
pub(super) fn with_threads<T: Send>(
    threads: Threads,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.count()).build();
    let failed = |e| Failure::new(Code::Failed, format!("cannot start the compute threads: {e}"));
    pool.map_err(failed)?.install(work)
}

/// Shows a job's phases on the console.
pub(super) struct Watcher<'a>(pub(super) &'a mut Console);

impl Observer for Watcher<'_> {
    fn phase(&mut self, phase: Phase) {
        match phase {
            Phase::Setup => self.0.phase("setup"),
            Phase::Online(1, 1) => self.0.phase("denoising"),
            Phase::Online(i, n) => self.0.phase(&format!("denoising image {i} of {n}")),
            Phase::Prepare(i, n) => self.0.phase(&format!("preparing slot {i} of {n}")),
        }
    }

    fn progress(&mut self, done: f64) {
        self.0.progress(done);
    }
}
