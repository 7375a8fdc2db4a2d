//! Both shares of an image together: what nobody but their maker may see.

use super::error::ArtefactError;
use super::{ImageParts, ImageShareFile, PairError};
use crate::crypto::share;
use crate::files::Place;
use crate::files::container::envelope::{OpenFrom, open_file};
use crate::files::container::header::ImageShare;
use crate::files::keys::{PublicKey, SecretKey};
use crate::ids::Role;
use crate::numbers::ring::{Ring, RingBits};
use zeroize::Zeroizing;

/// A shared image put together again.
pub(crate) struct ImagePair {
    /// What both headers say; the party and the note are those of the first file.
    pub fields: ImageShare,
    /// The encoded pixels, row-major.
    pub pixels: Zeroizing<Vec<i64>>,
    /// The encoded patch means, if the model adds them.
    pub means: Zeroizing<Vec<i64>>,
}

/// Adds the two shares of an image up. `servers` are the secret keys of server 0 and server 1, to
/// whom the shares are sealed.
///
/// Security: this undoes the sharing. Whoever holds both keys can do it, so in production nobody
/// does.
///
/// # Errors
/// [`crate::files::FormatError`] of either file, [`PairError`] if they do not belong together.
pub(crate) fn open_image_pair(
    places: [&Place; 2],
    servers: &[SecretKey; 2],
    gateway: &PublicKey,
) -> Result<ImagePair, ArtefactError> {
    let files = [open_file(places[0])?, open_file(places[1])?];
    let fields = [*files[0].expect::<ImageShare>()?, *files[1].expect::<ImageShare>()?];
    check_pair(places, &fields)?;
    let keys = |file: usize| OpenFrom {
        recipient: &servers[fields[file].party.index()],
        sender: gateway,
        role: Role::Gateway,
    };
    let [first, second] = files;
    let shares =
        [ImageShareFile::unseal(first, keys(0))?, ImageShareFile::unseal(second, keys(1))?];
    let (pixels, means) = match fields[0].ring_bits {
        RingBits::L32 => combine::<u32>(shares)?,
        RingBits::L64 => combine::<u64>(shares)?,
    };
    Ok(ImagePair { fields: fields[0], pixels, means })
}

type Values = Zeroizing<Vec<i64>>;

fn combine<R: Ring>([a, b]: [ImageShareFile; 2]) -> Result<(Values, Values), ArtefactError> {
    let (a, b): (ImageParts<R>, ImageParts<R>) = (a.into_parts()?, b.into_parts()?);
    let add = |x: &[R], y: &[R]| {
        let sum = Zeroizing::new(share::combine(x, y));
        Zeroizing::new(sum.iter().map(|v| v.to_i64()).collect::<Vec<i64>>())
    };
    Ok((add(&a.pixels, &b.pixels), add(&a.means, &b.means)))
}

fn check_pair(places: [&Place; 2], [a, b]: &[ImageShare; 2]) -> Result<(), PairError> {
    let [first, second] = places.map(|place| place.name().display().to_string());
    if a.party == b.party {
        return Err(PairError::SameParty { first, second, party: a.party });
    }
    let neutral = |f: &ImageShare| ImageShare { party: a.party, note: 0, ..*f };
    if neutral(a) == neutral(b) {
        return Ok(());
    }
    let (what, ours, theirs) = if a.image_id == b.image_id {
        ("descriptions", format!("{a:?}"), format!("{b:?}"))
    } else {
        ("images", a.image_id.short(), b.image_id.short())
    };
    Err(PairError::Different { first, second, what, ours, theirs })
}
