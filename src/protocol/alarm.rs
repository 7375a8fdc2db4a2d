//! What two servers keep for the range alarms of a session.

use crate::crypto::alarm::{AlarmHalf, AlarmHash, AlarmKey};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::ids::Party;
use crate::protocol::{ProtocolError, wrong_length};
use crate::wire::{Channel, Tag};
use zeroize::Zeroizing;

/// A seed that both servers have and the receiver lacks, and how many images took a key of it.
#[derive(Debug)]
pub struct AlarmKeys {
    shared: Seed,
    images: u64,
    factor: Factor,
}

/// Who has the factor A of a session's halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// Both servers: the receiver is neither of them.
    Shared,
    /// A cloud alone, which the halves are compared with ([`super::BlindAlarm`]): here it is 1.
    Blind,
}

impl AlarmKeys {
    /// Agrees on a seed with the other server; `own` is this server's fresh secret randomness.
    ///
    /// Cost: 1 round, 32 bytes each way, once a session. Security: uniform and unknown to the receiver if either server's
    /// part is and the link is protected; fixed before any image is known.
    ///
    /// # Errors
    /// Those of the channel, and for a part of another length.
    pub fn set_up(
        party: Party,
        factor: Factor,
        own: &Seed,
        channel: &mut dyn Channel,
    ) -> Result<Self, ProtocolError> {
        channel.send(Tag::EngineSetup, 0, own.expose().to_vec())?;
        let theirs = Zeroizing::new(channel.expect(Tag::EngineSetup)?.payload);
        let found: Result<[u8; Seed::LEN], _> = theirs.as_slice().try_into();
        let error = |_| wrong_length("its part of the alarm's seed", theirs.len(), Seed::LEN);
        let theirs = Seed::from_bytes(found.map_err(error)?);
        let [first, second] = match party {
            Party::S0 => [own, &theirs],
            Party::S1 => [&theirs, own],
        };
        let shared = first.derive(Domain::of(Purpose::AlarmSeed), second.expose());
        Ok(AlarmKeys { shared, images: 0, factor })
    }

    /// The key of the next image. Both servers begin the same images.
    fn next(&mut self) -> AlarmKey {
        let image = self.images;
        self.images += 1;
        match self.factor {
            Factor::Shared => AlarmKey::derive(&self.shared, image),
            Factor::Blind => AlarmKey::without_factor(&self.shared, image),
        }
    }
}

/// The alarm of the image in work, as one server has it.
#[derive(Default)]
pub(super) struct Alarm {
    /// Of a session.
    keys: Option<AlarmKeys>,
    hash: Option<AlarmHash>,
}

impl Alarm {
    /// With the keys of a session.
    pub(super) fn of(keys: AlarmKeys) -> Self {
        Alarm { keys: Some(keys), hash: None }
    }

    /// Begins an image whose bits are hashed under the session's next key, if there are keys.
    pub(super) fn begin(&mut self) {
        self.hash = self.keys.as_mut().map(|keys| AlarmHash::new(keys.next()));
    }

    /// Begins an image whose bits are hashed under `key`, which the receiver lacks.
    pub(super) fn arm(&mut self, key: AlarmKey) {
        self.hash = Some(AlarmHash::new(key));
    }

    /// Hashes this server's shares of alarm bits, of which both servers come to the same in the same order.
    pub(super) fn update(&mut self, words: &[u64]) {
        if let Some(hash) = &mut self.hash {
            hash.update(words);
        }
    }

    /// This server's half of the image's alarm; nothing if none was begun.
    pub(super) fn finish(&mut self) -> Option<AlarmHalf> {
        self.hash.take().map(AlarmHash::finish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::alarm::AlarmHash;
    use crate::wire::pair;

    /// What a key makes of one word tells keys apart.
    fn half(keys: &mut AlarmKeys) -> u64 {
        let mut hash = AlarmHash::new(keys.next());
        hash.update(&[1]);
        hash.finish().0
    }

    #[test]
    fn both_servers_have_the_same_keys_and_each_image_one_of_its_own() {
        let keys = |seeds: [u8; 2]| {
            let (mut a, mut b) = pair();
            let own = seeds.map(|v| Seed::from_bytes([v; 32]));
            let other = std::thread::spawn({
                let own = Seed::from_bytes([seeds[1]; 32]);
                move || AlarmKeys::set_up(Party::S1, Factor::Shared, &own, &mut b).unwrap()
            });
            let ours = AlarmKeys::set_up(Party::S0, Factor::Shared, &own[0], &mut a).unwrap();
            [ours, other.join().unwrap()]
        };
        let mut seen = Vec::new();
        for seeds in [[1, 2], [2, 1], [1, 3], [3, 2]] {
            let [mut ours, mut theirs] = keys(seeds);
            for _ in 0..2 {
                let found = half(&mut ours);
                assert_eq!(half(&mut theirs), found);
                assert!(!seen.contains(&found), "either part counts, and the image");
                seen.push(found);
            }
        }
    }

    #[test]
    fn a_part_of_another_length_is_refused() {
        let (mut a, mut b) = pair();
        b.send(Tag::EngineSetup, 0, vec![1; 31]).unwrap();
        let error =
            AlarmKeys::set_up(Party::S0, Factor::Shared, &Seed::from_bytes([1; 32]), &mut a)
                .unwrap_err();
        assert!(error.to_string().contains("sent 31 bytes"), "{error}");
    }
}
