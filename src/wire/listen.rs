//! The listening server: strangers may come first, the other server is waited for.

use super::half_open::{Accepted, HalfOpen, wait_for};
use super::tcp::{RETRY, TcpChannel};
use super::{Limits, NetError, Refusal, Security};
use rustix::event::{PollFd, PollFlags};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::mem::{Discriminant, discriminant};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

/// Connections that may be half open at a time; one more, and the oldest is closed.
pub const HALF_OPEN: usize = 32;

/// A bound address that waits for the other server.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`, `HOST:PORT`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`NetError::Listen`].
    pub fn bind(address: &str) -> Result<Self, NetError> {
        let error =
            |e: std::io::Error| NetError::Listen { address: address.into(), reason: e.to_string() };
        let listener = TcpListener::bind(address).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        listener.set_nonblocking(true).map_err(error)?;
        Ok(Listener { listener, address })
    }

    /// The address bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the other server, in spite of others that connect: each has
    /// `limits.handshake`, and when [`HALF_OPEN`] have not used theirs, the next one takes the place
    /// of the oldest. `note` is told why connections are refused, once for each reason.
    ///
    /// Without TLS the first connection that begins with the greeting of a server is taken for
    /// the other server.
    ///
    /// # Errors
    /// [`NetError::NobodyCame`] after `limits.wait`.
    pub fn accept(
        &self,
        security: &Security,
        limits: Limits,
        note: &mut dyn FnMut(String),
    ) -> Result<TcpChannel, NetError> {
        let mut door = self.door();
        let met = door.next(security, limits, Instant::now() + limits.wait, note)?;
        met.ok_or_else(|| NetError::NobodyCame {
            address: self.address.to_string(),
            seconds: limits.wait.as_secs(),
            strangers: door.hall.strangers.summary(),
        })
    }

    /// A door through which one after the other may come: whoever is in the handshake when another
    /// one is let in stays there.
    pub fn door(&self) -> Door<'_> {
        Door { listener: self, hall: Hall::default() }
    }

    /// Takes the connections that are there; whether the operating system refused to hand one out.
    fn let_in(
        &self,
        hall: &mut Hall,
        security: &Security,
        limits: Limits,
        note: &mut dyn FnMut(String),
    ) -> bool {
        for _ in 0..HALF_OPEN {
            match self.listener.accept() {
                Ok((stream, from)) => hall.enter(stream, from, security, limits, note),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                // The peer was gone before it was accepted.
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }
}

/// A listener that lets in one after the other ([`Listener::door`]).
pub struct Door<'l> {
    listener: &'l Listener,
    hall: Hall,
}

impl Door<'_> {
    /// The next connection whose peer is accepted; none if it is not there at `end`. As
    /// [`Listener::accept`] otherwise; `note` is told a reason once in the life of the door.
    ///
    /// # Errors
    /// [`NetError::Closed`] for a connection that was gone as soon as it was accepted.
    pub fn next(
        &mut self,
        security: &Security,
        limits: Limits,
        end: Instant,
        note: &mut dyn FnMut(String),
    ) -> Result<Option<TcpChannel>, NetError> {
        loop {
            let rejected = self.listener.let_in(&mut self.hall, security, limits, note);
            if let Some(met) = self.hall.advance(limits, note) {
                return TcpChannel::new(met, limits.silence).map(Some);
            }
            let now = Instant::now();
            if now >= end {
                return Ok(None);
            }
            let half_open = &self.hall.half_open;
            let next = half_open.iter().map(|(half, _)| half.until()).min();
            let rest = next.map_or(end, |next| next.min(end)).saturating_duration_since(now);
            if rejected {
                // The operating system has no room for connections: what is ready stays so.
                std::thread::sleep(RETRY.min(rest));
                continue;
            }
            let mut ready = vec![PollFd::new(&self.listener.listener, PollFlags::IN)];
            ready.extend(half_open.iter().map(|(half, _)| half.poll_fd()));
            wait_for(&mut ready, rest);
        }
    }
}

/// Where connections wait until it is known whose they are, oldest first.
#[derive(Default)]
struct Hall {
    half_open: VecDeque<(HalfOpen, SocketAddr)>,
    strangers: Strangers,
}

impl Hall {
    fn enter(
        &mut self,
        stream: TcpStream,
        from: SocketAddr,
        security: &Security,
        limits: Limits,
        note: &mut dyn FnMut(String),
    ) {
        if self.half_open.len() == HALF_OPEN
            && let Some((_, oldest)) = self.half_open.pop_front()
        {
            self.strangers.refused(oldest, Refusal::Crowded, note);
        }
        match HalfOpen::accepted(stream, security, Instant::now() + limits.handshake) {
            Ok(half) => self.half_open.push_back((half, from)),
            Err(refusal) => self.strangers.refused(from, refusal, note),
        }
    }

    /// Advances all; the first whose peer is the other server.
    fn advance(&mut self, limits: Limits, note: &mut dyn FnMut(String)) -> Option<Accepted> {
        let now = Instant::now();
        let mut waiting = VecDeque::with_capacity(self.half_open.len());
        while let Some((mut half, from)) = self.half_open.pop_front() {
            match half.advance() {
                Ok(true) => {
                    // Those behind it keep their place.
                    waiting.append(&mut self.half_open);
                    self.half_open = waiting;
                    return Some(half.met());
                }
                Ok(false) if half.until() <= now => {
                    let seconds = limits.handshake.as_secs();
                    self.strangers.refused(from, Refusal::Stalled { seconds }, note);
                }
                Ok(false) => waiting.push_back((half, from)),
                Err(refusal) => self.strangers.refused(from, refusal, note),
            }
        }
        self.half_open = waiting;
        None
    }
}

/// Those who were not the other server.
#[derive(Default)]
struct Strangers {
    count: u64,
    last: Option<Refusal>,
    noted: Vec<Discriminant<Refusal>>,
}

impl Strangers {
    fn refused(&mut self, from: SocketAddr, refusal: Refusal, note: &mut dyn FnMut(String)) {
        self.count += 1;
        // Anybody can connect often: each reason is told once.
        if !self.noted.contains(&discriminant(&refusal)) {
            self.noted.push(discriminant(&refusal));
            note(format!("refused a connection from {from}: {refusal}"));
        }
        self.last = Some(refusal);
    }

    fn summary(&self) -> String {
        match (&self.last, self.count) {
            (None, _) => String::new(),
            (Some(last), 1) => format!("; one connection was refused: {last}"),
            (Some(last), n) => format!("; {n} connections were refused, the last one: {last}"),
        }
    }
}
