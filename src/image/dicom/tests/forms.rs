//! The forms that files come in: byte orders, missing beginnings, deflate, bits, colours, frames,
//! streams of JPEG that are not what they are said to be.

use super::super::super::ImageFormat;
use super::*;
use std::io::Read;

/// The same file in big-endian form.
fn big_endian(explicit: &[u8]) -> Vec<u8> {
    let file = File::open(explicit).unwrap();
    let meta = "1.2.840.10008.1.2.2\0";
    let mut out = [&[0; 128][..], b"DICM\x02\0\x10\0UI\x14\0", meta.as_bytes()].concat();
    let coding = Coding::BigEndian;
    for element in elements(&file.data, Coding::Explicit).map(Result::unwrap) {
        let kind = element.kind.unwrap();
        out.extend(coding.tag_bytes(element.tag));
        out.extend(kind);
        let length = element.value.len();
        if dataset::is_long(kind) {
            out.extend([0, 0]);
            out.extend(coding.word_bytes(length as u32));
        } else {
            out.extend(coding.short_bytes(length as u16))
        }
        let swapped = matches!(&kind, b"US" | b"OW");
        let pairs = element.value.chunks(2);
        pairs.for_each(
            |pair| if swapped { out.extend(pair.iter().rev()) } else { out.extend(pair) },
        );
    }
    out
}

/// The same file with its data set deflated.
fn deflated(explicit: &[u8]) -> Vec<u8> {
    let data = File::open(explicit).unwrap().data.into_owned();
    let mut packed = Vec::new();
    let level = flate2::Compression::default();
    flate2::bufread::DeflateEncoder::new(&data[..], level).read_to_end(&mut packed).unwrap();
    let head = b"DICM\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99";
    [&[0; 128][..], head, &packed].concat()
}

const NAME: testing::Entry<'_> = ((8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.2\0");

#[test]
fn one_picture_in_every_form() {
    let explicit = picture(EXPLICIT, &SHAPE, &[NAME], &words(&VALUES));
    let implicit = picture(IMPLICIT, &SHAPE, &[NAME], &words(&VALUES));
    let bare = |file: &[u8]| File::open(file).unwrap().data.into_owned();
    let big = big_endian(&explicit);
    let head = 132 + 8 + EXPLICIT.len();
    let wrong = [&explicit[..head], &bare(&implicit)].concat();
    // TIFF's signature in the preamble, as in many files of scanners.
    let mut dual = explicit.clone();
    dual[..4].copy_from_slice(b"II*\0");
    let expected = decode(&explicit, None).unwrap();
    let forms = [
        ("dual", dual),
        ("deflated", deflated(&explicit)),
        ("without preamble", explicit[132..].to_vec()),
        ("explicit alone", bare(&explicit)),
        ("implicit alone", bare(&implicit)),
        ("big-endian alone", bare(&big)),
        ("big-endian", big),
        ("said to be explicit", wrong),
    ];
    for (name, bytes) in forms {
        assert_eq!(ImageFormat::from_signature(&bytes), Some(ImageFormat::Dicom), "{name}");
        assert_eq!(decode(&bytes, None).unwrap(), expected, "{name}");
        let again = derive(&bytes, None, &expected, &Fresh::of_utc([4; 16], 0)).unwrap();
        assert_eq!(decode(&again, None).unwrap(), expected, "{name}");
        // Complete: with a preamble, without deflate, and all that the original says.
        let (before, after) = (File::open(&bytes).unwrap(), File::open(&again).unwrap());
        assert!(has_signature(&again) && !after.syntax.is_deflated());
        let class = |file: &File<'_>| file.find(Tag(8, 0x16)).unwrap().unwrap().whole.to_vec();
        assert_eq!(class(&before), class(&after), "{name}");
    }
    for other in [&b"II*\0\x08\0\0\0"[..], b"BM", b"P5 ", b"\x08\0hello, world", b"\x02\0\x02\0AB"]
    {
        assert_ne!(ImageFormat::from_signature(other), Some(ImageFormat::Dicom), "{other:?}");
    }
}

#[test]
fn deflated_data_sets_are_bounded() {
    let whole = deflated(&picture(EXPLICIT, &SHAPE, &[], &words(&VALUES)));
    for cut in 154..whole.len() {
        assert!(decode(&whole[..cut], None).is_err(), "{cut}");
    }
    let mut bad = whole;
    bad[160] ^= 0x55;
    let _ = decode(&bad, None);
}

#[test]
fn bits_from_1_to_32() {
    // Two frames of five bits each: the second begins within a byte.
    let bit = Shape { size: (1, 5), bits: [1, 1], ..SHAPE };
    let frames = ((0x28, 8), b"IS", &b"2 "[..]);
    let bytes = picture(EXPLICIT, &bit, &[frames], &[0b1011_0101, 0b10]);
    let image = decode(&bytes, None).unwrap();
    let expected = [1, 0, 1, 0, 1, 1, 0, 1, 0, 1].map(|v| 255.0 * v as f32);
    assert_eq!((image.frames(), image.planes()[0].pixels()), (2, &expected[..]));
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(element(&again, Coding::Explicit, (0x7fe0, 16)).unwrap(), [0b1011_0101, 0b10]);
    let few = Shape { size: (1, 4), bits: [8, 5], ..SHAPE };
    let bytes = picture(EXPLICIT, &few, &[], &[0, 31, 32, 17]);
    assert_eq!(levels(&bytes, None), [0.0, 255.0, 0.0, (255.0 * 17.0 / 31.0) as f32]);
    let wide = Shape { size: (1, 3), bits: [32, 32], ..SHAPE };
    let values = [0u32, u32::MAX, 3_000_000_000];
    let pixels: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let bytes = picture(EXPLICIT, &wide, &[], &pixels);
    let found = levels(&bytes, None);
    assert_eq!(&found[..2], [0.0, 255.0]);
    assert!((f64::from(found[2]) - 255.0 * 3e9 / (f64::from(u32::MAX))).abs() < 1e-4);
    let image = decode(&bytes, None).unwrap();
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(decode(&again, None).unwrap(), image);
}

proptest! {
    /// Damage in streams of every kind: a run of zeros beyond a block, a word that no code has.
    #[test]
    fn damaged_streams_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        for name in ["ct-jpeg", "ct-jls", "ct-near", "ct-j2k", "ct-extended", "frames"] {
            let file = format!("{}/../../fixtures/dicom/{name}.dcm", env!("CARGO_MANIFEST_DIR"));
            let mut bytes = std::fs::read(file).unwrap();
            // The stream, behind the elements.
            let start = bytes.len() - 1000;
            for (at, value) in &edits {
                bytes[start + at.index(1000)] = *value;
            }
            if let Ok(image) = decode(&bytes, None) {
                prop_assert_eq!(image.width(), 48);
            }
        }
    }
}

#[test]
fn padding_is_no_measurement() {
    let signed = Shape { bits: [16, 16], signed: true, ..SHAPE };
    let padding = ((0x28, 0x120), b"SS", &i16::to_le_bytes(-2000)[..]);
    let bytes = picture(EXPLICIT, &signed, &[padding], &words(&[-2000, 5, 6, 7, -2000, -1999]));
    let grey = GreyImage::new(2, 3, vec![127.5; 6]).unwrap();
    let again = derive(&bytes, None, &grey.into(), &Fresh::of_utc([1; 16], 0)).unwrap();
    let found = element(&again, Coding::Explicit, (0x7fe0, 16)).unwrap();
    let number = |i: usize| i16::from_le_bytes([found[2 * i], found[2 * i + 1]]);
    assert_eq!((number(0), number(4)), (-2000, -2000));
    assert!([1, 2, 3, 5].into_iter().all(|i| matches!(number(i), -1..=0)), "{found:?}");
}

#[test]
fn colours_are_red_green_and_blue() {
    let shape = Shape { size: (1, 2), bits: [8, 8], photometric: b"RGB ", ..SHAPE };
    let three = ((0x28, 2), b"US", &[3, 0][..]);
    let pixels = [250, 20, 30, 40, 50, 60];
    let bytes = picture(EXPLICIT, &shape, &[three], &pixels);
    let image = decode(&bytes, None).unwrap();
    let planes: Vec<_> = image.planes().iter().map(|p| p.to_u8()).collect();
    assert_eq!(planes, [[250, 40], [20, 50], [30, 60]]);
    let planar = ((0x28, 6), b"US", &[1, 0][..]);
    let bytes = picture(EXPLICIT, &shape, &[three, planar], &[250, 40, 20, 50, 30, 60]);
    assert_eq!(decode(&bytes, None).unwrap(), image);
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(decode(&again, None).unwrap(), image);
    assert_eq!(element(&again, Coding::Explicit, (0x7fe0, 16)).unwrap(), pixels);
    // Luminance and differences; the file that is derived has none.
    let luma = Shape { photometric: b"YBR_FULL", ..shape };
    let bytes = picture(EXPLICIT, &luma, &[three], &[100, 128, 128, 76, 85, 255]);
    let image = decode(&bytes, None).unwrap();
    let planes: Vec<_> = image.planes().iter().map(|p| p.to_u8()).collect();
    assert_eq!(planes, [[100, 254], [100, 0], [100, 0]]);
    let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
    assert_eq!(element(&again, Coding::Explicit, (0x28, 4)).unwrap(), b"RGB ");
    assert_eq!(decode(&again, None).unwrap(), image);
    let shared = Shape { photometric: b"YBR_FULL_422", ..luma };
    let bytes = picture(EXPLICIT, &shared, &[three], &[100, 90, 128, 128]);
    let image = decode(&bytes, None).unwrap();
    assert_eq!(image.into_grey().unwrap().to_u8(), [100, 90]);
    assert!(matches!(decode(&bytes, Some(Window::OfFile)), Err(ImageError::NoWindow { .. })));
}

/// The list of items of compressed pixel data.
fn list(items: &[&[u8]]) -> Vec<u8> {
    let item = |item: &&[u8]| {
        [&[0xfe, 0xff, 0, 0xe0][..], &(item.len() as u32).to_le_bytes(), item].concat()
    };
    let end = vec![0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
    items.iter().map(item).chain([end]).flatten().collect()
}

fn encapsulated(syntax: &str, shape: &Shape, frames: &[u8], items: &[&[u8]]) -> Vec<u8> {
    let list = list(items);
    let frames = ((0x28, 8), b"IS", frames);
    let mut bytes = picture(syntax, shape, &[frames], &list);
    let at = bytes.len() - list.len() - 4;
    bytes[at..at + 4].copy_from_slice(&[255; 4]);
    bytes
}

#[test]
fn frames_are_made_of_fragments() {
    let packed = packed();
    let (a, b) = packed.split_at(70);
    let one = decode(&compressed(RLE, &SHAPE, &packed), None).unwrap();
    let cases: [(&str, Vec<&[u8]>); 2] = [
        ("one each", vec![&[], &packed, &packed]),
        ("by the table", vec![&[0, 0, 0, 0, 96, 0, 0, 0], a, b, &packed]),
    ];
    assert_eq!(packed.len() + 16, 96, "where the second frame begins");
    for (name, items) in cases {
        let bytes = encapsulated(RLE, &SHAPE, b"2 ", &items);
        let image = decode(&bytes, None).unwrap();
        assert_eq!((image.frames(), image.height()), (2, 4), "{name}");
        for frame in 0..2 {
            assert_eq!(image.frame(frame).unwrap(), one.planes(), "{name}");
        }
        let again = derive(&bytes, None, &image, &Fresh::of_utc([1; 16], 0)).unwrap();
        assert_eq!(decode(&again, None).unwrap(), image, "{name}");
    }
    // Without a table nobody can tell; a table that lies is no help.
    for table in [&[][..], &[8, 0, 0, 0], &[0, 0, 0, 0, 97, 0, 0, 0]] {
        let bytes = encapsulated(RLE, &SHAPE, b"2 ", &[table, a, b, &packed]);
        assert!(refusal(&bytes).contains("which of its fragments"));
    }
    let bytes = encapsulated(RLE, &SHAPE, b"3 ", &[&[], &packed, &packed]);
    assert!(refusal(&bytes).contains("truncated"));
}

/// Streams of another process than the syntax names, or of more scans than components, would take
/// work that has nothing to do with the size of the frame.
#[test]
fn streams_are_what_they_are_said_to_be() {
    let fixture = format!("{}/../../fixtures/dicom/ct-jpeg.dcm", env!("CARGO_MANIFEST_DIR"));
    let lossless = std::fs::read(fixture).unwrap();
    let file = File::open(&lossless).unwrap();
    let list = file.find(PIXELS).unwrap().unwrap().value;
    let stream = dataset::items(list).nth(1).unwrap().unwrap();
    let shape = Shape { size: (40, 48), ..SHAPE };
    let with =
        |syntax: &str, stream: &[u8]| refusal(&encapsulated(syntax, &shape, b"1 ", &[&[], stream]));
    for syntax in ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"] {
        assert!(with(syntax, stream).contains("another process"));
    }
    let change = |from: &[u8], to: &[u8]| {
        let mut bytes = stream.to_vec();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let syntax = "1.2.840.10008.1.2.4.70";
    // Progressive; more rows than the stream has samples for; a second scan.
    assert!(with(syntax, &change(&[0xff, 0xc3], &[0xff, 0xc2])).contains("process"));
    let sof = stream.windows(2).position(|pair| pair == [0xff, 0xc3]).unwrap();
    let mut tall = stream.to_vec();
    tall[sof + 5] = 0xff;
    let refused = with(syntax, &tall);
    assert!(refused.contains("JPEG stream"), "{refused}");
    let sos = stream.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let twice = [&stream[..stream.len() - 2], &stream[sos..]].concat();
    assert!(with(syntax, &twice).contains("more scans"));
    for cut in 0..stream.len().min(200) {
        assert!(with(syntax, &stream[..cut]).contains("JPEG"), "{cut}");
    }
}
