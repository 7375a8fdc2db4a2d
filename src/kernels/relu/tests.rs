//! The loops against the definition, bit by bit, and every backend against the portable one.

use super::*;
use crate::numbers::fixed::{low_mask, sign_extend};
use crate::numbers::relu::INPUT_BITS;
use crate::test_support::{available, words};
use proptest::prelude::*;

/// S1's material of a block, drawn at random, and S0's, made from it.
pub(super) fn dealt<R: Ring>(
    shape: &ReluShape,
    seed: u64,
    count: usize,
) -> [Box<ReluShares<R>>; 2] {
    let mut next = seed * 100;
    let mut row = |out: &mut [R; RELU_BLOCK]| {
        next += 1;
        out[..count].copy_from_slice(&words(next, count));
    };
    let mut s1 = ReluShares::zeros();
    row(&mut s1.masks);
    s1.words.iter_mut().take(shape.words()).for_each(&mut row);
    row(&mut s1.f);
    row(&mut s1.f_rho);
    let mut s0 = s1.clone();
    let mut masks = [R::ZERO; RELU_BLOCK];
    row(&mut masks);
    relu_complement(shape, &masks[..count], &mut s0);
    [s0, s1]
}

/// What both servers make of inputs x: the opened z, masked bits and c, their kept values after step 2, the results.
struct Run<R> {
    z: Vec<R>,
    kept: [Vec<R>; 2],
    c: Vec<R>,
    results: Vec<i64>,
}

fn both<R: Ring>(
    backend: Backend,
    (shape, slope): (&ReluShape, Slope),
    x: &[i64],
    shares: &[Box<ReluShares<R>>; 2],
) -> Run<R> {
    let n = low_mask(shape.bits());
    let rho = |i: usize| shares[0].masks[i].add(shares[1].masks[i]).to_u64();
    let z: Vec<R> = x
        .iter()
        .enumerate()
        .map(|(i, x)| R::from_u64((*x as u64).wrapping_add(rho(i)) & n))
        .collect();
    let parties = [Party::S0, Party::S1];
    let kept = parties.map(|party| {
        let mut kept = vec![R::ZERO; x.len()];
        relu_digits_with(backend, shape, party, &z, &shares[party.index()], &mut kept);
        kept
    });
    let c = parties.map(|party| {
        let mut c = kept[party.index()].clone();
        let theirs = &kept[party.other().index()];
        let opened = |v: &R| v.and(R::from_u64(low_mask(shape.opened_bits())));
        let theirs: Vec<R> = theirs.iter().map(opened).collect();
        relu_borrows_with(backend, shape, party, &theirs, &mut c);
        c
    });
    let c: Vec<R> = c[0].iter().zip(&c[1]).map(|(a, b)| a.xor(*b)).collect();
    let y = parties.map(|party| {
        let mut y = c.clone();
        let shares = &shares[party.index()];
        relu_results_with(backend, shape, slope, party, &z, shares, &mut y);
        y
    });
    let results = y[0].iter().zip(&y[1]).map(|(a, b)| a.add(*b).to_i64()).collect();
    Run { z, kept, c, results }
}

const SLOPES: [Slope; 4] =
    [Slope::RELU, Slope::ABS, Slope { above: 4, below: 0 }, Slope { above: 5, below: 1 }];

/// Every x of small n in both rings, under several masks each.
#[test]
fn exact_for_every_x_of_a_few_bits() {
    fn check<R: Ring>(n: u32, zone: Option<Zone>) {
        let shape = ReluShape::of::<R>(n, zone).unwrap();
        let b = 1i64 << (n - 1);
        let x: Vec<i64> = (-b..b).cycle().take(RELU_BLOCK.max(2 * b as usize)).collect();
        for slope in SLOPES.into_iter().filter(|slope| slope.fits(n, R::BITS)) {
            for (seed, x) in x.chunks(RELU_BLOCK).enumerate() {
                let shares = dealt::<R>(&shape, seed as u64, x.len());
                let run = both(Backend::Portable, (&shape, slope), x, &shares);
                let expected: Vec<i64> = x.iter().map(|x| slope.eval(*x)).collect();
                assert_eq!(run.results, expected, "n = {n}, {slope:?}");
            }
        }
    }
    for n in 3..=11 {
        check::<u32>(n, Some(Zone::THREE));
        check::<u64>(n, None);
    }
    check::<u8>(3, Some(Zone::THREE));
    check::<u32>(9, Some(Zone::FOUR));
}

/// Random and extreme x at the widths of networks, on every backend; the backends agree on every bit.
#[test]
fn exact_at_full_width_on_every_backend() {
    fn check<R: Ring>(n: u32, zone: Option<Zone>) {
        let shape = ReluShape::of::<R>(n, zone).unwrap();
        let b = 1i64 << (n - 1);
        for seed in 0..40 {
            let mut x: Vec<i64> = words::<u64>(seed + 1000, RELU_BLOCK - seed as usize)
                .into_iter()
                .map(|x| sign_extend(x, n))
                .collect();
            x[..8].copy_from_slice(&[-b, b - 1, 0, -1, 1, b / 2, -b / 2, 1 - b]);
            let shares = dealt::<R>(&shape, seed, x.len());
            for slope in SLOPES.into_iter().filter(|slope| slope.fits(n, R::BITS)) {
                let expected: Vec<i64> = x.iter().map(|x| slope.eval(*x)).collect();
                let portable = both(Backend::Portable, (&shape, slope), &x, &shares);
                assert_eq!(portable.results, expected, "n = {n}, {slope:?}");
                for backend in available() {
                    let run = both(backend, (&shape, slope), &x, &shares);
                    assert_eq!(run.results, expected, "{backend}, n = {n}, {slope:?}");
                    assert_eq!(run.kept, portable.kept, "{backend}, n = {n}");
                    assert_eq!(run.c, portable.c, "{backend}, n = {n}");
                }
            }
        }
    }
    for n in (13..=18).chain([12, *INPUT_BITS.end()]) {
        check::<u32>(n, Some(Zone::THREE));
        check::<u64>(n, Some(Zone::FOUR_EARLY));
        check::<u32>(n, None);
    }
}

/// The lanes of a vector, without its constant.
fn vector<R: Ring>(
    shares: &[Box<ReluShares<R>>; 2],
    at: crate::numbers::relu::Lane,
    i: usize,
) -> u64 {
    let lane = |s: &ReluShares<R>| s.words[at.word][i].to_u64() >> at.shift & low_mask(at.bits);
    lane(&shares[0]) ^ lane(&shares[1])
}

/// Every digit's vector and the alarm's for every value: bit t - 1 says whether the digit is at least t. All other
/// material of the same elements is what the page says.
#[test]
fn material_is_what_the_page_says() {
    for (n, zone) in
        [(5, None), (9, Some(Zone::THREE)), (13, Some(Zone::FOUR)), (17, Some(Zone::THREE))]
    {
        let shape = ReluShape::of::<u32>(n, zone).unwrap();
        let mut seen = vec![std::collections::BTreeSet::new(); shape.digits().len()];
        for seed in 0..8 {
            let shares = dealt::<u32>(&shape, seed + 7, RELU_BLOCK);
            for i in 0..RELU_BLOCK {
                let both =
                    |f: fn(&ReluShares<u32>, usize) -> u32| [f(&shares[0], i), f(&shares[1], i)];
                let masks = both(|s, i| s.masks[i]);
                let rho = u64::from(masks[0].wrapping_add(masks[1])) & low_mask(n);
                let bits = (masks[0] ^ masks[1]) >> n;
                let thermometer = |value: u64| (1u64 << value) - 1;
                for (j, digit) in shape.digits().iter().enumerate() {
                    let value = rho >> digit.at & low_mask(digit.bits);
                    assert_eq!(vector(&shares, digit.lane, i), thermometer(value));
                    seen[j].insert(value);
                }
                if let Some((zone, at)) = shape.alarm {
                    assert_eq!(vector(&shares, at, i), thermometer(rho >> (n - zone.bits)));
                }
                let top = (rho >> (n - 1)) as u32;
                let f = top ^ bits >> shape.opened_bits() & 1;
                let signed = (rho as u32).wrapping_sub(top << n);
                let sum = |at: crate::numbers::relu::Lane| {
                    let lane = |s: &ReluShares<u32>| {
                        s.words[at.word][i] >> at.shift & low_mask(at.bits) as u32
                    };
                    lane(&shares[0]).wrapping_add(lane(&shares[1]))
                };
                let f_sum = both(|s, i| s.f[i]).into_iter().fold(0u32, u32::wrapping_add);
                let fr_sum = both(|s, i| s.f_rho[i]).into_iter().fold(0u32, u32::wrapping_add);
                assert_eq!((f_sum, fr_sum), (f, f.wrapping_mul(signed)));
                assert_eq!((sum(shape.top) ^ top) << n, 0, "M mod 2^(l-n)");
                assert_eq!((sum(shape.chosen_top) ^ f & top) << n, 0, "FM mod 2^(l-n)");
                let low = masks.map(|m| m & low_mask(n) as u32);
                let carried = low[0].wrapping_add(low[1]);
                assert_eq!(carried.wrapping_add(sum(shape.high) << n), signed, "R mod 2^l");
            }
        }
        for (digit, seen) in shape.digits().iter().zip(seen) {
            assert_eq!(seen.len(), 1 << digit.bits, "every value of every digit");
        }
    }
}

/// What is opened and shared in between is what the definition says: comparison, alarm, masked bits.
#[test]
fn openings_and_alarm_bits_are_the_definition() {
    for zone in [Zone::THREE, Zone::FOUR, Zone::FOUR_EARLY] {
        for n in (13..=18).chain([6]) {
            let shape = ReluShape::of::<u32>(n, Some(zone)).unwrap();
            let x: Vec<i64> = words::<u64>(5, 500).into_iter().map(|x| sign_extend(x, n)).collect();
            let shares = dealt::<u32>(&shape, u64::from(n), x.len());
            let run = both(active(), (&shape, Slope::RELU), &x, &shares);
            let alarms = [0, 1].map(|i| {
                let mut words = [0u64; 8];
                relu_alarms(&shape, &run.kept[i], &mut words);
                words
            });
            for i in 0..x.len() {
                let masks = shares[0].masks[i] ^ shares[1].masks[i];
                let rho = shares[0].masks[i].wrapping_add(shares[1].masks[i]);
                let (rho, z) = (u64::from(rho) & low_mask(n), u64::from(run.z[i]));
                let mask = |j: u32| masks >> (n + j) & 1 == 1;
                let raised = (alarms[0][i / 64] ^ alarms[1][i / 64]) >> (i % 64) & 1;
                assert_eq!(raised == 1, zone.raised(n, z, rho), "{zone:?}, n = {n}");
                let opened = run.kept[0][i] ^ run.kept[1][i];
                let count = shape.digits().len();
                for (j, digit) in shape.digits().iter().enumerate() {
                    let [rho, z] = [rho, z].map(|v| v >> digit.at & low_mask(digit.bits));
                    let bit = |at: usize| opened >> at & 1 == 1;
                    if j + 1 < count {
                        assert_eq!(bit(j), (rho == z) ^ mask(j as u32));
                    }
                    if j > 0 {
                        let at = count - 2 + j;
                        assert_eq!(bit(at), (rho > z) ^ mask(at as u32));
                    }
                }
                let low = low_mask(n - 1);
                let borrow = z & low < rho & low;
                assert_eq!(run.c[i] & 1 == 1, borrow ^ mask(shape.opened_bits()));
            }
        }
    }
}

/// Making the other's material twice gives back the first, but for bits that mean nothing.
#[test]
fn complements_invert() {
    let shape = ReluShape::of::<u32>(17, Some(Zone::THREE)).unwrap();
    let [s0, s1] = dealt::<u32>(&shape, 3, 100);
    for backend in available() {
        let mut back = s0.clone();
        relu_complement_with(backend, &shape, &s1.masks[..100], &mut back);
        for i in 0..100 {
            assert_eq!(
                (back.f[i], back.f_rho[i], back.masks[i]),
                (s1.f[i], s1.f_rho[i], s1.masks[i])
            );
            for word in 0..shape.words() {
                let used = shape.used(word) as u32;
                assert_eq!(back.words[word][i], s1.words[word][i] & used, "{backend}");
                assert_eq!(s0.words[word][i] & !used, 0, "unused bits are 0");
            }
        }
    }
}

#[test]
#[should_panic(expected = "blocks of 513")]
fn blocks_that_are_too_long_panic() {
    let shape = ReluShape::of::<u32>(17, None).unwrap();
    relu_borrows(&shape, Party::S0, &[0u32; 513], &mut [0; 513]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn exact_for_any_width(n in INPUT_BITS, seed in 0u64..1 << 40, count in 1usize..RELU_BLOCK) {
        let shape = ReluShape::of::<u32>(n, None).unwrap();
        let x: Vec<i64> = words::<u64>(seed, count).into_iter().map(|x| sign_extend(x, n)).collect();
        let run = both(active(), (&shape, Slope::RELU), &x, &dealt::<u32>(&shape, seed, count));
        prop_assert_eq!(run.results, x.iter().map(|x| *x.max(&0)).collect::<Vec<_>>());
    }
}
