//! The fixed-point scales of a network, map by map.

use super::{MAX_FLOODING, PublicModel};
use crate::network::{Op, Source, Stage};

/// Bytes of an activation's name, which is for people.
const MAX_NAME: usize = 64;
/// The largest message that a single patch may need in an activation; a frame holds it.
const MAX_ROW_BYTES: usize = 12 << 20;
/// The most fraction bits of a weight.
const MAX_WEIGHT_FRAC: u32 = 62;

impl PublicModel {
    /// Fraction bits of each map: of the image, and of what the last op of each stage gives that has a scale.
    pub fn map_fracs(&self) -> Vec<u32> {
        let last = |stage: &Stage| {
            let scale = |op: &Op<_, _>| match op {
                Op::Linear(l) => Some(super::LinearSpec::clone(l).out_frac),
                Op::Activation(spec) => Some(super::ActivationSpec::out_frac(spec)),
                _ => None,
            };
            self.network.ops()[stage.ops.clone()].iter().rev().find_map(scale).unwrap_or(0)
        };
        let stages = self.network.stages();
        let made = stages[..stages.len() - 1].iter().map(last);
        std::iter::once(self.input.frac_bits).chain(made).collect()
    }

    /// Fraction bits of the inputs of a linear op: of each read of its stage, or of the activation before it.
    /// Its weights have what is left of the products'.
    pub fn input_fracs(&self, op: usize) -> Vec<u32> {
        let stage = self.network.stage_of(op);
        if stage.first_linear() == op {
            let maps = self.map_fracs();
            let of = |from: Source| match from {
                Source::Map(number) => maps[number],
                Source::Plane => self.input.frac_bits,
            };
            return stage.reads.iter().map(|read| of(read.from)).collect();
        }
        match &self.network.ops()[op - 1] {
            Op::Activation(spec) => vec![spec.out_frac()],
            _ => Vec::new(),
        }
    }

    /// By how many bits the scale of a linear op's products is finer than that of a map that is added to them.
    pub fn shift(&self, stage: &Stage, op: usize, map: usize) -> u32 {
        let before = self.network.ops()[stage.ops.start..op].iter().rev();
        let products =
            before.filter_map(|op| if let Op::Linear(l) = op { Some(l.out_frac) } else { None });
        products.take(1).next().unwrap_or(0).saturating_sub(self.map_fracs()[map])
    }

    /// That scales follow one another, that tables span the ring, and that nothing is larger than a message.
    pub(super) fn check_scales(&self) -> Result<(), String> {
        let bits = self.ring.bits();
        let maps = self.map_fracs();
        let (mut products, mut width) = (0, 0);
        for (i, op) in self.network.ops().iter().enumerate() {
            match op {
                Op::Linear(l) => {
                    if let Some(bits) = l.flooding.filter(|bits| *bits > MAX_FLOODING) {
                        return Err(format!(
                            "op {i}: noise of 2^{bits} last places, at most 2^{MAX_FLOODING} is supported"
                        ));
                    }
                    let of_weights = |frac: &u32| l.out_frac.checked_sub(*frac);
                    let fits = |frac: u32| of_weights(&frac).is_some_and(|w| w <= MAX_WEIGHT_FRAC);
                    let inputs = self.input_fracs(i);
                    if l.out_frac >= bits || !inputs.iter().copied().all(fits) {
                        return Err(format!(
                            "op {i}: products of 2^{} do not follow inputs of 2^{inputs:?} in a {bits}-bit ring",
                            l.out_frac
                        ));
                    }
                    (products, width) = (l.out_frac, l.outputs);
                }
                Op::Add(added) => {
                    if let Some(map) = added.iter().find(|map| maps[**map] > products) {
                        return Err(format!(
                            "op {i}: map {map} of scale 2^{} is added to products of 2^{products}",
                            maps[*map]
                        ));
                    }
                }
                Op::Activation(spec) => {
                    spec.check(bits).map_err(|e| format!("op {i}: {e}"))?;
                    if spec.engine() != self.engine {
                        return Err(format!("op {i}: not for the {} engine", self.engine.name()));
                    }
                    let name = spec.name();
                    if name.len() > MAX_NAME || name.chars().any(char::is_control) {
                        return Err(format!(
                            "op {i}: the activation's name is longer than {MAX_NAME} bytes or has control \
                             characters"
                        ));
                    }
                    let row = spec.message_bytes(self.ring.bytes()) * width;
                    if row > MAX_ROW_BYTES {
                        return Err(format!(
                            "op {i}: {width} activations a patch need messages of {row} bytes, at most \
                             {MAX_ROW_BYTES} are possible"
                        ));
                    }
                    if products + spec.range_bits() + 1 != bits {
                        return Err(format!(
                            "op {i}: range 2^{} does not span the ring at scale 2^{products}",
                            spec.range_bits()
                        ));
                    }
                }
                Op::Residual | Op::Mean if products < self.input.frac_bits => {
                    return Err(format!("op {i}: output scale 2^{products} is below the input's"));
                }
                Op::Gather(_) | Op::Shuffle(_) | Op::Residual | Op::Mean | Op::Fold(_) => {}
            }
        }
        Ok(())
    }
}
