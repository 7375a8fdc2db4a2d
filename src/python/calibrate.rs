//! What sample images tell of a network's ranges.

use crate::Failure;
use crate::array::{Array, given};
use crate::fault::Refused;
use crate::network::Network;
use crate::work::work;
use ppdenoise::api::{Calibrate, FloatModel, Raster, Trained, calibrate as calibrate_on};
use pyo3::prelude::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Images by what they are called.
type Images = HashMap<PathBuf, Raster>;

/// How: the noise levels that are added, in grey levels, their seed, whether channels are left out that are always 0,
/// to how many activations a pixel, and whether held-out images may leave the ranges.
#[derive(FromPyObject)]
pub(crate) struct How(Vec<f64>, u64, bool, Option<f64>, bool);

/// The clean images of some arrays of one image each, as the network is given them, and what they are called, in their
/// order.
fn named(
    arrays: &[Array],
    called: &str,
    trained: Trained,
) -> Result<(Vec<PathBuf>, Images), Failure> {
    let mut names = Vec::new();
    let mut images = Images::new();
    for array in arrays {
        let found = array.pictures(None, None).map_err(|e| {
            let name = format!("'{called}[{}]'", names.len());
            Refused(e.to_string().replace("'image'", &name))
        })?;
        for picture in found {
            for image in given(picture.planes, trained)? {
                let name = PathBuf::from(format!("{called}[{}]", names.len()));
                images.insert(name.clone(), image);
                names.push(name);
            }
        }
    }
    Ok((names, images))
}

/// A calibrated network.
#[pyfunction]
pub(crate) fn calibrate(
    py: Python<'_>,
    network: &Bound<'_, Network>,
    images: Vec<Array>,
    held_out: Vec<Array>,
    how: How,
) -> PyResult<Network> {
    let mut model = FloatModel::clone(&network.get().0);
    let model = work(py, move |stop| {
        let How(sigmas, seed, prune, activations, strict) = how;
        let (names, mut known) = named(&images, "images", model.trained())?;
        let (held_names, held) = named(&held_out, "held_out", model.trained())?;
        known.extend(held);
        let request = Calibrate {
            images: &names,
            held_out: &held_names,
            sigmas: &sigmas,
            seed,
            prune,
            activations,
            strict,
        };
        let read = |name: &Path| -> Result<Raster, Failure> {
            stop.check();
            let missing = || Refused(format!("there is no '{}'", name.display()));
            Ok(known.get(name).cloned().ok_or_else(missing)?)
        };
        calibrate_on(&mut model, &request, read, &mut stop.clone())?;
        Ok(model)
    })?;
    Ok(Network(Arc::new(model)))
}
