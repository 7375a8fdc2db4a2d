//! The `lut` engine: masked slope lookup with dealer material.
//!
//! Rounds: 2 an activation (3 with the opening of V by the next linear op).
//! Bytes sent by each party: n / 8 + 2 l / 8 an activation (n = hi + lo).
//! Security: semi-honest; every opened value is masked by fresh uniform dealer randomness, so a
//! server's view is uniform whatever the secret. Source: docs/protocols.md, lookup; a one-time truth
//! table (Ishai et al., TCC 2013) with the table factored out, in the line of Pika (Wagh, PoPETs 2022).

use super::{Activation, Engine, ProtocolError, Step, wrong_length};
use crate::bits;
use crate::correlation::LookupMaterial;
use crate::fixed::{low_mask, shrink};
use crate::kernels::{LookupTable, masked_sums};
use crate::lookup::SlopeTable;
use crate::model::{ActivationSpec, PublicModel};
use crate::party::Party;
use crate::ring::{self, Ring};

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
        /// The rest of the material.
        material: LookupMaterial<R>,
    },
    /// The masked sums c and e are being opened.
    Sums {
        /// This server's shares of c, then of e.
        sums: Vec<R>,
        /// The rest of the material.
        material: LookupMaterial<R>,
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

    /// c and e: each server sums the table over its one-hot share and adds its mask shares.
    fn masked_sums<R: Ring>(&self, op: usize, x: &[u64], material: &LookupMaterial<R>) -> Vec<R> {
        let prepared = self.table(op);
        let offsets: Vec<u32> = x.iter().map(|x| (x >> prepared.lo) as u32).collect();
        let mut c = vec![R::ZERO; x.len()];
        let mut e = vec![R::ZERO; x.len()];
        masked_sums(&prepared.table, &material.one_hot, &offsets, &mut c, &mut e);
        let lo_mask = low_mask(prepared.lo);
        for (i, x) in x.iter().enumerate() {
            let p = c[i].add(e[i].mul(R::from_u64(x & lo_mask)));
            (c[i], e[i]) = match self.party {
                Party::S0 => (p.add(material.value_mask[i]), e[i].add(material.slope_mask[i])),
                Party::S1 => (material.value_mask[i].sub(p), material.slope_mask[i].sub(e[i])),
            };
        }
        c.extend(e);
        c
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
}

impl<R: Ring> Engine<R> for LutEngine {
    type State = LutState<R>;

    fn begin(
        &mut self,
        activation: &Activation<'_>,
        mut z: Vec<R>,
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let table = self.table(activation.op);
        let shape = (table.hi, table.lo);
        let material = activation
            .slot
            .lookup(activation.op, activation.at.clone(), shape, activation.explicit)
            .ok_or(ProtocolError::Material {
                op: activation.op,
                first: activation.at.start,
                last: activation.at.end,
            })?;
        let k = R::BITS - table.bits();
        let mask = low_mask(table.bits());
        for (z, rho) in z.iter_mut().zip(&material.rho) {
            let x = shrink(self.party, *z, k).add(*rho);
            *z = R::from_u64(x.to_u64() & mask);
        }
        let message = bits::pack(&z, table.bits());
        Ok(Step::Exchange(LutState::Input { masked: z, material }, message))
    }

    fn advance(
        &mut self,
        op: usize,
        state: Self::State,
        message: &[u8],
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        match state {
            LutState::Input { masked, material } => {
                let (bits, count) = (self.table(op).bits(), masked.len());
                let theirs: Vec<R> = bits::unpack(message, bits, count).ok_or_else(|| {
                    let expected = bits::packed_len(count, bits).unwrap_or(usize::MAX);
                    wrong_length("masked inputs", message.len(), expected)
                })?;
                let open = |(a, b): (&R, &R)| a.add(*b).to_u64() & low_mask(bits);
                let x: Vec<u64> = masked.iter().zip(&theirs).map(open).collect();
                let sums = self.masked_sums(op, &x, &material);
                let message = ring::to_le_bytes(&sums);
                Ok(Step::Exchange(LutState::Sums { sums, material }, message))
            }
            LutState::Sums { mut sums, material } => {
                let expected = sums.len() * R::BYTES;
                let theirs: Vec<R> = ring::from_le_bytes(message)
                    .filter(|t: &Vec<R>| t.len() == sums.len())
                    .ok_or_else(|| wrong_length("masked sums", message.len(), expected))?;
                ring::add_assign(&mut sums, &theirs);
                let (c, e) = sums.split_at(sums.len() / 2);
                let (k1, k2, k3) = (&material.k1, &material.k2, &material.k3);
                let share = |i: usize| c[i].mul(k1[i]).sub(e[i].mul(k2[i])).add(k3[i]);
                Ok(Step::Done((0..c.len()).map(share).collect()))
            }
        }
    }
}
