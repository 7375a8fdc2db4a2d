//! What the receiver is asked to put together, and what it reports.

use super::error::ReceiverError;
use super::references::check_outputs;
use crate::files::Place;
use crate::files::output::Overwrite;
use crate::ids::{ImageId, SessionId};
use crate::image::Depth;
use crate::image::dicom::{Origin, Window};
use crate::image::metrics::Quality;
use crate::roles::images::{Target, is_folder};
use crate::roles::plausible::{Implausibility, Plausibility};
use crate::roles::range_alarm::{Alarmed, RangeAlarm};
use crate::roles::shown;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What shall be put together, and where it goes. [`Reconstruct::new`] has the defaults of the command
/// line; every field may be set after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reconstruct {
    /// Result shares of both servers, and folders of them; which two belong together is seen from their
    /// headers. Two files are put together whatever they are, so that it is told why they cannot be.
    pub shares: Vec<Place>,
    /// The denoised image, `-` for PNG on standard output; or a folder, in which images get the names that
    /// their notes tell.
    pub out: Place,
    /// The DICOM file that was shared, to derive a DICOM file from; or the folder of those that were
    /// shared, by their names.
    pub like: Option<PathBuf>,
    /// How values of DICOM images become grey levels: where a note says it, none or the same as when they were
    /// shared. Without a note, what it was then.
    pub window: Option<Window>,
    /// How finely a file stores the levels of an image without a note; floats become 8 bits where a format
    /// has none. `.npy` has floats in any case.
    pub depth: Depth,
    /// A clean image to compare with, or a folder of them with the results' names.
    pub reference: Option<PathBuf>,
    /// What becomes of results that take away more than the noise told.
    pub implausibility: Implausibility,
    /// What becomes of results whose range alarm was raised.
    pub alarmed: Alarmed,
    /// Whether files that are there are replaced.
    pub overwrite: Overwrite,
}

impl Reconstruct {
    /// These shares, to this image or folder.
    pub fn new(shares: impl IntoIterator<Item = impl Into<Place>>, out: impl Into<Place>) -> Self {
        Reconstruct {
            shares: shares.into_iter().map(Into::into).collect(),
            out: out.into(),
            like: None,
            window: None,
            depth: Depth::Eight,
            reference: None,
            implausibility: Implausibility::default(),
            alarmed: Alarmed::default(),
            overwrite: Overwrite::Never,
        }
    }

    /// Refuses what cannot be written, before keys are opened and any work is done. What is only known
    /// when shares were read is checked by [`super::Receiver::reconstruct`].
    ///
    /// # Errors
    /// As that.
    pub fn check(&self) -> Result<(), ReceiverError> {
        let target = self.target(None, &self.out, self.window);
        if self.original().is_some() && !target.is_dicom() {
            return Err(ReceiverError::OriginalUnused);
        }
        if self.out.is_folder() {
            return Ok(());
        }
        if self.originals().is_some() {
            return Err(ReceiverError::OriginalsForOneFile);
        }
        check_outputs(&self.shares, [target], std::slice::from_ref(&self.reference))
    }

    /// The one DICOM file that was named to derive from.
    pub(super) fn original(&self) -> Option<&Path> {
        self.like.as_deref().filter(|like| !is_folder(like))
    }

    /// The folder of DICOM files that was named.
    pub(super) fn originals(&self) -> Option<&Path> {
        self.like.as_deref().filter(|like| is_folder(like))
    }

    /// An output, derived through a window from its own original, or from the one that was named.
    pub(super) fn target<'a>(
        &'a self,
        own: Option<&'a Path>,
        out: &'a Place,
        window: Option<Window>,
    ) -> Target<'a> {
        let original = own.or(self.original());
        Target { out, original, window, overwrite: self.overwrite }
    }
}

/// What was put together.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ReconstructReport {
    /// One entry an image.
    pub images: Vec<Reconstructed>,
    /// How many images there were, those included that failed.
    pub total: usize,
    /// Those that failed while others did not: results, or shares without the rest of their image. Why was
    /// told as [`super::ReceiverEvent::Failed`].
    pub failed: Vec<PathBuf>,
    /// The means over the images that were compared.
    pub mean: Option<MeanQuality>,
    /// All of the work.
    pub seconds: f64,
    /// Of these, coding and writing the images' files.
    pub write_seconds: f64,
}

impl ReconstructReport {
    /// The means over the images that were compared.
    pub(super) fn average(&self) -> Option<MeanQuality> {
        let judged: Vec<Quality> = self.images.iter().filter_map(|image| image.quality).collect();
        let mean = |value: fn(&Quality) -> f64| {
            judged.iter().map(value).sum::<f64>() / judged.len() as f64
        };
        let quality = || Quality { psnr_db: mean(|q| q.psnr_db), ssim: mean(|q| q.ssim) };
        (!judged.is_empty()).then(|| MeanQuality { images: judged.len(), quality: quality() })
    }
}

/// The means over images that were compared; infinite PSNR if one is identical with its reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct MeanQuality {
    /// Number of images that were compared.
    pub images: usize,
    /// Their means.
    #[serde(flatten)]
    #[cfg_attr(feature = "cli", schemars(with = "crate::roles::schema::Quality"))]
    pub quality: Quality,
}

/// An image that was put together.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Reconstructed {
    /// The denoised image.
    #[serde(serialize_with = "shown::path")]
    pub file: PathBuf,
    /// Its result shares: one pair, three for a colour image, and as many for each tile.
    pub shares: Vec<ResultOf>,
    /// Number of tiles or frames from which it was joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", schemars(with = "usize"))]
    pub tiles: Option<usize>,
    /// For an image from a DICOM file: the object that was shared.
    #[serde(
        rename = "scan",
        skip_serializing_if = "Option::is_none",
        serialize_with = "shown::scan"
    )]
    #[cfg_attr(feature = "cli", schemars(with = "shown::Scan<'static>"))]
    pub origin: Option<Origin>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Whether what was taken away looks like the noise told.
    #[serde(flatten)]
    pub plausibility: Plausibility,
    /// What its range alarm says.
    pub range_alarm: RangeAlarm,
    /// Beside the clean image, if there was one.
    #[serde(flatten)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<crate::roles::schema::Quality>"))]
    pub quality: Option<Quality>,
}

/// What a pair of result shares is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ResultOf {
    /// Id of the image, from the gateway's sharing.
    #[serde(rename = "image_id", serialize_with = "shown::text")]
    #[cfg_attr(feature = "cli", schemars(with = "String"))]
    pub image: ImageId,
    /// Id of the servers' session.
    #[serde(rename = "session_id", serialize_with = "shown::text")]
    #[cfg_attr(feature = "cli", schemars(with = "String"))]
    pub session: SessionId,
}

impl From<&crate::artefact::Reconstruction> for ResultOf {
    fn from(result: &crate::artefact::Reconstruction) -> Self {
        ResultOf { image: result.image_id, session: result.session_id }
    }
}
