//! Two servers make products; what is sent is what it must be, and broken variants are seen.

use super::*;
use crate::correlation::SlotView;
use crate::network::{Border, Gather, PatchGrid, Stage};
use crate::party::Party;
use crate::prg::{Domain, Purpose, Seed};
use crate::rlwe::{self, HINT_BITS, LOW_BITS, N, PublicRing};
use std::ops::Range;

fn seed(byte: u8) -> Seed {
    Seed::from_bytes([byte; 32])
}

fn words(byte: u8, count: usize) -> Vec<u32> {
    seed(byte).bulk(Domain::of(Purpose::ImageShare)).take(0, count)
}

fn name() -> MaskName {
    let nonces = [MaskNonce([1; 32]), MaskNonce([2; 32])];
    MaskName { id: [3; 16], model_id: [4; 16], nonces }
}

fn batch(number: u32) -> BatchName {
    BatchName { set_id: [5; 16], slot: 7, op: 1, number }
}

fn columns(op: usize, inputs: usize, outputs: usize) -> OpPlan {
    OpPlan { op, inputs, outputs, packing: Packing::Columns }
}

fn tiles(tile: TileShape, outputs: usize) -> OpPlan {
    let inputs = tile.kernel * tile.kernel * tile.channels;
    OpPlan { op: 1, inputs, outputs, packing: Packing::Tiles(tile) }
}

/// S0 holds, S1 encrypts.
struct World {
    holder: Holder,
    encryptor: Encryptor,
    rounding: RoundingSeed,
}

impl World {
    fn new(plan: OpPlan, x: Vec<u32>) -> Self {
        let plan = LinearPlan::of(vec![plan]);
        let holder = Holder::of(name(), vec![x], HintSeed::new(seed(9)), plan.clone());
        let mut hints = PeerHints::new(plan.clone());
        for piece in plan.hint_pieces() {
            hints.add(&piece, &holder.hint(&piece)).unwrap();
        }
        let encryptor = Encryptor::new(Party::S1, name(), hints).unwrap();
        World { holder, encryptor, rounding: RoundingSeed::new([&[6; 32], &[7; 32]]) }
    }

    fn plan(&self) -> &OpPlan {
        &self.holder.plan().ops()[0]
    }

    fn masking<'a>(&'a self, part: &Part, number: u32, y: &'a [u32]) -> Masking<'a> {
        let fresh = FreshBytes::new(seed(100 + number as u8));
        self.encryptor.encrypt(0, part, batch(number), fresh, y)
    }

    /// The holder's and the encryptor's share, a row a patch; ciphertexts pass through `way`.
    fn shares(
        &self,
        part: &Part,
        [y_h, y_e]: [&[u32]; 2],
        rows: usize,
        way: impl Fn(&mut Vec<u8>),
    ) -> [Vec<u32>; 2] {
        let mut masking = self.masking(part, 0, y_e);
        let mut receiving = self.holder.receive(0, part, y_h);
        while let Some(mut piece) = masking.next_piece() {
            way(&mut piece);
            receiving.masks(&piece).unwrap();
        }
        let zeros = || vec![0; rows * self.plan().outputs];
        let (mut z_h, mut z_e) = (zeros(), zeros());
        receiving.finish(&batch(0), &self.rounding, &mut z_h).unwrap();
        masking.finish(&self.rounding, &mut z_e);
        [z_h, z_e]
    }

    /// T = t - v - 2^56 x (y + y') in places of 2^24, all rows of all columns.
    fn errors(&self, x: &[u32], part: &Part, [y_h, y_e]: [&[u32]; 2]) -> Vec<i64> {
        let mut masking = self.masking(part, 0, y_e);
        let mut receiving = self.holder.receive(0, part, y_h);
        while let Some(piece) = masking.next_piece() {
            receiving.masks(&piece).unwrap();
        }
        let (v, t) = (masking.sums(), receiving.sums().unwrap());
        let z = product(x, self.plan().inputs, &sum(y_h, y_e));
        let error = |((t, v), z): ((&u64, &u64), &u32)| {
            t.wrapping_sub(*v).wrapping_sub(u64::from(*z) << 32) as i64
        };
        t.iter().zip(v.iter()).zip(&z).map(error).collect()
    }
}

fn sum(a: &[u32], b: &[u32]) -> Vec<u32> {
    a.iter().zip(b).map(|(a, b)| a.wrapping_add(*b)).collect()
}

/// X Y, a row a column of Y.
fn product(x: &[u32], n: usize, y: &[u32]) -> Vec<u32> {
    let dot = |x: &[u32], y: &[u32]| {
        x.iter().zip(y).fold(0u32, |sum, (x, y)| sum.wrapping_add(x.wrapping_mul(*y)))
    };
    y.chunks_exact(n).flat_map(|y| x.chunks_exact(n).map(move |x| dot(x, y))).collect()
}

/// How many differ, which must be by 1.
fn off(shares: &[Vec<u32>; 2], expected: &[u32]) -> usize {
    let found = sum(&shares[0], &shares[1]);
    let difference = |(a, b): (&u32, &u32)| a.wrapping_sub(*b) as i32;
    let differences: Vec<i32> = found.iter().zip(expected).map(difference).collect();
    assert!(differences.iter().all(|d| d.abs() <= 1), "more than 1 off");
    differences.iter().filter(|d| **d != 0).count()
}

#[test]
fn products_of_full_size_are_right() {
    // 4,100 inputs are cut; 300 outputs take two messages of hints; 100 patches leave coefficients empty.
    for (n, m, count) in [(1, 3, N), (640, 4, N), (4100, 2, N), (5, 300, 100)] {
        let (x, y_h, y_e) = (words(1, m * n), words(2, count * n), words(3, count * n));
        let world = World::new(columns(1, n, m), x.clone());
        let part = Part::Columns(0..count);
        let shares = world.shares(&part, [&y_h, &y_e], count, |_| ());
        let wrong = off(&shares, &product(&x, n, &sum(&y_h, &y_e)));
        assert!(wrong * 4096 <= count * m, "n {n}: {wrong} of {} off", count * m);
    }
}

/// Standard deviation of T: errors and rounding of n ciphertexts, and of the two elements of 56 bits.
fn predicted(x: &[u32], n: usize, error_variance: f64) -> f64 {
    let square = |v: &u32| f64::from(*v as i32).powi(2);
    let mean = x.iter().map(square).sum::<f64>() / (x.len() / n) as f64;
    let top = N as f64 * 2.0 / 3.0 * 2f64.powi(64) / 12.0;
    (mean * error_variance + 2.0 * top).sqrt()
}

/// Too little noise fails as well as too much.
#[test]
fn noise_is_there() {
    let rounded = 10.5 + (16f64.powi(2) - 1.0) / 12.0;
    for n in [1, 16, 640, 3072] {
        let m = 4;
        let (x, y_h, y_e) = (words(4, m * n), words(5, N * n), words(6, N * n));
        let world = World::new(columns(1, n, m), x.clone());
        let errors = world.errors(&x, &Part::Columns(0..N), [&y_h, &y_e]);
        let square = errors.iter().map(|e| (*e as f64).powi(2)).sum::<f64>() / errors.len() as f64;
        let (found, expected) = (square.sqrt() * 2f64.powi(24), predicted(&x, n, rounded));
        assert!((found / expected - 1.0).abs() < 0.05, "n {n}: {found:e}, expected {expected:e}");
    }
}

/// Ciphertexts of 72 bits are off by one as often as the noise says.
#[test]
fn fewer_bits_err_as_predicted() {
    let (n, m) = (640, 16);
    let (x, y_h, y_e) = (words(7, m * n), words(8, N * n), words(9, N * n));
    let world = World::new(columns(1, n, m), x.clone());
    let shorten = |piece: &mut Vec<u8>| {
        for mask in piece.chunks_exact_mut(rlwe::MASK_BYTES) {
            let (mut high, mut low) = (vec![0; N], vec![0; N]);
            rlwe::read_masks(mask, 0, 1, &mut high, &mut low);
            for (high, low) in high.iter_mut().zip(&mut low) {
                let v = u128::from(*high) << LOW_BITS | u128::from(*low);
                let v = (v + (1 << 11)) >> 12 << 12;
                (*high, *low) = ((v >> LOW_BITS) as u64, v as u64 & 0xf_ffff);
            }
            let low: Vec<u32> = low.iter().map(|v| *v as u32).collect();
            rlwe::write_mask(&high, &low, mask);
        }
    };
    let shares = world.shares(&Part::Columns(0..N), [&y_h, &y_e], N, shorten);
    let wrong = off(&shares, &product(&x, n, &sum(&y_h, &y_e))) as f64;
    let sigma = predicted(&x, n, 10.5 + 2f64.powi(32) / 12.0);
    let expected = (m * N) as f64 * (2.0 / std::f64::consts::PI).sqrt() * sigma / 2f64.powi(56);
    assert!((wrong - expected).abs() < 4.0 * expected.sqrt(), "{wrong} off, expected {expected}");
}

/// Every byte of so many values is uniform: chi-square within six deviations of its mean of 255.
fn assert_uniform(what: &str, values: &[u32]) {
    for shift in [0, 8, 16, 24] {
        let mut counts = [0f64; 256];
        values.iter().for_each(|v| counts[(v >> shift) as usize & 255] += 1.0);
        let mean = values.len() as f64 / 256.0;
        let chi: f64 = counts.iter().map(|c| (c - mean).powi(2) / mean).sum();
        assert!((chi - 255.0).abs() < 6.0 * 22.6, "{what}, bits from {shift}: {chi}");
    }
}

#[test]
fn shares_of_nothing_are_uniform() {
    let (n, m) = (3, 4);
    let world = World::new(columns(1, n, m), vec![0; m * n]);
    let (y_h, y_e) = (words(1, N * n), vec![0; N * n]);
    let shares = world.shares(&Part::Columns(0..N), [&y_h, &y_e], N, |_| ());
    shares.iter().for_each(|share| assert_uniform("share", share));
    off(&shares, &vec![0; N * m]);
    // Another session adds something else.
    let other = World { rounding: RoundingSeed::new([&[8; 32], &[7; 32]]), ..world };
    let again = other.shares(&Part::Columns(0..N), [&y_h, &y_e], N, |_| ());
    let difference: Vec<u32> =
        shares[0].iter().zip(&again[0]).map(|(a, b)| a.wrapping_sub(*b)).collect();
    assert_uniform("difference of sessions", &difference);
}

fn masks(mut masking: Masking<'_>) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    while let Some(piece) = masking.next_piece() {
        for mask in piece.chunks_exact(rlwe::MASK_BYTES) {
            let (mut high, mut low) = (vec![0; N], vec![0; N]);
            rlwe::read_masks(mask, 0, 1, &mut high, &mut low);
            found.extend(high.into_iter().zip(low.into_iter().map(|v| v as u32)));
        }
    }
    found
}

/// Whether every bit of the differences of two batches is as often set as not.
fn bits_are_uniform(a: &[(u64, u32)], b: &[(u64, u32)]) -> bool {
    let whole = |(high, low): (u64, u32)| u128::from(high) << LOW_BITS | u128::from(low);
    let differences: Vec<u128> =
        a.iter().zip(b).map(|(&a, &b)| whole(a).wrapping_sub(whole(b))).collect();
    let half = differences.len() as f64 / 2.0;
    (0..rlwe::MASK_BITS).all(|bit| {
        let ones = differences.iter().filter(|d| *d >> bit & 1 == 1).count() as f64;
        (ones - half).abs() < 6.0 * (half / 2.0).sqrt()
    })
}

/// R1, and what is hedged: the same fresh bytes for something else are another secret.
#[test]
fn no_two_batches_share_a_secret() {
    let (n, part) = (2, Part::Columns(0..N));
    let world = World::new(columns(1, n, 1), words(1, n));
    let (y, other) = (words(2, N * n), words(3, N * n));
    let encrypt = |name: BatchName, fresh: u8, y| {
        masks(world.encryptor.encrypt(0, &part, name, FreshBytes::new(seed(fresh)), y))
    };
    let first = encrypt(batch(0), 1, &y);
    let again = encrypt(batch(0), 1, &y);
    assert!(first == again && !bits_are_uniform(&first, &again), "the test of bits can fail");
    let others = [
        ("fresh bytes", encrypt(batch(0), 2, &y)),
        ("another batch", encrypt(batch(1), 1, &y)),
        ("another slot", encrypt(BatchName { slot: 8, ..batch(0) }, 1, &y)),
        ("another set", encrypt(BatchName { set_id: [6; 16], ..batch(0) }, 1, &y)),
        ("another op", encrypt(BatchName { op: 2, ..batch(0) }, 1, &y)),
        ("other masks", encrypt(batch(0), 1, &other)),
    ];
    for (what, masks) in &others {
        assert!(bits_are_uniform(&first, masks), "{what}");
    }
    let flipped = Encryptor::new(Party::S0, name(), {
        let plan = world.holder.plan().clone();
        let mut hints = PeerHints::new(plan.clone());
        plan.hint_pieces().for_each(|p| hints.add(&p, &world.holder.hint(&p)).unwrap());
        hints
    });
    let flipped = flipped.unwrap();
    let there = flipped.encrypt(0, &part, batch(0), FreshBytes::new(seed(1)), &y);
    assert!(bits_are_uniform(&first, &masks(there)), "the other direction");
}

/// A broken encryptor: one secret for two batches, and the difference of their masks is read off.
#[test]
fn one_secret_twice_gives_differences_of_masks() {
    let (n, part) = (2, Part::Columns(0..N));
    let world = World::new(columns(1, n, 1), words(1, n));
    let (y, other) = (words(2, N * n), words(3, N * n));
    let broken = seed(77);
    let batches = [(0, &y), (1, &other)]
        .map(|(number, y)| masks(world.masking(&part, number, y).with_secret_of(&broken)));
    assert!(!bits_are_uniform(&batches[0], &batches[1]), "the test of bits notices");
    let read_off = |k: usize, c: usize| {
        let [a, b] = [0, 1].map(|i| batches[i][k * N + c].0);
        (a.wrapping_sub(b).wrapping_add(1 << 31) >> 32) as u32
    };
    for c in 0..N {
        for k in 0..n {
            assert_eq!(read_off(k, c), y[c * n + k].wrapping_sub(other[c * n + k]));
        }
    }
}

/// A broken server that tells T (R4): least squares over one batch comes near X, of which nothing was known.
#[test]
fn telling_errors_gives_the_weights_away() {
    let (n, part) = (12, Part::Columns(0..N));
    let (x, y_h, y_e) = (words(1, n), words(2, N * n), words(3, N * n));
    let world = World::new(columns(1, n, 1), x.clone());
    let told = world.errors(&x, &part, [&y_h, &y_e]);
    let masking = world.masking(&part, 0, &y_e);
    let known: Vec<Vec<i64>> = (0..n).map(|k| masking.errors(k)).collect();
    // Normal equations, solved by elimination.
    let mut system: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let dot = |b: &[i64], scale: f64| {
                known[i].iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>() * scale
            };
            let mut row: Vec<f64> = known.iter().map(|column| dot(column, 1.0)).collect();
            row.push(dot(&told, 2f64.powi(24)));
            row
        })
        .collect();
    for i in 0..n {
        let pivot = system[i].clone();
        for row in system.iter_mut().skip(i + 1) {
            let factor = row[i] / pivot[i];
            row.iter_mut().zip(&pivot).for_each(|(v, p)| *v -= factor * p);
        }
    }
    let mut found = vec![0f64; n];
    for i in (0..n).rev() {
        let rest: f64 = (i + 1..n).map(|k| system[i][k] * found[k]).sum();
        found[i] = (system[i][n] - rest) / system[i][i];
    }
    let rms = |v: Vec<f64>| (v.iter().map(|v| v * v).sum::<f64>() / n as f64).sqrt();
    let size = rms(x.iter().map(|x| f64::from(*x as i32)).collect());
    let error = rms(x.iter().zip(&found).map(|(x, f)| f64::from(*x as i32) - f).collect());
    assert!(error < size / 2.5, "off by {error:e} of {size:e}");
}

/// sum_k x_jk a_k at one coefficient, by definition.
fn public_product(plan: &OpPlan, x: &[u32], a: &[rlwe::Public], c: usize) -> u128 {
    let (shifts, elements) = (plan.shifts(), plan.elements());
    let mut sum = 0u128;
    for (i, &x) in x.iter().enumerate() {
        let (a, at) = (&a[i % elements], c + shifts[i / elements]);
        let v = u128::from(a.high[at % N]) << 24 | u128::from(a.low[at % N]);
        let v = if at >= N { v.wrapping_neg() } else { v };
        sum = sum.wrapping_add((i128::from(x as i32) as u128).wrapping_mul(v));
    }
    sum
}

/// (s a)_c by definition.
fn at_coefficient(s: &[i8], a: &rlwe::Public, c: usize) -> u128 {
    s.iter().enumerate().fold(0u128, |sum, (i, &s)| {
        let at = (c + N - i) % N;
        let v = u128::from(a.high[at]) << 24 | u128::from(a.low[at]);
        let s = if c < i { -i128::from(s) } else { i128::from(s) };
        sum.wrapping_add((s as u128).wrapping_mul(v))
    })
}

/// What is off a hint, in places of 2^32.
fn hint_error(world: &World, x: &[u32], row: usize, c: usize) -> f64 {
    let plan = world.plan();
    let ring: PublicRing = name().ring(plan.op, Party::S0);
    let a: Vec<_> = (0..=plan.elements()).map(|k| ring.element(k)).collect();
    let piece = HintPiece { index: 0, rows: 0..plan.outputs.min(HINTS_PER_PIECE) };
    let bytes = world.holder.hint(&piece);
    let hint = rlwe::read_hint(&bytes[row * rlwe::HINT_BYTES..][..rlwe::HINT_BYTES])[c];
    let secret = &world.holder.secrets(0)[row * N..][..N];
    let exact = public_product(plan, &x[row * plan.inputs..][..plan.inputs], &a, c)
        .wrapping_add(at_coefficient(secret, &a[plan.elements()], c));
    let error = (u128::from(hint) << (88 - HINT_BITS)).wrapping_sub(exact) << 40;
    (error as i128 >> 40) as f64 / 2f64.powi(32)
}

#[test]
fn hints_are_public_sums_hidden_by_ternary_secrets() {
    let tile = TileShape::of_kernel(3, 2);
    for plan in [columns(1, 300, 3), tiles(tile, 3)] {
        let x = words(1, plan.inputs * plan.outputs);
        let world = World::new(plan.clone(), x.clone());
        for (row, c) in [(0, 0), (1, 17), (2, N - 1), (2, N - 40)] {
            // Rounding and an error of at most 21.
            let error = hint_error(&world, &x, row, c);
            assert!(error.abs() <= 0.5 + 1e-6, "row {row}, coefficient {c}: {error}");
        }
        let secrets = world.holder.secrets(0);
        for row in secrets.chunks_exact(N) {
            let zeros = row.iter().filter(|v| **v == 0).count();
            assert!(row.iter().all(|v| v.abs() <= 1) && zeros.abs_diff(N / 3) < 190);
        }
        assert!(secrets[..N] != secrets[N..2 * N] && secrets[N..2 * N] != secrets[2 * N..]);
    }
}

/// R2, R3: a hint seed that comes back makes the same bytes for the same, and other secrets for all else.
#[test]
fn secrets_of_hints_depend_on_all_that_they_are_for() {
    let x = words(1, 9 * 2 * 2);
    let plan = || LinearPlan::of(vec![tiles(TileShape::of_kernel(3, 2), 2)]);
    let make =
        |name, x: &[u32], plan| Holder::of(name, vec![x.to_vec()], HintSeed::new(seed(9)), plan);
    let first = make(name(), &x, plan());
    let again = make(name(), &x, plan());
    let piece = HintPiece { index: 0, rows: 0..2 };
    assert!(first.hint(&piece) == again.hint(&piece), "sent again, the same bytes");
    let mut other_x = x.clone();
    other_x[5] ^= 1;
    let other_tile = TileShape::shaped(3, 2, 64, 64);
    let others = [
        ("X", make(name(), &other_x, plan())),
        ("id", make(MaskName { id: [9; 16], ..name() }, &x, plan())),
        ("model", make(MaskName { model_id: [9; 16], ..name() }, &x, plan())),
        ("nonce", make(MaskName { nonces: [MaskNonce([1; 32]); 2], ..name() }, &x, plan())),
        ("tile", make(name(), &x, LinearPlan::of(vec![tiles(other_tile, 2)]))),
        ("packing", make(name(), &x, LinearPlan::of(vec![columns(1, 18, 2)]))),
    ];
    for (what, other) in &others {
        assert!(first.secrets(0) != other.secrets(0), "another {what}");
    }
}

/// A broken holder: one r_j under two layouts, and their difference hides X by nothing but errors.
#[test]
fn one_secret_in_two_hints_leaves_the_weights_bare() {
    let ring = name().ring(1, Party::S0);
    let a: Vec<_> = (0..=2).map(|k| ring.element(k)).collect();
    let x = words(1, 18);
    let layouts = [TileShape::of_kernel(3, 2), TileShape::shaped(3, 2, 64, 64)];
    let worlds = layouts.map(|tile| World::new(tiles(tile, 1), x.clone()));
    // What is left of a hint without the hiding term, or of a difference of two with one r.
    let bare = |secrets: [&[i8]; 2], c: usize| {
        let part = |i: usize| {
            let sum = public_product(worlds[i].plan(), &x, &a, c);
            sum.wrapping_add(at_coefficient(secrets[i], &a[2], c))
        };
        let sums = [0, 1].map(|i| public_product(worlds[i].plan(), &x, &a, c));
        part(0).wrapping_sub(part(1)).wrapping_sub(sums[0]).wrapping_add(sums[1]) << 40 == 0
    };
    let [r, other] = [0, 1].map(|i| worlds[i].holder.secrets(0));
    assert!((0..8).all(|c| bare([r, r], c)), "one secret cancels");
    assert!((0..8).all(|c| !bare([r, other], c)), "those of this program do not");
}

struct Lab {
    stage: Stage,
    grid: PatchGrid,
    plan: OpPlan,
}

impl Lab {
    fn new(gather: Gather, size: (usize, usize), channels: usize, outputs: usize) -> Self {
        let stage = Stage { ops: 0..2, channels, gather };
        let grid = PatchGrid::new(size, channels, &gather).unwrap();
        let inputs = gather.patch * gather.patch * channels;
        let plan = match gather.patch {
            1 => columns(1, inputs, outputs),
            kernel => tiles(TileShape::of_kernel(kernel, channels), outputs),
        };
        Lab { stage, grid, plan }
    }

    fn check(&self, slots: usize) {
        let (rows, m) = (self.grid.rows(), self.plan.outputs);
        let x = words(1, m * self.plan.inputs);
        let world = World::new(self.plan.clone(), x.clone());
        let seeds = [seed(21), seed(22)];
        let views = [Party::S0, Party::S1].map(|party| -> Vec<SlotView<'_>> {
            (0..slots as u64).map(|s| SlotView::new(party, &seeds[party.index()], s)).collect()
        });
        let mut shares = [0, 1].map(|_| vec![0; slots * rows * m]);
        for (number, part) in self.plan.parts(&self.grid, slots).iter().enumerate() {
            let y =
                [0, 1].map(|i| batch_input(&self.plan, part, (&self.stage, &self.grid), &views[i]));
            let [h, e] = world.shares(part, [&y[0], &y[1]], slots * rows, |_| ());
            let _ = number;
            shares[0] = sum(&shares[0], &h);
            shares[1] = sum(&shares[1], &e);
        }
        // By definition: patches of the sum of both masks.
        let mut expected = Vec::new();
        for slot in 0..slots {
            let [a, b] =
                [0, 1].map(|i| views[i][slot].input_mask::<u32>(1, 0..self.grid.features()));
            let y = self.grid.gather(0..rows, &sum(&a, &b), 0);
            expected.extend(product(&x, self.plan.inputs, &y));
        }
        let wrong = off(&shares, &expected);
        assert!(wrong <= 2, "{wrong} off");
    }
}

fn zeros(kernel: usize) -> Gather {
    Gather::convolution(kernel)
}

#[test]
fn convolutions_by_tiles_are_patches_times_weights() {
    // More than one tile in either direction, the last ones partly full; kernels of 1 go by columns.
    Lab::new(zeros(3), (133, 40), 2, 3).check(1);
    Lab::new(zeros(5), (9, 31), 3, 2).check(2);
    Lab::new(zeros(1), (70, 66), 3, 2).check(1);
    let mirrored = Gather { border: Border::Reflect, ..zeros(3) };
    Lab::new(mirrored, (20, 33), 1, 2).check(1);
    // More than one pixel is predicted; a map of one pixel; a large kernel.
    Lab::new(Gather { patch: 9, stride: 1, pad: 3, border: Border::Reflect }, (70, 12), 1, 2)
        .check(1);
    Lab::new(zeros(3), (1, 1), 2, 2).check(2);
}

/// The last window of a tile must not reach into what wraps around: one column more is wrong.
#[test]
fn windows_stay_inside_a_tile() {
    let tile = TileShape::of_kernel(3, 1);
    let (lines, columns) = tile.windows();
    assert_eq!((lines, columns), (130, 29));
    assert!(tile.lines * tile.columns <= N);
    let plan = tiles(tile, 1);
    let last = (lines - 1) * tile.columns + columns - 1;
    let furthest = plan.shifts().into_iter().max().unwrap();
    assert_eq!(last + furthest, tile.lines * tile.columns - 1);
    for kernel in 2..=32 {
        let tile = TileShape::of_kernel(kernel, 1);
        assert!(tile.lines * tile.columns <= N && tile.windows().0 * tile.windows().1 >= N / 4);
    }
}

#[test]
fn messages_of_another_length_are_refused() {
    let world = World::new(columns(1, 2, 2), words(1, 4));
    let (y, part) = (words(2, 2 * N), Part::Columns(0..N));
    let mut receiving = world.holder.receive(0, &part, &y);
    let error = receiving.masks(&[0; 7]).unwrap_err();
    assert_eq!(error.to_string(), "7 bytes of ciphertexts of op 1, expected 129024");
    let unfinished = world.holder.receive(0, &part, &y);
    assert!(unfinished.finish(&batch(0), &world.rounding, &mut vec![0; 2 * N]).is_err());
    let mut hints = PeerHints::new(world.holder.plan().clone());
    let piece = HintPiece { index: 0, rows: 0..2 };
    assert!(matches!(hints.add(&piece, &[0; 5]), Err(LinearError::Length { op: 1, .. })));
    let missing = Encryptor::new(Party::S1, name(), hints).map(|_| ());
    assert_eq!(missing, Err(LinearError::Hints { op: 1, expected: 2, found: 0 }));
}

#[test]
fn parts_cover_every_patch_once() {
    let cover = |plan: &OpPlan, grid: &PatchGrid, slots: usize| {
        let mut seen = vec![0; grid.rows() * slots];
        for part in plan.parts(grid, slots) {
            let places = part.places(plan);
            assert!(places.iter().all(|(at, _)| *at < part.coefficients(plan)));
            places.iter().for_each(|(_, row)| seen[*row] += 1);
        }
        assert!(seen.iter().all(|n| *n == 1));
    };
    for size in [(1, 1), (130, 29), (131, 30), (300, 64)] {
        let lab = Lab::new(zeros(3), size, 1, 1);
        cover(&lab.plan, &lab.grid, 2);
        cover(&columns(1, 9, 1), &lab.grid, 3);
    }
    let runs: Vec<Range<usize>> = columns(1, 96, 1).pieces().collect();
    assert_eq!(runs, [0..96, 96..97]);
}
