//! The public description of a shared model: shapes, scales, tables, window, input interval.
//!
//! It holds nothing that depends on the weights but the range r of each layer, a coarse norm.

use super::{ActivationSpec, EngineKind, ModelError, Normalisation};
use crate::fixed::{self, exp2};
use crate::network::{LinearShape, Network, Op, PatchGrid};
use crate::ring::{Ring, RingBits};
use serde::{Deserialize, Serialize};

/// Public shape and scales of a linear op: products have in_frac + weight_frac fraction bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearSpec {
    /// Features in.
    pub inputs: usize,
    /// Features out.
    pub outputs: usize,
    /// Fraction bits of the input.
    pub in_frac: u32,
    /// Fraction bits of the weights.
    pub weight_frac: u32,
}

impl LinearSpec {
    /// Fraction bits of the products and of the bias.
    pub fn out_frac(&self) -> u32 {
        self.in_frac + self.weight_frac
    }

    /// Number of weights.
    pub fn weights(&self) -> usize {
        self.inputs * self.outputs
    }
}

impl LinearShape for LinearSpec {
    fn inputs(&self) -> usize {
        self.inputs
    }
    fn outputs(&self) -> usize {
        self.outputs
    }
}

/// How an image enters the computation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Network units are clamped to [-interval, interval]; the guaranteed ranges rest on it.
    pub interval: f64,
    /// Fraction bits.
    pub frac_bits: u32,
}

impl InputSpec {
    /// The fixed-point value of `units`, and whether it had to be clamped.
    pub fn encode(&self, units: f64) -> (i64, bool) {
        let limit = self.limit();
        let scaled = (units * exp2(self.frac_bits)).round();
        let clamped = scaled.clamp(-(limit as f64), limit as f64);
        (clamped as i64, clamped != scaled)
    }

    /// The largest magnitude of an encoded value.
    pub fn limit(&self) -> i64 {
        (self.interval * exp2(self.frac_bits)).round() as i64
    }
}

/// Everything that both servers, the dealer, the gateway and the receiver may know of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicModel {
    /// Ring of shares and material.
    pub ring: RingBits,
    /// Activation engine.
    pub engine: EngineKind,
    /// Noise level the model was trained for, in 8-bit grey levels.
    pub sigma: f64,
    /// Grey levels to network units.
    pub units: Normalisation,
    /// Clamping and scale of the input.
    pub input: InputSpec,
    /// The ops with their scales and tables.
    pub network: Network<LinearSpec, ActivationSpec>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    ring_bits: u32,
    engine: EngineKind,
    sigma: f64,
    units: Normalisation,
    input: InputSpec,
    ops: Vec<Op<LinearSpec, ActivationSpec>>,
}

const SCHEMA: u32 = 1;
/// The largest message that a single patch may need in an activation; a frame holds it.
const MAX_ROW_BYTES: usize = 12 << 20;

impl PublicModel {
    /// The description as JSON, the payload of `PREFIX.pub`.
    pub fn to_json(&self) -> Vec<u8> {
        let document = Document {
            schema: SCHEMA,
            ring_bits: self.ring.bits(),
            engine: self.engine,
            sigma: self.sigma,
            units: self.units,
            input: self.input,
            ops: self.network.ops().to_vec(),
        };
        serde_json::to_vec(&document).expect("plain data with string keys always serialises")
    }

    /// Parses and checks a description.
    ///
    /// # Errors
    /// [`ModelError::Description`] or [`ModelError::Network`], naming what does not fit.
    pub fn from_json(json: &[u8]) -> Result<Self, ModelError> {
        let bad = ModelError::Description;
        let d: Document = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
        if d.schema != SCHEMA {
            return Err(bad(format!("`schema` is {}, expected {SCHEMA}", d.schema)));
        }
        let ring = RingBits::from_bits(d.ring_bits)
            .ok_or_else(|| bad(format!("`ring_bits` is {}, expected 32 or 64", d.ring_bits)))?;
        let model = PublicModel {
            ring,
            engine: d.engine,
            sigma: d.sigma,
            units: d.units,
            input: d.input,
            network: Network::new(d.ops)?,
        };
        model.check().map_err(bad)?;
        Ok(model)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let positive = |name: &str, v: f64| {
            if v.is_finite() && v > 0.0 && v < 1e6 {
                return Ok(());
            }
            Err(format!("`{name}` is {v}, must be positive and below 1e6"))
        };
        positive("sigma", self.sigma)?;
        positive("grey_per_unit", self.units.grey_per_unit)?;
        positive("interval", self.input.interval)?;
        if !self.units.mid_grey.is_finite() {
            return Err(format!("`mid_grey` is {}", self.units.mid_grey));
        }
        if self.input.frac_bits > 40 || self.input.limit() >= 1i64 << (self.ring.bits() - 2) {
            return Err(format!(
                "`interval` {} at 2^{} does not fit a {}-bit ring",
                self.input.interval,
                self.input.frac_bits,
                self.ring.bits()
            ));
        }
        let mut frac = self.input.frac_bits;
        let (mut product_frac, mut width) = (0, 0);
        for (i, op) in self.network.ops().iter().enumerate() {
            match op {
                Op::Linear(l) => {
                    if l.in_frac != frac || l.weight_frac > 62 || l.out_frac() >= self.ring.bits() {
                        return Err(format!(
                            "op {i}: scales 2^{} and 2^{} do not follow 2^{frac} in a {}-bit ring",
                            l.in_frac,
                            l.weight_frac,
                            self.ring.bits()
                        ));
                    }
                    (product_frac, width) = (l.out_frac(), l.outputs);
                }
                Op::Activation(spec) => {
                    spec.check(self.ring.bits()).map_err(|e| format!("op {i}: {e}"))?;
                    if spec.engine() != self.engine {
                        return Err(format!("op {i}: not for the {} engine", self.engine.name()));
                    }
                    let row = spec.message_bytes(self.ring.bytes()) * width;
                    if row > MAX_ROW_BYTES {
                        return Err(format!(
                            "op {i}: {width} activations a patch need messages of {row} bytes, at \
                             most {MAX_ROW_BYTES} are possible"
                        ));
                    }
                    if product_frac + spec.range_bits() + 1 != self.ring.bits() {
                        return Err(format!(
                            "op {i}: range 2^{} does not span the ring at scale 2^{product_frac}",
                            spec.range_bits()
                        ));
                    }
                    frac = spec.out_frac();
                }
                Op::Residual | Op::Mean if product_frac < self.input.frac_bits => {
                    return Err(format!(
                        "op {i}: output scale 2^{product_frac} is below the input's"
                    ));
                }
                Op::Gather(_) | Op::Residual | Op::Mean | Op::Fold(_) => {}
            }
        }
        Ok(())
    }

    /// Fraction bits of the aggregated output.
    pub fn output_frac(&self) -> u32 {
        self.network.linears().last().map_or(0, |(_, l)| l.out_frac())
    }

    /// Ring elements of a share of all weights and biases.
    pub fn elements(&self) -> usize {
        self.network.linears().map(|(_, l)| l.weights() + l.outputs).sum()
    }
}

/// Network units of aggregated outputs: sum / (window weight sum 2^frac_bits), per pixel.
pub fn decode_sums<R: Ring>(
    sums: &[R],
    grid: &PatchGrid,
    window: &[u16],
    frac_bits: u32,
) -> Vec<f64> {
    let weights = grid.weight_sums(window);
    let decode = |(s, w): (&R, &u32)| fixed::decode(s.to_i64(), frac_bits) / f64::from(*w);
    sums.iter().zip(&weights).map(decode).collect()
}
