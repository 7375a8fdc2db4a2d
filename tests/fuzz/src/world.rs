//! A small model with its shares and material, from fixed seeds.

use ppdenoise_base::size::Size;
use ppdenoise_crypto::prg::Seed;
use ppdenoise_base::ids::Party;
use ppdenoise::internals::material::{Chunk, Dealer, MaterialLayout, Origin, PartySeeds};
use ppdenoise::internals::model::piecewise::Piecewise;
use ppdenoise::internals::model::{
    LinearSpec, Method, PublicModel, QuantiseOptions, QuantisedModel, load_npz, quantise,
};
use ppdenoise_base::numbers::ring::{Ring, RingBits};
use ppdenoise::internals::protocol::{SourceError, MaterialSource, WeightSource};
use std::io::Cursor;
use std::sync::LazyLock;

/// Rows and columns of the image.
pub const SIZE: Size = Size::new(10, 9);
/// Patches a batch.
pub const BATCH_ROWS: usize = 2;
/// The slot whose material is used.
pub const SLOT: u64 = 0;

/// A quantised model and material for it.
pub struct World {
    pub model: QuantisedModel,
    pub seeds: [PartySeeds; 2],
    pub layout: MaterialLayout,
    /// S0's explicit material by batch.
    pub material: Vec<Vec<(usize, Vec<u8>)>>,
}

pub static LUT_32: LazyLock<World> = LazyLock::new(|| World::new::<u32>(lut()));
pub static GC_32: LazyLock<World> = LazyLock::new(|| World::new::<u32>(gc()));
pub static GC_64: LazyLock<World> = LazyLock::new(|| World::new::<u64>(gc()));

pub fn lut() -> Method {
    Method::lut(2)
}

pub fn gc() -> Method {
    Method::Gc { function: Piecewise::zheng(), refit: false, alarm: false }
}

/// The public descriptions that seeds are made of.
pub fn public_models() -> Vec<PublicModel> {
    [&LUT_32, &GC_32, &GC_64].map(|world| world.model.public.clone()).to_vec()
}

impl World {
    fn new<R: Ring>(method: Method) -> Self {
        let ring = R::RING;
        let npz = crate::fixture("models/tiny-9-5-24.npz");
        let float = load_npz(Cursor::new(npz), None).expect("the fixture is a model");
        let options = QuantiseOptions::guaranteed(ring, method, 2.5);
        let model = quantise(&float, &options).expect("the fixture can be quantised");
        let seeds = [0, 1].map(|party| PartySeeds {
            weight_mask: Seed::from_bytes([10 + party; 32]),
            slots: Seed::from_bytes([20 + party; 32]),
        });
        let layout = MaterialLayout::new(&model.public, SIZE, BATCH_ROWS, Origin::Dealt)
            .expect("the size fits");
        let material = {
            let dealer = Dealer::<R>::new(&model.public, SIZE, [&seeds[0], &seeds[1]])
                .expect("the size fits");
            let slot = dealer.slot(SLOT);
            (0..layout.batches()).map(|batch| slot.batch(layout.batch(batch))).collect()
        };
        World { model, seeds, layout, material }
    }

    /// The ring.
    pub fn ring(&self) -> RingBits {
        self.model.public.ring
    }
}

/// Weights as a server's share; the values do not matter.
pub struct Weights;

impl<R: Ring> WeightSource<R> for Weights {
    fn share(&mut self, _: usize, spec: &LinearSpec) -> Result<Vec<R>, SourceError> {
        Ok((0..(spec.weights() + spec.outputs) as u64).map(|i| R::from_u64(i * 0x9e37)).collect())
    }
}

/// The material of a party.
pub struct Batches<'a> {
    pub world: &'a World,
    pub party: Party,
    pub next: usize,
}

impl MaterialSource for Batches<'_> {
    fn next_batch(&mut self) -> Result<Vec<(usize, Chunk)>, SourceError> {
        if self.party == Party::S1 {
            return Ok(Vec::new());
        }
        let batch = &self.world.material[self.next];
        self.next += 1;
        Ok(batch.iter().map(|(op, bytes)| (*op, Chunk::from(bytes.clone()))).collect())
    }
}
