//! A dealt batch as the two servers would have made it: explicit at both.
//!
//! What S1 derives from its seed becomes its chunk, and every vector is shared anew, so that a reader
//! that takes a share from the seed instead of the chunk gets a wrong result.

// Two kinds of tests have it as a module of their own.
#![allow(unreachable_pub)]

use ppdenoise::internals::material::{BatchSpan, Chunk, Origin, SlotView};
use ppdenoise::internals::model::{ActivationSpec, PublicModel};
use ppdenoise_base::ids::Party;
use ppdenoise_base::network::Op;
use ppdenoise_base::numbers::ring;
use ppdenoise_base::numbers::ring::Ring;
use ppdenoise_crypto::prg::Seed;

/// The chunks of S0 and S1 for `op` and `batch`; `seeds` are both servers' slot seeds, `dealt` is S0's
/// chunk.
pub fn split<R: Ring>(
    public: &PublicModel,
    seeds: [&Seed; 2],
    slot: u64,
    batch: &BatchSpan,
    (op, dealt): (usize, &[u8]),
) -> [Vec<u8>; 2] {
    let view = |party: Party| SlotView::new(party, seeds[party.index()], slot, Origin::Dealt);
    let at = |count: usize| {
        let width = count / batch.rows.len();
        batch.rows.start * width..batch.rows.end * width
    };
    match &public.network.ops()[op] {
        Op::Linear(_) => {
            let ours: Vec<R> = ring::from_le_bytes(dealt).unwrap();
            let mut theirs = vec![R::ZERO; ours.len()];
            view(Party::S1).add_product(op, at(ours.len()), &[], &mut theirs).unwrap();
            shared(&[[ours, theirs]], R::BITS)
        }
        Op::Activation(ActivationSpec::Piecewise(_)) => {
            let ours: Vec<R> = ring::from_le_bytes(dealt).unwrap();
            let (_, theirs) = view(Party::S1).square_pairs(op, at(ours.len()), &[]).unwrap();
            shared(&[[ours, theirs]], R::BITS)
        }
        Op::Activation(ActivationSpec::Lookup(table)) => {
            let at = at(dealt.len() / Origin::Dealt.lookup_bytes(table.hi, R::BYTES));
            let chunks: [Chunk; 2] = [dealt.to_vec().into(), Chunk::default()];
            let mut bytes = [Vec::new(), Vec::new()];
            let (mut keys, mut rho) = (Vec::new(), Vec::new());
            for (party, chunk) in [Party::S0, Party::S1].into_iter().zip(chunks) {
                let material =
                    view(party).lookup::<R>(op, at.clone(), table.hi, table.lo, chunk).unwrap();
                let mut one_hot = vec![0; material.words() * at.len()];
                material.one_hot(0, &mut one_hot);
                bytes[party.index()] = ring::to_le_bytes(&one_hot);
                let mut vectors = [0; 3].map(|_| vec![R::ZERO; at.len()]);
                let [k2, k3, mask] = &mut vectors;
                material.keys(0, [&mut k2[..], &mut k3[..]]);
                material.rho(0, mask);
                let [k2, k3, mask] = vectors;
                keys.push([k2, k3]);
                rho.push(mask);
            }
            let pair = |i: usize| [keys[0][i].clone(), keys[1][i].clone()];
            let rho = [rho[0].clone(), rho[1].clone()];
            let tails = [shared(&[pair(0), pair(1)], R::BITS), shared(&[rho], table.hi + table.lo)];
            for (bytes, party) in bytes.iter_mut().zip(0..) {
                tails.iter().for_each(|tail| bytes.extend(&tail[party]));
            }
            bytes
        }
        _ => panic!("op {op} has no material"),
    }
}

/// Both servers' bytes of some vectors in a ring of `bits` bits, shared anew.
fn shared<R: Ring>(vectors: &[[Vec<R>; 2]], bits: u32) -> [Vec<u8>; 2] {
    let mask = R::from_u64(u64::MAX >> (64 - bits));
    let mut bytes = [Vec::new(), Vec::new()];
    for (number, [ours, theirs]) in vectors.iter().enumerate() {
        let fresh = |i: usize| {
            let spread = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> number;
            R::from_u64(spread ^ spread >> 31)
        };
        let added: Vec<R> = ours.iter().zip(0..).map(|(v, i)| v.add(fresh(i)).and(mask)).collect();
        let taken: Vec<R> =
            theirs.iter().zip(0..).map(|(v, i)| v.sub(fresh(i)).and(mask)).collect();
        bytes[0].extend(ring::to_le_bytes(&added));
        bytes[1].extend(ring::to_le_bytes(&taken));
    }
    bytes
}
