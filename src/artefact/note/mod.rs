//! The note that travels with an image, sealed from the gateway to the receiver: what the image's file
//! was, which nobody between them needs to know.

mod parts;
mod scan;

pub(crate) use parts::{Channel, Tile, Turned};
pub(crate) use scan::SharedScan;

use crate::files::FormatError;
use crate::files::container::envelope::{NOTE_UNIT, OpenFrom, SealTo, open_note, seal_note};
use crate::ids::ImageId;
use crate::ids::codec::SMALL_LIMIT;
use crate::ids::codec::{decode_small, encode_small};
use crate::image::dicom::Origin;
use crate::image::{Depth, ImageFormat, Range, Sketch};
use scan::ScanFields;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// What an image's file was. Opaque in `Debug`: names of files name patients.
#[derive(Clone, PartialEq)]
pub struct Note {
    /// The file's name without its folders; empty for an image that had none.
    pub name: String,
    /// The file's format.
    pub format: ImageFormat,
    /// How finely the file stored its levels.
    pub depth: Depth,
    /// Which of the file's values are black and white, where that is no matter of the depth alone.
    pub range: Option<Range>,
    /// Which channel of which colour image this is, if it is one.
    pub channel: Option<Channel>,
    /// Which tile of which larger image this is, if it is one.
    pub tile: Option<Tile>,
    /// Which of the orientations of a plane this is, if their results are averaged.
    pub turned: Option<Turned>,
    /// A sketch of the noisy picture, by which the receiver judges what was taken away.
    pub sketch: Sketch,
    /// Which DICOM object this was, if its file was one.
    pub scan: Option<SharedScan>,
    /// What the file's format says beside the pixels, opaque here; at most [`Note::MAX_HEADERS`].
    pub headers: Vec<u8>,
}

/// Why a note cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Other keys, another image, or other bytes.
    #[error("the note was sealed with other keys, or it is damaged or forged")]
    NotAuthentic,
    /// Its maker wrote what no reader takes.
    #[error("the note does not say what a note says")]
    Malformed,
}

/// Name, extension of the format, bits of the depth (0 for floats), the values that are black and white, channel,
/// tile, orientation, headers, DICOM object.
type Fields = (
    String,
    String,
    u8,
    Option<(f64, f64)>,
    Option<(Group, u8)>,
    Option<(Group, [u32; 8])>,
    Option<(Group, (u8, u8))>,
    Vec<u8>,
    Option<ScanFields>,
);
type Group = [u8; ImageId::LEN];

impl Note {
    /// Whether its result makes an image only together with others.
    pub fn is_part(&self) -> bool {
        self.turned.is_some() || self.group().is_some()
    }

    /// What the image has in common with the other tiles and channels of the picture that it is a part of.
    pub fn group(&self) -> Option<ImageId> {
        self.tile.map(|tile| tile.group).or(self.channel.map(|channel| channel.group))
    }

    /// The most bytes of a file's name.
    pub const MAX_NAME: usize = 255;
    /// The most bytes of headers.
    pub const MAX_HEADERS: usize = 62 << 10;

    /// Seals the note for an image. Every note without headers of an image of one size is of one length.
    ///
    /// # Errors
    /// As [`seal_note`]; [`FormatError::NoteTooLong`] beyond the limits.
    pub fn seal(&self, keys: SealTo<'_>, image: ImageId) -> Result<Vec<u8>, FormatError> {
        seal_note(keys, image, self.padded()?)
    }

    /// Opens what [`Note::seal`] made for this image.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(keys: OpenFrom<'_>, image: ImageId, sealed: &[u8]) -> Result<Note, NoteError> {
        let bytes = open_note(keys, image, sealed).ok_or(NoteError::NotAuthentic)?;
        Note::from_padded(&bytes).ok_or(NoteError::Malformed)
    }

    /// Length of the fields (u32), the fields, zeros up to a [`NOTE_UNIT`]; then the sketch in the same way.
    fn padded(&self) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        if self.name.len() > Note::MAX_NAME || self.headers.len() > Note::MAX_HEADERS {
            return Err(FormatError::NoteTooLong { limit: Note::MAX_HEADERS });
        }
        let too_long = || FormatError::NoteTooLong { limit: Note::MAX_HEADERS };
        let channel = self.channel.map(|c| (*c.group.as_bytes(), c.index));
        let tile = match &self.tile {
            Some(tile) => Some((*tile.group.as_bytes(), tile.numbers().ok_or_else(too_long)?)),
            None => None,
        };
        let turned = self.turned.map(|turned| (*turned.group.as_bytes(), turned.numbers()));
        let (name, headers) = (self.name.as_str(), self.headers.as_slice());
        let scan = self.scan.as_ref().map(SharedScan::fields);
        let (depth, range) = (bits(self.depth), self.range.map(Range::ends));
        let format = self.format.extension();
        let fields = (name, format, depth, range, channel, tile, turned, headers, scan);
        let fields = Zeroizing::new(encode_small(&fields).map_err(|_| too_long())?);
        let sketch = Zeroizing::new(self.sketch.to_bytes());
        let length = padded_length(fields.len()) + padded_length(sketch.len());
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for part in [&fields, &sketch] {
            let end = bytes.len() + padded_length(part.len());
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
            bytes.resize(end, 0);
        }
        Ok(bytes)
    }

    /// A note as it is before sealing; nothing for what is none. Takes at most 64 KiB of memory and as much as
    /// there are bytes.
    pub fn from_padded(bytes: &[u8]) -> Option<Note> {
        let (fields, rest) = split_part(bytes)?;
        let (sketch, rest) = split_part(rest)?;
        if fields.len() > SMALL_LIMIT || !rest.is_empty() {
            return None;
        }
        let (name, extension, bits, range, channel, tile, turned, headers, scan) =
            decode_small::<Fields>(fields).ok()?;
        let tile = match tile {
            Some((group, numbers)) => Some(Tile::of(ImageId::from_bytes(group), numbers)?),
            None => None,
        };
        let turned = match turned {
            Some((group, numbers)) => Some(Turned::of(ImageId::from_bytes(group), numbers)?),
            None => None,
        };
        let scan = match scan {
            Some(fields) => Some(SharedScan::of(fields)?),
            None => None,
        };
        let depth = [Depth::Eight, Depth::Sixteen, Depth::Float];
        let note = Note {
            format: ImageFormat::from_extension(&extension).ok()?,
            depth: depth.into_iter().find(|&depth| self::bits(depth) == bits)?,
            range: match range {
                Some((black, white)) => Some(Range::new(black, white)?),
                None => None,
            },
            channel: channel
                .map(|(group, index)| Channel { group: ImageId::from_bytes(group), index }),
            tile,
            turned,
            scan,
            name,
            headers,
            sketch: Sketch::from_bytes(sketch)?,
        };
        let channel = note.channel.is_none_or(|channel| channel.index < 3);
        let group = |tile: Tile| note.channel.is_none_or(|channel| channel.group == tile.group);
        let channel = channel && note.tile.is_none_or(group);
        let name = note.name.is_empty() || is_base_name(&note.name);
        (channel && name && note.headers.len() <= Note::MAX_HEADERS).then_some(note)
    }
}

/// Bytes of a part of so many bytes with its length and zeros.
fn padded_length(bytes: usize) -> usize {
    (size_of::<u32>() + bytes).next_multiple_of(NOTE_UNIT)
}

/// The first part of a note, and what comes behind its zeros.
fn split_part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > rest.len() {
        return None;
    }
    Some((&rest[..length], bytes.get(padded_length(length)..)?))
}

fn bits(depth: Depth) -> u8 {
    match depth {
        Depth::Eight => 8,
        Depth::Sixteen => 16,
        Depth::Float => 0,
    }
}

/// Whether a file may get this name in a folder of the receiver's choice, and nowhere else.
pub fn is_base_name(name: &str) -> bool {
    let plain = |c: char| c != '/' && c != '\\' && !c.is_control();
    let length = 1..=Note::MAX_NAME;
    length.contains(&name.len()) && name != "." && name != ".." && name.chars().all(plain)
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Note(..)")
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        self.name.zeroize();
        self.headers.zeroize();
        if let Some(SharedScan { origin, .. }) = &mut self.scan {
            let Origin { study, series, instance, header } = origin;
            [study, series, instance].into_iter().for_each(String::zeroize);
            header.zeroize();
        }
    }
}

impl zeroize::ZeroizeOnDrop for Note {}

#[cfg(test)]
mod tests;
