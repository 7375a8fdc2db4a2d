//! Images in memory, and as all rows of a reader: what the gateway takes for an image, and for one in tiles.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Raster, RowReader, write};
use std::io::Cursor;

fn main() {
    divan::main();
}

const SIDES: [usize; 2] = [512, 2048];
const FORMATS: [ImageFormat; 4] =
    [ImageFormat::Png, ImageFormat::Pnm, ImageFormat::Tiff, ImageFormat::Npy];

/// A smooth picture with some texture, as a file of 8 bits (.npy: float).
fn file(format: ImageFormat, side: usize) -> Vec<u8> {
    let level = |i: usize| {
        let (y, x) = ((i / side) as f32, (i % side) as f32);
        (128.0 + 60.0 * (y / 37.0).sin() + 50.0 * (x / 23.0).cos() + (i * 7919 % 17) as f32).floor()
    };
    let grey = GreyImage::new(side, side, (0..side * side).map(level).collect());
    let depth = if format == ImageFormat::Npy { Depth::Float } else { Depth::Eight };
    let image = Raster::of_planes(vec![grey.expect("an image")], depth).expect("one plane");
    let mut bytes = Vec::new();
    write(format, &image, &mut bytes).expect("in memory");
    bytes
}

fn pixels(side: usize) -> ItemsCount {
    ItemsCount::new(side * side)
}

#[divan::bench(args = FORMATS, consts = SIDES)]
fn decode<const SIDE: usize>(bencher: Bencher<'_, '_>, format: ImageFormat) {
    let bytes = file(format, SIDE);
    let decode = || format.decode(black_box(&bytes)).expect("an image");
    bencher.counter(pixels(SIDE)).bench_local(decode);
}

#[divan::bench(args = FORMATS, consts = SIDES)]
fn reader<const SIDE: usize>(bencher: Bencher<'_, '_>, format: ImageFormat) {
    let bytes = file(format, SIDE);
    let decode = || {
        let rows = RowReader::open(format, Cursor::new(black_box(&bytes[..])), None);
        rows.and_then(RowReader::all).expect("an image")
    };
    bencher.counter(pixels(SIDE)).bench_local(decode);
}
