//! The integer model's accuracy, and plans that must be refused.

use super::*;
use crate::crypto::garble::{Block, BlockStream};
use crate::kernels::AesBackend;
use crate::numbers::fixed::decode;

/// Uniform words and normal deviates for the tests.
pub(super) struct Source(BlockStream);

impl Source {
    pub(super) fn new(seed: u64) -> Self {
        Source(BlockStream::new(Block(u128::from(seed) << 64 | 1), AesBackend::active()))
    }

    pub(super) fn words(&mut self, n: usize) -> Vec<u64> {
        self.0.take(n).iter().map(|b| b.0 as u64).collect()
    }

    pub(super) fn normal(&mut self, n: usize, sigma: f64) -> Vec<f64> {
        let uniform = |v: u64| (v as f64 + 0.5) / 2f64.powi(64);
        let draw = |b: &Block| {
            let (u, v) = (uniform(b.0 as u64), uniform((b.0 >> 64) as u64));
            sigma * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        self.0.take(n).iter().map(draw).collect()
    }
}

pub(super) fn three_knots() -> Piecewise {
    fit::tanh(&[0.75, 1.5, 3.0])
}

pub(super) fn ring_32(function: &Piecewise) -> Plan {
    Plan::new(function, Scales::RING_32, function.name != "zheng").unwrap()
}

/// Root mean square difference to tanh over N(0, 2^2), both roundings included, by the model.
fn rms(plan: &Plan, function: impl Fn(f64) -> f64) -> f64 {
    let mut source = Source::new(5);
    let n = 300_000;
    let unit = crate::numbers::fixed::exp2(plan.scales.input_frac());
    let mut sum = 0.0;
    for (x, coins) in source.normal(n, 2.0).into_iter().zip(Source::new(6).words(n)) {
        // Stochastic rounding of the input and of the result, as shares give it.
        let (u, v) = ((coins >> 32) as f64 / 2f64.powi(32), coins as u32 as f64 / 2f64.powi(32));
        let shrunk = (x * unit + u).floor() as i64;
        let value = decode(plan.value(shrunk), plan.scales.result_shift());
        let y = decode((value + v).floor() as i64, plan.scales.out_frac);
        sum += (y - function(x)).powi(2);
    }
    (sum / n as f64).sqrt()
}

#[test]
fn end_to_end_errors() {
    let coarse = Scales { coeff_frac: 8, ..Scales::RING_32 };
    let worked = rms(&Plan::new(&three_knots(), coarse, true).unwrap(), f64::tanh);
    let three = rms(&ring_32(&three_knots()), f64::tanh);
    let four = rms(&ring_32(&Piecewise::refit()), f64::tanh);
    let two = rms(&ring_32(&Piecewise::refit2()), f64::tanh);
    let paper = rms(&ring_32(&Piecewise::zheng()), f64::tanh);
    let wide = rms(&Plan::new(&Piecewise::refit(), Scales::RING_64, true).unwrap(), f64::tanh);
    println!("worked {worked} three {three} four {four} two {two} zheng {paper} wide {wide}");
    assert!(worked < 0.00185, "{worked}: the worked set's own figure");
    assert!(three < 0.0019, "{three}");
    assert!(four < 0.0012, "{four}");
    assert!(two < 0.0031, "{two}");
    assert!((paper - 0.0107).abs() < 0.0005, "{paper}");
    assert!(wide < four, "{wide}");
    let zheng = Piecewise::zheng();
    let faithful = rms(&ring_32(&zheng), |x| zheng.eval(x));
    assert!(faithful < 0.0015, "{faithful}: the paper's function itself is reproduced");
}

/// Every input of the reduced width: the model stays within the function's own error plus an input
/// unit's slope and a coefficient's rounding.
#[test]
fn every_input_is_near_tanh() {
    for (function, scales, bound) in [
        (Piecewise::zheng(), Scales::RING_32, 0.0235),
        (Piecewise::refit2(), Scales::RING_32, 0.0085),
        (three_knots(), Scales::RING_32, 0.0085),
        (Piecewise::refit(), Scales::RING_32, 0.0065),
        (Piecewise::refit(), Scales::RING_64, 0.0065),
    ] {
        let plan = Plan::new(&function, scales, function.name != "zheng").unwrap();
        let mut worst = (0.0f64, 0.0);
        for x in plan.inputs() {
            let real = decode(x, scales.input_frac());
            for y in plan.results(x) {
                let error = (decode(y, scales.out_frac) - real.tanh()).abs();
                if error > worst.0 {
                    worst = (error, real);
                }
            }
        }
        println!("{} {} bits: worst {worst:?}", plan.name, scales.input_bits);
        assert!(worst.0 < bound, "{}: {worst:?}", plan.name);
        assert!(plan.max_abs() <= (crate::numbers::fixed::exp2(scales.out_frac) * 1.02) as i64);
    }
}

#[test]
fn damaged_plans_are_refused() {
    let good = ring_32(&Piecewise::refit());
    let damage: [fn(&mut Plan); 8] = [
        |p| p.scales.ring_bits = 16,
        |p| p.scales.input_bits = 21,
        |p| p.scales.coeff_frac = 12,
        |p| p.scales.range_bits = 40,
        |p| p.knots[1] = p.knots[0],
        |p| p.knots[3] = 1 << 15,
        |p| p.pieces.truncate(2),
        |p| p.pieces[0].square = 1 << 40,
    ];
    for edit in damage {
        let mut plan = good.clone();
        edit(&mut plan);
        assert!(plan.check().is_err());
    }
    let mut steep = good;
    steep.pieces[0].linear *= 4;
    assert!(matches!(steep.check(), Err(PlanError::Value { .. })));
}
