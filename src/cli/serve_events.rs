//! What happens to a server that watches, as lines of JSON on standard output. Everything in them is public:
//! names of files, ids, sizes, counts, and the fingerprint of the other server's public key.

use super::clock;
use super::failure::refill_command;
use super::output::print_json_line;
use crate::ids::Party;
use crate::roles::server::{PeerFacts, ServerEvent, SetFound};
use crate::size::Size;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// `serve --watch --json` prints a line for each event; a heartbeat is a line of `status`.
/// Everything in it is public: file names, ids, sizes, counts, addresses, and fingerprints of
/// public keys.
#[derive(Serialize, JsonSchema)]
pub(super) struct Line<'a> {
    /// RFC 3339 in UTC, to the millisecond.
    time: String,
    /// 0 or 1.
    party: usize,
    /// The other server's address; null while it is away.
    peer: Option<&'a str>,
    /// Fingerprint of the key that it proved; null while it is away.
    peer_key: Option<&'a str>,
    #[serde(flatten)]
    happened: Happened<'a>,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Happened<'a> {
    /// This server listens at an address.
    Listening {
        /// HOST:PORT.
        address: String,
    },
    /// It tries to connect to the other server at an address.
    Connecting {
        /// HOST:PORT.
        address: &'a str,
    },
    /// Somebody else connected; reported once for each reason while the server waits.
    Refused {
        /// One sentence.
        reason: &'a str,
    },
    /// The other server has connected, or connected again.
    PeerThere,
    /// It has gone away or does not connect; reported once until it is back.
    PeerAway {
        /// One sentence.
        reason: &'a str,
    },
    /// Public keys in the folder have changed.
    KeysChanged,
    /// A set was found in a folder.
    TriplesFound(&'a SetFound),
    /// Its last slot is spent.
    TriplesUsedUp(&'a SetFound),
    /// A file in the folder cannot be used; reported once until it changes.
    TriplesRefused {
        /// This server's file.
        file: String,
        /// One sentence.
        reason: String,
    },
    /// The other server has had no half of it for `--missing-after` seconds.
    TriplesUnmatched {
        /// This server's file.
        file: String,
        /// Id of a set of triples.
        set: String,
    },
    /// Fewer than `--warn-below` slots are left for a size; reported once until there are more.
    TriplesFew {
        #[serde(flatten)]
        size: ImageSize,
        /// Slots left of the set or for the size, by this server's ledger.
        slots_left: u64,
        /// The value of the flag.
        warn_below: u64,
        /// The command to run, in which you fill in KEYS, MODEL.pub and PREFIX.
        command: String,
    },
    /// Images wait for triples of their size; reported once until there are some.
    TriplesMissing {
        #[serde(flatten)]
        size: ImageSize,
        /// Number of images that wait.
        images: u64,
        /// The command to run, in which you fill in KEYS, MODEL.pub and PREFIX.
        command: String,
    },
    /// Spent material was overwritten (`--erase-spent`).
    Erased {
        /// This server's file.
        file: String,
        /// Slots whose material was overwritten now.
        slots_erased: u64,
        /// Bytes of the triples that were overwritten now.
        bytes_erased: u64,
        /// Whether the whole file, seeds included, was overwritten and removed.
        file_removed: bool,
    },
    /// An image is done.
    ImageDone(Image),
    /// A share cannot be used, or cannot be read to its end.
    ImageFailed {
        /// This server's file.
        file: String,
        /// One sentence.
        reason: String,
    },
    /// The other server has had no share of it for `--missing-after` seconds, or at the end; never for an image of
    /// which this server has the result, or both once had it.
    ImageUnmatched {
        /// This server's file.
        file: String,
        /// Id of the image, from the gateway's sharing.
        image_id: String,
        /// Seconds that it has waited.
        seconds: f64,
    },
}

/// A size of images.
#[derive(Serialize, JsonSchema)]
struct ImageSize {
    /// Rows of the images.
    height: usize,
    /// Columns of the images.
    width: usize,
}

impl From<Size> for ImageSize {
    fn from(Size { height, width }: Size) -> Self {
        ImageSize { height, width }
    }
}

#[derive(Serialize, JsonSchema)]
struct Image {
    /// Id of the image, from the gateway's sharing.
    image_id: String,
    /// This server's file.
    file: String,
    #[serde(flatten)]
    size: ImageSize,
    /// Id of a set of triples.
    set: String,
    /// The slot that was used.
    slot: u64,
    /// Slots left of the set or for the size, by this server's ledger.
    slots_left: u64,
    /// Seconds from the agreement on the slot to the finished result.
    seconds: f64,
    /// Bytes sent to the other server.
    bytes_sent: u64,
    /// Bytes received from the other server.
    bytes_received: u64,
}

/// Who is told of events as lines.
pub(super) struct Log {
    party: usize,
    peer: Option<String>,
    peer_key: Option<String>,
}

impl Log {
    pub(super) fn new(party: Party) -> Self {
        Log { party: party.index(), peer: None, peer_key: None }
    }

    /// An event becomes a line, if it is one of those that have one.
    pub(super) fn event(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::Linked(PeerFacts { address, key }) => {
                self.peer = address.map(|address| address.to_string());
                self.peer_key = key.map(|key| key.to_string());
            }
            ServerEvent::PeerLost { .. } => (self.peer, self.peer_key) = (None, None),
            _ => {}
        }
        if let Some(happened) = happened(event) {
            self.line(happened);
        }
    }

    /// Few slots are left for a size.
    pub(super) fn low(&mut self, size: Size, slots_left: u64, warn_below: u64) {
        let command = refill_command(size, warn_below);
        let size = size.into();
        self.line(Happened::TriplesFew { size, slots_left, warn_below, command });
    }

    fn line(&self, happened: Happened<'_>) {
        let (peer, peer_key) = (self.peer.as_deref(), self.peer_key.as_deref());
        let line = Line { time: clock::now(), party: self.party, peer, peer_key, happened };
        // A log that cannot be written ends no session.
        let _ = print_json_line(&line);
    }
}

fn name(file: &Path) -> String {
    file.display().to_string()
}

fn happened<'a>(event: &'a ServerEvent) -> Option<Happened<'a>> {
    Some(match event {
        ServerEvent::Listening(address) => Happened::Listening { address: address.to_string() },
        ServerEvent::Connecting(address) => Happened::Connecting { address },
        ServerEvent::Stranger(reason) => Happened::Refused { reason },
        ServerEvent::Linked(_) => Happened::PeerThere,
        ServerEvent::PeerLost { reason } => Happened::PeerAway { reason },
        ServerEvent::KeysChanged => Happened::KeysChanged,
        ServerEvent::SetFound(found) => Happened::TriplesFound(found),
        ServerEvent::SetSpent(found) => Happened::TriplesUsedUp(found),
        ServerEvent::SetRefused { file, error } => {
            Happened::TriplesRefused { file: name(file), reason: error.to_string() }
        }
        ServerEvent::SetUnmatched { file, set } => {
            Happened::TriplesUnmatched { file: name(file), set: set.to_string() }
        }
        ServerEvent::NoMaterial { size, images } => Happened::TriplesMissing {
            size: (*size).into(),
            images: *images,
            command: refill_command(*size, *images),
        },
        ServerEvent::Erased { file, report } => Happened::Erased {
            file: name(file),
            slots_erased: report.slots_erased,
            bytes_erased: report.bytes_erased,
            file_removed: report.file_removed,
        },
        ServerEvent::Denoised(image) => Happened::ImageDone(Image {
            image_id: image.image_id.clone(),
            file: name(&image.file),
            size: ImageSize { height: image.height, width: image.width },
            set: image.set.clone(),
            slot: image.slot,
            slots_left: image.slots_left,
            seconds: image.online.seconds,
            bytes_sent: image.online.traffic.bytes_sent,
            bytes_received: image.online.traffic.bytes_received,
        }),
        ServerEvent::Failed { file, error } => {
            Happened::ImageFailed { file: name(file), reason: error.to_string() }
        }
        ServerEvent::Unmatched { file, image, seconds } => Happened::ImageUnmatched {
            file: name(file),
            image_id: image.to_string(),
            seconds: *seconds,
        },
        // Told on standard error alone.
        ServerEvent::Material(_)
        | ServerEvent::Phase(_)
        | ServerEvent::Standing(_)
        | ServerEvent::Unguarded { .. }
        | ServerEvent::Insecure
        | ServerEvent::Served { .. }
        | ServerEvent::NotErased(_) => return None,
    })
}
