//! Values of fewer bits than the ring that are opened: how long a server's part is, and what may be wrong with it.

use super::error::{ProtocolError, wrong_length};
use crate::numbers::packing;
use crate::wire::NetError;

/// The bits that one server sends of values that are opened, packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// What they are, for messages.
    pub(super) what: &'static str,
    /// How many values.
    pub(super) count: usize,
    /// Bits of each.
    pub(super) bits: u32,
}

impl Opening {
    /// Bytes of the message.
    pub(super) fn bytes(self) -> usize {
        packing::packed_len(self.count, self.bits).expect("packed is smaller than unpacked")
    }

    /// A message that is still to be filled.
    pub(super) fn message(self) -> Vec<u8> {
        vec![0; self.bytes()]
    }

    /// Takes the peer's message with `unpack`, which says `None` where padding is set.
    ///
    /// # Errors
    /// [`ProtocolError::Net`] for a message of another length, or with padding set.
    pub(super) fn take<T>(
        self,
        message: &[u8],
        unpack: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, ProtocolError> {
        let Opening { what, .. } = self;
        if message.len() != self.bytes() {
            return Err(wrong_length(what, message.len(), self.bytes()));
        }
        let padded = || NetError::Protocol(format!("sent {what} with padding set")).into();
        unpack(message).ok_or_else(padded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lengths_and_padding_are_refused_by_name() {
        let opening = Opening { what: "masked things", count: 3, bits: 3 };
        let unpack = |bytes: &[u8]| packing::unpack::<u32>(bytes, 3, 3);
        assert_eq!(opening.message(), [0, 0]);
        assert_eq!(opening.take(&[0o321, 1], unpack).unwrap(), [1, 2, 7]);
        let said = |message: &[u8]| opening.take(message, unpack).unwrap_err().to_string();
        assert!(
            said(&[0]).contains("sent 1 bytes for masked things, expected 2"),
            "{}",
            said(&[0])
        );
        let padded = said(&[0, 2]);
        assert!(padded.contains("sent masked things with padding set"), "{padded}");
    }
}
