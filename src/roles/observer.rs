//! What a role tells while it works.

use super::dealer::DealtSet;
use super::error::RoleError;
use super::gateway::SharedPlane;
use super::receiver::Reconstructed;
use super::server::{EraseReport, ImageReport, InputError, MakeReport, ServeReport};
use crate::artefact::{NoteError, Unguarded};
use crate::ids::{Fingerprint, ImageId, TripleSetId};
use crate::image::{Cut, Implausible};
use crate::material::Origin;
use crate::model::{OutOfRange, Trained, Unfit};
#[cfg(feature = "train")]
use crate::train::CurvePoint;
use std::net::SocketAddr;
use std::path::Path;

/// Told how a role's work goes: facts, from which whoever shows them makes sentences.
pub trait Observer: Send {
    /// Something happened.
    fn event(&mut self, event: Event<'_>);
    /// The share of the current phase that is done, from 0 to 1.
    fn progress(&mut self, done: f64);
}

/// What happens while a role works.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A phase begins.
    Phase(Phase),
    /// Used slots stay in this file of material: only the ledger keeps them from serving twice. Told
    /// once a job.
    Unguarded {
        /// The file.
        file: &'a Path,
        /// Why it cannot be written.
        why: Unguarded,
    },
    /// Training: so many images, beside those that are held for validation.
    #[cfg(feature = "train")]
    TrainingImages {
        /// Images to train on.
        images: usize,
        /// Images to validate on.
        held: usize,
    },
    /// Training: how it stands.
    #[cfg(feature = "train")]
    TrainingPoint {
        /// Step, rate and PSNR.
        point: &'a CurvePoint,
        /// Mean length of the gradients since the last one.
        gradient: f64,
    },
    /// Gateway: without the receiver's key there are no notes.
    NoReceiver {
        /// The file that is missed.
        file: &'a Path,
    },
    /// Gateway or user: the noise of a plane was estimated.
    Estimated {
        /// The image's file.
        file: &'a Path,
        /// In grey levels.
        sigma: f64,
    },
    /// Gateway, user or plaintext: a plane has noise that the model does not serve.
    Unserved {
        /// The image's file.
        file: &'a Path,
        /// Its noise, in grey levels.
        sigma: f64,
        /// What the model was trained on.
        trained: Trained,
    },
    /// Gateway: an image, or a channel of one, is shared.
    Shared {
        /// What was shared.
        image: &'a SharedPlane,
        /// Whether it is one image of several.
        of_several: bool,
    },
    /// Gateway: an image is shared in tiles.
    SharedTiles {
        /// The image's file.
        file: &'a Path,
        /// How it was cut.
        cut: &'a Cut,
        /// Shares of each tile: 1 or 3.
        channels: usize,
    },
    /// Gateway: an image is shared frame by frame.
    SharedFrames {
        /// The image's file.
        file: &'a Path,
        /// How many.
        frames: usize,
        /// Rows and columns of each.
        size: (usize, usize),
    },
    /// Gateway: a DICOM file that was found holds no picture, and is passed over.
    NoPicture {
        /// The file.
        file: &'a Path,
        /// What it is instead.
        kind: &'static str,
    },
    /// Gateway: subfolders of a folder were not searched.
    Unsearched {
        /// The folder.
        folder: &'a Path,
        /// How many it has.
        folders: usize,
    },
    /// Gateway: so many images were shared into the folder before, and are passed over.
    SharedBefore {
        /// How many.
        images: usize,
    },
    /// Gateway or user: pixels beyond the levels that the model was shared for were clamped, and accepted.
    Clamped {
        /// The image's file.
        file: &'a Path,
        /// How many, and what would hold them all.
        unfit: Unfit,
    },
    /// A result takes away more than the noise told, and is accepted all the same.
    Implausible {
        /// The image's file, or a share of the result.
        file: &'a Path,
        /// Where, and how much.
        found: Implausible,
    },
    /// The range alarm of a result was raised, and it is accepted all the same.
    RangeAlarm {
        /// A share of the result.
        file: &'a Path,
    },
    /// Values left the ranges of an integer network, and wrapped around.
    OutOfRange {
        /// The image's file.
        file: &'a Path,
        /// Where, and how many.
        left: &'a OutOfRange,
    },
    /// No image is of the shard: no material is made.
    EmptyShard,
    /// A set of material that will be made.
    Planned {
        /// Who makes it.
        origin: Origin,
        /// Rows and columns of the images.
        size: (usize, usize),
        /// How many images.
        slots: u64,
        /// Size of a file with explicit material.
        bytes: u64,
    },
    /// A user has too few slots left, or wants more: they are made now, together with the cloud.
    Making {
        /// Rows and columns of the images.
        size: (usize, usize),
        /// How many images.
        slots: u64,
        /// Size of each end's file.
        bytes: u64,
    },
    /// A user's slots are made.
    Made(&'a MakeReport),
    /// A set of material is dealt.
    Dealt(&'a DealtSet),
    /// A server listens here for the other one.
    Listening(SocketAddr),
    /// A server asks for the other one at this address.
    Connecting(&'a str),
    /// The link to the other server is neither encrypted nor authenticated.
    Insecure,
    /// Somebody else than the other server connected and was refused: from where, and why.
    Stranger(&'a str),
    /// The other server is there, or there again after it was told that it is not.
    Linked(PeerFacts),
    /// The other server has gone or does not come, and is waited for. Told once until it is there again.
    PeerLost {
        /// How that shows.
        error: &'a RoleError,
    },
    /// A set of triples was found in a folder, and will serve once the other server has its half.
    SetFound(SetFound<'a>),
    /// All slots of a set in a folder are spent: its file can be erased.
    SetSpent(SetFound<'a>),
    /// A file in a folder of triples is no good, and is passed over until it changes.
    SetRefused {
        /// The file.
        file: &'a Path,
        /// Why.
        error: InputError,
    },
    /// The other server has had no half of this set for long.
    SetUnmatched {
        /// This server's file.
        file: &'a Path,
        /// The set.
        set: TripleSetId,
    },
    /// Images wait for material of their size. Told once until there is some.
    NoMaterial {
        /// Their rows and columns.
        size: (u32, u32),
        /// How many wait now.
        images: u64,
    },
    /// The other server has had no share of this image for long, or lacks it when this one ends.
    Unmatched {
        /// This server's share.
        file: &'a Path,
        /// The image.
        image: ImageId,
        /// How long.
        seconds: f64,
    },
    /// Public keys in the server's folder have changed: from now on they decide.
    KeysChanged,
    /// Receiver: without the gateway's key notes are not read.
    NoGateway {
        /// The file that is missed.
        file: &'a Path,
    },
    /// Receiver: an image keeps its id as name.
    NoteUnread {
        /// The image.
        image: ImageId,
        /// Why its note cannot be read.
        error: NoteError,
    },
    /// Receiver: an image came without a note, so its name and bit depth are not known.
    NoNote {
        /// The image.
        image: ImageId,
    },
    /// Receiver: what is written is one part only of what was shared.
    PartOnly {
        /// Its file.
        file: &'a Path,
        /// What it is one of.
        part: &'static str,
    },
    /// Receiver: an image is written.
    Reconstructed(&'a Reconstructed),
    /// A server has done an image.
    Denoised(&'a ImageReport),
    /// A server's session with the other one is over.
    Served(&'a ServeReport),
    /// Spent material of this file was overwritten.
    Erased {
        /// The triples.
        file: &'a Path,
        /// What of them.
        report: &'a EraseReport,
    },
    /// Spent material stays for the next time: another process works with this file.
    NotErased(&'a Path),
    /// A file failed, and the others go on.
    Failed {
        /// The file.
        file: &'a Path,
        /// Why.
        error: RoleError,
    },
}

/// Who is at the other end of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerFacts {
    /// Its address, where the link is one of TCP.
    pub address: Option<SocketAddr>,
    /// The key that it proved; none without TLS.
    pub key: Option<Fingerprint>,
}

/// A set of triples in a folder.
#[derive(Clone, Copy, Debug)]
pub struct SetFound<'a> {
    /// Its file.
    pub file: &'a Path,
    /// Its id.
    pub set: TripleSetId,
    /// Rows and columns of the images that it serves.
    pub size: (u32, u32),
    /// All of its slots.
    pub slots: u64,
    /// Those that this server's ledger leaves.
    pub left: u64,
}

/// The phases of a role's work, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// A plane of an image, in the clear.
    Plain,
    /// Model owner: quantising and sharing a model.
    ShareModel,
    /// Training.
    #[cfg(feature = "train")]
    Train,
    /// Model owner: images that a model is calibrated on.
    Calibrate,
    /// Dealer: a set of material.
    Deal,
    /// Servers: handshake, opening of U, packing.
    Setup,
    /// Servers: image number `.0` of `.1`.
    Online(usize, usize),
    /// Servers: products of slot number `.0` of `.1`, ahead of time.
    Prepare(usize, usize),
    /// Servers: hints of the weights' mask, once a model.
    Hints,
    /// Gateway: the tiles of an image.
    ShareTiles,
    /// Gateway: the frames of an image.
    ShareFrames,
    /// Receiver: the tiles of an image.
    JoinTiles,
    /// Receiver: the frames of an image.
    JoinFrames,
    /// Servers: material of set number `.0` of `.1`, made with the other server.
    Make(usize, usize),
}

/// An [`Observer`] that is told and says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: Event<'_>) {}
    fn progress(&mut self, _: f64) {}
}
