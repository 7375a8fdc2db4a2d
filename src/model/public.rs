//! The public description of a shared model: shapes, scales, tables, window, input interval.
//!
//! It holds nothing that depends on the weights but the range r of each layer, a coarse norm.

use super::range::least_window_sum;
use super::{ActivationSpec, EngineKind, ModelError, Normalisation};
use crate::ids::bounded::at_most;
use crate::network::{Continued, LinearShape, MAX_OPS, Network, Op};
use crate::numbers::fixed;
use crate::numbers::fixed::exp2;
use crate::numbers::ring::{Ring, RingBits};
use serde::{Deserialize, Serialize};

/// The low bits of a result that no server hands out. That a product of made material is off by one
/// then shows in a result with a probability of 2^-12 times the window weight.
pub(crate) const RESULT_BITS: u32 = 12;

/// The coarsest unit of a result, in grey levels: its rounding has a mean square of 0.00065, which
/// takes 0.0007 dB off a PSNR of 42 dB and less off any lower one.
const FINEST_GREY: f64 = 1.0 / 16.0;

/// Public shape and scale of a linear op. Weights have what the products have more than their input
/// ([`PublicModel::input_fracs`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSpec {
    /// Features in.
    pub inputs: usize,
    /// Features out.
    pub outputs: usize,
    /// Fraction bits of the products and of the bias.
    pub out_frac: u32,
    /// With one cloud and a user: the noise that the cloud adds to each of the two products that an output is made of is
    /// the sum of four uniform numbers below 2^`flooding` last places, less its mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flooding: Option<u32>,
}

impl LinearSpec {
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
#[serde(deny_unknown_fields)]
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
    continued: Continued,
    #[serde(deserialize_with = "at_most::<_, _, MAX_OPS>")]
    ops: Vec<Op<LinearSpec, ActivationSpec>>,
}

const SCHEMA: u32 = 6;
/// The longest description: 64 layers with the largest tables take half of it.
pub(crate) const MAX_JSON: usize = 16 << 20;
/// Characters of a parser's error that are shown.
const MAX_ERROR: usize = 200;

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
            continued: self.network.continued(),
            ops: self.network.ops().to_vec(),
        };
        serde_json::to_vec(&document).expect("plain data with string keys always serialises")
    }

    /// Parses and checks a description. Anybody can make one: unknown fields are refused at every level,
    /// and no list grows beyond what a network may need, whatever the text says.
    ///
    /// # Errors
    /// [`ModelError::Description`] or [`ModelError::Network`], naming what does not fit.
    pub fn from_json(json: &[u8]) -> Result<Self, ModelError> {
        let bad = ModelError::Description;
        if json.len() > MAX_JSON {
            return Err(bad(format!("{} bytes, at most {MAX_JSON} are supported", json.len())));
        }
        let d: Document = serde_json::from_slice(json).map_err(|e| bad(printable(&e)))?;
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
            network: Network::new(d.ops)?.with_continued(d.continued),
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
        if !(0.0..=255.0).contains(&self.units.mid_grey) {
            let found = self.units.mid_grey;
            return Err(format!("`mid_grey` is {found}, must be 0 to 255"));
        }
        if self.input.frac_bits > 40 || self.input.limit() >= 1i64 << (self.ring.bits() - 2) {
            return Err(format!(
                "`interval` {} at 2^{} does not fit a {}-bit ring",
                self.input.interval,
                self.input.frac_bits,
                self.ring.bits()
            ));
        }
        if self.network.reads_plane() && self.plane(self.sigma) >= 1i64 << (self.ring.bits() - 2) {
            return Err(format!(
                "`sigma` {} does not fit a {}-bit ring",
                self.sigma,
                self.ring.bits()
            ));
        }
        if let Some(reason) = self.network.mosaic_problem() {
            return Err(format!("`continued`: {reason}"));
        }
        self.check_scales()
    }

    /// The noise that a cloud adds to the products of a linear op ([`LinearSpec::flooding`]).
    pub fn flooding(&self, op: usize) -> Option<u32> {
        self.network.linears().find(|(at, _)| *at == op).and_then(|(_, linear)| linear.flooding)
    }

    /// Fraction bits of the aggregated output.
    pub fn output_frac(&self) -> u32 {
        self.network.linears().last().map_or(0, |(_, l)| l.out_frac)
    }

    /// What a network that reads the plane is given of noise of `sigma` grey levels: the noise level in network
    /// units, in fixed point at the scale of the image.
    pub fn plane(&self, sigma: f64) -> i64 {
        (sigma / self.units.grey_per_unit * exp2(self.input.frac_bits)).round() as i64
    }

    /// Whether values that leave their range raise an alarm.
    pub fn has_alarm(&self) -> bool {
        self.network.activations().any(|(_, spec, _)| spec.has_alarm())
    }

    /// Low bits that both servers drop of their shares of a result in a file: `RESULT_BITS`, or fewer
    /// where that would leave a pixel coarser than `FINEST_GREY`.
    pub fn dropped_bits(&self) -> u32 {
        self.droppable_bits().min(RESULT_BITS)
    }

    /// Low bits that shares of a result can lose before a pixel is coarser than `FINEST_GREY`.
    ///
    /// A unit of the sum that a pixel collects is a grey level over 2^f and the sum of its window
    /// weights; the pixel is the least covered one of the inner ones, since the few at the border add
    /// nothing to an image's error that counts (docs/numerics.md, the last sum).
    pub fn droppable_bits(&self) -> u32 {
        let weights = least_window_sum(self.network.gather(), self.network.fold());
        let unit = self.units.grey_per_unit / (exp2(self.output_frac()) * weights.max(1) as f64);
        let fine = |k: &u32| unit * exp2(*k) <= FINEST_GREY;
        (0..=self.output_frac()).rev().find(fine).unwrap_or(0)
    }

    /// Ring elements of a share of all weights and biases.
    pub fn elements(&self) -> usize {
        self.network.linears().map(|(_, l)| l.weights() + l.outputs).sum()
    }
}

/// What a parser says, which quotes the text: short, and without control characters.
fn printable(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    shown.take(MAX_ERROR).collect()
}

/// Network units of aggregated outputs: sum / (window weight sum 2^frac_bits), per pixel; `weights` are the sums of
/// window weights, of
/// [`crate::network::Outputs::weight_sums`].
pub(crate) fn decode_sums<R: Ring>(
    sums: &[R],
    weights: &[u32],
    frac_bits: u32,
    dropped: u32,
) -> Vec<f64> {
    let decode = |(s, w): (&R, &u32)| {
        let sum = fixed::sign_extend(s.to_u64(), R::BITS - dropped);
        fixed::decode(sum, frac_bits - dropped) / f64::from(*w)
    };
    sums.iter().zip(weights).map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Party;
    use crate::model::piecewise::Piecewise;
    use crate::model::{Method, QuantiseOptions, Ranges, load_npz, quantise, random_model};
    use crate::numbers::fixed::shrink;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn model() -> PublicModel {
        let method = Method::lut(2);
        let options = QuantiseOptions::guaranteed(RingBits::L32, method, 2.5);
        quantise(&random_model(&[4], 1.0, true), &options).unwrap().public
    }

    /// Twelve bits can go for patches, with and without overlap, and convolutions; a coarser scale loses
    /// fewer, so that what is left of a grey level is as fine.
    #[test]
    fn as_many_bits_of_a_result_are_dropped_as_its_scale_allows() {
        let fixture = |name: &str| {
            let npz = std::fs::File::open(format!("fixtures/models/{name}.npz")).unwrap();
            let beside = std::fs::read(format!("fixtures/models/{name}.json")).ok();
            load_npz(npz, beside.as_deref()).unwrap()
        };
        let patches = ["tiny-9-5-24", "mlp-21-9-3x512-s25", "mlp-29-13-3x640-s25-r32", "mlp-s25"];
        let lookups = |ring| QuantiseOptions::guaranteed(ring, Method::lut(2), 2.5);
        let mut quantised: Vec<PublicModel> = patches
            .iter()
            .map(|name| quantise(&fixture(name), &lookups(RingBits::L32)).unwrap().public)
            .collect();
        let calibrated = QuantiseOptions {
            ranges: Ranges::Calibrated { margin: 2.0 },
            interval: 1.75,
            method: Method::Relu { alarm: true },
            ring: RingBits::L32,
            one_cloud: false,
        };
        for name in ["default", "dncnn-s25"] {
            quantised.push(quantise(&fixture(name), &calibrated).unwrap().public);
        }
        for (public, i) in quantised.iter_mut().zip(0..) {
            let frac = public.output_frac();
            assert_eq!(public.dropped_bits(), RESULT_BITS, "model {i}, {frac} fraction bits");
            let all = public.droppable_bits();
            assert!((RESULT_BITS..frac).contains(&all), "model {i}: {all} of {frac}");
            public.units.grey_per_unit *= 4096.0;
            let dropped = public.dropped_bits();
            assert!(dropped < RESULT_BITS, "model {i}, {frac} fraction bits");
            assert_eq!(public.droppable_bits(), dropped);
            public.units.grey_per_unit *= 2.0;
            assert!(public.dropped_bits() == dropped.saturating_sub(1));
        }
    }

    /// Shares that lost low bits decode to the sum they were made of, to one unit.
    #[test]
    fn sums_decode_from_shares_that_lost_low_bits() {
        let sums = [-70_000_123i64, 4095, 1_200_000_000];
        let shares = sums.map(|sum| {
            let theirs = 0x1234_5678u32.wrapping_mul(sum as u32 | 1);
            let ours = (sum as u32).wrapping_sub(theirs);
            let [a, b] = [(Party::S0, ours), (Party::S1, theirs)].map(|(p, v)| shrink(p, v, 12));
            a.wrapping_add(b)
        });
        let decoded = decode_sums(&shares, &[3; 3], 20, 12);
        for (found, sum) in decoded.iter().zip(sums) {
            let exact = sum as f64 / exp2(20) / 3.0;
            assert!((found - exact).abs() <= 1.0 / exp2(8) / 3.0, "{found} {exact}");
        }
    }

    fn edited(edit: impl Fn(&mut Value)) -> String {
        let mut json = serde_json::from_slice(&model().to_json()).unwrap();
        edit(&mut json);
        PublicModel::from_json(json.to_string().as_bytes()).unwrap_err().to_string()
    }

    fn lookup(d: &mut Value) -> &mut Value {
        &mut d["ops"][2]["activation"]["lookup"]
    }

    /// Every object and every name of an op, in models of both engines, with one more field in it.
    #[test]
    fn unknown_fields_are_refused_at_every_level() {
        fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    found.push(at.into());
                    fields.iter().for_each(|(name, v)| objects(v, &format!("{at}/{name}"), found));
                }
                Value::Array(list) => {
                    list.iter()
                        .enumerate()
                        .for_each(|(i, v)| objects(v, &format!("{at}/{i}"), found));
                }
                _ => {}
            }
        }
        let gc = Method::Gc { function: Piecewise::refit(), refit: true, alarm: false };
        for method in [Method::lut(2), gc] {
            let options = QuantiseOptions::guaranteed(RingBits::L32, method, 2.5);
            let json = quantise(&random_model(&[4], 1.0, true), &options).unwrap().public.to_json();
            let good: Value = serde_json::from_slice(&json).unwrap();
            let mut places = Vec::new();
            objects(&good, "", &mut places);
            assert!(places.len() > 12, "{places:?}");
            for place in places {
                let mut bad = good.clone();
                bad.pointer_mut(&place).unwrap()["extra"] = json!([]);
                let error = PublicModel::from_json(bad.to_string().as_bytes()).unwrap_err();
                assert!(error.to_string().len() < 1000, "{place}: {error}");
            }
            // An op without fields is a name, and has no room for any.
            let mut bad = good.clone();
            let ops = bad["ops"].as_array_mut().unwrap();
            let at =
                ops.iter().position(|op| *op == json!("residual")).expect("a residual network");
            ops[at] = json!({ "residual": { "extra": [] } });
            assert!(PublicModel::from_json(bad.to_string().as_bytes()).is_err());
        }
    }

    #[test]
    fn absurd_numbers_are_refused_by_name() {
        type Edit = fn(&mut Value);
        let edits: [(Edit, &str); 13] = [
            (|d| d["schema"] = json!(3), "`schema` is 3"),
            (|d| d["ring_bits"] = json!(33), "`ring_bits` is 33"),
            (|d| d["units"]["mid_grey"] = json!(-1.0), "`mid_grey` is -1"),
            (|d| d["units"]["grey_per_unit"] = json!(0.0), "`grey_per_unit` is 0"),
            (|d| d["input"]["frac_bits"] = json!(4_000_000_000u32), "does not fit a 32-bit ring"),
            (
                |d| d["ops"][0]["gather"][0]["gather"]["patch"] = json!(1u64 << 40),
                "patch 1099511627776",
            ),
            (|d| d["ops"][1]["linear"]["outputs"] = json!(u64::MAX), "outputs, must be 1 to 65536"),
            (
                |d| d["ops"][1]["linear"]["out_frac"] = json!(u32::MAX),
                "op 1: products of 2^4294967295",
            ),
            (|d| d["ops"][1]["linear"]["flooding"] = json!(17), "op 1: noise of 2^17 last places"),
            (|d| lookup(d)["hi"] = json!(u32::MAX), "op 2: table of 2^4294967295"),
            (|d| lookup(d)["function"] = json!("x".repeat(65)), "op 2: the activation's name"),
            (|d| lookup(d)["function"] = json!("x\u{1b}[2J"), "op 2: the activation's name"),
            (|d| lookup(d)["values"] = json!(vec![0; 4097]), "at most 4096 elements"),
        ];
        for (edit, words) in edits {
            let text = edited(edit);
            assert!(text.contains(words), "{text}");
        }
        let text = edited(|d| {
            let ops = d["ops"].as_array().unwrap().clone();
            let middle = ops[1..3].iter().cycle().take(2 * 1000).cloned();
            d["ops"] = [vec![ops[0].clone()], middle.collect(), ops[3..].to_vec()].concat().into();
        });
        assert!(text.contains("at most 1024 elements"), "{text}");
        let long = vec![b' '; MAX_JSON + 1];
        assert!(
            PublicModel::from_json(&long).unwrap_err().to_string().contains("at most 16777216")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn any_bytes_are_parsed_or_refused(
            bytes: Vec<u8>, at: usize, byte: u8, cut: usize, number: u64,
        ) {
            let _ = PublicModel::from_json(&bytes);
            let good = model().to_json();
            let mut flipped = good.clone();
            flipped[at % good.len()] = byte;
            let _ = PublicModel::from_json(&flipped);
            let _ = PublicModel::from_json(&good[..cut % good.len()]);
            // Another number for one of those there.
            let text = String::from_utf8(good).unwrap();
            let starts: Vec<usize> = text
                .match_indices(|c: char| c.is_ascii_digit())
                .map(|(i, _)| i)
                .filter(|&i| !text.as_bytes()[i - 1].is_ascii_digit())
                .collect();
            let from = starts[at % starts.len()];
            let digits = text[from..].bytes().take_while(u8::is_ascii_digit).count();
            let other = format!("{}{number}{}", &text[..from], &text[from + digits..]);
            if let Ok(model) = PublicModel::from_json(other.as_bytes()) {
                // Real numbers may differ in the last place.
                let again = PublicModel::from_json(&model.to_json()).unwrap();
                prop_assert_eq!(again.network, model.network);
            }
        }
    }
}
