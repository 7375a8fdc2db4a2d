//! Every view of each server on a ring so small that all can be enumerated, with the real steps: n = 3, two digits of
//! one bit, mod 2^8.
//!
//! For fixed own material and fixed x, what a server does not know (rho, u, v, d, and Y) must be mapped one to one onto
//! what it receives (z, the masked bits, c, and V): then every view is as likely for every x. The peer's material
//! follows from its own and those, since shares add up. Rules E1 to E5 of docs/protocols.md each have variants that
//! break them, which must show.

use crate::ids::Party;
use crate::kernels::{ReluShares, relu_borrows, relu_complement, relu_digits, relu_results};
use crate::numbers::relu::{ReluShape, Slope, Zone};
use std::collections::HashSet;

const N: u32 = 3;
const X: std::ops::Range<i64> = -4..4;

/// What neither server knows.
#[derive(Clone, Copy)]
struct Secrets {
    rho: u8,
    u: u8,
    v: u8,
    d: u8,
}

/// All of them.
fn all() -> Vec<Secrets> {
    (0..64).map(|i| Secrets { rho: i & 7, u: i >> 3 & 1, v: i >> 4 & 1, d: i >> 5 }).collect()
}

/// A server's own material: its mask element, and words that are not yet repeated for all secrets.
#[derive(Clone, Copy)]
struct OwnMaterial {
    party: Party,
    masks: u8,
    words: [u8; 6],
}

/// Every mask element, with words drawn for each.
fn owns(party: Party, draws: u64) -> Vec<OwnMaterial> {
    let own = |i: u64| {
        let word = |k: u64| ((i * 6 + k + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        OwnMaterial { party, masks: (i & 63) as u8, words: std::array::from_fn(|k| word(k as u64)) }
    };
    (0..64 * draws).map(own).collect()
}

impl OwnMaterial {
    /// Bits \[digit 1 of rho = j\] that this server holds, as a share: those of its prefix vector, differenced.
    fn one_hot(&self, shape: &ReluShape, j: u8) -> u8 {
        let lane = shape.digits()[0].lane;
        let first = u8::from(self.party == Party::S0);
        let above = self.words[lane.word] >> lane.shift & 1;
        if j == 0 { first ^ above } else { above }
    }
}

fn shape() -> ReluShape {
    ReluShape::of::<u8>(N, Some(Zone::THREE)).unwrap()
}

/// One run: what is opened, and the sum of the servers' results; beside it secrets that are never opened.
struct Seen {
    z: u8,
    masked: u8,
    c: u8,
    y: u8,
    /// f, f rho~, rho~ mod 2^l, rho_m, f rho_m.
    words: [u8; 5],
}

/// Runs the real steps for an x under each of the secrets.
fn runs(own: &OwnMaterial, x: i64, secrets: &[Secrets], slope: Slope) -> Vec<Seen> {
    let shape = shape();
    let count = secrets.len();
    let fill = |shares: &mut ReluShares<u8>| {
        shares.masks[..count].fill(own.masks);
        for (row, word) in shares.words.iter_mut().zip(own.words) {
            row[..count].fill(word);
        }
        shares.f[..count].fill(own.words[4]);
        shares.f_rho[..count].fill(own.words[5]);
    };
    let (mut ours, mut theirs) = (ReluShares::zeros(), ReluShares::zeros());
    fill(&mut ours);
    fill(&mut theirs);
    let peer_masks: Vec<u8> = secrets
        .iter()
        .map(|s| {
            s.rho.wrapping_sub(own.masks) & 7
                | ((own.masks >> 3 ^ (s.u | s.v << 1 | s.d << 2)) & 7) << 3
        })
        .collect();
    relu_complement(&shape, &peer_masks, &mut theirs);
    let both = match own.party {
        Party::S0 => [&ours, &theirs],
        Party::S1 => [&theirs, &ours],
    };
    let z: Vec<u8> = secrets.iter().map(|s| (x as u8).wrapping_add(s.rho) & 7).collect();
    let parties = [Party::S0, Party::S1];
    let mut kept = parties.map(|p| {
        let mut kept = vec![0; count];
        relu_digits(&shape, p, &z, both[p.index()], &mut kept);
        kept
    });
    let opened = (1 << shape.opened_bits()) - 1;
    let sent = kept.clone().map(|kept| kept.iter().map(|v| v & opened).collect::<Vec<u8>>());
    for p in parties {
        relu_borrows(&shape, p, &sent[p.other().index()], &mut kept[p.index()]);
    }
    let c: Vec<u8> = kept[0].iter().zip(&kept[1]).map(|(a, b)| a ^ b).collect();
    let y = parties.map(|p| {
        let mut y = c.clone();
        relu_results(&shape, slope, p, &z, both[p.index()], &mut y);
        y
    });
    let seen = |i: usize| {
        let top = secrets[i].rho >> (N - 1);
        let (f, signed) = (top ^ secrets[i].d, secrets[i].rho.wrapping_sub(top << N));
        Seen {
            z: z[i],
            masked: sent[0][i] ^ sent[1][i],
            c: c[i],
            y: y[0][i].wrapping_add(y[1][i]),
            words: [f, f.wrapping_mul(signed), signed, top, f & top],
        }
    };
    (0..count).map(seen).collect()
}

/// The views, sorted; `more` adds to what is opened.
fn views(
    own: &OwnMaterial,
    x: i64,
    change: impl Fn(&mut Secrets),
    more: impl Fn(&Seen) -> u8,
) -> Vec<[u8; 4]> {
    let mut secrets = all();
    secrets.iter_mut().for_each(change);
    let runs = runs(own, x, &secrets, Slope::RELU);
    let mut views: Vec<_> = runs.iter().map(|s| [s.z, s.masked, s.c, more(s)]).collect();
    views.sort_unstable();
    views
}

#[test]
fn every_view_is_as_likely_for_every_x() {
    for party in [Party::S0, Party::S1] {
        for own in owns(party, 4) {
            for x in X {
                let mut seen = views(&own, x, |_| (), |_| 0);
                seen.dedup();
                assert_eq!(seen.len(), 64, "S{}: one to one, x = {x}", party.index());
            }
        }
    }
}

/// With V = y - Y for every Y, and exact for every slope.
#[test]
fn every_view_with_v_is_as_likely_for_every_x() {
    let slopes = [Slope::RELU, Slope::ABS, Slope { above: 5, below: 1 }];
    for (party, slope) in [Party::S0, Party::S1].into_iter().zip([Slope::RELU, Slope::ABS]) {
        for own in owns(party, 1).into_iter().step_by(5) {
            for x in X {
                for slope in slopes.into_iter().chain([slope]) {
                    let runs = runs(&own, x, &all(), slope);
                    let good = runs.iter().all(|s| i64::from(s.y as i8) == slope.eval(x));
                    assert!(good, "{slope:?} of {x}");
                    let mut seen = HashSet::new();
                    for s in &runs {
                        seen.extend((0..=255u8).map(|y| [s.z, s.masked, s.c, s.y.wrapping_sub(y)]));
                    }
                    assert_eq!(seen.len(), 64 << 8, "{party} {slope:?} of {x}");
                }
            }
        }
    }
}

/// Whether views differ between some x, for some own material of either server.
fn shows(change: impl Fn(&OwnMaterial, &mut Secrets), more: impl Fn(&Seen) -> u8) -> [bool; 2] {
    [Party::S0, Party::S1].map(|party| {
        owns(party, 2).iter().any(|own| {
            let first = views(own, X.start, |s| change(own, s), &more);
            X.skip(1).any(|x| views(own, x, |s| change(own, s), &more) != first)
        })
    })
}

fn top(s: &Secrets) -> u8 {
    s.rho >> (N - 1)
}

/// The own share of bit `j` of the masks.
fn own_bit(own: &OwnMaterial, j: u32) -> u8 {
    own.masks >> (N + j) & 1
}

#[test]
fn what_breaks_a_rule_shows() {
    type Change = fn(&OwnMaterial, &mut Secrets);
    let variants: [(&str, Change); 12] = [
        ("E1: u = v", |_, s| s.v = s.u),
        ("E1: d = u", |_, s| s.d = s.u),
        ("E1: d = 0", |_, s| s.d = 0),
        ("E1: d = rho_m", |_, s| s.d = top(s)),
        ("E1: u is a bit of rho", |_, s| s.u = s.rho & 1),
        ("E1: f = u", |_, s| s.d = s.u ^ top(s)),
        ("E2: the peer adds nothing to u", |own, s| s.u = own_bit(own, 0)),
        ("E2: the peer adds nothing to v", |own, s| s.v = own_bit(own, 1)),
        ("E2: the peer adds nothing to d", |own, s| s.d = own_bit(own, 2)),
        ("E2: the peer's part of rho is that of a mask", |own, s| {
            s.u = own_bit(own, 0) ^ s.rho.wrapping_sub(own.masks) & 1;
        }),
        ("E3: rho < B", |_, s| s.rho &= 3),
        ("E4: W of a vector masks a bit", |own, s| {
            let w = own.one_hot(&shape(), s.rho >> 1 & 1);
            s.v = w ^ u8::from(own.party == Party::S1);
        }),
    ];
    for (name, change) in variants {
        assert_eq!(shows(change, |_| 0), [true; 2], "{name}");
    }
    for (i, name) in ["f", "FR", "R", "M", "FM"].iter().enumerate() {
        assert_eq!(shows(|_, _| (), |seen| seen.words[i]), [true; 2], "E5: {name} is opened");
    }
    assert_eq!(shows(|_, _| (), |_| 0), [false; 2], "nothing wrong");
}
