//! Which material is wanted: how many slots for which sizes.

use super::images;
use super::observer::Observer;
use super::shard::Shard;
use crate::artefact::PublicModelFile;
use crate::files::container::header::ImageShare;
use crate::files::{FormatError, Place};
use crate::ids::ImageId;
use crate::material::Origin;
use crate::size::Size;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// Why no material can be made of what is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// More than any disk holds.
    #[error("that is more material than any disk holds")]
    TooMuch,
    /// An image that was shared for another model.
    #[error("'{file}': is for the model {found}, expected {expected}", file = .file.display())]
    OtherModel {
        /// The share.
        file: PathBuf,
        /// The short id of its model.
        found: String,
        /// That of the model here.
        expected: String,
    },
    /// No image share where material for images is wanted.
    #[error("'{place}': there are no image shares here", place = .place.display())]
    NoShares {
        /// The first of the places.
        place: PathBuf,
    },
    /// A share, or a folder of them.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// What is told before material is made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum MaterialNote {
    /// No image is of the shard: no material is made.
    EmptyShard,
    /// A set of material that will be made.
    Planned {
        /// Who makes it.
        origin: Origin,
        /// Rows and columns of the images.
        size: Size,
        /// How many images.
        slots: u64,
        /// Size of a file with explicit material.
        bytes: u64,
    },
}

/// How much material is wanted.
#[derive(Clone, Debug)]
pub enum MaterialDemand {
    /// So many slots for pictures of a size; those of a size that is named twice are added.
    Sizes(Vec<(Size, u64)>),
    /// A slot for each shared image of these shares, of either server, and folders of them.
    For {
        /// Files and folders.
        shares: Vec<Place>,
        /// The part of the images that counts.
        shard: Shard,
    },
}

impl MaterialDemand {
    /// A slot for each shared image of these shares.
    pub fn for_shares(shares: impl IntoIterator<Item = impl Into<Place>>) -> Self {
        let shares = shares.into_iter().map(Into::into).collect();
        MaterialDemand::For { shares, shard: Shard::WHOLE }
    }

    /// So many slots for images of one size.
    pub fn slots(size: Size, slots: u64) -> Self {
        MaterialDemand::Sizes(vec![(size, slots)])
    }

    /// How many slots for each size. Nothing where no image is of the shard, of which `observer` is told.
    ///
    /// # Errors
    /// [`MaterialError::OtherModel`], [`MaterialError::NoShares`], [`MaterialError::Format`].
    pub(super) fn by_size<E: From<MaterialNote>>(
        &self,
        public: &PublicModelFile,
        observer: &mut dyn Observer<E>,
    ) -> Result<BTreeMap<Size, u64>, MaterialError> {
        let mut wanted: BTreeMap<Size, u64> = BTreeMap::new();
        let (shares, shard) = match self {
            MaterialDemand::Sizes(sizes) => {
                for (size, slots) in sizes {
                    let size = public.model.network.image_size(*size);
                    let sum = wanted.entry(size).or_default();
                    *sum = sum.checked_add(*slots).ok_or(MaterialError::TooMuch)?;
                }
                return Ok(wanted);
            }
            MaterialDemand::For { shares, shard } => (shares, shard),
        };
        let mut seen: HashSet<ImageId> = HashSet::new();
        let facts = &public.facts;
        for (file, share) in images::shares::<ImageShare>(shares)? {
            if (share.model_id, share.public_digest) != (facts.model_id, facts.digest) {
                let (found, expected) = (share.model_id.short(), facts.model_id.short());
                let file = file.name().to_owned();
                return Err(MaterialError::OtherModel { file, found, expected });
            }
            if seen.insert(share.image_id) && shard.takes_image(share.image_id) {
                let size = share.size();
                *wanted.entry(size).or_default() += 1;
            }
        }
        if seen.is_empty() {
            let place = shares.first().map_or(PathBuf::new(), |place| place.name().to_owned());
            return Err(MaterialError::NoShares { place });
        }
        if wanted.is_empty() {
            observer.event(MaterialNote::EmptyShard.into());
        }
        Ok(wanted)
    }
}

/// The prefix of a set's files: with the size in it if there are several.
pub(super) fn prefix(out: &Place, Size { height, width }: Size, several: bool) -> Place {
    let mut name = out.name().as_os_str().to_owned();
    if several {
        name.push(format!("-{height}x{width}"));
    }
    out.called(name.into())
}
