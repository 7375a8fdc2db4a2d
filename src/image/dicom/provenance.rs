//! What a derived object says of itself: a new object, of a series of its own, made from which one, how and when.

use super::super::ImageError;
use super::changes::{Changed, Changes, item};
use super::dataset::{Coding, Tag};
use super::file::File;
use super::{CLASS, MAX_UID, text};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
const CREATED_ON: Tag = Tag(0x0008, 0x0012);
const CREATED_AT: Tag = Tag(0x0008, 0x0013);
const CREATOR: Tag = Tag(0x0008, 0x0014);
const INSTANCE: Tag = Tag(0x0008, 0x0018);
/// Of all times of the object from Greenwich, as +0100.
const OFFSET: Tag = Tag(0x0008, 0x0201);
const SERIES_TEXT: Tag = Tag(0x0008, 0x103e);
const DERIVATION: Tag = Tag(0x0008, 0x2111);
const SOURCES: Tag = Tag(0x0008, 0x2112);
const DERIVATION_CODE: Tag = Tag(0x0008, 0x9215);
const SERIES: Tag = Tag(0x0020, 0x000e);
const SERIES_NUMBER: Tag = Tag(0x0020, 0x0011);
/// Of items.
const CODE: Tag = Tag(0x0008, 0x0100);
const CODE_SCHEME: Tag = Tag(0x0008, 0x0102);
const CODE_MEANING: Tag = Tag(0x0008, 0x0104);
const SOURCE_CLASS: Tag = Tag(0x0008, 0x1150);
const SOURCE_INSTANCE: Tag = Tag(0x0008, 0x1155);
const PURPOSE: Tag = Tag(0x0040, 0xa170);

/// Characters of an image's kinds that are kept.
const MAX_KINDS: usize = 1024;
/// Characters of a series' description.
const MAX_TEXT: usize = 64;
/// Behind the description of the original series, and in the place of none.
const SUFFIX: &[u8] = b" (denoised)";
const NO_TEXT: &[u8] = b"Denoised";
/// The series has the original's number and so much, and this number if that has none.
const NUMBERS_ON: i32 = 7000;
/// This writer, in every file that it writes.
pub(super) const WRITER: &str = "2.25.85850862515662283785354040832616713955";

/// How the picture came about. Of the codes for derivations (CID 7203) none is meant for noise; the nearest, 113087,
/// is smoothing, which says something else. So the code is one of our own, as PS3.3 section 8.2 allows.
const HOW: [&str; 3] = ["DENOISED", "99PPDENOISE", "Noise reduction by a neural network"];
/// What the original is to it (CID 7202).
const WHY: [&str; 3] = ["121322", "DCM", "Source image for image processing operation"];

/// What makes an object a new one.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// 16 random bytes, for its UID.
    pub random: [u8; 16],
    /// When it is made.
    pub made: Zoned,
}

impl Fresh {
    /// Made so many seconds after 1970 began, told in UTC.
    pub fn of_utc(random: [u8; 16], seconds: i64) -> Fresh {
        let made = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        Fresh { random, made: made.to_zoned(TimeZone::UTC) }
    }
}

/// What a derived object changes of its original's identity: `text` says how it was made. Gives its UID.
pub(super) fn provenance(
    file: &File<'_>,
    fresh: &Fresh,
    text: String,
    changes: &mut Changes,
) -> Result<String, ImageError> {
    let coding = file.coding();
    let instance = uid(fresh.random);
    // What the original was made from is not what this is.
    changes.insert(SOURCES, None);
    let mut change = |tag, kind: &[u8; 2], value: &[u8]| {
        changes.insert(tag, Changed::new(kind, value));
    };
    let kinds = said(file, IMAGE_TYPE, MAX_KINDS)?;
    let kinds = kinds.and_then(|kinds| kinds.split_once('\\')).map(|(_, rest)| rest);
    let kinds = format!("DERIVED\\{}", kinds.unwrap_or("PRIMARY"));
    change(IMAGE_TYPE, b"CS", kinds.as_bytes());
    change(INSTANCE, b"UI", instance.as_bytes());
    let made = moment(file, &fresh.made)?;
    change(CREATED_ON, b"DA", made.strftime("%Y%m%d").to_string().as_bytes());
    change(CREATED_AT, b"TM", made.strftime("%H%M%S").to_string().as_bytes());
    change(CREATOR, b"UI", WRITER.as_bytes());
    change(DERIVATION, b"ST", text.as_bytes());
    change(DERIVATION_CODE, b"SQ", &code(coding, HOW));
    let original = said(file, CLASS, MAX_UID)?.zip(said(file, INSTANCE, MAX_UID)?);
    if let Some((class, instance)) = original {
        let source = [
            (SOURCE_CLASS, b"UI", class.as_bytes()),
            (SOURCE_INSTANCE, b"UI", instance.as_bytes()),
            (PURPOSE, b"SQ", &code(coding, WHY)),
        ];
        change(SOURCES, b"SQ", &item(coding, &source));
    }
    if let Some(series) = said(file, SERIES, MAX_UID)? {
        let key = blake3::derive_key("ppdenoise series of denoised pictures v1", series.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&key[..16]);
        change(SERIES, b"UI", uid(bytes).as_bytes());
    }
    let number = said(file, SERIES_NUMBER, MAX_TEXT)?.and_then(|text| text.parse().ok());
    let number = number.and_then(|n: i32| n.checked_add(NUMBERS_ON)).unwrap_or(NUMBERS_ON);
    change(SERIES_NUMBER, b"IS", number.to_string().as_bytes());
    let before = file.find(SERIES_TEXT)?.map_or(&[][..], |element| element.value);
    change(SERIES_TEXT, b"LO", &series_text(before));
    Ok(instance)
}

/// A short text of a file.
fn said<'a>(file: &'a File<'_>, tag: Tag, most: usize) -> Result<Option<&'a str>, ImageError> {
    Ok(file.find(tag)?.and_then(text).filter(|text| text.len() <= most))
}

/// The description of the series. Its characters may be of any set, all of which contain ASCII; text of several
/// bytes a character is not cut.
fn series_text(before: &[u8]) -> Vec<u8> {
    // Some writers fill it up with zeros.
    let end = before.iter().position(|&byte| byte == 0).unwrap_or(before.len());
    let before = before[..end].trim_ascii();
    let room = MAX_TEXT - SUFFIX.len();
    match before {
        [] => NO_TEXT.to_vec(),
        _ if before.len() <= room => [before, SUFFIX].concat(),
        _ if before.is_ascii() && !before.contains(&0x1b) => {
            [before[..room].trim_ascii_end(), SUFFIX].concat()
        }
        _ => NO_TEXT.to_vec(),
    }
}

/// When an object is made, by the clock that its other times are of.
fn moment(file: &File<'_>, made: &Zoned) -> Result<Zoned, ImageError> {
    let offset = said(file, OFFSET, 16)?.and_then(offset);
    Ok(match offset {
        Some(offset) => made.with_time_zone(TimeZone::fixed(offset)),
        None => made.clone(),
    })
}

/// `+0100` and the like.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let number = |part: &str| part.parse::<i32>().ok();
    let all = digits.len() == 4 && digits.bytes().all(|c| c.is_ascii_digit());
    let (hours, minutes) = digits.split_at_checked(2).filter(|_| all)?;
    let seconds = number(hours)? * 3600 + number(minutes)? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

/// An item with a code: value, scheme, meaning.
fn code(coding: Coding, [value, scheme, meaning]: [&str; 3]) -> Vec<u8> {
    let entries = [
        (CODE, b"SH", value.as_bytes()),
        (CODE_SCHEME, b"SH", scheme.as_bytes()),
        (CODE_MEANING, b"LO", meaning.as_bytes()),
    ];
    item(coding, &entries)
}

/// A UID from a UUID of 16 random bytes (PS3.5 B.2).
fn uid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_a_series_fits() {
        let said = |before: &[u8]| String::from_utf8(series_text(before)).unwrap();
        assert_eq!(said(b""), "Denoised");
        assert_eq!(said(b"CT HEAD 3.0"), "CT HEAD 3.0 (denoised)");
        assert_eq!(said(b" ABCDEFG\0"), "ABCDEFG (denoised)");
        assert_eq!(said(&[b'a'; 53]).len(), MAX_TEXT);
        assert_eq!(said(&[b'a'; 64]), format!("{} (denoised)", "a".repeat(53)));
        // Half a character is none, and escape sequences come in pairs.
        assert_eq!(said("ä".repeat(32).as_bytes()), "Denoised");
        assert_eq!(said(&[b"\x1b$B".as_slice(), &[b'0'; 60]].concat()), "Denoised");
    }

    #[test]
    fn offsets_are_hours_and_minutes() {
        let seconds = |text| offset(text).map(Offset::seconds);
        assert_eq!(seconds("+0530"), Some(19_800));
        assert_eq!(seconds("-0130"), Some(-5_400));
        for bad in ["", "+", "0100", "+1", "+01:0", "+-1+1", "+9900", "ä100"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
