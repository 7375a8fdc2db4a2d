//! What material without a dealer costs in its linear part, on one thread.
//!
//! One item is a transform, a multiply-add of X with ciphertexts, a ciphertext, or a multiply-add of a
//! hint.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ppdenoise::internals::material::pair::linear::{
    BatchName, Encryptor, FreshBytes, HintSeed, Holder, LinearPlan, MaskName, MaskNonce, Masking,
    Part, PeerHints, RoundingSeed,
};
use ppdenoise::internals::model::{Method, QuantiseOptions, load_npz, quantise};
use ppdenoise_base::ids::Party;
use ppdenoise_base::numbers::ring::{Ring, RingBits};
use ppdenoise_crypto::prg::{Domain, Purpose, Seed};
use ppdenoise_crypto::rlwe::{N, Profile};
use ppdenoise_kernels::{Backend, Ntt, PackedWeights, matmul_acc};
use std::fmt;
use std::io::Cursor;

fn main() {
    divan::main();
}

fn backends() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|b| b.is_available())
}

fn words<R: Ring>(count: usize) -> Vec<R> {
    Seed::from_bytes([1; 32]).bulk(Domain::of(Purpose::ImageShare)).take(0, count)
}

#[divan::bench(args = backends())]
fn transform(bencher: Bencher, backend: Backend) {
    let ntt = Ntt::new(N);
    let (values, mut out) = (words::<u64>(N), vec![0; N]);
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        ntt.forward_with(backend, black_box(&values), &mut out);
    });
}

#[divan::bench(args = backends())]
fn product(bencher: Bencher, backend: Backend) {
    let ntt = Ntt::new(N);
    let (a, b, mut out) = (words::<u64>(N), words::<u64>(2 * N), vec![0; N]);
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        ntt.product_with(backend, black_box(&a), &b[N..], &mut out);
    });
}

struct Case(Backend, [usize; 2]);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case(backend, [m, n]) = self;
        write!(f, "{backend} {m}x{n}")
    }
}

fn cases() -> impl Iterator<Item = Case> {
    backends().flat_map(|b| [[640, 640], [640, 841], [48, 432]].map(|shape| Case(b, shape)))
}

/// The two products of a batch with packed weights: high 64 and low 20 bits.
#[divan::bench(args = cases(), sample_count = 5, sample_size = 1)]
fn two_products(bencher: Bencher, case: &Case) {
    let Case(backend, [m, n]) = *case;
    let x: Vec<u64> = words::<u32>(m * n).iter().map(|&x| i64::from(x as i32) as u64).collect();
    let weights = PackedWeights::pack_with(backend, m, n, &x);
    let (high, mut sums) = (words::<u64>(N * n), vec![0; N * m]);
    let low: Vec<u64> = high.iter().map(|v| v >> 44).collect();
    bencher.counter(ItemsCount::new(m * n * N)).bench_local(|| {
        matmul_acc(&weights, black_box(&high), &mut sums);
        matmul_acc(&weights, black_box(&low), &mut sums);
    });
}

/// The demo model's plan; the op of the batches below has 640 inputs and outputs.
fn plan() -> LinearPlan {
    let npz = include_bytes!("../../fixtures/models/mlp-29-13-3x640-s25-r32.npz");
    let json = include_bytes!("../../fixtures/models/mlp-29-13-3x640-s25-r32.json");
    let model = load_npz(Cursor::new(&npz[..]), Some(json)).expect("a model");
    let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
    LinearPlan::new(&quantise(&model, &options).expect("it fits").public, Profile::Q88)
        .expect("a ring of 32 bits")
}

const INDEX: usize = 1;

/// A holder, and an encryptor with hints that are none.
struct Servers {
    holder: Holder,
    encryptor: Encryptor,
    y: Vec<u32>,
}

impl Servers {
    fn new() -> Self {
        let (plan, seed) = (plan(), |byte: u8| Seed::from_bytes([byte; 32]));
        let nonces = [1, 2].map(|v| MaskNonce([v; 32]));
        let name = MaskName { id: [3; 16], model_id: [4; 16], nonces };
        let mut hints = PeerHints::new(plan.clone());
        for piece in plan.hint_pieces() {
            let bytes = vec![0x5a; piece.rows.len() * Profile::Q88.hint_bytes()];
            hints.add(&piece, &bytes).expect("their length is right");
        }
        let y = words(N * plan.ops()[INDEX].inputs);
        let encryptor = Encryptor::new(Party::S1, name.clone(), hints).expect("all hints");
        Servers {
            holder: Holder::new(Party::S0, name, seed(5), HintSeed::new(seed(6)), plan),
            encryptor,
            y,
        }
    }

    fn encrypt(&self) -> (Masking<'_>, Vec<Vec<u8>>) {
        let name = BatchName { set_id: [7; 16], slot: 0, op: 3, number: 0 };
        let fresh = FreshBytes::new(Seed::from_bytes([8; 32]));
        let part = Part::Columns(0..N);
        let mut masking = self.encryptor.encrypt(INDEX, &part, name, fresh, &self.y);
        let pieces = std::iter::from_fn(|| masking.next_piece()).collect();
        (masking, pieces)
    }
}

/// Ciphertexts of a batch and the encryptor's shares; an item is a ciphertext.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn encrypt(bencher: Bencher) {
    let (servers, rounding) = (Servers::new(), RoundingSeed::new([&[1; 32], &[2; 32]]));
    let op = &servers.holder.plan().ops()[INDEX];
    let mut z = vec![0; N * op.outputs];
    bencher.counter(ItemsCount::new(op.elements() + 1)).bench_local(|| {
        let (masking, pieces) = servers.encrypt();
        masking.finish(&rounding, None, &mut z);
        pieces
    });
}

/// All that the holder does with a batch; an item is a multiply-add.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn receive(bencher: Bencher) {
    let (servers, rounding) = (Servers::new(), RoundingSeed::new([&[1; 32], &[2; 32]]));
    let op = &servers.holder.plan().ops()[INDEX];
    let (_, pieces) = servers.encrypt();
    let (mut z, part) = (vec![0; N * op.outputs], Part::Columns(0..N));
    let name = BatchName { set_id: [7; 16], slot: 0, op: 3, number: 0 };
    let packed = servers.holder.packed(INDEX);
    bencher.counter(ItemsCount::new(op.inputs * op.outputs * N)).bench_local(|| {
        let mut receiving = packed.receive(&part, &servers.y);
        pieces.iter().for_each(|piece| receiving.masks(piece).expect("its length is right"));
        receiving.finish(&name, &rounding, None, &mut z).expect("all came");
    });
}

/// Half the hints of an op, or so; an item is a multiply-add.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn hint(bencher: Bencher) {
    let servers = Servers::new();
    let plan = servers.holder.plan();
    let piece = plan.hint_pieces().find(|piece| piece.index == INDEX).expect("it has outputs");
    let work = piece.rows.len() * plan.ops()[INDEX].inputs * N;
    bencher.counter(ItemsCount::new(work)).bench_local(|| servers.holder.hint(&piece));
}
