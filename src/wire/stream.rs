//! The channel over any byte stream: one thread writes, one reads, the owner does neither.

use super::{Channel, Counters, Frame, MAX_PAYLOAD, NetError, Tag, Traffic};
use std::io::{BufReader, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// Frames the reader may hold before the peer feels back pressure.
const READ_AHEAD: usize = 8;
/// Bytes read at a time.
const PIECE: usize = 64 << 10;
/// How long a closing channel waits for the peer to close as well.
const LINGER: Duration = Duration::from_secs(2);

/// A channel over the two directions of a connection that a program brings: a socket of another kind, the pipes
/// of a process, a tunnel.
///
/// Both directions must go on independently of one another. Reading ends with the stream, or with this
/// process: whoever wants the thread that reads to end sooner cuts the stream.
///
/// Security: frames pass as they are. Unless the stream itself is encrypted and its peer proved,
/// whoever is on the way reads and changes them.
pub struct StreamChannel {
    outgoing: Option<Sender<Vec<u8>>>,
    incoming: Receiver<Result<Frame, NetError>>,
    /// Hangs up when the writer has written everything.
    written: Receiver<()>,
    silence: Duration,
    counters: Counters,
}

/// The writing half of a stream.
pub(super) trait Outgoing: Send + 'static {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    /// Nothing more is written.
    fn end(&mut self);
}

/// A writer that ends when it is dropped.
struct Plain<W>(W);

impl<W: Write + Send + 'static> Outgoing for Plain<W> {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    fn end(&mut self) {}
}

impl StreamChannel {
    /// A channel that reads frames from `reader` and writes them to `writer`, which is dropped behind the last;
    /// `silence` is how long the peer may send nothing while something is due.
    pub fn new(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        silence: Duration,
    ) -> Self {
        Self::over(reader, Plain(writer), silence)
    }

    pub(super) fn over(
        reader: impl Read + Send + 'static,
        writer: impl Outgoing,
        silence: Duration,
    ) -> Self {
        let (to_writer, from_owner) = channel();
        let (to_owner, from_reader) = sync_channel(READ_AHEAD);
        let (writing, written) = channel();
        std::thread::spawn(move || write_frames(writer, &from_owner, &writing));
        std::thread::spawn(move || read_frames(reader, &to_owner));
        StreamChannel {
            outgoing: Some(to_writer),
            incoming: from_reader,
            written,
            silence,
            counters: Counters::default(),
        }
    }

    /// Writes what is queued (an abort's reason, for instance), ends this direction, and reads until the peer
    /// ends its own: closing with unread bytes would reset a connection and could destroy the last frames
    /// on their way. The peer has the time it may be silent to take what is queued, then [`LINGER`].
    pub(super) fn end(&mut self) {
        self.outgoing = None;
        let _ = self.written.recv_timeout(self.silence);
        let started = Instant::now();
        while let Some(rest) = LINGER.checked_sub(started.elapsed()) {
            if !matches!(self.incoming.recv_timeout(rest), Ok(Ok(_))) {
                break;
            }
        }
    }
}

fn write_frames(mut writer: impl Outgoing, frames: &Receiver<Vec<u8>>, _writing: &Sender<()>) {
    while let Ok(bytes) = frames.recv() {
        // On failure the receiving end goes away and the owner's next send reports it.
        if writer.write_all(&bytes).is_err() {
            return;
        }
    }
    writer.end();
}

fn read_frames(stream: impl Read, frames: &SyncSender<Result<Frame, NetError>>) {
    let mut stream = BufReader::with_capacity(PIECE, stream);
    loop {
        let frame = Frame::read(&mut stream);
        let ended = frame.is_err();
        if frames.send(frame).is_err() || ended {
            return;
        }
    }
}

impl Channel for StreamChannel {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        debug_assert!(payload.len() <= MAX_PAYLOAD);
        self.counters.sent(payload.len());
        let bytes = Frame { tag, batch, payload }.to_bytes();
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

impl Drop for StreamChannel {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use std::os::unix::net::UnixStream;

    const SILENCE: Duration = Duration::from_secs(20);

    fn ends() -> [StreamChannel; 2] {
        let (a, b) = UnixStream::pair().unwrap();
        [a, b].map(|stream| {
            let reader = stream.try_clone().unwrap();
            StreamChannel::new(reader, Ending(stream), SILENCE)
        })
    }

    /// A socket is closed for writing while its other half still reads.
    struct Ending(UnixStream);

    impl Write for Ending {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            self.0.flush()
        }
    }

    impl Drop for Ending {
        fn drop(&mut self) {
            let _ = self.0.shutdown(std::net::Shutdown::Write);
        }
    }

    #[test]
    fn both_may_send_more_than_the_stream_holds_before_they_receive() {
        let [mut a, mut b] = ends();
        let large = vec![7; MAX_PAYLOAD];
        a.send(Tag::Opening, 1, large.clone()).unwrap();
        b.send(Tag::Opening, 2, large.clone()).unwrap();
        let (at_a, at_b) = (a.recv().unwrap(), b.recv().unwrap());
        assert!(at_a.payload == large && at_b.payload == large);
        assert_eq!((at_a.batch, at_b.batch), (2, 1));
        let bytes = (MAX_PAYLOAD + 9) as u64;
        let expected = Traffic { bytes_sent: bytes, bytes_received: bytes, rounds: 1 };
        assert_eq!((a.traffic(), b.traffic()), (expected, expected));
    }

    #[test]
    fn reasons_arrive_before_the_end_and_the_end_is_told() {
        let [mut a, b] = ends();
        let mut b = b;
        b.send(Tag::Abort, 0, b"no slot left".to_vec()).unwrap();
        let other = std::thread::spawn(move || drop(b));
        assert!(matches!(a.recv(), Err(NetError::Refused { reason }) if reason == "no slot left"));
        assert!(matches!(a.recv(), Err(NetError::Closed(_))));
        drop(a);
        other.join().unwrap();
    }

    #[test]
    fn frames_are_written_as_they_are_read() {
        let frame = Frame { tag: Tag::Result, batch: 0x0102_0304, payload: vec![5, 6, 7] };
        let mut bytes = Vec::new();
        frame.write(&mut bytes).unwrap();
        frame.write(&mut bytes).unwrap();
        let mut stream = Cursor::new(bytes);
        assert!(Frame::read(&mut stream).unwrap() == frame);
        assert!(Frame::read(&mut stream).unwrap() == frame);
        let long = Frame { payload: vec![0; MAX_PAYLOAD + 1], ..frame };
        assert!(matches!(long.write(&mut Vec::new()), Err(NetError::Protocol(_))));
    }
}
