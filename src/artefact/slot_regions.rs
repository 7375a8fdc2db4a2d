//! Where the explicit material of each slot lies in triples: known from the public header, so
//! that material can be erased without being read.
//!
//! The head of a slot is overwritten when the slot is used, so that the file itself says which slots
//! are spent, whatever becomes of the ledger; the rest when it is erased.

use super::PayloadSize;
use crate::files::FormatError;
use crate::files::container::envelope::Envelope;
use crate::files::container::header::Triples;
use crate::files::container::sizes::TAG_LEN;
use std::io::Read;
use std::ops::Range;

/// The most bytes of a head: a block of every common disk.
const HEAD: u64 = 4096;

/// The byte ranges of the slots, tags included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRegions {
    /// Where slot 0 begins.
    first: u64,
    /// Bytes of a slot; 0 where a server gets only seeds.
    slot: u64,
}

impl SlotRegions {
    /// Those of a file of triples.
    ///
    /// # Errors
    /// [`FormatError::WrongKind`]; [`FormatError::InvalidField`] for a payload that is not of equal
    /// slots.
    pub fn of<R: Read>(file: &Envelope<R>) -> Result<Self, FormatError> {
        let slots = file.expect::<Triples>()?.slots;
        let header = file.header();
        let seeds = PayloadSize::seeds(2);
        let split = |whole: u64, before: u64| {
            let rest = whole.checked_sub(before)?;
            (slots > 0 && rest % slots == 0).then(|| rest / slots)
        };
        let sizes = (split(header.payload_len, seeds.bytes), split(header.chunks, seeds.chunks));
        let (Some(bytes), Some(chunks)) = sizes else {
            return Err(FormatError::InvalidField {
                file: file.name().into(),
                field: "payload_len",
                value: header.payload_len.to_string(),
                expected: "two seeds and slots of equal size",
            });
        };
        let tags = |chunks: u64| TAG_LEN as u64 * chunks;
        let start = file.file_len() - header.payload_len - tags(header.chunks);
        let first = start + seeds.bytes + tags(seeds.chunks);
        Ok(SlotRegions { first, slot: bytes + tags(chunks) })
    }

    /// The range of a slot; empty where there is nothing to erase.
    pub fn slot(&self, slot: u64) -> Range<u64> {
        // Within the file's length for every slot of the header.
        let start = self.first.saturating_add(slot.saturating_mul(self.slot));
        start..start.saturating_add(self.slot)
    }

    /// The head of a slot, without which its first chunk cannot be unsealed; empty where there is no
    /// material.
    pub fn head(&self, slot: u64) -> Range<u64> {
        let whole = self.slot(slot);
        whole.start..whole.end.min(whole.start.saturating_add(HEAD))
    }

    /// A slot without its head; empty for the smallest ones.
    pub fn rest(&self, slot: u64) -> Range<u64> {
        self.head(slot).end..self.slot(slot).end
    }
}
