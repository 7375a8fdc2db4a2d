use super::*;
use crate::{GreyImage, Raster, read, write};
use ImageFormat::{Bmp, Npy, Png, Pnm, Tiff};
use proptest::prelude::*;

fn image(size: Size, channels: usize, depth: Depth) -> Raster {
    let plane = |channel: usize| {
        // Levels beyond both ends, and between two steps.
        let level = |i: usize| ((i * 37 + channel * 11) % 300) as f32 * 1.013 - 20.0;
        GreyImage::new(size.height, size.width, (0..size.pixels()).map(level).collect()).unwrap()
    };
    Raster::of_planes((0..channels).map(plane).collect(), depth).unwrap()
}

/// The file of an image that is written in bands of some rows.
fn in_bands(format: ImageFormat, image: &Raster, rows: usize) -> Result<Vec<u8>, ImageError> {
    let (size, channels) = (image.size(), image.planes().len());
    let mut out = StripWriter::new(format, size, channels, image.depth(), Vec::new())?;
    for first in (0..size.height).step_by(rows) {
        let part = first * size.width..size.height.min(first + rows) * size.width;
        let planes: Vec<_> = image.planes().iter().map(|p| &p.pixels()[part.clone()]).collect();
        out.write(&planes)?;
    }
    out.finish()
}

proptest! {
    #[test]
    fn files_are_those_that_are_written_at_once(
        height in 1usize..30, width in 1usize..30, rows in 1usize..12, colour: bool,
    ) {
        for format in [Png, Pnm, Tiff, Npy] {
            for depth in [Depth::Eight, Depth::Sixteen, Depth::Float] {
                let channels = if colour { 3 } else { 1 };
                let image = image(Size::new(height, width), channels, depth);
                let mut expected = Vec::new();
                write(format, &image, &mut expected).unwrap();
                let found = in_bands(format, &image, rows).unwrap();
                let [expected, found] = [expected, found].map(|f| read(format, &f[..]).unwrap());
                prop_assert!(found == expected, "{} {:?}", format, depth);
            }
        }
    }
}

/// What 32-bit offsets cannot reach, made small.
#[test]
fn big_tiff_files_are_read() {
    for (channels, sample, depth) in
        [(1, Sample::Eight, Depth::Eight), (3, Sample::SixteenLittle, Depth::Sixteen)]
    {
        let image = image(Size::new(5, 7), channels, depth).rounded();
        let layout = Layout { height: 5, width: 7, channels, sample };
        assert!(!tiff::is_big(layout));
        assert!(tiff::is_big(Layout { height: 1 << 30, ..layout }));
        let mut bytes = Vec::new();
        tiff::begin(layout, true, &mut bytes).unwrap();
        for i in 0..35 {
            image.planes().iter().for_each(|plane| push(sample, plane.pixels()[i], &mut bytes));
        }
        assert_eq!(bytes[2], 43);
        assert!(read(Tiff, &bytes[..]).unwrap() == image);
    }
}

#[test]
fn several_strips_have_their_places() {
    // 1 MiB is 9 rows and a bit.
    let image = image(Size::new(40, 110_000), 1, Depth::Eight).rounded();
    let bytes = in_bands(Tiff, &image, 7).unwrap();
    assert!(read(Tiff, &bytes[..]).unwrap() == image);
}

#[test]
fn what_is_no_such_file_is_refused() {
    let grey = image(Size::new(4, 6), 1, Depth::Eight);
    assert!(matches!(in_bands(Bmp, &grey, 2), Err(ImageError::NotByRows { .. })));
    for format in [Png, Pnm, Tiff, Npy] {
        let mut out =
            StripWriter::new(format, Size::new(4, 6), 1, Depth::Eight, Vec::new()).unwrap();
        out.write(&[&[1.0; 12]]).unwrap();
        assert!(out.write(&[&[1.0; 7]]).is_err(), "no whole row");
        assert!(out.write(&[&[1.0; 18]]).is_err(), "more than are left");
        assert!(out.write(&[&[1.0; 6], &[1.0; 6]]).is_err(), "another plane");
        assert!(matches!(out.finish(), Err(ImageError::PixelCount { found: 12, .. })));
    }
}

/// A disk that is full after some bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.min(bytes.len()) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            count => {
                self.0 -= count;
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_wherever_it_happens() {
    let image = image(Size::new(20, 30), 1, Depth::Sixteen);
    for format in [Png, Pnm, Tiff, Npy] {
        let length = in_bands(format, &image, 20).unwrap().len();
        for room in 0..length {
            let written =
                StripWriter::new(format, Size::new(20, 30), 1, Depth::Sixteen, Full(room))
                    .and_then(|mut out| {
                        out.write(&[image.planes()[0].pixels()])?;
                        out.finish().map(drop)
                    });
            let Err(ImageError::Io(error)) = written else {
                panic!("{format}, {room} of {length} bytes: {written:?}");
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}
