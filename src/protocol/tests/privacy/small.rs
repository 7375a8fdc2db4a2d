//! The lookup in a ring so small that every server's view can be enumerated.
//!
//! Table of 4 cells with one low bit (n = 3), openings mod 16, by the formulas of docs/protocols.md:
//! the kernels start at 32 cells. For every secret x, own share and own masks, the peer's randomness
//! must be mapped one to one onto what the server sees: then every view is as likely as any other,
//! whatever x is. K1, K2 and K3 are left out: S1's shares are independent of all else, and so are S0's,
//! which they mask.

use std::collections::HashSet;

const HI: u32 = 2;
const LO: u32 = 1;
const N: u64 = 1 << (HI + LO);
const RING: u64 = 16;
/// Values and slopes of the cells, mod 16.
const TABLE: [(u64, u64); 4] = [(0, 6), (7, 3), (9, 13), (14, 5)];

/// What a server draws for itself: its shares of rho, m and m'.
#[derive(Clone, Copy)]
struct Masks {
    rho: u64,
    value: u64,
    slope: u64,
}

fn all_masks() -> impl Iterator<Item = Masks> {
    (0..N * RING * RING).map(|i| Masks { rho: i % N, value: i / N % RING, slope: i / N / RING })
}

/// What `sender` sends: its share of x + rho, then of c and e, given the opened x + rho.
fn sends(sender: usize, (x, own): (u64, Masks), opened: u64, one_hot: u64) -> [u64; 3] {
    let (cells, low) = (1 << HI, opened % (1 << LO));
    let (mut p, mut q) = (0, 0);
    for j in (0..cells).filter(|j| one_hot >> j & 1 == 1) {
        let (value, slope) = TABLE[((opened >> LO) + cells - j) as usize % TABLE.len()];
        p += value + slope * low;
        q += slope;
    }
    let share = |mask: u64, sum: u64| match sender {
        0 => mask.wrapping_add(sum) % RING,
        _ => mask.wrapping_sub(sum) % RING,
    };
    [(x + own.rho) % N, share(own.value, p), share(own.slope, q)]
}

const OWN: [Masks; 3] = [
    Masks { rho: 0, value: 0, slope: 0 },
    Masks { rho: 5, value: 11, slope: 6 },
    Masks { rho: 7, value: 15, slope: 1 },
];

/// How many different things S1 sees of S0's 2048 choices; `rho` is what S0 makes of its rho.
fn views_of_s1(x: u64, x1: u64, own: Masks, rho: fn(u64) -> u64) -> usize {
    let mut views = HashSet::new();
    for mut theirs in all_masks() {
        theirs.rho = rho(theirs.rho);
        let sum = (theirs.rho + own.rho) % N;
        let one_hot_1 = 0b0110;
        let one_hot_0 = one_hot_1 ^ 1 << (sum >> LO);
        let x0 = (N + x - x1) % N;
        views.insert(sends(0, (x0, theirs), (x + sum) % N, one_hot_0));
    }
    views.len()
}

#[test]
fn every_view_of_s1_is_as_likely_for_every_secret() {
    let all = (N * RING * RING) as usize;
    for x in 0..N {
        for own in OWN {
            for x1 in [0, 3] {
                assert_eq!(views_of_s1(x, x1, own, |rho| rho), all, "secret {x}");
                let broken = views_of_s1(x, x1, own, |rho| rho & !1);
                assert!(broken < all, "a mask whose lowest bit is 0 shows");
            }
        }
    }
}

/// S0 sees its half of the one-hot vector too; S1's half is part of the peer's randomness.
#[test]
fn every_view_of_s0_is_as_likely_for_every_secret() {
    for x in 0..N {
        for own in OWN {
            let mut views = HashSet::new();
            for theirs in all_masks() {
                for one_hot_1 in 0..1u64 << (1 << HI) {
                    let sum = (theirs.rho + own.rho) % N;
                    let one_hot_0 = one_hot_1 ^ 1 << (sum >> LO);
                    let x1 = (N + x - 2) % N;
                    let seen = sends(1, (x1, theirs), (x + sum) % N, one_hot_1);
                    views.insert((one_hot_0, seen));
                }
            }
            assert_eq!(views.len() as u64, (N * RING * RING) << (1 << HI), "secret {x}");
        }
    }
}
