//! The channel over TCP, plain or under TLS.

use super::half_open::{Accepted, HalfOpen};
use super::pipe::Pipe;
use super::stream::{Outgoing, StreamChannel};
use super::tls::proved;
use super::tls_stream::{TlsWriter, split};
use super::{Channel, Frame, Limits, NetError, Refusal, Security, Tag, Traffic};
use std::io::{Cursor, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Bytes of a plain stream written at a time.
const PIECE: usize = 64 << 10;
/// Pause between attempts to connect.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// A channel over one TCP connection, plain or under TLS.
pub struct TcpChannel {
    stream: TcpStream,
    /// What the peer proved.
    peer: Option<[u8; 32]>,
    frames: StreamChannel,
}

/// Connects to `address`, trying again until `limits.wait` is over.
///
/// With TLS it returns when both servers have proved their keys to each other.
///
/// # Errors
/// [`NetError::NotThere`]; [`NetError::Handshake`] at once if the address is that of another than
/// the server pinned, or that one refuses this server's key.
pub fn connect(address: &str, security: &Security, limits: Limits) -> Result<TcpChannel, NetError> {
    let started = Instant::now();
    loop {
        let reason = match connect_once(address, security, limits) {
            Err(NetError::NotThere { reason, .. }) => reason,
            other => return other,
        };
        if started.elapsed() + RETRY > limits.wait {
            let (address, seconds) =
                (address.to_string(), started.elapsed().as_secs_f64().round() as u64);
            return Err(NetError::NotThere { address, seconds, reason });
        }
        std::thread::sleep(RETRY);
    }
}

/// As [`connect`], with one attempt for each address of the name; each has `limits.wait`.
///
/// # Errors
/// As [`connect`].
pub fn connect_once(
    address: &str,
    security: &Security,
    limits: Limits,
) -> Result<TcpChannel, NetError> {
    let not_there =
        |reason: String| NetError::NotThere { address: address.into(), seconds: 0, reason };
    let stream = try_connect(address, limits.wait).map_err(|e| not_there(e.to_string()))?;
    match HalfOpen::connected(stream, security, limits.handshake) {
        Ok(met) => TcpChannel::new(met, limits.silence),
        // A listener that many have connected to closes the oldest connections.
        Err(Refusal::Closed) => Err(not_there(Refusal::Closed.to_string())),
        Err(refusal) => Err(NetError::Handshake { address: address.into(), refusal }),
    }
}

fn try_connect(address: &str, patience: Duration) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience.max(RETRY)) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

impl TcpChannel {
    /// The channel of a connection whose peer is known, or need not be.
    pub(super) fn new(met: Accepted, silence: Duration) -> Result<Self, NetError> {
        let closed = |e: std::io::Error| NetError::Closed(format!(": {e}"));
        let stream = match &met {
            Accepted::Plain { stream, .. } | Accepted::Tls { stream, .. } => {
                stream.try_clone().map_err(closed)?
            }
        };
        let peer = match &met {
            Accepted::Plain { .. } => None,
            Accepted::Tls { connection, .. } => proved(connection),
        };
        stream.set_nonblocking(false).map_err(closed)?;
        stream.set_nodelay(true).map_err(closed)?;
        // A peer that stops reading cannot hold the writer, and with it the drop, for ever.
        let pipe = Pipe::new(stream.try_clone().map_err(closed)?, silence).map_err(closed)?;
        let (reader, writer): (Box<dyn Read + Send>, Writer) = match met {
            Accepted::Plain { stream, first } => {
                (Box::new(Cursor::new(first).chain(stream)), Writer::Plain(pipe))
            }
            Accepted::Tls { stream, connection } => {
                let (reader, writer) = split(*connection, stream, pipe);
                (Box::new(reader), Writer::Tls(writer))
            }
        };
        let frames = StreamChannel::over(reader, writer, silence);
        Ok(TcpChannel { stream, peer, frames })
    }

    /// The Ed25519 key that the other end proved; nothing without TLS.
    pub fn peer_key(&self) -> Option<[u8; 32]> {
        self.peer
    }

    /// The address of the other end, if the connection still has one.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// What ends this connection from another thread.
    ///
    /// # Errors
    /// [`NetError::Closed`] if the operating system has no room for it.
    pub fn cutter(&self) -> Result<Cutter, NetError> {
        let stream = self.stream.try_clone();
        stream.map(Cutter).map_err(|e| NetError::Closed(format!(": {e}")))
    }
}

/// Ends a connection whose owner waits for its peer ([`TcpChannel::cutter`]).
#[derive(Debug)]
pub struct Cutter(TcpStream);

impl Cutter {
    /// Cuts the connection: both ends see it closed.
    pub fn cut(&self) {
        // One that is gone is cut already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// The writing half.
enum Writer {
    Plain(Pipe),
    Tls(TlsWriter),
}

impl Outgoing for Writer {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Writer::Plain(pipe) => bytes.chunks(PIECE).try_for_each(|p| pipe.write_all(p)),
            Writer::Tls(writer) => writer.write_all(bytes),
        }
    }

    fn end(&mut self) {
        match self {
            Writer::Plain(pipe) => pipe.end(),
            Writer::Tls(writer) => writer.close(),
        }
    }
}

impl Channel for TcpChannel {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        self.frames.send(tag, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        self.frames.recv()
    }

    fn traffic(&self) -> Traffic {
        self.frames.traffic()
    }
}

impl Drop for TcpChannel {
    fn drop(&mut self) {
        self.frames.end();
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
