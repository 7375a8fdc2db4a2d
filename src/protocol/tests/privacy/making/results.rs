//! R8: a product that is one off tells of the other server's secrets; no result is told to the last place.

use crate::ids::Party;
use crate::model::RESULT_BITS;
use crate::numbers::fixed::shrink;
use crate::numbers::ring::RingBits;
use crate::protocol::tests::world::{Tamper, World};

/// Every Z of the last op is one off at S0.
fn one_more(world: &World, _: usize, chunks: &mut [(usize, Vec<u8>)]) {
    let (last, _) = world.model.public.network.linears().last().unwrap();
    let (_, bytes) = chunks.iter_mut().find(|(op, _)| *op == last).unwrap();
    for z in bytes.as_chunks_mut::<4>().0 {
        *z = u32::from_le_bytes(*z).wrapping_add(1).to_le_bytes();
    }
}

/// How many pixels of the result tell that products were one off, if so many low bits of the shares are
/// dropped.
fn telling(results: [&[Vec<u32>; 2]; 2], dropped: u32) -> usize {
    let sum = |shares: &[Vec<u32>; 2], i: usize| {
        let [a, b] =
            [(Party::S0, 0), (Party::S1, 1)].map(|(p, s)| shrink(p, shares[s][i], dropped));
        a.wrapping_add(b) << dropped
    };
    (0..results[0][0].len()).filter(|&i| sum(results[0], i) != sum(results[1], i)).count()
}

#[test]
fn results_do_not_tell_whether_a_product_is_one_off() {
    let world = |tamper| {
        let mut world = World::new(RingBits::L32, &[16], 20, 30).made();
        world.tamper = tamper;
        world
    };
    let run = |world: World| {
        let [mut e0, mut e1] = world.engines();
        world.run::<u32, _>([&mut e0, &mut e1]).0
    };
    let (right, off) = (world(None), world(Some(one_more as Tamper)));
    let dropped = right.model.public.dropped_bits();
    assert_eq!(dropped, RESULT_BITS);
    let [right, off] = [run(right), run(off)];
    let both = [&right, &off];
    // Exact results tell every one; w / 2^12 of the others do, w being the weight of the pixel's patches.
    let exact = telling(both, 0);
    assert!(exact > 200, "{exact} exact sums tell");
    let told = telling(both, dropped);
    assert!(told * 20 < exact, "{told} of {exact} tell");
}
