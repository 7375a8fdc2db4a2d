//! The channel between the two servers: tagged, length-limited frames, full duplex, counted; over TCP
//! under TLS 1.3 with pinned keys, or plain; or over any stream that a program brings.
//!
//! May use: [`crate::kernels`], for the cipher that this processor is fast at.
//!
//! Security: the peer is told by its pinned key and may send anything: lengths are limited before memory is
//! taken.
//!
//! Stability: all of it is in [`crate::api`].

mod error;
mod frame;
mod half_open;
mod listen;
mod mem;
mod pipe;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod tls_stream;

pub use crate::ids::MAX_PAYLOAD;
pub use error::{NetError, Refusal};
pub use frame::{Frame, Tag};
pub use listen::{Door, HALF_OPEN, Listener};
pub use mem::{MemChannel, pair};
pub use stream::StreamChannel;
pub use tcp::{Cutter, TcpChannel, connect, connect_once};
pub use tls::TlsKeys;

use std::time::Duration;

/// The version of the wire: handshake, frames, tags, openings. Another one is refused.
pub const WIRE_VERSION: u16 = 9;
/// The first bytes of a greeting.
pub const MAGIC: [u8; 8] = *b"PPDWIRE\0";

/// How a link is protected.
#[derive(Clone, Debug)]
pub enum Security {
    /// Encrypted, and each server proves its key to the other.
    Tls(TlsKeys),
    /// Not at all: whoever is on the way reads and changes what passes, whoever connects is taken
    /// for the other server. For measurements and tests.
    Insecure,
}

/// How long a server waits for the other.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To appear.
    pub wait: Duration,
    /// In the midst of the work: for the next frame, and for it to take 64 KiB that are sent.
    pub silence: Duration,
    /// To prove its key, once connected.
    pub handshake: Duration,
}

impl Limits {
    /// The limits of `--wait` and `--timeout`, of which more than a year is a year: the clock cannot
    /// tell every time; 10 s for the handshake.
    pub fn new(wait: Duration, silence: Duration) -> Self {
        let year = Duration::from_secs(365 * 24 * 3600);
        Limits {
            wait: wait.min(year),
            silence: silence.min(year),
            handshake: Duration::from_secs(10),
        }
    }
}

/// Counters of a channel; bytes include the frame headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Traffic {
    /// Bytes sent to the other side, with the heads of frames.
    pub bytes_sent: u64,
    /// Bytes received from the other side, with the heads of frames.
    pub bytes_received: u64,
    /// How often this side waited for a frame after it had sent something.
    pub rounds: u64,
}

impl Traffic {
    /// What was added since an `earlier` reading.
    pub fn since(&self, earlier: &Traffic) -> Traffic {
        Traffic {
            bytes_sent: self.bytes_sent - earlier.bytes_sent,
            bytes_received: self.bytes_received - earlier.bytes_received,
            rounds: self.rounds - earlier.rounds,
        }
    }
}

/// A full-duplex, ordered, framed connection to the other server; owned by one thread.
///
/// `send` never waits for the peer to read: both servers may send their openings first and then
/// receive. What may be queued is bounded by the protocol (one frame for each batch in flight).
pub trait Channel: Send {
    /// Queues a frame.
    ///
    /// # Errors
    /// [`NetError::Closed`] if the connection is gone.
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError>;

    /// The next frame.
    ///
    /// # Errors
    /// [`NetError`]; a frame tagged [`Tag::Abort`] becomes [`NetError::Refused`].
    fn recv(&mut self) -> Result<Frame, NetError>;

    /// The counters so far.
    fn traffic(&self) -> Traffic;

    /// The next frame, which must carry `tag`.
    ///
    /// # Errors
    /// As `recv`, and [`NetError::Protocol`] for another tag.
    fn expect(&mut self, tag: Tag) -> Result<Frame, NetError> {
        let frame = self.recv()?;
        if frame.tag != tag {
            let text = format!("sent {:?} where {tag:?} was due", frame.tag);
            return Err(NetError::Protocol(text));
        }
        Ok(frame)
    }

    /// Sends `payload` and receives as many bytes under the same tag, in pieces that fit a frame:
    /// the opening of something large.
    ///
    /// Cost: 1 round. # Errors as `expect`, and [`NetError::Protocol`] for another length.
    fn exchange(&mut self, tag: Tag, payload: &[u8]) -> Result<Vec<u8>, NetError> {
        let mut theirs = Vec::with_capacity(payload.len());
        for (i, piece) in payload.chunks(MAX_PAYLOAD / 4).enumerate() {
            self.send(tag, i as u32, piece.to_vec())?;
            let frame = self.expect(tag)?;
            if frame.batch as usize != i || frame.payload.len() != piece.len() {
                let text = format!(
                    "sent {} bytes as piece {}, expected {} as piece {i}",
                    frame.payload.len(),
                    frame.batch,
                    piece.len()
                );
                return Err(NetError::Protocol(text));
            }
            theirs.extend_from_slice(&frame.payload);
        }
        Ok(theirs)
    }
}

/// Counting that both transports share.
#[derive(Default)]
struct Counters {
    traffic: Traffic,
    sent_since_wait: bool,
}

impl Counters {
    fn sent(&mut self, payload: usize) {
        self.traffic.bytes_sent += (frame::HEADER_LEN + payload) as u64;
        self.sent_since_wait = true;
    }

    /// Counts a received frame and turns an abort into an error.
    fn received(&mut self, frame: Frame) -> Result<Frame, NetError> {
        self.traffic.bytes_received += (frame::HEADER_LEN + frame.payload.len()) as u64;
        self.traffic.rounds += u64::from(std::mem::take(&mut self.sent_since_wait));
        if frame.tag == Tag::Abort {
            return Err(NetError::Refused { reason: frame::abort_reason(&frame.payload) });
        }
        Ok(frame)
    }
}
