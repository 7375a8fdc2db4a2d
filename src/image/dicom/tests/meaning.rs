//! What values mean: functional groups, functions of windows, bits beside the values, several pictures.

use super::super::testing::Entry;
use super::*;

/// An element in explicit form.
fn put(tag: (u16, u16), kind: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let mut out = Coding::Explicit.tag_bytes(Tag(tag.0, tag.1)).to_vec();
    out.extend(kind);
    if super::super::dataset::is_long(*kind) {
        out.extend([0; 2]);
        out.extend((value.len() as u32).to_le_bytes());
    } else {
        out.extend((value.len() as u16).to_le_bytes());
    }
    [out, value.to_vec()].concat()
}

/// Items of known or of unknown length.
fn items(all: &[Vec<u8>], known: bool) -> Vec<u8> {
    let item = |value: &Vec<u8>| {
        if known {
            [&[0xfe, 0xff, 0, 0xe0][..], &(value.len() as u32).to_le_bytes(), value].concat()
        } else {
            let (begin, end) =
                ([0xfe, 0xff, 0, 0xe0, 255, 255, 255, 255], [0xfe, 0xff, 0x0d, 0xe0]);
            [&begin[..], value, &end, &[0; 4]].concat()
        }
    };
    all.iter().flat_map(item).collect()
}

/// The item of a functional group: a window, a rescaling.
fn group(window: Option<(&str, &str)>, rescale: Option<(&str, &str)>, known: bool) -> Vec<u8> {
    let even = |text: &str| format!("{text}{}", " ".repeat(text.len() % 2)).into_bytes();
    let pair = |(a, b): (&str, &str), first: u16| {
        [put((0x28, first), b"DS", &even(a)), put((0x28, first + 1), b"DS", &even(b))].concat()
    };
    let list = |tag, value| put(tag, b"SQ", &items(&[value], known));
    [
        window.map_or(vec![], |window| list((0x28, 0x9132), pair(window, 0x1050))),
        rescale.map_or(vec![], |rescale| list((0x28, 0x9145), pair(rescale, 0x1052))),
    ]
    .concat()
}

fn two_frames(shared: &[u8], per_frame: &[u8]) -> Vec<u8> {
    let more: [Entry<'_>; 3] = [
        ((0x28, 8), b"IS", b"2 "),
        ((0x5200, 0x9229), b"SQ", shared),
        ((0x5200, 0x9230), b"SQ", per_frame),
    ];
    let pixels = words(&[0, 524, 1524, 2523, 2524, 4095].repeat(2));
    picture(EXPLICIT, &SHAPE, &more, &pixels)
}

#[test]
fn functional_groups_say_what_values_mean() {
    let around = |text: &str| Some(text.parse::<Window>().unwrap());
    for known in [true, false] {
        let hounsfield = group(Some(("500", "2000")), Some(("-1024", "1")), known);
        let bytes = two_frames(&items(std::slice::from_ref(&hounsfield), known), &[]);
        let of_file = levels(&bytes, Some(Window::OfFile));
        assert_eq!(of_file, levels(&bytes, around("500,2000")));
        // -500 and below is black, 1499 white.
        assert_eq!((of_file[0], of_file[1], of_file[3], of_file[4]), (0.0, 0.0, 255.0, 255.0));
        assert!((of_file[2] - 255.0 * 1000.0 / 1999.0).abs() < 1e-3);
        assert_eq!(of_file[..6], of_file[6..]);
        // Each frame its own rescaling: the second is measured in twos.
        let rescale = |slope| group(None, Some(("-1024", slope)), known);
        let bytes = two_frames(&[], &items(&[rescale("1"), rescale("2")], known));
        let found = levels(&bytes, around("500,2000"));
        assert_eq!(found[..6], of_file[..6]);
        assert_eq!((found[6], found[8]), (0.0, 255.0));
        assert!((found[7] - 255.0 * 524.0 / 1999.0).abs() < 1e-3, "{}", found[7]);
        let image = decode(&bytes, around("500,2000")).unwrap();
        let again = derive(&bytes, around("500,2000"), &image, &Fresh::of_utc([1; 16], 0)).unwrap();
        assert_eq!(decode(&again, around("500,2000")).unwrap(), image);
        // Windows that differ are refused where they are asked for, and nowhere else.
        let windows = [("500", "2000"), ("40", "400")].map(|w| group(Some(w), None, known));
        let bytes = two_frames(&[], &items(&windows, known));
        let error = decode(&bytes, Some(Window::OfFile)).unwrap_err().to_string();
        assert!(error.contains("different windows"), "{error}");
        assert!(decode(&bytes, around("40,400")).is_ok() && decode(&bytes, None).is_ok());
        // Shared and of each frame, and they contradict each other.
        let shared = items(&[hounsfield], known);
        let bytes = two_frames(&shared, &items(&[rescale("1"), rescale("2")], known));
        let error = decode(&bytes, around("40,400")).unwrap_err().to_string();
        assert!(error.contains("two rescalings or windows"), "{error}");
        let bytes = two_frames(&shared, &items(&[rescale("1")], known));
        let error = decode(&bytes, around("40,400")).unwrap_err().to_string();
        assert!(error.contains("one item of functional groups for each frame"), "{error}");
    }
}

fn with_window(window: (&[u8], &[u8]), function: &[u8], slope: &[u8]) -> Vec<u8> {
    let more: [Entry<'_>; 4] = [
        ((0x28, 0x1050), b"DS", window.0),
        ((0x28, 0x1051), b"DS", window.1),
        ((0x28, 0x1053), b"DS", slope),
        ((0x28, 0x1056), b"CS", function),
    ];
    picture(EXPLICIT, &SHAPE, &more, &words(&[0, 500, 2000, 2500, 3500, 4095]))
}

#[test]
fn functions_of_windows_are_those_of_the_standard() {
    let exact = with_window((b"2 ", b"3 "), b"LINEAR_EXACT", b"0.001 ");
    let found = levels(&exact, Some(Window::OfFile));
    for (found, value) in found.iter().zip([0.0, 0.5, 2.0, 2.5, 3.5, 4.095]) {
        let expected = (255.0 * ((value - 0.5) / 3.0f64)).clamp(0.0, 255.0);
        assert!((f64::from(*found) - expected).abs() < 1e-3, "{value}: {found}");
    }
    let asked = "2,3".parse().unwrap();
    assert_eq!(levels(&exact, Some(asked)), found, "numbers are meant as the file means them");
    let image = decode(&exact, Some(asked)).unwrap();
    let again = derive(&exact, Some(asked), &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(levels(&again, Some(Window::OfFile)), found, "the function stays");
    let half = with_window((b"2 ", b"0.5 "), b"LINEAR_EXACT", b"0.001 ");
    let found = levels(&half, Some(Window::OfFile));
    assert_eq!((found[1], found[3]), (0.0, 255.0));
    assert!((found[2] - 127.5).abs() < 1e-3);
    let refused: [(&[u8], &[u8], &str); 4] = [
        (b"SIGMOID ", b"3 ", "(SIGMOID)"),
        (b"CUBIC ", b"3 ", "not read here"),
        (b"LINEAR", b"0.5 ", "at least 1, or above 0"),
        (b"LINEAR_EXACT", b"0 ", "at least 1, or above 0"),
    ];
    for (function, width, words) in refused {
        let bytes = with_window((b"2 ", width), function, b"1 ");
        let error = decode(&bytes, Some(Window::OfFile)).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(decode(&bytes, Some("2,3".parse().unwrap())).is_ok());
    }
}

/// A window of width 1 is a step, and a result of it stays on its side.
#[test]
fn narrow_windows_are_steps() {
    let (up, down) = ([0.0, 0.0, 0.0, 255.0, 255.0, 255.0], [255.0, 255.0, 0.0, 0.0, 0.0, 0.0]);
    // 2000 is the last black value; measured downwards, -2000 is.
    let cases: [(&[u8], &[u8], _); 2] = [(b"2000.5", b"1 ", up), (b"-1999.5 ", b"-1", down)];
    for (center, slope, expected) in cases {
        let bytes = with_window((center, b"1 "), b"LINEAR", slope);
        assert_eq!(levels(&bytes, Some(Window::OfFile)), expected);
    }
    for center in ["2000.5", "2000", "1999.7", "2500.2"] {
        for width in ["1", "1.3", "2", "3.7"] {
            let window = Some(format!("{center},{width}").parse().unwrap());
            let bytes = with_window((b"2 ", b"3 "), b"LINEAR", b"1 ");
            let image = decode(&bytes, window).unwrap();
            let again = derive(&bytes, window, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
            let away = levels(&again, window).into_iter().zip(levels(&bytes, window));
            assert!(away.into_iter().all(|(a, b)| a == b), "{center},{width}");
        }
    }
}

#[test]
fn overlays_in_words_stay_with_their_elements() {
    let overlay = |position: &'static [u8]| -> [Entry<'static>; 3] {
        [
            ((0x6000, 0x10), b"US", &[2, 0]),
            ((0x6000, 0x100), b"US", &[16, 0]),
            ((0x6000, 0x102), b"US", position),
        ]
    };
    let stored = words(&[0x1000, 0x2001, 0x17ff, 0x0800, 0x1ffe, 0x0fff]);
    let bytes = picture(EXPLICIT, &SHAPE, &overlay(&[12, 0]), &stored);
    let image = GreyImage::new(2, 3, vec![255.0; 6]).unwrap().into();
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    let pixels = element(&again, Coding::Explicit, (0x7fe0, 0x10)).unwrap();
    assert_eq!(pixels, words(&[0x1fff, 0x0fff, 0x1fff, 0x0fff, 0x1fff, 0x0fff]));
    assert!(element(&again, Coding::Explicit, (0x6000, 0x102)).is_some());
    // One that says that it lies in the values themselves cannot stay.
    let bytes = picture(EXPLICIT, &SHAPE, &overlay(&[3, 0]), &stored);
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(element(&again, Coding::Explicit, (0x6000, 0x10)), None);
    // One with data of its own is not touched.
    let mut apart = overlay(&[0, 0]).to_vec();
    apart[1].2 = &[1, 0];
    apart.push(((0x6000, 0x3000), b"OW", &[63, 0]));
    let bytes = picture(EXPLICIT, &SHAPE, &apart, &stored);
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(element(&again, Coding::Explicit, (0x6000, 0x3000)).unwrap(), [63, 0]);
    assert_eq!(element(&again, Coding::Explicit, (0x7fe0, 0x10)).unwrap(), words(&[0xfff; 6]));
}

#[test]
fn values_in_high_bits_are_read() {
    let high: Entry<'_> = ((0x28, 0x102), b"US", &[15, 0]);
    let bytes = picture(EXPLICIT, &SHAPE, &[high], &words(&VALUES.map(|v| v << 4)));
    let plain = picture(EXPLICIT, &SHAPE, &[], &words(&VALUES));
    assert_eq!(levels(&bytes, None), levels(&plain, None));
    let image = decode(&bytes, None).unwrap();
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(decode(&again, None).unwrap(), image);
    let signed = Shape { signed: true, ..SHAPE };
    let values = [-2048, -1, 0, 1, 2, 2047];
    let bytes = picture(EXPLICIT, &signed, &[high], &words(&values.map(|v| v * 16)));
    let plain = picture(EXPLICIT, &signed, &[], &words(&values));
    assert_eq!(levels(&bytes, None), levels(&plain, None));
}

#[test]
fn zeros_behind_a_data_set_are_padding() {
    let bytes = picture(EXPLICIT, &SHAPE, &[], &words(&VALUES));
    for zeros in [1, 2, 7, 8, 512] {
        let padded = [&bytes[..], &vec![0; zeros]].concat();
        assert_eq!(levels(&padded, None), levels(&bytes, None));
        assert!(
            derive(&padded, None, &decode(&bytes, None).unwrap(), &Fresh::of_utc([1; 16], 0))
                .is_ok()
        );
        let other = [&bytes[..], &vec![0; zeros], &[1]].concat();
        assert!(decode(&other, None).is_err());
    }
}

/// Fragments of compressed pixel data.
fn fragments(syntax: &str, table: &[u8], all: &[&[u8]]) -> Vec<u8> {
    let mut parts = vec![table.to_vec()];
    parts.extend(all.iter().map(|part| part.to_vec()));
    let list = [items(&parts, true), vec![0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]].concat();
    let mut bytes = picture(syntax, &SHAPE, &[], &list);
    let at = bytes.len() - list.len() - 4;
    bytes[at..at + 4].copy_from_slice(&[255; 4]);
    bytes
}

#[test]
fn several_pictures_say_so_or_are_refused() {
    let mut stream = packed();
    stream.resize(stream.len().next_multiple_of(2), 0);
    let stream: &[u8] = &stream;
    assert!(decode(&fragments(RLE, &[], &[stream]), None).is_ok());
    let words = "several pictures, and does not say so (NumberOfFrames)";
    assert!(refusal(&fragments(RLE, &[], &[stream, stream])).contains(words));
    assert!(
        refusal(&fragments(RLE, &[0, 0, 0, 0, 90, 0, 0, 0], &[stream, stream])).contains(words)
    );
    let streams: [(&str, &[u8]); 2] = [
        ("1.2.840.10008.1.2.4.70", &[0xff, 0xd8, 0xff, 0xe0, 9, 9, 0xff, 0xd9]),
        ("1.2.840.10008.1.2.4.90", &[0xff, 0x4f, 0xff, 0x51, 0xff, 0xd9]),
    ];
    for (syntax, stream) in streams {
        assert!(refusal(&fragments(syntax, &[], &[stream, stream])).contains(words));
        // Halves of one are one.
        let halves = stream.split_at(4);
        assert!(!refusal(&fragments(syntax, &[], &[halves.0, halves.1])).contains(words));
    }
}

#[test]
fn objects_without_a_picture_are_named() {
    let class: Entry<'_> = ((8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.11.1\0\0");
    let state = file(EXPLICIT, &[class]);
    assert_eq!(without_picture(&state), Some("a presentation state"));
    assert!(refusal(&state).contains("no pixel data: it is a presentation state"));
    let plan: Entry<'_> = ((8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.481.5\0");
    assert_eq!(without_picture(&file(EXPLICIT, &[plan])), Some("a plan"));
    // A picture whose pixels are gone is damaged, whatever the rest says.
    let gone = file(EXPLICIT, &[class, ((0x28, 0x10), b"US", &[2, 0])]);
    assert_eq!(without_picture(&gone), None);
    assert!(refusal(&gone).contains("it holds no pixel data"));
    assert_eq!(without_picture(&picture(EXPLICIT, &SHAPE, &[], &words(&VALUES))), None);
    let image: Entry<'_> = ((8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.2\0");
    for lost in [file(EXPLICIT, &[image]), file(EXPLICIT, &[])] {
        assert_eq!(without_picture(&lost), None, "a picture that is gone is no report");
    }
    let cut = &state[..state.len() - 1];
    assert_eq!(without_picture(cut), None);
}
