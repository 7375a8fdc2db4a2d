//! The paper's Table 4 beside this program: time, bytes and messages of one operation.
//!
//! Both servers run in this process on one thread, step by step: a step's time is that of the
//! server that takes it, and messages are handed over without a channel. Times are the median of
//! several passes over a batch, divided by its size; what a dealer prepares is outside them. Bytes
//! are payload, both directions together; "turns" counts messages that wait for one another (two
//! servers that send at the same time share a turn).

use ppdenoise::circuit::comparison::Comparison;
use ppdenoise::correlation::{Dealer, PartySeeds, SlotView};
use ppdenoise::fixed::{low_mask, shrink, sign_extend};
use ppdenoise::garble::hash::Hasher;
use ppdenoise::garble::{Block, BlockStream, Delta, Evaluator, Garbler, Labels, Program};
use ppdenoise::kernels::{self, AesBackend, PackedWeights, matmul_acc};
use ppdenoise::model::{
    ActivationSpec, FloatLinear, FloatModel, Method, Normalisation, PublicModel, QuantiseOptions,
    quantise,
};
use ppdenoise::net::{MemChannel, pair};
use ppdenoise::network::{Fold, Gather, Network, Op};
use ppdenoise::party::Party;
use ppdenoise::piecewise::Piecewise;
use ppdenoise::prg::{Domain, Purpose, Seed};
use ppdenoise::protocol::literal::{LiteralTanh, Opening};
use ppdenoise::protocol::{Activation, Engine, GcEngine, GcSession, LutEngine, Step};
use ppdenoise::ring::{self, Ring};
use ppdenoise::{rescale, share};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Activations of one patch in the model of the engines' rows.
const HIDDEN: usize = 512;
/// The activation op of that model: gather, linear, activation.
const ACTIVATION: usize = 2;
/// Columns and rows of the weights in the matrix row, and patches.
const MATRIX: (usize, usize, usize) = (512, 512, 64);

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    passes: usize,
    /// Elements of the cheap operations.
    elements: usize,
    /// Patches in the engines' rows.
    patches: usize,
    /// Activations in the literal row.
    literal: usize,
}

fn main() {
    // `cargo bench` says so; anything else only wants to see that it runs.
    let effort = if std::env::args().any(|a| a == "--bench") {
        Effort { passes: 9, elements: 1 << 18, patches: 64, literal: 4096 }
    } else {
        Effort { passes: 1, elements: 1 << 10, patches: 1, literal: 32 }
    };
    print_machine();
    println!("| operation | batch | paper us | S0 us | S1 us | paper bytes | bytes | turns |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    simple_rows(effort);
    multiplication_rows(effort);
    engine_rows::<u32>(effort);
    engine_rows::<u64>(effort);
    literal_row(effort).print();
    rescale_rows(effort);
    print_rates(effort);
}

fn print_machine() {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let load = read("/proc/loadavg");
    println!("CPU: {}", model.map_or("unknown", |(_, name)| name));
    println!("load average: {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "));
    println!("kernels: {}, AES: {:?}", kernels::active(), AesBackend::active());
    println!("one thread; both servers in one process, step by step\n");
}

/// One line of the table.
struct Row {
    name: String,
    batch: usize,
    paper: (&'static str, &'static str),
    /// Of S0 and of S1, over the batch; `None` where only one party works.
    times: [Option<Duration>; 2],
    bytes: usize,
    turns: usize,
}

impl Row {
    fn print(&self) {
        let each = |t: Option<Duration>| match t {
            Some(t) => format!("{:.5}", t.as_secs_f64() * 1e6 / self.batch as f64),
            None => "-".into(),
        };
        let bytes = self.bytes as f64 / self.batch as f64;
        let [s0, s1] = self.times.map(each);
        let (time, size) = self.paper;
        let (name, batch, turns) = (&self.name, self.batch, self.turns);
        println!("| {name} | {batch} | {time} | {s0} | {s1} | {size} | {bytes:.2} | {turns} |");
    }
}

/// The median time of several passes.
fn median(passes: usize, mut pass: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..passes)
        .map(|_| {
            let start = Instant::now();
            pass();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[passes / 2]
}

fn words<R: Ring>(seed: u8, count: usize) -> Vec<R> {
    Seed::from_bytes([seed; 32]).stream(Domain::of(Purpose::ImageShare)).take(0, count)
}

fn minus<R: Ring>(values: &[R], other: &[R]) -> Vec<R> {
    let mut out = values.to_vec();
    ring::sub_assign(&mut out, other);
    out
}

fn simple_rows(effort: Effort) {
    let n = effort.elements;
    let (mut a, b) = (words::<u64>(1, n), words::<u64>(2, n));
    let add = median(effort.passes, || ring::add_assign(black_box(&mut a), &b));
    Row {
        name: "secure addition, l = 64".into(),
        batch: n,
        paper: ("0.071", "0"),
        times: [Some(add); 2],
        bytes: 0,
        turns: 0,
    }
    .print();
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
    for (name, paper, time, bytes) in [
        ("patch share generation (gateway)", ("145", "11.91 KB"), split, 39 * 39 * 8 + 32),
        ("patch share combination (receiver)", ("87", "4.52 KB"), combine, 2 * 17 * 17 * 8),
    ] {
        let batch = patches as usize;
        let times = [Some(time), None];
        Row { name: name.into(), batch, paper, times, bytes: batch * bytes, turns: 1 }.print();
    }
}

fn multiplication_rows(effort: Effort) {
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
    Row { name, batch: n, paper, times, bytes: n * 32, turns: 1 }.print();
    matrix_row::<u32>(effort);
    matrix_row::<u64>(effort);
}

/// A linear layer's two products with X and U packed once; V is opened for each batch.
fn matrix_row<R: Ring>(effort: Effort) {
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
    Row {
        name: format!("multiplication, matrix {outputs}x{inputs} x {patches}, l = {}", R::BITS),
        batch: inputs * outputs * patches,
        paper: ("0.556", "32"),
        times: [Some(time); 2],
        bytes: 2 * inputs * patches * R::BYTES,
        turns: 1,
    }
    .print();
}

fn engine_rows<R: Ring>(effort: Effort) {
    let l = R::BITS;
    let model = public_model::<R>(Method::Lut { cell_bits: 3 });
    let engines = [Party::S0, Party::S1].map(|p| LutEngine::new(p, &model));
    engine_row::<R, _>(effort, format!("tanh, `lut`, l = {l}"), &model, engines);
    for function in [Piecewise::zheng(), Piecewise::refit()] {
        let name = function.name.clone();
        let model = public_model::<R>(Method::Gc { refit: name != "zheng", function });
        let name = format!("tanh, `gc` {name} ({} gates), l = {l}", and_gates(&model));
        let engines = sessions().map(|session| GcEngine::new(session, &model));
        engine_row::<R, _>(effort, name, &model, engines);
    }
}

/// The AND gates of an activation's comparison.
fn and_gates(model: &PublicModel) -> usize {
    model
        .network
        .activations()
        .map(|(_, spec, _)| match spec {
            ActivationSpec::Piecewise(plan) => plan.comparison().circuit().and_gates(),
            _ => 0,
        })
        .sum()
}

/// A small network whose pre-activations span [-64, 64), with [`HIDDEN`] activations a patch.
fn public_model<R: Ring>(method: Method) -> PublicModel {
    let linear = |inputs: usize, outputs: usize| {
        let weights = (0..inputs * outputs).map(|i| ((i * 37 % 19) as f32 - 9.0) / 6.0).collect();
        Op::Linear(FloatLinear {
            weights: ndarray::Array2::from_shape_vec((outputs, inputs), weights).expect("a matrix"),
            bias: ndarray::Array1::zeros(outputs),
        })
    };
    let ops = vec![
        Op::Gather(Gather { patch: 5, stride: 2, pad: 1 }),
        linear(25, HIDDEN),
        Op::Activation(()),
        linear(HIDDEN, 9),
        Op::Fold(Fold { patch: 3, window: vec![1; 9] }),
    ];
    let model = FloatModel {
        network: Network::new(ops).expect("ops that follow one another"),
        sigma: 25.0,
        units: Normalisation::BURGER,
        piecewise: None,
        mean_shift: false,
    };
    let options = QuantiseOptions { ring: R::RING, method, interval: 2.5 };
    quantise(&model, &options).expect("a small model").public
}

/// Both servers' sessions, set up over a channel in memory.
fn sessions() -> [GcSession; 2] {
    let set_up = |party: Party, mut channel: MemChannel| {
        let seed = Seed::from_bytes([40 + party.index() as u8; 32]);
        GcSession::set_up(party, &seed, &mut channel).expect("an honest peer")
    };
    let (a, b) = pair();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| set_up(Party::S1, b));
        [set_up(Party::S0, a), other.join().expect("no panic")]
    })
}

/// The time that each server's steps took, and what was sent.
#[derive(Default, Clone, Copy)]
struct Cost {
    times: [Duration; 2],
    bytes: usize,
    turns: usize,
}

impl Cost {
    /// Runs a step of a server on its clock.
    fn step<T>(&mut self, party: Party, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = step();
        self.times[party.index()] += start.elapsed();
        out
    }

    /// Counts messages that travel at the same time.
    fn turn(&mut self, messages: &[&[u8]]) {
        let bytes = messages.iter().map(|m| m.len()).sum::<usize>();
        self.bytes += bytes;
        self.turns += usize::from(bytes > 0);
    }

    fn row(mut costs: Vec<Cost>, name: String, batch: usize) -> Row {
        let middle = costs.len() / 2;
        let times = [0, 1].map(|party| {
            costs.sort_by_key(|c| c.times[party]);
            Some(costs[middle].times[party])
        });
        let Cost { bytes, turns, .. } = costs[0];
        Row { name, batch, paper: ("619,000", "74.5 KB"), times, bytes, turns }
    }
}

fn engine_row<R: Ring, E: Engine<R>>(
    effort: Effort,
    name: String,
    model: &PublicModel,
    mut engines: [E; 2],
) {
    let seeds = [0, 1].map(|party| PartySeeds {
        weight_mask: Seed::from_bytes([20 + party; 32]),
        slots: Seed::from_bytes([30 + party; 32]),
    });
    let size = (2 * effort.patches + 3, 5);
    let mut dealer = Dealer::<R>::new(model, size, seeds.each_ref()).expect("patches in an image");
    let chunks = dealer.tile(1, 0..effort.patches);
    let explicit = chunks.into_iter().find(|(op, _)| *op == ACTIVATION).expect("material").1;
    let views = [Party::S0, Party::S1].map(|p| SlotView::new(p, &seeds[p.index()].slots, 1));
    let at = 0..effort.patches * HIDDEN;
    let z = [18, 19].map(|seed| words::<R>(seed, at.len()));
    let (_, spec, _) = model.network.activations().next().expect("one activation");
    let limit = spec.max_abs();
    let mut pass = || {
        let mut cost = Cost::default();
        let results = activate(&mut engines, &mut cost, |party: Party| {
            let explicit = if party == Party::S0 { &explicit[..] } else { &[] };
            let slot = &views[party.index()];
            let activation = Activation { op: ACTIVATION, at: at.clone(), slot, explicit };
            (activation, z[party.index()].clone())
        });
        let sums = share::combine(&results[0], &results[1]);
        assert!(sums.iter().all(|y| y.to_i64().abs() <= limit), "a wrong result");
        cost
    };
    pass();
    let costs = (0..effort.passes).map(|_| pass()).collect();
    Cost::row(costs, name, at.len()).print();
}

/// One activation op on one batch, both servers in turn.
fn activate<'a, R: Ring, E: Engine<R>>(
    engines: &mut [E; 2],
    cost: &mut Cost,
    input: impl Fn(Party) -> (Activation<'a>, Vec<R>),
) -> [Vec<R>; 2] {
    let parties = [Party::S0, Party::S1];
    let mut steps = parties.map(|p| {
        let (activation, z) = input(p);
        cost.step(p, || engines[p.index()].begin(&activation, z)).expect("material fits")
    });
    loop {
        match steps {
            [Step::Exchange(s0, m0), Step::Exchange(s1, m1)] => {
                cost.turn(&[&m0, &m1]);
                let mut states = [(s0, m1), (s1, m0)].map(Some);
                steps = parties.map(|p| {
                    let (state, message) = states[p.index()].take().expect("one step each");
                    let engine = &mut engines[p.index()];
                    let step = cost.step(p, || engine.advance(ACTIVATION, state, &message));
                    step.expect("an honest peer")
                });
            }
            [Step::Done(a), Step::Done(b)] => return [a, b],
            _ => panic!("the engines fell out of step"),
        }
    }
}

fn literal_row(effort: Effort) -> Row {
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
        let tables = cost.step(Party::S1, || tanh.garble(&mut s1, open1, (&m0, &request), &mask));
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

fn rescale_rows(effort: Effort) {
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
    Row { name, batch: n, paper: ("0.164", "13"), times, bytes, turns: 1 }.print();
    let mut local = [Vec::new(), Vec::new()];
    let times = [(Party::S0, &mine), (Party::S1, &theirs)].map(|(party, shares)| {
        let out = &mut local[party.index()];
        Some(median(effort.passes, || {
            *out = black_box(shares).iter().map(|&v| shrink(party, v, s)).collect();
        }))
    });
    check_rescaled(&values, [&local[0], &local[1]], s);
    let name = "rescale, local (`shrink`), l = 64".into();
    Row { name, batch: n, paper: ("0.164", "13"), times, bytes: 0, turns: 0 }.print();
}

fn check_rescaled(values: &[u64], shares: [&[u64]; 2], s: u32) {
    for (i, &v) in values.iter().enumerate() {
        let sum = shares[0][i].wrapping_add(shares[1][i]) & low_mask(64 - s);
        let (got, floor) = (sign_extend(sum, 64 - s), v as i64 >> s);
        assert!(got == floor || got == floor + 1, "a wrong result");
    }
}

/// Garbling, evaluation and the AES below them, each alone on one core.
fn print_rates(effort: Effort) {
    let n = 1024;
    let backend = AesBackend::active();
    let program =
        Program::new(Comparison { bits: 16, knots: vec![256, 512, 1024, 1792] }.circuit());
    let gates = program.circuit().and_gates() * n;
    let blocks = BlockStream::new(Block(2), backend).take(n * program.circuit().inputs());
    let labels = Labels::new(n, blocks).expect("whole wires");
    let (hasher, mut tweaks) = Hasher::session([9; 16], backend);
    let garbler = Garbler::new(Delta::from_uniform([3; 16]), hasher);
    let evaluator = Evaluator::new(hasher);
    let mut tables = Vec::new();
    let garble = median(50 * effort.passes, || {
        tables.clear();
        let range = tweaks.gates.take(program.tweaks()).expect("tweaks");
        black_box(garbler.garble(&program, range, &labels, &mut tables).expect("fits"));
    });
    let evaluate = median(50 * effort.passes, || {
        let range = tweaks.gates.take(program.tweaks()).expect("tweaks");
        black_box(evaluator.evaluate(&program, range, &labels, &tables).expect("fits"));
    });
    let mut stream = BlockStream::new(Block(5), backend);
    let mut out = vec![Block::ZERO; n];
    let aes = median(500 * effort.passes, || stream.fill(black_box(&mut out)));
    println!();
    for (what, count, time) in [
        ("garbling, AND gates", gates, garble),
        ("evaluation, AND gates", gates, evaluate),
        ("AES-128 in counter mode, blocks", n, aes),
    ] {
        println!("{what}: {:.1} million/s", count as f64 / time.as_secs_f64() / 1e6);
    }
}
