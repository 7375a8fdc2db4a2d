//! Many sessions with fresh seeds on chosen secrets, and what each server saw of them.

use super::fields::Fields;
use super::tap::{Added, Instead, Record, Tap};
use super::wire::Mask;
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::ids::Party;
use crate::material::{MaskOwners, PartySeeds, weight_mask_seed};
use crate::model::{
    Method, QuantiseOptions, QuantisedModel, Ranges, quantise, random_convolutional, random_model,
    suited,
};
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::Engine;
use crate::protocol::tests::world::{PARTIES, SIZE, World};
use crate::wire::{Tag, pair};

/// What is wrong with the material, the seeds or a server's masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Nothing.
    None,
    /// Both servers use something else instead of a mask.
    Masked(Mask, Instead),
    /// Two images under one slot.
    SlotReused,
    /// Two models under one X.
    WeightMaskReused,
    /// Two images shared from one seed.
    ShareSeedReused,
    /// Both servers have the same seed of the triple set.
    EqualSlotSeeds,
    /// Both servers have the same seed of X.
    EqualWeightSeeds,
    /// S1's share of the one-hot vectors of every batch is that of the first.
    OneHotReused,
    /// Two sessions of garbled circuits with the same randomness: labels, tweaks, pads.
    SessionReused,
    /// Both servers draw from the same seed in a session of garbled circuits.
    EqualSessionSeeds,
}

/// An image to denoise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Picture {
    Black,
    White,
    /// A slope with stripes.
    Striped,
}

/// The weights of the model; the public description is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weights {
    Random,
    /// All weights and biases are zero.
    Zero,
    /// The random ones with the other sign.
    Negated,
}

/// Sessions in pairs. The two of a pair use one triple set (two slots), one dealer key and, with
/// garbled circuits, one session; `pictures` and `weights` are those of the first and the second.
#[derive(Clone)]
pub(super) struct Campaign {
    pub(super) ring: RingBits,
    pub(super) method: Method,
    /// Convolutions instead of dense layers.
    pub(super) convolutional: bool,
    pub(super) pictures: [Picture; 2],
    pub(super) weights: [Weights; 2],
    pub(super) flaw: Flaw,
    /// A server that does not keep to the protocol, and what it does.
    pub(super) active: Option<(Party, Added)>,
    pub(super) pairs: usize,
    /// Names the randomness.
    pub(super) label: &'static str,
}

/// What one server saw of one session.
pub(super) struct View {
    pub(super) sent: Vec<Record>,
    pub(super) received: Vec<Record>,
    /// Its share of the result.
    pub(super) result: Vec<u64>,
}

/// What a server sent and what it received.
pub(super) type Frames = (Vec<Record>, Vec<Record>);

/// A frame as an observer of the link sees it: sender, tag, batch, payload bytes.
pub(super) type Shape = Vec<(usize, u8, u32, usize)>;

/// What came out of a campaign.
pub(super) struct Seen {
    /// Fields by server.
    pub(super) fields: [Fields; 2],
    /// The shape of every pair's transcript.
    pub(super) shapes: Vec<Shape>,
}

/// Hidden widths: equal, so that layers can be compared.
const HIDDEN: &[usize] = &[16, 16];
/// Channels of the convolutional network.
const CHANNELS: &[usize] = &[6, 6];
/// Patches a batch; an image has three and a half.
const BATCH_ROWS: usize = 20;

impl Campaign {
    pub(super) fn new(method: Method, pairs: usize, label: &'static str) -> Self {
        Campaign {
            ring: RingBits::L32,
            method,
            convolutional: false,
            pictures: [Picture::Striped; 2],
            weights: [Weights::Random; 2],
            flaw: Flaw::None,
            active: None,
            pairs,
            label,
        }
    }

    /// Runs all sessions.
    pub(super) fn run(&self) -> Seen {
        match self.ring {
            RingBits::L32 => self.run_in::<u32>(),
            RingBits::L64 => self.run_in::<u64>(),
        }
    }

    /// The network that is denoised with, before its weights are changed.
    pub(super) fn model(&self) -> QuantisedModel {
        let mut options = QuantiseOptions::guaranteed(self.ring, self.method.clone(), 2.5);
        let float = if self.convolutional {
            // Negated weights and limits of the interval leave these ranges; whether a value
            // wraps must not show either.
            options.ranges = Ranges::Calibrated { margin: 1.0 };
            suited(random_convolutional(CHANNELS, 1.5, 1), &self.method)
        } else {
            random_model(HIDDEN, 3.0, true)
        };
        quantise(&float, &options).unwrap()
    }

    fn run_in<R: Ring>(&self) -> Seen {
        let model = self.model();
        let mut seen = Seen { fields: Default::default(), shapes: Vec::new() };
        for pair in 0..self.pairs {
            let worlds = [0, 1].map(|which| self.world(&model, pair, which));
            let (views, set_up) = self.pair::<R>(&worlds);
            for party in PARTIES {
                let i = party.index();
                seen.fields[i].set_up(&worlds[0], party, &set_up[i]);
                seen.fields[i].pair::<R>(&worlds, party, [&views[0][i], &views[1][i]]);
            }
            seen.shapes.push(shape(&set_up, &views));
        }
        seen
    }

    /// Both sessions of a pair, and the set-up of both servers' engines.
    pub(super) fn pair<R: Ring>(&self, worlds: &[World; 2]) -> ([[View; 2]; 2], [View; 2]) {
        let nothing = || View { sent: Vec::new(), received: Vec::new(), result: Vec::new() };
        if let Method::Lut { .. } = self.method {
            let views = [0, 1].map(|i| self.session::<R, _>(&worlds[i], &mut worlds[i].engines()));
            return (views, [nothing(), nothing()]);
        }
        if let Method::Relu { .. } = self.method {
            let views = [0, 1]
                .map(|i| self.session::<R, _>(&worlds[i], &mut worlds[i].relu_engines::<R>()));
            return (views, [nothing(), nothing()]);
        }
        let (mut engines, set_up) = self.set_up(&worlds[0]);
        let first = self.session::<R, _>(&worlds[0], &mut engines);
        if self.flaw == Flaw::SessionReused {
            engines = self.set_up(&worlds[1]).0;
        }
        ([first, self.session::<R, _>(&worlds[1], &mut engines)], set_up)
    }

    fn set_up(&self, world: &World) -> ([crate::protocol::GcEngine; 2], [View; 2]) {
        let ([e0, e1], views) =
            self.both(world, [(), ()], |party, (), tap| world.gc_engine(party, tap));
        ([e0, e1], views.map(|(sent, received)| View { sent, received, result: Vec::new() }))
    }

    fn session<R: Ring, E: Engine<R> + Send>(
        &self,
        world: &World,
        engines: &mut [E; 2],
    ) -> [View; 2] {
        let (results, records) = self.both(world, engines.each_mut(), |party, engine, tap| {
            world.serve::<R, E>(party, engine, tap).unwrap()
        });
        let mut results = results.into_iter();
        records.map(|(sent, received)| {
            let result = results.next().into_iter().flatten().map(Ring::to_u64).collect();
            View { sent, received, result }
        })
    }

    /// Runs both servers, each with its part, and gives what they returned, sent and received.
    pub(super) fn both<P: Send, T: Send>(
        &self,
        world: &World,
        [p0, p1]: [P; 2],
        run: impl Fn(Party, P, &mut Tap<'_>) -> T + Sync,
    ) -> ([T; 2], [Frames; 2]) {
        let broken = match self.flaw {
            Flaw::Masked(mask, instead) => Some((mask, instead)),
            _ => None,
        };
        let (a, b) = pair();
        let one = |party, part, end| {
            let added = self.active.filter(|(who, _)| *who == party).map(|(_, added)| added);
            let mut tap = Tap::new(end, world, party, (broken, added));
            let value = run(party, part, &mut tap);
            (value, (tap.sent, tap.received))
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| one(Party::S1, p1, b));
            let (v0, r0) = one(Party::S0, p0, a);
            let (v1, r1) = other.join().unwrap();
            ([v0, v1], [r0, r1])
        })
    }

    /// Session `which` of a pair: its secrets, and randomness that no other session has but for what
    /// the flaw says.
    pub(super) fn world(&self, model: &QuantisedModel, pair: usize, which: usize) -> World {
        let session = 2 * pair + which;
        let again = |flaw| if self.flaw == flaw { 2 * pair } else { session };
        let model = QuantisedModel {
            network: model.network.map(
                |_, linear| {
                    let mut linear = linear.clone();
                    let values = linear.weights.iter_mut().chain(&mut linear.bias);
                    match self.weights[which] {
                        Weights::Random => {}
                        Weights::Zero => values.for_each(|v| *v = 0),
                        Weights::Negated => values.for_each(|v| *v = -*v),
                    }
                    linear
                },
                |_, ()| (),
            ),
            ..model.clone()
        };
        let mut world = World::of(model, BATCH_ROWS, 20);
        world.image = image(self.pictures[which], world.model.public.input.limit());
        let dealer = self.seed("dealer", pair, Party::S0);
        let owners = MaskOwners {
            model_id: (again(Flaw::WeightMaskReused) as u128).to_le_bytes(),
            description: [0; 32],
            model_owner: [0; 16],
            servers: [[0; 16]; 2],
        };
        world.seeds = PARTIES.map(|party| {
            let slots = if self.flaw == Flaw::EqualSlotSeeds { Party::S0 } else { party };
            let x = if self.flaw == Flaw::EqualWeightSeeds { Party::S0 } else { party };
            PartySeeds {
                weight_mask: weight_mask_seed(&dealer, &owners, x.index()),
                slots: self.seed("slots", pair, slots),
            }
        });
        world.slot = again(Flaw::SlotReused) as u64;
        world.share_seed = self.seed("shares", again(Flaw::ShareSeedReused), Party::S0);
        world.session_seeds = PARTIES.map(|party| {
            let equal = self.flaw == Flaw::EqualSessionSeeds;
            let party = if equal { Party::S0 } else { party };
            self.seed("session", again(Flaw::SessionReused), party)
        });
        if self.flaw == Flaw::OneHotReused {
            world.tamper = Some(one_hot_of_the_first_batch);
        }
        world
    }

    pub(super) fn seed(&self, what: &str, number: usize, party: Party) -> Seed {
        let context = format!("{} {what} {number} {}", self.label, party.index());
        Seed::from_bytes([1; 32]).derive(Domain::of(Purpose::InputMask), context.as_bytes())
    }
}

fn image(picture: Picture, limit: i64) -> Vec<i64> {
    let pixel = |i: usize| match picture {
        Picture::Black => -limit,
        Picture::White => limit,
        Picture::Striped => {
            let (row, column) = (i / SIZE.width, i % SIZE.width);
            let slope = 2 * limit * row as i64 / SIZE.height as i64 - limit;
            if column % 4 < 2 { slope } else { -slope }
        }
    };
    (0..SIZE.pixels()).map(pixel).collect()
}

/// Turns S0's one-hot shares into those that belong to S1's of the first batch.
fn one_hot_of_the_first_batch(world: &World, batch: usize, chunks: &mut [(usize, Vec<u8>)]) {
    let network = &world.model.public.network;
    for (op, spec, width) in network.activations() {
        let crate::model::ActivationSpec::Lookup(table) = spec else { continue };
        let rows = world.layout.batch(batch).rows;
        let theirs = |at: std::ops::Range<usize>| {
            let count = at.len();
            let view = world.view(Party::S1);
            let material =
                view.lookup::<u64>(op, at, table.hi, table.lo, Default::default()).unwrap();
            let mut words = vec![0u64; count * material.words()];
            material.one_hot(0, &mut words);
            words
        };
        let first = theirs(0..rows.len() * width);
        let own = theirs(rows.start * width..rows.end * width);
        let (_, chunk) = chunks.iter_mut().find(|(at, _)| *at == op).unwrap();
        for ((bytes, a), b) in chunk.chunks_exact_mut(8).zip(first).zip(own) {
            bytes.iter_mut().zip((a ^ b).to_le_bytes()).for_each(|(byte, change)| *byte ^= change);
        }
    }
}

/// What an observer of the link sees of a pair.
pub(super) fn shape(set_up: &[View; 2], views: &[[View; 2]; 2]) -> Shape {
    let mut shape = Vec::new();
    for views in [set_up, &views[0], &views[1]] {
        for (party, view) in views.iter().enumerate() {
            let line = |r: &Record| (party, r.tag as u8, r.batch, r.payload.len());
            shape.extend(view.sent.iter().map(line));
        }
    }
    assert!(set_up[0].sent.iter().all(|r| r.tag == Tag::EngineSetup));
    shape
}
