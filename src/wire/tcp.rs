//! The channel over TCP: one thread writes, one reads, the owner does neither.

use super::frame::{self, HEADER_LEN, MAX_PAYLOAD};
use super::half_open::{HalfOpen, Met};
use super::pipe::Pipe;
use super::tls::proved;
use super::tls_stream::{TlsWriter, split};
use super::{Channel, Counters, Frame, Limits, NetError, Refusal, Security, Tag, Traffic};
use std::io::{BufReader, Cursor, ErrorKind, Read};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// Frames the reader may hold before the peer feels back pressure.
const READ_AHEAD: usize = 8;
/// Bytes of a plain stream written, and of any stream read, at a time.
const PIECE: usize = 64 << 10;
/// Pause between attempts to connect.
pub(super) const RETRY: Duration = Duration::from_millis(50);
/// How long a closing channel waits for the peer to close as well.
const LINGER: Duration = Duration::from_secs(2);

/// A channel over one TCP connection, plain or under TLS.
pub struct TcpChannel {
    stream: TcpStream,
    /// What the peer proved.
    peer: Option<[u8; 32]>,
    outgoing: Option<Sender<Vec<u8>>>,
    incoming: Receiver<Result<Frame, NetError>>,
    /// Hangs up when the writer has written everything.
    written: Receiver<()>,
    silence: Duration,
    counters: Counters,
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
        let reason = match try_connect(address, limits.wait) {
            Ok(stream) => match HalfOpen::connected(stream, security, limits.handshake) {
                Ok(met) => return TcpChannel::new(met, limits.silence),
                // A listener that many have connected to closes the oldest connections.
                Err(Refusal::Closed) => Refusal::Closed.to_string(),
                Err(refusal) => {
                    return Err(NetError::Handshake { address: address.into(), refusal });
                }
            },
            Err(e) => e.to_string(),
        };
        if started.elapsed() + RETRY > limits.wait {
            let (address, seconds) =
                (address.to_string(), started.elapsed().as_secs_f64().round() as u64);
            return Err(NetError::NotThere { address, seconds, reason });
        }
        std::thread::sleep(RETRY);
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
    pub(super) fn new(met: Met, silence: Duration) -> Result<Self, NetError> {
        let closed = |e: std::io::Error| NetError::Closed(format!(": {e}"));
        let stream = match &met {
            Met::Plain { stream, .. } | Met::Tls { stream, .. } => {
                stream.try_clone().map_err(closed)?
            }
        };
        let peer = match &met {
            Met::Plain { .. } => None,
            Met::Tls { connection, .. } => proved(connection),
        };
        stream.set_nonblocking(false).map_err(closed)?;
        stream.set_nodelay(true).map_err(closed)?;
        // A peer that stops reading cannot hold the writer, and with it the drop, for ever.
        let pipe = Pipe::new(stream.try_clone().map_err(closed)?, silence).map_err(closed)?;
        let (reader, writer): (Box<dyn Read + Send>, Writer) = match met {
            Met::Plain { stream, first } => {
                (Box::new(Cursor::new(first).chain(stream)), Writer::Plain(pipe))
            }
            Met::Tls { stream, connection } => {
                let (reader, writer) = split(*connection, stream, pipe);
                (Box::new(reader), Writer::Tls(writer))
            }
        };
        let (to_writer, from_owner) = channel();
        let (to_owner, from_reader) = sync_channel(READ_AHEAD);
        let (writing, written) = channel();
        std::thread::spawn(move || write_frames(writer, &from_owner, &writing));
        std::thread::spawn(move || read_frames(reader, &to_owner));
        Ok(TcpChannel {
            stream,
            peer,
            outgoing: Some(to_writer),
            incoming: from_reader,
            written,
            silence,
            counters: Counters::default(),
        })
    }

    /// The Ed25519 key that the other end proved; nothing without TLS.
    pub fn peer_key(&self) -> Option<[u8; 32]> {
        self.peer
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

impl Writer {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Writer::Plain(pipe) => bytes.chunks(PIECE).try_for_each(|p| pipe.write_all(p)),
            Writer::Tls(writer) => writer.write_all(bytes),
        }
    }

    fn close(&mut self) {
        match self {
            Writer::Plain(pipe) => pipe.end(),
            Writer::Tls(writer) => writer.close(),
        }
    }
}

fn write_frames(mut writer: Writer, frames: &Receiver<Vec<u8>>, _writing: &Sender<()>) {
    while let Ok(bytes) = frames.recv() {
        // On failure the receiving end goes away and the owner's next send reports it.
        if writer.write_all(&bytes).is_err() {
            return;
        }
    }
    writer.close();
}

fn read_frames(stream: Box<dyn Read + Send>, frames: &SyncSender<Result<Frame, NetError>>) {
    let mut stream = BufReader::with_capacity(PIECE, stream);
    loop {
        let frame = Frame::read(&mut stream);
        let ended = frame.is_err();
        if frames.send(frame).is_err() || ended {
            return;
        }
    }
}

impl Channel for TcpChannel {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        debug_assert!(payload.len() <= MAX_PAYLOAD);
        self.counters.sent(payload.len());
        let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
        bytes.extend_from_slice(&frame::header(tag, batch, payload.len()));
        bytes.extend_from_slice(&payload);
        let queued = self.outgoing.as_ref().is_some_and(|queue| queue.send(bytes).is_ok());
        if queued {
            return Ok(());
        }
        // The peer may have said why before it closed.
        while let Ok(Ok(frame)) = self.incoming.try_recv() {
            self.counters.received(frame)?;
        }
        Err(NetError::Closed(String::new()))
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        match self.incoming.recv_timeout(self.silence) {
            Ok(frame) => self.counters.received(frame?),
            Err(RecvTimeoutError::Timeout) => {
                Err(NetError::Silent { seconds: self.silence.as_secs() })
            }
            Err(RecvTimeoutError::Disconnected) => Err(NetError::Closed(String::new())),
        }
    }

    fn traffic(&self) -> Traffic {
        self.counters.traffic
    }
}

impl Drop for TcpChannel {
    /// Writes what is queued (an abort's reason, for instance), ends this direction, and reads
    /// until the peer ends its own: closing with unread bytes would reset the connection and could
    /// destroy the last frames on their way. The peer has the time it may be silent to take what
    /// is queued, then `LINGER`.
    fn drop(&mut self) {
        self.outgoing = None;
        let _ = self.written.recv_timeout(self.silence);
        let started = Instant::now();
        while let Some(rest) = LINGER.checked_sub(started.elapsed()) {
            if !matches!(self.incoming.recv_timeout(rest), Ok(Ok(_))) {
                break;
            }
        }
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
