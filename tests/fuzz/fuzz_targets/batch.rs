//! What a batch adds: notes to the receiver below their seal, and a server's list of its images.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise_base::size::Size;
use ppdenoise::internals::artefact::{Note, is_base_name};
use ppdenoise_base::ids::{ImageId, SessionId};
use ppdenoise::internals::roles::server::ImageList;
use ppdenoise_fuzz::{memory::bounded, seeds};

fuzz_target!(init: seeds(inputs), |data: &[u8]| {
    let Some((&how, bytes)) = data.split_first() else { return };
    let bound = (256 << 10) + 8 * data.len();
    if how % 2 == 0 {
        let length = (bytes.len() as u32).to_le_bytes();
        let padded = [&length[..], bytes].concat();
        if let Some(note) = bounded(bound, || Note::from_padded(&padded)) {
            assert!(note.name.is_empty() || is_base_name(&note.name));
            assert!(!note.name.contains('/') && note.headers.len() <= Note::MAX_HEADERS);
            if let Some(tile) = note.tile {
                let Size { height, width } = tile.tiling.size();
                assert!(tile.tiling.rect(tile.place).is_some_and(|r| r.is_inside(height, width)));
            }
        }
    } else if let Some(list) = bounded(bound, || ImageList::from_bytes(bytes)) {
        assert_eq!(list.to_bytes(), bytes);
    }
});

fn inputs() -> Vec<Vec<u8>> {
    // A name, the format's extension, bits, a channel, no tile, no headers.
    let begin = [&[0, 5][..], b"a.png", &[3], b"png", &[16]].concat();
    let note = [&begin[..], &[1], &[7; 16], &[2, 0, 0]].concat();
    // A tile: sides of the image and of a core, place, inset.
    let tile = [&begin[..], &[0, 1], &[7; 16], &[90, 80, 20, 20, 4, 3, 9, 8], &[0]].concat();
    let session = Some(SessionId::from_bytes([9; 16]));
    let images = [1, 2].map(|id| (ImageId::from_bytes([id; 16]), session));
    let list = ImageList { images: images.into(), last: true, exact: false };
    vec![note, tile, [&[1][..], &list.to_bytes()].concat()]
}
