//! What the commands of a server share: its inputs, its state folder, its link to the other server
//! and its compute threads.

use super::args::server::{Link, ServerSide, Threads};
use super::batch::Failures;
use super::failure::{Code, Failure};
use super::output::{Console, bytes, say};
use crate::artefact::Unguarded;
use crate::files::keys::{KeyFolder, SecretKey};
use crate::files::ledger::{Ledger, state_dir_default};
use crate::ids::Party;
use crate::ids::{Fingerprint, Role};
use crate::roles::server::{
    ImageReport, InputPaths, Inputs, ServerKeys, ServiceError, claim_state,
};
use crate::roles::{Event, Observer, Phase, RoleError};
use crate::wire::{Limits, Listener, NetError, Security, TcpChannel, TlsKeys, connect};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A server that has opened everything but its connection.
pub(super) struct Opened {
    pub(super) keys: ServerKeys,
    pub(super) paths: InputPaths,
    pub(super) inputs: Inputs,
    config: Option<PathBuf>,
    /// How the link will be protected; nothing if none was asked for.
    pub(super) security: Option<Security>,
}

impl Opened {
    /// Opens and checks the inputs.
    pub(super) fn new(args: &ServerSide, images: &[PathBuf]) -> Result<Self, Failure> {
        let folder = KeyFolder::open(&args.keys)?;
        let keys = ServerKeys::of(&folder, args.unlock.secret(&folder, Role::server(args.party))?)?;
        let security = security(&args.link, args.party, &folder, &keys.own)?;
        let paths = InputPaths {
            model: args.model.clone(),
            public: args.public.clone().unwrap_or_else(|| args.model.with_extension("pub")),
            triples: args.triplets.clone(),
            images: images.to_vec(),
        };
        let inputs = Inputs::open(args.party, &keys, &paths)?;
        Ok(Opened { keys, paths, inputs, config: args.config.clone(), security })
    }

    /// Opens the state folder's ledger, once the folder is found to be this server's.
    pub(super) fn ledger(&self, args: &ServerSide) -> Result<(Ledger, PathBuf), Failure> {
        let key = self.keys.own.public().fingerprint();
        let state = state_folder(args.state.as_deref(), key)?;
        Ok((own_ledger(&state, key)?, state))
    }

    /// Every input, which no output may be.
    pub(super) fn input_paths(&self) -> Vec<&Path> {
        let InputPaths { model, public, triples, images } = &self.paths;
        let files = [model, public].into_iter().chain(triples).chain(images).chain(&self.config);
        files.map(PathBuf::as_path).collect()
    }
}

/// The protection of the link that was asked for, if one was: the other server's public key is
/// missed before anything else is done.
pub(super) fn security(
    link: &Link,
    party: Party,
    keys: &KeyFolder,
    own: &SecretKey,
) -> Result<Option<Security>, Failure> {
    if link.listen.is_none() && link.connect.is_none() {
        return Ok(None);
    }
    if link.insecure {
        return Ok(Some(Security::Insecure));
    }
    let peer = keys.public(Role::server(party.other()))?;
    let keys = TlsKeys::new(own.signing_seed(), &peer.verifying())?;
    Ok(Some(Security::Tls(keys)))
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
pub(super) fn link(
    args: &Link,
    security: Option<&Security>,
    console: &Console,
) -> Result<Option<TcpChannel>, NetError> {
    let Some(security) = security else { return Ok(None) };
    let warn = || {
        if args.insecure {
            say("warning: --insecure: the link to the other server is neither encrypted nor \
                 authenticated");
        }
    };
    let seconds = Duration::from_secs;
    let limits = Limits::new(seconds(args.wait), seconds(args.timeout));
    match (&args.listen, &args.connect) {
        (Some(address), _) => {
            let listener = Listener::bind(address)?;
            // Scripts that listen at port 0 read this line, so it is printed even when quiet.
            say(&format!("listening at {}", listener.address()));
            warn();
            listener.accept(security, limits, &mut |text| console.note(text)).map(Some)
        }
        (None, Some(address)) => {
            console.note(format!("connecting to {address}"));
            warn();
            connect(address, security, limits).map(Some)
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

/// Shows a job's phases and images on the console, and keeps what failed.
pub(super) struct Watcher<'a> {
    pub(super) console: &'a mut Console,
    pub(super) failures: Failures,
    /// An image that the other server has no share of is no failure: it may come another day.
    pub(super) patient: bool,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(console: &'a mut Console) -> Self {
        Watcher { console, failures: Failures::default(), patient: false }
    }
}

impl Observer for Watcher<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Phase(phase) => self.console.phase(&phase_name(phase)),
            Event::Unguarded { file, why } => self.unguarded(file, why),
            Event::Denoised(image) => self.denoised(image),
            Event::Failed { file, error } => self.failed(file, error),
            // Of the other roles.
            _ => {}
        }
    }

    fn progress(&mut self, done: f64) {
        self.console.progress(done);
    }
}

/// What a phase is called.
pub(super) fn phase_name(phase: Phase) -> String {
    match phase {
        Phase::Setup => "setup".into(),
        Phase::Online(1, 1) => "denoising".into(),
        Phase::Online(i, n) => format!("denoising image {i} of {n}"),
        Phase::Prepare(i, n) => format!("preparing slot {i} of {n}"),
        Phase::Hints => "hints, once a model".into(),
        Phase::ShareTiles => "sharing tiles".into(),
        Phase::ShareFrames => "sharing frames".into(),
        Phase::Make(1, 1) => "making triples".into(),
        Phase::Make(i, n) => format!("making triples, set {i} of {n}"),
    }
}

impl Watcher<'_> {
    fn unguarded(&mut self, file: &Path, why: Unguarded) {
        let why = match why {
            Unguarded::Pipe => "is a pipe",
            Unguarded::ReadOnly => "can only be read",
        };
        self.console.note(format!(
            "'{}' {why}: used slots are not overwritten in it, and only the state folder keeps them \
             from serving twice",
            file.display()
        ));
    }

    fn denoised(&mut self, image: &ImageReport) {
        self.failures.mended(&image.file);
        self.console.finish();
        let online = &image.online;
        self.console.note(format!(
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

    fn failed(&mut self, file: &Path, error: RoleError) {
        if matches!(error, RoleError::Service(ServiceError::NotShared)) && self.patient {
            self.console.note(format!("'{}' is left: {error}", file.display()));
            return;
        }
        let named =
            matches!(error, RoleError::Service(ServiceError::Input(_) | ServiceError::Format(_)));
        let failure = Failure::from(error);
        let failure = if named { failure } else { failure.about(file) };
        self.failures.note(file, &failure, self.console);
    }
}
