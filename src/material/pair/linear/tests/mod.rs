//! Two servers make products, and what they add up to.

mod flooding;
mod hints;
mod packings;
mod secrets;

use super::*;
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::rlwe;
use crate::crypto::rlwe::{N, Profile};
use crate::ids::Party;

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
    OpPlan { op, inputs, columns: inputs, outputs, packing: Packing::Columns }
}

fn tiles(tile: TileShape, outputs: usize) -> OpPlan {
    let inputs = tile.maps.iter().map(|map| map.patch * map.patch * map.channels).sum();
    OpPlan { op: 1, inputs, columns: inputs, outputs, packing: Packing::Tiles(tile) }
}

/// S0 holds, S1 encrypts.
struct World {
    holder: Holder,
    encryptor: Encryptor,
    rounding: RoundingSeed,
}

impl World {
    fn new(plan: OpPlan, x: Vec<u32>) -> Self {
        Self::with(Profile::Q88, plan, x)
    }

    fn with(profile: Profile, plan: OpPlan, x: Vec<u32>) -> Self {
        let plan = LinearPlan::of(vec![plan]).with(profile);
        let holder = Holder::of(name(), vec![x], HintSeed::new(seed(9)), plan.clone());
        let mut hints = PeerHints::new(plan.clone());
        for piece in plan.hint_pieces() {
            hints.add(&piece, &holder.hint(&piece)).unwrap();
        }
        let encryptor = Encryptor::new(Party::S1, name(), hints).unwrap();
        World { holder, encryptor, rounding: RoundingSeed::new([&[6; 32], &[7; 32]]) }
    }

    fn profile(&self) -> Profile {
        self.holder.plan().profile()
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
        let packed = self.holder.packed(0);
        let mut receiving = packed.receive(part, y_h);
        while let Some(mut piece) = masking.next_piece() {
            way(&mut piece);
            receiving.masks(&piece).unwrap();
        }
        let zeros = || vec![0; rows * self.plan().outputs];
        let (mut z_h, mut z_e) = (zeros(), zeros());
        receiving.finish(&batch(0), &self.rounding, None, &mut z_h).unwrap();
        masking.finish(&self.rounding, None, &mut z_e);
        [z_h, z_e]
    }

    /// T = t - v - Delta x (y + y') in places of Q, all rows of all columns.
    fn errors(&self, x: &[u32], part: &Part, [y_h, y_e]: [&[u32]; 2]) -> Vec<f64> {
        let mut masking = self.masking(part, 0, y_e);
        let packed = self.holder.packed(0);
        let mut receiving = packed.receive(part, y_h);
        while let Some(piece) = masking.next_piece() {
            receiving.masks(&piece).unwrap();
        }
        let (v, t) = (masking.sums(), receiving.sums().unwrap());
        let z = product(x, self.plan().inputs, &sum(y_h, y_e));
        let place = 2f64.powi(self.profile().q_bits() as i32 - 96);
        let error = |(i, z): (usize, &u32)| {
            let error = t.at(i).wrapping_sub(v.at(i)).wrapping_sub(u128::from(*z) << 64);
            ((error << 32) as i128 >> 32) as f64 * place
        };
        z.iter().enumerate().map(error).collect()
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
        for profile in [Profile::Q88, Profile::Q104] {
            let world = World::with(profile, columns(1, n, m), x.clone());
            let part = Part::Columns(0..count);
            let shares = world.shares(&part, [&y_h, &y_e], count, |_| ());
            let wrong = off(&shares, &product(&x, n, &sum(&y_h, &y_e)));
            let most = if profile == Profile::Q88 { count * m / 4096 } else { 0 };
            assert!(wrong <= most, "n {n}, {profile:?}: {wrong} of {} off", count * m);
        }
    }
}

/// Standard deviation of T: errors and rounding of n ciphertexts, and of the two elements of which the top is used.
fn predicted(profile: Profile, x: &[u32], n: usize, error_variance: f64) -> f64 {
    let square = |v: &u32| f64::from(*v as i32).powi(2);
    let mean = x.iter().map(square).sum::<f64>() / (x.len() / n) as f64;
    let dropped = 2f64.powi((profile.q_bits() - profile.hint_bits()) as i32);
    let top = N as f64 * 2.0 / 3.0 * dropped.powi(2) / 12.0;
    (mean * error_variance + 2.0 * top).sqrt()
}

/// Too little noise fails as well as too much.
#[test]
fn noise_is_there() {
    let rounded = 10.5 + (16f64.powi(2) - 1.0) / 12.0;
    for (profile, variance) in [(Profile::Q88, rounded), (Profile::Q104, 10.5)] {
        for n in [1, 16, 640, 3072] {
            let m = 4;
            let (x, y_h, y_e) = (words(4, m * n), words(5, N * n), words(6, N * n));
            let world = World::with(profile, columns(1, n, m), x.clone());
            let errors = world.errors(&x, &Part::Columns(0..N), [&y_h, &y_e]);
            let square = errors.iter().map(|e| e.powi(2)).sum::<f64>() / errors.len() as f64;
            let (found, expected) = (square.sqrt(), predicted(profile, &x, n, variance));
            let ratio = found / expected;
            assert!((ratio - 1.0).abs() < 0.05, "{profile:?}, n {n}: {found:e}, not {expected:e}");
        }
    }
}

/// Ciphertexts of 72 bits are off by one as often as the noise says.
#[test]
fn fewer_bits_err_as_predicted() {
    let (n, m) = (640, 16);
    let (x, y_h, y_e) = (words(7, m * n), words(8, N * n), words(9, N * n));
    let world = World::new(columns(1, n, m), x.clone());
    let shorten = |piece: &mut Vec<u8>| {
        let profile = Profile::Q88;
        for mask in piece.chunks_exact_mut(profile.mask_bytes()) {
            let (mut high, mut low) = rlwe::read_mask(profile, mask);
            for (high, low) in high.iter_mut().zip(&mut low) {
                let v = u128::from(*high) << profile.low_bits() | u128::from(*low);
                let v = (v + (1 << 11)) >> 12 << 12;
                (*high, *low) = ((v >> profile.low_bits()) as u64, v as u64 & 0xf_ffff);
            }
            rlwe::write_mask(profile, &high, &low, mask);
        }
    };
    let shares = world.shares(&Part::Columns(0..N), [&y_h, &y_e], N, shorten);
    let wrong = off(&shares, &product(&x, n, &sum(&y_h, &y_e))) as f64;
    let sigma = predicted(Profile::Q88, &x, n, 10.5 + 2f64.powi(32) / 12.0);
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
    [Profile::Q88, Profile::Q104].into_iter().for_each(uniform_shares);
}

fn uniform_shares(profile: Profile) {
    let (n, m) = (3, 4);
    let world = World::with(profile, columns(1, n, m), vec![0; m * n]);
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

#[test]
fn messages_of_another_length_are_refused() {
    let world = World::new(columns(1, 2, 2), words(1, 4));
    let (y, part) = (words(2, 2 * N), Part::Columns(0..N));
    let packed = world.holder.packed(0);
    let mut receiving = packed.receive(&part, &y);
    let error = receiving.masks(&[0; 7]).unwrap_err();
    assert_eq!(error.to_string(), "7 bytes of ciphertexts of op 1, expected 129024");
    let fine = World::with(Profile::Q104, columns(1, 2, 2), words(1, 4));
    let packed_fine = fine.holder.packed(0);
    let error = packed_fine.receive(&part, &y).masks(&[0; 129_024]).unwrap_err();
    assert_eq!(error.to_string(), "129024 bytes of ciphertexts of op 1, expected 159744");
    let unfinished = packed.receive(&part, &y);
    assert!(unfinished.finish(&batch(0), &world.rounding, None, &mut vec![0; 2 * N]).is_err());
    let mut hints = PeerHints::new(world.holder.plan().clone());
    let piece = HintPiece { index: 0, rows: 0..2 };
    assert!(matches!(hints.add(&piece, &[0; 5]), Err(LinearError::Length { op: 1, .. })));
    let missing = Encryptor::new(Party::S1, name(), hints).map(|_| ());
    assert_eq!(missing, Err(LinearError::Hints { op: 1, expected: 2, found: 0 }));
}
