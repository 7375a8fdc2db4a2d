//! A connection before it is a channel: whose it is is not known yet. It is advanced without ever
//! waiting, so that many can be half open in one thread.
//!
//! Memory: rustls holds at most 64 KiB of an unfinished handshake, and this file 64 bytes.

use super::frame::{self, HEADER_LEN};
use super::tls::{TlsKeys, protocol};
use super::{MAGIC, Refusal, Security, Tag};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{AlertDescription, CertificateError, Connection, Error};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Reads a connection may take in a row before it is another's turn.
const READS_A_TURN: usize = 16;
/// The first bytes of every plain stream: a greeting's header and its magic.
const FIRST_LEN: usize = HEADER_LEN + MAGIC.len();

/// A connection whose peer is known, or, without TLS, has begun as a server would.
pub(super) enum Accepted {
    /// Without TLS; `first` are bytes that were read already.
    Plain { stream: TcpStream, first: Vec<u8> },
    /// Under TLS, after the handshake.
    Tls { stream: TcpStream, connection: Box<Connection> },
}

/// A connection in its handshake.
pub(super) struct HalfOpen {
    stream: TcpStream,
    /// When its time is over.
    until: Instant,
    /// The first bytes from the peer.
    first: Vec<u8>,
    tls: Option<Opening>,
}

/// The handshake of TLS, and the frame with which the listener ends it: without that the other
/// would not learn whether its key was accepted.
struct Opening {
    connection: Box<Connection>,
    /// How much of that frame is written, or read.
    ready: Vec<u8>,
}

impl HalfOpen {
    /// A connection that was accepted; it has until `until`.
    pub(super) fn accepted(
        stream: TcpStream,
        security: &Security,
        until: Instant,
    ) -> Result<Self, Refusal> {
        stream.set_nonblocking(true).map_err(|_| Refusal::Closed)?;
        let tls = match security {
            Security::Insecure => None,
            Security::Tls(keys) => Some(Opening::new(keys.listening())?),
        };
        Ok(HalfOpen { stream, until, first: Vec::new(), tls })
    }

    /// The connecting server's part, to its end.
    pub(super) fn connected(
        stream: TcpStream,
        security: &Security,
        limit: Duration,
    ) -> Result<Accepted, Refusal> {
        let Security::Tls(keys) = security else {
            return Ok(Accepted::Plain { stream, first: Vec::new() });
        };
        let mut half = Self::connecting(stream, keys, Instant::now() + limit)?;
        while !half.advance()? {
            let rest = half.until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Err(Refusal::Stalled { seconds: limit.as_secs() });
            }
            wait_for(&mut [half.poll_fd()], rest);
        }
        Ok(half.met())
    }

    fn connecting(stream: TcpStream, keys: &TlsKeys, until: Instant) -> Result<Self, Refusal> {
        stream.set_nonblocking(true).map_err(|_| Refusal::Closed)?;
        let tls = Some(Opening::new(keys.connecting())?);
        Ok(HalfOpen { stream, until, first: Vec::new(), tls })
    }

    /// When its time is over.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// What it waits for.
    pub(super) fn poll_fd(&self) -> PollFd<'_> {
        let writes = self.tls.as_ref().is_some_and(|tls| tls.connection.wants_write());
        PollFd::new(&self.stream, if writes { PollFlags::OUT } else { PollFlags::IN })
    }

    /// Goes on as far as the bytes there are allow; whether the peer is known now.
    pub(super) fn advance(&mut self) -> Result<bool, Refusal> {
        let result = match &mut self.tls {
            None => greeted(&mut self.stream, &mut self.first),
            Some(tls) => tls.advance(&mut self.stream, &mut self.first),
        };
        result.inspect_err(|refusal| self.farewell(refusal))
    }

    /// The connection, once [`HalfOpen::advance`] has said so.
    pub(super) fn met(self) -> Accepted {
        match self.tls {
            None => Accepted::Plain { stream: self.stream, first: self.first },
            Some(tls) => Accepted::Tls { stream: self.stream, connection: tls.connection },
        }
    }

    /// Tells a peer of the other mode why it is refused; whether it gets that is its affair.
    fn farewell(&mut self, refusal: &Refusal) {
        if let Some(reason) = refusal.farewell() {
            let header = frame::header(Tag::Abort, 0, reason.len());
            let _ = self.stream.write_all(&[&header, reason.as_bytes()].concat());
            // Closing with unread bytes would reset the connection, and the reason with it.
            let mut rest = [0; 1 << 10];
            let more = |_: &usize| matches!(self.stream.read(&mut rest), Ok(1..));
            let _ = (0..READS_A_TURN).take_while(more).count();
        }
    }
}

/// Waits until one of the connections is ready, for at most `rest`.
pub(super) fn wait_for(connections: &mut [PollFd<'_>], rest: Duration) {
    let rest = Timespec { tv_sec: rest.as_secs() as _, tv_nsec: rest.subsec_nanos() as _ };
    // An interrupted wait is a short one.
    let _ = poll(connections, Some(&rest));
}

/// Whether a plain stream has begun with a greeting.
fn greeted(stream: &mut TcpStream, first: &mut Vec<u8>) -> Result<bool, Refusal> {
    while first.len() < FIRST_LEN {
        let mut bytes = [0; FIRST_LEN];
        match stream.read(&mut bytes[first.len()..]) {
            Ok(0) => return Err(Refusal::Closed),
            Ok(n) => {
                let from = first.len();
                first.extend_from_slice(&bytes[from..from + n]);
            }
            Err(e) => return waits(&e).map(|()| false),
        }
        if is_client_hello(first) {
            return Err(Refusal::SpeaksTls);
        }
        if !may_be_greeting(first) {
            return Err(Refusal::NotPlain);
        }
    }
    Ok(true)
}

/// Whether the bytes are, as far as they go, the beginning of a plain stream.
fn may_be_greeting(first: &[u8]) -> bool {
    let header = match first.first_chunk::<HEADER_LEN>() {
        Some(header) => matches!(frame::parse_header(header), Ok((Tag::Hello, 0, _))),
        None => true,
    };
    let magic = first.get(HEADER_LEN..).unwrap_or_default();
    header && MAGIC.starts_with(magic)
}

/// Whether the bytes begin a TLS handshake: no frame is so long.
fn is_client_hello(first: &[u8]) -> bool {
    matches!(first, [0x16, 0x03, 0x01..=0x04, ..])
}

/// Nothing, if a call would only have had to wait.
fn waits(e: &io::Error) -> Result<(), Refusal> {
    match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(Refusal::Closed),
    }
}

impl Opening {
    fn new(connection: Result<Connection, Error>) -> Result<Self, Refusal> {
        let connection = connection.map_err(|e| Refusal::Tls(e.to_string()))?;
        Ok(Opening { connection: Box::new(connection), ready: Vec::new() })
    }

    fn advance(&mut self, stream: &mut TcpStream, first: &mut Vec<u8>) -> Result<bool, Refusal> {
        for _ in 0..READS_A_TURN {
            let done = self.ready()?;
            if !self.flush(stream)? || done {
                return Ok(done && !self.connection.wants_write());
            }
            match self.connection.read_tls(&mut Tap { stream, first }) {
                Ok(0) => return Err(Refusal::Closed),
                Ok(_) => {}
                Err(e) => return waits(&e).map(|()| false),
            }
            if let Err(e) = self.connection.process_new_packets() {
                let refusal = refusal(e, first);
                if refusal.farewell().is_none() {
                    // The alert that says so.
                    let _ = self.flush(stream);
                }
                return Err(refusal);
            }
        }
        Ok(self.ready()? && self.flush(stream)?)
    }

    /// Whether both ends are known: the listener has the frame that says so ready to be sent, the
    /// other server has got it.
    fn ready(&mut self) -> Result<bool, Refusal> {
        if self.connection.is_handshaking() {
            return Ok(false);
        }
        if self.connection.alpn_protocol() != Some(protocol().as_bytes()) {
            return Err(Refusal::OtherProtocol { ours: protocol() });
        }
        let frame = frame::header(Tag::Ready, 0, 0);
        if let Connection::Server(server) = &mut *self.connection {
            if self.ready.is_empty() {
                self.ready.extend_from_slice(&frame);
                server.writer().write_all(&frame).map_err(|_| Refusal::Closed)?;
            }
            return Ok(true);
        }
        let mut bytes = [0; HEADER_LEN];
        match self.connection.reader().read(&mut bytes[self.ready.len()..]) {
            Ok(0) => return Err(Refusal::Closed),
            Ok(n) => self.ready.extend_from_slice(&{
                let from = self.ready.len();
                bytes[from..from + n].to_vec()
            }),
            Err(e) => waits(&e)?,
        }
        match frame.strip_prefix(self.ready.as_slice()) {
            Some(rest) => Ok(rest.is_empty()),
            None => Err(Refusal::Tls("no word that the connection was accepted".into())),
        }
    }

    /// Sends what is ready; whether that is all.
    fn flush(&mut self, stream: &mut TcpStream) -> Result<bool, Refusal> {
        while self.connection.wants_write() {
            match self.connection.write_tls(stream) {
                Ok(0) => return Err(Refusal::Closed),
                Ok(_) => {}
                // What is in the way of writing is often said by the peer: read first.
                Err(e) if e.kind() != ErrorKind::WouldBlock => return Ok(true),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// A socket whose first bytes are kept.
struct Tap<'a> {
    stream: &'a mut TcpStream,
    first: &'a mut Vec<u8>,
}

impl Read for Tap<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(out)?;
        let kept = n.min(FIRST_LEN - self.first.len());
        self.first.extend_from_slice(&out[..kept]);
        Ok(n)
    }
}

/// What a failed handshake means.
fn refusal(e: Error, first: &[u8]) -> Refusal {
    use AlertDescription::{AccessDenied, CertificateUnknown, NoApplicationProtocol};
    match e {
        Error::InvalidCertificate(CertificateError::Other(_)) => Refusal::OwnKey,
        Error::InvalidCertificate(_) => Refusal::WrongKey,
        Error::NoCertificatesPresented => Refusal::NoKey,
        Error::NoApplicationProtocol | Error::AlertReceived(NoApplicationProtocol) => {
            Refusal::OtherProtocol { ours: protocol() }
        }
        Error::AlertReceived(AccessDenied | CertificateUnknown) => Refusal::KeyNotAccepted,
        Error::AlertReceived(alert) => Refusal::Tls(format!("it sent the alert {alert:?}")),
        Error::InvalidMessage(_) if first.len() == FIRST_LEN && may_be_greeting(first) => {
            Refusal::Plain
        }
        Error::InvalidMessage(_) if !matches!(first, [0x14..=0x17, 0x03, ..]) => Refusal::NotTls,
        e => Refusal::Tls(e.to_string()),
    }
}
