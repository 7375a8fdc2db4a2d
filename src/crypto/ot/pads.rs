//! What correlated OTs are made into by hashing: random OTs, products, selections.
//!
//! The hash is that of the garbling ([`crate::garble::hash`]) with tweaks of their own domain, one
//! sender's direction each. A pad of an OT is H(q xor c delta); a selection's pad j is
//! H(Q xor j delta) with Q the sum of X^i q_i over the index bits, in GF(2^128): the receiver knows
//! Q xor c delta for its index c and nothing of the others.

use super::{OtError, OtMessage, check_length};
use crate::garble::hash::Hasher;
use crate::garble::{Block, Delta, MAX_BATCH, Tweak, TweakRange};
use crate::numbers::bits::Bits;
use crate::numbers::packing::{pack, packed_len, unpack};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// The sender's two pads of each transfer, for one tweak. Semi-honest random OT.
///
/// # Errors
/// [`OtError::Tweaks`] for a wrong number of tweaks or an oversized batch.
pub fn sender_pads(
    hasher: &Hasher,
    tweaks: TweakRange,
    delta: &Delta,
    q: &[Block],
) -> Result<[Vec<Block>; 2], OtError> {
    let tweak = one_tweak(tweaks, q.len())?;
    let moved: Vec<Block> = q.iter().map(|&q| q ^ delta.expose()).collect();
    Ok([hashed(hasher, tweak, q), hashed(hasher, tweak, &moved)])
}

/// The receiver's pad of each transfer: the sender's at the receiver's choice.
///
/// # Errors
/// As [`sender_pads`].
pub fn receiver_pads(
    hasher: &Hasher,
    tweaks: TweakRange,
    t: &[Block],
) -> Result<Vec<Block>, OtError> {
    let tweak = one_tweak(tweaks, t.len())?;
    Ok(hashed(hasher, tweak, t))
}

/// A party's additive shares, mod 2^width, of products or selected numbers. Opaque in `Debug`, wiped
/// on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Shares(pub Zeroizing<Vec<u64>>);

impl ZeroizeOnDrop for Shares {}

impl std::fmt::Debug for Shares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shares({})", self.0.len())
    }
}

/// The sender's shares of choice times value, mod 2^width, and the message.
///
/// Cost: `width` bits a product.   Tweaks: one.   Security: semi-honest.   Source: the correlated
/// OT of Asharov, Lindell, Schneider, Zohner (CCS 2013), with sums instead of xors.
///
/// # Errors
/// [`OtError::Count`] unless there is a transfer for every value, [`OtError::Tweaks`].
pub fn multiply_send(
    hasher: &Hasher,
    tweaks: TweakRange,
    delta: &Delta,
    q: &[Block],
    values: &[u64],
    width: u32,
) -> Result<(Shares, Vec<u8>), OtError> {
    expect(values.len(), q.len())?;
    let [zero, one] = sender_pads(hasher, tweaks, delta, q)?;
    let masked =
        |((p0, p1), v): ((&Block, &Block), &u64)| low(*p0).wrapping_add(*v).wrapping_sub(low(*p1));
    let message: Vec<u64> = zero.iter().zip(&one).zip(values).map(masked).collect();
    let shares: Vec<u64> = zero.iter().map(|&p| low(p).wrapping_neg() & mask(width)).collect();
    Ok((Shares(shares.into()), pack(&message, width)))
}

/// The receiver's shares of choice times value, mod 2^width.
///
/// # Errors
/// [`OtError::MessageLength`] for a malformed message, [`OtError::Count`] unless there is a
/// transfer for every choice, [`OtError::Tweaks`].
pub fn multiply_receive(
    hasher: &Hasher,
    tweaks: TweakRange,
    t: &[Block],
    choices: &Bits,
    width: u32,
    message: &[u8],
) -> Result<Shares, OtError> {
    expect(choices.len(), t.len())?;
    let masked = read_numbers(OtMessage::Products, t.len(), width, message)?;
    let pads = receiver_pads(hasher, tweaks, t)?;
    let share = |((pad, m), choice): ((&Block, u64), bool)| {
        low(*pad).wrapping_add(m & u64::from(choice).wrapping_neg()) & mask(width)
    };
    let shares: Vec<u64> = pads.iter().zip(masked).zip(choices.iter()).map(share).collect();
    Ok(Shares(shares.into()))
}

/// The bytes of the message of `count` selections among 2^index_bits numbers of `width` bits.
pub fn selection_bytes(count: usize, index_bits: u32, width: u32) -> usize {
    packed_bytes(count * ((1 << index_bits) - 1), width)
}

/// The sender's shares, mod 2^width, of the entries that the receiver selects, and the message.
///
/// `q`: the transfers of the receiver's index bits, bit-major (bit i of selection s at i n + s).
/// `entries`: entry-major (entry j of selection s at j n + s). The pad of entry 0 makes the
/// sender's share, so that entry is not sent.
/// Cost: (2^index_bits - 1) width bits a selection.   Tweaks: 2^index_bits.   Security:
/// semi-honest.
///
/// # Errors
/// [`OtError::Count`] if lengths do not fit, [`OtError::Tweaks`].
pub fn select_send(
    hasher: &Hasher,
    tweaks: TweakRange,
    delta: &Delta,
    q: &[Block],
    entries: &[u64],
    index_bits: u32,
    width: u32,
) -> Result<(Shares, Vec<u8>), OtError> {
    let n = entries.len() >> index_bits;
    expect(n << index_bits, entries.len())?;
    expect(n * index_bits as usize, q.len())?;
    let tweaks = selection_tweaks(tweaks, index_bits, n)?;
    let mut points = combine(q, n);
    let mut pads = vec![Block::ZERO; n];
    let mut share = vec![0; n];
    let mut message = Vec::with_capacity(entries.len() - n);
    let mut previous = Block::ZERO;
    for (j, (tweak, entries)) in tweaks.zip(entries.chunks_exact(n.max(1))).enumerate() {
        let offset = times_index(delta.expose(), j);
        points.iter_mut().for_each(|p| *p ^= previous ^ offset);
        previous = offset;
        hasher.hash_into(tweak, &points, &mut pads);
        if j == 0 {
            let share_of = |(e, p): (&u64, &Block)| e.wrapping_sub(low(*p));
            share = entries.iter().zip(&pads).map(share_of).collect();
        } else {
            let masked = entries.iter().zip(&share).zip(&pads);
            message.extend(masked.map(|((e, s), p)| e.wrapping_sub(*s).wrapping_sub(low(*p))));
        }
    }
    share.iter_mut().for_each(|s| *s &= mask(width));
    Ok((Shares(share.into()), pack(&message, width)))
}

/// The receiver's shares, mod 2^width, of the entries at its indices.
///
/// # Errors
/// [`OtError::MessageLength`] for a malformed message, [`OtError::Count`] if lengths do not fit,
/// [`OtError::Tweaks`].
pub fn select_receive(
    hasher: &Hasher,
    tweaks: TweakRange,
    t: &[Block],
    indices: &[u64],
    index_bits: u32,
    width: u32,
    message: &[u8],
) -> Result<Shares, OtError> {
    let n = indices.len();
    expect(n * index_bits as usize, t.len())?;
    let sent = read_numbers(OtMessage::Selection, n * ((1 << index_bits) - 1), width, message)?;
    let points = combine(t, n);
    let mut pads = vec![Block::ZERO; n];
    let mut shares = vec![0u64; n];
    // Every entry's pad is computed and the right one kept, so that time does not tell the index.
    for (j, tweak) in selection_tweaks(tweaks, index_bits, n)?.enumerate() {
        hasher.hash_into(tweak, &points, &mut pads);
        let sent = j.checked_sub(1).map(|row| &sent[row * n..][..n]);
        for (s, share) in shares.iter_mut().enumerate() {
            let keep = u64::from(indices[s] == j as u64).wrapping_neg();
            let value = low(pads[s]).wrapping_add(sent.map_or(0, |row| row[s]));
            *share |= value & mask(width) & keep;
        }
    }
    Ok(Shares(shares.into()))
}

fn selection_tweaks(
    tweaks: TweakRange,
    index_bits: u32,
    n: usize,
) -> Result<impl Iterator<Item = Tweak>, OtError> {
    check_tweaks(&tweaks, 1 << index_bits, n)?;
    Ok(tweaks.into_iter())
}

/// The sum of X^i times the i-th of a selection's blocks.
fn combine(blocks: &[Block], n: usize) -> Vec<Block> {
    let mut points = vec![Block::ZERO; n];
    for plane in blocks.chunks_exact(n.max(1)).rev() {
        points.iter_mut().zip(plane).for_each(|(p, &b)| *p = p.double() ^ b);
    }
    points
}

/// j times delta in GF(2^128), j's bits being coefficients.
fn times_index(delta: Block, j: usize) -> Block {
    let bits = (0..usize::BITS).rev().skip_while(|i| j >> i == 0);
    bits.fold(Block::ZERO, |acc, i| acc.double() ^ delta.keep_if(j >> i & 1 == 1))
}

fn hashed(hasher: &Hasher, tweak: Tweak, x: &[Block]) -> Vec<Block> {
    let mut out = vec![Block::ZERO; x.len()];
    hasher.hash_into(tweak, x, &mut out);
    out
}

fn one_tweak(tweaks: TweakRange, n: usize) -> Result<Tweak, OtError> {
    check_tweaks(&tweaks, 1, n)?;
    tweaks.into_iter().next().ok_or(OtError::Tweaks(crate::garble::GarbleError::TweaksExhausted))
}

fn check_tweaks(tweaks: &TweakRange, expected: u64, n: usize) -> Result<(), OtError> {
    use crate::garble::GarbleError;
    if n > MAX_BATCH {
        return Err(OtError::Tweaks(GarbleError::BatchSize { found: n }));
    }
    if tweaks.count() != expected {
        let found = tweaks.count();
        return Err(OtError::Tweaks(GarbleError::TweakCount { expected, found }));
    }
    Ok(())
}

fn read_numbers(
    message: OtMessage,
    count: usize,
    width: u32,
    bytes: &[u8],
) -> Result<Vec<u64>, OtError> {
    let expected = packed_bytes(count, width);
    check_length(message, expected, bytes)?;
    unpack(bytes, width, count).ok_or(OtError::Padding { message })
}

/// The bytes of `count` numbers; no message is long enough for the largest `usize`.
fn packed_bytes(count: usize, width: u32) -> usize {
    packed_len(count, width).unwrap_or(usize::MAX)
}

fn expect(expected: usize, found: usize) -> Result<(), OtError> {
    if expected == found { Ok(()) } else { Err(OtError::Count { expected, found }) }
}

fn low(pad: Block) -> u64 {
    pad.0 as u64
}

fn mask(width: u32) -> u64 {
    u64::MAX >> (64 - width)
}

#[cfg(test)]
mod tests {
    use super::super::extension::FieldBits;
    use super::super::testing::{delta, extension};
    use super::super::{SemiHonestCotReceiver, SemiHonestCotSender, check};
    use super::*;
    use crate::garble::BlockStream;
    use crate::kernels::AesBackend;

    fn cots(choices: &Bits) -> (Vec<Block>, Vec<Block>) {
        let (mut sender, mut receiver) = extension(FieldBits::TWO, delta(), 9);
        let (t, message) = receiver.extend(choices);
        (sender.extend(choices.len(), &message).unwrap(), t)
    }

    fn random(seed: u128, n: usize) -> Vec<u64> {
        BlockStream::new(Block(seed), AesBackend::Portable)
            .take(n)
            .iter()
            .map(|b| b.0 as u64)
            .collect()
    }

    fn hashers() -> [(Hasher, crate::garble::SessionTweaks); 2] {
        [0, 1].map(|_| Hasher::session([4; 16], AesBackend::active()))
    }

    #[test]
    fn random_transfers() {
        let choices: Bits = random(1, 500).iter().map(|v| v & 1 == 1).collect();
        let (q, t) = cots(&choices);
        let [(hasher, mut a), (_, mut b)] = hashers();
        let range = a.pads_from_s0.take(1).unwrap();
        let [zero, one] = sender_pads(&hasher, range, &delta(), &q).unwrap();
        let got = receiver_pads(&hasher, b.pads_from_s0.take(1).unwrap(), &t).unwrap();
        let pairs: Vec<[Block; 2]> = zero.into_iter().zip(one).map(|(a, b)| [a, b]).collect();
        check::ot(&pairs, &choices, &got);
        let other = receiver_pads(&hasher, b.pads_from_s0.take(1).unwrap(), &t).unwrap();
        let other_way = receiver_pads(&hasher, b.pads_from_s1.take(1).unwrap(), &t).unwrap();
        assert!((0..500).all(|i| got[i] != other[i] && got[i] != other_way[i]));
    }

    #[test]
    fn products_of_every_width() {
        let choices: Bits = random(2, 300).iter().map(|v| v & 1 == 1).collect();
        let (q, t) = cots(&choices);
        let values = random(3, 300);
        let [(hasher, mut a), (_, mut b)] = hashers();
        for width in 1..=64 {
            let range = a.pads_from_s1.take(1).unwrap();
            let (sent, message) =
                multiply_send(&hasher, range, &delta(), &q, &values, width).unwrap();
            assert_eq!(message.len(), packed_bytes(300, width));
            let range = b.pads_from_s1.take(1).unwrap();
            let got = multiply_receive(&hasher, range, &t, &choices, width, &message).unwrap();
            check::product(width, &values, &sent.0, &choices, &got.0);
        }
    }

    #[test]
    fn selections_of_every_index() {
        for (index_bits, width) in [(1, 32), (2, 7), (3, 32), (4, 64)] {
            let n = 400;
            let indices: Vec<u64> =
                (0..n as u64).map(|i| (i * 7 + i / 16) % (1 << index_bits)).collect();
            let choices = Bits::planes(&indices, index_bits);
            let (q, t) = cots(&choices);
            let entries = random(5, n << index_bits);
            let [(hasher, mut a), (_, mut b)] = hashers();
            let range = a.pads_from_s0.take(1 << index_bits).unwrap();
            let (sent, message) =
                select_send(&hasher, range, &delta(), &q, &entries, index_bits, width).unwrap();
            assert_eq!(message.len(), selection_bytes(n, index_bits, width));
            let range = b.pads_from_s0.take(1 << index_bits).unwrap();
            let got =
                select_receive(&hasher, range, &t, &indices, index_bits, width, &message).unwrap();
            check::selection(width, &entries, &sent.0, &indices, &got.0);
        }
    }

    #[test]
    fn multiples_of_delta_are_linear_in_the_index() {
        let d = delta().expose();
        assert_eq!(times_index(d, 0), Block::ZERO);
        assert_eq!(times_index(d, 1), d);
        assert_eq!(times_index(d, 6), d.double() ^ d.double().double());
    }

    #[test]
    fn malformed_messages_are_refused() {
        let choices = Bits::zeros(6);
        let (q, t) = cots(&choices);
        let [(hasher, mut a), (_, mut b)] = hashers();
        let mut range = |n| b.pads_from_s0.take(n).unwrap();
        let products = |range, m: &[u8]| multiply_receive(&hasher, range, &t, &choices, 32, m);
        assert!(matches!(products(range(1), &[0; 23]), Err(OtError::MessageLength { .. })));
        assert!(matches!(products(range(2), &[0; 24]), Err(OtError::Tweaks(_))));
        let select = |range, m: &[u8]| select_receive(&hasher, range, &t, &[0, 1, 2], 2, 8, m);
        assert!(matches!(select(range(4), &[0; 10]), Err(OtError::MessageLength { .. })));
        assert!(matches!(select(range(1), &[0; 9]), Err(OtError::Tweaks(_))));
        let odd = multiply_receive(&hasher, range(1), &t, &choices, 3, &[0, 0, 0x04]);
        assert_eq!(odd.unwrap_err(), OtError::Padding { message: OtMessage::Products });
        let range = a.pads_from_s0.take(1).unwrap();
        let refused = multiply_send(&hasher, range, &delta(), &q, &[1, 2], 32).unwrap_err();
        assert_eq!(refused, OtError::Count { expected: 2, found: 6 });
    }
}
