//! What the gateway is asked to share, and what it reports.

use crate::artefact::PublicModelFile;
use crate::files::Place;
use crate::files::output::Overwrite;
use crate::ids::ImageId;
use crate::image::dicom::Window;
use crate::image::{Average, GreyImage, ImageFormat, Orientation, Range, Raster, Rect};
use crate::model::Clamping;
use crate::roles::images::Levels;
use crate::roles::shard::Shard;
use crate::roles::shown;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A noisy image, or several.
#[derive(Clone, Debug)]
pub enum Picture {
    /// A file; a folder, for every image in it; a pattern such as `scans/*.png`; `-` for standard input.
    File(PathBuf),
    /// An image in memory. Name, format and the image's depth travel to the receiver; the name, which may
    /// be empty, also names it in reports.
    Memory {
        /// What its file would be called.
        name: String,
        /// The format that its file would have.
        format: ImageFormat,
        /// The image.
        image: Raster,
    },
}

impl From<&Path> for Picture {
    fn from(path: &Path) -> Self {
        Picture::File(path.to_owned())
    }
}

impl From<GreyImage> for Picture {
    /// An image without a name, whose result is a PNG of 8 bits.
    fn from(image: GreyImage) -> Self {
        Picture::Memory { name: String::new(), format: ImageFormat::Png, image: image.into() }
    }
}

/// What shall be shared, for which model and how. [`ShareImages::new`] has the defaults of the command
/// line; every field may be set after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShareImages<'a> {
    /// The noisy images.
    pub images: Vec<Picture>,
    /// The model's public description.
    pub public: &'a PublicModelFile,
    /// Prefix of the two shares, `PREFIX.s0` and `PREFIX.s1`; of several images `PREFIX-1` and so on, of
    /// channels `PREFIX-red` and so on, of tiles `PREFIX-t1` and so on, of orientations `PREFIX-o1` and so on. Or a folder, in which shares are
    /// called by their images' ids, so that names tell nothing.
    pub out: Place,
    /// How values of DICOM images become grey levels; all that its bits can hold if none.
    pub window: Option<Window>,
    /// Which values of other formats are black and white; those that noise cannot be told of are refused if none.
    pub range: Option<Range>,
    /// The images' noise.
    pub levels: Levels,
    /// Whether colour images are shared, channel by channel; they are refused otherwise.
    pub colour: bool,
    /// Cuts an image with a longer side into tiles that answer for so many rows and columns each.
    pub tile: Option<usize>,
    /// In how many orientations each plane is shared; the receiver takes the mean of the results.
    pub average: Average,
    /// The part of the images to share, by their places in the list.
    pub shard: Shard,
    /// How many pixels beyond the model's input interval are accepted, and clamped.
    pub clamping: Clamping,
    /// Whether subfolders of folders are searched too; their images are called by their folders' names and their own.
    pub recursive: bool,
    /// Whether images that were shared into the folder before, as they are now, are shared once more; they are
    /// passed over otherwise.
    pub again: bool,
    /// Whether shares that are there are replaced.
    pub overwrite: Overwrite,
    /// Files besides the images that no share may replace.
    pub inputs: Vec<PathBuf>,
}

impl<'a> ShareImages<'a> {
    /// No images yet, for this model, with the model's own noise.
    pub fn new(public: &'a PublicModelFile, out: impl Into<Place>) -> Self {
        ShareImages {
            images: Vec::new(),
            public,
            out: out.into(),
            window: None,
            range: None,
            levels: Levels::default(),
            colour: false,
            tile: None,
            average: Average::None,
            shard: Shard::WHOLE,
            clamping: Clamping::Few,
            recursive: false,
            again: false,
            overwrite: Overwrite::Never,
            inputs: Vec::new(),
        }
    }
}

/// What was shared.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ShareReport {
    /// One entry for each pair of shares.
    pub images: Vec<SharedPlane>,
    /// How many images were to be shared.
    pub total: usize,
    /// Of these, those that were passed over, since they were shared into the folder before.
    pub skipped: usize,
    /// Those that failed while others did not; why was told as [`super::GatewayEvent::Failed`].
    pub failed: Vec<PathBuf>,
    /// Whether notes to the receiver go with them.
    pub notes: bool,
    /// All of the work.
    pub seconds: f64,
    /// Of these, reading and decoding the images' files.
    pub read_seconds: f64,
}

/// A pair of shares: of an image, of a channel, of a tile, of a channel of a tile; or of one of their orientations.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedPlane {
    /// The image.
    #[serde(serialize_with = "shown::path")]
    pub file: PathBuf,
    /// For a colour image the channel: red, green or blue.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown::channel")]
    #[cfg_attr(feature = "cli", schemars(with = "String"))]
    pub channel: Option<u8>,
    /// With `--tile`, which gives one entry for each tile: the part of the image that the tile
    /// covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", schemars(with = "crate::roles::schema::Rect"))]
    pub tile: Option<Rect>,
    /// With `--average`, which gives one entry for each orientation: how the picture lies, by the numbers of EXIF. 1 is
    /// as it is, 2 mirrored left to right, 3 turned by 180 degrees, 4 mirrored top to bottom; 5 to 8 are these with
    /// rows and columns exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", schemars(with = "u8"))]
    pub orientation: Option<Orientation>,
    /// Id of this sharing.
    #[serde(rename = "image_id", serialize_with = "shown::text")]
    #[cfg_attr(feature = "cli", schemars(with = "String"))]
    pub id: ImageId,
    /// Prefix of the two files, which end in .s0 and .s1.
    #[serde(serialize_with = "shown::path")]
    pub prefix: PathBuf,
    /// Rows of the picture or plane that was shared; of a tile with rows of its neighbours.
    pub height: usize,
    /// Columns of the picture or plane that was shared; of a tile with columns of its neighbours.
    pub width: usize,
    /// Noise level in grey levels, given or estimated; for Poisson noise that of stabilised levels.
    /// Public.
    pub sigma: f64,
    /// Pixels outside the model's input interval; at most 1 % of them without `--clamp`.
    #[serde(rename = "pixels_clamped")]
    pub clamped: usize,
}
