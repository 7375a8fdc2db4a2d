//! Files, keys and the ledger: what to do about them.

use super::{Code, Failure};
use crate::artefact::{ArtefactError, PairError};
use crate::files::FormatError;
use crate::files::ledger::LedgerError;
use crate::files::output::words::TAKE;
use crate::roles::inspect::InspectError;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

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
        let help = of_file(&e);
        Failure::of(code, &e, help)
    }
}

impl From<LedgerError> for Failure {
    fn from(e: LedgerError) -> Self {
        match e {
            LedgerError::Exposed(e) => e.into(),
            e => {
                let help = of_ledger(&e);
                Failure::of(Code::Failed, &e, help.map(Into::into))
            }
        }
    }
}

impl From<InspectError> for Failure {
    fn from(e: InspectError) -> Self {
        let (code, help) = match e {
            InspectError::About { file, error } => return Failure::from(*error).about(&file),
            InspectError::Format(e) => return e.into(),
            InspectError::Ledger(e) => return e.into(),
            InspectError::ModelFile(e) => return e.into(),
            InspectError::Model(e) => return e.into(),
            InspectError::Public(e) => return e.into(),
            InspectError::Picture(e) => return e.into(),
            InspectError::NotTriples => (Code::Usage, Some("leave --state away")),
            InspectError::NoState => (Code::Input, None),
            InspectError::NoKeys => (Code::Input, Some("make keys with `ppdenoise keygen`")),
        };
        Failure::of(code, &e, help.map(Into::into))
    }
}

impl From<PairError> for Failure {
    fn from(e: PairError) -> Self {
        let help = "give the two shares that both servers wrote for one image in one session";
        Failure::of(Code::Input, &e, Some(help.into()))
    }
}

impl From<ArtefactError> for Failure {
    fn from(e: ArtefactError) -> Self {
        match e {
            ArtefactError::Format(e) => e.into(),
            ArtefactError::Model(e) => e.into(),
            ArtefactError::Network(e) => e.into(),
            ArtefactError::Pair(e) => e.into(),
        }
    }
}

/// What to do about a file.
pub(super) fn of_file(e: &FormatError) -> Option<String> {
    use FormatError::*;
    Some(match e {
        NotOurs { .. } => "check the path; `ppdenoise inspect FILE` tells what a file is".into(),
        Version { expected, found, .. } if found > expected => {
            "use the newer ppdenoise that wrote this file".into()
        }
        Version { .. } => "make the file again with this version of ppdenoise".into(),
        HeaderDamaged { .. } | ChunkDamaged { .. } | Truncated { .. } | TrailingBytes { .. } => {
            "copy the file again from where it was made, or make it again".into()
        }
        NotAuthentic { .. } => {
            "copy the file again from where it was made; if it is refused again, it was not \
             made with the key it names"
                .into()
        }
        WrongRecipient { .. } => {
            "use the key folder of who it is for, or have it made again with this public key".into()
        }
        WrongSender { role, .. } => format!(
            "get {role}.pub from its owner, compare fingerprints, and have files of an older \
             key made again"
        ),
        SharedForOthers { role, .. } => format!(
            "use the key folder that the model was shared with, or get {role}.pub from its owner, \
             compare fingerprints, and have the model shared again"
        ),
        NoteTooLong { .. } => "give the image a shorter name".into(),
        UnusableKey { .. } => "get the public key from its owner again".into(),
        PassphraseNeeded { .. } => {
            "give --passphrase-file FILE, set PPDENOISE_PASSPHRASE_FILE, or run it at a \
             terminal"
                .into()
        }
        WrongPassphrase { .. } => "give the passphrase this key was made with".into(),
        PassphraseUnusable { limit, .. } => {
            format!("give a file with a passphrase of 1 to {limit} bytes in its first line")
        }
        Exposed { file, folder, .. } => {
            format!("chmod {} '{}'", if *folder { 700 } else { 600 }, file.display())
        }
        Changeable { file, .. } => format!("chmod go-w '{}'", file.display()),
        OfAnother { file, .. } => {
            format!("chown it to the user who runs ppdenoise: '{}'", file.display())
        }
        WrongKind { expected, .. } => {
            format!("give {} {expected}; {}", expected.article(), expected.made_by())
        }
        InvalidField { .. } | PayloadMismatch { .. } => {
            "make the file again; its writer and this program do not agree".into()
        }
        UnknownCipher { .. } => "use the ppdenoise version that sealed this file".into(),
        Exists { .. } => "give another output path, or replace the file with --force".into(),
        SameFile { .. } => "give another output path".into(),
        DiskFull { .. } => "free some space or write to another disk; nothing was left".into(),
        NoSpace { .. } => "free some space or write to another disk".into(),
        Missing { .. } => "check the path".into(),
        FolderMissing { folder, .. } => {
            format!("create it first: mkdir -p '{}'", folder.display())
        }
        KeyFolderMissing { folder } => {
            format!(
                "make this role's pair with `ppdenoise keygen --role ROLE --out '{}'` and copy the \
                 others' .pub there; for a trial leave --role away",
                folder.display()
            )
        }
        KeyMissing { file, folder } => missing_key(file, folder),
        KeyMismatch { .. } => {
            "copy both halves of the pair again, or make new keys with `ppdenoise keygen`".into()
        }
        InUse { .. } => "wait until the other ppdenoise has ended".into(),
        Random(_) => return None,
        Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "check who owns the path and its permissions".into()
        }
        Io { action: TAKE, .. } => "the slot is lost, and nothing was sent under it: mend the \
            disk, or copy the file to another and run both servers again"
            .into(),
        Io { action: "write" | "create", .. } => "write to another place; nothing was left".into(),
        Io { .. } => return None,
    })
}

/// A role makes its own pair, and gets the public halves of the others.
fn missing_key(file: &Path, folder: &Path) -> String {
    let name = |part: Option<&OsStr>| part.and_then(OsStr::to_str).unwrap_or("ROLE").to_owned();
    if file.extension().is_some_and(|e| e == "pub") {
        format!("get {} from its owner and copy it into this folder", name(file.file_name()))
    } else {
        format!(
            "copy the key into this folder, or make the pair with `ppdenoise keygen --role {} --out \
             '{}'`",
            name(file.file_stem()),
            folder.display()
        )
    }
}

/// What to do about a ledger.
fn of_ledger(e: &LedgerError) -> Option<&'static str> {
    use LedgerError::*;
    Some(match e {
        Busy { .. } => "wait for the other server, or give each its own --state folder",
        Lost { .. } => {
            "which slots are used is no longer known: use another --state folder \
            together with new triples from `ppdenoise gen-triplets`, never again the triples \
            used with this one, and no old copy of the ledger"
        }
        Damaged { .. } | Replaced { .. } => {
            "which slots are used is no longer certain: \
            use another --state folder together with new triples from \
            `ppdenoise gen-triplets`, and never again the triples used with this one"
        }
        Older { .. } => {
            "put no older copies back: a user takes another --state folder, and a cloud adds the \
             user anew with `ppdenoise add-client --instead-of`; what was used or counted stays so"
        }
        WeightsBound { what: "model", .. } => {
            "make triples for this model with `ppdenoise gen-triplets`"
        }
        WeightsBound { .. } | OpenedBound { .. } => {
            "give both servers the files of one \
            `ppdenoise share-model`, or share the model again and make triples for it"
        }
        NoHome => "say where to keep it with --state DIR",
        Io { .. } => "check the folder given with --state and its permissions",
        Exposed(_) | NoSuchSlot { .. } => return None,
    })
}
