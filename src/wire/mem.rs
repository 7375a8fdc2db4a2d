//! A pair of channels within one process.

use super::{Channel, Counters, Frame, NetError, Tag, Traffic};
use std::sync::mpsc::{Receiver, Sender, channel};

/// One end of [`pair`].
pub struct MemChannel {
    to: Sender<Frame>,
    from: Receiver<Frame>,
    counters: Counters,
}

/// Two ends of a connection: what one sends the other receives.
pub fn pair() -> (MemChannel, MemChannel) {
    let (to_b, from_a) = channel();
    let (to_a, from_b) = channel();
    let end = |to, from| MemChannel { to, from, counters: Counters::default() };
    (end(to_b, from_b), end(to_a, from_a))
}

impl Channel for MemChannel {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        self.counters.sent(payload.len());
        self.to.send(Frame { tag, batch, payload }).map_err(|_| NetError::Closed(String::new()))
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        let frame = self.from.recv().map_err(|_| NetError::Closed(String::new()))?;
        self.counters.received(frame)
    }

    fn traffic(&self) -> Traffic {
        self.counters.traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_may_send_first_and_rounds_are_counted() {
        let (mut a, mut b) = pair();
        a.send(Tag::Opening, 1, vec![1; 100]).unwrap();
        b.send(Tag::Opening, 1, vec![2; 100]).unwrap();
        assert_eq!(a.recv().unwrap().payload, [2; 100]);
        assert_eq!(b.recv().unwrap().payload, [1; 100]);
        assert_eq!(a.traffic(), Traffic { bytes_sent: 109, bytes_received: 109, rounds: 1 });
        b.send(Tag::Done, 0, vec![]).unwrap();
        assert!(matches!(a.expect(Tag::Opening), Err(NetError::Protocol(_))));
    }

    #[test]
    fn aborts_and_hang_ups_are_errors() {
        let (mut a, mut b) = pair();
        b.send(Tag::Abort, 0, b"no slot left".to_vec()).unwrap();
        assert!(matches!(a.recv(), Err(NetError::Refused { reason }) if reason == "no slot left"));
        drop(b);
        assert!(matches!(a.recv(), Err(NetError::Closed(_))));
        assert!(matches!(a.send(Tag::Done, 0, vec![]), Err(NetError::Closed(_))));
    }
}
