//! Whether two shares are those of an image.

use super::images::Entry;
use super::public_model::{PublicModelError, read_public};
use super::shown;
use crate::artefact::{ArtefactError, ImagePair, PublicModelFile, level_map, open_image_pair};
use crate::files::container::AskPassphrase;
use crate::files::keys::KeyFolder;
use crate::files::{FormatError, Place};
use crate::ids::Role;
use crate::image::{Average, GreyImage, ImageError, Orientation, Raster};
use crate::model::encode_image;
use crate::network::NetworkError;
use crate::numbers::fixed::decode;
use crate::size::Size;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Why shares and an image cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The model's description.
    #[error(transparent)]
    Public(#[from] PublicModelError),
    /// The shares, or that they do not belong together.
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The model and the image's size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The image was shared for another model.
    #[error("'{file}': is for the model {found}, expected {expected}", file = .file.display())]
    OtherModel {
        /// The first share.
        file: PathBuf,
        /// The short id of its model.
        found: String,
        /// That of the model here.
        expected: String,
    },
    /// The image has another size.
    #[error("the shared image is {height}x{width}, this one another")]
    OtherSize {
        /// Rows of the shared image.
        height: usize,
        /// Its columns.
        width: usize,
    },
}

/// Two shares, and the image that they may be of.
#[derive(Clone, Copy, Debug)]
pub struct Verify<'a> {
    /// The shares of both servers, in any order.
    pub shares: [&'a Place; 2],
    /// The model's public description.
    pub model: &'a Place,
    /// The image; the orientation of it that fits best is taken, and of a colour image the channel.
    pub original: &'a Raster,
}

/// What two shares add up to, beside what the gateway makes of the image.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Verification {
    /// Id of the image, from the two shares.
    pub image_id: String,
    /// Whether the shares are those of the image.
    pub equal: bool,
    /// Of a file of several frames the one that was compared, from 1.
    pub frame: Option<usize>,
    /// Of a colour image the channel that was compared: red, green or blue.
    #[serde(serialize_with = "shown::channel")]
    #[cfg_attr(feature = "cli", schemars(with = "Option<String>"))]
    pub channel: Option<u8>,
    /// How the image lies that was shared, by the numbers of EXIF: 1 is as it is, others are of `share-image --average`.
    #[cfg_attr(feature = "cli", schemars(with = "u8"))]
    pub orientation: Orientation,
    /// Pixels of the shared image.
    #[serde(skip)]
    pub pixels: usize,
    /// Pixels that differ.
    pub pixels_differing: usize,
    /// Means of patches that differ, where the model adds them.
    pub patch_means_differing: usize,
    /// The largest difference in grey levels.
    pub largest_difference: f64,
}

impl Verification {
    /// Less is better: of two that fit as well, the one that lies as it is.
    fn fit(&self) -> (usize, bool) {
        (self.pixels_differing, self.orientation != Orientation::UPRIGHT)
    }
}

/// Compares two shares with an image. It undoes the sharing, so it needs the secret keys of both servers.
///
/// Security: for tests, and where all keys lie in one folder. Whoever holds both keys can see every image;
/// in production nobody does.
///
/// # Errors
/// [`VerifyError`]; [`VerifyError::Artefact`] for shares that do not belong together.
pub fn verify(
    keys: &Path,
    ask: &AskPassphrase<'_>,
    request: &Verify<'_>,
) -> Result<Verification, VerifyError> {
    let keys = KeyFolder::open(keys)?;
    let servers = [keys.secret(Role::Server0, ask)?, keys.secret(Role::Server1, ask)?];
    let public = read_public(request.model)?;
    let pair = open_image_pair(request.shares, &servers, &keys.public(Role::Gateway)?)?;
    let fields = &pair.fields;
    let named = (fields.model_id, fields.public_digest);
    if named != (public.facts.model_id, public.facts.digest) {
        let (found, expected) = (fields.model_id.short(), public.facts.model_id.short());
        let file = request.shares[0].name().to_owned();
        return Err(VerifyError::OtherModel { file, found, expected });
    }
    let (height, width) = (fields.height as usize, fields.width as usize);
    let (original, entry) = (request.original, Entry::of(public.model.trained()));
    // A share does not say which frame and channel it is, and how that lies; the note does, to the receiver.
    let mut best: Option<Verification> = None;
    for number in 0..original.frames() {
        let planes = original.frame(number)?;
        let images = entry.images(&planes)?;
        let frame = (original.frames() > 1).then_some(number + 1);
        for (index, image) in (0..).zip(images.iter()) {
            let channel = (images.len() > 1).then_some(index);
            for &orientation in Average::Eight.orientations() {
                let turned = entry.turn(orientation, image)?;
                if turned.size() != Size::new(height, width) {
                    continue;
                }
                let found = judge(&pair, &public, &turned)?;
                let found = Verification { frame, channel, orientation, ..found };
                if best.as_ref().is_none_or(|best| found.fit() < best.fit()) {
                    best = Some(found);
                }
            }
        }
    }
    let Size { height, width } = public.model.network.picture_size(Size::new(height, width));
    best.ok_or(VerifyError::OtherSize { height, width })
}

/// The shared values beside those that the gateway makes of the image.
fn judge(
    pair: &ImagePair,
    public: &PublicModelFile,
    image: &GreyImage,
) -> Result<Verification, VerifyError> {
    let model = &public.model;
    let map = level_map(&pair.fields.levels, model.units);
    let expected = encode_image(model, image, &map).pixels;
    let means = model.patch_means(&expected, image.size())?;
    let differing = |a: &[i64], b: &[i64]| {
        a.len().abs_diff(b.len()) + a.iter().zip(b).filter(|(x, y)| x != y).count()
    };
    let grey = |v: i64| map.to_grey(decode(v, pair.fields.frac_bits));
    let differences = pair.pixels.iter().zip(&expected).map(|(&a, &b)| (grey(a) - grey(b)).abs());
    let (pixels_differing, patch_means_differing) =
        (differing(&pair.pixels, &expected), differing(&pair.means, &means));
    Ok(Verification {
        image_id: pair.fields.image_id.to_string(),
        equal: pixels_differing + patch_means_differing == 0,
        frame: None,
        channel: None,
        orientation: Orientation::UPRIGHT,
        pixels: pair.pixels.len(),
        pixels_differing,
        patch_means_differing,
        largest_difference: differences.fold(0.0, f64::max),
    })
}
