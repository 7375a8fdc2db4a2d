//! A model, an image and material in one process, and both servers' runs on them.

use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::share;
use crate::ids::Party;
use crate::material::{BatchSpan, Chunk, Dealer, MaterialLayout, Origin, PartySeeds, SlotView};
use crate::model::{LinearSpec, Method, QuantiseOptions, QuantisedModel, quantise, random_model};
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::{
    AlarmKeys, Engine, Factor, GcEngine, GcSession, Image, LutEngine, MaskProducts, MaskedWeights,
    MaterialSource, ProtocolError, ReluEngine, SourceError, Sources, WeightSource, denoise,
};
use crate::size::Size;
use crate::split::split;
use crate::wire::{Channel, Traffic, pair};
use std::ops::Range;

pub(super) const SIZE: Size = Size::new(19, 16);
pub(super) const PARTIES: [Party; 2] = [Party::S0, Party::S1];

/// Changes what the dealer made for a batch: (world, batch, chunks by op).
pub(super) type Tamper = fn(&World, usize, &mut [(usize, Vec<u8>)]);

/// A server's chunks of a slot, by batch, each with its op.
pub(super) type MadeBatches = Vec<Vec<(usize, Vec<u8>)>>;

/// A model, an image and material for one slot, all from small numbers as seeds.
pub(super) struct World {
    pub(super) model: QuantisedModel,
    pub(super) image: Vec<i64>,
    /// Rows and columns.
    pub(super) size: Size,
    /// The noise level for a model that reads the plane.
    pub(super) plane: i64,
    pub(super) seeds: [PartySeeds; 2],
    /// From which S1's shares of model and image are expanded.
    pub(super) share_seed: Seed,
    /// The slot that the image uses.
    pub(super) slot: u64,
    /// From which each server draws in a session of garbled circuits.
    pub(super) session_seeds: [Seed; 2],
    /// Changes S0's explicit chunks of a batch, for tests of broken material.
    pub(super) tamper: Option<Tamper>,
    pub(super) layout: MaterialLayout,
    /// Which server has computed U Y_i ahead of time.
    pub(super) prepared: [bool; 2],
    /// Who made the material; see [`World::made`].
    origin: Origin,
    /// What the two servers made in a session of theirs; without it, made material is the dealer's, split.
    pub(super) chunks_made: Option<[MadeBatches; 2]>,
}

impl World {
    pub(super) fn new(
        ring: RingBits,
        hidden: &[usize],
        batch_rows: usize,
        material_seed: u8,
    ) -> Self {
        let lut = Method::lut(2);
        World::with(ring, lut, hidden, batch_rows, material_seed)
    }

    pub(super) fn with(
        ring: RingBits,
        method: Method,
        hidden: &[usize],
        batch_rows: usize,
        material_seed: u8,
    ) -> Self {
        let options = QuantiseOptions::guaranteed(ring, method, 2.5);
        let model = quantise(&random_model(hidden, 3.0, true), &options).unwrap();
        World::of(model, batch_rows, material_seed)
    }

    /// A world for a model.
    pub(super) fn of(model: QuantisedModel, batch_rows: usize, material_seed: u8) -> Self {
        World::sized(model, SIZE, batch_rows, material_seed)
    }

    /// A world for a model and an image of a size.
    pub(super) fn sized(
        model: QuantisedModel,
        size: Size,
        batch_rows: usize,
        material_seed: u8,
    ) -> Self {
        let limit = model.public.input.limit();
        let image = (0..size.pixels() as i64).map(|i| (i * 977) % (2 * limit) - limit).collect();
        let plane = model.public.plane(model.public.sigma / 2.0);
        let seeds = PARTIES.map(|p| PartySeeds {
            weight_mask: Seed::from_bytes([10 + p.index() as u8; 32]),
            slots: Seed::from_bytes([material_seed + p.index() as u8; 32]),
        });
        let layout = MaterialLayout::new(&model.public, size, batch_rows, Origin::Dealt).unwrap();
        World {
            model,
            image,
            size,
            plane,
            seeds,
            share_seed: Seed::from_bytes([99; 32]),
            slot: 5,
            session_seeds: PARTIES.map(|p| Seed::from_bytes([70 + p.index() as u8; 32])),
            tamper: None,
            layout,
            prepared: [false; 2],
            origin: Origin::Dealt,
            chunks_made: None,
        }
    }

    /// The same world with material that is explicit at both servers.
    pub(super) fn made(self) -> Self {
        let (batch_rows, public) = (self.layout.batch_rows(), &self.model.public);
        let layout = MaterialLayout::new(public, self.size, batch_rows, Origin::Made).unwrap();
        World { layout, origin: Origin::Made, ..self }
    }

    /// A server's chunk of op `op` for activations `at`, those of a batch, if the servers made it.
    pub(super) fn made_chunk(&self, party: Party, op: usize, at: &Range<usize>) -> Option<&[u8]> {
        let (_, _, width) = self.model.public.network.activations().find(|(o, ..)| *o == op)?;
        let mut batches = self.chunks_made.as_ref()?[party.index()].iter().enumerate();
        batches.find_map(|(batch, chunks)| {
            let rows = self.layout.batch(batch).rows;
            let (_, bytes) = chunks.iter().find(|(o, _)| *o == op)?;
            ((rows.start * width..rows.end * width) == *at).then_some(&bytes[..])
        })
    }

    pub(super) fn share_of<R: Ring>(
        &self,
        party: Party,
        op: usize,
        values: &[i64],
        purpose: Purpose,
    ) -> Vec<R> {
        let ring: Vec<R> = values.iter().map(|&v| R::from_i64(v)).collect();
        let mut stream = self.share_seed.stream(Domain::op(purpose, op));
        match party {
            Party::S0 => share::split(&ring, &mut stream),
            Party::S1 => stream.take(0, ring.len()),
        }
    }

    /// A server's view of the slot.
    pub(super) fn view(&self, party: Party) -> SlotView<'_> {
        SlotView::new(party, &self.seeds[party.index()].slots, self.slot, self.origin)
    }

    /// S0's explicit chunks of a batch.
    pub(super) fn chunks<R: Ring>(
        &self,
        dealer: &Dealer<'_, R>,
        batch: usize,
    ) -> Vec<(usize, Vec<u8>)> {
        let mut chunks = dealer.slot(self.slot).batch(self.layout.batch(batch));
        if let Some(tamper) = self.tamper {
            tamper(self, batch, &mut chunks);
        }
        chunks
    }

    /// The dealer of this world.
    pub(super) fn dealer<R: Ring>(&self) -> Dealer<'_, R> {
        Dealer::new(&self.model.public, self.size, [&self.seeds[0], &self.seeds[1]]).unwrap()
    }

    /// One server's whole run; `engine` wraps the lookup engine.
    pub(super) fn serve<R: Ring, E: Engine<R>>(
        &self,
        party: Party,
        engine: &mut E,
        channel: &mut dyn Channel,
    ) -> Result<Vec<R>, ProtocolError> {
        let mut weights = Weights { world: self, party };
        let seeds = &self.seeds[party.index()];
        let public = self.model.public.clone();
        let masked = MaskedWeights::<R>::new(party, public, &mut weights, &seeds.weight_mask)?;
        let (model, opened) = masked.open(channel, None)?;
        let public = &self.model.public;
        let means = public.patch_means(&self.image, self.size).unwrap();
        let image = Image {
            plane: R::from_i64(self.plane),
            share: &self.share_of::<R>(party, 0, &self.image, Purpose::ImageShare),
            means: &self.share_of::<R>(party, 1, &means, Purpose::ImageShare),
            size: self.size,
            slot: self.view(party),
            layout: &self.layout,
        };
        let mut batches = Batches::<R>::new(self, party);
        let mut products = Products {
            world: self,
            masks: MaskProducts::new(&model.public, &opened),
            slot: &image.slot,
            next: 0,
        };
        let products =
            self.prepared[party.index()].then_some(&mut products as &mut dyn MaterialSource);
        let sources = Sources { explicit: &mut batches, products };
        denoise(&model, engine, &image, sources, channel, &mut |_| ())
    }

    /// Both servers; returns their result shares and S0's traffic.
    pub(super) fn run<R: Ring, E: Engine<R> + Send>(
        &self,
        [e0, e1]: [&mut E; 2],
    ) -> ([Vec<R>; 2], Traffic) {
        let (mut a, mut b) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.serve(Party::S1, e1, &mut b).unwrap());
            let first = self.serve(Party::S0, e0, &mut a).unwrap();
            ([first, other.join().unwrap()], a.traffic())
        })
    }

    pub(super) fn engines(&self) -> [LutEngine; 2] {
        PARTIES.map(|p| LutEngine::new(p, &self.model.public))
    }

    /// One server's engine of garbled circuits, set up over a channel.
    pub(super) fn gc_engine(&self, party: Party, channel: &mut dyn Channel) -> GcEngine {
        let seed = &self.session_seeds[party.index()];
        let session = GcSession::set_up(party, seed, channel).unwrap();
        let engine = GcEngine::new(session, &self.model.public);
        if self.model.public.has_alarm() {
            engine.with_alarm(AlarmKeys::set_up(party, Factor::Shared, seed, channel).unwrap())
        } else {
            engine
        }
    }

    /// A server's exact ReLUs in a session of one image.
    fn relu_engine<R: Ring>(&self, party: Party, channel: &mut dyn Channel) -> ReluEngine {
        let keys =
            AlarmKeys::set_up(party, Factor::Shared, &self.session_seeds[party.index()], channel)
                .unwrap();
        ReluEngine::of::<R>(party, &self.model.public, keys)
    }

    pub(super) fn relu_engines<R: Ring>(&self) -> [ReluEngine; 2] {
        let (mut a, mut b) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.relu_engine::<R>(Party::S1, &mut b));
            [self.relu_engine::<R>(Party::S0, &mut a), other.join().unwrap()]
        })
    }

    pub(super) fn gc_engines(&self) -> [GcEngine; 2] {
        let (mut a, mut b) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.gc_engine(Party::S1, &mut b));
            [self.gc_engine(Party::S0, &mut a), other.join().unwrap()]
        })
    }
}

struct Weights<'a> {
    world: &'a World,
    party: Party,
}

impl<R: Ring> WeightSource<R> for Weights<'_> {
    fn share(&mut self, op: usize, _: &LinearSpec) -> Result<Vec<R>, SourceError> {
        let (_, layer) = self.world.model.network.linears().find(|(at, _)| *at == op).unwrap();
        let values = [&layer.weights[..], &layer.bias[..]].concat();
        Ok(self.world.share_of(self.party, op, &values, Purpose::ModelShare))
    }
}

struct Batches<'a, R: Ring> {
    world: &'a World,
    party: Party,
    dealer: Option<Dealer<'a, R>>,
    next: usize,
}

impl<'a, R: Ring> Batches<'a, R> {
    fn new(world: &'a World, party: Party) -> Self {
        let dealt = world.chunks_made.is_none() && world.origin.explicit_at(party);
        let dealer = dealt.then(|| world.dealer());
        Batches { world, party, dealer, next: 0 }
    }
}

impl<R: Ring> MaterialSource for Batches<'_, R> {
    fn next_batch(&mut self) -> Result<Vec<(usize, Chunk)>, SourceError> {
        if let Some(made) = &self.world.chunks_made {
            let chunks = made[self.party.index()][self.next].iter();
            self.next += 1;
            return Ok(chunks.map(|(op, bytes)| (*op, bytes.clone().into())).collect());
        }
        let Some(dealer) = &mut self.dealer else { return Ok(Vec::new()) };
        let batch = self.next;
        self.next += 1;
        let mut made = self.world.chunks(dealer, batch);
        if self.world.origin == Origin::Made {
            let World { model, seeds, slot, layout, .. } = self.world;
            let seeds = [&seeds[0].slots, &seeds[1].slots];
            for (op, bytes) in &mut made {
                let dealt = (*op, &bytes[..]);
                let both = split::<R>(&model.public, seeds, *slot, &layout.batch(batch), dealt);
                *bytes = both[self.party.index()].clone();
            }
        }
        let sizes: Vec<_> = made.iter().map(|(op, bytes)| (*op, bytes.len())).collect();
        assert_eq!(
            sizes,
            self.world.layout.chunks(batch).collect::<Vec<_>>(),
            "the dealer keeps to the layout"
        );
        Ok(made.into_iter().map(|(op, bytes)| (op, bytes.into())).collect())
    }
}

/// U Y_i made as `prepare` does it.
struct Products<'a, R: Ring> {
    world: &'a World,
    masks: MaskProducts<R>,
    slot: &'a SlotView<'a>,
    next: usize,
}

impl<R: Ring> MaterialSource for Products<'_, R> {
    fn next_batch(&mut self) -> Result<Vec<(usize, Chunk)>, SourceError> {
        let public = &self.world.model.public;
        let layout = self.world.layout.clone().products(public);
        let batch = self.next;
        self.next += 1;
        let BatchSpan { stage, rows } = layout.batch(batch);
        let grid = &public.network.grids(self.world.size).unwrap()[stage];
        let made = self.masks.batch(public, grid, self.slot, rows);
        let chunks: Vec<_> = layout.chunks(batch).collect();
        assert_eq!(
            made.iter().map(Vec::len).collect::<Vec<_>>(),
            chunks.iter().map(|c| c.1).collect::<Vec<_>>()
        );
        Ok(chunks.iter().zip(made).map(|((op, _), bytes)| (*op, bytes.into())).collect())
    }
}
