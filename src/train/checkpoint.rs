//! A training run on disk: magic, length of the header, JSON header, float32 arrays, checksum.

use super::card::CurvePoint;
use super::pass::zeros;
use super::tails::Seen;
use super::{Recipe, State, TrainError};
use crate::model::FloatLinear;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 16] = b"ppdenoise train8";
const CHECKSUM: usize = 32;
const MAX_HEADER: usize = 1 << 20;

/// Everything that a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What is trained.
    pub recipe: Recipe,
    /// Where it stands.
    pub state: State,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Validation so far.
    pub curve: Vec<CurvePoint>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    recipe: Recipe,
    step: u64,
    seconds: f64,
    curve: Vec<CurvePoint>,
}

impl Checkpoint {
    /// The bytes of a checkpoint file: about 16 a weight.
    ///
    /// # Errors
    /// [`TrainError::Write`] if a number of the header cannot be written.
    pub fn encode(
        recipe: &Recipe,
        state: &State,
        seconds: f64,
        curve: &[CurvePoint],
    ) -> Result<Vec<u8>, TrainError> {
        let curve = curve.to_vec();
        let header = Header { recipe: recipe.clone(), step: state.step, seconds, curve };
        let json = serde_json::to_vec(&header).map_err(|e| TrainError::Write(e.to_string()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend((json.len() as u32).to_le_bytes());
        bytes.extend(json);
        for layer in
            [&state.weights, &state.average, &state.first, &state.second].into_iter().flatten()
        {
            bytes.extend(layer.weights.iter().chain(&layer.bias).flat_map(|v| v.to_le_bytes()));
        }
        bytes.extend(state.seen.values().flat_map(|v| v.to_le_bytes()));
        let checksum = blake3::hash(&bytes);
        bytes.extend(checksum.as_bytes());
        Ok(bytes)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] saying what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, TrainError> {
        let bad = |text: &str| TrainError::Checkpoint(text.into());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| bad("it begins differently"))?;
        let body = bytes.len().saturating_sub(CHECKSUM).max(MAGIC.len());
        if blake3::hash(&bytes[..body]).as_bytes()[..] != bytes[body..] {
            return Err(bad("its checksum does not match: it is damaged or cut short"));
        }
        let rest = &rest[..body - MAGIC.len()];
        let (length, rest) = rest.split_first_chunk().ok_or_else(|| bad("it has no header"))?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_HEADER || length > rest.len() {
            return Err(bad("its header is longer than it"));
        }
        let (json, arrays) = rest.split_at(length);
        let header: Header = serde_json::from_slice(json)
            .map_err(|e| TrainError::Checkpoint(format!("its header: {e}")))?;
        header.recipe.check()?;
        Ok(Checkpoint {
            state: state(&header, arrays)?,
            recipe: header.recipe,
            seconds: header.seconds,
            curve: header.curve,
        })
    }

    /// That this checkpoint was made with `recipe`.
    ///
    /// # Errors
    /// [`TrainError::OtherRecipe`] naming the first field that differs.
    pub fn check_recipe(&self, recipe: &Recipe) -> Result<(), TrainError> {
        if self.recipe == *recipe {
            return Ok(());
        }
        let fields = |r: &Recipe| serde_json::to_value(r).unwrap_or_default();
        let (found, expected) = (fields(&self.recipe), fields(recipe));
        let mut names = found.as_object().into_iter().flat_map(|o| o.keys().map(String::as_str));
        let field = names.find(|name| found[*name] != expected[*name]).unwrap_or_default();
        let [found, expected] = match field {
            // In JSON they are long.
            "layers" => [self.recipe.outline()?, recipe.outline()?],
            _ => [&found, &expected].map(|fields| fields[field].to_string()),
        };
        Err(TrainError::OtherRecipe { field: field.to_string(), found, expected })
    }
}

fn state(header: &Header, arrays: &[u8]) -> Result<State, TrainError> {
    let shapes = header.recipe.shapes()?;
    let weights: usize = shapes.iter().map(|shape| shape.outputs * shape.inputs).sum();
    let biases: usize = shapes.iter().map(|shape| shape.outputs).sum();
    let expected = 16 * (weights + biases) + 4 * biases;
    let found = arrays.len();
    if found != expected {
        let text = format!("its arrays have {found} bytes, expected {expected}");
        return Err(TrainError::Checkpoint(text));
    }
    let mut values = arrays.as_chunks().0.iter().map(|bytes: &[u8; 4]| f32::from_le_bytes(*bytes));
    let mut layers = || -> Vec<FloatLinear> {
        let mut layers: Vec<_> = shapes.iter().map(|&shape| zeros(shape)).collect();
        for layer in &mut layers {
            let cells = layer.weights.iter_mut().chain(&mut layer.bias);
            cells.zip(&mut values).for_each(|(cell, value)| *cell = value);
        }
        layers
    };
    let [weights, average, first, second] = [(); 4].map(|()| layers());
    let mut seen = Seen::new(&shapes);
    seen.values_mut().zip(&mut values).for_each(|(seen, value)| *seen = value);
    Ok(State { step: header.step, weights, average, first, second, seen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;
    use crate::train::tests::{convolutional, corpus, recipe, told};
    use crate::train::{Noise, Trainer};
    use proptest::prelude::*;

    fn trainer(recipe: &Recipe, state: State) -> Trainer {
        let pixels = (0..1600).map(|i| (i * 7 % 256) as f32).collect();
        let image = GreyImage::new(40, 40, pixels).unwrap();
        let corpus = corpus(&[image], &[1.0]);
        Trainer::new(recipe.clone(), corpus, state, 1).unwrap()
    }

    fn run(trainer: &mut Trainer, steps: u32) {
        for _ in 0..steps {
            trainer.step(1e-3).unwrap();
        }
    }

    fn encoded(trainer: &Trainer) -> Vec<u8> {
        Checkpoint::encode(trainer.recipe(), trainer.state(), 1.5, &[]).unwrap()
    }

    /// That of a run that has not begun.
    fn fresh(recipe: &Recipe) -> Vec<u8> {
        encoded(&trainer(recipe, State::new(recipe).unwrap()))
    }

    /// Stopped and resumed is the same as never stopped.
    #[test]
    fn a_resumed_run_ends_where_an_unbroken_one_does() {
        let [_, _, unet] = told();
        let other = Recipe { muon: 1e-2, drawn: 0.3, tails: 0.1, ..unet.clone() };
        for recipe in [recipe(), convolutional(1), convolutional(3), unet, other] {
            let start = || State::new(&recipe).unwrap();
            let mut whole = trainer(&recipe, start());
            run(&mut whole, 20);
            let mut first = trainer(&recipe, start());
            run(&mut first, 8);
            let read = Checkpoint::decode(&encoded(&first)).unwrap();
            assert_eq!((&read.recipe, read.seconds, read.state.step), (&recipe, 1.5, 8));
            let mut second = trainer(&recipe, read.state);
            run(&mut second, 12);
            assert_eq!(whole.state(), second.state());
        }
    }

    #[test]
    fn other_recipes_are_named() {
        let checkpoint = Checkpoint::decode(&fresh(&recipe())).unwrap();
        checkpoint.check_recipe(&recipe()).unwrap();
        let convolutional = Recipe { bound: recipe().bound, ..convolutional(1) };
        for (other, said) in [
            (Recipe { batch: 128, ..recipe() }, "batch 64, this run says 128"),
            (Recipe { bound: None, ..recipe() }, "\"range\":8}, this run says null"),
            (Recipe { noise: Noise::of(15.0), ..recipe() }, "\"lowest\":25.0}, this run says"),
            (
                Recipe { patch: 7, units: recipe().units, batch: 64, ..convolutional },
                "layers 49, 12, 8, 9, residual, this run says 3x3 to 4",
            ),
        ] {
            let text = checkpoint.check_recipe(&other).unwrap_err().to_string();
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn damaged_checkpoints_are_refused() {
        let good = fresh(&recipe());
        for cut in [0, 10, 16, 40, good.len() / 2, good.len() - 1] {
            assert!(matches!(Checkpoint::decode(&good[..cut]), Err(TrainError::Checkpoint(_))));
        }
        for at in [3, 18, 30, good.len() / 2, good.len() - 5] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert!(matches!(Checkpoint::decode(&bytes), Err(TrainError::Checkpoint(_))), "{at}");
        }
        // Whole, but with another number of weights than the header says.
        let mut shorter = good[..good.len() - CHECKSUM - 4].to_vec();
        shorter.extend(blake3::hash(&shorter).as_bytes());
        let text = Checkpoint::decode(&shorter).unwrap_err().to_string();
        assert!(text.contains("expected"), "{text}");
    }

    proptest! {
        /// Below the checksum, where only the header's own numbers protect.
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, number: u64) {
            let _ = Checkpoint::decode(&bytes);
            for (recipe, fields) in [
                (recipe(), &["patch", "size", "output", "outputs", "batch", "step", "stride"][..]),
                (convolutional(1), &["patch", "kernel", "outputs"]),
            ] {
                let good = fresh(&recipe);
                let body = &good[..good.len() - CHECKSUM];
                let tagged = |mut body: Vec<u8>| {
                    let checksum = blake3::hash(&body);
                    body.extend(checksum.as_bytes());
                    Checkpoint::decode(&body)
                };
                let mut flipped = body.to_vec();
                flipped[at % 600] = byte;
                let _ = tagged(flipped);
                let _ = tagged([&MAGIC[..], &bytes].concat());
                let length = u32::from_le_bytes(good[16..20].try_into().unwrap()) as usize;
                let json = String::from_utf8(body[20..20 + length].to_vec()).unwrap();
                for field in fields {
                    let old = json.split(&format!("\"{field}\":")).nth(1).unwrap();
                    let old: String = old.chars().take_while(char::is_ascii_digit).collect();
                    let [old, new] = [&old, &number.to_string()].map(|n| format!("\"{field}\":{n}"));
                    let other = json.replace(&old, &new);
                    let head = [&MAGIC[..], &(other.len() as u32).to_le_bytes()].concat();
                    let _ = tagged([&head, other.as_bytes(), &body[20 + length..]].concat());
                }
            }
        }
    }
}
