//! The channel over TCP: one thread writes, one reads, the owner does neither.

use super::frame::{self, HEADER_LEN};
use super::{Channel, Counters, Frame, NetError, Tag, Traffic};
use std::io::{BufReader, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Frames the reader may hold before the peer feels back pressure.
const READ_AHEAD: usize = 8;
/// Pause between attempts to connect and between looks for a connection.
const RETRY: Duration = Duration::from_millis(50);

/// How long a closing channel waits for the peer to close as well.
const LINGER: Duration = Duration::from_secs(2);

/// A channel over one TCP connection.
pub struct TcpChannel {
    stream: TcpStream,
    outgoing: Option<Sender<Vec<u8>>>,
    incoming: Receiver<Result<Frame, NetError>>,
    writer: Option<JoinHandle<()>>,
    silence: Duration,
    counters: Counters,
}

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

    /// Waits for one connection.
    ///
    /// # Errors
    /// [`NetError::NobodyCame`] after `patience`.
    pub fn accept(&self, patience: Duration, silence: Duration) -> Result<TcpChannel, NetError> {
        let started = Instant::now();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let _ = stream.set_nonblocking(false);
                    return TcpChannel::new(stream, silence);
                }
                Err(e) if e.kind() != ErrorKind::WouldBlock => {
                    return Err(NetError::Closed(format!(": {e}")));
                }
                Err(_) if started.elapsed() >= patience => {
                    let (address, seconds) = (self.address.to_string(), patience.as_secs());
                    return Err(NetError::NobodyCame { address, seconds });
                }
                Err(_) => std::thread::sleep(RETRY),
            }
        }
    }
}

/// Connects to `address`, trying again until `patience` is over; `silence` is how long a later
/// receive may wait.
///
/// # Errors
/// [`NetError::NotThere`].
pub fn connect(
    address: &str,
    patience: Duration,
    silence: Duration,
) -> Result<TcpChannel, NetError> {
    let started = Instant::now();
    loop {
        let reason = match try_connect(address, patience) {
            Ok(stream) => return TcpChannel::new(stream, silence),
            Err(e) => e.to_string(),
        };
        if started.elapsed() + RETRY > patience {
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
    fn new(stream: TcpStream, silence: Duration) -> Result<Self, NetError> {
        let closed = |e: std::io::Error| NetError::Closed(format!(": {e}"));
        stream.set_nodelay(true).map_err(closed)?;
        // A peer that stops reading cannot hold the writer, and with it the drop, for ever.
        stream.set_write_timeout(Some(silence)).map_err(closed)?;
        let (read_half, write_half) =
            (stream.try_clone().map_err(closed)?, stream.try_clone().map_err(closed)?);
        let (to_writer, from_owner) = channel();
        let (to_owner, from_reader) = sync_channel(READ_AHEAD);
        let writer = std::thread::spawn(move || write_frames(write_half, &from_owner));
        std::thread::spawn(move || read_frames(read_half, &to_owner));
        Ok(TcpChannel {
            stream,
            outgoing: Some(to_writer),
            incoming: from_reader,
            writer: Some(writer),
            silence,
            counters: Counters::default(),
        })
    }
}

fn write_frames(mut stream: TcpStream, frames: &Receiver<Vec<u8>>) {
    while let Ok(bytes) = frames.recv() {
        // On failure the receiving end goes away and the owner's next send reports it.
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn read_frames(stream: TcpStream, frames: &SyncSender<Result<Frame, NetError>>) {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
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
    /// destroy the last frames on their way.
    fn drop(&mut self) {
        self.outgoing = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        let _ = self.stream.shutdown(Shutdown::Write);
        let started = Instant::now();
        while let Some(rest) = LINGER.checked_sub(started.elapsed()) {
            if !matches!(self.incoming.recv_timeout(rest), Ok(Ok(_))) {
                break;
            }
        }
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn pair() -> (TcpChannel, TcpChannel) {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let address = listener.address().to_string();
        let peer = std::thread::spawn(move || connect(&address, PATIENCE, PATIENCE).unwrap());
        (listener.accept(PATIENCE, PATIENCE).unwrap(), peer.join().unwrap())
    }

    /// Both send more than any socket buffer holds before either receives.
    #[test]
    fn large_exchanges_do_not_deadlock() {
        let (mut a, mut b) = pair();
        let size = 40 << 20;
        let other = std::thread::spawn(move || {
            let got = b.exchange(Tag::Weights, &vec![2; size]).unwrap();
            (got, b.traffic())
        });
        assert!(a.exchange(Tag::Weights, &vec![1; size]).unwrap().iter().all(|&v| v == 2));
        let (got, traffic) = other.join().unwrap();
        assert!(got.len() == size && got.iter().all(|&v| v == 1));
        assert_eq!(a.traffic(), traffic);
        assert_eq!(traffic.bytes_sent, (size + 10 * HEADER_LEN) as u64);
    }

    #[test]
    fn a_reason_survives_the_close() {
        let (mut a, mut b) = pair();
        // Unread bytes at b when it closes must not cost a the reason.
        a.send(Tag::Opening, 0, vec![0; 1000]).unwrap();
        b.send(Tag::Abort, 0, b"wrong model".to_vec()).unwrap();
        let closing = std::thread::spawn(move || drop(b));
        assert!(matches!(a.recv(), Err(NetError::Refused { reason }) if reason == "wrong model"));
        assert!(matches!(a.recv(), Err(NetError::Closed(_))));
        drop(a);
        closing.join().unwrap();
    }

    #[test]
    fn oversized_frames_are_refused_before_allocation() {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let mut raw = TcpStream::connect(listener.address()).unwrap();
        let mut a = listener.accept(PATIENCE, PATIENCE).unwrap();
        raw.write_all(&[0xff; HEADER_LEN]).unwrap();
        assert!(matches!(a.recv(), Err(NetError::Protocol(text)) if text.contains("4294967295")));
    }

    #[test]
    fn absent_peers_are_reported_with_address_and_time() {
        let address = {
            let listener = Listener::bind("127.0.0.1:0").unwrap();
            let silent = listener.accept(Duration::ZERO, PATIENCE).err().unwrap();
            assert!(silent.to_string().contains("did not connect"), "{silent}");
            listener.address().to_string()
        };
        let error = connect(&address, Duration::ZERO, PATIENCE).err().unwrap();
        assert!(error.to_string().contains(&address), "{error}");
        assert!(matches!(Listener::bind("127.0.0.1:x"), Err(NetError::Listen { .. })));
    }
}
