//! Secrets of batches are used once, and what happens if they are not.

use super::*;

fn masks(mut masking: Masking<'_>) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    while let Some(piece) = masking.next_piece() {
        for mask in piece.chunks_exact(Profile::Q88.mask_bytes()) {
            let (high, low) = rlwe::read_mask(Profile::Q88, mask);
            found.extend(high.into_iter().zip(low));
        }
    }
    found
}

/// Whether every bit of the differences of two batches is as often set as not.
fn bits_are_uniform(a: &[(u64, u64)], b: &[(u64, u64)]) -> bool {
    let whole =
        |(high, low): (u64, u64)| u128::from(high) << Profile::Q88.low_bits() | u128::from(low);
    let differences: Vec<u128> =
        a.iter().zip(b).map(|(&a, &b)| whole(a).wrapping_sub(whole(b))).collect();
    let half = differences.len() as f64 / 2.0;
    (0..Profile::Q88.mask_bits()).all(|bit| {
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
            let dot = |b: &mut dyn Iterator<Item = f64>| {
                known[i].iter().zip(b).map(|(a, b)| *a as f64 * b).sum::<f64>()
            };
            let columns = known.iter().map(|column| dot(&mut column.iter().map(|e| *e as f64)));
            let mut row: Vec<f64> = columns.collect();
            row.push(dot(&mut told.iter().copied()));
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
