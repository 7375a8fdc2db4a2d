//! What is known of a daemon: one place, which its events fill, and from which everything that is shown of it comes.
//!
//! Nothing in it is secret, and nothing names a person or a file: counts, sizes, times, and the address of a peer whose
//! key is known.

use crate::cli::clock;
use crate::roles::one_cloud::{Busy, CloudEvent};
use crate::roles::server::{ServerEvent, ServerPhase, Standing};
use crate::size::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
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

/// What `serve --watch --status FILE` and `cloud --status FILE` keep in the file, `status --json`
/// prints, and with `--json` the heartbeat line is. Nothing in it is secret, and nothing names a
/// person or a file.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema, Deserialize)]
pub(crate) struct Status {
    /// When it was written: RFC 3339 in UTC, to the millisecond.
    pub(super) time: String,
    /// The same in seconds since 1970.
    pub(super) unix_time: u64,
    /// Seconds after which it is written again when nothing happens.
    pub(super) every_seconds: u64,
    /// By when it is written again at the latest if all is well: `--timeout` (of `serve`) and 70 s
    /// after `unix_time`.
    pub(super) next_within_seconds: u64,
    /// serve or cloud.
    pub(super) command: String,
    /// 0 or 1.
    pub(super) party: u8,
    /// Version of the program.
    pub(super) version: String,
    /// Process id.
    pub(super) process: u32,
    /// When it started: RFC 3339 in UTC.
    pub(super) started: String,
    /// What it does.
    pub(super) state: Doing,
    /// Exit code once it has ended; null before.
    pub(super) exit_code: Option<u8>,
    /// Images denoised since it started.
    pub(super) images_done: u64,
    /// Of a server files, of a cloud sessions of users that failed since then.
    pub(super) failures: u64,
    /// Of a server 1 while an image is in work, of a cloud users whose images or material are in
    /// work.
    pub(super) images_in_work: u64,
    /// Images that are there and have no result, as it last looked: folders are not looked at while
    /// the other server is away. Of a cloud users who wait in line.
    pub(super) waiting: u64,
    /// Slots that are left, for each size of which a set is there; empty of a cloud.
    pub(super) slots_left: Vec<SlotsLeft>,
    /// Bytes that may be written to the disk of the state folder (of a cloud: of `--clients`); null
    /// if unknown.
    pub(super) state_disk_left_bytes: Option<u64>,
    /// The same of the results; null for a cloud.
    pub(super) out_disk_left_bytes: Option<u64>,
    /// Address of the last peer that proved its key.
    pub(super) peer: Option<String>,
    /// Whether it is there; of a cloud whether any user is.
    pub(super) peer_there: bool,
    /// When it was last there.
    pub(super) peer_seen: Option<String>,
    /// Users of a cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "UsersStatus")]
    pub(super) users: Option<UsersStatus>,
}

/// Slots for images of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub(super) struct SlotsLeft {
    /// Rows of the images.
    pub(super) height: usize,
    /// Columns of the images.
    pub(super) width: usize,
    /// Slots left by this server's ledger.
    pub(super) slots: u64,
}

/// The users of a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub(super) struct UsersStatus {
    /// Users who may connect.
    pub(super) known: u64,
    /// Users who are connected.
    pub(super) connected: u64,
    /// Slots made since it started.
    pub(super) slots_made: u64,
    /// Sessions ended since then.
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
