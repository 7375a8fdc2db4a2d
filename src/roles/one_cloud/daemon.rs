//! The cloud: a listener, a thread a session, and an end.

use super::clients::{Client, Clients};
use super::error::{CloudError, Denied};
use super::gate::Gate;
use super::host::{Done, Host};
use super::pace::Pace;
use super::session::{Session, SessionReport};
use crate::files::container::AskPassphrase;
use crate::files::keys::{KeyFolder, PublicKey, SecretKey};
use crate::ids::Role;
use crate::wire::{Channel, Cutter, Limits, Listener, Security, Tag, TcpChannel, TlsKeys};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// How often the cloud looks for new users and for its end.
const TICK: Duration = Duration::from_millis(250);

/// The cloud, which is server 0 of every user's.
pub struct Cloud {
    host: Host,
    clients: Clients,
    sessions: usize,
}

/// How many users the cloud serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// That are connected at a time, working, waiting or idle.
    pub sessions: usize,
    /// Whose images or material are in work at a time: memory is for so many.
    pub at_work: usize,
    /// How slow they may be.
    pub pace: Pace,
}

/// What happens at the cloud.
#[derive(Debug)]
#[non_exhaustive]
pub enum CloudEvent<'a> {
    /// A user has gone.
    Session(&'a SessionReport),
    /// A connection was refused, and why; each reason once.
    Stranger(String),
    /// A user's folder is no good, and passed over.
    BadClient(PathBuf, CloudError),
    /// So many users are known now.
    Clients(usize),
    /// A user whose key is known has come, from this address where there is one.
    Came(Option<SocketAddr>),
    /// The cloud goes on: its loop says so itself each time it comes around.
    Alive(Busy),
}

/// What a cloud does now, and has done for all users since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// Users who are connected.
    pub connected: usize,
    /// Of these, whose images or material are in work.
    pub at_work: usize,
    /// Of these, who wait for a place at work.
    pub in_line: usize,
    /// Images denoised.
    pub images: u64,
    /// Slots made.
    pub slots_made: u64,
    /// Sessions that have ended.
    pub sessions: u64,
}

/// Whoever is told; from several threads.
type Tell<'t> = &'t (dyn Fn(CloudEvent<'_>) + Sync);

/// The users that are let in now.
struct Known {
    folders: Vec<(PathBuf, u64)>,
    by_key: HashMap<[u8; 32], Arc<Client>>,
    security: Security,
}

/// A session that is going on.
struct Running {
    cutter: Option<Cutter>,
    online: Arc<AtomicBool>,
}

/// By the user's key: one who gets another name meanwhile is still the same.
type Sessions = Mutex<HashMap<[u8; 32], Running>>;

fn lock(sessions: &Sessions) -> MutexGuard<'_, HashMap<[u8; 32], Running>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cloud {
    /// The cloud whose key folder this is, with server 0's secret key and the model owner's public one; it
    /// ends when `stop` is set.
    ///
    /// # Errors
    /// [`CloudError::Format`]; [`CloudError::Server`] if what is counted of the users cannot be read.
    pub fn open(
        keys: &Path,
        ask: &AskPassphrase<'_>,
        clients: Clients,
        crowd: Crowd,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, CloudError> {
        let keys = KeyFolder::open(keys)?;
        let own = keys.secret(Role::Server0, ask)?;
        Self::new(own, keys.public(Role::ModelOwner)?, clients, crowd, stop)
    }

    /// As [`Cloud::open`], with the keys.
    ///
    /// # Errors
    /// As [`Cloud::open`].
    pub fn new(
        own: SecretKey,
        model_owner: PublicKey,
        clients: Clients,
        crowd: Crowd,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, CloudError> {
        let gate = Gate::new(crowd.at_work.max(1));
        let counts = clients.counts(own.public().fingerprint())?;
        let host =
            Host { own, model_owner, counts, gate, pace: crowd.pace, done: Done::default(), stop };
        Ok(Cloud { host, clients, sessions: crowd.sessions.max(1) })
    }

    /// Serves a user over a channel to its end, on this thread: for links of a program's own.
    ///
    /// Security: the channel must keep others from reading and changing what passes, and the user must
    /// have proved its key.
    pub fn serve(&self, client: &Client, channel: &mut dyn Channel) -> SessionReport {
        self.session(client, &AtomicBool::new(false), channel)
    }

    fn session(
        &self,
        client: &Client,
        online: &AtomicBool,
        channel: &mut dyn Channel,
    ) -> SessionReport {
        let report = SessionReport::default();
        Session { host: &self.host, client, online, report }.serve(channel)
    }

    /// Serves whoever comes and is known until `stop` is set. The image in work is finished then, and everybody
    /// else is cut off: material in the making is lost, at both ends. Users that are added are
    /// known at once; `tell` is told what happens, from the threads where it does.
    ///
    /// Security: TLS 1.3; a connection whose key is no user's ends in the handshake.
    ///
    /// # Errors
    /// [`CloudError::Format`] if another cloud serves these users, or their folder cannot be read.
    pub fn run(
        &self,
        listener: &Listener,
        limits: Limits,
        tell: Tell<'_>,
    ) -> Result<(), CloudError> {
        let _held = self.clients.hold()?;
        let mut known = self.known(tell)?;
        let sessions = Sessions::default();
        std::thread::scope(|scope| {
            let mut door = listener.door();
            let note = &mut |text| tell(CloudEvent::Stranger(text));
            let mut ended = Ok(());
            while !self.host.stops() {
                tell(CloudEvent::Alive(self.busy(&sessions)));
                // A folder that cannot be read ends the cloud as a signal does: its users are not left hanging.
                if let Err(error) = self.look_again(&mut known, tell) {
                    self.host.stop.store(true, Ordering::SeqCst);
                    ended = Err(error);
                    break;
                }
                let came = door.next(&known.security, limits, Instant::now() + TICK, note);
                // A connection that was gone as soon as it came is nobody's.
                let Ok(Some(channel)) = came else { continue };
                // Also one that was replaced while the door was open.
                if let Err(error) = self.look_again(&mut known, tell) {
                    self.host.stop.store(true, Ordering::SeqCst);
                    ended = Err(error);
                    break;
                }
                let key = channel.peer_key();
                let Some(client) = key.and_then(|key| known.by_key.get(&key)) else { continue };
                tell(CloudEvent::Came(channel.peer_address()));
                self.begin(client, channel, &sessions, tell, scope);
            }
            let idle = |running: &&Running| !running.online.load(Ordering::SeqCst);
            let sessions = lock(&sessions);
            let idle = sessions.values().filter(idle).filter_map(|r| r.cutter.as_ref());
            idle.for_each(Cutter::cut);
            ended
        })
    }

    /// What goes on now.
    fn busy(&self, sessions: &Sessions) -> Busy {
        let (at_work, in_line) = self.host.gate.crowd();
        let Done { images, slots, sessions: ended } = &self.host.done;
        let [images, slots_made, ended] =
            [images, slots, ended].map(|count| count.load(Ordering::Relaxed));
        let connected = lock(sessions).len();
        Busy { connected, at_work, in_line, images, slots_made, sessions: ended }
    }

    /// Takes in the users that were added, replaced or removed since.
    fn look_again(&self, known: &mut Known, tell: Tell<'_>) -> Result<(), CloudError> {
        if self.clients.versions()? != known.folders {
            *known = self.known(tell)?;
        }
        Ok(())
    }

    /// The users as they are now.
    fn known(&self, tell: Tell<'_>) -> Result<Known, CloudError> {
        let folders = self.clients.versions()?;
        let (clients, bad) = self.clients.list()?;
        bad.into_iter().for_each(|(folder, error)| tell(CloudEvent::BadClient(folder, error)));
        let keys: Vec<_> = clients.iter().map(|client| client.key.verifying()).collect();
        let security = Security::Tls(TlsKeys::any_of(self.host.own.signing_seed(), &keys)?);
        tell(CloudEvent::Clients(clients.len()));
        let by_key = keys.into_iter().zip(clients.into_iter().map(Arc::new)).collect();
        Ok(Known { folders, by_key, security })
    }

    /// Begins a user's session on a thread of its own, or refuses it there: closing takes a moment.
    fn begin<'s, 'e>(
        &'s self,
        client: &Arc<Client>,
        mut channel: TcpChannel,
        sessions: &'s Sessions,
        tell: Tell<'s>,
        scope: &'s Scope<'s, 'e>,
    ) {
        let client = Arc::clone(client);
        let key = client.key.verifying();
        let online = Arc::new(AtomicBool::new(false));
        let denied = {
            let mut sessions = lock(sessions);
            if sessions.contains_key(&key) {
                Some(Denied::Busy)
            } else if sessions.len() >= self.sessions {
                Some(Denied::Full)
            } else {
                let running =
                    Running { cutter: channel.cutter().ok(), online: Arc::clone(&online) };
                sessions.insert(key, running);
                None
            }
        };
        scope.spawn(move || {
            if let Some(denied) = denied {
                let _ = channel.send(Tag::Abort, 0, denied.to_string().into());
                let error = Some(denied.to_string());
                let report =
                    SessionReport { client: client.name.clone(), error, ..Default::default() };
                tell(CloudEvent::Session(&report));
                return;
            }
            // A fault of this program shall end one session, not all.
            let session = || self.session(&client, &online, &mut channel);
            let report = catch_unwind(AssertUnwindSafe(session)).unwrap_or_else(|_| {
                let error = Some("the session failed by a fault of this program".into());
                SessionReport { client: client.name.clone(), error, ..Default::default() }
            });
            tell(CloudEvent::Session(&report));
            self.host.done.sessions.fetch_add(1, Ordering::Relaxed);
            // Cleared first: the user may come again at once.
            lock(sessions).remove(&key);
            drop(channel);
        });
    }
}
