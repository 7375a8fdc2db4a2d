//! The note that travels with an image, sealed from the gateway to the receiver: what the image's file
//! was, which nobody between them needs to know.

use crate::files::FormatError;
use crate::files::container::envelope::{NOTE_UNIT, OpenFrom, SealTo, open_note, seal_note};
use crate::ids::ImageId;
use crate::ids::codec::SMALL_LIMIT;
use crate::ids::codec::{decode_small, encode_small};
use crate::image::dicom::{Origin, Window};
use crate::image::{Average, Depth, ImageFormat, Orientation, Range, Sketch, Tiling};
use crate::size::Position;
use crate::size::Size;
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

/// One of the three channels of a colour image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Random, the same for the three.
    pub group: ImageId,
    /// 0, 1 or 2: red, green or blue.
    pub index: u8,
}

/// One of the tiles that a larger image was cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Random, the same for all tiles of the image and their channels.
    pub group: ImageId,
    /// The larger image and the cores that it consists of.
    pub tiling: Tiling,
    /// The core that this tile answers for: its row and column among the cores.
    pub place: Position,
    /// Where in the tile that core begins: row and column. What lies around it is its neighbours'.
    pub inset: Position,
}

impl Tile {
    /// Size of the image, size of a core, place, inset.
    fn numbers(&self) -> Option<[u32; 8]> {
        let (size, core) = (self.tiling.size(), self.tiling.core());
        let pairs = [
            (size.height, size.width),
            (core.height, core.width),
            (self.place.row, self.place.column),
            (self.inset.row, self.inset.column),
        ];
        let mut numbers = [0; 8];
        for (to, from) in numbers.iter_mut().zip(pairs.iter().flat_map(|p| [p.0, p.1])) {
            *to = u32::try_from(from).ok()?;
        }
        Some(numbers)
    }

    /// Nothing for cores that no image has, or none of them.
    fn of(group: ImageId, numbers: [u32; 8]) -> Option<Tile> {
        let [height, width, rows, columns, row, column, top, left] = numbers.map(|n| n as usize);
        let tiling = Tiling::new(Size { height, width }, Size::new(rows, columns)).ok()?;
        tiling.rect(Position::new(row, column))?;
        Some(Tile {
            group,
            tiling,
            place: Position::new(row, column),
            inset: Position::new(top, left),
        })
    }
}

/// One of the orientations of a plane, of whose results the mean is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turned {
    /// Random, the same for all orientations of the plane, and no other plane's.
    pub group: ImageId,
    /// How the picture lies that was shared. All else that a note says is of the upright one.
    pub orientation: Orientation,
    /// All of them.
    pub average: Average,
}

impl Turned {
    /// Number of the orientation, how many there are.
    fn numbers(self) -> (u8, u8) {
        (self.orientation.number(), self.average.orientations().len() as u8)
    }

    /// Nothing for an orientation that is not among so many, and for an average of one.
    fn of(group: ImageId, (number, count): (u8, u8)) -> Option<Turned> {
        let orientation = Orientation::of_number(number)?;
        let average = Average::of_count(count.into()).filter(|&all| all != Average::None)?;
        let turned = Turned { group, orientation, average };
        average.orientations().contains(&orientation).then_some(turned)
    }
}

/// Which DICOM object was shared, and how its values became grey levels.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedScan {
    /// The object, in whose header alone the result belongs.
    pub origin: Origin,
    /// The window, as it was asked for.
    pub window: Option<Window>,
}

/// A [`SharedScan`] as it is written: study, series, instance, digest; the window, none for that of the file.
type ScanFields = ([String; 3], [u8; Origin::DIGEST], Option<Option<(f64, f64)>>);

impl SharedScan {
    fn fields(&self) -> ScanFields {
        let Origin { study, series, instance, header } = self.origin.clone();
        let window = self.window.map(|window| match window {
            Window::OfFile => None,
            Window::Around { center, width } => Some((center, width)),
        });
        ([study, series, instance], header, window)
    }

    /// Nothing for UIDs that are none, and for a window that none could ask for.
    fn of(fields: ScanFields) -> Option<SharedScan> {
        let ([study, series, instance], header, window) = fields;
        let window = window.map(|window| match window {
            None => Window::OfFile,
            Some((center, width)) => Window::Around { center, width },
        });
        let sound = window.is_none_or(Window::is_sound);
        let origin = Origin { study, series, instance, header };
        (sound && origin.is_sound()).then_some(SharedScan { origin, window })
    }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note(name: &str, headers: usize) -> Note {
        let group = ImageId::from_bytes([9; 16]);
        let channel = Some(Channel { group, index: 2 });
        let (format, depth) = (ImageFormat::Tiff, Depth::Sixteen);
        let headers = vec![5; headers];
        let sketch = sketch(Size::new(64, 64));
        let (range, scan) = (Range::new(-1.0, 1.0), Some(scan(64)));
        Note {
            name: name.into(),
            format,
            depth,
            range,
            channel,
            tile: tile(),
            turned: turned(),
            sketch,
            scan,
            headers,
        }
    }

    /// With UIDs of so many characters.
    fn scan(uid: usize) -> SharedScan {
        let [study, series, instance] = ["1", "2", "3"].map(|digit| digit.repeat(uid));
        let window = Some(Window::Around { center: -123.456_789, width: 1e300 });
        SharedScan { origin: Origin { study, series, instance, header: [0xff; 32] }, window }
    }

    fn sketch(size: Size) -> Sketch {
        Sketch::of(size, vec![3.0; size.pixels()], 25.0, [1; 32])
    }

    fn tile() -> Option<Tile> {
        let tiling = Tiling::new(Size::new(200_000, 100_000), Size::square(1024)).unwrap();
        let group = ImageId::from_bytes([9; 16]);
        Some(Tile {
            group,
            tiling,
            place: Position::new(195, 97),
            inset: Position::new(997, 1 << 31),
        })
    }

    fn turned() -> Option<Turned> {
        Turned::of(ImageId::from_bytes([8; 16]), (6, 8))
    }

    #[test]
    fn orientations_that_no_average_has_are_refused() {
        let group = ImageId::from_bytes([8; 16]);
        assert_eq!(turned().map(Turned::numbers), Some((6, 8)));
        for numbers in [(3, 2), (4, 4), (8, 8), (1, 2)] {
            assert_eq!(Turned::of(group, numbers).map(Turned::numbers), Some(numbers));
        }
        for numbers in [(1, 1), (2, 2), (5, 4), (0, 8), (9, 8), (1, 3), (1, 0)] {
            assert_eq!(Turned::of(group, numbers), None, "{numbers:?}");
        }
    }

    #[test]
    fn a_note_says_what_was_said_and_its_length_nothing() {
        for name in ["", "a", "Jürgen Müller 1961-02-03.tif", &"x".repeat(255)] {
            let bytes = note(name, 0).padded().unwrap();
            assert_eq!(
                bytes.len(),
                NOTE_UNIT + padded_length(Sketch::bytes(Size::new(64, 64))),
                "the same for every name"
            );
            assert!(Note::from_padded(&bytes) == Some(note(name, 0)));
            let windows =
                [None, Some(Window::OfFile)].map(|window| SharedScan { window, ..scan(9) });
            for scan in windows.map(Some).into_iter().chain([None, Some(scan(0))]) {
                let mut other = note(name, 0);
                other.scan = scan;
                let bytes = other.padded().unwrap();
                assert_eq!(
                    bytes.len(),
                    NOTE_UNIT + padded_length(Sketch::bytes(Size::new(64, 64))),
                    "the same for every object"
                );
                assert!(Note::from_padded(&bytes) == Some(other));
            }
        }
        let longest = note(&"x".repeat(255), Note::MAX_HEADERS).padded().unwrap();
        assert!(Note::from_padded(&longest).unwrap().headers.len() == Note::MAX_HEADERS);
        assert!(note("a", Note::MAX_HEADERS + 1).padded().is_err());
        assert!(note(&"x".repeat(256), 0).padded().is_err());
        let mut picture = note("a", 0);
        picture.sketch = sketch(Size::new(512, 512));
        assert_eq!(
            picture.padded().unwrap().len(),
            NOTE_UNIT + padded_length(Sketch::bytes(Size::new(512, 512)))
        );
        assert_eq!(format!("{:?}", note("Miller", 3)), "Note(..)");
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for bad in ["../x.png", "/etc/passwd", "a\\b", ".", "..", "a\nb", "a\0"] {
            assert!(!is_base_name(bad));
            let bytes = note(bad, 0).padded().unwrap();
            assert!(Note::from_padded(&bytes).is_none(), "{bad:?}");
        }
        let mut wrong = note("a", 0);
        wrong.tile = None;
        wrong.channel = Some(Channel { group: ImageId::from_bytes([1; 16]), index: 3 });
        assert!(Note::from_padded(&wrong.padded().unwrap()).is_none());
    }

    #[test]
    fn objects_and_windows_that_cannot_be_are_refused() {
        let refused = |change: &dyn Fn(&mut SharedScan)| {
            let (mut note, mut bad) = (note("a", 0), scan(9));
            change(&mut bad);
            note.scan = Some(bad);
            Note::from_padded(&note.padded().unwrap()).is_none()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|scan| scan.origin.study = "2.25.x".into()));
        assert!(refused(&|scan| scan.origin.series = "1".repeat(65)));
        for (center, width) in [(f64::NAN, 9.0), (1.0, f64::INFINITY), (1.0, 0.0), (1.0, -4.0)] {
            assert!(refused(&|scan| scan.window = Some(Window::Around { center, width })));
        }
    }

    #[test]
    fn tiles_of_no_image_are_refused() {
        let tile = tile().unwrap();
        let good = tile.numbers().unwrap();
        assert_eq!(Tile::of(tile.group, good), Some(tile));
        for (at, value) in [
            (0, 0),
            (1, u32::MAX),
            (0, u32::MAX),
            (2, 0),
            (3, 0),
            (2, 200_001),
            (3, 1),
            (4, 196),
            (5, 98),
            (5, u32::MAX),
        ] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(Tile::of(tile.group, bad), None, "number {at} = {value}");
        }
        // The channels of a tile are in its group.
        let mut other = note("a", 0);
        other.channel = Some(Channel { group: ImageId::from_bytes([8; 16]), index: 0 });
        assert!(Note::from_padded(&other.padded().unwrap()).is_none());
        let mut plain = note("a", 0);
        (plain.tile, plain.channel) = (None, None);
        assert!(Note::from_padded(&plain.padded().unwrap()) == Some(plain));
    }

    proptest! {
        /// What is read is a tile of an image, with every number in its place.
        #[test]
        fn numbers_of_a_tile_are_checked(
            numbers in proptest::array::uniform8(prop_oneof![0u32..9, any::<u32>()]),
        ) {
            if let Some(tile) = Tile::of(ImageId::from_bytes([1; 16]), numbers) {
                prop_assert_eq!(tile.numbers(), Some(numbers));
                let core = tile.tiling.rect(tile.place).unwrap();
                let Size { height, width } = tile.tiling.size();
                prop_assert!(core.is_inside(height, width));
            }
        }

        #[test]
        fn arbitrary_bytes_are_a_note_or_refused(mut bytes: Vec<u8>, at: usize, byte: u8) {
            let _ = Note::from_padded(&bytes);
            let length = (bytes.len() as u32).to_le_bytes();
            bytes.splice(0..0, length);
            let _ = Note::from_padded(&bytes);
            let mut damaged = note("name.tif", 9).padded().unwrap();
            let at = at % damaged.len();
            damaged[at] = byte;
            let _ = Note::from_padded(&damaged);
        }
    }
}
