//! Which object a file is: what binds a denoised picture to the header that it came with.

use super::super::ImageError;
use super::dataset::{Tag, elements};
use super::file::File;
use super::{MAX_UID, text};
use std::fmt;

const INSTANCE: Tag = Tag(0x0008, 0x0018);
const STUDY: Tag = Tag(0x0020, 0x000d);
const SERIES: Tag = Tag(0x0020, 0x000e);
/// Pixels, tables of where they lie, and padding at the end.
const PIXEL_GROUP: u16 = 0x7fe0;
const PADDING_GROUP: u16 = 0xfffc;

/// Which DICOM object a file is.
///
/// The digest is over the data set without pixels: two files may name one instance and not be one, since UIDs are
/// written by hand, copied and forgotten. `Debug` shows the UIDs alone: who guesses a header could try it on the digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The study's UID; empty if the file has none.
    pub study: String,
    /// The series' UID; empty if the file has none.
    pub series: String,
    /// The object's UID; empty if the file has none.
    pub instance: String,
    /// BLAKE3 of the data set without pixels.
    pub header: [u8; Origin::DIGEST],
}

impl Origin {
    /// Bytes of a digest.
    pub const DIGEST: usize = 32;

    /// Which object the file of these bytes is.
    ///
    /// # Errors
    /// [`ImageError`] for what is no DICOM file, or a damaged one.
    pub fn of(bytes: &[u8]) -> Result<Origin, ImageError> {
        let file = File::open(bytes)?;
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise header of a DICOM object v1");
        let mut uids = [(STUDY, ""), (SERIES, ""), (INSTANCE, "")];
        for element in elements(&file.data, file.coding()) {
            let element = element?;
            // Lengths of groups are left out by many writers, and by this one.
            let counted = element.tag.1 != 0
                && element.tag.0 != PIXEL_GROUP
                && element.tag.0 != PADDING_GROUP;
            if counted {
                // A whole element says its tag; its length keeps it apart from the next.
                hasher.update(&(element.whole.len() as u64).to_le_bytes());
                hasher.update(element.whole);
            }
            for (tag, uid) in &mut uids {
                if *tag == element.tag {
                    *uid = text(element).filter(|uid| is_uid(uid)).unwrap_or("");
                }
            }
        }
        let [study, series, instance] = uids.map(|(_, uid)| uid.to_owned());
        Ok(Origin { study, series, instance, header: *hasher.finalize().as_bytes() })
    }

    /// Whether its UIDs may be shown and kept.
    pub fn is_sound(&self) -> bool {
        [&self.study, &self.series, &self.instance]
            .into_iter()
            .all(|uid| uid.is_empty() || is_uid(uid))
    }
}

/// PS3.5 section 9.1: what may be shown, for it holds nothing but numbers.
fn is_uid(text: &str) -> bool {
    (1..=MAX_UID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |uid: &String| if uid.is_empty() { "without UID".into() } else { uid.clone() };
        let [instance, series, study] = [&self.instance, &self.series, &self.study].map(said);
        write!(f, "instance {instance}, series {series}, study {study}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::testing::{EXPLICIT, Entry, SHAPE, picture, words};

    fn file(more: &[Entry<'_>], first: i32) -> Vec<u8> {
        picture(EXPLICIT, &SHAPE, more, &words(&[first, 2, 3, 4, 5, 6]))
    }

    #[test]
    fn an_object_is_its_header() {
        let uids: [Entry<'_>; 4] = [
            ((8, 0x18), b"UI", b"2.25.1"),
            ((0x10, 0x10), b"PN", b"Alpha^Anna"),
            ((0x20, 0xd), b"UI", b"2.25.22\0"),
            ((0x20, 0xe), b"UI", b"2.25.333"),
        ];
        let of = |more: &[Entry<'_>], first| Origin::of(&file(more, first)).unwrap();
        let origin = of(&uids, 1);
        assert_eq!(origin.to_string(), "instance 2.25.1, series 2.25.333, study 2.25.22");
        assert_eq!(origin, of(&uids, 9), "pixels do not count");
        let padded = [&file(&uids, 1)[..], &[0; 512]].concat();
        assert_eq!(origin, Origin::of(&padded).unwrap(), "nor does what follows");
        // UIDs that were copied: another patient is another header.
        let mut other = uids;
        other[1].2 = b"Beta^Bob";
        let other = of(&other, 1);
        assert_eq!(other.to_string(), origin.to_string());
        assert_ne!(other, origin);
        let none = of(&[((8, 0x18), b"UI", b"2.25.\x1b[m")], 1);
        assert_eq!(none.to_string(), "instance without UID, series without UID, study without UID");
        assert_eq!(format!("{origin:?}"), format!("Origin({origin})"), "without the digest");
        assert!(none.is_sound() && !Origin { study: "a\nb".into(), ..none }.is_sound());
    }
}
