//! Both commands one after the other: two servers make material for a few slots, then denoise with it.

use crate::crypto::ot::extension::FieldBits;
use crate::crypto::prg::Seed;
use crate::crypto::rlwe::Profile;
use crate::ids::{Digest, Fingerprint, ModelId, Party};
use crate::material::Origin;
use crate::material::SlotView;
use crate::material::pair::linear::{HintSeed, Holder, LinearPlan, MaskName, MaskNonce};
use crate::model::{ActivationSpec, QuantisedModel};
use crate::network::Op;
use crate::numbers::ring;
use crate::protocol::tests::privacy::campaign::{Campaign, Seen, View, shape};
use crate::protocol::tests::privacy::tap::Record;
use crate::protocol::tests::world::{MadeBatches, PARTIES, SIZE, World};
use crate::protocol::{
    LinearSetUp, LinearWork, MakerIdentity, PairLinear, PairSession, Parameters, WantedSet,
    greet_maker,
};
use crate::wire::{Channel, Tag};

use super::view::Seat;

/// What is wrong in the sessions in which material is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    /// Nothing.
    None,
    /// Both sessions of a pair run on the same randomness, as after a restored snapshot of both servers.
    SessionReused,
    /// What the peer publishes of its sign is the sign.
    BareSigns,
    /// The masks m of what is sacrificed are those of the first slot.
    SlotSacrificed,
    /// Each rule of exact ReLUs is broken in turn; see [`crate::material::pair::relu::BrokenRule`].
    ReluRules,
}

/// Pairs of sessions in which material is made, each followed by one session of `serve` a slot. The two of
/// a pair have nothing in common; `campaign.pairs` counts them.
pub(super) struct Making {
    pub(super) campaign: Campaign,
    pub(super) slots: usize,
    pub(super) slip: Slip,
}

/// What a server has of a session in which material was made, beside its frames.
pub(super) struct Own {
    /// Its nonce in the greeting.
    pub(super) nonce: [u8; 32],
    /// By slot.
    chunks: Vec<MadeBatches>,
}

impl Making {
    pub(super) fn new(campaign: Campaign, slots: usize) -> Self {
        Making { campaign, slots, slip: Slip::None }
    }

    pub(super) fn run(&self) -> Seen {
        let model = self.campaign.model();
        let mut seen = Seen { fields: Default::default(), shapes: Vec::new() };
        for pair in 0..self.campaign.pairs {
            let mut worlds: Vec<_> =
                (0..self.slots).map(|slot| self.worlds(&model, pair, slot)).collect();
            let made = [0, 1].map(|which| self.make(&mut worlds, pair, which));
            let mut lines = Vec::new();
            let mut served = [Vec::new(), Vec::new()];
            for worlds in &worlds {
                let (views, set_up) = self.campaign.pair::<u32>(worlds);
                lines.extend(shape(&set_up, &views));
                for party in PARTIES {
                    let i = party.index();
                    let both = [&views[0][i], &views[1][i]].map(without_weights);
                    seen.fields[i].set_up(&worlds[0], party, &set_up[i]);
                    seen.fields[i].pair::<u32>(worlds, party, [&both[0], &both[1]]);
                }
                views.into_iter().zip(&mut served).for_each(|(views, to)| to.push(views));
            }
            for party in PARTIES {
                let seats = [0, 1].map(|which| Seat {
                    party,
                    worlds: worlds.iter().map(|worlds| &worlds[which]).collect(),
                    name: self.name(pair, which),
                    made: &made[which].0[party.index()],
                    nonces: made[which].1,
                    served: served[which].iter().map(|views| &views[party.index()]).collect(),
                    draws: PARTIES.map(|party| {
                        self.campaign.seed("made session", self.number(pair, which), party)
                    }),
                    slip: self.slip,
                });
                super::view::look(&seats, &mut seen.fields[party.index()]);
            }
            for (made, _) in &made {
                let sent = made.iter().enumerate().flat_map(|(party, view)| {
                    let line = move |r: &Record| (party, r.tag as u8, r.batch, r.payload.len());
                    view.sent.iter().map(line)
                });
                lines.extend(sent);
            }
            seen.shapes.push(lines);
        }
        seen
    }

    fn number(&self, pair: usize, which: usize) -> usize {
        2 * pair + which * usize::from(self.slip != Slip::SessionReused)
    }

    fn name(&self, pair: usize, which: usize) -> MaskName {
        let number = self.number(pair, which);
        let of = |what, party| *self.campaign.seed(what, number, party).expose();
        let id = of("mask id", Party::S0);
        MaskName {
            id: std::array::from_fn(|i| id[i]),
            model_id: [1; 16],
            nonces: PARTIES.map(|party| MaskNonce(of("mask nonce", party))),
        }
    }

    /// The worlds of a slot in both sessions of a pair; images and shares are fresh.
    fn worlds(&self, model: &QuantisedModel, pair: usize, slot: usize) -> [World; 2] {
        [0, 1].map(|which| {
            let number = self.number(pair, which);
            let mut world = self.campaign.world(model, pair * self.slots + slot, which).made();
            for party in PARTIES {
                let seeds = &mut world.seeds[party.index()];
                seeds.slots = self.campaign.seed("made slots", number, party);
                seeds.weight_mask = self.campaign.seed("made weight mask", number, party);
            }
            world.slot = slot as u64;
            world
        })
    }

    /// Both servers make the material of all slots; it goes to the worlds.
    fn make(
        &self,
        worlds: &mut [[World; 2]],
        pair: usize,
        which: usize,
    ) -> ([View; 2], [[u8; 32]; 2]) {
        let all = &*worlds;
        let (mut own, records) = self.campaign.both(&all[0][which], [(), ()], |party, (), tap| {
            self.server(all, (pair, which), party, tap)
        });
        for (slot, worlds) in worlds.iter_mut().enumerate() {
            let chunks = own.each_mut().map(|own| std::mem::take(&mut own.chunks[slot]));
            worlds[which].chunks_made = Some(chunks);
        }
        let views = records.map(|(sent, received)| View { sent, received, result: Vec::new() });
        (views, own.map(|own| own.nonce))
    }

    /// One server's side of a session, in the order of the roles' (src/roles/server/stock/make/).
    fn server(
        &self,
        worlds: &[[World; 2]],
        (pair, which): (usize, usize),
        party: Party,
        channel: &mut dyn Channel,
    ) -> Own {
        let number = self.number(pair, which);
        let seed = |what: &str| self.campaign.seed(what, number, party);
        let world = &worlds[0][which];
        let public = &world.model.public;
        let plan = LinearPlan::new(public, Profile::Q88).unwrap();
        let nonce = *seed("greeting").expose();
        let wanted = WantedSet {
            size: SIZE,
            slots: worlds.len() as u64,
            batch_rows: world.layout.batch_rows() as u32,
        };
        let identity = MakerIdentity {
            party,
            server: Fingerprint::from_bytes([party.index() as u8; 16]),
            nonce,
            model_id: ModelId::from_bytes([1; 16]),
            public_digest: Digest::of(b"public"),
            ring: public.ring,
            engine: public.engine.name().into(),
            parameters: Parameters::of(Profile::Q88),
            packing: Digest::from_bytes(plan.digest()),
            sets: vec![wanted],
            mask: None,
            line: None,
        };
        greet_maker(&identity, channel).unwrap();
        let name = self.name(pair, which);
        let mask = Seed::from_bytes(*world.seeds[party.index()].weight_mask.expose());
        let hints = HintSeed::new(seed("hints"));
        let holder = Holder::new(party, name.clone(), mask, hints, plan);
        let fresh = *seed("rounding").expose();
        let set_up = LinearSetUp { holder: &holder, name, kept: None, fresh };
        let mut linear = PairLinear::set_up(set_up, channel, &mut |_| Ok(())).unwrap();
        let mut session =
            PairSession::set_up(party, FieldBits::FOUR, &seed("made session"), channel).unwrap();
        for (op, spec, _) in public.network.activations() {
            match spec {
                ActivationSpec::Lookup(table) => {
                    session.sacrifice_lookups::<u32>(channel, op, table.hi, table.lo).unwrap()
                }
                ActivationSpec::Piecewise(_) => {
                    session.sacrifice_squares::<u32>(channel, op).unwrap();
                }
                ActivationSpec::Exact(relu) => {
                    let shape = relu.shape::<u32>().unwrap();
                    session.sacrifice_relus::<u32>(channel, op, &shape).unwrap();
                }
            }
        }
        let work = LinearWork {
            public,
            size: SIZE,
            slots: 0..worlds.len() as u64,
            set_id: [number as u8; 16],
            seed: &world.seeds[party.index()].slots,
        };
        let mut batches = 0;
        let mut batch = || {
            batches += 1;
            Ok(self.campaign.seed("batch", 1000 * number + batches, party))
        };
        let shares = linear.make(&work, channel, &mut batch, &mut |_| ()).unwrap();
        let mut chunks = Vec::new();
        for (slot, worlds) in worlds.iter().enumerate() {
            let world = &worlds[which];
            let seeds = &world.seeds[party.index()].slots;
            let view = SlotView::new(party, seeds, slot as u64, Origin::Made);
            let batch = |batch: usize| {
                let rows = world.layout.batch(batch).rows;
                let chunk = |(op, _): (usize, usize)| {
                    let Op::Activation(spec) = &public.network.ops()[op] else {
                        let z = shares.chunk(slot, op, rows.clone());
                        return (op, ring::to_le_bytes(z));
                    };
                    let mut widths = public.network.activations();
                    let (_, _, width) = widths.find(|(at, ..)| *at == op).unwrap();
                    let at = rows.start * width..rows.end * width;
                    let made = match spec {
                        ActivationSpec::Lookup(table) => {
                            session.lookups::<u32>(channel, &view, op, at, table.hi, table.lo)
                        }
                        ActivationSpec::Piecewise(_) => {
                            session.squares::<u32>(channel, &view, op, at)
                        }
                        ActivationSpec::Exact(relu) => {
                            let shape = relu.shape::<u32>().unwrap();
                            session.relus::<u32>(channel, at.len(), &shape)
                        }
                    };
                    (op, made.unwrap().to_vec())
                };
                world.layout.chunks(batch).map(chunk).collect()
            };
            chunks.push((0..world.layout.batches()).map(batch).collect());
        }
        Own { nonce, chunks }
    }
}

/// A view of `serve` without U: it is opened once a mask, and here in the session of every slot.
fn without_weights(view: &View) -> View {
    let others = |records: &[Record]| {
        records.iter().filter(|r| r.tag != Tag::Weights).cloned().collect::<Vec<_>>()
    };
    View { sent: others(&view.sent), received: others(&view.received), result: view.result.clone() }
}
