//! What a model's public description says of its network.

use super::Facts;
use crate::model::{ActivationSpec, LinearSpec, PublicModel};
use crate::network::{Gather, Op, Read, Source};
use serde_json::json;

/// Adds what a public description says of the network.
pub(super) fn describe(public: &PublicModel, facts: &mut Facts) {
    facts.insert("ring_bits".into(), json!(public.ring.bits()));
    facts.insert("engine".into(), json!(public.engine));
    facts.insert("sigma".into(), json!(public.sigma));
    facts.insert("input_interval".into(), json!(public.input.interval));
    let op = |(number, op): (usize, &Op<LinearSpec, ActivationSpec>)| match op {
        Op::Gather(reads) => {
            reads.iter().map(|r| read(r, public)).collect::<Vec<_>>().join(" and ")
        }
        Op::Linear(l) => {
            let inputs = public
                .input_fracs(number)
                .into_iter()
                .map(|frac| format!("{frac} + {}", l.out_frac - frac));
            let mut inputs: Vec<String> = inputs.collect();
            inputs.dedup();
            let bits = inputs.join(" and ");
            format!("linear {} to {}, {bits} fraction bits", l.inputs, l.outputs)
        }
        Op::Add(maps) => {
            let maps: Vec<String> = maps.iter().map(|map| map_name(*map)).collect();
            format!("plus {}", maps.join(" and "))
        }
        Op::Shuffle(factor) => format!("{factor}x{factor} pixels of each"),
        Op::Activation(ActivationSpec::Piecewise(p)) => format!(
            "{}, range {}, {} pieces, {} bits of input, {} fraction bits",
            p.name,
            f64::from(p.scales.range_bits).exp2(),
            p.pieces.len(),
            p.scales.input_bits,
            p.scales.out_frac
        ),
        Op::Activation(ActivationSpec::Lookup(t)) => format!(
            "{}, range {}, {} cells, {} low bits, {} fraction bits",
            t.function,
            f64::from(t.range_bits).exp2(),
            t.values.len(),
            t.lo,
            t.out_frac
        ),
        Op::Activation(spec @ ActivationSpec::Exact(relu)) => format!(
            "{}, range {}, exact in {} bits, {} fraction bits{}",
            spec.name(),
            f64::from(relu.range_bits).exp2(),
            relu.input_bits(),
            relu.out_frac,
            if relu.alarm { ", with a range alarm" } else { "" }
        ),
        Op::Residual => "centre of the patch minus the output".into(),
        Op::Mean => "mean of the patch plus the output".into(),
        Op::Fold(f) => format!("weighted average of {0}x{0} patches", f.patch),
    };
    let ops: Vec<String> = public.network.ops().iter().enumerate().map(op).collect();
    facts.insert("ops".into(), json!(ops));
}

/// What an op reads: in a chain the patches alone, otherwise of which map.
fn read(read: &Read, public: &PublicModel) -> String {
    let Gather { patch, stride, .. } = read.gather;
    let patches = format!("patches {patch}x{patch}, every {stride} pixels");
    match read.from {
        _ if public.network.is_chain() => patches,
        Source::Map(number) => format!("{patches} of {}", map_name(number)),
        Source::Plane => format!("{patches} of the noise level"),
    }
}

fn map_name(number: usize) -> String {
    if number == 0 { "the image".into() } else { format!("map {number}") }
}
