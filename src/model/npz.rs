//! Models as NumPy archives: arrays `w1, b1, w2, b2, ...`, `w` as (outputs, inputs), of a convolution
//! as (outputs, channels, kernel, kernel); or the same under names like `conv00_weight`,
//! `conv00_bias`.

use super::description::{Weights, formula};
use super::float::mean_shift::unfolded_bias;
use super::load::{Arrays, Tensor, assemble, from_f16};
use super::{Description, FloatLinear, FloatModel, ModelError, zipped};
use crate::image::NpyHeader;
use ndarray::{Array1, ArrayD};
use ndarray_npy::{ReadNpyExt, WriteNpyError, WriteNpyExt};
use std::borrow::Cow;
use std::io::{self, Read, Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Room for the header of an array, beside its elements.
const HEADER_ROOM: u64 = 1 << 16;
/// The most bytes a description may have.
const MAX_DESCRIPTION: u64 = 1 << 20;

/// Loads a model from an `.npz` archive.
///
/// The description is `beside`, the contents of `NAME.json`, or else the array `description` inside
/// the archive (UTF-8 JSON as unsigned bytes). Arrays are float16, float32 or float64, C or Fortran order,
/// plain or deflated, as NumPy writes them. Nothing larger than what is described is allocated.
///
/// # Errors
/// [`ModelError`]: a missing array, another shape than described, NaN or infinity by position.
pub fn load_npz(reader: impl Read + Seek, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
    Archive::open(reader)?.model(beside)
}

/// An archive of arrays.
pub(super) struct Archive<T> {
    npz: ZipArchive<T>,
}

/// The array that holds the description.
const DESCRIPTION: &str = "description";

impl<T: Read + Seek> Archive<T> {
    pub(super) fn open(reader: T) -> Result<Self, ModelError> {
        let npz = zipped::open(reader).map_err(|e| ModelError::Npz(e.to_string()))?;
        Ok(Archive { npz })
    }

    /// See [`load_npz`].
    pub(super) fn model(&mut self, beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
        let description = match beside {
            Some(json) => Description::parse(json)?,
            None => Description::parse(&embedded(&mut self.npz)?)?,
        };
        assemble(&description, self)
    }
}

impl<T: Read + Seek> Arrays for Archive<T> {
    fn names(&self) -> Vec<String> {
        // A name that is no text is no array's.
        let names = self.npz.file_names().filter_map(Result::ok);
        let names = names.filter_map(|name| name.strip_suffix(".npy").map(String::from));
        names.filter(|name| name != DESCRIPTION).collect()
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        let error = |reason: String| ModelError::Array { name: name.into(), reason };
        let file = self.npz.by_name(&format!("{name}.npy")).map_err(|e| error(e.to_string()))?;
        let mut begin = Vec::new();
        file.take(HEADER_ROOM).read_to_end(&mut begin).map_err(|e| error(e.to_string()))?;
        let (header, _) = NpyHeader::parse(&begin).map_err(|e| error(e.to_string()))?;
        Ok(Tensor { name: name.into(), dtype: header.descr.into(), shape: header.shape })
    }

    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        array(&mut self.npz, name, shape)
    }
}

/// How the arrays of a written model are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are: fast.
    Stored,
    /// Deflated: small.
    Deflated,
}

/// Writes a model that [`load_npz`] reads; without a description inside, its JSON must lie beside.
/// The same model gives the same bytes.
///
/// # Errors
/// What the writer says.
pub fn save_npz(
    model: &FloatModel,
    description: Option<&str>,
    packing: Packing,
    writer: impl Write + Seek,
) -> io::Result<()> {
    let mut npz = ZipWriter::new(writer);
    let method = match packing {
        Packing::Stored => CompressionMethod::Stored,
        Packing::Deflated => CompressionMethod::Deflated,
    };
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(zip::DateTime::default());
    let mut entry = |name: String, array: &dyn Fn(&mut Vec<u8>) -> Result<(), WriteNpyError>| {
        let mut bytes = Vec::new();
        array(&mut bytes).map_err(io::Error::other)?;
        npz.start_file(format!("{name}.npy"), options).map_err(io::Error::other)?;
        npz.write_all(&bytes)
    };
    let described = super::layers::described(model).map_err(io::Error::other)?;
    let arrays = described.linears().zip(model.network.linears());
    let count = model.network.linears().count();
    for (((_, weights), (_, l)), number) in arrays.zip(1..) {
        let weights = stored_weights(weights, l)?;
        // A reader folds the mean shift in, which changes nothing of a first layer that has it.
        let bias = if model.network.adds_mean() && number == count {
            Cow::Owned(unfolded_bias(l))
        } else {
            Cow::Borrowed(&l.bias)
        };
        entry(format!("w{number}"), &|out| weights.write_npy(out))?;
        entry(format!("b{number}"), &|out| bias.write_npy(out))?;
    }
    if let Some(json) = description {
        let json = Array1::from_vec(json.as_bytes().to_vec());
        entry(DESCRIPTION.into(), &|out| json.write_npy(out))?;
    }
    npz.finish().map_err(io::Error::other)?;
    Ok(())
}

/// The weights as the array that [`FloatModel::layers`] says.
fn stored_weights(weights: &Weights, layer: &FloatLinear) -> io::Result<ArrayD<f32>> {
    let stored = weights.stored(&layer.weights);
    let array = stored.and_then(|v| ArrayD::from_shape_vec(weights.shape(), v).ok());
    array.ok_or_else(|| io::Error::other("a layer that no description lists"))
}

/// The description of a model as JSON, as [`Description`] reads it.
pub fn describe(model: &FloatModel) -> String {
    serde_json::json!({
        "layers": model.layers(),
        "sigma": model.sigma,
        "normalisation": formula(model.units),
        "mean_shift": model.mean_shift,
        "piecewise": model.piecewise,
        "extremes": model.extremes,
        "continued": model.network.continued(),
    })
    .to_string()
}

/// The bytes of an entry, at most `limit` of them.
fn entry<T: Read + Seek>(
    npz: &mut ZipArchive<T>,
    name: &str,
    limit: u64,
) -> Result<Vec<u8>, ModelError> {
    let error = |reason: String| ModelError::Array { name: name.into(), reason };
    let file = npz.by_name(&format!("{name}.npy")).map_err(|e| error(e.to_string()))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| error(e.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(error(format!("is longer than the {limit} bytes expected")));
    }
    Ok(bytes)
}

/// The description inside the archive.
fn embedded<T: Read + Seek>(npz: &mut ZipArchive<T>) -> Result<Vec<u8>, ModelError> {
    if npz.index_for_name(&format!("{DESCRIPTION}.npy")).is_none() {
        return Err(ModelError::NoDescription);
    }
    let bytes = entry(npz, DESCRIPTION, MAX_DESCRIPTION)?;
    match NpyHeader::parse(&bytes) {
        Ok((header, json)) if header.descr == "|u1" => Ok(json.to_vec()),
        _ => Err(ModelError::Description("`description` is no array of unsigned bytes".into())),
    }
}

fn array<T: Read + Seek>(
    npz: &mut ZipArchive<T>,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, ModelError> {
    let error = |reason: String| ModelError::Array { name: name.into(), reason };
    let elements: usize = shape.iter().product();
    let bytes = entry(npz, name, 8 * elements as u64 + HEADER_ROOM)?;
    let (header, data) = NpyHeader::parse(&bytes).map_err(|e| error(e.to_string()))?;
    if header.shape != shape {
        return Err(error(format!("has shape {:?}, expected {shape:?}", header.shape)));
    }
    if header.descr == "<f2" && data.len() == 2 * elements {
        let halves = data.as_chunks().0.iter().map(|b| from_f16(u16::from_le_bytes(*b)));
        // The same header but for the type, since the order of the elements is its business.
        let mut wide = bytes[..bytes.len() - data.len()].to_vec();
        if let Some(at) = wide.windows(3).position(|w| w == b"<f2") {
            wide[at + 2] = b'4';
        }
        wide.extend(halves.flat_map(f32::to_le_bytes));
        let found: ArrayD<f32> = ArrayD::read_npy(&wide[..]).map_err(|e| error(e.to_string()))?;
        return Ok(found.iter().copied().collect());
    }
    // The array library allocates what the header says, so that is compared with the data first.
    let found: ArrayD<f32> = match header.descr {
        "<f4" | ">f4" if data.len() == 4 * elements => ArrayD::read_npy(&bytes[..]),
        "<f8" | ">f8" if data.len() == 8 * elements => {
            ArrayD::<f64>::read_npy(&bytes[..]).map(|a| a.mapv(|v| v as f32))
        }
        "<f2" | "<f4" | ">f4" | "<f8" | ">f8" => {
            return Err(error(format!("has {} bytes of data for shape {shape:?}", data.len())));
        }
        other => {
            return Err(error(format!("is of type {other}, expected float16, float32 or float64")));
        }
    }
    .map_err(|e| error(e.to_string()))?;
    // Logical (row-major) order whatever the order on disk.
    Ok(found.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array1, Array2, IxDyn, ShapeBuilder};
    use proptest::prelude::*;
    use std::io::Cursor;

    #[test]
    fn what_is_saved_is_loaded() {
        for residual in [true, false] {
            let model = crate::model::random_model(&[4, 3], 1.0, residual);
            let mut bytes = Cursor::new(Vec::new());
            save_npz(&model, Some(&describe(&model)), Packing::Stored, &mut bytes).unwrap();
            let loaded = load_npz(bytes, None).unwrap();
            assert_eq!(loaded.network, model.network);
            assert_eq!((loaded.sigma, loaded.piecewise), (model.sigma, None));
        }
    }

    /// A mean shift is folded in once, by whoever reads the file.
    #[test]
    fn a_mean_shift_is_saved_as_it_is_described() {
        for residual in [true, false] {
            let model =
                crate::model::random_model(&[4, 3], 1.0, residual).with_mean_shift().unwrap();
            let mut bytes = Cursor::new(Vec::new());
            save_npz(&model, Some(&describe(&model)), Packing::Stored, &mut bytes).unwrap();
            let loaded = load_npz(bytes, None).unwrap();
            assert!(loaded.mean_shift);
            for ((_, read), (_, saved)) in loaded.network.linears().zip(model.network.linears()) {
                for (a, b) in
                    read.weights.iter().zip(&saved.weights).chain(read.bias.iter().zip(&saved.bias))
                {
                    assert!((a - b).abs() < 1e-5, "residual {residual}: {a}, {b}");
                }
            }
        }
    }

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
        let mut npz = ZipWriter::new(Cursor::new(Vec::new()));
        let mut add = |name: &str, array: &dyn Fn(&mut Vec<u8>) -> Result<(), WriteNpyError>| {
            let mut bytes = Vec::new();
            array(&mut bytes).unwrap();
            npz.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
            npz.write_all(&bytes).unwrap();
        };
        add("w1", &|out| p.w1.write_npy(out));
        add("b1", &|out| p.b1.write_npy(out));
        add("w2", &|out| Array2::<f64>::ones((1, 2)).write_npy(out));
        add("b2", &|out| Array1::<f64>::ones(1).write_npy(out));
        if p.inside {
            add("description", &|out| Array1::from_vec(JSON.to_vec()).write_npy(out));
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
    fn half_precision_loads_in_either_order() {
        use std::io::Write;
        let load = |fortran: bool, type_name: &str, bytes: usize| {
            let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
            for (name, shape) in
                [("w1", "(2, 9)"), ("b1", "(2,)"), ("w2", "(1, 2)"), ("b2", "(1,)")]
            {
                out.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default())
                    .unwrap();
                let order = if fortran { "True" } else { "False" };
                let text = format!(
                    "{{'descr': '{type_name}', 'fortran_order': {order}, 'shape': {shape}, }}\n"
                );
                out.write_all(b"\x93NUMPY\x01\x00").unwrap();
                out.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
                out.write_all(text.as_bytes()).unwrap();
                let count = match name {
                    "w1" => 18,
                    "b2" => 1,
                    _ => 2,
                };
                // 1 + i / 1024, whose low bits are i.
                let data = (0..count).flat_map(|i| (0x3c00u16 + i).to_le_bytes());
                out.write_all(&data.take(bytes * count as usize).collect::<Vec<_>>()).unwrap();
            }
            load_npz(out.finish().unwrap(), Some(JSON))
        };
        let at = |model: &FloatModel| model.network.linears().next().unwrap().1.weights[[1, 3]];
        assert_eq!(at(&load(false, "<f2", 2).unwrap()), 1.0 + 12.0 / 1024.0);
        assert_eq!(at(&load(true, "<f2", 2).unwrap()), 1.0 + 7.0 / 1024.0);
        let text = load(false, "<f2", 1).unwrap_err().to_string();
        assert!(text.contains("`w1`: has 18 bytes of data"), "{text}");
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

    /// A header that promises more than there is must not be believed.
    #[test]
    fn lying_headers_are_refused_before_allocation() {
        use std::io::Write;
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("w1.npy", zip::write::SimpleFileOptions::default()).unwrap();
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (4398046511104, 1), }\n";
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
        let error = load_npz(zip.finish().unwrap(), Some(JSON)).unwrap_err().to_string();
        assert!(error.contains("[4398046511104, 1], expected [2, 9]"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, cut: usize) {
            let _ = load_npz(Cursor::new(&bytes), Some(JSON));
            let good = archive(&Parts { inside: true, ..parts() }).into_inner();
            let mut flipped = good.clone();
            flipped[at % good.len()] = byte;
            let _ = load_npz(Cursor::new(&flipped), None);
            let _ = load_npz(Cursor::new(&good[..cut % good.len()]), None);
            // Below the checksums of the archive.
            let mut array = Vec::new();
            parts().w1.write_npy(&mut array).unwrap();
            let n = array.len();
            array[at % n] = byte;
            array.truncate(n - cut % 3);
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            for (name, entry) in [("w1.npy", &array), ("b1.npy", &bytes)] {
                zip.start_file(name, SimpleFileOptions::default()).unwrap();
                zip.write_all(entry).unwrap();
            }
            prop_assert!(load_npz(zip.finish().unwrap(), Some(JSON)).is_err());
        }
    }
}
