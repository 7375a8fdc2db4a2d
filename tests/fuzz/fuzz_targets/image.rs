//! Images: every format.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise_base::size::Size;
use ppdenoise_image::dicom::{Fresh, Window, decode, derive};
use ppdenoise_image::{GreyImage, ImageError, ImageFormat, Raster, RowReader, write};
use ppdenoise_base::network::MAX_PIXELS;
use ppdenoise_fuzz::{fixture, memory::bounded, seeds};
use std::io::Cursor;

// Every decoder, whatever the first bytes say: a byte may stand for a thousand pixels of three
// planes, and decoders have buffers of their own.
fuzz_target!(init: seeds(images), |data: &[u8]| {
    for format in ImageFormat::ALL {
        let bound = (64 << 20) + 32 * 1032 * data.len();
        let rows = bounded(bound, || by_rows(format, data));
        let image = bounded(bound, || format.decode(data));
        let Ok(image) = image else { continue };
        if let Ok(rows) = rows {
            // Rows know nothing of frames.
            let all = |image: &Raster| (image.planes().to_vec(), image.depth());
            assert_eq!(all(&rows), all(&image), "{format}: by rows and as a whole");
        }
        if format == ImageFormat::Dicom {
            derives(data, &image);
        }
        let mut bytes = Vec::new();
        for plane in image.planes() {
            let plane = plane.clone().into();
            bytes.clear();
            write(ImageFormat::Npy, &plane, &mut bytes).expect("what was read can be written");
            let again = ImageFormat::Npy.decode(&bytes).expect("what was written can be read");
            assert_eq!(again.planes(), plane.planes());
        }
    }
});

/// All rows of an image, a few at a time; none of a scan, which is larger than an image may be.
fn by_rows(format: ImageFormat, data: &[u8]) -> Result<Raster, ImageError> {
    let mut rows = RowReader::open(format, Cursor::new(data), None)?;
    let Size { height, width } = rows.size();
    if height.saturating_mul(width) > MAX_PIXELS {
        return Err(ImageError::TooLarge { height, width });
    }
    let mut planes = vec![Vec::new(); rows.channels()];
    for _ in 0..height.div_ceil(3) {
        rows.read(3, &mut planes)?;
    }
    let planes = planes.into_iter().map(|pixels| GreyImage::new(height, width, pixels));
    Raster::of_planes(planes.collect::<Result<_, _>>()?, rows.depth())
}

/// What was read is written and read again, and through a window too.
fn derives(data: &[u8], image: &Raster) {
    let again = derive(data, None, image, &Fresh::of_utc([1; 16], 0)).expect("what was read can be derived from");
    assert_eq!(&decode(&again, None).expect("what was derived can be read"), image);
    for window in [Window::OfFile, Window::Around { center: 40.0, width: 400.0 }] {
        let Ok(image) = decode(data, Some(window)) else { continue };
        let again = derive(data, Some(window), &image, &Fresh::of_utc([1; 16], 0)).expect("a window goes both ways");
        decode(&again, Some(window)).expect("what was derived has the same window");
    }
}

fn images() -> Vec<Vec<u8>> {
    let image = GreyImage::new(3, 5, (0..15).map(|i| i as f32 * 17.0).collect()).unwrap();
    let written = |format| {
        let mut bytes = Vec::new();
        write(format, &image.clone().into(), &mut bytes).ok().map(|()| bytes)
    };
    let mut made: Vec<Vec<u8>> = ImageFormat::ALL.into_iter().filter_map(written).collect();
    for name in [
        "ct",
        "ct-rle",
        "ct-jpeg",
        "ct-jls",
        "ct-near",
        "ct-j2k",
        "ct-extended",
        "frames",
        "mr",
        "xray",
    ] {
        made.push(fixture(&format!("dicom/{name}.dcm")));
    }
    for (kind, order, width) in [("<f8", "False", 8), ("|u1", "True", 1), (">f4", "True", 4)] {
        let text = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': (2, 3), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(vec![0; 6 * width]);
        made.push(bytes);
    }
    made
}
