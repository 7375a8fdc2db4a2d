//! What to do stands behind the errors for which there is something to do.

use super::Failure;
use crate::files::FormatError;
use crate::files::container::Kind;
use crate::files::ledger::LedgerError;
use crate::image::ImageError;
use crate::image::dicom::{Window, decode};
use std::path::PathBuf;

fn told(failure: impl Into<Failure>, help: &str) {
    let text = failure.into().to_string();
    let (_, hint) = text.split_once("\nhelp: ").unwrap_or_else(|| panic!("no hint in: {text}"));
    assert!(hint.contains(help), "{hint}");
}

fn path(name: &str) -> PathBuf {
    name.into()
}

#[test]
fn files_say_what_to_do() {
    use FormatError::{DiskFull, Exposed, KeyFolderMissing, KeyMissing, WrongKind};
    told(DiskFull { file: path("a") }, "free some space");
    for (folder, command) in [(false, "chmod 600 'a'"), (true, "chmod 700 'a'")] {
        told(Exposed { file: path("a"), mode: 0o644, folder }, command);
    }
    let (expected, found) = (Kind::ModelShare, Kind::ImageShare);
    told(WrongKind { file: path("a"), expected, found }, "share-model");
    told(KeyFolderMissing { folder: path("keys") }, "keygen --role ROLE --out 'keys'");
    let missing = |file| KeyMissing { file: path(file), folder: path("keys") };
    told(missing("keys/gateway.key"), "keygen --role gateway --out 'keys'");
    told(missing("keys/server0.pub"), "get server0.pub from its owner");
}

#[test]
fn ledgers_ask_for_new_triples() {
    let lost = LedgerError::Lost { folder: path("state"), sign: "opened weights".into() };
    told(lost, "gen-triplets");
}

#[test]
fn images_say_what_to_do() {
    told(ImageError::Colour, "--color");
    let error = decode(b"no DICOM file", Some(Window::OfFile)).unwrap_err();
    assert!(Failure::from(error).to_string().starts_with("error: "));
}
