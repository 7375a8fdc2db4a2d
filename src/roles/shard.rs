//! Parts of the work on many images, for several processes or machines.

use crate::ids::ImageId;

/// One part of work that several processes or machines do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 0.
    pub index: u64,
    /// Of how many; at least 1.
    pub count: u64,
}

impl Default for Shard {
    fn default() -> Self {
        Shard::WHOLE
    }
}

impl Shard {
    /// All of the work.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// Whether it is all of the work.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Whether number `i` of a list is of this part.
    pub fn takes(self, i: u64) -> bool {
        i % self.count == self.index
    }

    /// Whether an image is of this part: by its id, which is random, so that both servers and the
    /// dealer come to the same without a word.
    pub fn takes_image(self, image: ImageId) -> bool {
        let first = image.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.takes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_of_one_shard() {
        let ids = (0..200u8).map(|i| ImageId::from_bytes([i.wrapping_mul(77); 16]));
        let mut found = [0; 3];
        for id in ids {
            assert!(Shard::WHOLE.takes_image(id));
            let of = |index: &u64| Shard { index: *index, count: 3 }.takes_image(id);
            let taken: Vec<u64> = (0..3).filter(of).collect();
            assert_eq!(taken.len(), 1);
            found[taken[0] as usize] += 1;
        }
        assert!(found.iter().all(|&n| n > 40), "{found:?}");
    }
}
