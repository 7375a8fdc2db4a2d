//! The dealer's chunks and the views of them.

use super::*;
use crate::crypto::prg::Seed;
use crate::numbers::relu::Zone;

const COUNT: usize = 1300;

fn shape() -> ReluShape {
    ReluShape::of::<u32>(17, Some(Zone::THREE)).unwrap()
}

fn seeds() -> [Seed; 2] {
    [5, 6].map(|byte| Seed::from_bytes([byte; 32]))
}

fn views(seeds: &[Seed; 2], slot: u64) -> [SlotView<'_>; 2] {
    [Party::S0, Party::S1].map(|p| SlotView::new(p, &seeds[p.index()], slot, Origin::Dealt))
}

/// All of a material's blocks, in full.
fn read(material: &ReluMaterial) -> Vec<Box<ReluShares<u32>>> {
    let block = |block| {
        let mut shares = ReluShares::zeros();
        material.digits(block, &mut shares);
        material.results(block, &mut shares);
        shares
    };
    (0..material.count().div_ceil(RELU_BLOCK)).map(block).collect()
}

#[test]
fn s0_gets_24_bytes_a_relu_and_s1_none() {
    let seeds = seeds();
    let views = views(&seeds, 0);
    let chunk = deal_relus::<u32>(&views, 3, 0..COUNT, &shape());
    assert_eq!(chunk.len(), 24 * COUNT);
    let new = |party: usize, chunk: &[u8]| {
        ReluMaterial::new::<u32>(&views[party], 3, 0..COUNT, shape(), chunk.to_vec().into())
    };
    assert!(new(0, &chunk).is_some() && new(1, &[]).is_some());
    assert!(new(0, &chunk[1..]).is_none() && new(0, &[]).is_none() && new(1, &chunk).is_none());
    let of_another_ring = ReluShape::of::<u64>(17, None).unwrap();
    let wrong = ReluMaterial::new::<u32>(&views[1], 3, 0..COUNT, of_another_ring, Chunk::default());
    assert!(wrong.is_none());
    let made = SlotView::new(Party::S1, &seeds[1], 0, Origin::Made);
    let new = |len: usize| {
        ReluMaterial::new::<u32>(&made, 3, 0..COUNT, shape(), vec![0; len].into()).is_some()
    };
    assert!(new(28 * COUNT) && !new(24 * COUNT) && !new(0), "28 bytes of made material, at both");
}

/// S0's words are those of the definition, whatever range a batch has: element by element the same.
#[test]
fn a_relu_has_one_material_however_it_is_reached() {
    let seeds = seeds();
    let views = views(&seeds, 7);
    let of = |at: Range<usize>| {
        let chunk = deal_relus::<u32>(&views, 2, at.clone(), &shape());
        [chunk.into(), Chunk::default()]
            .into_iter()
            .zip(&views)
            .map(|(chunk, view)| {
                read(&ReluMaterial::new::<u32>(view, 2, at.clone(), shape(), chunk).unwrap())
            })
            .collect::<Vec<_>>()
    };
    let (whole, part) = (of(0..COUNT), of(301..1201));
    for (whole, part) in whole.iter().zip(&part) {
        for i in 0..900 {
            let [(a, i), (b, j)] = [(301 + i, whole), (i, part)]
                .map(|(i, blocks)| (&blocks[i / RELU_BLOCK], i % RELU_BLOCK));
            assert_eq!((a.masks[i], a.f[i], a.f_rho[i]), (b.masks[j], b.f[j], b.f_rho[j]));
            assert!((0..4).all(|word| a.words[word][i] == b.words[word][j]));
        }
    }
    // S0's are S1's complement.
    for (s0, s1) in whole[0].iter().zip(&whole[1]) {
        let mut expected = s1.clone();
        crate::kernels::relu_complement(&shape(), &s0.masks, &mut expected);
        for i in 0..COUNT % RELU_BLOCK {
            assert_eq!((s0.f[i], s0.f_rho[i]), (expected.f[i], expected.f_rho[i]));
            assert!((0..4).all(|word| s0.words[word][i] == expected.words[word][i]));
        }
    }
}

/// S1's words are one stream after the other, and no two ops, slots or words have one in common.
#[test]
fn no_two_words_are_alike() {
    let seeds = seeds();
    let mut seen = Vec::new();
    for (slot, op) in [(0, 1), (0, 2), (1, 1)] {
        let view = &views(&seeds, slot)[1];
        let material = ReluMaterial::new::<u64>(
            view,
            op,
            0..2,
            ReluShape::of::<u64>(17, None).unwrap(),
            Chunk::default(),
        );
        let material = material.unwrap();
        let mut shares = ReluShares::<u64>::zeros();
        material.digits(0, &mut shares);
        material.results(0, &mut shares);
        let words = &shares.words[..material.shape().words()];
        for row in words.iter().chain([&shares.f, &shares.f_rho, &shares.masks]) {
            seen.extend_from_slice(&row[..2]);
        }
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all);
}
