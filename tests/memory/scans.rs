//! Images larger than memory: cutting into tiles and joining them keep to their bounds.

use crate::counting::peak;
use ppdenoise::internals::model::{
    LevelMap, Method, PublicModel, QuantiseOptions, encode_image, load_npz, quantise,
};
use ppdenoise_base::numbers::ring::RingBits;
use ppdenoise_base::size::Position;
use ppdenoise_base::size::Size;
use ppdenoise_image::{
    Cut, Cutter, Depth, GreyImage, ImageFormat, Joiner, RowReader, StripWriter, Tiling,
};
use std::io::{Cursor, Read, Seek, SeekFrom};

/// Buffers of a fixed size.
const SLACK: usize = 256 << 10;
/// What packing and unpacking of PNG takes, whatever the image.
const DEFLATE: usize = 512 << 10;

/// A PGM that is nowhere: a header, and pixels that follow from their places.
struct Endless {
    header: Vec<u8>,
    at: u64,
    length: u64,
}

impl Endless {
    fn new(Size { height, width }: Size, bytes: usize) -> Endless {
        let most = if bytes == 2 { 65535 } else { 255 };
        let header = format!("P5 {width} {height} {most}\n").into_bytes();
        let length = (header.len() + height * width * bytes) as u64;
        Endless { header, at: 0, length }
    }
}

impl Read for Endless {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = bytes.len().min((self.length - self.at) as usize);
        for byte in &mut bytes[..count] {
            *byte = self.header.get(self.at as usize).copied().unwrap_or((self.at >> 3) as u8);
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

/// Cuts a file into tiles and encodes each, as `share-image --tile` does; the bytes in use at a time.
fn cut_and_encode<F: Read + Seek>(
    format: ImageFormat,
    file: F,
    cut: Cut,
    public: &PublicModel,
) -> usize {
    let levels = LevelMap::new(public.units, 1.0);
    let (used, tiles) = peak(|| {
        let rows = RowReader::open(format, file, None).unwrap();
        assert!(!rows.is_whole());
        let (mut cutter, mut tiles) = (Cutter::new(rows, cut).unwrap(), 0);
        while cutter.advance().unwrap().is_some() {
            for column in 0..cut.tiling().counts().width {
                let tile = cutter.tile(column, 0).unwrap();
                let encoded = encode_image(public, &tile, &levels).pixels;
                assert_eq!(encoded.len(), cut.tile().height * cut.tile().width);
                tiles += 1;
            }
        }
        tiles
    });
    assert_eq!(tiles, cut.tiling().count());
    used
}

/// The stated bound: the rows of a row of tiles, 4 bytes a pixel, and a tile as levels and as
/// integers, whatever the height.
#[test]
fn scans_are_cut_within_the_memory_of_a_row_of_tiles() {
    let npz = std::fs::File::open("fixtures/models/tiny-9-5-24.npz").unwrap();
    let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
    let public = quantise(&load_npz(npz, None).unwrap(), &options).unwrap().public;
    let bound = |cut: &Cut, width: usize| {
        let Size { height: rows, width: columns } = cut.tile();
        4 * rows * width + (4 + 8) * rows * columns + SLACK
    };
    for (size, side, bytes) in [(Size::new(200_000, 64), 1024, 2), (Size::new(1024, 4096), 128, 1)]
    {
        let cut = Cut::new(size, side, public.network.reach()).unwrap().unwrap();
        let bound = bound(&cut, size.width);
        let used = cut_and_encode(ImageFormat::Pnm, Endless::new(size, bytes), cut, &public);
        assert!(used <= bound, "{size:?}: {used} bytes in use at a time, at most {bound}");
        assert!(bound < 4 * size.pixels() / 4, "a quarter of the whole would be no bound");
    }
    // Compressed, and in strips.
    let size = Size::new(20_000, 64);
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Npy] {
        let mut out = StripWriter::new(format, size, 1, Depth::Eight, Vec::new()).unwrap();
        let band: Vec<f32> = (0..1000 * 64).map(|i| (i * 7 % 251) as f32).collect();
        (0..20).for_each(|_| out.write(&[&band]).unwrap());
        let file = out.finish().unwrap();
        let cut = Cut::new(size, 1024, public.network.reach()).unwrap().unwrap();
        let deflate = if format == ImageFormat::Png { DEFLATE } else { 0 };
        let bound = bound(&cut, size.width) + deflate;
        let used = cut_and_encode(format, Cursor::new(&file), cut, &public);
        assert!(used <= bound, "{format}: {used} bytes in use at a time, at most {bound}");
    }
}

/// The rows of a row of cores, 4 bytes a pixel, beside the tile that is given.
#[test]
fn tiles_are_joined_within_the_memory_of_a_row_of_cells() {
    let joined = |format, size: Size, side: usize, tile: &GreyImage| {
        let core = size.map(|whole| side.min(whole));
        let tiling = Tiling::new(size, core).unwrap();
        let (used, ()) = peak(|| {
            let sink = std::io::sink();
            let mut joiner = Joiner::new(format, tiling, 1, Depth::Sixteen, sink).unwrap();
            let Size { height: rows, width: columns } = tiling.counts();
            for _ in 0..rows {
                (0..columns).for_each(|c| joiner.put(c, 0, tile, Position::new(3, 0)).unwrap());
                joiner.end_row().unwrap();
            }
            joiner.finish().unwrap();
        });
        let deflate = if format == ImageFormat::Png { DEFLATE } else { 0 };
        (used, 4 * core.height * size.width + SLACK + deflate)
    };
    let pixels = |count: usize| (0..count).map(|i| (i * 7 % 251) as f32).collect();
    let narrow = GreyImage::new(1030, 64, pixels(1030 * 64)).unwrap();
    let square = GreyImage::new(131, 128, pixels(131 * 128)).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Pnm, ImageFormat::Tiff, ImageFormat::Npy] {
        for (size, side, tile) in
            [(Size::new(20_000, 64), 1024, &narrow), (Size::new(512, 4096), 128, &square)]
        {
            let (used, bound) = joined(format, size, side, tile);
            assert!(used <= bound, "{format}, {size:?}: {used} bytes in use, at most {bound}");
            assert!(used >= 4 * side * size.width, "the row of cores is counted");
        }
    }
}
