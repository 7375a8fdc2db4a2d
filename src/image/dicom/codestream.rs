//! Whether a JPEG 2000 codestream holds all its tiles (ISO/IEC 15444-1, A.4.2): a decoder leaves those
//! black or grey that are missing, and says nothing.
//!
//! Every tile of the grid occurs, its parts come in order and as many as they say, each is as long as it
//! says, and behind the last is the end. What is within a part is the decoder's: it refuses packets that
//! do not fit their part. Not seen are coded bytes that were overwritten, and parts that are missing at
//! the end of a tile whose parts do not say how many they are.

const SIZ: u8 = 0x51;
const SOT: u8 = 0x90;
const EOC: u8 = 0xd9;
/// The bytes of a part up to the end of its first segment.
const HEAD: usize = 12;
/// More tiles than this have no numbers.
const MAX_TILES: u64 = 65_535;

const DAMAGED: &str = "the headers of its JPEG 2000 stream are damaged";
const MISSING: &str = "its JPEG 2000 stream lacks a tile, or a part of one";
const ORDER: &str = "its JPEG 2000 stream has the parts of a tile out of order";
const CUT: &str = "its JPEG 2000 stream is cut off: a part of a tile is shorter than it says";

/// The marker at a place, and what its segment holds.
pub(super) fn segment(stream: &[u8], at: usize) -> Option<(u8, &[u8])> {
    let &[0xff, marker, high, low] = stream.get(at..at.checked_add(4)?)? else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    Some((marker, stream.get(at + 4..at + 2 + length)?)).filter(|_| length >= 2)
}

/// What was found of a tile.
#[derive(Clone, Copy, Default)]
struct Tile {
    parts: u8,
    /// How many there are, 0 if none has said.
    of: u8,
}

/// Refuses a stream that is not whole. Takes 2 bytes a tile.
pub(super) fn check_tiles(stream: &[u8]) -> Result<(), &'static str> {
    let (mut at, mut tiles) = (2, Vec::new());
    // The main header, up to the first part.
    loop {
        match segment(stream, at).ok_or(DAMAGED)? {
            (SOT, _) => break,
            (marker, content) => {
                if marker == SIZ {
                    tiles = vec![Tile::default(); count(content).ok_or(DAMAGED)?];
                }
                at += 4 + content.len();
            }
        }
    }
    loop {
        match stream.get(at..) {
            Some([0xff, SOT, ..]) => at = part(stream, at, &mut tiles)?,
            Some([0xff, EOC, ..]) => break,
            _ => return Err(CUT),
        }
    }
    // Some writers say one too few, of all tiles.
    let more = u8::from(tiles.iter().any(|tile| tile.of != 0 && tile.parts > tile.of));
    let whole = |tile: &Tile| {
        tile.parts > 0 && (tile.of == 0 || tile.of.checked_add(more) == Some(tile.parts))
    };
    if tiles.iter().all(whole) { Ok(()) } else { Err(MISSING) }
}

/// Passes the part of a tile that begins here.
fn part(stream: &[u8], at: usize, tiles: &mut [Tile]) -> Result<usize, &'static str> {
    let Some((SOT, &[n0, n1, l0, l1, l2, l3, number, of])) = segment(stream, at) else {
        return Err(DAMAGED);
    };
    let tile = tiles.get_mut(usize::from(u16::from_be_bytes([n0, n1]))).ok_or(DAMAGED)?;
    if number != tile.parts || of != 0 && (tile.of != 0 && tile.of != of || number > of) {
        return Err(ORDER);
    }
    tile.of = tile.of.max(of);
    tile.parts = tile.parts.checked_add(1).ok_or(DAMAGED)?;
    let end = match u32::from_be_bytes([l0, l1, l2, l3]) as usize {
        // The last one, up to the end, which must be there to be sure that nothing is missing.
        0 => {
            let padded = stream.strip_suffix(&[0]).unwrap_or(stream);
            let end = padded.strip_suffix(&[0xff, EOC]).ok_or(CUT)?;
            end.len()
        }
        length => at.checked_add(length).filter(|&end| end <= stream.len()).ok_or(CUT)?,
    };
    if end < at + HEAD { Err(DAMAGED) } else { Ok(end) }
}

/// The tiles that SIZ announces: the grid from its offset to the picture's end.
fn count(content: &[u8]) -> Option<usize> {
    let word = |i: usize| {
        let bytes = content.get(2 + 4 * i..)?.first_chunk::<4>()?;
        Some(u64::from(u32::from_be_bytes(*bytes)))
    };
    let along = |axis: usize| {
        let (end, side, offset) = (word(axis)?, word(4 + axis)?, word(6 + axis)?);
        Some(end.checked_sub(offset)?.div_ceil(Some(side).filter(|&side| side > 0)?))
    };
    let tiles = along(0)?.checked_mul(along(1)?)?;
    (1..=MAX_TILES).contains(&tiles).then_some(tiles as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parts: of which tile, how many bytes behind the head, number, of how many.
    fn stream(tiles: u32, parts: &[(u16, usize, u8, u8)]) -> Vec<u8> {
        let mut out = vec![0xff, 0x4f, 0xff, SIZ, 0, 41, 0, 0];
        for word in [8 * tiles, 8, 0, 0, 8, 8, 0, 0] {
            out.extend(word.to_be_bytes());
        }
        out.extend([0, 1, 7, 1, 1]);
        for &(tile, length, number, of) in parts {
            out.extend([0xff, SOT, 0, 10]);
            out.extend(tile.to_be_bytes());
            out.extend((length as u32 + 14).to_be_bytes());
            out.extend([number, of, 0xff, 0x93]);
            out.extend(vec![0x55; length]);
        }
        out.extend([0xff, EOC]);
        out
    }

    #[test]
    fn all_parts_of_all_tiles_are_there_in_order() {
        let good: &[&[(u16, usize, u8, u8)]] = &[
            &[(0, 3, 0, 1), (1, 4, 0, 1)],
            &[(1, 3, 0, 2), (0, 4, 0, 0), (1, 5, 1, 0)],
            &[(0, 3, 0, 2), (1, 4, 0, 0), (0, 0, 1, 0)],
        ];
        for parts in good {
            let whole = stream(2, parts);
            assert_eq!(check_tiles(&whole), Ok(()), "{parts:?}");
            assert_eq!(check_tiles(&[&whole[..], &[0]].concat()), Ok(()));
            for length in 0..whole.len() - 2 {
                assert!(check_tiles(&whole[..length]).is_err(), "{length} bytes");
                let ended = [&whole[..length], &[0xff, EOC]].concat();
                assert!(check_tiles(&ended).is_err(), "{length} bytes and an end");
            }
            // Every other subset of the parts.
            for subset in 0..(1 << parts.len()) - 1 {
                let some = (0..parts.len()).filter(|i| subset >> i & 1 != 0).map(|i| parts[i]);
                let some = stream(2, &some.collect::<Vec<_>>());
                assert!(check_tiles(&some).is_err(), "{subset:b} of {parts:?}");
            }
        }
        for (parts, words) in [
            (&[(0, 3, 0, 1)][..], MISSING),
            (&[(0, 3, 0, 1), (1, 3, 0, 2)], MISSING),
            (&[(0, 3, 0, 1), (0, 3, 1, 1), (1, 3, 0, 1)], MISSING),
            (&[(0, 3, 0, 1), (1, 3, 1, 2), (1, 3, 0, 2)], ORDER),
            (&[(0, 3, 0, 1), (1, 3, 0, 1), (1, 3, 0, 1)], ORDER),
            (&[(0, 3, 0, 1), (1, 3, 0, 3), (1, 3, 1, 2)], ORDER),
            (&[(0, 3, 0, 1), (2, 3, 0, 1)], DAMAGED),
        ] {
            assert_eq!(check_tiles(&stream(2, parts)), Err(words), "{parts:?}");
        }
    }

    /// GDCM did; only that a tile has fewer parts than another is seen then.
    #[test]
    fn writers_that_count_one_too_few_are_read() {
        let parts = [(0, 3, 0, 1), (1, 3, 0, 1), (0, 3, 1, 1), (1, 3, 1, 1)];
        assert_eq!(check_tiles(&stream(2, &parts)), Ok(()));
        assert_eq!(check_tiles(&stream(2, &parts[..3])), Err(MISSING));
        let third = [(0, 3, 0, 1), (0, 3, 1, 1), (0, 3, 2, 1), (1, 3, 0, 1), (1, 3, 1, 1)];
        assert_eq!(check_tiles(&stream(2, &third)), Err(ORDER));
    }

    #[test]
    fn parts_whose_number_is_said_by_none_are_counted_by_none() {
        assert_eq!(check_tiles(&stream(1, &[(0, 3, 0, 0), (0, 4, 1, 0)])), Ok(()));
        assert_eq!(check_tiles(&stream(1, &[(0, 3, 0, 0)])), Ok(()), "docs/formats.md says so");
    }

    #[test]
    fn a_last_part_without_a_length_needs_an_end() {
        let mut bytes = stream(1, &[(0, 9, 0, 1)]);
        let at = bytes.windows(2).position(|w| w == [0xff, SOT]).unwrap();
        bytes[at + 6..at + 10].fill(0);
        assert_eq!(check_tiles(&bytes), Ok(()));
        assert_eq!(check_tiles(&bytes[..bytes.len() - 2]), Err(CUT));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, place in 0usize..80) {
            let _ = check_tiles(&bytes);
            let whole = stream(2, &[(0, 3, 0, 1), (1, 4, 0, 1)]);
            let _ = check_tiles(&[&whole[..place.min(whole.len())], &bytes].concat());
        }
    }
}
