//! The other server as the fuzzer plays it.

use ppdenoise::internals::wire::{Channel, Frame, MAX_PAYLOAD, NetError, Tag, Traffic};
use std::collections::VecDeque;

/// Bytes that are handed out piece by piece; zeros when they have run out.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn word(&mut self) -> u32 {
        u32::from_le_bytes([0; 4].map(|_: u8| self.byte()))
    }

    /// `length` bytes; what is left of the input over and over.
    pub fn filled(&mut self, length: usize) -> Vec<u8> {
        let n = length.min(self.0.len());
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        let mut bytes = head.to_vec();
        bytes.resize(length, head.first().copied().unwrap_or(0));
        bytes
    }

    /// A message where `expected` bytes are due: most of the time it has that length.
    pub fn message(&mut self, expected: usize) -> Vec<u8> {
        let length = match self.byte() {
            0 => 0,
            1 => expected.saturating_sub(1),
            2 => expected + 1,
            3 => usize::from(self.byte()),
            4 => self.word() as usize % (1 << 16),
            _ => expected,
        };
        self.filled(length)
    }
}

/// A channel whose peer answers each frame with one of the fuzzer's. `lengths` are those of an
/// honest peer's frames, in order; where they have run out our own are taken.
pub struct Peer<'a> {
    pub bytes: Bytes<'a>,
    pub lengths: VecDeque<usize>,
    sent: VecDeque<(Tag, u32, usize)>,
}

impl<'a> Peer<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Peer { bytes: Bytes(bytes), lengths: VecDeque::new(), sent: VecDeque::new() }
    }
}

const TAGS: [Tag; 10] = [
    Tag::Hello,
    Tag::SlotOffer,
    Tag::Marked,
    Tag::Weights,
    Tag::Image,
    Tag::Opening,
    Tag::Done,
    Tag::EngineSetup,
    Tag::Images,
    Tag::Abort,
];

impl Channel for Peer<'_> {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        assert!(payload.len() <= MAX_PAYLOAD, "our own frames keep to the limit");
        self.sent.push_back((tag, batch, payload.len()));
        Ok(())
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        let Some((tag, batch, ours)) = self.sent.pop_front() else {
            return Err(NetError::Closed(String::new()));
        };
        let due = self.lengths.pop_front().unwrap_or(ours);
        let (tag, batch) = match self.bytes.byte() {
            0 => (TAGS[usize::from(self.bytes.byte()) % TAGS.len()], batch),
            1 => (tag, self.bytes.word()),
            2 => return Err(NetError::Closed(String::new())),
            _ => (tag, batch),
        };
        Ok(Frame { tag, batch, payload: self.bytes.message(due) })
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
