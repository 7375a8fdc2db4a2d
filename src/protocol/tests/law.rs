//! The twin that makes random choices is distributed as what two servers compute.

use super::convolutional_with;
use super::world::World;
use crate::crypto::share;
use crate::model::{
    Method, QuantiseOptions, RandomRounding, TwinInput, quantise, random_model, run_twin,
};
use crate::numbers::ring::RingBits;
use crate::size::Size;

const SIZE: Size = Size::new(9, 8);
/// Slots of the secure computation, and seeds of the twin.
const RUNS: (u64, u64) = (160, 640);

/// Mean and variance of every sum over runs.
fn moments(count: u64, run: impl Fn(u64) -> Vec<u32>) -> Vec<(f64, f64)> {
    let runs: Vec<Vec<u32>> = (0..count).map(run).collect();
    let moment = |at: usize| {
        let values = || runs.iter().map(|run| f64::from(run[at] as i32));
        let mean = values().sum::<f64>() / count as f64;
        let squares: f64 = values().map(|v| (v - mean).powi(2)).sum();
        (mean, squares / (count - 1) as f64)
    };
    (0..runs[0].len()).map(moment).collect()
}

/// Sums of the same image over fresh material, one slot after another, against those of the twin over seeds.
fn same_distribution(mut world: World) {
    let mut secure = Vec::new();
    for slot in 0..RUNS.0 {
        world.slot = slot;
        let [mut a, mut b] = world.engines();
        let ([s0, s1], _) = world.run::<u32, _>([&mut a, &mut b]);
        secure.push(share::combine(&s0, &s1));
    }
    let secure = moments(RUNS.0, |slot| secure[slot as usize].clone());
    let input =
        TwinInput { image: &world.image, size: world.size, plane: world.plane, watched: false };
    let twin = moments(RUNS.1, |seed| {
        let mut choices = RandomRounding::new(seed);
        run_twin::<u32>(&world.model, &input, &mut choices, &mut |_| ()).unwrap().sums
    });
    let mut furthest = 0f64;
    for (secure, twin) in secure.iter().zip(&twin) {
        let spread = (secure.1 / RUNS.0 as f64 + twin.1 / RUNS.1 as f64).sqrt();
        furthest = furthest.max((secure.0 - twin.0).abs() / spread);
    }
    assert!(furthest < 5.0, "a mean is {furthest} standard deviations off");
    let total = |moments: &[(f64, f64)]| moments.iter().map(|m| m.1).sum::<f64>();
    let ratio = total(&secure) / total(&twin);
    assert!(total(&twin) > 0.0 && (0.85..1.18).contains(&ratio), "variances differ by {ratio}");
}

/// Of patches with tanh, where slopes vary, and of convolutions with ReLU, where the cell with the kink counts.
#[test]
fn the_random_twin_is_distributed_as_the_secure_computation() {
    let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(1), 2.5);
    let model = quantise(&random_model(&[6], 3.0, true), &options).unwrap();
    same_distribution(World::sized(model, SIZE, 128, 20));
    let world = convolutional_with(Method::lut(2), RingBits::L32, 128, 1);
    same_distribution(World::sized(world.model, SIZE, 128, 20));
}
