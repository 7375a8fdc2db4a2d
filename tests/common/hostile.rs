//! Files that are small and ask for much.

// Every test program uses a part of it, and none sees it from outside.
#![allow(dead_code, unreachable_pub)]

use flate2::{Compression, write::ZlibEncoder};
use std::io::Write;

fn segment(out: &mut Vec<u8>, marker: u8, bytes: &[u8]) {
    out.extend([0xff, marker]);
    out.extend((bytes.len() as u16 + 2).to_be_bytes());
    out.extend(bytes);
}

/// A progressive JPEG of one grey, with one scan of its means and `scans` more that add nothing and
/// take 12 bytes each.
pub fn progressive_jpeg((height, width): (u16, u16), scans: usize) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8];
    segment(&mut out, 0xdb, &[&[0][..], &[1; 64]].concat());
    let (h, w) = (height.to_be_bytes(), width.to_be_bytes());
    segment(&mut out, 0xc2, &[8, h[0], h[1], w[0], w[1], 1, 1, 0x11, 0]);
    let blocks = usize::from(height).div_ceil(8) * usize::from(width).div_ceil(8);
    // One code each, of one bit: no difference, and as many blocks without coefficients as a power of two
    // has, at most 2^14.
    let many = blocks.ilog2().min(14) as u8;
    for (class, symbol) in [(0x00, 0x00), (0x10, many << 4)] {
        segment(&mut out, 0xc4, &[&[class, 1][..], &[0; 15], &[symbol]].concat());
    }
    segment(&mut out, 0xda, &[1, 1, 0, 0, 0, 0]);
    out.extend(vec![0; blocks / 8]);
    if blocks % 8 > 0 {
        out.push(0xff >> (blocks % 8));
    }
    for _ in 0..scans {
        segment(&mut out, 0xda, &[1, 1, 0, 1, 63, 0]);
        out.extend([0x00, 0x00]);
    }
    out.extend([0xff, 0xd9]);
    out
}

/// `fixtures/dicom/ct-jpeg.dcm` with another picture of 8 bits, whose stream is in the transfer syntax
/// that ends in `.4.NN`.
pub fn scan_with(syntax: &[u8; 2], (height, width): (u16, u16), stream: &[u8]) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/dicom/ct-jpeg.dcm");
    let mut file = std::fs::read(path).unwrap();
    let behind = |file: &[u8], text: &[u8]| {
        file.windows(text.len()).position(|w| w == text).unwrap() + text.len()
    };
    let at = behind(&file, b"1.2.840.10008.1.2.4.");
    file[at..at + 2].copy_from_slice(syntax);
    for (number, value) in
        [(0x10, height), (0x11, width), (0x100, 8), (0x101, 8), (0x102, 7), (0x103, 0)]
    {
        let tag = u16::to_le_bytes(number);
        let at = behind(&file, &[0x28, 0, tag[0], tag[1], b'U', b'S', 2, 0]);
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    let at = file.windows(4).position(|w| w == [0xe0, 0x7f, 0x10, 0]).unwrap();
    file.truncate(at);
    let mut stream = stream.to_vec();
    if !stream.len().is_multiple_of(2) {
        stream.push(0);
    }
    file.extend(b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0");
    file.extend((stream.len() as u32).to_le_bytes());
    file.extend(stream);
    file.extend(b"\xfe\xff\xdd\xe0\0\0\0\0");
    file
}

/// A PNG of 16 x 16 pixels with a colour profile that inflates to `inflated` zeros.
pub fn png_with_profile(inflated: usize) -> Vec<u8> {
    let packed = |bytes: &[u8]| {
        let mut zip = ZlibEncoder::new(Vec::new(), Compression::best());
        zip.write_all(bytes).unwrap();
        zip.finish().unwrap()
    };
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], bytes: &[u8]| {
        let whole = [&kind[..], bytes].concat();
        out.extend((bytes.len() as u32).to_be_bytes());
        out.extend(&whole);
        out.extend(crc(&whole).to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 0, 16, 0, 0, 0, 16, 8, 0, 0, 0, 0]);
    chunk(b"iCCP", &[b"a\0\0", &packed(&vec![0; inflated])[..]].concat());
    chunk(b"IDAT", &packed(&[0; 16 * 17]));
    chunk(b"IEND", &[]);
    out
}

/// The check value of a chunk (PNG, annex D).
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let bit = |c: u32, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
        (0..8).fold(crc ^ u32::from(*byte), bit)
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// A TIFF with these entries (tag, kind, number of values, value or place) and `rest` behind them.
pub fn tiff(entries: &[(u16, u16, u32, u32)], rest: &[u8]) -> Vec<u8> {
    let mut out = b"II\x2a\0\x08\0\0\0".to_vec();
    out.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        out.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    out.extend([0; 4]);
    out.extend(rest);
    out
}

/// A grey TIFF of 16 x 16 pixels in one strip, which is this JPEG stream.
pub fn tiff_of_jpeg(stream: &[u8]) -> Vec<u8> {
    let place = 8 + 2 + 9 * 12 + 4;
    let length = stream.len() as u32;
    let entries = [
        (256, 3, 1, 16),
        (257, 3, 1, 16),
        (258, 3, 1, 8),
        (259, 3, 1, 7),
        (262, 3, 1, 1),
        (273, 4, 1, place),
        (277, 3, 1, 1),
        (278, 3, 1, 16),
        (279, 4, 1, length),
    ];
    tiff(&entries, stream)
}
