//! Set-up messages of the `gc` engine: base OTs and their extension.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise_crypto::prg::Seed;
use ppdenoise_base::ids::Party;
use ppdenoise::internals::protocol::GcSession;
use ppdenoise::internals::wire::{Channel, Frame, NetError, Tag, Traffic, pair};
use ppdenoise_fuzz::peer::Bytes;
use ppdenoise_fuzz::{memory::bounded, seeds};
use std::collections::VecDeque;
use std::sync::LazyLock;

/// What S0 receives in an honest set-up with these seeds.
static HONEST: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let (mut a, mut b) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| GcSession::set_up(Party::S1, &seed(1), &mut b).map(|_| ()));
        let mut tap = Tap { inner: &mut a, received: Vec::new() };
        GcSession::set_up(Party::S0, &seed(0), &mut tap).expect("both are honest");
        tap.received
    })
});

fn seed(party: u8) -> Seed {
    Seed::from_bytes([70 + party; 32])
}

/// Notes what comes.
struct Tap<'a> {
    inner: &'a mut dyn Channel,
    received: Vec<Vec<u8>>,
}

impl Channel for Tap<'_> {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        self.inner.send(tag, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        let frame = self.inner.recv()?;
        self.received.push(frame.payload.clone());
        Ok(frame)
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

/// Sends these one after the other.
struct Replay(VecDeque<Vec<u8>>);

impl Channel for Replay {
    fn send(&mut self, _: Tag, _: u32, _: Vec<u8>) -> Result<(), NetError> {
        Ok(())
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        let payload = self.0.pop_front().ok_or(NetError::Closed(String::new()))?;
        Ok(Frame { tag: Tag::EngineSetup, batch: 0, payload })
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

// Edits of the honest messages: which, how, where, a value.
fuzz_target!(init: seeds(edits), |data: &[u8]| {
    let mut messages = HONEST.clone();
    let mut bytes = Bytes(data);
    while !bytes.0.is_empty() {
        let which = usize::from(bytes.byte()) % messages.len();
        let (how, at, value) = (bytes.byte(), bytes.word() as usize, bytes.byte());
        let message = &mut messages[which];
        match how % 4 {
            0 => message.truncate(at % (message.len() + 1)),
            1 => message.resize(message.len() + at % 1000, value),
            2 => *message = bytes.filled(message.len()),
            _ if message.is_empty() => {}
            _ => {
                let at = at % message.len();
                message[at] ^= value;
            }
        }
    }
    let mut channel = Replay(messages.into());
    bounded((64 << 20) + 16 * data.len(), || {
        let _ = GcSession::set_up(Party::S0, &seed(0), &mut channel);
    });
});

fn edits() -> Vec<Vec<u8>> {
    vec![vec![], vec![0, 3, 5, 0, 0, 0, 1], vec![1, 0, 9, 0, 0, 0, 0], vec![2, 1, 1, 0, 0, 0, 0]]
}
