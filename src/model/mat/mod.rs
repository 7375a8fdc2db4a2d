//! Models as MATLAB files: the published denoisers of Burger, Schuler and Harmeling (CVPR 2012).
//!
//! Weights are a cell array `w` with a matrix a layer, or matrices `w_1, w_2, ...`; each is (outputs,
//! inputs + 1), the bias being its last column. Their code normalises pixels as (v/255 - 0.5)/0.2,
//! moves patches by 3 pixels, averages with a Gaussian window and subtracts nothing, all of which
//! this program does by default. A cell array goes with patches numbered column by column and noise
//! of 25 grey levels; the later files with `w_1, ...` number them row by row, for a noise level that
//! only the file's name tells.

mod reader;

use super::description::PATCH_STRIDE;
use super::load::{Arrays, Tensor, assemble};
use super::{Description, FloatModel, ModelError};
use reader::{Contents, Matrix, Variable};
use serde_json::{Map, Value, json};

/// The noise level of the model published as a cell array.
const CELL_SIGMA: f64 = 25.0;

/// Loads a model from the bytes of a MATLAB file of level 5, which MATLAB writes up to `-v7`.
///
/// `beside` are the contents of `NAME.json`, which may leave out what the matrices say (patches and
/// hidden layers) and what the published code fixes: stride 3, not residual, and for a cell array
/// the pixel order `column-major` and sigma 25.
///
/// # Errors
/// [`ModelError::Mat`] for another kind of file, or matrices that are no layers; as `load_npz` for
/// the rest.
pub fn load_mat(bytes: &[u8], beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
    Layers::open(bytes)?.model(beside)
}

/// What the variables of a file are, a cell array's matrices each by itself.
pub(super) fn variables(bytes: &[u8]) -> Result<Vec<Tensor>, ModelError> {
    let matrix = |name: String, m: &Matrix| Tensor {
        name,
        dtype: "matrix".into(),
        shape: vec![m.rows, m.columns],
    };
    let tensors = |Variable { name, contents }| match contents {
        Contents::Matrix(m) => vec![matrix(name, &m)],
        Contents::Cell(all) => {
            let cell = |(m, i): (&Matrix, usize)| matrix(format!("{name}{{{i}}}"), m);
            all.iter().zip(1..).map(cell).collect()
        }
        Contents::Other(class, sides) => {
            let shape = sides.iter().map(|side| usize::try_from(*side).unwrap_or(0)).collect();
            vec![Tensor { name, dtype: reader::class_name(class).into(), shape }]
        }
    };
    Ok(reader::read(bytes).map_err(ModelError::Mat)?.into_iter().flat_map(tensors).collect())
}

/// The matrices in order, and whether they came as a cell array.
fn layers(variables: Vec<Variable>) -> Result<(Vec<Matrix>, bool), ModelError> {
    let mut numbered = Vec::new();
    for Variable { name, contents } in variables {
        match contents {
            Contents::Cell(matrices) if name == "w" => return Ok((matrices, true)),
            Contents::Matrix(matrix) => {
                let number = name.strip_prefix("w_").and_then(|n| n.parse::<usize>().ok());
                numbered.extend(number.map(|n| (n, matrix)));
            }
            Contents::Cell(_) | Contents::Other(..) => {}
        }
    }
    numbered.sort_by_key(|(number, _)| *number);
    if numbered.is_empty() || numbered.iter().zip(1..).any(|((number, _), n)| *number != n) {
        let text = "it has neither a cell array `w` nor matrices `w_1`, `w_2`, ...";
        return Err(ModelError::Mat(text.into()));
    }
    Ok((numbered.into_iter().map(|(_, matrix)| matrix).collect(), false))
}

/// The description: what `NAME.json` says, and what follows from the matrices where it is silent.
fn describe(
    layers: &[Matrix],
    from_cell: bool,
    beside: Option<&[u8]>,
) -> Result<Description, ModelError> {
    let bad = |reason: String| ModelError::Description(reason);
    let mut said: Map<String, Value> = match beside {
        Some(json) => serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?,
        None => Map::new(),
    };
    let [first, .., last] = layers else {
        return Err(ModelError::Mat(format!("{} layers, at least 2 are needed", layers.len())));
    };
    let side = |what: &str, pixels: usize| {
        let side = pixels.isqrt();
        if side > 0 && side * side == pixels {
            return Ok(side);
        }
        Err(ModelError::Mat(format!("{what} has {pixels} pixels, which is no square patch")))
    };
    let hidden: Vec<usize> = layers[..layers.len() - 1].iter().map(|m| m.rows).collect();
    let mut or = |field: &str, value: Value| {
        said.entry(field).or_insert(value);
    };
    or("kind", json!("mlp"));
    or("activation", json!("tanh"));
    or("input_patch", json!(side("the input", first.columns.saturating_sub(1))?));
    or("output_patch", json!(side("the output", last.rows)?));
    or("hidden", json!(hidden));
    or("stride", json!(PATCH_STRIDE));
    if from_cell {
        or("pixel_order", json!("column-major"));
        or("sigma", json!(CELL_SIGMA));
    }
    if !said.contains_key("sigma") {
        let text = "matrices `w_1`, ... do not tell their noise level: write it as {\"sigma\": 25} \
                    in NAME.json beside the model";
        return Err(bad(text.into()));
    }
    let description = Description::parse(Value::Object(said).to_string().as_bytes())?;
    if description.linear_layers() != layers.len() {
        let (found, expected) = (layers.len(), description.linear_layers());
        return Err(bad(format!("{expected} layers are described, the file has {found}")));
    }
    Ok(description)
}

/// The matrices of a file, a layer each.
pub(super) struct Layers {
    matrices: Vec<Matrix>,
    from_cell: bool,
}

impl Layers {
    pub(super) fn open(bytes: &[u8]) -> Result<Self, ModelError> {
        let (matrices, from_cell) = layers(reader::read(bytes).map_err(ModelError::Mat)?)?;
        Ok(Layers { matrices, from_cell })
    }

    /// See [`load_mat`].
    pub(super) fn model(&mut self, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
        let description = describe(&self.matrices, self.from_cell, beside)?;
        assemble(&description, self)
    }

    /// The matrix that `wN` and `bN` are of.
    fn matrix(&self, name: &str) -> Option<&Matrix> {
        let number = name.strip_prefix(['w', 'b'])?.parse::<usize>().ok()?;
        self.matrices.get(number.checked_sub(1)?)
    }
}

impl Arrays for Layers {
    fn names(&self) -> Vec<String> {
        let both = |number: usize| [format!("w{number}"), format!("b{number}")];
        (1..=self.matrices.len()).flat_map(both).collect()
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        let missing = || ModelError::Array { name: name.into(), reason: "is missing".into() };
        let matrix = self.matrix(name).ok_or_else(missing)?;
        let shape = if name.starts_with('w') {
            vec![matrix.rows, matrix.columns.saturating_sub(1)]
        } else {
            vec![matrix.rows]
        };
        Ok(Tensor { name: name.into(), dtype: "matrix".into(), shape })
    }

    /// `wN` is all but the last column of matrix N, `bN` the last.
    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let error = |reason: String| ModelError::Array { name: name.into(), reason };
        let letter = &name[..1];
        let matrix = self.matrix(name).ok_or_else(|| error("is missing".into()))?;
        let (rows, columns) = (matrix.rows, matrix.columns);
        let inputs = if letter == "w" { shape[1] } else { columns.saturating_sub(1) };
        if columns != inputs + 1 || rows != shape[0] {
            let text =
                format!("the matrix is {rows}x{columns}, expected {}x{}", shape[0], inputs + 1);
            return Err(error(text));
        }
        // MATLAB's order is column by column.
        Ok(match letter {
            "w" => (0..rows * inputs).map(|i| matrix.at(i / inputs, i % inputs)).collect(),
            _ => (0..rows).map(|row| matrix.at(row, inputs)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::reader::tests::{cell, compressed, file, matrix};
    use super::*;
    use proptest::prelude::*;

    /// 3x3 -> 4 -> 1x1; the value of an entry says where it is.
    fn entries(rows: usize, columns: usize) -> Vec<f64> {
        (0..rows * columns).map(|i| (i % rows * 100 + i / rows) as f64).collect()
    }

    fn two_layers() -> [Vec<u8>; 2] {
        [matrix("", 4, 10, &entries(4, 10)), matrix("", 1, 5, &entries(1, 5))]
    }

    fn burger() -> Vec<u8> {
        file(&[matrix("other", 1, 1, &[3.0]), cell("w", &two_layers())])
    }

    fn check(model: &FloatModel) {
        let layers: Vec<_> = model.network.linears().map(|(_, l)| l.clone()).collect();
        assert_eq!(layers[0].weights.dim(), (4, 9));
        // Pixel (0, 1) is number 3 column by column.
        assert_eq!(layers[0].weights[[2, 1]], 203.0);
        assert_eq!(layers[0].bias.to_vec(), [9.0, 109.0, 209.0, 309.0]);
        assert_eq!(layers[1].weights.row(0).to_vec(), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(layers[1].bias.to_vec(), [4.0]);
        assert!(!model.network.is_residual());
    }

    #[test]
    fn a_cell_array_needs_no_description() {
        let json = br#"{"stride":1}"#;
        let model = load_mat(&burger(), Some(json)).unwrap();
        check(&model);
        assert_eq!(model.sigma, 25.0);
        check(&load_mat(&file(&[compressed(&cell("w", &two_layers()))]), Some(json)).unwrap());
        // The default stride is larger than this model's output patch.
        let text = load_mat(&burger(), None).unwrap_err().to_string();
        assert!(text.contains("`stride` is 3"), "{text}");
        let turned = br#"{"stride":1,"pixel_order":"row-major","sigma":10,"residual":true}"#;
        let model = load_mat(&burger(), Some(turned)).unwrap();
        let (_, first) = model.network.linears().next().unwrap();
        assert_eq!(first.weights[[2, 1]], 201.0);
        assert!(model.sigma == 10.0 && model.network.is_residual());
    }

    #[test]
    fn numbered_matrices_are_row_by_row_and_need_a_sigma() {
        let parts = [("w_2", 1, 5), ("w_1", 4, 10)];
        let parts =
            parts.map(|(name, rows, columns)| matrix(name, rows, columns, &entries(rows, columns)));
        let bytes = file(&parts);
        let text = load_mat(&bytes, Some(br#"{"stride":1}"#)).unwrap_err().to_string();
        assert!(text.contains("sigma"), "{text}");
        let model = load_mat(&bytes, Some(br#"{"stride":1,"sigma":35}"#)).unwrap();
        let (_, first) = model.network.linears().next().unwrap();
        assert_eq!(first.weights[[2, 1]], 201.0);
    }

    #[test]
    fn what_is_no_model_is_refused_in_words() {
        let refused =
            |bytes: &[u8], beside: &[u8]| load_mat(bytes, Some(beside)).unwrap_err().to_string();
        let text = refused(&file(&[matrix("x", 1, 1, &[1.0])]), b"{}");
        assert!(text.contains("neither a cell array `w`"), "{text}");
        let text = refused(&file(&[cell("w", &two_layers()[..1])]), b"{}");
        assert!(text.contains("1 layers, at least 2"), "{text}");
        let odd = [matrix("", 4, 11, &entries(4, 11)), matrix("", 1, 5, &entries(1, 5))];
        assert!(refused(&file(&[cell("w", &odd)]), b"{}").contains("10 pixels"));
        let gap = [matrix("", 4, 10, &entries(4, 10)), matrix("", 1, 6, &entries(1, 6))];
        let text = refused(&file(&[cell("w", &gap)]), br#"{"stride":1}"#);
        assert!(text.contains("`w2`: the matrix is 1x6, expected 1x5"), "{text}");
        let text = refused(&burger(), br#"{"stride":1,"hidden":[4,4]}"#);
        assert!(text.contains("3 layers are described, the file has 2"), "{text}");
        let mut nan = entries(4, 10);
        nan[4 * 3 + 2] = f64::NAN;
        let bad = [matrix("", 4, 10, &nan), matrix("", 1, 5, &entries(1, 5))];
        let text = refused(&file(&[cell("w", &bad)]), br#"{"stride":1}"#);
        assert!(text.contains("`w1` at [2, 3]"), "{text}");
        let wide = matrix("", 1, 5, &[1e300; 5]);
        let text =
            refused(&file(&[cell("w", &[two_layers()[0].clone(), wide])]), br#"{"stride":1}"#);
        assert!(text.contains("`w2` at [0, 0]"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, cut: usize, packed: bool) {
            let _ = load_mat(&bytes, None);
            let _ = load_mat(&file(std::slice::from_ref(&bytes)), None);
            let inner = cell("w", &two_layers());
            let good = file(&[if packed { compressed(&inner) } else { inner.clone() }]);
            let beside: &[u8] = br#"{"stride":1}"#;
            check(&load_mat(&good, Some(beside)).unwrap());
            let mut damaged = good.clone();
            let at = at % damaged.len();
            damaged[at] = byte;
            let _ = load_mat(&damaged, Some(beside));
            prop_assert!(load_mat(&good[..cut % good.len()], Some(beside)).is_err());
            let mut inner = inner;
            let at = at % inner.len();
            inner[at] = byte;
            let _ = load_mat(&file(&[compressed(&inner)]), Some(beside));
        }
    }
}
