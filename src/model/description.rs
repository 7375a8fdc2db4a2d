//! The JSON description beside a model's arrays.

use super::{ModelError, Normalisation};
use crate::network::{Fold, Gather, MAX_PATCH, MAX_WIDTH, gaussian_window};
use crate::piecewise::Piecewise;
use serde::Deserialize;

/// What `NAME.json` says of a model; unknown fields are ignored, so cards may say more.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    /// The family; `mlp` is the one supported.
    pub kind: String,
    /// The activation the weights were trained with; `tanh`.
    pub activation: String,
    /// Side of the input patch.
    pub input_patch: usize,
    /// Side of the predicted patch.
    pub output_patch: usize,
    /// Hidden layer sizes.
    pub hidden: Vec<usize>,
    /// Pixels between patches.
    pub stride: usize,
    /// Noise level the model was trained for, in 8-bit grey levels.
    pub sigma: f64,
    /// Whether the output is subtracted from the centre of the input patch.
    #[serde(default)]
    pub residual: bool,
    /// Whether a patch loses its mean before the network and gets it back (the paper's section 4.5,
    /// steps 3 and 4).
    #[serde(default)]
    pub mean_shift: bool,
    /// The formula of the normalisation, as text.
    #[serde(default = "default_normalisation")]
    pub normalisation: String,
    /// How the pixels of a patch are numbered; row by row if not given, except in MATLAB files.
    #[serde(default)]
    pub pixel_order: Option<PixelOrder>,
    /// An activation in quadratic pieces for the gc engine, with its knots.
    #[serde(default)]
    pub piecewise: Option<Piecewise>,
}

/// The order in which a patch becomes a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixelOrder {
    /// Row by row.
    RowMajor,
    /// Column by column, as MATLAB's `p(:)` does.
    ColumnMajor,
}

const NORMALISATION: &str = "(v/255-0.5)/0.2";

fn default_normalisation() -> String {
    NORMALISATION.into()
}

impl Description {
    /// Parses and checks a description.
    ///
    /// # Errors
    /// [`ModelError::Description`] naming the field, what was found and what is supported.
    pub fn parse(json: &[u8]) -> Result<Self, ModelError> {
        let d: Description =
            serde_json::from_slice(json).map_err(|e| ModelError::Description(e.to_string()))?;
        d.check().map_err(ModelError::Description)?;
        Ok(d)
    }

    fn check(&self) -> Result<(), String> {
        let supported = |field: &str, found: &str, expected: &str| {
            if found == expected {
                return Ok(());
            }
            Err(format!("`{field}` is \"{found}\", only \"{expected}\" is supported"))
        };
        supported("kind", &self.kind, "mlp")?;
        supported("activation", &self.activation, "tanh")?;
        let formula: String = self.normalisation.chars().filter(|c| !c.is_whitespace()).collect();
        supported("normalisation", &formula, NORMALISATION)?;
        let (input, output) = (self.input_patch, self.output_patch);
        if output == 0 || output > input || input > MAX_PATCH || !(input - output).is_multiple_of(2)
        {
            return Err(format!(
                "patches {input} -> {output} must differ by an even number and be at most {MAX_PATCH}"
            ));
        }
        if self.stride == 0 || self.stride > output {
            return Err(format!("`stride` is {}, must be 1 to {output}", self.stride));
        }
        if self.hidden.is_empty() || self.hidden.len() > 64 {
            return Err(format!("{} hidden layers, must be 1 to 64", self.hidden.len()));
        }
        if let Some(size) = self.hidden.iter().find(|&&h| h == 0 || h > MAX_WIDTH) {
            return Err(format!("a hidden layer of {size}, must be 1 to {MAX_WIDTH}"));
        }
        if let Some(reason) = self.piecewise.as_ref().and_then(Piecewise::problem) {
            return Err(format!("`piecewise`: {reason}"));
        }
        if !(self.sigma.is_finite() && self.sigma > 0.0) {
            return Err(format!("`sigma` is {}, must be positive", self.sigma));
        }
        Ok(())
    }

    /// The gather op.
    pub fn gather(&self) -> Gather {
        let pad = (self.input_patch - self.output_patch) / 2;
        Gather { patch: self.input_patch, stride: self.stride, pad }
    }

    /// The fold op with the Gaussian window.
    pub fn fold(&self) -> Fold {
        Fold { patch: self.output_patch, window: gaussian_window(self.output_patch) }
    }

    /// (outputs, inputs) of each linear op.
    pub fn shapes(&self) -> Vec<(usize, usize)> {
        let mut sizes = vec![self.input_patch * self.input_patch];
        sizes.extend(&self.hidden);
        sizes.push(self.output_patch * self.output_patch);
        sizes.windows(2).map(|pair| (pair[1], pair[0])).collect()
    }

    /// The normalisation of the input.
    pub fn units(&self) -> Normalisation {
        Normalisation::BURGER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"kind":"mlp","activation":"tanh","input_patch":7,"output_patch":3,
        "hidden":[16],"stride":2,"sigma":25.0,"residual":true,"mean_shift":false,
        "normalisation":"(v/255 - 0.5) / 0.2","measured":{"note":"ignored"}}"#;

    #[test]
    fn a_description_gives_shapes() {
        let d = Description::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(d.shapes(), [(16, 49), (9, 16)]);
        assert_eq!(d.gather(), Gather { patch: 7, stride: 2, pad: 2 });
    }

    #[test]
    fn unusable_descriptions_name_the_field() {
        for (from, to, field) in [
            ("\"mlp\"", "\"cnn\"", "kind"),
            ("\"tanh\"", "\"relu\"", "activation"),
            ("/ 0.2", "/ 0.3", "normalisation"),
            ("\"mean_shift\":false", "\"mean_shift\":\"yes\"", "boolean"),
            ("\"stride\":2", "\"stride\":4", "stride"),
            ("\"output_patch\":3", "\"output_patch\":4", "patches 7 -> 4"),
            ("[16]", "[]", "hidden"),
            ("[16]", "[0]", "hidden"),
            ("25.0", "-1", "sigma"),
            ("\"hidden\":[16],", "", "hidden"),
        ] {
            let err = Description::parse(GOOD.replace(from, to).as_bytes()).unwrap_err();
            assert!(err.to_string().contains(field), "{err}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, number: u64) {
            let _ = Description::parse(&bytes);
            let mut flipped = GOOD.as_bytes().to_vec();
            flipped[at % GOOD.len()] = byte;
            for text in [
                String::from_utf8_lossy(&flipped).into_owned(),
                GOOD.replace(":7", &format!(":{number}")),
                GOOD.replace(":3", &format!(":{number}")),
                GOOD.replace("[16]", &format!("[{number},{number}]")),
            ] {
                if let Ok(d) = Description::parse(text.as_bytes()) {
                    prop_assert!(d.shapes().iter().all(|&(m, n)| m <= MAX_WIDTH && n <= MAX_WIDTH));
                }
            }
        }
    }
}
