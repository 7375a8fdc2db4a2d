//! What is known of a daemon: one place, which its events fill, and from which everything that is shown of it comes.
//!
//! Nothing in it is secret, and nothing names a person or a file: counts, sizes, times, and the address of a peer whose
//! key is known.

use crate::cli::clock;
use crate::roles::one_cloud::{Busy, CloudEvent};
use crate::roles::server::{ServerEvent, ServerPhase, Standing};
use crate::size::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Doing {
    /// It reads its inputs.
    Starting,
    /// It waits for the other server.
    Waiting,
    /// It serves, or waits for images.
    Serving,
    /// It was asked to end, and finishes the image in work.
    Stopping,
    /// It has ended as it was asked to.
    Stopped,
    /// It has ended by itself.
    Failed,
}

/// What is known of a daemon. Times are milliseconds since 1970.
#[derive(Debug)]
pub(super) struct State {
    pub(super) doing: Doing,
    pub(super) exit_code: Option<u8>,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) in_work: u64,
    pub(super) standing: Standing,
    pub(super) peer: Peer,
    /// Of a cloud.
    pub(super) users: Option<Users>,
    /// When its loop last came around.
    pub(super) alive: u64,
}

/// Who was at the other end last.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) address: Option<SocketAddr>,
    pub(super) there: bool,
    /// When it was last there.
    pub(super) seen: Option<u64>,
}

/// The users of a cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Users {
    pub(super) known: u64,
    pub(super) busy: Busy,
}

impl State {
    pub(super) fn new(users: Option<Users>, now: u64) -> State {
        State {
            doing: Doing::Starting,
            exit_code: None,
            done: 0,
            failed: 0,
            in_work: 0,
            standing: Standing::default(),
            peer: Peer::default(),
            users,
            alive: now,
        }
    }

    /// The loop has come around; `stopping` says whether it was asked to end. Whether that is news.
    pub(super) fn goes_on(&mut self, stopping: bool, now: u64) -> bool {
        self.alive = now;
        if self.peer.there {
            self.peer.seen = Some(now);
        }
        stopping && self.becomes(Doing::Stopping)
    }

    /// Something happened at a server; whether that is shown.
    pub(super) fn server(&mut self, event: &ServerEvent, now: u64) -> bool {
        self.alive = now;
        match event {
            ServerEvent::Listening(_) | ServerEvent::Connecting(_) => {
                self.becomes(Doing::Waiting);
            }
            ServerEvent::Linked(facts) => {
                self.comes(facts.address, now);
                self.becomes(Doing::Serving);
            }
            ServerEvent::PeerLost { .. } => {
                self.peer.there = false;
                self.in_work = 0;
                self.becomes(Doing::Waiting);
            }
            ServerEvent::Standing(standing) => self.standing.clone_from(standing),
            ServerEvent::Phase(ServerPhase::Online(..)) => self.in_work = 1,
            ServerEvent::Denoised(image) => {
                self.done += 1;
                self.no_more_in_work();
                let size = Size::new(image.height, image.width);
                self.standing.slots_left.insert(size, image.slots_left);
            }
            ServerEvent::Failed { .. } => {
                self.failed += 1;
                // A file that is no good was never one that waits.
                if self.in_work > 0 {
                    self.no_more_in_work();
                }
            }
            _ => return false,
        }
        true
    }

    /// Something happened at a cloud; whether that is shown.
    pub(super) fn cloud(&mut self, event: &CloudEvent<'_>, now: u64) -> bool {
        let users = self.users.get_or_insert_default();
        match event {
            CloudEvent::Clients(known) => users.known = *known as u64,
            CloudEvent::Session(report) => self.failed += u64::from(report.error.is_some()),
            CloudEvent::Came(address) => self.comes(*address, now),
            CloudEvent::Alive(busy) => {
                let news = users.busy != *busy || self.doing == Doing::Starting;
                users.busy = *busy;
                self.alive = now;
                self.done = busy.images;
                self.in_work = busy.at_work as u64;
                self.standing.waiting = busy.in_line as u64;
                self.peer.there = busy.connected > 0;
                self.becomes(Doing::Serving);
                return news;
            }
            CloudEvent::Stranger(_) | CloudEvent::BadClient(..) => return false,
        }
        true
    }

    /// It has ended.
    pub(super) fn ended(&mut self, exit_code: u8) {
        self.doing = if exit_code == 0 { Doing::Stopped } else { Doing::Failed };
        self.exit_code = Some(exit_code);
        (self.in_work, self.peer.there) = (0, false);
    }

    fn comes(&mut self, address: Option<SocketAddr>, now: u64) {
        self.peer = Peer { address, there: true, seen: Some(now) };
    }

    fn no_more_in_work(&mut self) {
        self.in_work = 0;
        self.standing.waiting = self.standing.waiting.saturating_sub(1);
    }

    /// Who is asked to end does so, whatever happens meanwhile. Whether it is news.
    fn becomes(&mut self, doing: Doing) -> bool {
        let ends = matches!(self.doing, Doing::Stopping | Doing::Stopped | Doing::Failed);
        let news = !ends && self.doing != doing;
        if news {
            self.doing = doing;
        }
        news
    }
}

/// A daemon's state as it is written, and read by `ppdenoise status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Status {
    /// When it was written: RFC 3339, UTC.
    pub(super) time: String,
    /// The same in seconds since 1970.
    pub(super) unix_time: u64,
    /// How often it is written when nothing happens.
    pub(super) every_seconds: u64,
    /// By when it is written again at the latest, if all is well.
    pub(super) next_within_seconds: u64,
    pub(super) command: String,
    pub(super) party: u8,
    pub(super) version: String,
    pub(super) process: u32,
    pub(super) started: String,
    pub(super) state: Doing,
    pub(super) exit_code: Option<u8>,
    pub(super) images_done: u64,
    pub(super) failures: u64,
    pub(super) images_in_work: u64,
    pub(super) waiting: u64,
    pub(super) slots_left: Vec<SlotsLeft>,
    pub(super) state_disk_left_bytes: Option<u64>,
    pub(super) out_disk_left_bytes: Option<u64>,
    pub(super) peer: Option<String>,
    pub(super) peer_there: bool,
    pub(super) peer_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) users: Option<UsersStatus>,
}

/// Slots for images of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SlotsLeft {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) slots: u64,
}

/// The users of a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UsersStatus {
    pub(super) known: u64,
    pub(super) connected: u64,
    pub(super) slots_made: u64,
    pub(super) sessions_ended: u64,
}

impl State {
    /// What is told of the state beside what stays the same.
    pub(super) fn fill(&self, status: &mut Status, now: u64) {
        let text = |at: Option<u64>| at.map(clock::text_of);
        status.time = clock::text_of(now);
        status.unix_time = now / 1000;
        status.state = self.doing;
        status.exit_code = self.exit_code;
        status.images_done = self.done;
        status.failures = self.failed;
        status.images_in_work = self.in_work;
        status.waiting = self.standing.waiting;
        status.slots_left = slots(&self.standing.slots_left);
        status.peer = self.peer.address.map(|address| address.to_string());
        status.peer_there = self.peer.there;
        status.peer_seen = text(self.peer.seen);
        status.users = self.users.map(|Users { known, busy }| UsersStatus {
            known,
            connected: busy.connected as u64,
            slots_made: busy.slots_made,
            sessions_ended: busy.sessions,
        });
    }
}

fn slots(left: &BTreeMap<Size, u64>) -> Vec<SlotsLeft> {
    left.iter()
        .map(|(&Size { height, width }, &slots)| SlotsLeft { height, width, slots })
        .collect()
}
