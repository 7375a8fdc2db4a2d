use super::*;
use crate::{GreyImage, RowReader, write};
use ::tiff::encoder::{Compression, TiffEncoder, colortype};
use ImageFormat::{Bmp, Dicom, Jpeg, Npy, Png, Pnm, Tiff};
use proptest::prelude::*;
use std::io::Cursor;

fn image(Size { height, width }: Size, channels: usize, depth: Depth) -> Raster {
    let plane = |channel: usize| {
        let level = |i: usize| ((i * 37 + channel * 11) % 256) as f32 * 0.997;
        GreyImage::new(height, width, (0..height * width).map(level).collect()).unwrap()
    };
    Raster::of_planes((0..channels).map(plane).collect(), depth).unwrap()
}

/// All rows of a file, so many at a time.
fn by_rows(format: ImageFormat, bytes: &[u8], rows: usize) -> Result<(Raster, bool), ImageError> {
    let mut reader = RowReader::open(format, Cursor::new(bytes), None)?;
    let (Size { height, width }, channels) = (reader.size(), reader.channels());
    let mut planes = vec![Vec::new(); channels];
    while planes[0].len() < height * width {
        reader.read(rows, &mut planes)?;
    }
    reader.read(rows, &mut planes)?;
    let planes = planes.into_iter().map(|pixels| GreyImage::new(height, width, pixels));
    let image = Raster::of_planes(planes.collect::<Result<_, _>>()?, reader.depth())?;
    Ok((image, reader.is_whole()))
}

/// By the decoders of whole images, which have nothing to do with those by rows.
fn decode(format: ImageFormat, bytes: &[u8]) -> Result<Raster, ImageError> {
    match format {
        Npy => crate::read::npy::decode(bytes),
        Dicom => format.decode(bytes),
        _ => crate::read::container::decode(format, bytes),
    }
}

#[track_caller]
fn same(format: ImageFormat, bytes: &[u8], whole: bool) {
    let expected = decode(format, bytes).unwrap();
    assert!(format.decode(bytes).unwrap() == expected, "{format}, all of them");
    for rows in [1, 3, 100] {
        let (found, was_whole) = by_rows(format, bytes, rows).unwrap();
        assert!(found == expected, "{format}, {rows} rows at a time");
        assert_eq!(was_whole, whole, "{format}");
    }
}

fn encoded(format: ImageFormat, image: &Raster) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(format, image, &mut bytes).unwrap();
    bytes
}

#[test]
fn rows_are_those_of_the_whole_image() {
    for size in [Size::new(1, 1), Size::new(7, 5), Size::new(13, 300)] {
        for channels in [1, 3] {
            for depth in [Depth::Eight, Depth::Sixteen] {
                let image = image(size, channels, depth);
                for format in [Png, Pnm, Tiff] {
                    same(format, &encoded(format, &image), false);
                }
            }
        }
        for channels in [1, 3] {
            same(Npy, &encoded(Npy, &image(size, channels, Depth::Float)), false);
        }
        same(Bmp, &encoded(Bmp, &image(size, 3, Depth::Eight)), true);
    }
}

/// Three equal planes are one, in every pixel.
#[test]
fn grey_in_colour_is_grey() {
    let grey = image(Size::new(6, 5), 1, Depth::Eight);
    let samples: Vec<u8> = grey.planes()[0].to_u8().into_iter().flat_map(|v| [v; 3]).collect();
    let ppm = |samples: &[u8]| [b"P6 5 6 255\n", samples].concat();
    same(Pnm, &ppm(&samples), false);
    let reader = RowReader::open(Pnm, Cursor::new(ppm(&samples)), None).unwrap();
    assert_eq!(reader.channels(), 1);
    let mut last = samples;
    *last.last_mut().unwrap() ^= 1;
    same(Pnm, &ppm(&last), false);
    let reader = RowReader::open(Pnm, Cursor::new(ppm(&last)), None).unwrap();
    assert_eq!(reader.channels(), 3);
}

#[test]
fn every_kind_of_array() {
    let values: Vec<f64> = (0..12).map(|i| f64::from(i) * 1.5 - 3.0).collect();
    let file = |descr: &str, order: &str, data: Vec<u8>| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': (3, 4), }}\n");
        let length = (text.len() as u16).to_le_bytes();
        let longer = (text.len() as u32).to_le_bytes();
        [
            [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes(), &data].concat(),
            [&b"\x93NUMPY\x02\x00"[..], &longer, text.as_bytes(), &data].concat(),
        ]
    };
    let f4 = |to: fn(f32) -> [u8; 4]| values.iter().flat_map(|v| to(*v as f32)).collect::<Vec<_>>();
    let f8 = |to: fn(f64) -> [u8; 8]| values.iter().flat_map(|v| to(*v)).collect::<Vec<_>>();
    for (descr, data) in [
        ("<f4", f4(f32::to_le_bytes)),
        (">f4", f4(f32::to_be_bytes)),
        ("<f8", f8(f64::to_le_bytes)),
        (">f8", f8(f64::to_be_bytes)),
        ("|u1", (0..12).collect()),
    ] {
        file(descr, "False", data.clone()).iter().for_each(|f| same(Npy, f, false));
        file(descr, "True", data).iter().for_each(|f| same(Npy, f, true));
    }
    for (at, value) in [(7, f64::NAN), (11, 1e300)] {
        let mut values = values.clone();
        values[at] = value;
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let [file, _] = file("<f8", "False", bytes);
        let whole = decode(Npy, &file).unwrap_err().to_string();
        assert_eq!(by_rows(Npy, &file, 2).unwrap_err().to_string(), whole);
    }
}

#[test]
fn headers_of_pgm_are_read_alike() {
    let pixels = [7u8; 12];
    for header in [
        "P5\n4 3\n255\n",
        "P5 #c\n# more\n4\t3 #x\n 255\r",
        "P5\n004 1#c\n2\n255 ",
        "P5 4 3 255#c\n ",
    ] {
        // A comment ends no number: twelve rows.
        let times = if header.contains("1#c") { 4 } else { 1 };
        same(Pnm, &[header.as_bytes(), &pixels.repeat(times)].concat(), false);
    }
    // Other levels than 8 or 16 bits hold, and the first that is above what is said to be the most.
    for most in [1u16, 3, 100, 254, 256, 1023, 4095, 65534] {
        let file = |last: u16| {
            let values = (0..12).map(|i| if i == 11 { last } else { (i * 5461) % (most + 1) });
            let samples: Vec<u8> = match most {
                0..=255 => values.map(|v| v as u8).collect(),
                _ => values.flat_map(u16::to_be_bytes).collect(),
            };
            [format!("P5 4 3 {most}\n").as_bytes(), &samples].concat()
        };
        same(Pnm, &file(most), false);
        for error in [decode(Pnm, &file(most + 1)), by_rows(Pnm, &file(most + 1), 2).map(|f| f.0)] {
            let error = error.unwrap_err();
            let last = matches!(error, ImageError::AboveMost { row: 2, column: 3, .. });
            assert!(last, "{error}");
        }
    }
    let picture = [&b"P5 4 3 255\n"[..], &[7; 12]].concat();
    let two = [&picture[..], &picture].concat();
    for (file, several) in [(two, true), ([&picture[..], b"12345"].concat(), false)] {
        for error in [decode(Pnm, &file), by_rows(Pnm, &file, 2).map(|found| found.0)] {
            let error = error.unwrap_err();
            assert_eq!(matches!(error, ImageError::Several { .. }), several, "{error}");
            assert_eq!(matches!(error, ImageError::Trailing { bytes: 5, .. }), !several, "{error}");
        }
    }
    // Text.
    same(Pnm, b"P2 4 3 255\n7 7 7 7 7 7 7 7 7 7 7 7 ", true);
    for bad in
        ["P5 4 x 255\n", "P5 4 3", "P5 4 99999999999 255\n", "P5 0 3 255\n", "P5 4 3 0\n", "P5"]
    {
        let bytes = [bad.as_bytes(), &[][..]].concat();
        assert!(by_rows(Pnm, &bytes, 1).is_err() && decode(Pnm, &bytes).is_err(), "{bad}");
    }
}

fn png(image: &Raster, edit: impl FnOnce(&mut ::png::Info<'_>)) -> Vec<u8> {
    let mut info = ::png::Info::with_size(image.width() as u32, image.height() as u32);
    info.color_type = ::png::ColorType::Grayscale;
    edit(&mut info);
    let mut bytes = Vec::new();
    let encoder = ::png::Encoder::with_info(&mut bytes, info).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&image.planes()[0].to_u8()).unwrap();
    writer.finish().unwrap();
    bytes
}

/// EXIF that says: turn it by a quarter.
fn exif() -> Vec<u8> {
    let entry = [&[0x12, 0x01, 3, 0][..], &1u32.to_le_bytes(), &[6, 0, 0, 0]].concat();
    [&b"II\x2a\0"[..], &8u32.to_le_bytes(), &[1, 0], &entry, &[0; 4]].concat()
}

#[test]
fn turned_images_are_decoded_whole() {
    let image = image(Size::new(4, 6), 1, Depth::Eight);
    same(Png, &png(&image, |_| ()), false);
    let turned = png(&image, |info| info.exif_metadata = Some(exif().into()));
    assert_eq!(decode(Png, &turned).unwrap().height(), 6, "it is turned");
    same(Png, &turned, true);
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    let mut page = encoder.new_image::<colortype::Gray8>(6, 4).unwrap();
    page.encoder().write_tag(::tiff::tags::Tag::Orientation, 6u16).unwrap();
    page.write_data(&image.planes()[0].to_u8()).unwrap();
    assert_eq!(decode(Tiff, bytes.get_ref()).unwrap().height(), 6, "it is turned");
    same(Tiff, bytes.get_ref(), true);
}

/// The first pass of an interlaced image would be handed out as its first rows.
#[test]
fn interlaced_images_are_decoded_whole() {
    // One pixel has one pass: the header alone differs.
    let one = image(Size::new(1, 1), 1, Depth::Eight);
    let mut bytes = png(&one, |_| ());
    bytes[28] = 1;
    let check = crc(&bytes[12..29]).to_be_bytes();
    bytes[29..33].copy_from_slice(&check);
    same(Png, &bytes, true);
}

/// The check value of PNG's chunks.
fn crc(bytes: &[u8]) -> u32 {
    let step = |c: u32| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
    !bytes.iter().fold(!0, |c, &byte| (0..8).fold(c ^ u32::from(byte), |c, _| step(c)))
}

fn tiff_with<T>(
    compression: Compression,
    rows: u32,
    predictor: bool,
    pixels: &[T::Inner],
) -> Vec<u8>
where
    T: colortype::ColorType,
    [T::Inner]: ::tiff::encoder::TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap().with_compression(compression);
    if predictor {
        encoder = encoder.with_predictor(::tiff::tags::Predictor::Horizontal);
    }
    let mut page = encoder.new_image::<T>(9, 13).unwrap();
    page.rows_per_strip(rows).unwrap();
    page.write_data(pixels).unwrap();
    bytes.into_inner()
}

#[test]
fn strips_of_every_compression() {
    let grey: Vec<u8> = (0..117).map(|i| (i * 31 % 251) as u8).collect();
    let deep: Vec<u16> = (0..117).map(|i| (i * 5077 % 65521) as u16).collect();
    let rgb: Vec<u16> = (0..351).map(|i| (i * 5077 % 65521) as u16).collect();
    let methods = [
        Compression::Uncompressed,
        Compression::Lzw,
        Compression::Deflate(Default::default()),
        Compression::Packbits,
    ];
    for method in methods {
        for rows in [1, 4, 13] {
            for predictor in [false, true] {
                same(Tiff, &tiff_with::<colortype::Gray8>(method, rows, predictor, &grey), false);
                same(Tiff, &tiff_with::<colortype::Gray16>(method, rows, predictor, &deep), false);
                same(Tiff, &tiff_with::<colortype::RGB16>(method, rows, predictor, &rgb), false);
            }
        }
    }
}

/// A file of little-endian numbers, its directory behind the samples.
fn tiff_of(tags: &[(u16, u16, Vec<u32>)], data: &[u8]) -> Vec<u8> {
    let mut bytes = [&b"II\x2a\0"[..], &(8 + data.len() as u32).to_le_bytes(), data].concat();
    let mut outside = Vec::new();
    let end = bytes.len() + 2 + 12 * tags.len() + 4;
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, values) in tags {
        let width = if *kind == 3 { 2 } else { 4 };
        let encoded: Vec<u8> =
            values.iter().flat_map(|v| v.to_le_bytes()[..width].to_vec()).collect();
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend((values.len() as u32).to_le_bytes());
        if encoded.len() <= 4 {
            bytes.extend(encoded.iter().chain(&[0; 4]).take(4));
        } else {
            bytes.extend(((end + outside.len()) as u32).to_le_bytes());
            outside.extend(encoded);
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(outside);
    bytes
}

/// An image of 35 x 40 in tiles of 16 x 16, the outer ones filled up.
#[test]
fn tiles_of_tiff_are_put_together() {
    let data: Vec<u8> = (0..9 * 256).map(|i| (i * 7 % 253) as u8).collect();
    let tiled = |photometric, more: &[(u16, u16, Vec<u32>)]| {
        let mut tags = vec![
            (256, 4, vec![40]),
            (257, 4, vec![35]),
            (258, 3, vec![8]),
            (259, 3, vec![1]),
            (262, 3, vec![photometric]),
            (277, 3, vec![1]),
        ];
        tags.extend_from_slice(more);
        tags.push((322, 4, vec![16]));
        tags.push((323, 4, vec![16]));
        tags.push((324, 4, (0..9).map(|i| 8 + 256 * i).collect()));
        tags.push((325, 4, vec![256; 9]));
        tiff_of(&tags, &data)
    };
    same(Tiff, &tiled(1, &[]), false);
    let (black, white) = (tiled(1, &[]), tiled(0, &[]));
    same(Tiff, &white, false);
    assert!(decode(Tiff, &black).unwrap() != decode(Tiff, &white).unwrap());
    same(Tiff, &tiled(1, &[(284, 3, vec![2])]), true);
}

#[test]
fn damage_is_found_no_later_than_the_last_row() {
    for format in [Png, Pnm, Tiff, Npy] {
        let channels = 3;
        let depth = if format == Npy { Depth::Float } else { Depth::Eight };
        let bytes = encoded(format, &image(Size::new(5, 6), channels, depth));
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            if let Ok((found, _)) = by_rows(format, cut, 2) {
                assert!(decode(format, cut).unwrap() == found, "{format}, {length} bytes");
            }
        }
    }
}

#[test]
fn formats_without_rows_are_decoded_whole() {
    let fixture = |name: &str| {
        std::fs::read(format!("{}/../../fixtures/dicom/{name}", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
    };
    same(Dicom, &fixture("ct.dcm"), true);
    let mut jpeg = Vec::new();
    let mut encoder = ::image::codecs::jpeg::JpegEncoder::new(&mut jpeg);
    encoder.encode(&[90; 35], 7, 5, ::image::ExtendedColorType::L8).unwrap();
    same(Jpeg, &jpeg, true);
}

/// More than an image that is decoded whole may have: only a scan by rows.
#[test]
fn scans_larger_than_an_image_are_read() {
    struct Endless {
        header: Vec<u8>,
        at: u64,
        length: u64,
    }
    impl Read for Endless {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX);
            let count = bytes.len().min(left);
            for byte in &mut bytes[..count] {
                *byte = self.header.get(self.at as usize).copied().unwrap_or(self.at as u8);
                self.at += 1;
            }
            Ok(count)
        }
    }
    impl Seek for Endless {
        fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
            self.at = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::End(by) => self.length.saturating_add_signed(by),
                SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            };
            Ok(self.at)
        }
    }
    let side = 1usize << 17;
    let header = format!("P5 {side} {side} 255\n").into_bytes();
    let length = header.len() as u64 + (side * side) as u64;
    let file = Endless { header, at: 0, length };
    let mut reader = RowReader::open(Pnm, file, None).unwrap();
    assert_eq!(reader.size(), Size::new(side, side));
    let mut planes = [Vec::new()];
    reader.read(2, &mut planes).unwrap();
    assert_eq!(planes[0].len(), 2 * side);
    let begin = 21;
    assert_eq!(planes[0][..3], [begin, begin + 1, begin + 2].map(|v| v as f32));
}

proptest! {
    /// Whatever is wrong: no panic, and what both decoders take is the same image.
    #[test]
    fn damaged_files_are_read_alike(
        at: prop::sample::Index, value: u8, cut: prop::sample::Index, colour: bool,
    ) {
        for format in [Png, Pnm, Tiff, Npy] {
            let channels = if colour { 3 } else { 1 };
            let good = encoded(format, &image(Size::new(4, 5), channels, Depth::Sixteen));
            let mut bad = good.clone();
            bad[at.index(good.len())] = value;
            for bytes in [&bad[..], &good[..cut.index(good.len())], &bad[..cut.index(good.len())]] {
                if let (Ok((found, _)), Ok(whole)) = (by_rows(format, bytes, 3), decode(format, bytes)) {
                    prop_assert!(found == whole, "{}", format);
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(tail: Vec<u8>) {
        for start in [&b"\x89PNG\r\n\x1a\n"[..], b"\x93NUMPY\x01\x00", b"P5 ", b"II\x2a\0", b"MM\0\x2b", b""] {
            for format in ImageFormat::ALL {
                let _ = by_rows(format, &[start, &tail].concat(), 2);
            }
        }
    }
}
