//! A TCP proxy between the two servers: the outside count of their bytes, and the broken wire.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;

/// What the wire does to the bytes of one direction.
#[derive(Clone, Copy, Debug)]
pub enum Wire {
    /// Passes them on.
    Whole,
    /// Cuts the connection, both ways, after so many.
    CutAfter(u64),
    /// Passes nothing on after so many, until one side closes.
    StallAfter(u64),
    /// Changes the byte at this position.
    Flip(u64),
}

/// A proxy for one connection.
pub struct Proxy {
    pub address: String,
    thread: JoinHandle<[u64; 2]>,
}

impl Proxy {
    /// Waits for one connection and joins it to `target`. `wires` are those from the connecting
    /// server to the listening one, and back.
    pub fn start(target: &str, wires: [Wire; 2]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = target.to_string();
        let thread = std::thread::spawn(move || {
            let (near, _) = listener.accept().unwrap();
            // A server that tries again finds nobody.
            drop(listener);
            let far = TcpStream::connect(target).unwrap();
            let back = pass_on(far.try_clone().unwrap(), near.try_clone().unwrap(), wires[1]);
            let there = pass_on(near, far, wires[0]);
            [there.join().unwrap(), back.join().unwrap()]
        });
        Proxy { address, thread }
    }

    /// The bytes that passed from the connecting server to the listening one, and back.
    pub fn counts(self) -> [u64; 2] {
        self.thread.join().unwrap()
    }
}

/// Copies one direction to its end; returns the bytes passed on.
fn pass_on(mut from: TcpStream, mut to: TcpStream, wire: Wire) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let (mut passed, mut buffer) = (0u64, vec![0; 1 << 16]);
        // A connection that is reset is over too.
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let bytes = &mut buffer[..n];
            let end = passed + n as u64;
            match wire {
                Wire::CutAfter(limit) if end > limit => {
                    let _ = to.write_all(&bytes[..(limit - passed) as usize]);
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = to.shutdown(Shutdown::Both);
                    return limit;
                }
                Wire::StallAfter(limit) if end > limit => {
                    while let Ok(1..) = from.read(&mut buffer) {}
                    break;
                }
                Wire::Flip(at) if (passed..end).contains(&at) => bytes[(at - passed) as usize] ^= 1,
                _ => {}
            }
            if to.write_all(bytes).is_err() {
                break;
            }
            passed = end;
        }
        let _ = to.shutdown(Shutdown::Write);
        passed
    })
}
