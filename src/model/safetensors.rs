//! Models as safetensors files: tensors `w1, b1, w2, b2, ...`, or the layers of a sequential module,
//! `NUMBER.weight` and `NUMBER.bias`; `w` as (outputs, inputs), of a convolution as (outputs,
//! channels, kernel, kernel).

use super::load::{Arrays, Tensor, assemble, from_f16, words};
use super::{Description, FloatModel, ModelError};
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};

/// Loads a model from the bytes of a safetensors file.
///
/// The description is `beside`, the contents of `NAME.json`, or else the entry `description` of the
/// file's metadata. Tensors are of type F64, F32, F16 or BF16. If there is no `w1`, the tensors whose
/// names end in `weight` and `bias` are taken, in the order of the numbers in their names. The
/// library checks every declared size against the bytes there are.
///
/// # Errors
/// [`ModelError`]: no such file, a missing tensor, another shape than described, NaN or infinity
/// by position.
pub fn load_safetensors(bytes: &[u8], beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
    Tensors::open(bytes)?.model(beside)
}

/// A file whose header was compared with its length.
pub(super) struct Tensors<B> {
    bytes: B,
    header: Metadata,
    /// Where the numbers begin.
    start: usize,
}

/// Bytes of the header's length, before the header.
const LENGTH: usize = 8;

impl<B: AsRef<[u8]>> Tensors<B> {
    pub(super) fn open(bytes: B) -> Result<Self, ModelError> {
        let bad = |e: safetensors::SafeTensorError| ModelError::Safetensors(e.to_string());
        let (length, header) = SafeTensors::read_metadata(bytes.as_ref()).map_err(bad)?;
        Ok(Tensors { bytes, header, start: LENGTH + length })
    }

    /// See [`load_safetensors`].
    pub(super) fn model(&mut self, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
        let inside = self.header.metadata().as_ref().and_then(|m| m.get("description"));
        let json = beside.or(inside.map(String::as_bytes)).ok_or(ModelError::NoDescription)?;
        let description = Description::parse(json)?;
        assemble(&description, self)
    }
}

impl<B: AsRef<[u8]>> Arrays for Tensors<B> {
    fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        let missing = || ModelError::Array { name: name.into(), reason: "is missing".into() };
        let info = self.header.info(name).ok_or_else(missing)?;
        let (dtype, shape) = (format!("{:?}", info.dtype), info.shape.clone());
        Ok(Tensor { name: name.into(), dtype, shape })
    }

    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let error = |reason: String| ModelError::Array { name: name.into(), reason };
        let tensor = self.header.info(name).ok_or_else(|| error("is missing".into()))?;
        if tensor.shape != shape {
            return Err(error(format!("has shape {:?}, expected {shape:?}", tensor.shape)));
        }
        let (from, to) = tensor.data_offsets;
        let data = self.bytes.as_ref().get(self.start + from..self.start + to);
        let data = data.ok_or_else(|| error("is cut off".into()))?;
        Ok(match tensor.dtype {
            Dtype::F64 => words(data).map(|b| f64::from_le_bytes(b) as f32).collect(),
            Dtype::F32 => words(data).map(f32::from_le_bytes).collect(),
            Dtype::F16 => words(data).map(|b| from_f16(u16::from_le_bytes(b))).collect(),
            Dtype::BF16 => {
                words(data).map(|[low, high]| f32::from_le_bytes([0, 0, low, high])).collect()
            }
            other => {
                return Err(error(format!("is of type {other:?}, expected F64, F32, F16 or BF16")));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use safetensors::tensor::TensorView;
    use std::collections::HashMap;

    const JSON: &str = r#"{"kind":"mlp","activation":"tanh","input_patch":3,"output_patch":1,
        "hidden":[2],"stride":1,"sigma":25.0}"#;

    type Part = (&'static str, Dtype, Vec<usize>, Vec<u8>);

    fn file(parts: &[Part], inside: bool) -> Vec<u8> {
        let view = |(name, dtype, shape, data): &Part| {
            (name.to_string(), TensorView::new(*dtype, shape.clone(), data.clone().leak()).unwrap())
        };
        let metadata = HashMap::from([("description".to_string(), JSON.to_string())]);
        let views: Vec<_> = parts.iter().map(view).collect();
        safetensors::serialize(views, inside.then_some(metadata)).unwrap()
    }

    fn f32s(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    fn parts() -> Vec<Part> {
        vec![
            ("w1", Dtype::F32, vec![2, 9], f32s((0..18).map(|v| v as f32))),
            (
                "b1",
                Dtype::F64,
                vec![2],
                [1.5f64, -2.0].into_iter().flat_map(f64::to_le_bytes).collect(),
            ),
            ("w2", Dtype::F16, vec![1, 2], vec![0x00, 0x3c, 0x00, 0xc0]),
            ("b2", Dtype::BF16, vec![1], vec![0x40, 0x3f]),
        ]
    }

    fn check(model: &FloatModel) {
        let layers: Vec<_> = model.network.linears().map(|(_, l)| l.clone()).collect();
        assert_eq!(layers[0].weights[[1, 3]], 12.0);
        assert_eq!(layers[0].bias.to_vec(), [1.5, -2.0]);
        assert_eq!(layers[1].weights.row(0).to_vec(), [1.0, -2.0]);
        assert_eq!(layers[1].bias.to_vec(), [0.75]);
    }

    #[test]
    fn every_float_type_and_both_ways_to_name_layers() {
        check(&load_safetensors(&file(&parts(), true), None).unwrap());
        let mut modules = parts();
        for (part, name) in
            modules.iter_mut().zip(["net.2.weight", "net.2.bias", "net.10.weight", "net.10.bias"])
        {
            part.0 = name;
        }
        check(&load_safetensors(&file(&modules, false), Some(JSON.as_bytes())).unwrap());
    }

    #[test]
    fn bad_files_are_refused_by_name() {
        let refused = |edit: &dyn Fn(&mut Vec<Part>)| {
            let mut parts = parts();
            edit(&mut parts);
            load_safetensors(&file(&parts, true), None).unwrap_err().to_string()
        };
        let text = refused(&|p| p[0].2 = vec![9, 2]);
        assert!(text.contains("`w1`: has shape [9, 2], expected [2, 9]"), "{text}");
        let text = refused(&|p| drop(p.remove(2)));
        assert!(text.contains("`w2`: is missing"), "{text}");
        let text = refused(&|p| p[0].3[4 * 13..4 * 14].copy_from_slice(&f32::NAN.to_le_bytes()));
        assert!(text.contains("`w1` at [1, 4]"), "{text}");
        let text = refused(&|p| (p[0].1, p[0].3) = (Dtype::I32, vec![0; 72]));
        assert!(text.contains("`w1`: is of type I32"), "{text}");
        let none = load_safetensors(&file(&parts(), false), None).unwrap_err();
        assert!(matches!(none, ModelError::NoDescription));
        let mut long = file(&parts(), true);
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(load_safetensors(&long, None), Err(ModelError::Safetensors(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, cut: usize) {
            prop_assert!(load_safetensors(&bytes, Some(JSON.as_bytes())).is_err());
            let mut damaged = file(&parts(), true);
            let at = at % damaged.len();
            damaged[at] = byte;
            let _ = load_safetensors(&damaged, None);
            let good = file(&parts(), true);
            prop_assert!(load_safetensors(&good[..cut % good.len()], None).is_err());
        }
    }
}
