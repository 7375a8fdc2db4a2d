//! From typed errors to one sentence, a hint and an exit code.

use crate::artefact::PairError;
use crate::cli::shown::one_line;
use crate::files::FormatError;
use crate::files::ledger::LedgerError;
use crate::files::output::words::TAKE;
use crate::image::ImageError;
use crate::image::metrics::MetricsError;
use crate::kernels::BackendError;
use crate::model::ModelError;
use crate::network::NetworkError;
use crate::protocol::{ProtocolError, SourceError};
use crate::roles::RoleError;
use crate::roles::server::{InputError, ServiceError};
use crate::wire::{NetError, Refusal};
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// The exit codes, documented in the README and in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The operation failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// An input file was refused.
    Input = 3,
    /// The other server or the network failed.
    Peer = 4,
}

/// Why a command failed, for people.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    message: String,
    help: Option<String>,
}

impl Failure {
    /// A failure in one sentence, whatever names it holds.
    pub(super) fn new(code: Code, message: impl AsRef<str>) -> Self {
        Failure { code, message: one_line(message.as_ref()).into_owned(), help: None }
    }

    pub(super) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(one_line(help.as_ref()).into_owned());
        self
    }

    /// The same failure, told about `file`.
    pub(super) fn about(mut self, file: &Path) -> Self {
        let name = file.to_string_lossy();
        self.message = format!("'{}': {}", one_line(&name), self.message);
        self
    }

    /// The same failure with what a step of it said, line by line.
    pub(super) fn because(mut self, said: &str) -> Self {
        let lines: Vec<_> = said.lines().map(one_line).collect();
        self.message = format!("{}: {}", self.message, lines.join("\n"));
        self
    }

    /// What the exit code will say.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The sentence without the hint.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }

    fn of(code: Code, error: &dyn Error, help: Option<String>) -> Self {
        let failure = Failure::new(code, chain(error));
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

/// An error and its causes in one line, without saying anything twice.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text
}

impl From<FormatError> for Failure {
    fn from(e: FormatError) -> Self {
        use FormatError::{
            DiskFull, Exists, FolderMissing, InUse, Io, NoSpace, PassphraseNeeded, Random, SameFile,
        };
        let code = match &e {
            Exists { .. } | SameFile { .. } | FolderMissing { .. } | PassphraseNeeded { .. } => {
                Code::Usage
            }
            DiskFull { .. } | NoSpace { .. } | InUse { .. } | Random(_) => Code::Failed,
            Io { action: "replace", .. } => Code::Usage,
            Io { action: "write" | "create" | "erase" | "remove" | "lock" | TAKE, .. } => {
                Code::Failed
            }
            _ => Code::Input,
        };
        let help = e.help();
        Failure::of(code, &e, help)
    }
}

impl From<ImageError> for Failure {
    fn from(e: ImageError) -> Self {
        Failure::of(Code::Input, &e, e.help().map(Into::into))
    }
}

impl From<ModelError> for Failure {
    fn from(e: ModelError) -> Self {
        match e {
            ModelError::Network(e) => e.into(),
            e => Failure::of(Code::Input, &e, e.help().map(Into::into)),
        }
    }
}

#[cfg(feature = "train")]
impl From<crate::train::TrainError> for Failure {
    fn from(e: crate::train::TrainError) -> Self {
        use crate::train::TrainError::{Diverged, Memory, Model, OtherRecipe, Recipe, Write};
        let code = match &e {
            Recipe { .. } | Model(_) | OtherRecipe { .. } => Code::Usage,
            Diverged { .. } | Memory | Write(_) => Code::Failed,
            _ => Code::Input,
        };
        let help = e.help().map(Into::into);
        Failure::of(code, &e, help)
    }
}

impl From<NetworkError> for Failure {
    fn from(e: NetworkError) -> Self {
        let help = match e {
            NetworkError::ImageTooSmall { .. } => Some("use a larger image or a smaller model"),
            NetworkError::ImageTooLarge { .. } | NetworkError::MapTooLarge { .. } => {
                Some("cut it into smaller ones, as `share-image --tile` does")
            }
            _ => None,
        };
        Failure::of(Code::Input, &e, help.map(Into::into))
    }
}

impl From<MetricsError> for Failure {
    fn from(e: MetricsError) -> Self {
        Failure::of(Code::Input, &e, None)
    }
}

impl From<PairError> for Failure {
    fn from(e: PairError) -> Self {
        let help = "give the two shares that both servers wrote for one image in one session";
        Failure::of(Code::Input, &e, Some(help.into()))
    }
}

impl From<BackendError> for Failure {
    fn from(e: BackendError) -> Self {
        Failure::of(Code::Usage, &e, Some("leave --backend and PPDENOISE_BACKEND away".into()))
    }
}

impl From<LedgerError> for Failure {
    fn from(e: LedgerError) -> Self {
        match e {
            LedgerError::Exposed(e) => e.into(),
            e => Failure::of(Code::Failed, &e, e.help()),
        }
    }
}

impl From<NetError> for Failure {
    fn from(e: NetError) -> Self {
        let help = match &e {
            NetError::NotThere { .. } => {
                "start the other server with --listen at this address first, or wait longer with \
                 --wait"
            }
            NetError::NobodyCame { .. } => {
                "start the other server with --connect to this address, or wait longer with --wait"
            }
            NetError::Handshake { refusal, .. } => refused(refusal),
            NetError::Keys(_) => {
                "make new keys with `ppdenoise keygen`, and give each server both .pub"
            }
            NetError::Changed(_) => {
                "look for what is between the two servers, then run both again: the next free slot \
                 is used"
            }
            NetError::Listen { .. } => "choose another --listen address; port 0 takes a free one",
            NetError::Closed(_) | NetError::Refused { .. } => {
                "see the other server's message, then run both again: the next free slot is used"
            }
            NetError::Silent { .. } => "check the other server and the link, then run both again",
            _ => "make sure both servers run the same version of ppdenoise",
        };
        let code = match &e {
            NetError::Listen { .. } => Code::Failed,
            NetError::Keys(_) => Code::Input,
            _ => Code::Peer,
        };
        Failure::of(code, &e, Some(help.into()))
    }
}

/// What to do about a handshake that failed.
fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::WrongKey => {
            "check the address, and that --keys holds the other server's public key: compare what \
             `ppdenoise inspect` says of it at both servers"
        }
        Refusal::OwnKey => "start one server with --party 0 and the other with --party 1",
        Refusal::KeyNotAccepted => {
            "give the other server this server's public key: compare what `ppdenoise inspect` says \
             of it at both servers"
        }
        Refusal::NotTls => "check the address, and start both servers with --insecure or neither",
        Refusal::OtherProtocol { .. } => "make sure both servers run the same version of ppdenoise",
        _ => "check the address and the other server's message, then run both again",
    }
}

impl From<ProtocolError> for Failure {
    fn from(e: ProtocolError) -> Self {
        match e {
            ProtocolError::Net(e) => e.into(),
            ProtocolError::Source(e) => e.into(),
            ProtocolError::SameParty(_) => {
                let help = "start one server with --party 0 and the other with --party 1";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ProtocolError::Mismatch { .. } => {
                let help = "give both servers files of the same sharing, triples and images";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ProtocolError::Sacrifice { .. } => {
                let help = "run both again: no file was left; if it comes again, make sure both \
                            servers run the same version of ppdenoise, and check the machines";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ProtocolError::Ot(_) => {
                let help = "make sure both servers run the same version of ppdenoise";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            _ => Failure::of(Code::Input, &e, None),
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(e: ServiceError) -> Self {
        match e {
            ServiceError::Protocol(e) => e.into(),
            ServiceError::Format(e) => e.into(),
            ServiceError::Ledger(e) => e.into(),
            ServiceError::Linear(_) => {
                let help = "share the model with --ring 32, or let a dealer make the triples";
                Failure::of(Code::Input, &e, Some(help.into()))
            }
            ServiceError::TooCoarse { .. } => {
                let help = "have a dealer make the triples for this model";
                Failure::of(Code::Input, &e, Some(help.into()))
            }
            ServiceError::TooFewSlots { .. } => {
                let help = "give fewer images, or make new triples with `ppdenoise gen-triplets`";
                Failure::of(Code::Input, &e, Some(help.into()))
            }
            ServiceError::Input(e) => vec![e].into(),
            ServiceError::SlotGone { .. } => {
                let help = "the state folder was lost, replaced or restored from a backup: give \
                            --state one folder that lasts (in a container, a volume) and new \
                            triples from `ppdenoise gen-triplets`, never these again";
                Failure::of(Code::Failed, &e, Some(help.into()))
            }
            ServiceError::SlotsLeft { .. } => {
                let help = "leave --all away to keep them, or add --force to destroy them too";
                Failure::of(Code::Usage, &e, Some(help.into()))
            }
            ServiceError::StateOfAnother { .. } => {
                let help = "give each server its own --state folder";
                Failure::of(Code::Usage, &e, Some(help.into()))
            }
            ServiceError::Declined => {
                let help = "see the other server's message";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ServiceError::NotShared => {
                let help = "give both servers their shares of it, of the same run of `ppdenoise \
                            share-image`, and see the other server's message";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ServiceError::NoSlotLeft { .. } => {
                let help = "make new triples with `ppdenoise gen-triplets` and give each server \
                            its half";
                Failure::of(Code::Input, &e, Some(help.into()))
            }
            _ => Failure::of(Code::Failed, &e, None),
        }
    }
}

impl From<RoleError> for Failure {
    fn from(e: RoleError) -> Self {
        match e {
            RoleError::Format(e) => e.into(),
            RoleError::Model(e) => e.into(),
            RoleError::Network(e) => e.into(),
            RoleError::Image(e) => e.into(),
            RoleError::Inputs(e) => e.into(),
            RoleError::Ledger(e) => e.into(),
            RoleError::Service(e) => e.into(),
            RoleError::Net(e) => e.into(),
            RoleError::Pair(e) => e.into(),
            RoleError::Source(e) => e.into(),
            e @ RoleError::Outputs { .. } => Failure::of(Code::Usage, &e, None),
            e @ (RoleError::Unfit(_) | RoleError::TooMuchMaterial) => {
                Failure::of(Code::Input, &e, None)
            }
        }
    }
}

impl From<Vec<InputError>> for Failure {
    fn from(errors: Vec<InputError>) -> Self {
        let help = errors.first().and_then(InputError::help);
        let mut failures = errors.iter().map(|e| Failure::of(Code::Input, e, help.clone()));
        let first = failures.next().unwrap_or_else(|| Failure::new(Code::Input, "no input"));
        failures.fold(first, |mut all, failure| {
            all.message = format!("{}\nerror: {}", all.message, failure.message);
            all
        })
    }
}

impl From<SourceError> for Failure {
    fn from(e: SourceError) -> Self {
        let e = match e.downcast::<FormatError>() {
            Ok(e) => return (*e).into(),
            Err(e) => e,
        };
        let e = match e.downcast::<ModelError>() {
            Ok(e) => return (*e).into(),
            Err(e) => e,
        };
        let e = match e.downcast::<NetworkError>() {
            Ok(e) => return (*e).into(),
            Err(e) => e,
        };
        match e.downcast::<PairError>() {
            Ok(e) => (*e).into(),
            Err(e) => Failure::of(Code::Failed, &*e, None),
        }
    }
}
