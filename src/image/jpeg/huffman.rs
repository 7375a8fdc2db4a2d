//! Huffman codes as a stream defines them (ITU-T T.81, annex C).

use super::bits::{Bits, MISSING};

pub(super) const NO_CODE: &str = "its JPEG stream has a code that does not exist";

/// Bits of the codes that are looked up at once.
const SHORT: u32 = 9;
const LONGEST: usize = 16;

/// A canonical code of words of up to 16 bits.
#[derive(Clone)]
pub(crate) struct Code {
    /// By the next bits: the length of the word that they begin with and its symbol; a length of 0 if it
    /// is longer, or none.
    short: Vec<(u8, u8)>,
    /// By length less 1: the first word and its place among the symbols.
    first: [(u32, usize); LONGEST],
    counts: [u8; LONGEST],
    symbols: Vec<u8>,
}

impl Code {
    /// Of so many words of each length, and of their symbols; nothing if there are more words of a length
    /// than there can be, or fewer symbols.
    pub(super) fn new(counts: [u8; LONGEST], symbols: &[u8]) -> Option<Code> {
        let mut short = vec![(0, 0); 1 << SHORT];
        let mut first = [(0, 0); LONGEST];
        let (mut word, mut place) = (0u32, 0usize);
        for (i, &count) in counts.iter().enumerate() {
            let length = i as u32 + 1;
            first[i] = (word, place);
            for _ in 0..count {
                let symbol = *symbols.get(place)?;
                if word >> length != 0 {
                    return None;
                }
                if length <= SHORT {
                    let begin = (word << (SHORT - length)) as usize;
                    short[begin..begin + (1 << (SHORT - length))].fill((length as u8, symbol));
                }
                word += 1;
                place += 1;
            }
            word <<= 1;
        }
        Some(Code { short, first, counts, symbols: symbols.into() })
    }

    /// The symbol of the next word.
    pub(crate) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, &'static str> {
        let next = bits.peek();
        let (length, symbol) = match self.short[(next >> (LONGEST as u32 - SHORT)) as usize] {
            (0, _) => self.long(next).ok_or(if bits.has(16) { NO_CODE } else { MISSING })?,
            found => found,
        };
        bits.take(length.into())?;
        Ok(symbol)
    }

    fn long(&self, next: u32) -> Option<(u8, u8)> {
        (SHORT as usize..LONGEST).find_map(|i| {
            let (first, place) = self.first[i];
            let number = (next >> (LONGEST - 1 - i)).checked_sub(first)?;
            let symbol = self.symbols.get(place + number as usize)?;
            (number < u32::from(self.counts[i])).then_some((i as u8 + 1, *symbol))
        })
    }
}

/// The codes of annex K, class and number first, as a segment DHT has them: pictures of AVI films leave
/// them out.
pub(super) const USUAL: [(u8, [u8; LONGEST], &[u8]); 4] = [
    (0x00, [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &MEANS),
    (0x01, [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &MEANS),
    (0x10, [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], &WAVES),
    (0x11, [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &COLOUR_WAVES),
];
const MEANS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const WAVES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];
const COLOUR_WAVES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
    0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
    0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_usual_codes_is_found() {
        for (head, counts, symbols) in USUAL {
            let code = Code::new(counts, symbols).unwrap();
            let (mut word, mut place) = (0u32, 0);
            for (i, &count) in counts.iter().enumerate() {
                for _ in 0..count {
                    let word_first = ((word << (31 - i)) | 0x5a).to_be_bytes();
                    let stuffed = |b: u8| if b == 0xff { vec![b, 0] } else { vec![b] };
                    let stream: Vec<u8> = word_first.into_iter().flat_map(stuffed).collect();
                    let found = code.symbol(&mut Bits::of(&stream));
                    assert_eq!(found, Ok(symbols[place]), "{head:x}: {word:b}");
                    (word, place) = (word + 1, place + 1);
                }
                word <<= 1;
            }
            assert_eq!(place, symbols.len());
            // No code consists of ones.
            assert_eq!(code.symbol(&mut Bits::of(&[0xff, 0, 0xff, 0])), Err(NO_CODE));
            assert_eq!(code.symbol(&mut Bits::of(&[0xff, 0])), Err(MISSING));
        }
    }

    #[test]
    fn codes_with_too_many_words_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 2;
        assert!(Code::new(counts, &[1, 2]).is_some());
        assert!(Code::new(counts, &[1]).is_none());
        counts[3] = 1;
        assert!(Code::new(counts, &[1, 2, 3]).is_none());
    }
}
