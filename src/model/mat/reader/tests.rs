//! Files that are written here, good and bad.

use super::*;
use std::io::Write;

fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend_from_slice(data);
    bytes.resize(8 + padded(data.len()), 0);
    bytes
}

/// An element of up to 4 bytes in its own tag.
fn small(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = (kind | (data.len() as u32) << 16).to_le_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(8, 0);
    bytes
}

fn array(name: &str, class: u8, sides: [usize; 2], parts: &[u8]) -> Vec<u8> {
    let flags = [u32::from(class), 0].map(u32::to_le_bytes).concat();
    let sides = sides.map(|s| (s as i32).to_le_bytes()).concat();
    let name = name.as_bytes();
    let name =
        if name.len() <= 4 && !name.is_empty() { small(INT8, name) } else { element(INT8, name) };
    let body = [element(UINT32, &flags), element(INT32, &sides), name, parts.to_vec()].concat();
    element(MATRIX, &body)
}

/// A matrix of doubles, column by column.
pub(in super::super) fn matrix(name: &str, rows: usize, columns: usize, values: &[f64]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    array(name, DOUBLE_CLASS, [rows, columns], &element(9, &data))
}

/// A row of cells.
pub(in super::super) fn cell(name: &str, matrices: &[Vec<u8>]) -> Vec<u8> {
    array(name, CELL_CLASS, [1, matrices.len()], &matrices.concat())
}

pub(in super::super) fn compressed(variable: &[u8]) -> Vec<u8> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(variable).unwrap();
    let data = zlib.finish().unwrap();
    let mut bytes = [COMPRESSED.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    // Compressed elements are not padded.
    bytes.extend(data);
    bytes
}

pub(in super::super) fn file(variables: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".to_vec();
    bytes.resize(124, b' ');
    bytes.extend([0, 1, b'I', b'M']);
    bytes.extend(variables.concat());
    bytes
}

fn only(bytes: &[u8]) -> Matrix {
    match read(bytes).unwrap().pop().unwrap().contents {
        Contents::Matrix(matrix) => matrix,
        Contents::Cell(_) | Contents::Other(..) => panic!("no matrix"),
    }
}

#[test]
fn numbers_come_in_every_type() {
    let stored = |kind, data: &[u8]| {
        let data = if data.len() <= 4 { small(kind, data) } else { element(kind, data) };
        let matrix = only(&file(&[array("w_1", SINGLE_CLASS, [2, 1], &data)]));
        [matrix.at(0, 0), matrix.at(1, 0)]
    };
    assert_eq!(stored(1, &[3, 0xfe]), [3.0, -2.0]);
    assert_eq!(stored(2, &[3, 0xfe]), [3.0, 254.0]);
    assert_eq!(stored(3, &[1, 0, 0xff, 0xff]), [1.0, -1.0]);
    assert_eq!(stored(7, &[1.5f32, -2.5].map(f32::to_le_bytes).concat()), [1.5, -2.5]);
    assert_eq!(stored(12, &[7i64, -9].map(i64::to_le_bytes).concat()), [7.0, -9.0]);
}

#[test]
fn other_arrays_are_passed_over() {
    let text = array("t", 4, [1, 2], &small(4, &[65, 0, 66, 0]));
    let bytes = file(&[text, element(77, b"unknown!"), matrix("w_1", 1, 1, &[5.0])]);
    assert_eq!(only(&bytes).at(0, 0), 5.0);
    // A cell array inside a cell array is none of matrices.
    let nested = cell("w", &[cell("", &[matrix("", 1, 1, &[1.0])])]);
    let found = read(&file(&[nested])).unwrap().pop().unwrap();
    assert!(matches!(found.contents, Contents::Other(CELL_CLASS, _)) && found.name == "w");
}

#[test]
fn promises_that_the_file_does_not_keep_are_refused() {
    let refused = |bytes: &[u8]| read(bytes).err().unwrap();
    assert!(refused(b"MATLAB").contains("too short"));
    assert!(refused(b"\x89HDF\r\n\x1a\n").contains("-v7"));
    assert!(refused(&[0; 200]).contains("level 5"));
    let mut big = file(&[]);
    big[124..].copy_from_slice(&[1, 0, b'M', b'I']);
    assert!(refused(&big).contains("big-endian"));
    let huge = array("w_1", DOUBLE_CLASS, [60_000, 1_000], &element(9, &[0; 64]));
    assert!(refused(&file(&[huge])).contains("64 bytes of numbers, expected 480000000"));
    let wide = array("w_1", DOUBLE_CLASS, [1, 70_000], &[]);
    assert!(refused(&file(&[wide])).contains("1x70000"));
    let many = array("w_1", DOUBLE_CLASS, [60_000, 5_000], &[]);
    assert!(refused(&file(&[many])).contains("60000x5000"));
    // A tag that promises what the array around it has no room for.
    let mut longer = matrix("w_1", 1, 2, &[1.0, 2.0]);
    let length = longer.len() - 8;
    longer[4..8].copy_from_slice(&(length as u32 - 8).to_le_bytes());
    assert!(refused(&file(&[longer[..length].to_vec()])).contains("longer than its array"));
    // The same in compressed data, where the length of the data is not known beforehand.
    let huge = array(
        "w_1",
        DOUBLE_CLASS,
        [60_000, 1_000],
        &[element(9, &[])[..4].to_vec(), 480_000_000u32.to_le_bytes().to_vec()].concat(),
    );
    let mut huge = huge;
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(&file(&[compressed(&huge)])).contains("cut off or damaged"));
    let mut broken = compressed(&matrix("w_1", 1, 2, &[1.0, 2.0]));
    broken[12] ^= 0xff;
    assert!(read(&file(&[broken])).is_err());
}
