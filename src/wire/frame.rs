//! Frames: length u32, tag u8, batch u32 (little-endian), payload.

use super::NetError;
use crate::ids::MAX_PAYLOAD;
use std::io::{ErrorKind, Read, Write};

/// Bytes of a frame's header.
pub(super) const HEADER_LEN: usize = 9;
/// What is allocated for a payload before its bytes come.
const AT_ONCE: usize = 1 << 20;
/// The longest reason of an abort that is shown.
const MAX_REASON: usize = 200;

macro_rules! tags {
    ($($(#[doc = $doc:literal])+ $tag:ident = $number:literal,)+) => {
        /// What a frame carries. The numbers are part of the wire format: never reuse one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Tag {
            $($(#[doc = $doc])+ $tag = $number,)+
        }

        impl Tag {
            fn from_u8(number: u8) -> Option<Tag> {
                match number {
                    $($number => Some(Tag::$tag),)+
                    _ => None,
                }
            }
        }
    };
}

tags! {
    /// The handshake.
    Hello = 1,
    /// The next free slot of the sender's ledger, or that it takes no part in the image.
    SlotOffer = 2,
    /// Whether the sender has marked the agreed slot.
    Marked = 3,
    /// A share of U = G - X of one op.
    Weights = 4,
    /// A share of V = A - Y of the image.
    Image = 5,
    /// A share of one opening of a batch.
    Opening = 6,
    /// The sender has finished the image.
    Done = 7,
    /// The sender ends the session; the payload says why.
    Abort = 8,
    /// Set-up messages of an engine.
    EngineSetup = 9,
    /// The listener has accepted the connection; under TLS only, and not counted.
    Ready = 10,
    /// The images of which the sender has shares.
    Images = 11,
    /// A server's contribution to what both add before they round, and whether it lacks the other's hints.
    PairSetUp = 12,
    /// Hints of one op.
    Hint = 13,
    /// Ciphertexts of one batch of masks.
    Masks = 14,
    /// Material made by the two servers: corrections of correlated OTs.
    OtCorrections = 15,
    /// Material made by the two servers: masked payloads of correlated OTs.
    OtPayloads = 16,
    /// Material made by the two servers: a few elements that are opened, checked and thrown away.
    Sacrifice = 17,
    /// What a user asks of the one cloud.
    Request = 18,
    /// The cloud does it.
    Granted = 19,
    /// The cloud's share of a result.
    Result = 20,
    /// How fast the line is.
    Line = 21,
}

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub tag: Tag,
    /// The batch it belongs to, or a piece's number.
    pub batch: u32,
    /// The bytes.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The next frame of a stream. Takes memory for the bytes that come, not for those announced.
    ///
    /// # Errors
    /// [`NetError::Closed`] at the end of the stream and where reading fails, [`NetError::Changed`] for
    /// records that do not decrypt,
    /// [`NetError::Protocol`] for a payload beyond [`MAX_PAYLOAD`] or an unknown tag.
    pub fn read(stream: &mut impl Read) -> Result<Frame, NetError> {
        let mut header = [0; HEADER_LEN];
        stream.read_exact(&mut header).map_err(reading)?;
        let (tag, batch, length) = parse_header(&header)?;
        let mut payload = Vec::with_capacity(length.min(AT_ONCE));
        let found = stream.take(length as u64).read_to_end(&mut payload).map_err(reading)?;
        if found < length {
            return Err(NetError::Closed(String::new()));
        }
        Ok(Frame { tag, batch, payload })
    }

    /// Writes the frame as [`Frame::read`] reads it.
    ///
    /// # Errors
    /// [`NetError::Protocol`] for a payload beyond [`MAX_PAYLOAD`], of which nothing is written;
    /// [`NetError::Closed`] where writing fails.
    pub fn write(&self, stream: &mut impl Write) -> Result<(), NetError> {
        let length = self.payload.len();
        if length > MAX_PAYLOAD {
            let text = format!("a frame of {length} bytes, at most {MAX_PAYLOAD} are allowed");
            return Err(NetError::Protocol(text));
        }
        let written = stream.write_all(&self.to_bytes());
        written.map_err(|e| NetError::Closed(format!(": {e}")))
    }

    /// Header and payload.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN + self.payload.len());
        bytes.extend_from_slice(&header(self.tag, self.batch, self.payload.len()));
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// Why nothing more can be read.
fn reading(e: std::io::Error) -> NetError {
    match e.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => NetError::Closed(String::new()),
        ErrorKind::ConnectionAborted => {
            NetError::Closed(" without ending the session: it failed, or the link was cut".into())
        }
        _ => match e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => {
                NetError::Closed(format!(": it could not read what it got ({alert:?})"))
            }
            Some(e) => NetError::Changed(e.to_string()),
            None => NetError::Closed(format!(": {e}")),
        },
    }
}

/// The payload, shares of openings, stays out of messages.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:?}, batch {}, {} bytes)", self.tag, self.batch, self.payload.len())
    }
}

pub(super) fn header(tag: Tag, batch: u32, payload: usize) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&(payload as u32).to_le_bytes());
    header[4] = tag as u8;
    header[5..].copy_from_slice(&batch.to_le_bytes());
    header
}

/// (tag, batch, payload length) of a header from the peer.
pub(super) fn parse_header(header: &[u8; HEADER_LEN]) -> Result<(Tag, u32, usize), NetError> {
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
    let length = word(0) as usize;
    if length > MAX_PAYLOAD {
        let text =
            format!("announced a frame of {length} bytes, at most {MAX_PAYLOAD} are allowed");
        return Err(NetError::Protocol(text));
    }
    let tag = Tag::from_u8(header[4])
        .ok_or_else(|| NetError::Protocol(format!("sent the unknown tag {}", header[4])))?;
    Ok((tag, word(5), length))
}

/// A peer's reason as printable text of bounded length.
pub(super) fn abort_reason(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(MAX_REASON)]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_round_trip(tag in 1u8..=20, batch: u32, length in 0..=MAX_PAYLOAD) {
            let tag = Tag::from_u8(tag).unwrap();
            prop_assert_eq!(parse_header(&header(tag, batch, length)).unwrap(), (tag, batch, length));
        }

        #[test]
        fn any_header_is_parsed_or_refused(bytes: [u8; HEADER_LEN]) {
            if let Ok((_, _, length)) = parse_header(&bytes) {
                prop_assert!(length <= MAX_PAYLOAD);
            }
        }

        #[test]
        fn any_stream_is_frames_and_then_an_error(bytes: Vec<u8>, length in 0u32..40, tag in 0u8..22) {
            // A header that often fits what follows it, then whatever there is.
            let bytes = [&length.to_le_bytes()[..], &[tag], &[0; 4], &bytes].concat();
            let mut stream = &bytes[..];
            let mut read = 0;
            while let Ok(frame) = Frame::read(&mut stream) {
                read += HEADER_LEN + frame.payload.len();
                prop_assert_eq!(bytes.len() - stream.len(), read);
            }
        }

        #[test]
        fn reasons_are_short_printable_text(bytes: Vec<u8>) {
            let reason = abort_reason(&bytes);
            prop_assert!(reason.chars().count() <= MAX_REASON);
            prop_assert!(!reason.chars().any(char::is_control));
        }
    }
}
