//! Lookups so small that everything a server can see is enumerated.
//!
//! hi = 2, lo = 1, numbers mod 8, with ideal transfers, by the formulas of docs/protocols.md and not by
//! the code beside: the sender's pad of a payload is any number, the receiver gets pad + choice payload.
//! For every rho, own randomness and own masks, the peer's randomness must be mapped one to one onto what
//! the server sees: then every view is as likely for every rho.

use std::collections::HashSet;

const RING: u64 = 8;

/// What a server draws.
#[derive(Clone, Copy)]
struct Drawn {
    /// Its xor shares of the bits of rho, lowest first.
    beta: [u64; 3],
    /// The random choice of the sign's transfer.
    choice: u64,
    /// Pads of its payloads: level, its bit as a number, rho_lo m', the low bit as a number, both signs.
    pads: [u64; 6],
    /// m and m'.
    masks: [u64; 2],
}

/// Sizes of the pads. Only S1 sends the second and the fourth.
const PADS: [u64; 6] = [2, 2, RING, RING / 2, RING, RING];

fn sign(w: u64) -> u64 {
    1u64.wrapping_sub(2 * w)
}

/// The one-hot shares of 4 bits after the level of bit 1; `received` is the peer's vector times the own
/// bit.
fn one_hot(server: usize, own: &Drawn, received: u64) -> [u64; 4] {
    let [_, beta, top] = own.beta;
    let e = [top ^ u64::from(server == 0), top];
    let p = beta & e[0] ^ received ^ own.pads[0];
    let p = [p, beta ^ p];
    [e[0] ^ p[0], p[0], e[1] ^ p[1], p[1]]
}

/// What each server sees, and both servers' K2 and K3.
fn run(drawn: [Drawn; 2]) -> ([Vec<u64>; 2], [[u64; 2]; 2]) {
    let get = |to: usize, pad: usize, choice: u64, payload: u64| {
        let p = drawn[1 - to].pads[pad];
        p.wrapping_add(choice.wrapping_mul(payload)) % PADS[pad]
    };
    let beta = |i: usize, t: usize| drawn[i].beta[t];
    let level = [0, 1].map(|i| {
        let theirs = drawn[1 - i].beta[2] ^ u64::from(i == 1);
        drawn[1 - i].pads[0] ^ (beta(i, 1) & theirs)
    });
    let numbers =
        [get(0, 1, beta(0, 1), beta(1, 1)), get(0, 3, beta(0, 0), beta(1, 0).wrapping_neg())];
    let low = [0, 1].map(|i| {
        let j = 1 - i;
        get(i, 2, beta(i, 0), sign(beta(j, 0)).wrapping_mul(drawn[j].masks[1]))
    });
    let n = |i: usize| {
        low[i]
            .wrapping_sub(drawn[i].pads[2])
            .wrapping_add(beta(i, 0).wrapping_mul(drawn[i].masks[1]))
    };
    let lows =
        [beta(0, 0).wrapping_add(2 * numbers[1]), beta(1, 0).wrapping_sub(2 * drawn[1].pads[3])];
    let vectors = [0, 1].map(|i| one_hot(i, &drawn[i], level[i]));
    let w = vectors.map(|h| h.iter().sum::<u64>() >> 1 & 1);
    let values = [0, 1].map(|i| [lows[i], drawn[i].masks[0].wrapping_sub(n(i))]);
    let minus_twice =
        |i: usize, k: usize| sign(w[i]).wrapping_mul(values[i][k]).wrapping_mul(2).wrapping_neg();
    let signs = [0, 1].map(|i| [0, 1].map(|k| get(i, 4 + k, w[i], minus_twice(1 - i, k))));
    let keys = [0, 1].map(|i| {
        let key = |k: usize| {
            let own = sign(w[i]).wrapping_mul(values[i][k]);
            own.wrapping_add(signs[i][k]).wrapping_sub(drawn[i].pads[4 + k])
        };
        [key(0) % RING, key(1).wrapping_neg() % RING]
    });
    let published = [0, 1].map(|i| w[i] ^ drawn[i].choice);
    let views = [0, 1].map(|i| {
        let mut view = vec![level[i], low[i], signs[i][0], signs[i][1], published[1 - i]];
        view.extend(if i == 0 { &numbers[..] } else { &[] });
        view
    });
    (views, keys)
}

/// Everything that server `peer` can draw, its bits being such that rho is this.
fn draws(peer: usize, own: Drawn, rho: u64) -> impl Iterator<Item = Drawn> {
    let sizes = PADS.iter().enumerate();
    let sizes: Vec<u64> =
        sizes.map(|(k, &n)| if peer == 0 && k % 2 == 1 && k < 4 { 1 } else { n }).collect();
    let all: u64 = 2 * sizes.iter().product::<u64>();
    let beta = [0, 1, 2].map(|t| own.beta[t] ^ rho >> t & 1);
    (0..all).map(move |i| {
        let mut rest = i / 2;
        let pads = std::array::from_fn(|k| {
            let pad = rest % sizes[k];
            rest /= sizes[k];
            pad
        });
        Drawn { beta, choice: i % 2, pads, masks: [3, 6] }
    })
}

const OWN: [Drawn; 3] = [
    Drawn { beta: [0, 0, 0], choice: 0, pads: [0; 6], masks: [0, 0] },
    Drawn { beta: [1, 0, 1], choice: 1, pads: [1, 1, 5, 2, 7, 3], masks: [4, 7] },
    Drawn { beta: [0, 1, 1], choice: 0, pads: [0, 1, 2, 3, 4, 1], masks: [1, 5] },
];

/// The views of `server` for one rho, `change` being what the peer does wrong.
fn views(
    server: usize,
    own: Drawn,
    rho: u64,
    change: fn(&mut Drawn),
) -> (HashSet<Vec<u64>>, usize) {
    let mut seen = HashSet::new();
    let mut count = 0;
    for mut theirs in draws(1 - server, own, rho) {
        change(&mut theirs);
        let drawn = if server == 0 { [own, theirs] } else { [theirs, own] };
        seen.insert(run(drawn).0[server].clone());
        count += 1;
    }
    (seen, count)
}

#[test]
fn the_model_is_the_protocol() {
    for own in OWN {
        for rho in 0..8 {
            for theirs in draws(1, own, rho).step_by(7) {
                let vectors = [own, theirs];
                let (views, keys) = run(vectors);
                let h = [0, 1].map(|i| one_hot(i, &vectors[i], views[i][0]));
                // Bit 1 is the low bit of the index, bit 2 its high one.
                let at = (rho >> 1) as usize;
                for (k, (a, b)) in h[0].iter().zip(&h[1]).enumerate() {
                    assert_eq!(a ^ b, u64::from(k == at));
                }
                let w = h[0].iter().sum::<u64>().wrapping_sub(h[1].iter().sum::<u64>());
                let low = w.wrapping_mul(rho & 1);
                let mask = |k: usize| own.masks[k] + theirs.masks[k];
                let k3 = low.wrapping_mul(mask(1)).wrapping_sub(w.wrapping_mul(mask(0)));
                assert_eq!((keys[0][0] + keys[1][0]) % RING, low % RING);
                assert_eq!((keys[0][1] + keys[1][1]) % RING, k3 % RING);
            }
        }
    }
}

#[test]
fn every_view_is_as_likely_for_every_rho() {
    for server in [0, 1] {
        for own in OWN {
            let (first, count) = views(server, own, 0, |_| ());
            assert_eq!(first.len(), count, "S{server}");
            for rho in 1..8 {
                assert!(views(server, own, rho, |_| ()).0 == first, "S{server} rho {rho}");
            }
        }
    }
}

/// A server whose own vector is all zeros or all ones learns nothing from a bare sign, and one whose sign
/// is +1 nothing from a shared pad: what is wrong shows for some of what it may have drawn.
#[test]
fn what_the_peer_does_wrong_shows() {
    for server in [0, 1] {
        let differ = |change: fn(&mut Drawn)| {
            OWN.into_iter().any(|own| {
                let sets = [0, 1, 2, 3, 4, 5, 6, 7].map(|rho| views(server, own, rho, change).0);
                sets.iter().any(|seen| *seen != sets[0])
            })
        };
        assert!(!differ(|_| ()), "S{server}: nothing wrong");
        assert!(differ(|theirs| theirs.choice = 0), "S{server}: a sign without a mask");
        assert!(
            differ(|theirs| theirs.pads[5] = theirs.pads[4]),
            "S{server}: one pad for both words of the sign's transfer"
        );
        for own in OWN {
            let (seen, count) = views(server, own, 5, |theirs| theirs.pads[4] = theirs.pads[0]);
            assert!(seen.len() < count / 2, "S{server}: one pad for a level and a sign");
        }
    }
}
