//! What a DICOM file is made of (PS3.10 section 7): a preamble, the elements that say how it is
//! written, and the data set; the first two are missing in files of old writers.

use super::super::{ImageError, ImageFormat};
use super::dataset::{Coding, Element, Tag, damaged, elements, is_long, next};
use super::syntax::Syntax;
use super::{SYNTAX, text};
use crate::read::plausible::MAX_INFLATION;
use std::borrow::Cow;
use std::io::Read;

/// Bytes before the magic word, and the word.
const PREAMBLE: usize = 128;
const MAGIC: &[u8] = b"DICM";
/// The most that a deflated data set may be: the largest image with 32 bits a sample.
const MAX_INFLATED: u64 = 1 << 30;

/// A file in its parts.
pub(super) struct File<'a> {
    pub(super) syntax: Syntax,
    /// The elements of group 2.
    pub(super) meta: &'a [u8],
    /// All others, inflated.
    pub(super) data: Cow<'a, [u8]>,
}

/// Whether bytes begin like a DICOM file, by the word that is at byte 128 whatever precedes it.
pub(in super::super) fn has_signature(bytes: &[u8]) -> bool {
    bytes.get(PREAMBLE..PREAMBLE + MAGIC.len()) == Some(MAGIC)
}

/// Whether bytes begin like a data set that nothing precedes.
pub(in super::super) fn has_elements(bytes: &[u8]) -> bool {
    match bytes {
        [2, 0, number, 0 | 1, b'U' | b'O', kind, ..] => {
            *number <= 0x18 && matches!(kind, b'L' | b'I' | b'B')
        }
        _ => guess(bytes).is_some(),
    }
}

/// The coding of a data set by its first element, of group 8.
fn guess(data: &[u8]) -> Option<Coding> {
    let (&[a, b, c, d, e, f], rest) = data.split_first_chunk::<6>()?;
    let kind = |kind: [u8; 2]| KINDS.contains(&&kind) || is_long(kind);
    let small = |number: [u8; 2], coding: Coding| coding.short(number) <= 0x0100;
    match ([a, b], [e, f]) {
        ([8, 0], letters) if kind(letters) => {
            small([c, d], Coding::Explicit).then_some(Coding::Explicit)
        }
        ([0, 8], letters) if kind(letters) => {
            small([c, d], Coding::BigEndian).then_some(Coding::BigEndian)
        }
        // A length of two bytes more, of text or of a number.
        ([8, 0], _) if small([c, d], Coding::Implicit) => {
            let length = u32::from_le_bytes([e, f, *rest.first()?, *rest.get(1)?]);
            (length <= 1024 && length % 2 == 0).then_some(Coding::Implicit)
        }
        _ => None,
    }
}

/// Kinds of values with a length of two bytes that an element of group 8 may have.
const KINDS: [&[u8; 2]; 12] =
    [b"AE", b"CS", b"DA", b"DT", b"LO", b"PN", b"SH", b"ST", b"TM", b"UI", b"UL", b"US"];

impl<'a> File<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<File<'a>, ImageError> {
        let body = if has_signature(bytes) {
            &bytes[PREAMBLE + MAGIC.len()..]
        } else if has_elements(bytes) {
            bytes
        } else {
            return Err(ImageError::Signature { format: ImageFormat::Dicom });
        };
        let mut rest = body;
        while rest.starts_with(&[2, 0]) {
            let element = next(&mut rest, Coding::Explicit, 0)?;
            if element.items {
                return Err(damaged("an element of group 2 has no length"));
            }
        }
        let (meta, data) = body.split_at(body.len() - rest.len());
        let mut named: Option<Element<'_>> = None;
        for element in elements(meta, Coding::Explicit) {
            named = Some(element?).filter(|e| e.tag == SYNTAX).or(named);
        }
        let syntax = match named.and_then(text) {
            Some(uid) => {
                let named = Syntax::from_uid(uid)?;
                // Some writers leave the kinds of values away and say that they are there.
                match guess(data) {
                    Some(Coding::Implicit) if !named.is_deflated() => named.without_kinds(),
                    _ => named,
                }
            }
            None => guess(data)
                .map(Syntax::plain)
                .ok_or(damaged("it does not say how it is written (transfer syntax)"))?,
        };
        let data =
            if syntax.is_deflated() { Cow::Owned(inflated(data)?) } else { Cow::Borrowed(data) };
        Ok(File { syntax, meta, data })
    }

    pub(super) fn coding(&self) -> Coding {
        self.syntax.coding()
    }

    /// The first element of the data set with a tag.
    pub(super) fn find(&self, tag: Tag) -> Result<Option<Element<'_>>, ImageError> {
        find(&self.data, self.coding(), tag)
    }
}

/// The first element with a tag.
pub(super) fn find(
    data: &[u8],
    coding: Coding,
    tag: Tag,
) -> Result<Option<Element<'_>>, ImageError> {
    elements(data, coding).find(|e| e.as_ref().map_or(true, |e| e.tag == tag)).transpose()
}

/// PS3.5 A.5: deflate without a header, a byte of padding behind it.
fn inflated(data: &[u8]) -> Result<Vec<u8>, ImageError> {
    let most = (data.len() as u64).saturating_mul(MAX_INFLATION).min(MAX_INFLATED);
    let mut out = Vec::new();
    let read = flate2::bufread::DeflateDecoder::new(data).take(most + 1).read_to_end(&mut out);
    match read {
        Ok(length) if length as u64 <= most => Ok(out),
        _ => Err(damaged("its deflated data set cannot be inflated")),
    }
}
