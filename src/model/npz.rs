//! Models as NumPy archives: arrays `w1, b1, w2, b2, ...`, `w` as (outputs, inputs).

use super::{Description, FloatLinear, FloatModel, ModelError};
use crate::network::{Network, Op};
use ndarray::{Array1, Array2, ArrayD, Dimension, IxDyn};
use ndarray_npy::NpzReader;
use std::io::{Read, Seek};

/// Loads a model from an `.npz` archive.
///
/// The description is the array `description` inside the archive (UTF-8 JSON as unsigned bytes) or
/// else `beside`, the contents of `NAME.json`. Arrays are float32 or float64, C or Fortran order,
/// plain or deflated, as NumPy writes them.
///
/// # Errors
/// [`ModelError`]: a missing array, another shape than described, NaN or infinity by position.
pub fn load_npz(reader: impl Read + Seek, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
    let mut npz = NpzReader::new(reader).map_err(|e| ModelError::Npz(e.to_string()))?;
    let description = match npz.by_name::<ndarray::OwnedRepr<u8>, ndarray::Ix1>("description.npy") {
        Ok(bytes) => Description::parse(&bytes.to_vec())?,
        Err(_) => Description::parse(beside.ok_or(ModelError::NoDescription)?)?,
    };
    let mut ops = vec![Op::Gather(description.gather())];
    let shapes = description.shapes();
    for (i, &(outputs, inputs)) in shapes.iter().enumerate() {
        let weights = array(&mut npz, &format!("w{}", i + 1), &[outputs, inputs])?;
        let bias = array(&mut npz, &format!("b{}", i + 1), &[outputs])?;
        ops.push(Op::Linear(FloatLinear {
            weights: Array2::from_shape_vec((outputs, inputs), weights)
                .map_err(|e| ModelError::Npz(e.to_string()))?,
            bias: Array1::from_vec(bias),
        }));
        if i + 1 < shapes.len() {
            ops.push(Op::Activation(()));
        }
    }
    if description.residual {
        ops.push(Op::Residual);
    }
    ops.push(Op::Fold(description.fold()));
    Ok(FloatModel {
        network: Network::new(ops)?,
        sigma: description.sigma,
        units: description.units(),
        piecewise: description.piecewise.clone(),
    })
}

fn array<T: Read + Seek>(
    npz: &mut NpzReader<T>,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, ModelError> {
    let error = |reason: String| ModelError::Array { name: name.into(), reason };
    let file = format!("{name}.npy");
    let found: ArrayD<f32> = match npz.by_name::<ndarray::OwnedRepr<f32>, IxDyn>(&file) {
        Ok(a) => a,
        Err(first) => match npz.by_name::<ndarray::OwnedRepr<f64>, IxDyn>(&file) {
            Ok(a) => a.mapv(|v| v as f32),
            Err(_) => {
                return Err(error(format!("{first} (expected {shape:?}, float32 or float64)")));
            }
        },
    };
    if found.shape() != shape {
        return Err(error(format!("has shape {:?}, expected {shape:?}", found.shape())));
    }
    if let Some((position, &value)) = found.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(ModelError::Value {
            name: name.into(),
            position: position.slice().to_vec(),
            value,
            reason: "not a finite float32".into(),
        });
    }
    // Logical (row-major) order whatever the order on disk.
    Ok(found.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, ShapeBuilder};
    use ndarray_npy::NpzWriter;
    use std::io::Cursor;

    const JSON: &[u8] = br#"{"kind":"mlp","activation":"tanh","input_patch":3,"output_patch":1,
        "hidden":[2],"stride":1,"sigma":25.0}"#;

    struct Parts {
        w1: ArrayD<f32>,
        b1: ArrayD<f32>,
        inside: bool,
    }

    fn parts() -> Parts {
        let w1 = Array::from_shape_fn(IxDyn(&[2, 9]), |i| (i[0] * 9 + i[1]) as f32);
        Parts { w1, b1: Array::zeros(IxDyn(&[2])), inside: false }
    }

    fn archive(p: &Parts) -> Cursor<Vec<u8>> {
        let mut npz = NpzWriter::new(Cursor::new(Vec::new()));
        npz.add_array("w1", &p.w1).unwrap();
        npz.add_array("b1", &p.b1).unwrap();
        npz.add_array("w2", &Array2::<f64>::ones((1, 2))).unwrap();
        npz.add_array("b2", &Array1::<f64>::ones(1)).unwrap();
        if p.inside {
            npz.add_array("description", &Array1::from_vec(JSON.to_vec())).unwrap();
        }
        npz.finish().unwrap()
    }

    fn load(p: &Parts) -> Result<FloatModel, ModelError> {
        load_npz(archive(p), (!p.inside).then_some(JSON))
    }

    #[test]
    fn fortran_order_and_float64_load_like_c_order() {
        let plain = load(&parts()).unwrap();
        let mut fortran = parts();
        fortran.w1 = Array::from_shape_fn(IxDyn(&[2, 9]).f(), |i| (i[0] * 9 + i[1]) as f32);
        fortran.inside = true;
        let other = load(&fortran).unwrap();
        assert_eq!(plain.network, other.network);
        let (_, first) = plain.network.linears().next().unwrap();
        assert_eq!(first.weights[[1, 3]], 12.0);
    }

    #[test]
    fn bad_arrays_are_refused_by_name_and_position() {
        let mut p = parts();
        p.w1[[1, 4]] = f32::NAN;
        let text = load(&p).unwrap_err().to_string();
        assert!(text.contains("`w1` at [1, 4]"), "{text}");
        p = parts();
        p.b1[[1]] = f32::INFINITY;
        assert!(load(&p).unwrap_err().to_string().contains("`b1` at [1]"));
        p = parts();
        p.w1 = Array::zeros(IxDyn(&[9, 2]));
        let text = load(&p).unwrap_err().to_string();
        assert!(text.contains("[9, 2], expected [2, 9]"), "{text}");
        assert!(matches!(load_npz(archive(&parts()), None), Err(ModelError::NoDescription)));
        assert!(matches!(load_npz(Cursor::new(b"PK no"), None), Err(ModelError::Npz(_))));
    }
}
