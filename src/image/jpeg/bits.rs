//! The bits of a scan's codes, up to a marker (ITU-T T.81, F.1.2.3).

pub(super) const MISSING: &str =
    "its JPEG stream ends within a scan, and a part of the picture is missing";
pub(super) const LEFT_OVER: &str = "its JPEG stream has codes behind the last block of a scan";
pub(super) const RESTART: &str =
    "its JPEG stream has another restart marker than is due, or none where one is due";

/// Whole bytes of padding that some encoders add to the bits that fill up a byte.
const MAX_PADDING: usize = 2;

/// The bits of a scan. Takes no memory.
pub(crate) struct Bits<'a> {
    rest: &'a [u8],
    /// Bits of bytes that are not in `rest` any more, the next one highest; zeros below them.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// At the first code.
    pub(crate) fn of(rest: &'a [u8]) -> Self {
        Bits { rest, held: 0, count: 0 }
    }

    /// The next 16 bits, zeros where there are no more.
    pub(super) fn peek(&mut self) -> u32 {
        if self.count < 16 {
            self.fill();
        }
        (self.held >> 48) as u32
    }

    /// Whether so many bits are there, at most 16.
    pub(super) fn has(&mut self, bits: u32) -> bool {
        if self.count < bits {
            self.fill();
        }
        self.count >= bits
    }

    /// The next bits, at most 16, as a number.
    pub(crate) fn take(&mut self, bits: u32) -> Result<u32, &'static str> {
        if !self.has(bits) {
            return Err(MISSING);
        }
        if bits == 0 {
            return Ok(0);
        }
        let value = (self.held >> (64 - bits)) as u32;
        self.held <<= bits;
        self.count -= bits;
        Ok(value)
    }

    /// The difference that follows a category of at most 16 bits (F.2.2.1, H.1.2.2).
    pub(crate) fn difference(&mut self, category: u8) -> Result<i32, &'static str> {
        match category {
            0 => Ok(0),
            16 => Ok(1 << 15),
            bits => {
                let value = self.take(bits.into())? as i32;
                let negative = value < 1 << (bits - 1);
                Ok(if negative { value - (1 << bits) + 1 } else { value })
            }
        }
    }

    /// What lies behind the last code: a marker, or nothing.
    pub(super) fn end(&mut self) -> Result<&'a [u8], &'static str> {
        self.fill();
        let padding = (self.count / 8) as usize;
        let whole = self.held << (self.count % 8);
        let bytes = &whole.to_be_bytes()[..padding];
        let plain = bytes.iter().all(|&b| b == 0) || bytes.iter().all(|&b| b == 0xff);
        if padding > MAX_PADDING || !plain {
            return Err(LEFT_OVER);
        }
        Ok(self.rest)
    }

    /// Passes the restart marker of this number.
    pub(crate) fn restart(&mut self, number: usize) -> Result<(), &'static str> {
        let mut rest = self.end()?;
        while let [0xff, 0xff, ..] = rest {
            rest = &rest[1..];
        }
        let due = 0xd0 + (number % 8) as u8;
        match rest {
            [0xff, found, behind @ ..] if *found == due => {
                *self = Bits::of(behind);
                Ok(())
            }
            _ => Err(RESTART),
        }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = match self.rest {
                [0xff, behind @ ..] => {
                    // Any number of them may fill up.
                    let same = behind.iter().take_while(|&&b| b == 0xff).count();
                    if behind.get(same) != Some(&0) {
                        return;
                    }
                    self.rest = &behind[same + 1..];
                    0xff
                }
                [byte, behind @ ..] => {
                    self.rest = behind;
                    *byte
                }
                [] => return,
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_bytes_are_data_and_markers_end_them() {
        let mut bits = Bits::of(&[0xa5, 0xff, 0x00, 0x12, 0xff, 0xff, 0xd9]);
        assert_eq!([bits.take(4), bits.take(12), bits.take(5)], [Ok(0xa), Ok(0x5ff), Ok(2)]);
        assert_eq!(bits.end(), Ok(&[0xff, 0xff, 0xd9][..]), "three bits fill up");
        assert_eq!((bits.take(3), bits.take(1)), (Ok(2), Err(MISSING)));
    }

    #[test]
    fn what_is_left_over_is_told_from_padding() {
        for (rest, good) in [
            (&[][..], true),
            (&[0, 0], true),
            (&[0xff, 0, 0xff, 0], true),
            (&[0, 0, 0], false),
            (&[0, 0xff, 0], false),
            (&[0x10], false),
        ] {
            let stream = [&[0x80], rest, &[0xff, 0xd9]].concat();
            let mut bits = Bits::of(&stream);
            bits.take(3).unwrap();
            assert_eq!(bits.end().is_ok(), good, "{rest:x?}");
        }
    }

    #[test]
    fn restarts_come_in_order() {
        for (number, good) in [(2, true), (10, true), (1, false), (3, false)] {
            let mut bits = Bits::of(&[0x80, 0xff, 0xd2, 0x40]);
            bits.take(1).unwrap();
            assert_eq!(bits.restart(number).is_ok(), good, "{number}");
            if good {
                assert_eq!(bits.take(2), Ok(1));
            }
        }
    }

    #[test]
    fn differences_have_signs() {
        let mut bits = Bits::of(&[0b0110_0011]);
        let found = [1, 2, 0, 3, 16].map(|category| bits.difference(category).unwrap());
        assert_eq!(found, [-1, 3, 0, -7, 1 << 15]);
    }
}
