//! The two halves of one TLS connection. Its state is one object, so the halves share it behind a
//! lock, which is held while bytes are encrypted or decrypted and never during a system call: a
//! writer that waits for the peer to read does not keep the reader from reading.

use super::pipe::Pipe;
use rustls::Connection;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are encrypted, or read from the socket, at a time.
const PIECE: usize = 64 << 10;

/// The state that both halves share.
#[derive(Clone)]
struct Shared(Arc<Mutex<Connection>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic of the other half ends the channel anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection as two halves, after the handshake.
pub(super) fn split(connection: Connection, from: TcpStream, to: Pipe) -> (TlsReader, TlsWriter) {
    let shared = Shared(Arc::new(Mutex::new(connection)));
    let reader = TlsReader { shared: shared.clone(), from, raw: vec![0; PIECE], unread: 0..0 };
    (reader, TlsWriter { shared, to, records: Vec::new() })
}

/// What arrives, decrypted. Ends with `Ok(0)` only where the peer ended its direction by a
/// close_notify; a stream that is cut off is an error of kind `ConnectionAborted`.
pub(super) struct TlsReader {
    shared: Shared,
    from: TcpStream,
    raw: Vec<u8>,
    /// The part of `raw` that is not decrypted yet.
    unread: std::ops::Range<usize>,
}

impl TlsReader {
    /// Decrypts until there is something to give; `None` if more bytes are needed first.
    fn decrypted(&mut self, out: &mut [u8]) -> Result<Option<usize>> {
        let mut connection = self.shared.lock();
        loop {
            match connection.reader().read(out) {
                Ok(n) => return Ok(Some(n)),
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                    return Err(Error::new(ErrorKind::ConnectionAborted, e));
                }
                Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e),
                Err(_) if self.unread.is_empty() => return Ok(None),
                Err(_) => {}
            }
            let mut unread = &self.raw[self.unread.clone()];
            let taken = connection.read_tls(&mut unread)?;
            self.unread.start += taken;
            if let Err(e) = connection.process_new_packets() {
                return Err(Error::new(ErrorKind::InvalidData, e));
            }
            if taken == 0 {
                // After a close_notify no more bytes are taken.
                self.unread = 0..0;
            }
        }
    }
}

impl Read for TlsReader {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            if let Some(n) = self.decrypted(out)? {
                return Ok(n);
            }
            let n = self.from.read(&mut self.raw)?;
            self.unread = 0..n;
            if n == 0 {
                // The connection learns that nothing follows.
                self.shared.lock().read_tls(&mut std::io::empty())?;
            }
        }
    }
}

/// What is sent, encrypted.
pub(super) struct TlsWriter {
    shared: Shared,
    to: Pipe,
    records: Vec<u8>,
}

impl TlsWriter {
    /// Sends all of `bytes`.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        bytes.chunks(PIECE).try_for_each(|piece| {
            let mut connection = self.shared.lock();
            connection.writer().write_all(piece)?;
            self.records.clear();
            take_records(&mut connection, &mut self.records)?;
            drop(connection);
            self.to.write_all(&self.records)
        })
    }

    /// Sends the close_notify, or the alert of an error that the reader has met, and ends this
    /// direction.
    pub(super) fn close(&mut self) {
        let mut connection = self.shared.lock();
        connection.send_close_notify();
        self.records.clear();
        let taken = take_records(&mut connection, &mut self.records);
        drop(connection);
        // A peer that is gone misses nothing.
        let _ = taken.and_then(|()| self.to.write_all(&self.records));
        self.to.end();
    }
}

/// Moves what is ready to be sent to the end of `records`.
fn take_records(connection: &mut Connection, records: &mut Vec<u8>) -> Result<()> {
    while connection.wants_write() {
        connection.write_tls(records)?;
    }
    Ok(())
}
