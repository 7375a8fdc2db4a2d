//! Notes that say what was said, and those that cannot be.

use super::*;
use crate::image::Tiling;
use crate::image::dicom::Window;
use crate::size::{Position, Size};
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
    Some(Tile { group, tiling, place: Position::new(195, 97), inset: Position::new(997, 1 << 31) })
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
        let windows = [None, Some(Window::OfFile)].map(|window| SharedScan { window, ..scan(9) });
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
