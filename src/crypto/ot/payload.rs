//! Several numbers and bit vectors for one transfer, each under pad bits of its own.
//!
//! A transfer with choice c delivers, for every payload f of its sender, shares of c f: xor shares of a
//! vector of at most 64 bits, or additive ones mod 2^width. The pads are the hashes of [`super::pads`],
//! cut into *lanes* of 64 bits, two to a tweak; a sender and a receiver hand out their lanes in order
//! and each once, so no two payloads, words of a vector or levels of a protocol can share one.
//!
//! Message: width bits a payload, packed payload by payload.   Security: semi-honest, the hash being
//! correlation robust (AES as an ideal cipher).   Source: the correlated OT of Asharov, Lindell,
//! Schneider, Zohner (CCS 2013).

use super::{OtError, OtMessage};
use crate::garble::hash::Hasher;
use crate::garble::{Block, Delta, GarbleError, MAX_BATCH, TweakRange};
use crate::numbers::packing::{pack_into, packed_len, unpack_into};
use zeroize::Zeroizing;

/// Lanes of one tweak's pad.
const LANES: usize = 2;

/// The tweaks that `lanes` payloads take.
pub fn tweaks_of(lanes: usize) -> u64 {
    lanes.div_ceil(LANES) as u64
}

/// Shares of one payload, one a transfer.
pub type PayloadShares = Zeroizing<Vec<u64>>;

/// The pads of some transfers, tweak by tweak.
struct Pads {
    blocks: Zeroizing<Vec<Block>>,
    count: usize,
    /// Lanes handed out.
    used: usize,
}

impl Pads {
    fn new(hasher: &Hasher, tweaks: TweakRange, x: &[Block]) -> Self {
        let count = x.len();
        let mut blocks = Zeroizing::new(vec![Block::ZERO; count * tweaks.count() as usize]);
        for (tweak, out) in tweaks.into_iter().zip(blocks.chunks_exact_mut(count.max(1))) {
            hasher.hash_into(tweak, x, out);
        }
        Pads { blocks, count, used: 0 }
    }

    /// The next lane: its tweak's pads, and how far down its bits are.
    fn next(&mut self) -> Result<(&[Block], u32), OtError> {
        let (tweak, lane) = (self.used / LANES, self.used % LANES);
        let pads = self.blocks.get(tweak * self.count..(tweak + 1) * self.count);
        self.used += 1;
        Ok((pads.ok_or(OtError::Tweaks(GarbleError::TweaksExhausted))?, 64 * lane as u32))
    }
}

/// The sender's side of some transfers' payloads.
pub struct PayloadSender<'m> {
    zero: Pads,
    one: Pads,
    message: &'m mut Vec<u8>,
}

/// The receiver's side of some transfers' payloads.
pub struct PayloadReceiver<'c, 'm, 'b> {
    pads: Pads,
    /// All ones where the choice is 1, else zero.
    choices: &'c [u64],
    message: &'m mut &'b [u8],
}

impl<'m> PayloadSender<'m> {
    /// Makes the pads of transfers `q`, two payloads for each of the `tweaks`; appends to `message`.
    ///
    /// # Errors
    /// [`OtError::Tweaks`] for more than [`MAX_BATCH`] transfers.
    pub fn new(
        hasher: &Hasher,
        tweaks: TweakRange,
        delta: &Delta,
        q: &[Block],
        message: &'m mut Vec<u8>,
    ) -> Result<Self, OtError> {
        check_batch(q.len())?;
        let moved: Zeroizing<Vec<Block>> =
            Zeroizing::new(q.iter().map(|&q| q ^ delta.expose()).collect());
        let again = tweaks.for_moved_points();
        let [zero, one] = [Pads::new(hasher, tweaks, q), Pads::new(hasher, again, &moved)];
        Ok(PayloadSender { zero, one, message })
    }

    /// Xor shares of choice times the low `width` bits of each of `vectors`.
    ///
    /// # Errors
    /// [`OtError::Tweaks`] if all lanes are used, [`OtError::Count`] for another number of vectors.
    pub fn xor(&mut self, vectors: &[u64], width: u32) -> Result<PayloadShares, OtError> {
        self.send(width, vectors, |f, p0, p1| (p0, p0 ^ p1 ^ f))
    }

    /// Additive shares, mod 2^`width`, of choice times each of `numbers`.
    ///
    /// # Errors
    /// As [`Self::xor`].
    pub fn sum(&mut self, numbers: &[u64], width: u32) -> Result<PayloadShares, OtError> {
        let share =
            |f: u64, p0: u64, p1: u64| (p0.wrapping_neg(), p0.wrapping_add(f).wrapping_sub(p1));
        self.send(width, numbers, share)
    }

    /// A uniform vector of `width` bits for each transfer, and xor shares of choice times it, of which nothing is
    /// sent: the vector is what makes the message zero, the sum of both pads. Gives the shares, then the vectors.
    ///
    /// # Errors
    /// [`OtError::Tweaks`] if all lanes are used.
    pub fn free(&mut self, width: u32) -> Result<[PayloadShares; 2], OtError> {
        let (zero, at) = self.zero.next()?;
        let (one, _) = self.one.next()?;
        let mask = mask(width);
        let shares = zero.iter().map(|p| (p.0 >> at) as u64 & mask).collect();
        let vectors = zero.iter().zip(one).map(|(p0, p1)| ((p0.0 ^ p1.0) >> at) as u64 & mask);
        Ok([Zeroizing::new(shares), Zeroizing::new(vectors.collect())])
    }

    /// `share`: of (payload, both pads) the own share and what is sent.
    #[inline(always)]
    fn send(
        &mut self,
        width: u32,
        payload: &[u64],
        share: impl Fn(u64, u64, u64) -> (u64, u64),
    ) -> Result<PayloadShares, OtError> {
        let (zero, at) = self.zero.next()?;
        let (one, _) = self.one.next()?;
        expect(zero.len(), payload.len())?;
        let mask = mask(width);
        let mut shares = Zeroizing::new(vec![0; zero.len()]);
        let mut sent = vec![0u64; zero.len()];
        let pads = zero.iter().zip(one);
        let out = shares.iter_mut().zip(&mut sent);
        for (((s, m), (p0, p1)), &f) in out.zip(pads).zip(payload) {
            let (own, masked) = share(f, (p0.0 >> at) as u64, (p1.0 >> at) as u64);
            (*s, *m) = (own & mask, masked);
        }
        let start = self.message.len();
        self.message.resize(start + payload_bytes(zero.len(), width), 0);
        pack_into(&sent, width, &mut self.message[start..]);
        Ok(shares)
    }
}

impl<'c, 'm, 'b> PayloadReceiver<'c, 'm, 'b> {
    /// Makes the pads of transfers `t`, made with `choices` (all ones or zero each); takes payloads
    /// from the front of `message`.
    ///
    /// # Errors
    /// [`OtError::Tweaks`] for more than [`MAX_BATCH`] transfers, [`OtError::Count`] unless there is a
    /// choice for each.
    pub fn new(
        hasher: &Hasher,
        tweaks: TweakRange,
        t: &[Block],
        choices: &'c [u64],
        message: &'m mut &'b [u8],
    ) -> Result<Self, OtError> {
        check_batch(t.len())?;
        expect(t.len(), choices.len())?;
        Ok(PayloadReceiver { pads: Pads::new(hasher, tweaks, t), choices, message })
    }

    /// The other shares of [`PayloadSender::xor`].
    ///
    /// # Errors
    /// [`OtError::MessageLength`] or [`OtError::Padding`] for a malformed message, [`OtError::Tweaks`]
    /// if all lanes are used.
    pub fn xor(&mut self, width: u32) -> Result<PayloadShares, OtError> {
        self.receive(width, |pad, m| pad ^ m)
    }

    /// The other shares of [`PayloadSender::sum`].
    ///
    /// # Errors
    /// As [`Self::xor`].
    pub fn sum(&mut self, width: u32) -> Result<PayloadShares, OtError> {
        self.receive(width, u64::wrapping_add)
    }

    /// The other shares of [`PayloadSender::free`].
    ///
    /// # Errors
    /// [`OtError::Tweaks`] if all lanes are used.
    pub fn free(&mut self, width: u32) -> Result<PayloadShares, OtError> {
        let (pads, at) = self.pads.next()?;
        let mask = mask(width);
        Ok(Zeroizing::new(pads.iter().map(|p| (p.0 >> at) as u64 & mask).collect()))
    }

    #[inline(always)]
    fn receive(
        &mut self,
        width: u32,
        unmask: impl Fn(u64, u64) -> u64,
    ) -> Result<PayloadShares, OtError> {
        let (pads, at) = self.pads.next()?;
        let mut shares = Zeroizing::new(vec![0u64; pads.len()]);
        take_numbers(self.message, width, &mut shares)?;
        let mask = mask(width);
        for ((s, p), c) in shares.iter_mut().zip(pads).zip(self.choices) {
            *s = unmask((p.0 >> at) as u64, *s & c) & mask;
        }
        Ok(shares)
    }
}

/// The bytes of one payload of `count` transfers; no message is long enough for the largest `usize`.
pub fn payload_bytes(count: usize, width: u32) -> usize {
    packed_len(count, width).unwrap_or(usize::MAX)
}

/// Takes packed numbers from the front of a message.
///
/// # Errors
/// [`OtError::MessageLength`] or [`OtError::Padding`] for a malformed message.
pub fn take_numbers(message: &mut &[u8], width: u32, out: &mut [u64]) -> Result<(), OtError> {
    let expected = payload_bytes(out.len(), width);
    let what = OtMessage::Payloads;
    let error = OtError::MessageLength { message: what, expected, found: message.len() };
    let (head, rest) = message.split_at_checked(expected).ok_or(error)?;
    unpack_into(head, width, out).ok_or(OtError::Padding { message: what })?;
    *message = rest;
    Ok(())
}

fn check_batch(found: usize) -> Result<(), OtError> {
    if found > MAX_BATCH { Err(GarbleError::BatchSize { found }.into()) } else { Ok(()) }
}

fn expect(expected: usize, found: usize) -> Result<(), OtError> {
    if expected == found { Ok(()) } else { Err(OtError::Count { expected, found }) }
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
    use crate::garble::{BlockStream, SessionTweaks};
    use crate::kernels::AesBackend;
    use crate::numbers::bits::Bits;

    const COUNT: usize = 300;

    fn random(seed: u128) -> Vec<u64> {
        let blocks = BlockStream::new(Block(seed), AesBackend::Portable).take(COUNT);
        blocks.iter().map(|b| b.0 as u64).collect()
    }

    fn sessions() -> [(Hasher, SessionTweaks); 2] {
        [0, 1].map(|_| Hasher::session([4; 16], AesBackend::active()))
    }

    /// Vectors and numbers of every width in one transfer, packed one behind the other.
    #[test]
    fn many_payloads_of_one_transfer() {
        let choices: Bits = random(1).iter().map(|v| v & 1 == 1).collect();
        let (mut sender, mut receiver) = extension(FieldBits::FOUR, delta(), 9);
        let (t, corrections) = receiver.extend(&choices);
        let q = sender.extend(COUNT, &corrections).unwrap();
        let masks: Vec<u64> = choices.iter().map(|c| u64::from(c).wrapping_neg()).collect();
        let [(hasher, mut a), (_, mut b)] = sessions();
        let mut message = Vec::new();
        let range = a.pads_from_s0.take(tweaks_of(128)).unwrap();
        let mut send = PayloadSender::new(&hasher, range, &delta(), &q, &mut message).unwrap();
        let payload = |width: u32, xor: bool| random(u128::from(2 * width + u32::from(xor)));
        let mut sent = Vec::new();
        for width in 1..=64 {
            sent.push(send.sum(&payload(width, false), width).unwrap());
            sent.push(send.xor(&payload(width, true), width).unwrap());
        }
        assert!(matches!(send.sum(&payload(1, false), 1), Err(OtError::Tweaks(_))));
        let bytes: usize = (1..=64).map(|w| 2 * payload_bytes(COUNT, w)).sum();
        assert_eq!(message.len(), bytes);
        let range = b.pads_from_s0.take(tweaks_of(128)).unwrap();
        let mut rest = &message[..];
        let mut receive = PayloadReceiver::new(&hasher, range, &t, &masks, &mut rest).unwrap();
        let mut sent = sent.iter();
        for width in 1..=64 {
            let got = receive.sum(width).unwrap();
            check::product(width, &payload(width, false), sent.next().unwrap(), &choices, &got);
            let (got, sent) = (receive.xor(width).unwrap(), sent.next().unwrap());
            let expected = payload(width, true);
            for i in 0..COUNT {
                assert_eq!(sent[i] ^ got[i], expected[i] & masks[i] & mask(width), "{width} {i}");
            }
        }
        assert!(matches!(receive.sum(1), Err(OtError::Tweaks(_))));
        assert!(rest.is_empty());
    }

    /// A vector for which nothing is sent, between payloads of other lanes.
    #[test]
    fn vectors_that_pads_make() {
        let choices: Bits = random(1).iter().map(|v| v & 1 == 1).collect();
        let (mut sender, mut receiver) = extension(FieldBits::FOUR, delta(), 9);
        let (t, corrections) = receiver.extend(&choices);
        let q = sender.extend(COUNT, &corrections).unwrap();
        let masks: Vec<u64> = choices.iter().map(|c| u64::from(c).wrapping_neg()).collect();
        let [(hasher, mut a), (_, mut b)] = sessions();
        let mut message = Vec::new();
        let range = a.pads_from_s0.take(2).unwrap();
        let mut send = PayloadSender::new(&hasher, range, &delta(), &q, &mut message).unwrap();
        let before = send.free(3).unwrap();
        send.xor(&random(2), 64).unwrap();
        let after = send.free(64).unwrap();
        assert_eq!(message.len(), 8 * COUNT, "one payload is sent");
        let range = b.pads_from_s0.take(2).unwrap();
        let mut rest = &message[..];
        let mut receive = PayloadReceiver::new(&hasher, range, &t, &masks, &mut rest).unwrap();
        let got = [receive.free(3).unwrap(), receive.xor(64).unwrap(), receive.free(64).unwrap()];
        for i in 0..COUNT {
            let [share, vector] = before.each_ref().map(|v| v[i]);
            assert_eq!(share ^ got[0][i], vector & masks[i]);
            assert!(vector < 8);
            let [share, vector] = after.each_ref().map(|v| v[i]);
            assert_eq!(share ^ got[2][i], vector & masks[i]);
        }
        let ones: u32 = after[1].iter().map(|v| v.count_ones()).sum();
        assert!(ones.abs_diff(32 * COUNT as u32) < 6 * 70, "{ones} bits of the vectors are set");
    }

    /// The xor of two words' messages is that of the words if they share a lane, else it is uniform.
    #[test]
    fn two_words_under_one_pad_show() {
        let q = BlockStream::new(Block(5), AesBackend::Portable).take(COUNT);
        let [(hasher, mut tweaks), _] = sessions();
        for again in [false, true] {
            let mut message = Vec::new();
            let range = tweaks.pads_from_s0.take(1).unwrap();
            let mut send = PayloadSender::new(&hasher, range, &delta(), &q, &mut message).unwrap();
            send.xor(&random(7), 64).unwrap();
            if again {
                (send.zero.used, send.one.used) = (0, 0);
            }
            send.xor(&random(8), 64).unwrap();
            let words: Vec<u64> = crate::numbers::packing::unpack(&message, 64, 2 * COUNT).unwrap();
            let words = words[..COUNT].iter().zip(&words[COUNT..]);
            let plain = random(7).into_iter().zip(random(8));
            let shown = words.zip(plain).filter(|((a, b), (x, y))| *a ^ *b == x ^ y).count();
            assert_eq!(shown, if again { COUNT } else { 0 });
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        let [_, (hasher, mut tweaks)] = sessions();
        let t = [Block::ZERO; 6];
        let mut receive = |message: &[u8]| {
            let (mut rest, range) = (message, tweaks.pads_from_s1.take(1).unwrap());
            PayloadReceiver::new(&hasher, range, &t, &[0; 6], &mut rest).unwrap().sum(3)
        };
        let length = OtError::MessageLength { message: OtMessage::Payloads, expected: 3, found: 2 };
        assert_eq!(receive(&[0; 2]).unwrap_err(), length);
        let padding = OtError::Padding { message: OtMessage::Payloads };
        assert_eq!(receive(&[0, 0, 4]).unwrap_err(), padding);
        assert!(receive(&[0, 0, 3]).is_ok());
    }
}
