//! Square pairs for the engine `gc`, made by both servers from correlated OTs.
//!
//! a = a_0 + a_1, both from slot seeds, so a^2 = a_0^2 + a_1^2 + 2 a_0 a_1. The product is the sum over
//! the bits of one server's number of 2^(t + 1) times the other's, a transfer each; S0's bits choose for
//! even elements and S1's for odd ones, so that both directions of the line are used.
//!
//! Messages of each server: corrections of the transfers; products.   Transfers an element: l - 1.
//! Payload bits: l (l - 1) / 2.   Security: semi-honest.   Source: Gilboa (Crypto 1999).

use super::{BLOCK, Side};
use crate::crypto::garble::{Block, SessionTweaks, TweakRange};
use crate::crypto::ot::payload::{PayloadReceiver, PayloadSender, payload_bytes};
use crate::crypto::ot::{OtError, OtMessage};
use crate::ids::Party;
use crate::numbers::bits::Bits;
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

/// A block of at most [`BLOCK`] square pairs in the making.
pub(crate) struct SquareBlock<R: Ring> {
    party: Party,
    /// This server's shares of a.
    roots: Zeroizing<Vec<R>>,
    t: Zeroizing<Vec<Block>>,
    send_tweaks: TweakRange,
    receive_tweaks: TweakRange,
    /// Own shares of the products in which this server was the sender.
    products: Zeroizing<Vec<u64>>,
}

/// Elements of a block of `count` for which `party` chooses.
fn chosen(party: Party, count: usize) -> usize {
    (count + 1 - party.index()) / 2
}

impl<R: Ring> SquareBlock<R> {
    /// A block for this server's shares of a; also the choices of its transfers, bit-major.
    ///
    /// # Errors
    /// [`OtError::Tweaks`] if the session's tweaks are used up.
    ///
    /// # Panics
    /// If there are more than [`BLOCK`] shares: a bug of the caller.
    pub(crate) fn begin(
        party: Party,
        tweaks: &mut SessionTweaks,
        roots: Zeroizing<Vec<R>>,
    ) -> Result<(Self, Bits), OtError> {
        assert!(roots.len() <= BLOCK);
        let bits = u64::from(R::BITS - 1);
        let (from_s0, from_s1) = (tweaks.pads_from_s0.take(bits)?, tweaks.pads_from_s1.take(bits)?);
        let (send_tweaks, receive_tweaks) = match party {
            Party::S0 => (from_s0, from_s1),
            Party::S1 => (from_s1, from_s0),
        };
        let (t, products) = (Zeroizing::default(), Zeroizing::default());
        let block = SquareBlock { party, roots, t, send_tweaks, receive_tweaks, products };
        let choices = Bits::planes(&block.numbers(party), R::BITS - 1);
        Ok((block, choices))
    }

    /// Transfers in which `chooser` chooses.
    pub(crate) fn transfers(&self, chooser: Party) -> usize {
        chosen(chooser, self.roots.len()) * (R::BITS as usize - 1)
    }

    /// Gives the block its transfers as receiver.
    pub(crate) fn set_received(&mut self, t: Vec<Block>) {
        self.t = Zeroizing::new(t);
    }

    /// The products' message, once the peer's corrections have come and made the transfers `q`.
    ///
    /// # Errors
    /// [`OtError::Count`] for another number of transfers.
    pub(crate) fn send(&mut self, side: Side<'_>, q: &[Block]) -> Result<Vec<u8>, OtError> {
        let peer = self.party.other();
        for (found, expected) in
            [(self.t.len(), self.transfers(self.party)), (q.len(), self.transfers(peer))]
        {
            if found != expected {
                return Err(OtError::Count { expected, found });
            }
        }
        let numbers = self.numbers(peer);
        let mut message = Vec::with_capacity(Self::message_bytes(numbers.len()));
        let mut products = Zeroizing::new(vec![0u64; numbers.len()]);
        for (bit, q) in (0..R::BITS - 1).zip(q.chunks_exact(numbers.len().max(1))) {
            let tweaks = self.send_tweaks.split(1)?;
            let mut out = PayloadSender::new(side.hasher, tweaks, side.delta, q, &mut message)?;
            let share = out.sum(&numbers, R::BITS - 1 - bit)?;
            accumulate(&mut products, &share, bit);
        }
        self.products = products;
        Ok(message)
    }

    /// The bytes of the peer's products.
    pub(crate) fn expected_bytes(&self) -> usize {
        Self::message_bytes(chosen(self.party, self.roots.len()))
    }

    /// This server's shares of a^2, from the peer's products.
    ///
    /// # Errors
    /// [`OtError::MessageLength`] or [`OtError::Padding`] for a malformed message.
    pub(crate) fn finish(
        mut self,
        side: Side<'_>,
        message: &[u8],
    ) -> Result<Zeroizing<Vec<R>>, OtError> {
        let (expected, found) = (self.expected_bytes(), message.len());
        if expected != found {
            return Err(OtError::MessageLength { message: OtMessage::Payloads, expected, found });
        }
        let own = self.numbers(self.party);
        let mut message = message;
        let mut received = Zeroizing::new(vec![0u64; own.len()]);
        for (bit, t) in (0..R::BITS - 1).zip(self.t.chunks_exact(own.len().max(1))) {
            let choices: Zeroizing<Vec<u64>> =
                Zeroizing::new(own.iter().map(|a| (a >> bit & 1).wrapping_neg()).collect());
            let tweaks = self.receive_tweaks.split(1)?;
            let mut input = PayloadReceiver::new(side.hasher, tweaks, t, &choices, &mut message)?;
            let share = input.sum(R::BITS - 1 - bit)?;
            accumulate(&mut received, &share, bit);
        }
        let mut squares = std::mem::take(&mut self.roots);
        squares.iter_mut().for_each(|a| *a = a.mul(*a));
        for (chooser, products) in [(self.party, &received), (self.party.other(), &self.products)] {
            let elements = squares.iter_mut().skip(chooser.index()).step_by(2);
            elements.zip(&**products).for_each(|(a, p)| *a = a.add(R::from_u64(*p)));
        }
        Ok(squares)
    }

    /// This server's numbers for which `chooser` chooses.
    fn numbers(&self, chooser: Party) -> Zeroizing<Vec<u64>> {
        let numbers = self.roots.iter().skip(chooser.index()).step_by(2);
        Zeroizing::new(numbers.map(|a| a.to_u64()).collect())
    }

    fn message_bytes(count: usize) -> usize {
        (1..R::BITS).map(|width| payload_bytes(count, width)).sum()
    }
}

/// Adds shares of bit t's product, which counts 2^(t + 1).
fn accumulate(sum: &mut [u64], share: &[u64], bit: u32) {
    sum.iter_mut().zip(share).for_each(|(sum, s)| *sum = sum.wrapping_add(s << 1 << bit));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Server, numbers, servers};
    use super::*;
    use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};

    fn made<R: Ring>(roots: [Vec<R>; 2]) -> ([Vec<R>; 2], usize) {
        let mut both = servers();
        let mut bytes = 0;
        let [(mut b0, m0), (mut b1, m1)] = [0, 1].map(|i| {
            let Server { party, receiver, tweaks, .. } = &mut both[i];
            let roots = Zeroizing::new(roots[i].clone());
            let (mut block, choices) = SquareBlock::<R>::begin(*party, tweaks, roots).unwrap();
            let (t, message) = receiver.extend(&choices);
            block.set_received(t);
            bytes += message.len();
            (block, message)
        });
        let [s0, s1] = &mut both;
        let q0 = s0.sender.extend(b0.transfers(Party::S1), &m1).unwrap();
        let q1 = s1.sender.extend(b1.transfers(Party::S0), &m0).unwrap();
        let [m0, m1] = [b0.send(s0.side(), &q0).unwrap(), b1.send(s1.side(), &q1).unwrap()];
        bytes += m0.len() + m1.len();
        assert!(b0.send(s0.side(), &[q0, vec![Block::ZERO]].concat()).is_err());
        let squares = [b0.finish(s0.side(), &m1).unwrap(), b1.finish(s1.side(), &m0).unwrap()];
        (squares.map(|s| s.to_vec()), bytes)
    }

    fn squares<R: Ring>(counts: &[usize]) {
        for &count in counts {
            let roots = [11u64, 17].map(|seed| -> Vec<R> {
                numbers(seed, count).into_iter().map(R::from_u64).collect()
            });
            let (made, _) = made(roots.clone());
            for i in 0..count {
                let a = roots[0][i].add(roots[1][i]);
                assert_eq!(made[0][i].add(made[1][i]), a.mul(a), "element {i} of {count}");
            }
        }
    }

    #[test]
    fn shares_add_up_to_the_square_in_both_rings() {
        squares::<u32>(&[1, 2, 63, 1000]);
        squares::<u64>(&[1, 2, 63, 500]);
    }

    #[test]
    fn extreme_roots() {
        let extremes = [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1];
        let pairs = extremes.iter().flat_map(|&a| extremes.map(|b| (a, b)));
        let (a, b): (Vec<u32>, Vec<u32>) = pairs.unzip();
        let (made, _) = made([a.clone(), b.clone()]);
        for i in 0..a.len() {
            let root = a[i].wrapping_add(b[i]);
            assert_eq!(made[0][i].wrapping_add(made[1][i]), root.wrapping_mul(root));
        }
    }

    /// 31 transfers of 4 bytes and 496 bits: 186 bytes.
    #[test]
    fn bytes_an_element() {
        let (_, bytes) = made([vec![1u32; BLOCK], vec![2; BLOCK]]);
        assert_eq!(bytes, 186 * BLOCK);
    }

    #[test]
    fn messages_of_another_length_are_refused() {
        let mut both = servers();
        let [s0, _] = &mut both;
        let (block, _) =
            SquareBlock::begin(Party::S0, &mut s0.tweaks, vec![1u32; 9].into()).unwrap();
        assert!(block.finish(s0.side(), &[0; 7]).is_err());
    }
}
