//! Worlds whose exact ReLUs two servers made in a session of theirs.

use super::world::{MadeBatches, PARTIES, World};
use crate::crypto::ot::extension::FieldBits;
use crate::ids::Party;
use crate::model::ActivationSpec;
use crate::network::Op;
use crate::numbers::ring::Ring;
use crate::protocol::PairSession;
use crate::split::split;
use crate::wire::{Channel, pair};

impl World {
    /// The same world with material that is explicit at both servers: exact ReLUs as they make them, everything else a
    /// dealer's, split.
    pub(super) fn with_made_relus<R: Ring>(self) -> Self {
        let mut world = self.made();
        let (mut a, mut b) = pair();
        let chunks_made = std::thread::scope(|scope| {
            let other = scope.spawn(|| world.make_relus::<R>(Party::S1, &mut b));
            [world.make_relus::<R>(Party::S0, &mut a), other.join().unwrap()]
        });
        world.chunks_made = Some(chunks_made);
        world
    }

    /// One server's chunks; each op's ReLUs are sacrificed first, as by `gen-triplets`.
    fn make_relus<R: Ring>(&self, party: Party, channel: &mut dyn Channel) -> MadeBatches {
        let (public, dealer) = (&self.model.public, self.dealer::<R>());
        let seed = &self.session_seeds[party.index()];
        let mut session = PairSession::set_up(party, FieldBits::FOUR, seed, channel).unwrap();
        for (op, spec, _) in public.network.activations() {
            if let ActivationSpec::Exact(relu) = spec {
                session.sacrifice_relus::<R>(channel, op, &relu.shape::<R>().unwrap()).unwrap();
            }
        }
        let slots = PARTIES.map(|p| &self.seeds[p.index()].slots);
        let batches = 0..self.layout.batches();
        let batches = batches.map(|batch| {
            let span = self.layout.batch(batch);
            let chunks =
                dealer.slot(self.slot).batch(span.clone()).into_iter().map(|(op, dealt)| {
                    let Op::Activation(ActivationSpec::Exact(relu)) = &public.network.ops()[op]
                    else {
                        let both = split::<R>(public, slots, self.slot, &span, (op, &dealt));
                        return (op, both[party.index()].clone());
                    };
                    let (_, _, width) =
                        public.network.activations().find(|(at, ..)| *at == op).unwrap();
                    let (count, shape) = (span.rows.len() * width, relu.shape::<R>().unwrap());
                    (op, session.relus::<R>(channel, count, &shape).unwrap().to_vec())
                });
            chunks.collect()
        });
        batches.collect()
    }
}
