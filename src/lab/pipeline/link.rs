//! A link that is slower than loopback: a relay between the two servers that delays every byte and
//! limits their rate, as a round trip and a line between two sites would.

use crate::lab::error::LabError;
use std::io::{Read, Write};
use std::net::{AddrParseError, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Bytes forwarded at a time.
const PIECE: usize = 64 << 10;
/// Pieces on their way in one direction: more than any line of 10 Gbit/s and 200 ms holds.
const IN_FLIGHT: usize = 4096;

/// What the link adds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Link {
    /// The round trip; each direction takes half of it.
    pub round_trip: Duration,
    /// Bits a second in each direction; unlimited if there is none.
    pub bits_per_second: Option<f64>,
}

impl Link {
    /// Where the second server finds the first, which listens at `address`: there, or behind a relay.
    pub(super) fn route(self, address: String) -> Result<String, LabError> {
        if self == Link::default() {
            return Ok(address);
        }
        let failed = |reason: String| LabError::Relay { address: address.clone(), reason };
        let target = address.parse().map_err(|e: AddrParseError| failed(e.to_string()))?;
        Ok(self.relay_to(target).map_err(|e| failed(e.to_string()))?.to_string())
    }

    /// Relays one connection to `target` from a free port of loopback, whose address is returned.
    /// The threads end with the connection.
    fn relay_to(self, target: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            // A server that does not come, or goes, is its peer's to report.
            let Ok((near, _)) = listener.accept() else { return };
            let Ok(far) = TcpStream::connect(target) else { return };
            let _ = self.join(near, far);
        });
        Ok(address)
    }

    fn join(self, near: TcpStream, far: TcpStream) -> std::io::Result<()> {
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let there = (near.try_clone()?, far.try_clone()?);
        std::thread::spawn(move || self.forward(there.0, there.1));
        self.forward(far, near);
        Ok(())
    }

    /// One direction, until its end.
    fn forward(self, from: TcpStream, to: TcpStream) {
        let (sender, receiver) = sync_channel(IN_FLIGHT);
        std::thread::spawn(move || take(from, &sender));
        self.give(&receiver, to);
    }

    fn give(self, pieces: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
        let mut line_free = Instant::now();
        while let Ok((arrived, piece)) = pieces.recv() {
            // The line carries one piece after the other, then the piece travels.
            line_free = line_free.max(arrived);
            if let Some(rate) = self.bits_per_second {
                line_free += Duration::from_secs_f64(8.0 * piece.len() as f64 / rate);
            }
            let due = line_free + self.round_trip / 2;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

fn take(mut from: TcpStream, pieces: &SyncSender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if pieces.send((Instant::now(), buffer[..n].to_vec())).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_later() {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link { round_trip: Duration::from_millis(20), bits_per_second: Some(1e9) };
        let mut near =
            TcpStream::connect(link.relay_to(target.local_addr().unwrap()).unwrap()).unwrap();
        let (mut far, _) = target.accept().unwrap();
        let sent: Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
        let started = Instant::now();
        near.write_all(&sent).unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert!(got == sent);
        // Half a round trip and 2.4 ms on the line: never less.
        assert!(started.elapsed() >= Duration::from_micros(12_400));
        far.write_all(b"back").unwrap();
        drop(far);
        got.clear();
        near.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"back");
    }
}
