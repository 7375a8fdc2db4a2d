//! Exact ReLUs so small that everything a server can see is enumerated, from the making to c.
//!
//! n = 3, l = 4, one digit of two bits or two of one, with ideal transfers, by the formulas of docs/protocols.md and
//! not by the code beside: the sender's pad of a payload is any number, the chooser gets pad + choice payload. For every x
//! and own randomness the peer's randomness must be mapped one to one onto what the server sees: then every view is as
//! likely for every x. A view has as many bits as the peer draws, so one that is met twice leaves another out.

/// What the peer does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokenRule {
    /// Its part of u (u_1) is its lowest bit of rho.
    MaskRepeatsRho,
    /// Its part of rho_m is the top bit of its share of rho_l.
    TopIsCarry,
    /// Its choice of f is that of u (u_1).
    ChoiceTwice,
    /// d is rho_m: f, which both servers draw, is 0.
    MaskFromRho,
    /// All numbers of a transfer are under the pads of the first; here, those of f.
    OneLane,
    /// It publishes the top bit of its share of rho_l bare; here S0 does.
    BareWrap,
}

impl BrokenRule {
    /// All of them.
    pub(crate) const ALL: [BrokenRule; 6] = [
        BrokenRule::MaskRepeatsRho,
        BrokenRule::TopIsCarry,
        BrokenRule::ChoiceTwice,
        BrokenRule::MaskFromRho,
        BrokenRule::OneLane,
        BrokenRule::BareWrap,
    ];
}

const N: u32 = 3;
const L: u32 = 4;

/// The digits of rho_l, the most significant first.
type Widths = &'static [u32];
const WIDTHS: [Widths; 2] = [&[2], &[1, 1]];

fn low_bits(v: u64, bits: u32) -> u64 {
    v & ((1 << bits) - 1)
}

/// A run of both servers.
struct Run {
    /// What is left of each server's randomness, and how many bits were drawn.
    random: [u64; 2],
    drawn: [u32; 2],
    /// What each server sees, and how many bits that are.
    seen: [u64; 2],
    bits: [u32; 2],
    peer: usize,
    broken: Option<BrokenRule>,
}

/// Both servers' shares of what a comparison takes.
struct ComparisonShares {
    b: [u64; 2],
    /// One-hot vectors, by digit.
    vectors: [[u64; 2]; 2],
    u: [u64; 2],
    v: [u64; 2],
    product: [u64; 2],
    d: [u64; 2],
    f: [u64; 2],
    /// R, M, F, FR, FM.
    words: [[u64; 2]; 5],
}

impl Run {
    fn draw(&mut self, server: usize, bits: u32) -> u64 {
        let value = low_bits(self.random[server], bits);
        self.random[server] >>= bits;
        self.drawn[server] += bits;
        value
    }

    fn see(&mut self, server: usize, value: u64, bits: u32) {
        self.seen[server] |= low_bits(value, bits) << self.bits[server];
        self.bits[server] += bits;
    }

    fn breaks(&self, server: usize, rule: BrokenRule) -> bool {
        server == self.peer && self.broken == Some(rule)
    }

    /// Additive shares of c f, S0's first, and the pad; under `pad` if it is given.
    fn sum(
        &mut self,
        chooser: usize,
        c: u64,
        f: u64,
        bits: u32,
        pad: Option<u64>,
    ) -> ([u64; 2], u64) {
        let fresh = self.draw(1 - chooser, bits);
        let pad = pad.unwrap_or(fresh);
        let got = low_bits(pad.wrapping_add(c * low_bits(f, bits)), bits);
        self.see(chooser, got, bits);
        let mut shares = [got; 2];
        shares[1 - chooser] = low_bits(pad.wrapping_neg(), bits);
        (shares, pad)
    }

    /// Turns a digit's vector by the bit t of S0, which chooses.
    fn turn(&mut self, vector: &mut [u64; 2], c: u64, t: u32, width: u32) {
        let places = (0..1u32 << width).filter(|j| j >> t & 1 == 0);
        let turned =
            |v: u64| (0..1 << width).fold(v, |all, j| all ^ (v >> (j ^ 1u32 << t) & 1) << j);
        let half = |v: u64| places.clone().rev().fold(0, |all, j| all << 1 | v >> j & 1);
        let sent = (1 << (width - 1)) - 1;
        let pad = self.draw(1, sent);
        let got = pad ^ (c * low_bits(half(turned(vector[1])), sent));
        self.see(0, got, sent);
        // The last bit follows from the parity.
        let spread = |bits: u64, last: u64| {
            let bits = bits | (last ^ u64::from(bits.count_ones()) & 1) << sent;
            let each = places.clone().enumerate();
            each.fold(0, |all, (k, j)| all | ((bits >> k & 1) * (1 << j | 1 << (j ^ 1 << t))))
        };
        vector[0] ^= (c * turned(vector[0])) ^ spread(got, c);
        vector[1] ^= spread(pad, 0);
    }

    fn vectors(&mut self, b: [u64; 2], widths: Widths) -> [[u64; 2]; 2] {
        let (mut at, mut vectors) = (N - 1, [[0; 2]; 2]);
        for (vector, &width) in vectors.iter_mut().zip(widths) {
            at -= width;
            vector[1] = 1 << low_bits(b[1] >> at, width);
            (0..width).for_each(|t| self.turn(vector, b[0] >> (at + t) & 1, t, width));
        }
        vectors
    }

    /// Shares of rho_l mod 2^n.
    fn low(&mut self, b: [u64; 2]) -> [u64; 2] {
        let mut low = [0; 2];
        for t in 0..N - 1 {
            let bits = b.map(|b| b >> t & 1);
            let (shares, _) = self.sum(0, bits[0], bits[1].wrapping_neg(), N - 1 - t, None);
            for i in [0, 1] {
                low[i] = low_bits(low[i] + (bits[i] << t) + (shares[i] << (t + 1)), N);
            }
        }
        low
    }

    /// u, v and the product of both: v is what the pads of u make.
    fn masks(&mut self, b: [u64; 2]) -> [[u64; 2]; 3] {
        let u = [0, 1].map(|i| {
            let u = self.draw(i, 1);
            if self.breaks(i, BrokenRule::MaskRepeatsRho) { b[i] & 1 } else { u }
        });
        let v = [0, 1].map(|i| self.draw(i, 1));
        let mut product = [0, 1].map(|i| u[i] & v[i]);
        for chooser in [0, 1] {
            let pad = self.draw(1 - chooser, 1);
            let got = pad ^ u[chooser] & v[1 - chooser];
            self.see(chooser, got, 1);
            product[chooser] ^= got;
            product[1 - chooser] ^= pad;
        }
        [u, v, product]
    }

    fn make(&mut self, widths: Widths) -> ComparisonShares {
        let (k, mut b) = (L - N, [0, 1].map(|i| self.draw(i, N)));
        let vectors = self.vectors(b, widths);
        let low = self.low(b);
        let m = low.map(|low| low >> (N - 1));
        for i in [0, 1] {
            if self.breaks(i, BrokenRule::TopIsCarry) {
                b[i] = low_bits(b[i], N - 1) | m[i] << (N - 1);
            }
        }
        let top = b.map(|b| b >> (N - 1));
        let (shares, _) = self.sum(0, top[0], top[1].wrapping_neg(), k, None);
        let rho_m = [0, 1].map(|i| low_bits(top[i] + 2 * shares[i], k + 1));
        let masks = if widths.len() > 1 { self.masks(b) } else { [[0; 2]; 3] };
        let random = self.draw(0, 1);
        self.see(1, m[0] ^ if self.breaks(0, BrokenRule::BareWrap) { 0 } else { random }, 1);
        let (product, _) = self.sum(0, m[0], m[1], k, None);
        let rho = [0, 1].map(|i| {
            let wrap = m[i].wrapping_sub(product[i]);
            low_bits(low[i].wrapping_sub(wrap << N).wrapping_sub(rho_m[i] << (N - 1)), L)
        });
        let f = self.choices_of_f(masks[0]);
        let words = self.times_f(f, rho, rho_m);
        let [u, v, product] = masks;
        ComparisonShares { b, vectors, u, v, product, d: [0, 1].map(|i| f[i] ^ top[i]), f, words }
    }

    fn choices_of_f(&mut self, u: [u64; 2]) -> [u64; 2] {
        let mut f = [0, 1].map(|i| self.draw(i, 1));
        match self.broken {
            Some(BrokenRule::ChoiceTwice) => f[self.peer] = u[self.peer],
            Some(BrokenRule::MaskFromRho) => f[self.peer] = f[1 - self.peer],
            _ => {}
        }
        f
    }

    fn times_f(&mut self, f: [u64; 2], rho: [u64; 2], rho_m: [u64; 2]) -> [[u64; 2]; 5] {
        let turned = |i: usize, v: u64| if f[i] == 1 { v.wrapping_neg() } else { v };
        let (mut signed, mut top) =
            ([0, 1].map(|i| f[i] * rho[i]), [0, 1].map(|i| f[i] * rho_m[i]));
        let mut chosen = f;
        for chooser in [0, 1] {
            let (sender, c) = (1 - chooser, f[chooser]);
            let (shares, pad) = self.sum(chooser, c, turned(sender, rho[sender]), L, None);
            signed = [0, 1].map(|i| low_bits(signed[i] + shares[i], L));
            let pad = self.breaks(sender, BrokenRule::OneLane).then_some(pad);
            let cut = |bits: u32| pad.map(|pad| low_bits(pad, bits));
            let hidden = turned(sender, rho_m[sender]);
            let (shares, _) = self.sum(chooser, c, hidden, L - N, cut(L - N));
            top = [0, 1].map(|i| low_bits(top[i] + shares[i], L - N));
            if chooser == 0 {
                let (shares, _) = self.sum(0, c, f[1].wrapping_neg(), L - 1, cut(L - 1));
                chosen = [0, 1].map(|i| low_bits(chosen[i] + 2 * shares[i], L));
            }
        }
        [rho, rho_m, chosen, signed, top]
    }

    /// Uses the material for an x; gives y.
    fn compare(&mut self, x: i64, made: &ComparisonShares, widths: Widths) -> u64 {
        let rho = made.words[0];
        let z = low_bits((x as u64).wrapping_add(rho[0]).wrapping_add(rho[1]), N);
        let mut at = N - 1;
        // By digit and server: whether that of rho is more than that of z, and whether they are equal.
        let mut found = [[[0; 2]; 2]; 2];
        for ((found, vector), &width) in found.iter_mut().zip(made.vectors).zip(widths) {
            at -= width;
            let digit = low_bits(z >> at, width);
            *found = vector.map(|v| {
                // Parities from a place on: whether the digit of rho is not below it.
                let [here, above] =
                    [digit, digit + 1].map(|t| u64::from((v >> t).count_ones()) & 1);
                [above, here ^ above]
            });
        }
        let [[[more_0, equal_0], [more_1, equal_1]], [[next_0, _], [next_1, _]]] = found;
        let (mut borrow, mut masked) = ([more_0, more_1], [0; 2]);
        if widths.len() > 1 {
            let [e, l] = [
                equal_0 ^ equal_1 ^ made.u[0] ^ made.u[1],
                next_0 ^ next_1 ^ made.v[0] ^ made.v[1],
            ];
            masked = [e, l];
            borrow[0] ^= e & l;
            for i in [0, 1] {
                borrow[i] ^= e & made.v[i] ^ l & made.u[i] ^ made.product[i];
            }
        }
        let c = borrow[0] ^ borrow[1] ^ made.d[0] ^ made.d[1];
        for server in [0, 1] {
            self.see(server, z, N);
            self.see(server, c, 1);
            if widths.len() > 1 {
                masked.iter().for_each(|bit| self.see(server, *bit, 1));
            }
        }
        result(z, c, &made.words)
    }
}

/// y, the sum of both servers' shares.
fn result(z: u64, c: u64, words: &[[u64; 2]; 5]) -> u64 {
    let top = z >> (N - 1);
    let q = 1 ^ top ^ c;
    let share = |i: usize| {
        let [rho, rho_m, f, signed, chosen_top] = words.map(|word| word[i]);
        let first = if i == 0 { q * z } else { 0 };
        let turned = (z * f).wrapping_sub(signed).wrapping_sub((top * chosen_top) << N);
        let turned = if q == 1 { turned.wrapping_neg() } else { turned };
        first.wrapping_sub(q * (rho + ((top * rho_m) << N))).wrapping_add(turned)
    };
    low_bits(share(0).wrapping_add(share(1)), L)
}

/// One run, `server` with its own randomness and the peer with `theirs`; gives y too.
fn run(
    server: usize,
    widths: Widths,
    x: i64,
    [own, theirs]: [u64; 2],
    broken: Option<BrokenRule>,
) -> (Run, ComparisonShares, u64) {
    let mut random = [own; 2];
    random[1 - server] = theirs;
    let mut run =
        Run { random, drawn: [0; 2], seen: [0; 2], bits: [0; 2], peer: 1 - server, broken };
    let made = run.make(widths);
    let y = run.compare(x, &made, widths);
    (run, made, y)
}

/// Own randomness, of which the first bits are used.
const OWN: [u64; 2] = [0b1011_0010_0111_0101_1001, 0b0110_1101_1000_1110_0110];

/// Which views there are for all that the peer can draw, and how many that are.
fn views(
    server: usize,
    widths: Widths,
    x: i64,
    own: u64,
    broken: Option<BrokenRule>,
) -> (Vec<u64>, u64) {
    let bits = run(server, widths, x, [own, 0], broken).0.drawn[1 - server];
    let mut seen = vec![0u64; 1 << (bits - 6)];
    for theirs in 0..1 << bits {
        let (run, ..) = run(server, widths, x, [own, theirs], broken);
        assert_eq!(run.bits[server], bits, "as many bits are seen as the peer draws");
        let view = run.seen[server];
        seen[view as usize / 64] |= 1 << (view % 64);
    }
    let count = seen.iter().map(|word| u64::from(word.count_ones())).sum();
    (seen, count)
}

const X: std::ops::Range<i64> = -4..4;

/// The relations hold, and what comes out is the ReLU.
#[test]
fn the_model_is_the_protocol() {
    for (widths, own) in WIDTHS.into_iter().flat_map(|widths| OWN.map(|own| (widths, own))) {
        for (theirs, x) in (0..1 << 20).step_by(119).flat_map(|theirs| X.map(move |x| (theirs, x)))
        {
            let (_, made, y) = run(0, widths, x, [own, theirs], None);
            assert_eq!(y, low_bits(x.max(0) as u64, L), "{widths:?} {x} {theirs}");
            let rho = made.b[0] ^ made.b[1];
            let (top, f) = (rho >> (N - 1), made.f[0] ^ made.f[1]);
            let signed = low_bits(rho.wrapping_sub(top << N), L);
            let expected = [signed, top, f, f * signed, f * top];
            let bits = [L, L - N, L, L, L - N];
            for (word, (expected, bits)) in made.words.iter().zip(expected.into_iter().zip(bits)) {
                assert_eq!(low_bits(word[0] + word[1], bits), expected);
            }
            assert_eq!(made.d[0] ^ made.d[1], f ^ top);
        }
    }
}

#[test]
fn every_view_is_as_likely_for_every_x() {
    for (server, widths) in [0, 1].into_iter().flat_map(|server| WIDTHS.map(|w| (server, w))) {
        for own in OWN {
            for x in X {
                let (seen, count) = views(server, widths, x, own, None);
                assert_eq!(count, 64 * seen.len() as u64, "S{server} {widths:?} {x}");
            }
        }
    }
}

/// Whether views differ between some x, for some own randomness.
#[test]
fn what_the_peer_does_wrong_shows() {
    let differ = |server: usize, rule: BrokenRule| {
        OWN.into_iter().any(|own| {
            let views = |x| views(server, &[1, 1], x, own, Some(rule)).0;
            let first = views(X.start);
            [-1, 0, 3].into_iter().any(|x| views(x) != first)
        })
    };
    for rule in BrokenRule::ALL {
        assert!(differ(1, rule), "S1: {rule:?}");
        // S1 publishes nothing in the model.
        assert!(rule == BrokenRule::BareWrap || differ(0, rule), "S0: {rule:?}");
    }
}
