//! The `lut` engine: masked slope lookup with dealer material.
//!
//! Rounds: 2 an activation (3 with the opening of V by the next linear op).
//! Bytes sent by each party: n / 8 + 2 l / 8 an activation (n = hi + lo).
//! Security: semi-honest; every opened value is masked by fresh uniform dealer randomness, so a
//! server's view is uniform whatever the secret. Source: docs/protocols.md, lookup; a one-time truth
//! table (Ishai et al., TCC 2013) with the table factored out, in the line of Pika (Wagh, PoPETs 2022).

use super::opening::Opening;
use super::{ActivationBatch, Engine, ProtocolError, Step, wrong_length};
use crate::ids::Party;
use crate::kernels::{LookupTable, masked_sums};
use crate::material::LookupMaterial;
use crate::model::{ActivationSpec, PublicModel};
use crate::numbers::fixed::{low_mask, shrink};
use crate::numbers::packing;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::numbers::slope_table::SlopeTable;
use rayon::prelude::*;

/// Activations taken through a round together, by one thread: their material and sums stay in the
/// second-level cache. A multiple of 64, so that their packed openings are whole words.
const BLOCK: usize = 512;

/// The tables of a model, ready for the kernels.
pub struct LutEngine {
    party: Party,
    /// By op; `None` where the op is no activation.
    tables: Vec<Option<PreparedTable>>,
}

struct PreparedTable {
    hi: u32,
    lo: u32,
    table: LookupTable,
}

/// What is kept between the rounds of one activation op.
pub enum LutState<R> {
    /// The masked input is being opened.
    Input {
        /// This server's shares of x + rho.
        masked: Vec<R>,
        material: LookupMaterial,
    },
    /// The masked sums c and e are being opened.
    Sums {
        /// This server's shares of c, then of e.
        sums: Vec<R>,
        /// Its shares of K1 = W: the popcounts of its one-hot vectors, negated at S1.
        signs: Vec<R>,
        material: LookupMaterial,
    },
}

impl LutEngine {
    /// Prepares the tables of a model.
    pub fn new(party: Party, public: &PublicModel) -> Self {
        let mut tables: Vec<_> = public.network.ops().iter().map(|_| None).collect();
        for (op, spec, _) in public.network.activations() {
            if let ActivationSpec::Lookup(table) = spec {
                tables[op] = Some(PreparedTable::new(table));
            }
        }
        LutEngine { party, tables }
    }

    fn table(&self, op: usize) -> &PreparedTable {
        self.tables[op].as_ref().expect("only called for the activation ops it was made from")
    }
}

impl PreparedTable {
    fn new(table: &SlopeTable) -> Self {
        let prepared = LookupTable::new(&table.values, &table.slopes)
            .expect("the public model's tables were checked when it was parsed or made");
        PreparedTable { hi: table.hi, lo: table.lo, table: prepared }
    }

    fn bits(&self) -> u32 {
        self.hi + self.lo
    }

    /// The masked inputs of so many activations.
    fn opening(&self, count: usize) -> Opening {
        Opening { what: "masked inputs", count, bits: self.bits() }
    }

    /// Bytes of a block of packed openings.
    fn block_bytes(&self) -> usize {
        BLOCK / 8 * self.bits() as usize
    }

    /// Round 1: turns the shares `z` into shares of x + rho and packs them.
    fn mask_inputs<R: Ring>(
        &self,
        party: Party,
        z: &mut [R],
        material: &LookupMaterial,
    ) -> Vec<u8> {
        let (k, mask) = (R::BITS - self.bits(), R::from_u64(low_mask(self.bits())));
        let mut message = self.opening(z.len()).message();
        let blocks = z.par_chunks_mut(BLOCK).zip(message.par_chunks_mut(self.block_bytes()));
        blocks.enumerate().for_each(|(i, (z, message))| {
            let mut rho = [R::ZERO; BLOCK];
            let rho = &mut rho[..z.len()];
            material.rho(i * BLOCK, rho);
            for (z, rho) in z.iter_mut().zip(rho) {
                *z = shrink(party, *z, k).add(*rho).and(mask);
            }
            packing::pack_into(z, self.bits(), message);
        });
        message
    }

    /// Round 2: this server's shares of c and e. Each server sums the table over its one-hot share
    /// and adds its mask shares; its shares of K1 come with them. `None` if the peer's packed
    /// `message`, of the right length, has padding set.
    fn sums<R: Ring>(
        &self,
        party: Party,
        masked: &[R],
        message: &[u8],
        material: &LookupMaterial,
    ) -> Option<(Vec<R>, Vec<R>)> {
        let (mut sums, mut signs) = (vec![R::ZERO; 2 * masked.len()], vec![R::ZERO; masked.len()]);
        let (c, e) = sums.split_at_mut(masked.len());
        let inputs = masked.par_chunks(BLOCK).zip(message.par_chunks(self.block_bytes()));
        let results = c.par_chunks_mut(BLOCK).zip(e.par_chunks_mut(BLOCK));
        let results = results.zip(signs.par_chunks_mut(BLOCK));
        inputs.zip(results).enumerate().try_for_each_init(
            || vec![0u64; BLOCK * material.words()],
            |one_hot, (i, ((masked, theirs), ((c, e), signs)))| {
                let one_hot = &mut one_hot[..masked.len() * material.words()];
                material.one_hot(i * BLOCK, one_hot);
                let mut x = [R::ZERO; BLOCK];
                let x = &mut x[..masked.len()];
                packing::unpack_into(theirs, self.bits(), x)?;
                ring::add_assign(x, masked);
                let mut masks = [[R::ZERO; BLOCK]; 2];
                let [value_mask, slope_mask] = &mut masks;
                let masks = [&mut value_mask[..x.len()], &mut slope_mask[..x.len()]];
                material.sum_masks(i * BLOCK, masks);
                self.block_sums(party, x, one_hot, [value_mask, slope_mask], [c, e, signs]);
                Some(())
            },
        )?;
        Some((sums, signs))
    }

    /// c, e and K1 of at most [`BLOCK`] activations whose opened x + rho is the low bits of `x`.
    fn block_sums<R: Ring>(
        &self,
        party: Party,
        x: &[R],
        one_hot: &[u64],
        [value_mask, slope_mask]: [&[R; BLOCK]; 2],
        [c, e, signs]: [&mut [R]; 3],
    ) {
        let mut offsets = [0; BLOCK];
        let offsets = &mut offsets[..x.len()];
        // Offsets are taken mod 2^hi: the carry of the opening falls away.
        offsets.iter_mut().zip(x).for_each(|(o, x)| *o = (x.to_u64() >> self.lo) as u32);
        masked_sums(&self.table, one_hot, offsets, [&mut *c, &mut *e, &mut *signs]);
        if party == Party::S1 {
            signs.iter_mut().for_each(|ones| *ones = ones.neg());
        }
        let lo_mask = R::from_u64(low_mask(self.lo));
        let masks = value_mask.iter().zip(slope_mask);
        for (((c, e), x), (m, m2)) in c.iter_mut().zip(e).zip(x).zip(masks) {
            let p = c.add(e.mul(x.and(lo_mask)));
            (*c, *e) = match party {
                Party::S0 => (p.add(*m), e.add(*m2)),
                Party::S1 => (m.sub(p), m2.sub(*e)),
            };
        }
    }

    /// Round 3: y = c K1 - e K2 + K3 from this server's sums and the peer's `message`. `None` if the
    /// message has another length.
    fn outputs<R: Ring>(
        &self,
        mut sums: Vec<R>,
        signs: &[R],
        message: &[u8],
        material: &LookupMaterial,
    ) -> Option<Vec<R>> {
        let count = sums.len() / 2;
        let bytes = count * R::BYTES;
        let (their_c, their_e) = message.split_at_checked(bytes).filter(|t| t.1.len() == bytes)?;
        let (c, e) = sums.split_at_mut(count);
        let theirs = |bytes| <[u8]>::par_chunks(bytes, BLOCK * R::BYTES);
        let values = c.par_chunks_mut(BLOCK).zip(theirs(their_c));
        let slopes = e.par_chunks_mut(BLOCK).zip(theirs(their_e));
        let steps = values.zip(slopes).zip(signs.par_chunks(BLOCK));
        steps.enumerate().try_for_each(|(i, (((c, their_c), (e, their_e)), k1))| {
            ring::add_le_bytes(c, their_c)?;
            ring::add_le_bytes(e, their_e)?;
            let mut keys = [[R::ZERO; BLOCK]; 2];
            let [k2, k3] = &mut keys;
            let n = c.len();
            material.keys(i * BLOCK, [&mut k2[..n], &mut k3[..n]]);
            for (i, (c, e)) in c.iter_mut().zip(e).enumerate() {
                *c = c.mul(k1[i]).sub(e.mul(k2[i])).add(k3[i]);
            }
            Some(())
        })?;
        sums.truncate(count);
        Some(sums)
    }
}

impl<R: Ring> Engine<R> for LutEngine {
    type State = LutState<R>;

    fn begin(
        &mut self,
        activation: ActivationBatch<'_>,
        mut z: Vec<R>,
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let ActivationBatch { op, at, slot, explicit } = activation;
        let table = self.table(op);
        let error = ProtocolError::Material { op, first: at.start, last: at.end };
        let material = slot.lookup::<R>(op, at, table.hi, table.lo, explicit).ok_or(error)?;
        let message = table.mask_inputs(self.party, &mut z, &material);
        Ok(Step::Exchange(LutState::Input { masked: z, material }, message))
    }

    fn advance(
        &mut self,
        op: usize,
        state: Self::State,
        message: &[u8],
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let table = self.table(op);
        match state {
            LutState::Input { masked, material } => {
                let sums = |theirs: &[u8]| table.sums(self.party, &masked, theirs, &material);
                let (sums, signs) = table.opening(masked.len()).take(message, sums)?;
                let message = ring::to_le_bytes(&sums);
                Ok(Step::Exchange(LutState::Sums { sums, signs, material }, message))
            }
            LutState::Sums { sums, signs, material } => {
                let expected = sums.len() * R::BYTES;
                let outputs = table.outputs(sums, &signs, message, &material);
                let error = || wrong_length("masked sums", message.len(), expected);
                Ok(Step::Done(outputs.ok_or_else(error)?))
            }
        }
    }
}
