//! Correlated OT extension over small fields.
//!
//! Roy, "SoftSpokenOT" (Crypto 2022), the semi-honest form with the repetition code: delta's 128
//! bits are cut into pieces of k (the last may be shorter); for each, the sender knows all but one of 2^k seeds (the piece
//! of delta says which it lacks), so that two sums over the seeds' streams differ by the piece
//! times a common bit vector. A correction of one bit a transfer and piece makes that vector the
//! receiver's choices. Per transfer 128/k bits are sent and 2^k 128/k bits generated: k = 1 is the
//! extension of Ishai, Kilian, Nissim, Petrank (16 bytes), k = 2 sends 8 bytes for the same work,
//! k = 4 sends 4 bytes for twice the work, k = 8 sends 2 bytes for sixteen times the work.

use super::{
    BASE_OTS, OtError, OtMessage, SemiHonestCotReceiver, SemiHonestCotSender, check_length, ggm,
    transpose,
};
use crate::garble::{Block, BlockStream, Delta};
use crate::kernels::AesBackend;
use crate::numbers::bits::Bits;
use rand_core::CryptoRng;
use std::ops::Range;
use zeroize::Zeroizing;

/// k: the bits of delta that one tree of seeds serves, 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldBits(u8);

impl FieldBits {
    /// 16 bytes a transfer; IKNP.
    pub const ONE: FieldBits = FieldBits(1);
    /// 8 bytes a transfer.
    pub const TWO: FieldBits = FieldBits(2);
    /// 4 bytes a transfer.
    pub const FOUR: FieldBits = FieldBits(4);
    /// 3.25 bytes a transfer.
    pub const FIVE: FieldBits = FieldBits(5);
    /// 2.75 bytes a transfer.
    pub const SIX: FieldBits = FieldBits(6);
    /// 2.375 bytes a transfer.
    pub const SEVEN: FieldBits = FieldBits(7);
    /// 2 bytes a transfer.
    pub const EIGHT: FieldBits = FieldBits(8);

    /// k as a type; `None` unless 1 <= k <= 8.
    pub const fn new(k: u8) -> Option<Self> {
        if 1 <= k && k <= 8 { Some(FieldBits(k)) } else { None }
    }

    /// k as a number.
    pub fn bits(self) -> usize {
        self.0.into()
    }

    /// The pieces of delta: the first bit of each and its bits, k but at the last.
    fn pieces(self) -> impl ExactSizeIterator<Item = Range<usize>> {
        let k = self.bits();
        (0..BASE_OTS.div_ceil(k)).map(move |piece| piece * k..BASE_OTS.min((piece + 1) * k))
    }

    fn message_bytes(self, count: usize) -> usize {
        count.div_ceil(128) * Block::BYTES * self.pieces().len()
    }
}

/// Transfers worked off together: the streams of one piece then stay in the second cache. Part of
/// the message format, since corrections are ordered chunk by chunk.
const CHUNK: usize = 1 << 15;

/// The choices that the extension's sender makes in the base OTs: for each level of each tree the
/// side away from delta's bits, highest bit of a piece first.
pub fn base_choices(delta: &Delta, field: FieldBits) -> Bits {
    let bits = field.pieces().flat_map(Iterator::rev);
    bits.map(|bit| delta.expose().0 >> bit & 1 == 0).collect()
}

/// The semi-honest receiver of correlated OTs.
#[derive(Debug)]
pub struct SmallFieldReceiver {
    field: FieldBits,
    streams: Vec<Vec<BlockStream>>,
}

/// The semi-honest sender of correlated OTs.
#[derive(Debug)]
pub struct SmallFieldSender {
    field: FieldBits,
    delta: Delta,
    /// For each piece, the streams by the difference of the seed's index and the piece of delta;
    /// the one at difference 0 is unknown.
    streams: Vec<Vec<BlockStream>>,
}

impl SmallFieldReceiver {
    /// A receiver from its keys as *sender* of the base OTs; also the set-up message.
    ///
    /// # Errors
    /// [`OtError::Count`] unless there are [`BASE_OTS`] pairs of keys.
    pub fn new(
        rng: &mut impl CryptoRng,
        field: FieldBits,
        backend: AesBackend,
        base: &[[Block; 2]],
    ) -> Result<(Self, Vec<u8>), OtError> {
        expect_base(base.len())?;
        let mut masked = Vec::with_capacity(2 * BASE_OTS);
        let mut streams = Vec::with_capacity(field.pieces().len());
        for keys in base.chunks(field.bits()) {
            let mut root = Zeroizing::new([0u8; 16]);
            rng.fill_bytes(&mut *root);
            let (leaves, sums) =
                ggm::full_tree(Block(u128::from_le_bytes(*root)), keys.len() as u32, backend);
            masked.extend(sums.iter().zip(keys).flat_map(|(s, k)| [s[0] ^ k[0], s[1] ^ k[1]]));
            streams.push(leaves.iter().map(|&s| BlockStream::new(s, backend)).collect());
        }
        Ok((SmallFieldReceiver { field, streams }, Block::slice_to_bytes(&masked)))
    }
}

impl SmallFieldSender {
    /// A sender from its keys as *receiver* of the base OTs with the choices of [`base_choices`],
    /// and the receiver's set-up message.
    ///
    /// # Errors
    /// [`OtError::Count`] unless there are [`BASE_OTS`] keys, [`OtError::MessageLength`] for a
    /// malformed message.
    pub fn new(
        delta: Delta,
        field: FieldBits,
        backend: AesBackend,
        base: &[Block],
        message: &[u8],
    ) -> Result<Self, OtError> {
        expect_base(base.len())?;
        let expected = 2 * BASE_OTS * Block::BYTES;
        check_length(OtMessage::SeedTrees, expected, message)?;
        let masked = Block::slice_from_bytes(message, 2 * BASE_OTS).unwrap_or_default();
        let choices = base_choices(&delta, field);
        let sums: Zeroizing<Vec<Block>> = Zeroizing::new(
            masked
                .chunks_exact(2)
                .zip(choices.iter())
                .zip(base)
                .map(|((pair, choice), &key)| pair[0] ^ (pair[0] ^ pair[1]).keep_if(choice) ^ key)
                .collect(),
        );
        let tree = |(piece, sums): (Range<usize>, &[Block])| {
            let hole = (delta.expose().0 >> piece.start) as usize & ((1 << piece.len()) - 1);
            let leaves = ggm::punctured_tree(hole, sums, backend);
            let by_difference = |d: usize| BlockStream::new(at(&leaves, d ^ hole), backend);
            (0..1 << piece.len()).map(by_difference).collect()
        };
        let streams = field.pieces().zip(sums.chunks(field.bits())).map(tree).collect();
        Ok(SmallFieldSender { field, delta, streams })
    }
}

impl SemiHonestCotSender for SmallFieldSender {
    fn delta(&self) -> &Delta {
        &self.delta
    }

    fn message_bytes(&self, count: usize) -> usize {
        self.field.message_bytes(count)
    }

    fn extend(&mut self, count: usize, message: &[u8]) -> Result<Vec<Block>, OtError> {
        check_length(OtMessage::Corrections, self.message_bytes(count), message)?;
        let mut rows = vec![Block::ZERO; count.next_multiple_of(128)];
        let mut sums = PieceSums::new(self.field.bits());
        let mut columns = Vec::new();
        let mut message = message;
        for rows in rows.chunks_mut(CHUNK) {
            let blocks = rows.len() / 128;
            columns.clear();
            for (piece, streams) in self.field.pieces().zip(&mut self.streams) {
                let (bytes, rest) = message.split_at(blocks * Block::BYTES);
                message = rest;
                let correction = Block::slice_from_bytes(bytes, blocks).unwrap_or_default();
                sums.generate(streams, blocks, true);
                for (bit, at) in piece.enumerate() {
                    let here = self.delta.expose().0 >> at & 1 == 1;
                    let column = sums.weighted(bit, blocks).iter().zip(&correction);
                    columns.extend(column.map(|(&w, c)| w ^ c.keep_if(here)));
                }
            }
            transpose::columns_to_rows(&columns, rows);
        }
        rows.truncate(count);
        Ok(rows)
    }
}

impl SemiHonestCotReceiver for SmallFieldReceiver {
    fn message_bytes(&self, count: usize) -> usize {
        self.field.message_bytes(count)
    }

    fn extend(&mut self, choices: &Bits) -> (Vec<Block>, Vec<u8>) {
        let count = choices.len();
        let choices = as_blocks(choices);
        let mut rows = vec![Block::ZERO; count.next_multiple_of(128)];
        let mut message = Vec::with_capacity(self.message_bytes(count));
        let mut sums = PieceSums::new(self.field.bits());
        let (mut columns, mut correction) = (Vec::new(), Vec::new());
        for (rows, choices) in rows.chunks_mut(CHUNK).zip(choices.chunks(CHUNK / 128)) {
            let blocks = choices.len();
            columns.clear();
            for (piece, streams) in self.field.pieces().zip(&mut self.streams) {
                sums.generate(streams, blocks, false);
                let masked = sums.plain(blocks).iter().zip(choices).map(|(&u, &c)| u ^ c);
                correction.clear();
                correction.extend(masked);
                message.extend_from_slice(&Block::slice_to_bytes(&correction));
                for bit in 0..piece.len() {
                    columns.extend_from_slice(sums.weighted(bit, blocks));
                }
            }
            transpose::columns_to_rows(&columns, rows);
        }
        rows.truncate(count);
        (rows, message)
    }
}

/// The sums over the streams G_d, d in 0..2^k, of one piece: u = sum of G_d, and for each bit b the
/// sum of those G_d whose d has bit b.
struct PieceSums {
    plain: Vec<Block>,
    weighted: Vec<Vec<Block>>,
}

impl PieceSums {
    fn new(bits: usize) -> Self {
        PieceSums { plain: Vec::new(), weighted: vec![Vec::new(); bits] }
    }

    /// Generates the next `blocks` blocks of every stream and sums them up, halving the number of
    /// streams for each bit: the streams with the bit set are added to its sum and to their
    /// partners without it.
    fn generate(&mut self, streams: &mut [BlockStream], blocks: usize, first_unknown: bool) {
        self.plain.resize(streams.len() * blocks, Block::ZERO);
        for (d, (stream, out)) in
            streams.iter_mut().zip(self.plain.chunks_exact_mut(blocks)).enumerate()
        {
            if d == 0 && first_unknown {
                out.fill(Block::ZERO);
            } else {
                stream.fill(out);
            }
        }
        for bit in (0..streams.len().ilog2() as usize).rev() {
            let (low, high) = self.plain.split_at_mut((1 << bit) * blocks);
            let high = &high[..(1 << bit) * blocks];
            low.iter_mut().zip(high).for_each(|(l, &h)| *l ^= h);
            let sum = &mut self.weighted[bit];
            sum.clear();
            sum.resize(blocks, Block::ZERO);
            for part in high.chunks_exact(blocks) {
                sum.iter_mut().zip(part).for_each(|(s, &h)| *s ^= h);
            }
        }
    }

    fn plain(&self, blocks: usize) -> &[Block] {
        &self.plain[..blocks]
    }

    fn weighted(&self, bit: usize, blocks: usize) -> &[Block] {
        &self.weighted[bit][..blocks]
    }
}

/// The entry at a secret index: every entry is read.
fn at(blocks: &[Block], index: usize) -> Block {
    let kept = blocks.iter().enumerate().map(|(i, b)| b.keep_if(i == index));
    kept.fold(Block::ZERO, |sum, b| sum ^ b)
}

fn as_blocks(bits: &Bits) -> Vec<Block> {
    let block =
        |w: &[u64]| Block(u128::from(w[0]) | u128::from(w.get(1).copied().unwrap_or(0)) << 64);
    bits.words().chunks(2).map(block).collect()
}

fn expect_base(found: usize) -> Result<(), OtError> {
    if found == BASE_OTS { Ok(()) } else { Err(OtError::Count { expected: BASE_OTS, found }) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{delta, extension};
    use super::super::{check, choose_later};
    use super::*;

    fn choices(n: usize) -> Bits {
        let random = BlockStream::new(Block(n as u128), AesBackend::Portable).take(n);
        random.iter().map(|b| b.colour()).collect()
    }

    #[test]
    fn every_transfer_is_correlated() {
        for field in (1..=8).filter_map(FieldBits::new) {
            let (mut sender, mut receiver) = extension(field, delta(), 1);
            for n in [1, 127, 128, 129, 1000, CHUNK + 300, 0, 77] {
                let choices = choices(n);
                let (t, message) = receiver.extend(&choices);
                assert_eq!(message.len(), sender.message_bytes(n));
                let q = sender.extend(n, &message).unwrap();
                check::cot(&q, sender.delta(), &choices, &t);
            }
        }
    }

    #[test]
    fn bytes_a_transfer() {
        let pieces = [128, 64, 43, 32, 26, 22, 19, 16];
        for (k, pieces) in (1..).zip(pieces) {
            let field = FieldBits::new(k).unwrap();
            assert_eq!(field.message_bytes(1280), 1280 * pieces / 8);
            assert_eq!(field.pieces().flatten().collect::<Vec<_>>(), (0..128).collect::<Vec<_>>());
        }
        assert!([0, 9].into_iter().all(|k| FieldBits::new(k).is_none()));
    }

    #[test]
    fn blocks_never_repeat() {
        let (mut sender, mut receiver) = extension(FieldBits::FOUR, delta(), 2);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 {
            let (_, message) = receiver.extend(&Bits::zeros(5000));
            let q = sender.extend(5000, &message).unwrap();
            assert!(q.into_iter().all(|q| seen.insert(q) && seen.insert(q ^ delta().expose())));
        }
    }

    /// The corrections, all that the sender sees of the choices, have uniform bits for constant
    /// choices: each of 128 x 2 counts over 20,000 stays within six standard deviations (false
    /// alarm below 256 x 2e-9).
    #[test]
    fn corrections_look_uniform_for_any_choices() {
        for value in [false, true] {
            let (_, mut receiver) = extension(FieldBits::ONE, delta(), 3);
            let choices: Bits = (0..20_480).map(|_| value).collect();
            let (_, message) = receiver.extend(&choices);
            for (i, column) in message.chunks_exact(20_480 / 8).enumerate() {
                let ones: u32 = column.iter().map(|b| b.count_ones()).sum();
                let limit = 6.0 * (20_480f64 / 4.0).sqrt();
                assert!((f64::from(ones) - 10_240.0).abs() < limit, "column {i}: {ones}");
            }
        }
    }

    #[test]
    fn choices_can_come_later() {
        let (mut sender, mut receiver) = extension(FieldBits::TWO, delta(), 4);
        let (random, wanted) = (choices(333), Bits::zeros(333));
        let (t, message) = receiver.extend(&random);
        let mut q = sender.extend(333, &message).unwrap();
        let difference = random.xor(&wanted).to_bytes();
        choose_later(&mut q, sender.delta(), &difference).unwrap();
        check::cot(&q, sender.delta(), &wanted, &t);
        assert!(choose_later(&mut q, sender.delta(), &difference[1..]).is_err());
    }

    #[test]
    fn malformed_messages_are_refused() {
        let (mut sender, mut receiver) = extension(FieldBits::TWO, delta(), 5);
        let (_, message) = receiver.extend(&choices(100));
        for bytes in [&message[1..], &[], &[&message[..], &[0]].concat()] {
            let refused = sender.extend(100, bytes).unwrap_err();
            assert_eq!(
                refused,
                OtError::MessageLength {
                    message: OtMessage::Corrections,
                    expected: message.len(),
                    found: bytes.len()
                }
            );
        }
        assert!(sender.extend(129, &message).is_err());
        let base = vec![Block::ZERO; BASE_OTS];
        let backend = AesBackend::Portable;
        let new = |base: &[Block], m: &[u8]| {
            SmallFieldSender::new(delta(), FieldBits::TWO, backend, base, m)
        };
        assert!(new(&base, &[0; 4095]).is_err());
        assert!(new(&base[1..], &[0; 4096]).is_err());
    }
}
