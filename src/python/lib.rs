//! The compiled half of the Python package: bytes in, bytes out. The other half knows of NumPy.
//!
//! Of the crate it uses `ppdenoise::api` alone. Whatever fails is an exception of `ppdenoise._errors` with one
//! sentence. The interpreter's lock is released while anything is computed or read, and an interrupt ends it.

mod array;
mod calibrate;
mod fault;
mod network;
mod parties;
mod work;

use array::{Array, Picture, Told};
use network::Network;
use ppdenoise::api::inspect::{Inspect, inspect as facts};
use ppdenoise::api::{
    Arithmetic, Average, Choices, Clamping, Denoise, Denoised, FormatError, GreyImage,
    Implausibility, Memory, Origin, Passphrase, Place, QuantisedModel, Raster, Rounding,
    no_passphrase, quantise,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use std::path::{Path, PathBuf};
use work::{Watch, work};

/// What fails before it is an exception.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A channel's shares, for server 0 and server 1.
type Shares = (Vec<u8>, Vec<u8>);

/// Grey levels as bytes, and what should be known of them.
type Result_<'py> = PyResult<(Bound<'py, PyBytes>, Vec<String>)>;

/// Whether results are given that take away more than the noise told.
struct Accept(Implausibility);

impl FromPyObject<'_, '_> for Accept {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let accepted: bool = given.extract()?;
        Ok(Accept(if accepted { Implausibility::Accepted } else { Implausibility::Refused }))
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

/// Denoises each channel of an image by itself, or all together with a network of colours.
fn plain(
    picture: Picture,
    network: &Network,
    twin: Option<&QuantisedModel>,
    implausibility: Implausibility,
    watch: &mut Watch<'_>,
) -> Result<Vec<GreyImage>, Failure> {
    let Picture { name, planes, levels, map } = picture;
    let arithmetic = match twin {
        Some(model) => {
            Arithmetic::Integer { model, clamping: Clamping::Few, rounding: Rounding::Nearest }
        }
        None => Arithmetic::Float { model: &network.0, stand_in: None },
    };
    let one = |image: Raster| {
        let request = Denoise {
            name: Path::new(&name),
            image: &image,
            average: Average::None,
            arithmetic,
            levels,
            noise_map: map.as_ref(),
            // Settled below, in the words of this package.
            implausibility: Implausibility::Accepted,
            strict: false,
        };
        let Denoised { image, plausibility, .. } = ppdenoise::api::denoise(&request, watch)?;
        watch.settle(&name, plausibility, implausibility)?;
        Ok(image.into_planes())
    };
    let done = array::given(planes, network.0.trained())?.into_iter().map(one);
    Ok(done.collect::<Result<Vec<_>, Failure>>()?.into_iter().flatten().collect())
}

#[pyfunction]
fn denoise<'py>(
    py: Python<'py>,
    network: &Bound<'py, Network>,
    image: Array,
    noise: Option<Told>,
    twin: bool,
    even_if_implausible: Accept,
) -> Result_<'py> {
    let network = Network(network.get().0.clone());
    let (denoised, notes) = work(py, move |stop| {
        let model = &network.0;
        let twin =
            if twin { Some(quantise(model, &Choices::default().options(model)?)?) } else { None };
        let mut watch = Watch::new(stop);
        watch.unsaid(noise.is_some(), model.trained());
        let mut denoised = Vec::new();
        for picture in image.pictures(noise, Some(model.trained().sigma))? {
            let done = plain(picture, &network, twin.as_ref(), even_if_implausible.0, &mut watch);
            denoised.extend(watch.after(done)?);
        }
        Ok((array::bytes(&denoised), watch.notes))
    })?;
    Ok((PyBytes::new(py, &denoised), notes))
}

#[pyfunction]
fn secure_denoise<'py>(
    py: Python<'py>,
    network: &Bound<'py, Network>,
    image: Array,
    noise: Option<Told>,
    made: bool,
    work_in: Option<PathBuf>,
    even_if_implausible: Accept,
) -> Result_<'py> {
    let origin = if made { Origin::Made } else { Origin::Dealt };
    let model = network.get().0.clone();
    let (denoised, notes) = work(py, move |stop| {
        let mut watch = Watch::new(stop);
        watch.unsaid(noise.is_some(), model.trained());
        let pictures = image.to_share(noise, model.trained().sigma)?;
        let parties = parties::Parties::new(work_in.as_deref())?;
        let denoised = parties.denoise(&model, pictures, origin, even_if_implausible.0, &mut watch);
        let denoised = watch.after(denoised)?;
        Ok((array::bytes(&denoised), watch.notes))
    })?;
    Ok((PyBytes::new(py, &denoised), notes))
}

/// A pair for each channel of the one image.
#[pyfunction]
fn share<'py>(
    py: Python<'py>,
    image: Array,
    noise: Option<Told>,
    public: Source,
    keys: PathBuf,
    passphrase: Option<String>,
) -> PyResult<(Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>, Vec<String>)> {
    let public = public.place("model.pub");
    let (shares, notes): (Vec<Shares>, _) = work(py, move |stop| {
        let mut watch = Watch::new(stop);
        let shares = parties::share(&image, noise, public, (&keys, &ask(passphrase)), &mut watch)?;
        Ok((shares, watch.notes))
    })?;
    let bytes = |half: &Vec<u8>| PyBytes::new(py, half);
    Ok((shares.iter().map(|(s0, s1)| (bytes(s0), bytes(s1))).collect(), notes))
}

/// The grey levels of one image, with its channels, rows and columns.
#[pyfunction]
fn reconstruct<'py>(
    py: Python<'py>,
    results: Vec<(Source, Source)>,
    keys: PathBuf,
    passphrase: Option<String>,
    even_if_implausible: Accept,
) -> PyResult<(Bound<'py, PyBytes>, (usize, usize, usize), Vec<String>)> {
    let place = |half: Source, number: usize| half.place(&format!("result {number}"));
    let pairs = results.into_iter().enumerate();
    let pairs: Vec<[Place; 2]> =
        pairs.map(|(i, (a, b))| [place(a, 2 * i), place(b, 2 * i + 1)]).collect();
    let (image, notes) = work(py, move |stop| {
        let mut watch = Watch::new(stop);
        let keys = (keys.as_path(), &ask(passphrase) as _);
        let image = parties::reconstruct(&pairs, keys, even_if_implausible.0, &mut watch)?;
        Ok((image, watch.notes))
    })?;
    let shape = (image.planes().len(), image.height(), image.width());
    Ok((PyBytes::new(py, &array::bytes(image.planes())), shape, notes))
}

/// The facts of one file, as JSON.
#[pyfunction]
fn inspect(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    work(py, move |_| {
        let facts = facts(&[&path], &Inspect::default())?;
        Ok(serde_json::to_string(&facts.first())?)
    })
}

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::{Network, denoise, inspect, reconstruct, secure_denoise, share};

    #[pymodule_export]
    use super::calibrate::calibrate;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
