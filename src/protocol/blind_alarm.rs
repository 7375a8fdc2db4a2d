//! The range alarm where the receiver is one of the two parties, as with one cloud: it learns whether both halves differ,
//! and nothing else (docs/protocols.md, range alarm).
//!
//! Both halves are hashed with A = 1 and a K that both know. The cloud draws an A of its own for each image. The user
//! chooses with the 64 bits of its half H_1 in 64 transfers whose payloads are A X^i, so both have shares of A H_1; the
//! cloud adds A H_0 to its share and sends it. What the user puts together is A (H_0 + H_1): 0, or uniform among all else.

use super::{OtSession, ProtocolError, wrong_length};
use crate::crypto::alarm::{AlarmFactor, AlarmHalf};
use crate::crypto::ot::extension::FieldBits;
use crate::crypto::ot::payload::{PayloadReceiver, PayloadSender, payload_bytes, tweaks_of};
use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};
use crate::crypto::prg::Seed;
use crate::ids::Party;
use crate::numbers::bits::Bits;
use crate::wire::{Channel, Tag};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

/// Bits of a half, and of a payload.
const BITS: usize = u64::BITS as usize;

/// What a cloud (S0) and its user (S1) keep for the alarms of a session.
pub(crate) struct BlindAlarm {
    transfers: OtSession,
    /// Draws the factors; of the cloud's alone it matters.
    factors: Seed,
    images: u32,
}

impl BlindAlarm {
    /// Sets the transfers up; `seed` is this party's fresh secret randomness.
    ///
    /// Cost and security: [`OtSession::set_up`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn set_up(
        party: Party,
        seed: &Seed,
        channel: &mut dyn Channel,
    ) -> Result<Self, ProtocolError> {
        let mut rng = ChaCha20Rng::from_seed(*seed.expose());
        let transfers = OtSession::set_up(party, FieldBits::FOUR, &mut rng, channel)?;
        let factors = AlarmFactor::seed_of(seed);
        Ok(BlindAlarm { transfers, factors, images: 0 })
    }

    /// Compares the halves of the next image: whether they differ, for the user alone.
    ///
    /// Cost: 1 round; 256 bytes from the user, 520 from the cloud. Security: semi-honest. The cloud sees corrections of the
    /// transfers, which hide the choices; the user sees payloads of which it opens one share each, and A (H_0 + H_1).
    ///
    /// # Errors
    /// [`ProtocolError`] of the channel, and for malformed messages.
    pub(crate) fn compare(
        &mut self,
        half: AlarmHalf,
        channel: &mut dyn Channel,
    ) -> Result<Option<bool>, ProtocolError> {
        let factor = AlarmFactor::draw(&self.factors, self.images.into());
        Ok(self.difference(half, &factor, channel)?.map(|difference| difference != 0))
    }

    /// `factor` times the sum of the halves, for the user alone; that of the user's own is not used.
    fn difference(
        &mut self,
        half: AlarmHalf,
        factor: &AlarmFactor,
        channel: &mut dyn Channel,
    ) -> Result<Option<u64>, ProtocolError> {
        let image = self.images;
        self.images += 1;
        let tweaks = self.transfers.tweaks.pads_from_s0.take(tweaks_of(1))?;
        match self.transfers.party {
            Party::S0 => {
                let corrections = channel.expect(Tag::OtCorrections)?.payload;
                let OtSession { sender, hasher, .. } = &mut self.transfers;
                let q = Zeroizing::new(sender.extend(BITS, &corrections)?);
                let mut message = Vec::new();
                let mut payloads =
                    PayloadSender::new(hasher, tweaks, sender.delta(), &q, &mut message)?;
                let shares = payloads.xor(&factor.powers()[..], u64::BITS)?;
                let own = shares.iter().fold(factor.times(half), |sum, share| sum ^ share);
                message.extend(own.to_le_bytes());
                channel.send(Tag::OtPayloads, image, message)?;
                Ok(None)
            }
            Party::S1 => {
                let bits = Bits::from_bytes(&half.0.to_le_bytes(), BITS).expect("64 bits");
                let OtSession { receiver, hasher, .. } = &mut self.transfers;
                let (t, corrections) = receiver.extend(&bits);
                let t = Zeroizing::new(t);
                channel.send(Tag::OtCorrections, image, corrections)?;
                let message = channel.expect(Tag::OtPayloads)?.payload;
                let expected = payload_bytes(BITS, u64::BITS) + 8;
                let parts = message.split_last_chunk::<8>().filter(|_| message.len() == expected);
                let error = || wrong_length("its part of the range alarm", message.len(), expected);
                let (mut masked, theirs) = parts.ok_or_else(error)?;
                let choices = Zeroizing::new(
                    (0..BITS).map(|i| 0u64.wrapping_sub(half.0 >> i & 1)).collect::<Vec<_>>(),
                );
                let mut payloads = PayloadReceiver::new(hasher, tweaks, &t, &choices, &mut masked)?;
                let shares = payloads.xor(u64::BITS)?;
                let theirs = u64::from_le_bytes(*theirs);
                Ok(Some(shares.iter().fold(theirs, |sum, share| sum ^ share)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pair;

    /// What the user learns of pairs of halves, and what it puts together before it is compared with 0.
    fn compare(halves: &[[u64; 2]], seed: u8) -> Vec<bool> {
        let (mut a, mut b) = pair();
        let theirs: Vec<u64> = halves.iter().map(|half| half[1]).collect();
        let user = std::thread::spawn(move || {
            let seed = Seed::from_bytes([seed + 1; 32]);
            let mut alarm = BlindAlarm::set_up(Party::S1, &seed, &mut b).unwrap();
            let mut found = Vec::new();
            for half in theirs {
                found.push(alarm.compare(AlarmHalf(half), &mut b).unwrap().unwrap());
            }
            found
        });
        let mut alarm =
            BlindAlarm::set_up(Party::S0, &Seed::from_bytes([seed; 32]), &mut a).unwrap();
        for half in halves {
            assert_eq!(alarm.compare(AlarmHalf(half[0]), &mut a).unwrap(), None);
        }
        user.join().unwrap()
    }

    /// Equal halves are silent, and every single bit that differs is heard.
    #[test]
    fn the_user_learns_whether_the_halves_differ() {
        let mut halves = vec![[0, 0], [u64::MAX, u64::MAX], [0x0123_4567_89ab_cdef; 2]];
        let mut expected = vec![false; 3];
        for bit in 0..64 {
            halves.push([0xfeed_beef_1234_0000, 0xfeed_beef_1234_0000 ^ 1 << bit]);
            expected.push(true);
        }
        assert_eq!(compare(&halves, 7), expected);
    }

    /// What the user puts together of the same halves, again and again, under factors that the cloud draws, or under 1.
    fn differences(halves: [u64; 2], count: u32, drawn: bool) -> Vec<u64> {
        let (mut a, mut b) = pair();
        let session = |party, channel: &mut dyn Channel| {
            let seed = Seed::from_bytes([party as u8; 32]);
            let mut alarm = BlindAlarm::set_up(party, &seed, channel).unwrap();
            let one = |image: u32| {
                let factor = if drawn {
                    AlarmFactor::draw(&alarm.factors, image.into())
                } else {
                    AlarmFactor::new(1)
                };
                alarm.difference(AlarmHalf(halves[party.index()]), &factor, channel).unwrap()
            };
            (0..count).filter_map(one).collect::<Vec<u64>>()
        };
        std::thread::scope(|scope| {
            let user = scope.spawn(|| session(Party::S1, &mut b));
            assert!(session(Party::S0, &mut a).is_empty());
            user.join().unwrap()
        })
    }

    /// Of halves that differ the user sees another number each time, uniform in every byte (within six standard
    /// deviations): nothing of where they differ. Under a factor of 1, the broken variant, it sees just that.
    #[test]
    fn what_the_user_puts_together_says_nothing_but_that_halves_differ() {
        const IMAGES: u32 = 1 << 12;
        let halves = [5 << 40, 4 << 40];
        let seen = differences(halves, IMAGES, true);
        assert!(seen.iter().all(|v| *v != 0));
        let distinct: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len());
        for shift in (0..64).step_by(8) {
            let mut counts = [0f64; 256];
            seen.iter().for_each(|v| counts[(v >> shift) as usize & 255] += 1.0);
            let mean = f64::from(IMAGES) / 256.0;
            let chi: f64 = counts.iter().map(|c| (c - mean).powi(2) / mean).sum();
            assert!((chi - 255.0).abs() < 6.0 * 22.6, "bits from {shift}: {chi}");
        }
        assert_eq!(differences(halves, 3, false), [1 << 40; 3]);
        assert_eq!(differences([9, 9], 3, true), [0; 3]);
    }

    #[test]
    fn a_message_of_another_length_is_refused() {
        let (mut a, mut b) = pair();
        let user = std::thread::spawn(move || {
            let seed = Seed::from_bytes([2; 32]);
            let mut alarm = BlindAlarm::set_up(Party::S1, &seed, &mut b).unwrap();
            alarm.compare(AlarmHalf(5), &mut b).unwrap_err().to_string()
        });
        let mut alarm = BlindAlarm::set_up(Party::S0, &Seed::from_bytes([1; 32]), &mut a).unwrap();
        a.expect(Tag::OtCorrections).unwrap();
        a.send(Tag::OtPayloads, 0, vec![0; 519]).unwrap();
        let error = user.join().unwrap();
        assert!(error.contains("519") && error.contains("520"), "{error}");
        drop(a);
        let (mut a, mut b) = pair();
        b.send(Tag::OtCorrections, 0, vec![0; 9]).unwrap();
        assert!(alarm.compare(AlarmHalf(5), &mut a).is_err());
    }
}
