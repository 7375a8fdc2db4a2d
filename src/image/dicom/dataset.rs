//! The elements of a DICOM data set (PS3.5 section 7): where each begins and ends.
//!
//! Nothing is copied, and every length is compared with what is there before anything is done with
//! it. Values stay bytes: few of them are ever looked at.

use super::super::{ImageError, ImageFormat};

/// A length that is not known: delimiters end the value.
const UNDEFINED: u32 = u32::MAX;
/// Sequences within sequences that are followed.
const MAX_DEPTH: usize = 16;

pub(super) const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// The group and the number of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag(pub(super) u16, pub(super) u16);

/// How the headers of a data set's elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Tag and length, little-endian.
    Implicit,
    /// Tag, kind of the value, length, little-endian.
    Explicit,
    /// The same, and all values, big-endian.
    BigEndian,
}

impl Coding {
    /// Whether an element says the kind of its value.
    pub(super) fn has_kinds(self) -> bool {
        self != Coding::Implicit
    }

    pub(super) fn short(self, bytes: [u8; 2]) -> u16 {
        match self {
            Coding::BigEndian => u16::from_be_bytes(bytes),
            _ => u16::from_le_bytes(bytes),
        }
    }

    pub(super) fn word(self, bytes: [u8; 4]) -> u32 {
        match self {
            Coding::BigEndian => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        }
    }

    pub(super) fn short_bytes(self, value: u16) -> [u8; 2] {
        match self {
            Coding::BigEndian => value.to_be_bytes(),
            _ => value.to_le_bytes(),
        }
    }

    pub(super) fn word_bytes(self, value: u32) -> [u8; 4] {
        match self {
            Coding::BigEndian => value.to_be_bytes(),
            _ => value.to_le_bytes(),
        }
    }

    /// The four bytes of a tag.
    pub(super) fn tag_bytes(self, tag: Tag) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.short_bytes(tag.0), self.short_bytes(tag.1));
        [a, b, c, d]
    }
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
    /// The kind of its value, if it says it.
    pub(super) kind: Option<[u8; 2]>,
    /// All its bytes.
    pub(super) whole: &'a [u8],
    /// Its value, without delimiters.
    pub(super) value: &'a [u8],
    /// Whether the value is a list of items that delimiters end.
    pub(super) items: bool,
}

pub(super) fn damaged(reason: &'static str) -> ImageError {
    ImageError::Header { format: ImageFormat::Dicom, reason }
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
        // Files are padded to whole blocks with zeros, which are no element of a data set.
        let over = || self.last.is_some() && self.rest.iter().all(|&byte| byte == 0);
        if self.rest.is_empty() || self.rest[0] == 0 && over() {
            return None;
        }
        let element = next(&mut self.rest, self.coding, 0).and_then(|element| {
            let before = self.last.replace(element.tag);
            if before.is_none_or(|before| before < element.tag) {
                Ok(element)
            } else {
                Err(damaged("its elements are not in the order of their tags"))
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
        // Only little-endian files hold compressed pictures, whose lists these are.
        let item = (|| match header(&mut rest, Coding::Explicit)? {
            (ITEM, length) if length != UNDEFINED => take(&mut rest, length),
            _ => Err(damaged("a list holds something else than items of known length")),
        })();
        if item.is_err() {
            rest = &[];
        }
        Some(item)
    })
}

/// The items of a sequence, whose lengths are known or not, and how they are written.
pub(super) fn item_list<'a>(
    list: Element<'a>,
    coding: Coding,
) -> Result<Vec<(&'a [u8], Coding)>, ImageError> {
    // What was unknown to a writer is in implicit form.
    let within = if list.kind == Some(*b"UN") { Coding::Implicit } else { coding };
    let (mut rest, mut out) = (list.value, Vec::new());
    while !rest.is_empty() {
        let item = match header(&mut rest, within)? {
            (ITEM, UNDEFINED) => {
                let start = rest;
                while !rest.starts_with(&within.tag_bytes(ITEM_END)) {
                    next(&mut rest, within, 1)?;
                }
                let item = &start[..start.len() - rest.len()];
                header(&mut rest, within)?;
                item
            }
            (ITEM, length) => take(&mut rest, length)?,
            _ => return Err(damaged("a list holds something else than items")),
        };
        out.push((item, within));
    }
    Ok(out)
}

/// The next element, `depth` sequences deep.
pub(super) fn next<'a>(
    rest: &mut &'a [u8],
    coding: Coding,
    depth: usize,
) -> Result<Element<'a>, ImageError> {
    let start = *rest;
    let tag = tag(rest, coding)?;
    if tag.0 == ITEM.0 {
        return Err(damaged("a delimiter stands where an element must"));
    }
    let mut kind = None;
    let (length, within) = match coding {
        Coding::Implicit => (word(rest, coding)?, Coding::Implicit),
        Coding::Explicit | Coding::BigEndian => {
            let letters = *kind.insert(fixed::<2>(rest)?);
            if !letters.iter().all(u8::is_ascii_uppercase) {
                return Err(damaged("the kind of a value is not two capital letters"));
            }
            // What was unknown to a writer is in implicit form.
            let within = if &letters == b"UN" { Coding::Implicit } else { coding };
            if is_long(letters) {
                fixed::<2>(rest)?;
                (word(rest, coding)?, within)
            } else {
                (u32::from(coding.short(fixed(rest)?)), within)
            }
        }
    };
    let items = length == UNDEFINED;
    let value = if items { list(rest, within, depth)? } else { take(rest, length)? };
    Ok(Element { tag, kind, whole: &start[..start.len() - rest.len()], value, items })
}

/// The items of a list that a delimiter ends.
fn list<'a>(rest: &mut &'a [u8], coding: Coding, depth: usize) -> Result<&'a [u8], ImageError> {
    if depth == MAX_DEPTH {
        return Err(damaged("sequences are nested too deeply"));
    }
    let start = *rest;
    loop {
        let value = &start[..start.len() - rest.len()];
        match header(rest, coding)? {
            (SEQUENCE_END, 0) => return Ok(value),
            (ITEM, UNDEFINED) => {
                while !rest.starts_with(&coding.tag_bytes(ITEM_END)) {
                    next(rest, coding, depth + 1)?;
                }
                header(rest, coding)?;
            }
            (ITEM, length) => {
                take(rest, length)?;
            }
            _ => return Err(damaged("a list holds something else than items")),
        }
    }
}

/// Tag and length of an item or delimiter.
fn header(rest: &mut &[u8], coding: Coding) -> Result<(Tag, u32), ImageError> {
    Ok((tag(rest, coding)?, word(rest, coding)?))
}

fn tag(rest: &mut &[u8], coding: Coding) -> Result<Tag, ImageError> {
    let group = coding.short(fixed(rest)?);
    Ok(Tag(group, coding.short(fixed(rest)?)))
}

fn word(rest: &mut &[u8], coding: Coding) -> Result<u32, ImageError> {
    Ok(coding.word(fixed(rest)?))
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

    fn bytes(tag: Tag) -> [u8; 4] {
        Coding::Explicit.tag_bytes(tag)
    }

    fn read(data: &[u8], coding: Coding) -> Result<Vec<(Tag, usize)>, ImageError> {
        elements(data, coding).map(|e| e.map(|e| (e.tag, e.value.len()))).collect()
    }

    /// A sequence of undefined length in a sequence, and so on.
    fn nested(depth: usize) -> Vec<u8> {
        let header = b"\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff";
        let open = [&header[..], &bytes(ITEM), &[255; 4]].concat();
        let close = [&bytes(ITEM_END)[..], &[0; 4], &bytes(SEQUENCE_END), &[0; 4]].concat();
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
        let inside = [&bytes(ITEM)[..], &[255; 4], b"\x08\0\x05\0\x02\0\0\0AB"].concat();
        let ends = [&bytes(ITEM_END)[..], &[0; 4], &bytes(SEQUENCE_END), &[0; 4]].concat();
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
        let data = [&bytes(ITEM)[..], &[0; 4], &bytes(ITEM), &[2, 0, 0, 0], b"ab"].concat();
        let found: Vec<&[u8]> = items(&data).map(Result::unwrap).collect();
        assert_eq!(found, [&b""[..], b"ab"]);
        assert!(items(&data[..17]).any(|item| item.is_err()));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(data: Vec<u8>) {
            for coding in [Coding::Implicit, Coding::Explicit, Coding::BigEndian] {
                let _ = read(&data, coding);
            }
            for item in items(&data) {
                let _ = item;
            }
        }
    }
}
