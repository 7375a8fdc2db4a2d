//! What to do stands behind the errors for which there is something to do.

use super::{Code, Failure, refused};
use crate::files::FormatError;
use crate::files::container::header::{Fields, ImageShare, ModelShare};
use crate::files::ledger::LedgerError;
use crate::image::ImageError;
use crate::image::dicom::{Window, decode};
use crate::protocol::ProtocolError;
use crate::roles::images::PictureError;
use crate::roles::inspect::InspectError;
use crate::roles::models::ModelFileError;
use crate::roles::one_cloud::{CloudError, UserError};
use crate::roles::server::{ServerError, ServiceError};
use crate::roles::{
    CalibrateError, DealerError, GatewayError, MaterialError, ModelOwnerError, PlainError,
    PublicModelError, ReceiverError, VerifyError,
};
use crate::wire::NetError;
use std::path::{Path, PathBuf};

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
    let (expected, found) = (ModelShare::KIND, ImageShare::KIND);
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

/// The failures, each of which must be told as the first is.
fn alike(failures: Vec<Failure>) {
    let told = |failure: &Failure| (failure.to_string(), failure.code());
    for failure in &failures[1..] {
        assert_eq!(told(failure), told(&failures[0]));
    }
}

/// Text, hint and exit code of a cause do not depend on the role that meets it, nor on how it is wrapped.
#[test]
fn a_cause_is_told_alike_by_every_role() {
    let full = || FormatError::DiskFull { file: path("a") };
    alike(vec![
        full().into(),
        ModelOwnerError::from(full()).into(),
        GatewayError::from(full()).into(),
        GatewayError::from(PictureError::from(full())).into(),
        DealerError::from(full()).into(),
        DealerError::from(MaterialError::from(full())).into(),
        DealerError::from(PublicModelError::from(full())).into(),
        ServerError::from(full()).into(),
        ServiceError::from(full()).into(),
        ReceiverError::from(full()).into(),
        CloudError::from(full()).into(),
        UserError::from(full()).into(),
        UserError::from(ServerError::from(full())).into(),
        VerifyError::from(full()).into(),
        InspectError::from(full()).into(),
        ModelFileError::from(full()).into(),
    ]);
    let (colour, file) = (|| ImageError::Colour, Path::new("a.png"));
    alike(vec![
        Failure::from(colour()).about(file),
        PictureError::from(colour()).about(file).into(),
        GatewayError::from(colour()).about(file).into(),
        GatewayError::from(PictureError::from(colour()).about(file)).into(),
        ReceiverError::from(colour()).about(file).into(),
        ReceiverError::from(PictureError::from(colour()).about(file)).into(),
        UserError::from(colour()).about(file).into(),
        PlainError::from(colour()).about(file).into(),
        CalibrateError::from(colour()).about(file).into(),
        InspectError::from(PictureError::from(colour()).about(file)).into(),
    ]);
    let gone = || NetError::Closed("it is gone".into());
    alike(vec![
        gone().into(),
        ProtocolError::from(gone()).into(),
        ServiceError::from(gone()).into(),
        ServerError::from(gone()).into(),
        CloudError::from(gone()).into(),
        UserError::from(gone()).into(),
    ]);
}

#[test]
fn what_a_request_to_a_server_lacks_is_told_with_its_code() {
    use ServerError as Lacks;
    let (usage, input) = (Code::Usage, Code::Input);
    let [a, t, s, p, place, f] = ["a", "t", "s", "p", "in", "f"].map(path);
    for (error, code, text, hint) in [
        (Lacks::NoPeer, usage, "neither --listen nor --connect is given", ""),
        (Lacks::EmptyShard, input, "there are no images in this shard", ""),
        (Lacks::OneOutput { file: a }, usage, "'a': given twice as --out", "an output of its own"),
        (Lacks::SlotsLeft { left: 2, file: t }, usage, "2 slot(s) of 't' are left", "--unused-too"),
        (Lacks::NoState { folder: s }, input, "'s': the state folder does not exist", ""),
        (
            Lacks::NothingKept { file: p },
            usage,
            "'p': nothing can be erased there",
            "name the file of triples",
        ),
        (
            Lacks::NoImages { place },
            input,
            "'in': there are no image shares of this server here",
            "share-image",
        ),
        (
            Lacks::FolderOfTriples { folder: f },
            usage,
            "'f' is a folder of triples, which only a server that watches looks into",
            "--watch",
        ),
    ] {
        let failure = Failure::from(error);
        assert_eq!(failure.code(), code);
        let all = failure.to_string();
        let (said, help) = all.split_once("\nhelp: ").unwrap_or((&all, ""));
        assert_eq!(said, format!("error: {text}"));
        assert!(help.contains(hint) && help.is_empty() == hint.is_empty(), "{all}");
    }
}

/// What the cloud said is told as its word, over the link as in the joint computation.
#[test]
fn a_refusal_of_the_cloud_is_its_own_word() {
    let no = || NetError::Refused { reason: "not today".into() };
    for error in [UserError::from(no()), ServerError::from(no()).into()] {
        let failure = refused(error);
        assert_eq!(failure.code(), Code::Peer);
        assert_eq!(failure.message(), "the cloud refused: not today");
    }
    let other = refused(UserError::Colour);
    assert_eq!(other.code(), Code::Input);
}
