//! The paper's Table 4 beside this program: time, bytes and messages of one operation.
//!
//! Both servers run in this process on one thread, step by step: a step's time is that of the
//! server that takes it, and messages are handed over without a channel. Times are the median of
//! several passes over a batch, divided by its size; what a dealer prepares is outside them. Bytes
//! are payload, both directions together; turns count messages that wait for one another (two
//! servers that send at the same time share a turn).

mod engines;
mod rescale;

use super::{Effort, median, minus, words};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::share;
use crate::ids::Party;
use crate::kernels::{PackedWeights, matmul_acc};
use crate::lab::paper_circuit::{LiteralTanh, Opening};
use crate::numbers::fixed::{low_mask, shrink, sign_extend};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use engines::{Cost, engine_rows, sessions};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::Serialize;
use std::hint::black_box;
use std::time::Duration;

/// Columns and rows of the weights in the matrix row, and patches.
const MATRIX: (usize, usize, usize) = (512, 512, 64);

/// One operation of Table 4.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Operation {
    /// The operation.
    pub name: String,
    /// Operations of one pass.
    pub batch: usize,
    /// Microseconds of one operation, as the paper gives them.
    pub paper_us: &'static str,
    /// Microseconds of one operation at S0 and at S1; null for a party that does nothing.
    pub us: [Option<f64>; 2],
    /// Bytes of one operation, as the paper gives them.
    pub paper_bytes: &'static str,
    /// Bytes of one operation, both directions together.
    pub bytes: f64,
    /// Number of messages that wait for one another.
    pub turns: usize,
}

/// What was measured over a batch.
pub(super) struct Timed {
    pub(super) name: String,
    pub(super) batch: usize,
    pub(super) paper: (&'static str, &'static str),
    pub(super) times: [Option<Duration>; 2],
    pub(super) bytes: usize,
    pub(super) turns: usize,
}

impl From<Timed> for Operation {
    fn from(t: Timed) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / t.batch as f64;
        Operation {
            us: t.times.map(|time| time.map(each)),
            bytes: t.bytes as f64 / t.batch as f64,
            name: t.name,
            batch: t.batch,
            paper_us: t.paper.0,
            paper_bytes: t.paper.1,
            turns: t.turns,
        }
    }
}

/// Every operation of Table 4.
///
/// # Panics
/// If an operation gives a wrong result: a bug.
pub(crate) fn operations(effort: Effort) -> Vec<Operation> {
    let mut rows: Vec<Operation> = simple_rows(effort).map(Operation::from).into();
    rows.extend(multiplication_rows(effort).map(Operation::from));
    rows.extend(engine_rows::<u32>(effort));
    rows.extend(engine_rows::<u64>(effort));
    rows.push(literal_row(effort).into());
    rows.extend(rescale_rows(effort).map(Operation::from));
    rows
}

fn simple_rows(effort: Effort) -> [Timed; 3] {
    let n = effort.elements;
    let (mut a, b) = (words::<u64>(1, n), words::<u64>(2, n));
    let add = median(effort.passes, || ring::add_assign(black_box(&mut a), &b));
    let addition = Timed {
        name: "secure addition, l = 64".into(),
        batch: n,
        paper: ("0.071", "0"),
        times: [Some(add); 2],
        bytes: 0,
        turns: 0,
    };
    // A patch is 39 x 39 pixels in and 17 x 17 out; gateway and receiver, not the servers.
    let patches = 64;
    let (pixels, outputs) = (words::<u64>(3, 39 * 39), words::<u64>(4, 17 * 17));
    let split = median(effort.passes, || {
        for slot in 0..patches {
            let domain = Domain { purpose: Purpose::ImageShare, slot, op: 0 };
            let mut stream = Seed::from_bytes([9; 32]).stream(domain);
            black_box(share::split(black_box(&pixels), &mut stream));
        }
    });
    let combine = median(effort.passes, || {
        for _ in 0..patches {
            black_box(share::combine(black_box(&outputs), &outputs));
        }
    });
    let patch = |name: &str, paper, time, bytes: usize| {
        let batch = patches as usize;
        let times = [Some(time), None];
        Timed { name: name.into(), batch, paper, times, bytes: batch * bytes, turns: 1 }
    };
    let (sent, got) = (39 * 39 * 8 + 32, 2 * 17 * 17 * 8);
    [
        addition,
        patch("patch share generation (gateway)", ("145", "11.91 KB"), split, sent),
        patch("patch share combination (receiver)", ("87", "4.52 KB"), combine, got),
    ]
}

fn multiplication_rows(effort: Effort) -> [Timed; 3] {
    let n = effort.elements;
    let [g, p, x, y] = [5, 6, 7, 8].map(|seed| words::<u64>(seed, n));
    let (u, v, z) = (words::<u64>(9, n), words::<u64>(10, n), words::<u64>(11, n));
    let multiply = |party: Party| {
        let one = u64::from(party == Party::S0);
        median(effort.passes, || {
            // This server's message, and after the peer's its share of the product.
            black_box((minus(black_box(&g), &x), minus(black_box(&p), &y)));
            let term = |i: usize| {
                let both = one.wrapping_mul(u[i]).wrapping_add(x[i]).wrapping_mul(v[i]);
                both.wrapping_add(u[i].wrapping_mul(y[i])).wrapping_add(z[i])
            };
            black_box((0..n).map(term).collect::<Vec<u64>>());
        })
    };
    let times = [Party::S0, Party::S1].map(|p| Some(multiply(p)));
    let (name, paper) = ("multiplication, one triple each, l = 64".into(), ("0.556", "32"));
    let single = Timed { name, batch: n, paper, times, bytes: n * 32, turns: 1 };
    [single, matrix_row::<u32>(effort), matrix_row::<u64>(effort)]
}

/// A linear layer's two products with X and U packed once; V is opened for each batch.
fn matrix_row<R: Ring>(effort: Effort) -> Timed {
    let (inputs, outputs, patches) = MATRIX;
    let pack = |seed| PackedWeights::<R>::pack(outputs, inputs, &words(seed, inputs * outputs));
    let (on_opened, on_mask) = (pack(12), pack(13));
    let [activations, mask, opened] = [14, 15, 16].map(|s| words::<R>(s, inputs * patches));
    let mut product: Vec<R> = words(17, outputs * patches);
    let time = median(effort.passes, || {
        black_box(minus(&activations, &mask));
        matmul_acc(&on_mask, black_box(&mask), &mut product);
        matmul_acc(&on_opened, black_box(&opened), &mut product);
    });
    Timed {
        name: format!("multiplication, matrix {outputs}x{inputs} x {patches}, l = {}", R::BITS),
        batch: inputs * outputs * patches,
        paper: ("0.556", "32"),
        times: [Some(time); 2],
        bytes: 2 * inputs * patches * R::BYTES,
        turns: 1,
    }
}

fn literal_row(effort: Effort) -> Timed {
    let n = effort.literal;
    let tanh = LiteralTanh::zheng();
    let [mut s0, mut s1] = sessions();
    let xs: Vec<u64> = (0..n as i64).map(|i| ((i * 7919) % (1 << 20) - (1 << 19)) as u64).collect();
    let [x1, root, root1, squares1, mask] = [20, 21, 22, 23, 24].map(|s| words::<u64>(s, n));
    let squares: Vec<u64> = root.iter().map(|a| a.wrapping_mul(*a)).collect();
    let inputs = [
        [minus(&xs, &x1), minus(&root, &root1), minus(&squares, &squares1)],
        [x1, root1, squares1],
    ];
    let mut pass = || {
        let mut cost = Cost::default();
        let [[x0, a0, b0], [x1, a1, b1]] = inputs.clone();
        let (open0, m0) = cost.step(Party::S0, || Opening::new(x0, a0, b0));
        let (open1, m1) = cost.step(Party::S1, || Opening::new(x1, a1, b1));
        cost.turn(&[&m0, &m1]);
        let asked = cost.step(Party::S0, || tanh.request(&mut s0, open0, &m1));
        let (requested, request) = asked.expect("honest");
        cost.turn(&[&request]);
        let tables = cost.step(Party::S1, || tanh.garble(&mut s1, open1, &m0, &request, &mask));
        let tables = tables.expect("honest");
        cost.turn(&[&tables]);
        let results = cost.step(Party::S0, || tanh.evaluate(&mut s0, requested, &tables));
        let sums = share::combine(&results.expect("honest"), &mask);
        assert!(xs.iter().zip(sums).all(|(&x, y)| y == tanh.reference(x as i64)));
        cost
    };
    pass();
    let costs = (0..effort.passes).map(|_| pass()).collect();
    Cost::row(costs, format!("tanh, Fig. 4 literal ({} gates), l = 64", tanh.and_gates()), n)
}

fn rescale_rows(effort: Effort) -> [Timed; 2] {
    let (n, s) = (effort.elements, 18);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let values: Vec<u64> = words::<u64>(25, n).iter().map(|v| v >> 8).collect();
    let theirs = words::<u64>(26, n);
    let mine = minus(&values, &theirs);
    let mut sent = (Vec::new(), Vec::new());
    let send = median(effort.passes, || sent = rescale::send(&mut rng, black_box(&mine), s));
    let mut got = Vec::new();
    let receive = median(effort.passes, || {
        got = rescale::receive(black_box(&theirs), &sent.1, s).expect("a whole message");
    });
    check_rescaled(&values, [&sent.0, &got], s);
    let (times, bytes) = ([Some(send), Some(receive)], sent.1.len());
    let name = "rescale, Fig. 6, l = 64".into();
    let sent = Timed { name, batch: n, paper: ("0.164", "13"), times, bytes, turns: 1 };
    let mut local = [Vec::new(), Vec::new()];
    let times = [(Party::S0, &mine), (Party::S1, &theirs)].map(|(party, shares)| {
        let out = &mut local[party.index()];
        Some(median(effort.passes, || {
            *out = black_box(shares).iter().map(|&v| shrink(party, v, s)).collect();
        }))
    });
    check_rescaled(&values, [&local[0], &local[1]], s);
    let name = "rescale, local (`shrink`), l = 64".into();
    [sent, Timed { name, batch: n, paper: ("0.164", "13"), times, bytes: 0, turns: 0 }]
}

fn check_rescaled(values: &[u64], shares: [&[u64]; 2], s: u32) {
    for (i, &v) in values.iter().enumerate() {
        let sum = shares[0][i].wrapping_add(shares[1][i]) & low_mask(64 - s);
        let (got, floor) = (sign_extend(sum, 64 - s), v as i64 >> s);
        assert!(got == floor || got == floor + 1, "a wrong result");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes and turns are the protocols' own, whatever the machine.
    #[test]
    fn counts_are_those_of_the_formulas() {
        let rows = operations(Effort::QUICK);
        let row = |name: &str| {
            let found = rows.iter().find(|r| r.name.starts_with(name));
            found.unwrap_or_else(|| panic!("no row {name}"))
        };
        for r in &rows {
            assert!(r.us.iter().flatten().all(|t| t.is_finite() && *t >= 0.0), "{r:?}");
        }
        // n bits of x (hi and lo) and two ring elements from each server.
        for (hi, bits) in [(8, 13), (9, 13), (10, 14)] {
            let r = row(&format!("tanh, `lut` hi {hi}, l = 32"));
            assert_eq!((r.bytes, r.turns), (2.0 * (f64::from(bits) / 8.0 + 8.0), 2), "{hi}");
        }
        assert_eq!(row("multiplication, one").bytes, 32.0);
        assert_eq!((row("rescale, Fig. 6").bytes, row("rescale, local").bytes), (13.0, 0.0));
    }
}
