//! The elements of a DICOM file (PS3.5 section 7, PS3.10 section 7): where each begins and ends.
//!
//! Nothing is copied, and every length is compared with what is there before anything is done with
//! it. Values stay bytes: few of them are ever looked at.

use super::super::{ImageError, ImageFormat};

/// Bytes before the magic word, and the word.
const PREAMBLE: usize = 128;
const MAGIC: &[u8] = b"DICM";
/// A length that is not known: delimiters end the value.
const UNDEFINED: u32 = u32::MAX;
/// Sequences within sequences that are followed.
const MAX_DEPTH: usize = 16;

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// The group and the number of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag(pub(super) u16, pub(super) u16);

impl Tag {
    /// Its four bytes in a file.
    pub(super) fn bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.0.to_le_bytes(), self.1.to_le_bytes());
        [a, b, c, d]
    }
}

/// How the headers of a data set's elements are written; numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Tag and length.
    Implicit,
    /// Tag, kind of the value, length.
    Explicit,
}

/// Kinds of values with a length of 4 bytes, behind two that are 0 (PS3.5 table 7.1-1).
const LONG: [&[u8; 2]; 13] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];

/// Whether a kind of value has a length of 4 bytes.
pub(super) fn is_long(kind: [u8; 2]) -> bool {
    LONG.contains(&&kind)
}

/// One element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: Tag,
    /// All its bytes.
    pub(super) whole: &'a [u8],
    /// Its value, without delimiters.
    pub(super) value: &'a [u8],
    /// Whether the value is a list of items that delimiters end.
    pub(super) items: bool,
}

/// A file in its parts.
pub(super) struct Parts<'a> {
    /// The elements of group 2.
    pub(super) meta: &'a [u8],
    /// All others.
    pub(super) data: &'a [u8],
}

pub(super) fn damaged(reason: &'static str) -> ImageError {
    ImageError::Header { format: ImageFormat::Dicom, reason }
}

/// Whether bytes begin like a DICOM file.
pub(in super::super) fn has_signature(bytes: &[u8]) -> bool {
    bytes.get(PREAMBLE..PREAMBLE + MAGIC.len()) == Some(MAGIC)
}

/// The parts of a file.
pub(super) fn parts(bytes: &[u8]) -> Result<Parts<'_>, ImageError> {
    if !has_signature(bytes) {
        return Err(ImageError::Signature { format: ImageFormat::Dicom });
    }
    let body = &bytes[PREAMBLE + MAGIC.len()..];
    let mut rest = body;
    while rest.starts_with(&[2, 0]) {
        let element = next(&mut rest, Coding::Explicit, 0)?;
        if element.items {
            return Err(damaged("an element of group 2 has no length"));
        }
    }
    let (meta, data) = body.split_at(body.len() - rest.len());
    Ok(Parts { meta, data })
}

/// The elements of a data set, one after the other, in the order of their tags.
pub(super) struct Elements<'a> {
    rest: &'a [u8],
    coding: Coding,
    last: Option<Tag>,
}

pub(super) fn elements(data: &[u8], coding: Coding) -> Elements<'_> {
    Elements { rest: data, coding, last: None }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, ImageError>;

    /// An error is the last that it gives.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = next(&mut self.rest, self.coding, 0).and_then(|element| {
            let before = self.last.replace(element.tag);
            match before.is_none_or(|before| before < element.tag) {
                true => Ok(element),
                false => Err(damaged("its elements are not in the order of their tags")),
            }
        });
        if element.is_err() {
            self.rest = &[];
        }
        Some(element)
    }
}

/// The items of a list, without their headers, up to its end.
pub(super) fn items(value: &[u8]) -> impl Iterator<Item = Result<&[u8], ImageError>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let item = (|| match header(&mut rest)? {
            (ITEM, length) if length != UNDEFINED => take(&mut rest, length),
            _ => Err(damaged("a list holds something else than items of known length")),
        })();
        if item.is_err() {
            rest = &[];
        }
        Some(item)
    })
}

/// The next element, `depth` sequences deep.
fn next<'a>(rest: &mut &'a [u8], coding: Coding, depth: usize) -> Result<Element<'a>, ImageError> {
    let start = *rest;
    let tag = tag(rest)?;
    if tag.0 == ITEM.0 {
        return Err(damaged("a delimiter stands where an element must"));
    }
    let (length, within) = match coding {
        Coding::Implicit => (word(rest)?, Coding::Implicit),
        Coding::Explicit => {
            let kind = fixed::<2>(rest)?;
            if !kind.iter().all(u8::is_ascii_uppercase) {
                return Err(damaged("the kind of a value is not two capital letters"));
            }
            // What was unknown to a writer is in implicit form.
            let within = if &kind == b"UN" { Coding::Implicit } else { Coding::Explicit };
            match is_long(kind) {
                true => {
                    fixed::<2>(rest)?;
                    (word(rest)?, within)
                }
                false => (u32::from(u16::from_le_bytes(fixed(rest)?)), within),
            }
        }
    };
    let items = length == UNDEFINED;
    let value = match items {
        false => take(rest, length)?,
        true => list(rest, within, depth)?,
    };
    Ok(Element { tag, whole: &start[..start.len() - rest.len()], value, items })
}

/// The items of a list that a delimiter ends.
fn list<'a>(rest: &mut &'a [u8], coding: Coding, depth: usize) -> Result<&'a [u8], ImageError> {
    if depth == MAX_DEPTH {
        return Err(damaged("sequences are nested too deeply"));
    }
    let start = *rest;
    loop {
        let value = &start[..start.len() - rest.len()];
        match header(rest)? {
            (SEQUENCE_END, 0) => return Ok(value),
            (ITEM, UNDEFINED) => {
                while !rest.starts_with(&ITEM_END.bytes()) {
                    next(rest, coding, depth + 1)?;
                }
                header(rest)?;
            }
            (ITEM, length) => {
                take(rest, length)?;
            }
            _ => return Err(damaged("a list holds something else than items")),
        }
    }
}

/// Tag and length of an item or delimiter.
fn header(rest: &mut &[u8]) -> Result<(Tag, u32), ImageError> {
    Ok((tag(rest)?, word(rest)?))
}

fn tag(rest: &mut &[u8]) -> Result<Tag, ImageError> {
    let group = u16::from_le_bytes(fixed(rest)?);
    Ok(Tag(group, u16::from_le_bytes(fixed(rest)?)))
}

fn word(rest: &mut &[u8]) -> Result<u32, ImageError> {
    Ok(u32::from_le_bytes(fixed(rest)?))
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ImageError> {
    let (value, behind) = rest.split_first_chunk().ok_or(damaged(CUT))?;
    *rest = behind;
    Ok(*value)
}

fn take<'a>(rest: &mut &'a [u8], length: u32) -> Result<&'a [u8], ImageError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (value, behind) = rest.split_at_checked(length).ok_or(damaged(CUT))?;
    *rest = behind;
    Ok(value)
}

const CUT: &str = "an element is longer than the file";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(data: &[u8], coding: Coding) -> Result<Vec<(Tag, usize)>, ImageError> {
        elements(data, coding).map(|e| e.map(|e| (e.tag, e.value.len()))).collect()
    }

    /// A sequence of undefined length in a sequence, and so on.
    fn nested(depth: usize) -> Vec<u8> {
        let header = b"\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff";
        let open = [&header[..], &ITEM.bytes(), &[255; 4]].concat();
        let close = [&ITEM_END.bytes()[..], &[0; 4], &SEQUENCE_END.bytes(), &[0; 4]].concat();
        [open.repeat(depth), close.repeat(depth)].concat()
    }

    #[test]
    fn lists_end_at_their_delimiter() {
        let data = [nested(3), b"\x10\0\x10\0PN\x04\0A^B ".to_vec()].concat();
        let found = read(&data, Coding::Explicit).unwrap();
        assert_eq!(found, [(Tag(8, 0x1110), data.len() - 12 - 12 - 8), (Tag(16, 16), 4)]);
        for cut in 1..data.len() {
            let whole = cut == data.len() - 12;
            assert_eq!(read(&data[..cut], Coding::Explicit).is_ok(), whole, "{cut} bytes");
        }
        // What was unknown is written without kinds.
        let unknown = b"\x09\0\x10\0UN\0\0\xff\xff\xff\xff";
        let inside = [&ITEM.bytes()[..], &[255; 4], b"\x08\0\x05\0\x02\0\0\0AB"].concat();
        let ends = [&ITEM_END.bytes()[..], &[0; 4], &SEQUENCE_END.bytes(), &[0; 4]].concat();
        assert!(read(&[&unknown[..], &inside, &ends].concat(), Coding::Explicit).is_ok());
    }

    #[test]
    fn depth_and_order_are_bounded() {
        assert!(read(&nested(MAX_DEPTH), Coding::Explicit).is_ok());
        for depth in [MAX_DEPTH + 1, 100_000] {
            let error = read(&nested(depth), Coding::Explicit).unwrap_err().to_string();
            assert!(error.contains("nested too deeply"), "{error}");
        }
        let element = b"\x10\0\x10\0\x02\0\0\0AB";
        let twice = [&element[..], element].concat();
        let error = read(&twice, Coding::Implicit).unwrap_err().to_string();
        assert!(error.contains("order of their tags"), "{error}");
    }

    #[test]
    fn items_are_the_fragments() {
        let data = [&ITEM.bytes()[..], &[0; 4], &ITEM.bytes(), &[2, 0, 0, 0], b"ab"].concat();
        let found: Vec<&[u8]> = items(&data).map(Result::unwrap).collect();
        assert_eq!(found, [&b""[..], b"ab"]);
        assert!(items(&data[..17]).any(|item| item.is_err()));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(data: Vec<u8>) {
            for coding in [Coding::Implicit, Coding::Explicit] {
                let _ = read(&data, coding);
            }
            for item in items(&data) {
                let _ = item;
            }
            let file = [&[0; 128][..], MAGIC, &data].concat();
            if let Ok(parts) = parts(&file) {
                prop_assert_eq!(parts.meta.len() + parts.data.len(), data.len());
            }
        }
    }
}
