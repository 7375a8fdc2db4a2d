//! What happens to a server that watches, as lines of JSON on standard output. Everything in them is public:
//! names of files, ids, sizes, counts, and the fingerprint of the other server's public key.

use super::clock;
use super::failure::refill_command;
use super::output::print_json_line;
use crate::ids::Party;
use crate::roles::server::{PeerFacts, ServerEvent, SetFound};
use crate::size::Size;
use serde::Serialize;
use std::path::Path;

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    /// RFC 3339, UTC.
    time: String,
    party: usize,
    /// The other server's address, as long as it is there.
    peer: Option<&'a str>,
    /// The fingerprint of the key that it proved, as long as it is there.
    peer_key: Option<&'a str>,
    #[serde(flatten)]
    happened: Happened<'a>,
}

/// What happened.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Happened<'a> {
    Listening { address: String },
    Connecting { address: &'a str },
    Refused { reason: &'a str },
    PeerThere,
    PeerAway { reason: &'a str },
    KeysChanged,
    TriplesFound(&'a SetFound),
    TriplesUsedUp(&'a SetFound),
    TriplesRefused { file: String, reason: String },
    TriplesUnmatched { file: String, set: String },
    TriplesFew { height: usize, width: usize, slots_left: u64, warn_below: u64, command: String },
    TriplesMissing { height: usize, width: usize, images: u64, command: String },
    Erased { file: String, slots_erased: u64, bytes_erased: u64, file_removed: bool },
    ImageDone(Image),
    ImageFailed { file: String, reason: String },
    ImageUnmatched { file: String, image_id: String, seconds: f64 },
}

#[derive(Serialize)]
struct Image {
    image_id: String,
    file: String,
    height: usize,
    width: usize,
    set: String,
    slot: u64,
    slots_left: u64,
    seconds: f64,
    bytes_sent: u64,
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
    pub(super) fn low(&mut self, Size { height, width }: Size, slots_left: u64, warn_below: u64) {
        let command = refill_command(Size::new(height, width), warn_below);
        self.line(Happened::TriplesFew { height, width, slots_left, warn_below, command });
    }

    fn line(&self, happened: Happened<'_>) {
        let (peer, peer_key) = (self.peer.as_deref(), self.peer_key.as_deref());
        let line = Line { time: clock::now(), party: self.party, peer, peer_key, happened };
        // A log that cannot be written ends no session.
        let _ = print_json_line("ppdenoise.serve-event.v1", &line);
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
            height: size.height,
            width: size.width,
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
            height: image.height,
            width: image.width,
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
