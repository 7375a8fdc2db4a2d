//! Hints are what they must be, and what happens if their secrets are used twice.

use super::*;

/// sum_k x_jk a_k at one coefficient, by definition.
fn public_product(plan: &OpPlan, x: &[u32], a: &[rlwe::Public], c: usize) -> u128 {
    let mut sum = 0u128;
    for ((element, shift), &x) in plan.places().into_iter().zip(x) {
        let (a, at) = (&a[element], c + shift);
        let v = a.at(at % N);
        let v = if at >= N { v.wrapping_neg() } else { v };
        sum = sum.wrapping_add((i128::from(x as i32) as u128).wrapping_mul(v));
    }
    sum
}

/// (s a)_c by definition.
fn at_coefficient(s: &[i8], a: &rlwe::Public, c: usize) -> u128 {
    s.iter().enumerate().fold(0u128, |sum, (i, &s)| {
        let at = (c + N - i) % N;
        let v = a.at(at);
        let s = if c < i { -i128::from(s) } else { i128::from(s) };
        sum.wrapping_add((s as u128).wrapping_mul(v))
    })
}

/// What is off a hint, in places of what is sent.
fn hint_error(world: &World, x: &[u32], row: usize, c: usize) -> f64 {
    let plan = world.plan();
    let profile = world.profile();
    let ring = name().ring(profile, plan.op, Party::S0);
    let a: Vec<_> = (0..=plan.elements()).map(|k| ring.element(k)).collect();
    let piece = HintPiece { index: 0, rows: 0..plan.outputs.min(HINTS_PER_PIECE) };
    let bytes = world.holder.hint(&piece);
    let size = profile.hint_bytes();
    let hint = rlwe::read_hint(profile, &bytes[row * size..][..size])[c];
    let secret = &world.holder.secrets(0)[row * N..][..N];
    let exact = public_product(plan, &x[row * plan.inputs..][..plan.inputs], &a, c)
        .wrapping_add(at_coefficient(secret, &a[plan.elements()], c));
    let dropped = profile.q_bits() - profile.hint_bits();
    let above = 128 - profile.q_bits();
    let error = (hint << dropped).wrapping_sub(exact) << above;
    (error as i128 >> above) as f64 / f64::from(dropped).exp2()
}

#[test]
fn hints_are_public_sums_hidden_by_ternary_secrets() {
    let tile = TileShape::of_kernel(3, 2);
    let plans = [columns(1, 300, 3), tiles(tile, 3)];
    let both = [(Profile::Q88, 1e-6), (Profile::Q104, 21.0 / 256.0)];
    for (plan, (profile, own)) in plans.iter().flat_map(|plan| both.map(|both| (plan, both))) {
        let x = words(1, plan.inputs * plan.outputs);
        let world = World::with(profile, plan.clone(), x.clone());
        for (row, c) in [(0, 0), (1, 17), (2, N - 1), (2, N - 40)] {
            // Rounding and an error of at most 21.
            let error = hint_error(&world, &x, row, c);
            assert!(error.abs() <= 0.5 + own, "row {row}, coefficient {c}: {error}");
        }
        let errors: Vec<i64> = (0..3).flat_map(|row| world.holder.hint_errors(0, row)).collect();
        let variance = errors.iter().map(|e| e * e).sum::<i64>() as f64 / errors.len() as f64;
        assert!(errors.iter().all(|e| e.abs() <= 21) && (variance / 10.5 - 1.0).abs() < 0.08);
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
    let ring = name().ring(Profile::Q88, 1, Party::S0);
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
