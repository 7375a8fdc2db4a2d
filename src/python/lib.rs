//! The compiled half of the Python package: bytes in, bytes out. The other half knows of NumPy.
//!
//! Of the crate it uses `ppdenoise::api` alone. Whatever fails is an `Error` with one sentence. The interpreter's lock
//! is released while anything is computed or read.

mod image;
mod parties;

use image::Shape;
use ppdenoise::api::images::{Levels, Noise};
use ppdenoise::api::inspect::{Inspect, inspect as facts};
use ppdenoise::api::models::read_model;
use ppdenoise::api::{
    Arithmetic, Choices, Clamping, Denoise, FormatError, Implausibility, Memory, Origin, Passphrase, Place, Rounding, Silent,
    in_one_line, no_passphrase, quantise,
};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pyo3::create_exception!(
    ppdenoise,
    Error,
    PyException,
    "Why something cannot be done, in one sentence."
);

/// What fails before it is an exception.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A channel's shares, for server 0 and server 1.
type Shares = (Vec<u8>, Vec<u8>);

/// Releases the lock, works, and makes an exception of a failure.
fn work<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Failure> + Send) -> PyResult<T> {
    py.detach(work).map_err(|e| Error::new_err(in_one_line(&*e)))
}

fn refused(text: String) -> PyErr {
    Error::new_err(text)
}

/// A noise level as Python tells it.
#[derive(FromPyObject)]
enum Sigma {
    Known(f64),
    Word(String),
}

fn levels(sigma: Option<Sigma>) -> PyResult<Levels> {
    match sigma {
        None => Ok(Noise::OfModel.into()),
        Some(Sigma::Known(sigma)) if sigma.is_finite() && sigma > 0.0 => {
            Ok(Noise::Sigma(sigma).into())
        }
        Some(Sigma::Word(word)) if word == "auto" => Ok(Noise::Estimated.into()),
        Some(Sigma::Known(found)) => {
            Err(refused(format!("sigma is {found}; expected a positive number, 'auto' or None")))
        }
        Some(Sigma::Word(found)) => {
            Err(refused(format!("sigma is '{found}'; expected a positive number, 'auto' or None")))
        }
    }
}

/// Contents, or the path of a file that has them.
#[derive(FromPyObject)]
enum Source {
    Bytes(PyBackedBytes),
    Path(PathBuf),
}

impl Source {
    /// Where it is; bytes are called `name` in errors.
    fn place(self, name: &str) -> Place {
        match self {
            Source::Bytes(bytes) => Memory::new().put(name, bytes.to_vec()),
            Source::Path(path) => path.into(),
        }
    }
}

/// Finds the passphrase of a locked key.
fn ask(given: Option<String>) -> impl Fn(&Path) -> Result<Passphrase, FormatError> {
    move |file| match &given {
        None => no_passphrase(file),
        Some(text) => Passphrase::new(text.clone().into_bytes())
            .ok_or_else(|| FormatError::WrongPassphrase { file: file.into() }),
    }
}

/// A network as it was trained.
#[pyclass(frozen, module = "ppdenoise")]
struct Model(Arc<ppdenoise::api::FloatModel>);

#[pymethods]
impl Model {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        work(py, || Ok(Model(Arc::new(read_model(&path, None)?))))
    }

    #[getter]
    fn sigma(&self) -> f64 {
        self.0.trained().sigma
    }

    #[getter]
    fn weights(&self) -> usize {
        self.0.network.linears().map(|(_, layer)| layer.weights.len()).sum()
    }

    fn __repr__(&self) -> String {
        format!("<ppdenoise.Model of {} weights>", self.weights())
    }
}

#[pyfunction]
fn denoise<'py>(
    py: Python<'py>,
    model: &Bound<'py, Model>,
    samples: &[u8],
    shape: Shape,
    dtype: &str,
    sigma: Option<Sigma>,
    twin: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let (image, levels) = (image::read(samples, shape, dtype), levels(sigma)?);
    let model = model.get().0.clone();
    let denoised = work(py, move || {
        let image = &image?;
        let quantised = match twin {
            true => Some(quantise(&model, &Choices::default().options(&model)?)?),
            false => None,
        };
        let arithmetic = match &quantised {
            Some(model) => Arithmetic::Integer { model, clamping: Clamping::Few, rounding: Rounding::Nearest },
            None => Arithmetic::Float { model: &model, stand_in: None },
        };
        let (name, implausibility) = (Path::new("image"), Implausibility::Refused);
        let request = Denoise { name, image, arithmetic, levels, implausibility, strict: false };
        Ok(image::write(&ppdenoise::api::denoise(&request, &mut Silent)?.image))
    })?;
    Ok(PyBytes::new(py, &denoised))
}

#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "one to one what the other half has in its hands")]
fn secure_denoise<'py>(
    py: Python<'py>,
    model: &Bound<'py, Model>,
    samples: &[u8],
    shape: Shape,
    dtype: &str,
    sigma: Option<Sigma>,
    material: &str,
    work_in: Option<PathBuf>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (image, levels) = (image::read(samples, shape, dtype), levels(sigma)?);
    let origin = match material {
        "dealt" => Origin::Dealt,
        "made" => Origin::Made,
        found => return Err(refused(format!("material is '{found}'; expected 'dealt' or 'made'"))),
    };
    let model = model.get().0.clone();
    let denoised = work(py, move || {
        let parties = parties::Parties::new(work_in.as_deref())?;
        Ok(image::write(&parties.denoise(&model, image?, levels, origin)?))
    })?;
    Ok(PyBytes::new(py, &denoised))
}

#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "one to one what the other half has in its hands")]
fn share<'py>(
    py: Python<'py>,
    samples: &[u8],
    shape: Shape,
    dtype: &str,
    public: Source,
    keys: PathBuf,
    sigma: Option<Sigma>,
    passphrase: Option<String>,
) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
    let (image, levels) = (image::read(samples, shape, dtype), levels(sigma)?);
    let public = public.place("model.pub");
    let shares: Vec<Shares> =
        work(py, move || Ok(parties::share(image?, levels, public, &keys, &ask(passphrase))?))?;
    let bytes = |half: &Vec<u8>| PyBytes::new(py, half);
    Ok(shares.iter().map(|(s0, s1)| (bytes(s0), bytes(s1))).collect())
}

#[pyfunction]
fn reconstruct<'py>(
    py: Python<'py>,
    results: Vec<(Source, Source)>,
    keys: PathBuf,
    passphrase: Option<String>,
) -> PyResult<(Bound<'py, PyBytes>, Shape)> {
    let place = |half: Source, number: usize| half.place(&format!("result {number}"));
    let pairs = results.into_iter().enumerate();
    let pairs: Vec<[Place; 2]> =
        pairs.map(|(i, (a, b))| [place(a, 2 * i), place(b, 2 * i + 1)]).collect();
    let image = work(py, move || Ok(parties::reconstruct(&pairs, &keys, &ask(passphrase))?))?;
    let shape = (image.height(), image.width(), image.planes().len());
    Ok((PyBytes::new(py, &image::write(&image)), shape))
}

/// The facts of one file, as JSON.
#[pyfunction]
fn inspect(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    work(py, || {
        let facts = facts(&[&path], &Inspect::default())?;
        Ok(serde_json::to_string(&facts.first())?)
    })
}

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::{Error, Model, denoise, inspect, reconstruct, secure_denoise, share};

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
