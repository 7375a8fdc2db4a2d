//! Writing to a socket in bounded time.

use std::io::{Error, ErrorKind, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A socket's writing half; each call ends within about twice the limit.
pub(super) struct Pipe {
    stream: TcpStream,
    limit: Duration,
}

impl Pipe {
    /// `limit` is how long the peer may take to take what one call writes.
    pub(super) fn new(stream: TcpStream, limit: Duration) -> Result<Self> {
        stream.set_write_timeout(Some(limit))?;
        Ok(Pipe { stream, limit })
    }

    /// Writes all of `bytes`; a peer that takes a few bytes now and then is as good as one that
    /// takes none.
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        let started = Instant::now();
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            if !bytes.is_empty() && started.elapsed() > self.limit {
                return Err(Error::new(ErrorKind::TimedOut, "the peer does not read"));
            }
        }
        Ok(())
    }

    /// Ends this direction.
    pub(super) fn end(&self) {
        // A peer that is gone has ended it already.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}
