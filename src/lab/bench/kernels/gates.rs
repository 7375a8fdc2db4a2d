//! Garbling, evaluation and the AES below them, each alone on one core.

use crate::crypto::circuit::comparison::Comparison;
use crate::crypto::garble::hash::Hasher;
use crate::crypto::garble::{BlockStream, Delta, Evaluator, Garbler, Labels, Program};
use crate::kernels::AesBackend;
use crate::lab::bench::{Effort, Rate, median};
use crate::numbers::block::Block;
use std::hint::black_box;

/// Instances garbled at once.
const INSTANCES: usize = 1024;

pub(in crate::lab::bench) fn rates(effort: Effort) -> Vec<Rate> {
    let backend = AesBackend::active();
    let program = Program::new(
        Comparison { bits: 16, knots: vec![256, 512, 1024, 1792], alarm: false }.circuit(),
    );
    let gates = program.circuit().and_gates() * INSTANCES;
    let count = INSTANCES * program.circuit().inputs();
    let blocks = BlockStream::new(Block(2), backend).take(count);
    let labels = Labels::new(INSTANCES, blocks).expect("whole wires");
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
    let mut out = vec![Block::ZERO; INSTANCES];
    let aes = median(500 * effort.passes, || stream.fill(black_box(&mut out)));
    vec![
        Rate::per_second("garbling", gates, garble, "M AND gates/s", 1e6),
        Rate::per_second("evaluation of garbled circuits", gates, evaluate, "M AND gates/s", 1e6),
        Rate::per_second("AES-128 in counter mode", 16 * INSTANCES, aes, "GB/s", 1e9),
    ]
}
