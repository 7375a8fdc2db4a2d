mod forms;
mod meaning;
mod streams;

use super::file::find;
use super::testing::{EXPLICIT, IMPLICIT, RLE, SHAPE, Shape, file, picture, words};
use super::*;
use proptest::prelude::*;

/// Twelve bits, of which the extremes and neighbours.
const VALUES: [i32; 6] = [0, 1, 2047, 2048, 4094, 4095];

fn levels(bytes: &[u8], window: Option<Window>) -> Vec<f32> {
    decode(bytes, window).unwrap().into_grey().unwrap().into_pixels()
}

fn refusal(bytes: &[u8]) -> String {
    decode(bytes, None).unwrap_err().to_string()
}

fn element(bytes: &[u8], coding: Coding, tag: (u16, u16)) -> Option<Vec<u8>> {
    let file = File::open(bytes).unwrap();
    let data = if tag.0 == 2 { file.meta } else { &file.data };
    find(data, coding, Tag(tag.0, tag.1)).unwrap().map(|e| e.value.into())
}

#[test]
fn the_whole_range_is_kept() {
    for syntax in [IMPLICIT, EXPLICIT] {
        let bytes = picture(syntax, &SHAPE, &[], &words(&VALUES));
        let image = decode(&bytes, None).unwrap();
        assert_eq!((image.height(), image.width(), image.depth()), (2, 3, Depth::Sixteen));
        let expected = VALUES.map(|v| (255.0 * f64::from(v) / 4095.0) as f32);
        assert_eq!(image.planes()[0].pixels(), expected);
        let again = derive(&bytes, None, &image, &Fresh::of_utc([7; 16], 0)).unwrap();
        assert_eq!(decode(&again, None).unwrap(), image, "nothing was changed");
    }
}

/// Every value of every kind survives the way to grey levels and back.
#[test]
fn every_value_survives() {
    for (bits, signed) in [(8, false), (9, true), (12, false), (12, true), (16, false), (16, true)]
    {
        for photometric in [&b"MONOCHROME1 "[..], b"MONOCHROME2 "] {
            let least = if signed { -(1 << (bits - 1)) } else { 0 };
            let values: Vec<i32> = (0..1 << bits).map(|v| v + least).collect();
            let size = (1u16 << (bits - 8), 256);
            let shape = Shape { size, bits: [16, bits], signed, photometric };
            let bytes = picture(EXPLICIT, &shape, &[], &words(&values));
            let image = decode(&bytes, None).unwrap();
            let white = photometric == b"MONOCHROME1 ";
            let first = image.planes()[0].pixels()[0];
            assert_eq!(first, if white { 255.0 } else { 0.0 });
            let again = derive(&bytes, None, &image.rounded(), &Fresh::of_utc([1; 16], 0)).unwrap();
            assert_eq!(element(&again, Coding::Explicit, (0x7fe0, 16)).unwrap(), words(&values));
        }
    }
    // One byte a sample.
    let shape = Shape { size: (16, 16), bits: [8, 8], ..SHAPE };
    let values: Vec<u8> = (0..=255).collect();
    let bytes = picture(EXPLICIT, &shape, &[], &values);
    let image = decode(&bytes, None).unwrap();
    assert_eq!(image.planes()[0].to_u8(), values);
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(element(&again, Coding::Explicit, (0x7fe0, 16)).unwrap(), values);
}

#[test]
fn bits_that_do_not_count_are_passed_over() {
    // An overlay in the four high bits; a sign that is not continued into them.
    let stored = words(&[0xf000, 0xf001, 0x07ff, 0x0800, 0x0ffe, 0x0fff]);
    let unsigned = levels(&picture(EXPLICIT, &SHAPE, &[], &stored), None);
    assert_eq!(unsigned, levels(&picture(EXPLICIT, &SHAPE, &[], &words(&VALUES)), None));
    let shape = Shape { signed: true, ..SHAPE };
    let signed = levels(&picture(EXPLICIT, &shape, &[], &stored), None);
    let expected =
        [2048.0, 2049.0, 4095.0, 0.0, 2046.0, 2047.0].map(|v: f64| (255.0 * v / 4095.0) as f32);
    assert_eq!(signed, expected);
}

#[test]
fn windows_are_those_of_the_standard() {
    let more: [testing::Entry<'_>; 4] = [
        ((0x28, 0x1050), b"DS", b"40\\500"),
        ((0x28, 0x1051), b"DS", b"400\\1500 "),
        ((0x28, 0x1052), b"DS", b"-1024 "),
        ((0x28, 0x1053), b"DS", b"2 "),
    ];
    // Measured: -1024, -162, -160, 38, 40, 240.
    let bytes = picture(EXPLICIT, &SHAPE, &more, &words(&[0, 431, 432, 531, 532, 632]));
    let of_file = levels(&bytes, Some(Window::OfFile));
    let given = levels(&bytes, Some("40,400".parse().unwrap()));
    assert_eq!(of_file, given);
    // PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255, clipped.
    let line = |x: f64| ((((x - 39.5) / 399.0 + 0.5) * 255.0).clamp(0.0, 255.0)) as f32;
    for (found, x) in given.iter().zip([-1024.0, -162.0, -160.0, 38.0, 40.0, 240.0]) {
        assert!((found - line(x)).abs() < 1e-4, "{x}: {found}");
    }
    assert_eq!((given[0], given[1], given[5]), (0.0, 0.0, 255.0));
    // Back: what the window holds comes out again, the rest at its ends (white is 239, half way
    // between two values); the new window is told.
    let image = decode(&bytes, Some(Window::OfFile)).unwrap();
    let again = derive(&bytes, Some(Window::OfFile), &image, &Fresh::of_utc([3; 16], 0)).unwrap();
    let pixels = element(&again, Coding::Explicit, (0x7fe0, 16)).unwrap();
    assert_eq!(pixels, words(&[432, 432, 432, 531, 532, 632]));
    assert_eq!(element(&again, Coding::Explicit, (0x28, 0x1050)).unwrap(), b"40");
    assert_eq!(element(&again, Coding::Explicit, (0x28, 0x1051)).unwrap(), b"400 ");
    let text = element(&again, Coding::Explicit, (8, 0x2111)).unwrap();
    assert!(text.windows(13).any(|w| w == b"window 40,400"), "{text:?}");
    // A slope below 0 turns black and white round, MONOCHROME1 once more.
    let more =
        [more[0], more[1], ((0x28, 0x1052), b"DS", &b"100 "[..]), ((0x28, 0x1053), b"DS", b"-1")];
    let bytes = picture(EXPLICIT, &SHAPE, &more, &words(&[0, 60, 61, 150, 259, 260]));
    let turned = levels(&bytes, Some(Window::OfFile));
    assert!(turned.windows(2).all(|w| w[0] >= w[1]), "{turned:?}");
    let shape = Shape { photometric: b"MONOCHROME1 ", ..SHAPE };
    let bytes = picture(EXPLICIT, &shape, &more, &words(&[0, 60, 61, 150, 259, 260]));
    let once_more = levels(&bytes, Some(Window::OfFile));
    assert!(once_more.iter().zip(&turned).all(|(a, b)| (a + b - 255.0).abs() < 1e-3));
}

#[test]
fn windows_that_cannot_be_are_refused() {
    for text in ["", "40", "40,0", "40,-5", "x,400", "nan,400", "40,inf", "Files"] {
        assert!(text.parse::<Window>().is_err(), "{text}");
    }
    assert_eq!("file".parse(), Ok(Window::OfFile));
    let bytes = picture(EXPLICIT, &SHAPE, &[], &words(&VALUES));
    let error = decode(&bytes, Some(Window::OfFile)).unwrap_err();
    assert!(matches!(error, ImageError::Window { .. }), "{error}");
    let entries: [(&[u8], &[u8]); 3] = [(b"1e-300", b"0 "), (b"0 ", b"0 "), (b"1e300 ", b"1e300 ")];
    for (slope, intercept) in entries {
        let more = [((0x28, 0x1052), b"DS", intercept), ((0x28, 0x1053), b"DS", slope)];
        let bytes = picture(EXPLICIT, &SHAPE, &more, &words(&VALUES));
        assert!(decode(&bytes, Some(Window::Around { center: 40.0, width: 400.0 })).is_err());
        assert!(decode(&bytes, None).is_ok(), "stored values need no rescaling");
    }
    let narrow = Window::Around { center: 40.0, width: 0.9 };
    let error = decode(&bytes, Some(narrow)).unwrap_err();
    assert!(error.to_string().contains("at least 1, or above 0"), "{error}");
    let table = [((0x28, 0x3000), b"SQ", &b""[..])];
    let bytes = picture(EXPLICIT, &SHAPE, &table, &words(&VALUES));
    let error = decode(&bytes, Some(Window::Around { center: 40.0, width: 400.0 })).unwrap_err();
    assert!(matches!(error, ImageError::NoWindow { .. }), "no other window helps: {error}");
}

#[test]
fn what_has_no_place_is_refused() {
    let pixels = words(&VALUES);
    let padded = picture(EXPLICIT, &SHAPE, &[], &[&pixels[..], &[0; 4]].concat());
    assert!(decode(&padded, None).is_ok());
    let deep_rgb = Shape { bits: [32, 32], photometric: b"RGB ", ..SHAPE };
    let with = |more: &[testing::Entry<'_>]| refusal(&picture(EXPLICIT, &SHAPE, more, &pixels));
    for (text, words) in [
        (with(&[((0x28, 2), b"US", &[3, 0])]), "MONOCHROME2 with 3 samples"),
        (with(&[((0x28, 4), b"CS", b"PALETTE COLOR ")]), "a palette (PALETTE COLOR)"),
        (with(&[((0x28, 8), b"IS", b"12")]), "truncated"),
        (with(&[((0x28, 8), b"IS", b"0 ")]), "number of frames"),
        (with(&[((0x28, 8), b"IS", b"4294967296")]), "number of frames"),
        (
            with(&[((0x28, 0x102), b"US", &[15, 0])]),
            "12 bits stored from bit 4 on, with others set",
        ),
        (with(&[((0x28, 0x102), b"US", &[16, 0])]), "whose highest is bit 16 of 16"),
        (with(&[((0x28, 0x102), b"US", &[7, 0])]), "whose highest is bit 7 of 16"),
        (with(&[((0x28, 0x101), b"US", &[17, 0]), ((0x28, 0x102), b"US", &[16, 0])]), "17 bits"),
        (with(&[((0x28, 0x100), b"US", &[24, 0])]), "12 bits stored in 24"),
        (with(&[((0x28, 0x100), b"US", &[32, 0])]), "truncated"),
        (with(&[((0x28, 0x10), b"US", &[0, 0])]), "at least 1"),
        (with(&[((0x28, 0x10), b"US", &[9, 0])]), "truncated"),
        (with(&[((0x28, 0x10), b"US", &[1, 0])]), "more pixel data"),
        (
            refusal(&picture(EXPLICIT, &SHAPE, &[], &[&pixels[..], &[0, 1, 0, 0]].concat())),
            "more pixel data",
        ),
        (with(&[((0x28, 0x1053), b"DS", b"nan ")]), "no number"),
        (with(&[((0x7fe0, 0x10), b"OW", b"")]), "truncated"),
        (
            refusal(&picture("1.2.840.10008.1.2.4.100 ", &SHAPE, &[], &pixels)),
            "4.100, which is not read",
        ),
        (
            refusal(&picture(EXPLICIT, &deep_rgb, &[((0x28, 2), b"US", &[3, 0])], &[0; 72])),
            "in colour with 32 bits a sample; expected grayscale of 1 to 32 bits a sample, or RGB of 1 to 16",
        ),
        (refusal(&picture("1.2.3/../ ", &SHAPE, &[], &pixels)), "is none"),
        (refusal(&file(EXPLICIT, &[])), "no pixel data"),
        (refusal(&picture(RLE, &SHAPE, &[], &pixels)), "not as its transfer syntax says"),
        (refusal(b"DICM"), "does not begin with"),
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
}

/// The list of items of compressed pixel data: no table of offsets, one fragment.
fn fragment(bytes: &[u8]) -> Vec<u8> {
    let item =
        |length: usize| [&[0xfe, 0xff, 0, 0xe0][..], &(length as u32).to_le_bytes()].concat();
    let end = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
    [&item(0)[..], &item(bytes.len()), bytes, &end].concat()
}

/// A file of compressed pixel data: [`picture`] gives them a length, which they have not.
fn compressed(syntax: &str, shape: &Shape, data: &[u8]) -> Vec<u8> {
    let list = fragment(data);
    let mut bytes = picture(syntax, shape, &[], &list);
    let at = bytes.len() - list.len() - 4;
    bytes[at..at + 4].copy_from_slice(&[255; 4]);
    bytes
}

/// Run lengths of 12-bit samples: a run of high bytes and a copy, no-operations, a copy of low ones.
fn packed() -> Vec<u8> {
    let high = [1, 0, 0, 0x80, 255, 7, 1, 15, 15];
    let low = [5, 0, 1, 255, 0, 254, 255];
    let mut header = [0; 64];
    header[0] = 2;
    header[4] = 64;
    header[8] = 64 + high.len() as u8;
    [&header[..], &high, &low].concat()
}

#[test]
fn run_lengths_are_read() {
    let bytes = compressed(RLE, &SHAPE, &packed());
    let plain = picture(EXPLICIT, &SHAPE, &[], &words(&[0, 1, 2047, 1792, 4094, 4095]));
    assert_eq!(levels(&bytes, None), levels(&plain, None));
    // What is derived is not compressed.
    let image = decode(&bytes, None).unwrap();
    let again = derive(&bytes, None, &image, &Fresh::of_utc([2; 16], 0)).unwrap();
    assert_eq!(element(&again, Coding::Explicit, (2, 0x10)).unwrap(), EXPLICIT.as_bytes());
    assert_eq!(decode(&again, None).unwrap(), image);
    for cut in 0..packed().len() {
        assert!(decode(&compressed(RLE, &SHAPE, &packed()[..cut]), None).is_err(), "{cut}");
    }
}

#[test]
fn a_derived_object_is_the_original_but_for_the_picture() {
    let more: [testing::Entry<'_>; 17] = [
        ((8, 0), b"UL", &[9, 9, 9, 9]),
        ((8, 5), b"CS", b"ISO_IR 192"),
        ((8, 8), b"CS", b"ORIGINAL\\PRIMARY\\AXIAL"),
        ((8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        ((8, 0x18), b"UI", b"1.2.3.4\0"),
        ((8, 0x201), b"SH", b"-0130 "),
        ((8, 0x103e), b"LO", "Schädel ".as_bytes()),
        ((9, 0x10), b"LO", b"SOMEONE "),
        ((9, 0x1001), b"UN", &[1, 2, 3, 4]),
        ((0x10, 0x10), b"PN", "Müller^Änne ".as_bytes()),
        ((0x20, 0xd), b"UI", b"1.2.3.5\0"),
        ((0x20, 0xe), b"UI", b"1.2.3.6\0"),
        ((0x20, 0x11), b"IS", b"3 "),
        ((0x28, 0x106), b"US", &[0, 0]),
        ((0x88, 0x200), b"SQ", b""),
        ((0x5400, 0x10), b"OW", &[5; 6]),
        ((0xfffa, 0xfffa), b"SQ", b""),
    ];
    for (syntax, coding) in [(EXPLICIT, Coding::Explicit), (IMPLICIT, Coding::Implicit)] {
        let bytes = picture(syntax, &SHAPE, &more, &words(&VALUES));
        let image = GreyImage::new(2, 3, vec![51.0; 6]).unwrap().into();
        let again = derive(&bytes, None, &image, &Fresh::of_utc([9; 16], 6000)).unwrap();
        let get = |tag| element(&again, coding, tag);
        let text = |tag| String::from_utf8(get(tag).unwrap().to_vec()).unwrap();
        assert_eq!(text((8, 8)).trim(), "DERIVED\\PRIMARY\\AXIAL");
        let instance = text((8, 0x18)).trim_matches('\0').to_string();
        assert!(instance.starts_with("2.25.") && instance.len() <= 64, "{instance}");
        assert_eq!(element(&again, Coding::Explicit, (2, 3)), get((8, 0x18)));
        assert!(text((8, 0x2111)).starts_with("Denoised by ppdenoise"));
        let source = get((8, 0x2112)).unwrap();
        assert!(source.windows(7).any(|w| w == b"1.2.3.4"), "the original is named");
        assert!(source.windows(6).any(|w| w == b"121322"), "and what it is to this one");
        assert_ne!(text((0x20, 0xe)), "1.2.3.6\0");
        assert_eq!(text((0x20, 0x11)), "7003");
        assert_eq!(text((8, 0x103e)).trim(), "Schädel (denoised)");
        // By the clock of the original's other times, an hour and a half behind.
        assert_eq!([text((8, 0x12)), text((8, 0x13))], ["19700101", "001000"]);
        let code = get((8, 0x9215)).unwrap();
        assert!(code.windows(11).any(|w| w == b"99PPDENOISE"), "how it was made");
        assert_eq!(get((0x7fe0, 0x10)).unwrap(), words(&[819; 6]));
        for tag in [(8, 0), (0x28, 0x106), (0x88, 0x200), (0xfffa, 0xfffa)] {
            assert_eq!(get(tag), None, "{tag:?}");
        }
        let changed = [(8, 8), (8, 0x18), (8, 0x103e), (0x20, 0xe), (0x20, 0x11), (0x7fe0, 0x10)];
        let changed = changed.map(|(g, n)| Tag(g, n));
        let (original, derived) = (File::open(&bytes).unwrap(), File::open(&again).unwrap());
        for before in elements(&original.data, coding).map(Result::unwrap) {
            let Some(after) = derived.find(before.tag).unwrap() else { continue };
            assert_eq!(
                before.whole == after.whole,
                !changed.contains(&before.tag),
                "{:?}",
                before.tag
            );
        }
        // Another picture of the series is another object of the same new series.
        let other = derive(&bytes, None, &image, &Fresh::of_utc([8; 16], 0)).unwrap();
        assert_ne!(element(&other, coding, (8, 0x18)), get((8, 0x18)));
        assert_eq!(element(&other, coding, (0x20, 0xe)), get((0x20, 0xe)));
        // An original without a name of its own is no source, and neither is what it was made from.
        let nameless = picture(syntax, &SHAPE, &[((8, 0x2112), b"SQ", b"")], &words(&VALUES));
        let derived_of = derive(&nameless, None, &image, &Fresh::of_utc([7; 16], 0)).unwrap();
        assert_eq!(element(&derived_of, coding, (8, 0x2112)), None);
        let length = element(&again, Coding::Explicit, (2, 0)).unwrap();
        let group = derived.meta.len() - 12;
        assert_eq!(length, (group as u32).to_le_bytes());
        let small = GreyImage::new(3, 2, vec![0.0; 6]).unwrap().into();
        let error = derive(&bytes, None, &small, &Fresh::of_utc([9; 16], 0)).unwrap_err();
        assert!(matches!(error, ImageError::PlaneSize { .. }), "{error}");
    }
}

proptest! {
    #[test]
    fn damaged_files_never_panic(
        at: prop::sample::Index,
        value: u8,
        cut: prop::sample::Index,
        tail in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let more = [((0x28, 0x1050), b"DS", &b"40"[..]), ((0x28, 0x1051), b"DS", b"400 ")];
        for good in [
            picture(EXPLICIT, &SHAPE, &more, &words(&VALUES)),
            picture(IMPLICIT, &SHAPE, &more, &words(&VALUES)),
            compressed(RLE, &SHAPE, &packed()),
            compressed(RLE, &SHAPE, &tail),
            compressed("1.2.840.10008.1.2.4.70", &SHAPE, &[&b"\xff\xd8\xff"[..], &tail].concat()),
        ] {
            let mut bad = good.clone();
            bad[at.index(good.len())] = value;
            bad.truncate(132 + cut.index(good.len() - 131));
            for bytes in [good, bad] {
                for window in [None, Some(Window::OfFile)] {
                    let Ok(image) = decode(&bytes, window) else { continue };
                    prop_assert!(image.height() * image.width() <= 1032 * bytes.len());
                    let again = derive(&bytes, window, &image, &Fresh::of_utc([0; 16], 0)).unwrap();
                    prop_assert_eq!(decode(&again, window).unwrap().height(), image.height());
                }
            }
        }
    }
}
