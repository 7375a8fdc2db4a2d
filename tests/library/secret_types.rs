//! Types that hold secrets print none of their content, and wipe what they hold.

use ppdenoise::internals::artefact::Note;
use ppdenoise::internals::files::keys::SecretKey;
use ppdenoise::internals::material::{Chunk, PartySeeds};
use ppdenoise::internals::model::{FloatLinear, IntLinear};
use ppdenoise::internals::wire::{Frame, Tag};
use ppdenoise_base::numbers::bits::Bits;
use ppdenoise_base::numbers::block::Block;
use ppdenoise_base::size::Size;
use ppdenoise_crypto::alarm::{AlarmHalf, AlarmHash, AlarmKey};
use ppdenoise_crypto::garble::hash::Hasher;
use ppdenoise_crypto::garble::{BlockStream, Colours, Delta, Garbler, Labels};
use ppdenoise_crypto::ot::pads::Shares;
use ppdenoise_crypto::prg::Seed;
use ppdenoise_crypto::secret::Secret;
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Sketch};
use ppdenoise_kernels::{AesBackend, PackedWeights, ReluShares};
use std::fmt::Debug;
use zeroize::ZeroizeOnDrop;

/// The content of every type below, as numbers of some width.
const MARK: u8 = 0xab;

/// How a number made of marks prints, in decimal and hexadecimal, signed and unsigned, as a float.
fn prints() -> Vec<String> {
    let wide = u64::from_le_bytes([MARK; 8]);
    let (half, long) = (wide as u32, u128::from_le_bytes([MARK; 16]));
    let mut prints = vec![MARK.to_string(), half.to_string(), wide.to_string(), long.to_string()];
    prints.extend([(half as i32).to_string(), (wide as i64).to_string(), "abab".into()]);
    prints.push(MARKED_FLOAT.to_string());
    prints
}

const MARKED_FLOAT: f32 = 0.8125;

fn hides(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        for print in prints() {
            assert!(!text.to_lowercase().contains(&print), "{print} in {text}");
        }
    }
}

fn sketch() -> Sketch {
    Sketch::of(Size::new(16, 16), vec![f64::from(MARK); 256], 25.0, [MARK; 32])
}

fn note() -> Note {
    let (name, format, depth) = (MARK.to_string(), ImageFormat::Png, Depth::Eight);
    Note {
        name,
        format,
        range: None,
        depth,
        channel: None,
        tile: None,
        turned: None,
        sketch: sketch(),
        scan: None,
        headers: vec![MARK; 9],
    }
}

/// The control: what has no opaque `Debug` is caught.
#[test]
fn marks_are_found_in_plain_types() {
    for plain in [
        format!("{:?}", [MARK; 4]),
        format!("{:?}", [u64::from_le_bytes([MARK; 8])]),
        format!("{:?}", [MARKED_FLOAT]),
        format!("{:02x?}", [MARK; 2]).replace(", ", ""),
    ] {
        assert!(prints().iter().any(|print| plain.contains(print)), "{plain}");
    }
}

#[test]
fn debug_prints_no_content() {
    let block = Block(u128::from_le_bytes([MARK; 16]));
    let seed = || Seed::from_bytes([MARK; 32]);
    let labels = || Labels::new(2, vec![block; 4]).unwrap();
    hides(&Secret::new([MARK; 32]));
    hides(&seed());
    hides(&PartySeeds { weight_mask: seed(), slots: seed() });
    hides(&Chunk::from(vec![MARK; 100]));
    hides(&block);
    hides(&labels());
    hides(&Colours::of(&labels()));
    hides(&Delta::from_uniform([MARK; 16]));
    hides(&BlockStream::new(block, AesBackend::Portable));
    let hasher = Hasher::detached([1; 16], AesBackend::Portable);
    hides(&Garbler::new(Delta::from_uniform([MARK; 16]), hasher));
    hides(&AlarmHash::new(AlarmKey::derive(&seed(), 0)));
    hides(&AlarmHalf(u64::from_le_bytes([MARK; 8])));
    let mut shares = ReluShares::<u32>::zeros();
    shares.f.fill(u32::from_le_bytes([MARK; 4]));
    hides(&shares);
    hides(&Bits::from_words(vec![u64::from_le_bytes([MARK; 8]); 2], 128));
    hides(&Shares(vec![u64::from_le_bytes([MARK; 8]); 3].into()));
    hides(&PackedWeights::<u32>::pack(2, 3, &[u32::from_le_bytes([MARK; 4]); 6]));
    hides(&IntLinear { inputs: 2, weights: vec![MARK.into(); 4], bias: vec![MARK.into(); 2] });
    let weights = ndarray::Array2::from_elem((2, 3), MARKED_FLOAT);
    hides(&FloatLinear { weights, bias: ndarray::Array1::from_elem(2, MARKED_FLOAT) });
    hides(&GreyImage::new(2, 3, vec![f32::from(MARK); 6]).unwrap());
    hides(&Frame { tag: Tag::Opening, batch: 1, payload: vec![MARK; 9] });
    hides(&sketch());
    hides(&note());
    assert_eq!(format!("{:?}", SecretKey::random().unwrap()), "SecretKey(..)");
}

/// Checked by the compiler: these types promise to be wiped when they are dropped.
#[test]
fn secret_types_are_wiped_on_drop() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Secret<[u8; 32]>>();
    wiped::<Labels>();
    wiped::<Bits>();
    wiped::<Shares>();
    wiped::<PackedWeights<u32>>();
    wiped::<Sketch>();
    wiped::<Note>();
    wiped::<zeroize::Zeroizing<Vec<u8>>>();
}
