//! Meeting the other server again and again: the listener stays, the connecting server asks with pauses, and it is
//! told once when the other one is away and once when it is back.

use crate::roles::observer::Observer;
use crate::roles::server::link::{Joint, Linked, Meet, Route};
use crate::roles::server::{PeerFacts, ServerError, ServerEvent};
use crate::wire::{Channel, Limits, Listener, NetError, Refusal, TcpChannel, connect_once};
use std::time::{Duration, Instant};

/// How often it is looked whether the job is over while the other server is waited for.
const TICK: Duration = Duration::from_millis(100);
/// How long after a session that ended well the other server may be away before that is told: it begins another.
const GRACE: Duration = Duration::from_secs(3);
/// Pauses between attempts to connect: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// The longest that one attempt may take: so long a stop may wait.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Whether whoever is away by this error may come back; everybody else is not the other server.
pub(super) fn may_return(error: &NetError) -> bool {
    match error {
        NetError::NotThere { .. }
        | NetError::NobodyCame { .. }
        | NetError::Closed(_)
        | NetError::Silent { .. }
        // It had a reason of its own to end; when it is there again, it has got over it.
        | NetError::Refused { .. } => true,
        NetError::Handshake { refusal, .. } => {
            matches!(refusal, Refusal::Stalled { .. } | Refusal::Closed | Refusal::Crowded)
        }
        _ => false,
    }
}

/// Meets the other server again and again.
pub(super) struct Meeting<'a> {
    way: Again<'a>,
    listener: Option<Listener>,
    absence: Absence,
    pause: Duration,
    /// Whether the last session was lost: the next attempt waits for the pause.
    rests: bool,
}

/// How often a way leads to the other server.
enum Again<'a> {
    Link(Joint<'a>),
    Once(Option<&'a mut dyn Channel>),
}

/// The other server's absence.
struct Absence {
    since: Instant,
    /// How long it is not told.
    grace: Duration,
    told: bool,
    /// Whether it was ever there.
    met: bool,
    error: Option<ServerError>,
}

impl Absence {
    fn is(&mut self, error: NetError, observer: &mut dyn Observer<ServerEvent>) {
        let away = self.since.elapsed();
        let seconds = away.as_secs();
        let error: ServerError = match error {
            NetError::NotThere { address, reason, .. } => {
                NetError::NotThere { address, seconds, reason }
            }
            NetError::NobodyCame { address, strangers, .. } => {
                NetError::NobodyCame { address, seconds, strangers }
            }
            other => other,
        }
        .into();
        if away >= self.grace && !std::mem::replace(&mut self.told, true) {
            observer.event(ServerEvent::PeerLost { reason: error.to_string() });
        }
        self.error = Some(error);
    }

    fn is_over(&mut self, facts: PeerFacts, observer: &mut dyn Observer<ServerEvent>) {
        if std::mem::take(&mut self.told) || !self.met {
            observer.event(ServerEvent::Linked(facts));
        }
        self.met = true;
    }
}

impl<'a> Meeting<'a> {
    /// Begins to listen, where this server listens.
    ///
    /// # Errors
    /// [`crate::roles::server::ServiceError::Protocol`], [`ServerError::NoPeer`].
    pub(super) fn begin(
        way: Route<'a>,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Self, ServerError> {
        let (way, listener, grace) = match way {
            Route::Channel(channel) => (Again::Once(Some(channel)), None, GRACE),
            Route::Link(joint) => {
                let (listener, wait) = (joint.begin(observer)?, joint.link.limits.wait);
                (Again::Link(joint), listener, wait)
            }
            Route::Nobody => return Err(ServerError::NoPeer),
        };
        let (since, told, met, error) = (Instant::now(), false, false, None);
        let absence = Absence { since, grace, told, met, error };
        Ok(Meeting { way, listener, absence, pause: PAUSES.0, rests: false })
    }

    /// Whether the other server can be met a second time.
    pub(super) fn can_come_again(&self) -> bool {
        matches!(self.way, Again::Link(_))
    }

    /// Why the other server was not there the last time, if it never was.
    pub(super) fn missed(self) -> Option<ServerError> {
        self.absence.error
    }

    /// After a session that ended as it should.
    pub(super) fn ended(&mut self) {
        (self.absence.since, self.absence.grace) = (Instant::now(), GRACE);
        self.pause = PAUSES.0;
    }

    /// After a session that was lost. One that fails again and again, each time at the price of a slot, is given
    /// time: pauses grow as long as nothing is done.
    pub(super) fn lost(
        &mut self,
        error: ServerError,
        progress: bool,
        observer: &mut dyn Observer<ServerEvent>,
    ) {
        self.pause = if progress { PAUSES.0 } else { (2 * self.pause).min(PAUSES.1) };
        self.rests = true;
        (self.absence.since, self.absence.told) = (Instant::now(), true);
        observer.event(ServerEvent::PeerLost { reason: error.to_string() });
        self.absence.error = Some(error);
    }

    /// Waits for the other server, without end; nothing if the job is over.
    ///
    /// # Errors
    /// [`crate::roles::server::ServiceError::Protocol`] for one that is there and is not the other server.
    pub(super) fn wait(
        &mut self,
        over: &mut dyn FnMut() -> bool,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Option<Linked<'a>>, ServerError> {
        let joint = match &mut self.way {
            Again::Once(channel) => {
                observer.event(ServerEvent::Linked(PeerFacts::default()));
                return Ok(channel.take().map(Linked::Given));
            }
            Again::Link(joint) => &*joint,
        };
        let absence = &mut self.absence;
        let found = match (&self.listener, &joint.link.meet) {
            (Some(listener), _) => accept(listener, joint, absence, over, observer)?,
            (None, Meet::Listen(address) | Meet::Connect(address)) => {
                let first = std::mem::take(&mut self.rests);
                ask(address, joint, absence, first, &mut self.pause, over, observer)?
            }
        };
        let Some(channel) = found else { return Ok(None) };
        absence.is_over(joint.facts(&channel), observer);
        Ok(Some(Linked::Made(channel)))
    }
}

fn accept(
    listener: &Listener,
    joint: &Joint<'_>,
    absence: &mut Absence,
    over: &mut dyn FnMut() -> bool,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<Option<TcpChannel>, ServerError> {
    let mut door = listener.door();
    let limits = joint.link.limits;
    while !over() {
        observer.alive();
        let mut refused = |text: String| observer.event(ServerEvent::Stranger(text));
        match door.next(&joint.security, limits, Instant::now() + TICK, &mut refused) {
            Ok(Some(channel)) => return Ok(Some(channel)),
            // One that was gone as soon as it came is nobody.
            Ok(None) | Err(NetError::Closed(_)) => {}
            Err(e) => return Err(e.into()),
        }
        let (address, strangers) = (listener.address().to_string(), String::new());
        absence.is(NetError::NobodyCame { address, seconds: 0, strangers }, observer);
    }
    Ok(None)
}

fn ask(
    address: &str,
    joint: &Joint<'_>,
    absence: &mut Absence,
    rests: bool,
    pause: &mut Duration,
    over: &mut dyn FnMut() -> bool,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<Option<TcpChannel>, ServerError> {
    let limits = joint.link.limits;
    let limits = Limits { wait: limits.wait.clamp(TICK, ATTEMPT), ..limits };
    let mut rests = rests;
    loop {
        observer.alive();
        if rests && !rest(*pause, over, observer) || over() {
            return Ok(None);
        }
        match connect_once(address, &joint.security, limits) {
            Ok(channel) => return Ok(Some(channel)),
            Err(e) if may_return(&e) => absence.is(e, observer),
            Err(e) => return Err(e.into()),
        }
        // What a lost session has made long stays so; else it begins short.
        if rests {
            *pause = (2 * *pause).min(PAUSES.1);
        }
        rests = true;
    }
}

/// Waits; whether the job is not over meanwhile.
fn rest(
    pause: Duration,
    over: &mut dyn FnMut() -> bool,
    observer: &mut dyn Observer<ServerEvent>,
) -> bool {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        observer.alive();
        if over() {
            return false;
        }
        std::thread::sleep(TICK.min(pause));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_away_is_waited_for() {
        let handshake = |refusal| NetError::Handshake { address: "a:1".into(), refusal };
        for gone in [
            NetError::Closed(String::new()),
            NetError::Silent { seconds: 1 },
            NetError::Refused { reason: "its ledger refuses".into() },
            handshake(Refusal::Stalled { seconds: 1 }),
        ] {
            assert!(may_return(&gone), "{gone}");
        }
        for other in [
            handshake(Refusal::WrongKey),
            handshake(Refusal::KeyNotAccepted),
            handshake(Refusal::OwnKey),
            NetError::Changed("a record".into()),
            NetError::Protocol("sent nonsense".into()),
        ] {
            assert!(!may_return(&other), "{other}");
        }
    }
}
