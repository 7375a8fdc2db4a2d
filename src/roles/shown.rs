//! How reports show values in JSON.

use super::images::CHANNELS;
use crate::image::dicom::Origin;
use serde::{Serialize, Serializer};
use std::fmt::Display;
use std::path::Path;

/// A path, whatever its bytes are.
pub(super) fn path<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

/// As text.
pub(super) fn text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// A channel of a colour image by its name.
pub(super) fn channel<S: Serializer>(index: &Option<u8>, to: S) -> Result<S::Ok, S::Error> {
    index.map(|index| CHANNELS[usize::from(index)]).serialize(to)
}

/// A DICOM object.
#[derive(Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub(super) struct Scan<'a> {
    /// UID of its study; empty if the file has none.
    study_uid: &'a str,
    /// UID of its series.
    series_uid: &'a str,
    /// UID of the object.
    instance_uid: &'a str,
}

/// A DICOM object by its UIDs.
pub(super) fn scan<S: Serializer>(origin: &Option<Origin>, to: S) -> Result<S::Ok, S::Error> {
    let scan = origin.as_ref().map(|origin| Scan {
        study_uid: &origin.study,
        series_uid: &origin.series,
        instance_uid: &origin.instance,
    });
    scan.serialize(to)
}
