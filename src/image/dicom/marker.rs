//! Markers of JPEG and JPEG-LS streams.

pub(super) const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
/// The restart interval.
pub(super) const DRI: u8 = 0xdd;

/// The next marker that has a segment, or the end; its content; what follows.
pub(super) fn marker(data: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let mut rest = data;
    loop {
        let at = rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0xff)?;
        let kind = rest[at + 1];
        rest = &rest[at + 2..];
        match kind {
            // A byte of a scan, a restart.
            0 | 1 | 0xd0..=0xd8 => {}
            EOI => return Some((EOI, &[], rest)),
            _ => {
                let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
                let content = rest.get(2..length)?;
                return Some((kind, content, &rest[length..]));
            }
        }
    }
}
