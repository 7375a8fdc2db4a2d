//! Sessions in which one of the two servers is killed, seen from the wire between them.
//!
//! A tap joins the servers, keeps every byte that left each of them, and kills the victim at its
//! trigger. It reads the frames of the plain link; under TLS it knows a frame by its lengths.

use super::link::{Frame, Link};
use super::{Ended, Killer, Lab, Running};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Numbers of the frames' tags (docs/wire.md).
pub const GREETING: u8 = 1;
pub const SLOT_OFFER: u8 = 2;
pub const MARKED: u8 = 3;
pub const IMAGE: u8 = 5;
pub const OPENING: u8 = 6;
pub const DONE: u8 = 7;

/// What the wire carries, in the order of a session.
const STAGES: [(u8, &str); 8] = [
    (GREETING, "greeting"),
    (4, "weights"),
    (9, "engine set-up"),
    (SLOT_OFFER, "slot offer"),
    (MARKED, "marked"),
    (IMAGE, "first V"),
    (OPENING, "openings"),
    (DONE, "done"),
];

/// The tag of the frames of a stage.
pub fn tag(stage: &str) -> u8 {
    STAGES.iter().find(|(_, name)| *name == stage).expect("a stage").0
}

/// A uniform number below `bound`, from a seed that moves on (splitmix64).
pub fn below(seed: &mut u64, bound: usize) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % bound as u64) as usize
}

/// When the victim is killed.
#[derive(Clone, Copy, Debug)]
pub enum Trigger {
    Never,
    /// When exactly so many bytes of a server have been passed on; its later ones are withheld.
    Bytes {
        from: usize,
        count: usize,
    },
    /// As `Bytes`, for the victim's own; of the other server's only so many are passed on, so that the victim never
    /// gets the rest.
    Unheard {
        victim: usize,
        count: usize,
        of_other: usize,
    },
    /// When the victim's ledger has got so many new bytes or more.
    Ledger(u64),
    /// So long after the listening server told its address.
    After(Duration),
}

/// What is known of a session.
#[derive(Default)]
struct Seen {
    /// The bytes that left each server, by party.
    sent: [Vec<u8>; 2],
    killed: Option<Kill>,
}

struct Kill {
    at: Instant,
    stage: &'static str,
}

/// A session that is over.
pub struct Session {
    link: Link,
    pub sent: [Vec<u8>; 2],
    /// What was under way when the victim was killed; nothing if it was not.
    pub stage: Option<&'static str>,
    pub killed_at: Option<Instant>,
}

impl Session {
    pub fn frames(&self, party: usize) -> Vec<Frame<'_>> {
        self.link.frames(&self.sent[party])
    }

    pub fn has(&self, party: usize, tag: u8) -> bool {
        self.frames(party).iter().any(|frame| frame.tag == tag)
    }

    /// The slot under which a server sent a masked image, as the two offers say it; under TLS, as
    /// its ledger does, whose last line it is.
    pub fn slot_used(&self, party: usize, ledgers: &[Vec<SlotLine>; 2]) -> Option<u64> {
        if !self.has(party, IMAGE) {
            return None;
        }
        if matches!(self.link, Link::Tls(_)) {
            return Some(ledgers[party].last().expect("a mark before V").slot);
        }
        let offer = |party| {
            let frames = self.frames(party);
            let offer = frames.iter().find(|frame| frame.tag == SLOT_OFFER);
            u64::from_le_bytes(offer.expect("an offer before V").payload.try_into().unwrap())
        };
        for party in [0, 1] {
            let frames = self.frames(party);
            let marked = frames.iter().find(|frame| frame.tag == MARKED);
            assert_eq!(marked.expect("a mark before V").payload, [1], "server {party}");
        }
        Some(offer(0).max(offer(1)))
    }
}

/// Who is killed, and who listens.
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    pub victim: usize,
    pub listening: usize,
}

/// Two servers to their ends, over a tap; `start` starts a party with the flags of its end of the link.
pub fn session(
    lab: &Lab,
    link: &Link,
    Sides { victim, listening }: Sides,
    trigger: Trigger,
    start: impl Fn(usize, [&str; 2]) -> Running,
) -> (Session, [Ended; 2]) {
    let connecting = 1 - listening;
    let mut first = start(listening, ["--listen", "127.0.0.1:0"]);
    let address = first.address();
    let wire = Wire::bind(link);
    let second = start(connecting, ["--connect", &wire.address]);
    let killer = if victim == listening { first.killer() } else { second.killer() };
    let tap = wire.join(lab, &address, [connecting, listening], (victim, killer), trigger);
    // The survivor first: its end is timed.
    let [first, second] = if victim == listening {
        let survivor = second.end();
        [first.end(), survivor]
    } else {
        let survivor = first.end();
        [survivor, second.end()]
    };
    let ended = if listening == 0 { [first, second] } else { [second, first] };
    (tap.end(), ended)
}

/// The place of the wire, to which the connecting server goes.
pub struct Wire {
    link: Link,
    listener: TcpListener,
    pub address: String,
}

impl Wire {
    pub fn bind(link: &Link) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Wire { link: link.clone(), listener, address }
    }

    /// Joins the connecting server to the listening one at `target`. `parties` are theirs.
    pub fn join(
        self,
        lab: &Lab,
        target: &str,
        parties: [usize; 2],
        (victim, killer): (usize, Killer),
        trigger: Trigger,
    ) -> Tap {
        let ledgers = [0, 1].map(|party| lab.path(&format!("state{party}/ledger")));
        let ledger = ledgers[victim].clone();
        let seen = Mutex::new(Seen::default());
        let over = AtomicBool::new(false);
        let link = self.link;
        let last = ledgers.each_ref().map(|path| marks(path).last().map(|mark| mark.slot));
        let shared = Arc::new(Shared { link, trigger, killer, seen, ledgers, last, over });
        let (joined, target, listener) = (shared.clone(), target.to_string(), self.listener);
        let wire = std::thread::spawn(move || join(&joined, &listener, &target, parties));
        let (over, ended) = channel();
        let watching = shared.clone();
        let before = length(&ledger);
        let watchdog = std::thread::spawn(move || watching.watch(&ledger, before, &ended));
        Tap { address: self.address, shared, wire, watchdog, over }
    }
}

/// The wire between the two servers.
pub struct Tap {
    address: String,
    shared: Arc<Shared>,
    wire: JoinHandle<()>,
    watchdog: JoinHandle<()>,
    /// Dropped when the session is over.
    over: Sender<()>,
}

struct Shared {
    link: Link,
    trigger: Trigger,
    killer: Killer,
    seen: Mutex<Seen>,
    ledgers: [PathBuf; 2],
    /// The last slots of both before the session.
    last: [Option<u64>; 2],
    over: AtomicBool,
}

impl Tap {
    /// What happened, once both servers have ended.
    pub fn end(self) -> Session {
        let Tap { address, shared, wire, watchdog, over } = self;
        shared.over.store(true, Ordering::SeqCst);
        drop(over);
        // Nobody may ever have connected.
        drop(TcpStream::connect(address));
        wire.join().unwrap();
        watchdog.join().unwrap();
        let seen = std::mem::take(&mut *shared.seen.lock().unwrap());
        let (stage, killed_at) = seen.killed.map(|kill| (kill.stage, kill.at)).unzip();
        Session { link: shared.link.clone(), sent: seen.sent, stage, killed_at }
    }
}

impl Shared {
    fn kill(&self) {
        let mut seen = self.seen.lock().unwrap();
        self.killer.kill();
        let stage = stage(&self.link, &seen.sent);
        seen.killed.get_or_insert(Kill { at: Instant::now(), stage });
    }

    /// Waits for the triggers that are not on the wire.
    fn watch(&self, ledger: &PathBuf, before: u64, ended: &Receiver<()>) {
        match self.trigger {
            Trigger::Ledger(more) => {
                while !self.over.load(Ordering::SeqCst) {
                    if length(ledger) >= before + more {
                        return self.kill();
                    }
                    std::thread::yield_now();
                }
            }
            Trigger::After(time) => {
                if ended.recv_timeout(time) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    self.kill();
                }
            }
            Trigger::Never | Trigger::Bytes { .. } | Trigger::Unheard { .. } => {}
        }
    }

    /// Keeps what left a server; before the first byte of V its slot must be in both ledgers.
    fn note(&self, party: usize, bytes: &[u8]) {
        let mut seen = self.seen.lock().unwrap();
        let tells =
            |seen: &Seen| self.link.frames(&seen.sent[party]).iter().any(|f| f.tag == IMAGE);
        let before = tells(&seen);
        seen.sent[party].extend_from_slice(bytes);
        if before || !tells(&seen) {
            return;
        }
        let (link, sent) = (self.link.clone(), seen.sent.clone());
        let session = Session { link, sent, stage: None, killed_at: None };
        let ledgers = self.ledgers.each_ref().map(marks);
        let slot = session.slot_used(party, &ledgers).unwrap();
        for (lines, last) in ledgers.iter().zip(self.last) {
            assert!(lines.iter().any(|m| m.slot == slot), "V before the mark of slot {slot}");
            assert!(Some(slot) > last, "V under slot {slot}, marked before the session");
        }
    }
}

/// Joins the two servers and passes on until both directions have ended.
fn join(shared: &Arc<Shared>, listener: &TcpListener, target: &str, parties: [usize; 2]) {
    let (near, _) = listener.accept().unwrap();
    if shared.over.load(Ordering::SeqCst) {
        return;
    }
    // A listening server that was killed is not there.
    let Ok(far) = TcpStream::connect(target) else { return };
    let clones = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let there = pass_on(shared.clone(), parties[0], near, far);
    let back = pass_on(shared.clone(), parties[1], clones.1, clones.0);
    there.join().unwrap();
    back.join().unwrap();
}

fn pass_on(
    shared: Arc<Shared>,
    party: usize,
    mut from: TcpStream,
    mut to: TcpStream,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let (most, kills) = match shared.trigger {
            Trigger::Bytes { from, count } | Trigger::Unheard { victim: from, count, .. }
                if from == party =>
            {
                (count, true)
            }
            Trigger::Unheard { of_other, .. } => (of_other, false),
            _ => (usize::MAX, false),
        };
        let (mut passed, mut buffer) = (0, vec![0; 1 << 16]);
        let mut open = true;
        if kills && most == 0 {
            shared.kill();
            open = false;
            let _ = to.shutdown(Shutdown::Write);
        }
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            shared.note(party, &buffer[..n]);
            let now = n.min(most - passed);
            // What cannot be passed on any more has left its server all the same.
            open = open && to.write_all(&buffer[..now]).is_ok();
            passed += now;
            if open && kills && passed == most {
                shared.kill();
                open = false;
                let _ = to.shutdown(Shutdown::Write);
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    })
}

/// The furthest stage that either server has begun to send.
fn stage(link: &Link, sent: &[Vec<u8>; 2]) -> &'static str {
    let has = |tag| sent.iter().any(|bytes| link.frames(bytes).iter().any(|f| f.tag == tag));
    let reached = STAGES.iter().rev().find(|(tag, _)| has(*tag));
    reached.map_or("before the greeting", |(_, name)| name)
}

fn length(path: &PathBuf) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// A line of a ledger.
#[derive(Clone, Debug)]
pub struct SlotLine {
    pub slot: u64,
    pub session: String,
}

/// The slots in a ledger, in its order.
pub fn marks(ledger: &PathBuf) -> Vec<SlotLine> {
    let text = fs::read_to_string(ledger).unwrap_or_default();
    let slots = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        match *fields.as_slice() {
            ["slot", _, slot, _, session, _] => {
                Some(SlotLine { slot: slot.parse().unwrap(), session: session.into() })
            }
            _ => None,
        }
    });
    slots.collect()
}

/// The slots in both ledgers of a lab.
pub fn ledgers(lab: &Lab) -> [Vec<SlotLine>; 2] {
    [0, 1].map(|party| marks(&lab.path(&format!("state{party}/ledger"))))
}

/// All that was ever sent under a slot, over many sessions with one set of triples.
#[derive(Default)]
pub struct OneTime {
    used: HashMap<(usize, u64), usize>,
    openings: HashSet<(usize, Vec<u8>)>,
    sessions: usize,
}

impl OneTime {
    /// Takes in a session; asserts that neither server sent anything under a slot of an earlier
    /// one, and that what it used is in both ledgers, once and under one session.
    pub fn check(&mut self, lab: &Lab, session: &Session) {
        self.sessions += 1;
        let ledgers = ledgers(lab);
        for lines in &ledgers {
            assert!(lines.windows(2).all(|w| w[0].slot < w[1].slot), "slots go up: {lines:?}");
        }
        for party in [0, 1] {
            let Some(slot) = session.slot_used(party, &ledgers) else { continue };
            let before = self.used.insert((party, slot), self.sessions);
            assert_eq!(before, None, "server {party} sent twice under slot {slot}");
            let [a, b] = ledgers.each_ref().map(|l| l.iter().find(|m| m.slot == slot).cloned());
            let (a, b) = (a.expect("marked by S0"), b.expect("marked by S1"));
            assert_eq!(a.session, b.session, "slot {slot}");
            for frame in session.frames(party).iter().filter(|f| f.tag == IMAGE) {
                // The image and its shares are always the same, so an equal V is an equal mask.
                if let Some(start) = frame.payload.get(..16) {
                    let new = self.openings.insert((party, start.to_vec()));
                    assert!(new, "server {party} sent one V twice, slot {slot}");
                }
            }
        }
    }

    /// Slots under which something was sent.
    pub fn slots_used(&self) -> usize {
        self.used.keys().map(|(_, slot)| slot).collect::<HashSet<_>>().len()
    }
}
