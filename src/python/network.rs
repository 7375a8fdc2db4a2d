//! A network as it was trained, read with its description or without.

use crate::Failure;
use crate::fault::{Refused, sentence};
use crate::work::work;
use ppdenoise::api::models::{
    ModelFileError, beside, described, doubt, open_model, pack_model, prove_output, write_model,
};
use ppdenoise::api::{
    Family, FloatModel, Imported, Known, ModelError, ModelFile, Overwrite, Range, Size, Stop,
    load_npz,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Sides up to here are tried for the smallest image.
const MOST_SIDE: usize = 1024;

/// A network.
#[pyclass(frozen, module = "ppdenoise._core")]
pub(crate) struct Network(pub(crate) Arc<FloatModel>);

/// What is known of a file that has no description: its noise in grey levels, activation, range, what it gives, its
/// family.
#[derive(FromPyObject)]
pub(crate) struct Known_(
    Option<f64>,
    Option<String>,
    Option<(f64, f64)>,
    Option<String>,
    Option<String>,
);

impl Known_ {
    fn is_any(&self) -> bool {
        let Known_(sigma, activation, range, predicts, family) = self;
        sigma.is_some()
            || range.is_some()
            || [activation, predicts, family].into_iter().any(Option::is_some)
    }

    fn parsed(self) -> Result<(Known, Option<f64>), Failure> {
        let Known_(sigma, activation, range, predicts, family) = self;
        fn one<T: std::str::FromStr<Err = String>>(
            name: &str,
            text: Option<String>,
        ) -> Result<Option<T>, Refused> {
            let parse = |text: String| {
                text.parse().map_err(|e| Refused(format!("{name} is '{text}'; {e}")))
            };
            text.map(parse).transpose()
        }
        let range = range.map(|(low, high)| {
            let refused = || Refused(format!("range is ({low}, {high}); expected (low, high)"));
            Range::new(low, high).ok_or_else(refused)
        });
        let family = family.map(|text| match &*text {
            "mlp" => Ok(Family::Mlp),
            "dncnn" => Ok(Family::Dncnn),
            "ircnn" => Ok(Family::Ircnn),
            _ => Err(Refused(format!("family is '{text}'; expected 'mlp', 'dncnn' or 'ircnn'"))),
        });
        let known = Known {
            family: family.transpose()?,
            activation: one("activation", activation)?,
            range: range.transpose()?,
            predicts: one("predicts", predicts)?,
        };
        Ok((known, sigma))
    }
}

/// Reads a model by its description, or finds out how it is meant; with what should be known of it.
fn read(path: &Path, known: Known_, stop: &Stop) -> Result<(FloatModel, Vec<String>), Failure> {
    let mut file = open_model(path)?;
    let undescribed = |e: &ModelFileError| match e {
        ModelFileError::About { error, .. } => {
            matches!(**error, ModelFileError::Model(ModelError::NoDescription))
        }
        _ => false,
    };
    let model = match described(&mut file, path) {
        Err(e) if undescribed(&e) => return import(&mut file, path, known, stop),
        described => described?,
    };
    if known.is_any() {
        let text = format!(
            "'{}' has a description, which says how it is meant: leave sigma, activation, range, predicts and \
             family away, or take import_model",
            path.display()
        );
        return Err(Refused(text).into());
    }
    stop.check();
    // Others than the program may have written what lies beside it.
    let doubt = if beside(path).exists() { doubt(&model, path)? } else { None };
    let doubtful = |doubt| format!("'{}': its description is in doubt: {doubt}", path.display());
    Ok((model, doubt.map(doubtful).into_iter().collect()))
}

/// Finds out how a file is meant, as the command `import` does.
fn import(
    file: &mut ModelFile,
    path: &Path,
    known: Known_,
    stop: &Stop,
) -> Result<(FloatModel, Vec<String>), Failure> {
    let (known, sigma) = known.parsed()?;
    let Some(sigma) = sigma else {
        let text = format!(
            "'{}' does not say for which noise it was trained: say it in grey levels, such as sigma=25",
            path.display()
        );
        return Err(Refused(text).into());
    };
    let about = |e| Refused(format!("'{}': {}", path.display(), sentence(&e)));
    let imported = file.import(known, sigma, &mut |_| stop.check());
    let Imported { model, .. } = imported.map_err(about)?;
    Ok((model, Vec::new()))
}

fn overwriting(overwrite: bool) -> Overwrite {
    if overwrite { Overwrite::Allow } else { Overwrite::Never }
}

#[pymethods]
impl Network {
    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf, known: Known_) -> PyResult<(Self, Vec<String>)> {
        let (model, notes) = work(py, move |stop| read(&path, known, stop))?;
        Ok((Network(Arc::new(model)), notes))
    }

    /// As the command `import`, whatever description there is.
    #[staticmethod]
    fn import_to(
        py: Python<'_>,
        path: PathBuf,
        out: PathBuf,
        overwrite: bool,
        known: Known_,
    ) -> PyResult<Self> {
        let model = work(py, move |stop| {
            let overwrite = overwriting(overwrite);
            prove_output(&out, overwrite)?;
            let (model, _) = import(&mut open_model(&path)?, &path, known, stop)?;
            write_model(&model, &out, overwrite)?;
            Ok(model)
        })?;
        Ok(Network(Arc::new(model)))
    }

    #[staticmethod]
    fn of_bytes(py: Python<'_>, npz: Vec<u8>) -> PyResult<Self> {
        let model = work(py, move |_| Ok(load_npz(Cursor::new(npz), None)?))?;
        Ok(Network(Arc::new(model)))
    }

    fn bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let model = self.0.clone();
        let npz = work(py, move |_| Ok(pack_model(&model)?))?;
        Ok(PyBytes::new(py, &npz))
    }

    fn save(&self, py: Python<'_>, path: PathBuf, overwrite: bool) -> PyResult<()> {
        let model = self.0.clone();
        work(py, move |_| {
            prove_output(&path, overwriting(overwrite))?;
            Ok(write_model(&model, &path, overwriting(overwrite))?)
        })
    }

    #[getter]
    fn sigma(&self) -> f64 {
        self.0.trained().sigma
    }

    #[getter]
    fn sigma_range(&self) -> (f64, f64) {
        self.0.trained().served().into()
    }

    #[getter]
    fn reads_noise(&self) -> bool {
        self.0.trained().reads_plane
    }

    #[getter]
    fn family(&self) -> String {
        let network = &self.0.network;
        let family = if !network.is_convolutional() {
            Family::Mlp
        } else if network.is_chain() {
            Family::Dncnn
        } else {
            Family::Unet
        };
        family.to_string()
    }

    #[getter]
    fn activation(&self) -> String {
        self.0.activation.to_string()
    }

    #[getter]
    fn layers(&self) -> usize {
        self.0.network.linears().count()
    }

    #[getter]
    fn weights(&self) -> usize {
        self.0.network.linears().map(|(_, layer)| layer.weights.len()).sum()
    }

    #[getter]
    fn calibrated(&self) -> bool {
        self.0.extremes.is_some()
    }

    /// The side of the smallest square image that it takes.
    #[getter]
    fn smallest(&self) -> usize {
        let network = &self.0.network;
        let takes = |side: &usize| network.grids(network.image_size(Size::square(*side))).is_ok();
        (1..MOST_SIDE).find(takes).unwrap_or(MOST_SIDE)
    }
}
