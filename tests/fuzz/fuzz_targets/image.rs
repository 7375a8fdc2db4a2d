//! Images: PNG and .npy.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise::image::{GreyImage, ImageFormat, write};
use ppdenoise_fuzz::{memory::bounded, seeds};

// Both decoders, whatever the first bytes say: .npy takes what an element takes, PNG a thousand
// times that for its best compressed pixels, and its decoder 16 MiB.
fuzz_target!(init: seeds(images), |data: &[u8]| {
    for format in [ImageFormat::Png, ImageFormat::Npy] {
        let image = bounded((40 << 20) + 8 * 1032 * data.len(), || format.decode(data));
        let Ok(image) = image else { continue };
        let mut bytes = Vec::new();
        write(ImageFormat::Npy, &image, &mut bytes).expect("what was read can be written");
        assert!(ImageFormat::Npy.decode(&bytes).is_ok_and(|again| again == image));
    }
});

fn images() -> Vec<Vec<u8>> {
    let image = GreyImage::new(3, 5, (0..15).map(|i| i as f32 * 17.0).collect()).unwrap();
    let mut made: Vec<Vec<u8>> = [ImageFormat::Png, ImageFormat::Npy]
        .map(|format| {
            let mut bytes = Vec::new();
            write(format, &image, &mut bytes).unwrap();
            bytes
        })
        .to_vec();
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
