//! Pixel-based encryption: each pixel negated or not by a bit of a keyed generator, and the channels of a colour
//! pixel in another order.
//!
//! Our reading: a bit for every channel of every pixel, v -> 255 - v where it is 1, then one of the six orders of
//! three channels, all from ChaCha20 under the key of the image; what is 1 in the key is known to the user alone.
//!
//! Security: what survives is much, see [`super::attack`]: |v - 127.5| of every pixel.

use crate::image::{GreyImage, ImageError, Rect};
use crate::size::Size;
use crate::train::Alter;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::fmt;

/// The orders of three channels: which channel goes to each place.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
/// The lightest level.
const WHITE: f32 = 255.0;

/// What becomes of every pixel of an image: as large as the image, so that it can be moved along with it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    size: Size,
    /// Whether a pixel is negated, a channel behind the other.
    negated: Vec<Vec<bool>>,
    /// Which of [`ORDERS`] a pixel's channels take; of a grey image the first.
    orders: Vec<usize>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}x{})", self.size.height, self.size.width)
    }
}

/// What is done to an image to have more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Top to bottom.
    Upside,
    /// Left to right.
    Sideways,
    /// A part: what is left of an image that was shifted.
    Part(Rect),
}

impl Key {
    /// The key of an image of `size` with 1 or 3 channels.
    pub(super) fn new(seed: [u8; 32], size: Size, channels: usize) -> Key {
        let rng = &mut ChaCha20Rng::from_seed(seed);
        let pixels = size.pixels();
        let negated = (0..channels).map(|_| bits(rng, pixels)).collect();
        let order = |_| if channels == 3 { rng.next_u64() as usize % ORDERS.len() } else { 0 };
        Key { size, negated, orders: (0..pixels).map(order).collect() }
    }

    /// The encrypted planes of an image.
    ///
    /// # Panics
    /// For another size or number of planes: a bug of the caller.
    pub(super) fn encrypt(&self, planes: &[GreyImage]) -> Result<Vec<GreyImage>, ImageError> {
        self.through(planes, |pixel, place| {
            let from = self.from(pixel, place);
            (from, self.negated[from][pixel])
        })
    }

    /// The planes of an image of its encryption. Exact for levels that 255 - v is exact for, such as those of 8 bits.
    ///
    /// # Panics
    /// As [`Key::encrypt`].
    pub(super) fn decrypt(&self, planes: &[GreyImage]) -> Result<Vec<GreyImage>, ImageError> {
        self.through(planes, |pixel, place| {
            let from = (0..planes.len()).find(|to| self.from(pixel, *to) == place);
            (from.expect("an order has every channel"), self.negated[place][pixel])
        })
    }

    /// [`Key::encrypt`] of an image of one plane.
    pub(super) fn encrypt_grey(&self, image: &GreyImage) -> Result<GreyImage, ImageError> {
        Ok(self.encrypt(std::slice::from_ref(image))?.swap_remove(0))
    }

    /// [`Key::decrypt`] of an image of one plane.
    pub(super) fn decrypt_grey(&self, image: &GreyImage) -> Result<GreyImage, ImageError> {
        Ok(self.decrypt(std::slice::from_ref(image))?.swap_remove(0))
    }

    /// The channel that goes to a place.
    fn from(&self, pixel: usize, place: usize) -> usize {
        ORDERS[self.orders[pixel]][place]
    }

    /// Planes whose pixels are of the plane that `of` says, negated or not.
    fn through(
        &self,
        planes: &[GreyImage],
        of: impl Fn(usize, usize) -> (usize, bool),
    ) -> Result<Vec<GreyImage>, ImageError> {
        assert_eq!(planes.len(), self.negated.len());
        assert!(planes.iter().all(|plane| plane.size() == self.size));
        let Size { height, width } = self.size;
        let plane = |place: usize| {
            let pixels = (0..self.size.pixels()).map(|pixel| {
                let (from, negated) = of(pixel, place);
                let level = planes[from].pixels()[pixel];
                if negated { WHITE - level } else { level }
            });
            GreyImage::new(height, width, pixels.collect())
        };
        (0..planes.len()).map(plane).collect()
    }

    /// The key of the image that `how` makes of its image: its encryption is the moved encryption.
    pub(super) fn moved(&self, how: Move) -> Key {
        let (size, sources) = how.sources(self.size);
        let of = |bits: &Vec<bool>| sources.iter().map(|at| bits[*at]).collect();
        let orders = sources.iter().map(|at| self.orders[*at]).collect();
        Key { size, negated: self.negated.iter().map(of).collect(), orders }
    }
}

impl Move {
    /// The size of what it makes of an image of `size`, and where each of its pixels is from.
    fn sources(self, Size { height, width }: Size) -> (Size, Vec<usize>) {
        let whole = Rect { top: 0, left: 0, height, width };
        let part = if let Move::Part(part) = self { part } else { whole };
        let place = |i: usize| {
            let (y, x) = (part.top + i / part.width, part.left + i % part.width);
            match self {
                Move::Upside => (height - 1 - y) * width + x,
                Move::Sideways => y * width + width - 1 - x,
                Move::Part(_) => y * width + x,
            }
        };
        (part.size(), (0..part.pixels()).map(place).collect())
    }

    /// The moved image.
    pub(super) fn apply(self, image: &GreyImage) -> Result<GreyImage, ImageError> {
        let (Size { height, width }, sources) = self.sources(image.size());
        GreyImage::new(height, width, sources.iter().map(|at| image.pixels()[*at]).collect())
    }

    /// One of each kind for an image of `size`; the part is what a shift by a third of its sides leaves.
    pub(super) fn some(Size { height, width }: Size) -> [Move; 3] {
        let (top, left) = (height / 3, width / 3);
        let part = Rect { top, left, height: height - top, width: width - left };
        [Move::Upside, Move::Sideways, Move::Part(part)]
    }

    /// Whether the moved encryption of an image is the encryption of the moved image under the moved key.
    pub(super) fn commutes(self, key: &Key, image: &GreyImage) -> Result<bool, ImageError> {
        let after = self.apply(&key.encrypt_grey(image)?)?;
        Ok(after == key.moved(self).encrypt_grey(&self.apply(image)?)?)
    }
}

/// Encrypts the patches of training, each under a key of its own.
///
/// A patch is a part of an image, turned: encrypting it under a fresh key gives what the same part of an encrypted
/// image gives, whose key is fresh too and moved along.
#[derive(Debug)]
pub(super) struct Encrypting {
    /// Which keys.
    pub(super) seed: u64,
    /// Whether the target is encrypted too, so that the network learns to answer under the key.
    pub(super) target: bool,
}

impl Alter for Encrypting {
    fn alter(&self, step: u64, number: u64, noisy: &mut [f32], target: &mut [f32]) {
        let mut seed = [0; 32];
        let words = seed.chunks_exact_mut(8).zip([self.seed, step, number]);
        words.for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        let negated = bits(&mut ChaCha20Rng::from_seed(seed), noisy.len());
        let negate = |values: &mut [f32]| {
            // Mid grey is 0 here.
            values.iter_mut().zip(&negated).filter(|(_, is)| **is).for_each(|(v, _)| *v = -*v);
        };
        negate(noisy);
        if self.target {
            negate(target);
        }
    }
}

fn bits(rng: &mut ChaCha20Rng, count: usize) -> Vec<bool> {
    let words: Vec<u64> = (0..count.div_ceil(64)).map(|_| rng.next_u64()).collect();
    (0..count).map(|i| words[i / 64] >> (i % 64) & 1 == 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Images of 8 bits with 1 or 3 planes, and a seed.
    fn images() -> impl Strategy<Value = (Vec<GreyImage>, [u8; 32])> {
        let sizes = (1usize..12, 1usize..12, prop_oneof![Just(1usize), Just(3)]);
        sizes.prop_flat_map(|(height, width, channels)| {
            let plane = proptest::collection::vec(any::<u8>(), height * width);
            let planes = proptest::collection::vec(plane, channels);
            let image = move |levels: Vec<u8>| {
                GreyImage::new(height, width, levels.into_iter().map(f32::from).collect()).unwrap()
            };
            (planes.prop_map(move |p| p.into_iter().map(image).collect()), any::<[u8; 32]>())
        })
    }

    fn key(planes: &[GreyImage], seed: [u8; 32]) -> Key {
        Key::new(seed, Size::new(planes[0].height(), planes[0].width()), planes.len())
    }

    proptest! {
        #[test]
        fn what_is_encrypted_comes_back((planes, seed) in images()) {
            let key = key(&planes, seed);
            prop_assert_eq!(key.decrypt(&key.encrypt(&planes).unwrap()).unwrap(), planes);
        }

        /// Flips and shifts commute with the encryption if the key is moved along, and only then.
        #[test]
        fn the_key_moves_with_the_image((planes, seed) in images()) {
            let key = key(&planes, seed);
            let size = Size::new(planes[0].height(), planes[0].width());
            for how in Move::some(size) {
                let all = |planes: &[GreyImage]| -> Vec<GreyImage> {
                    planes.iter().map(|plane| how.apply(plane).unwrap()).collect()
                };
                let after = all(&key.encrypt(&planes).unwrap());
                let moved = key.moved(how);
                prop_assert_eq!(&moved.encrypt(&all(&planes)).unwrap(), &after);
                prop_assert_eq!(moved.decrypt(&after).unwrap(), all(&planes));
                // Of a colour image other orders may still give the same, where channels are equal.
                if moved.size == size && moved != key && planes.len() == 1 {
                    prop_assert_ne!(key.decrypt(&after).unwrap(), all(&planes));
                }
            }
        }
    }

    #[test]
    fn half_of_the_pixels_are_negated_and_all_orders_come() {
        let key = Key::new([7; 32], Size::new(60, 70), 3);
        for negated in &key.negated {
            let count = negated.iter().filter(|is| **is).count();
            assert!((1900..2300).contains(&count), "{count}");
        }
        for order in 0..6 {
            let count = key.orders.iter().filter(|o| **o == order).count();
            assert!((550..850).contains(&count), "{count}");
        }
        assert_ne!(key, Key::new([8; 32], Size::new(60, 70), 3));
        assert_eq!(format!("{key:?}"), "Key(60x70)");
    }

    /// A patch is encrypted as an image is, differently at every address, its target under the same key or not at
    /// all.
    #[test]
    fn patches_are_encrypted_under_keys_of_their_own() {
        let altered = |target: bool, step, number| {
            let (mut noisy, mut clean) = (vec![1.5f32; 64], vec![0.5f32; 64]);
            Encrypting { seed: 3, target }.alter(step, number, &mut noisy, &mut clean);
            (noisy, clean)
        };
        let (noisy, clean) = altered(true, 4, 5);
        for (a, b) in noisy.iter().zip(&clean) {
            assert!((*a, *b) == (1.5, 0.5) || (*a, *b) == (-1.5, -0.5));
        }
        assert!(noisy.iter().any(|v| *v < 0.0) && noisy.iter().any(|v| *v > 0.0));
        assert_eq!(altered(false, 4, 5), (noisy.clone(), vec![0.5; 64]));
        for (step, number) in [(4, 6), (5, 5)] {
            assert_ne!(altered(true, step, number).0, noisy);
        }
    }
}
