//! Hints and ciphertexts as numbers, and what they hide.

use crate::crypto::rlwe;
use crate::crypto::rlwe::{N, Profile};
use crate::ids::Party;
use crate::material::pair::linear::{MaskName, OpPlan, Packing, Part};
use crate::network::StageGrid;

/// What two servers use.
const PROFILE: Profile = Profile::Q88;

/// Coefficients that are counted of an element of the ring: all are alike.
pub(super) const COUNTED: usize = 512;

/// A ciphertext's numbers of 64 and of 20 bits.
pub(super) struct Ciphertext {
    pub(super) high: Vec<u64>,
    pub(super) low: Vec<u64>,
}

/// The ciphertexts of a message.
pub(super) fn ciphertexts(bytes: &[u8]) -> Vec<Ciphertext> {
    let read = |bytes: &[u8]| {
        let (mut high, mut low) = rlwe::read_mask(PROFILE, bytes);
        high.truncate(COUNTED);
        low.truncate(COUNTED);
        Ciphertext { high, low }
    };
    bytes.chunks_exact(PROFILE.mask_bytes()).map(read).collect()
}

impl Ciphertext {
    /// This less another, mod 2^84.
    pub(super) fn less(&self, other: &Ciphertext) -> Ciphertext {
        let whole = |c: &Ciphertext, i: usize| {
            u128::from(c.high[i]) << PROFILE.low_bits() | u128::from(c.low[i])
        };
        let both = (0..self.high.len()).map(|i| whole(self, i).wrapping_sub(whole(other, i)));
        let split = both.map(|v| {
            ((v >> PROFILE.low_bits()) as u64, v as u64 & ((1 << PROFILE.low_bits()) - 1))
        });
        let (high, low) = split.unzip();
        Ciphertext { high, low }
    }
}

/// The hints of a message.
pub(super) fn hints(bytes: &[u8]) -> Vec<Vec<u64>> {
    let read = |bytes| {
        let mut hint = rlwe::read_hint(PROFILE, bytes);
        hint.truncate(COUNTED);
        hint.into_iter().map(|v| v as u64).collect()
    };
    bytes.chunks_exact(PROFILE.hint_bytes()).map(read).collect()
}

/// The public elements of an op, all that hide X in its hints.
pub(super) struct Publics(Vec<rlwe::Public>);

impl Publics {
    pub(super) fn new(name: &MaskName, plan: &OpPlan, holder: Party) -> Self {
        let ring = name.ring(PROFILE, plan.op, holder);
        Publics((0..plan.elements()).map(|k| ring.element(k)).collect())
    }

    /// The top 56 bits of sum_k x_k a_k for a row of X: what r a_0 + e' hides in its hint.
    pub(super) fn sum(&self, plan: &OpPlan, x: &[u32]) -> Vec<u64> {
        let places = plan.places();
        let at = |c: usize| {
            let mut sum = 0u128;
            for ((element, shift), &x) in places.iter().zip(x) {
                let (a, at) = (&self.0[*element], c + shift);
                let v = a.at(at % N);
                let v = if at >= N { v.wrapping_neg() } else { v };
                sum = sum.wrapping_add((i128::from(x as i32) as u128).wrapping_mul(v));
            }
            (sum >> (PROFILE.q_bits() - PROFILE.hint_bits())) as u64
                & ((1 << PROFILE.hint_bits()) - 1)
        };
        (0..COUNTED).map(at).collect()
    }
}

/// Numbers of the input maps of some slots, whole, put where a batch has its columns: a row a coefficient,
/// an element of the ring a column.
pub(super) fn spread(plan: &OpPlan, part: &Part, grid: &StageGrid, maps: &[Vec<u32>]) -> Vec<u32> {
    match (part, &plan.packing) {
        (Part::Tile { slot, lines, columns, .. }, Packing::Tiles(tile)) => {
            let (lines, columns) = ((lines.start, tile.lines, 0), (columns.start, tile.columns, 0));
            grid.reads[0].padded(lines, columns, &maps[*slot], 0)
        }
        (Part::Columns(columns), _) => {
            let of_slot = |map: &Vec<u32>| {
                if plan.op == grid.stage.first_linear() {
                    grid.reads[0].gather(0..grid.rows(), map, 0)
                } else {
                    map.clone()
                }
            };
            let all: Vec<u32> = maps.iter().flat_map(of_slot).collect();
            all[columns.start * plan.inputs..columns.end * plan.inputs].to_vec()
        }
        _ => unreachable!("parts are made for their plan"),
    }
}
