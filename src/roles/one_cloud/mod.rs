//! One cloud and its users: the cloud is server 0, and each user is server 1, gateway and receiver at once.
//!
//! The user's share of an image is the whole image and the cloud's is zero, so of the image only V = A - Y
//! leaves; the result's other half comes back over the link. Material is made by the two, without a dealer.
//! A [`User`] visits, with an [`Errand`] if its images are files; a [`Cloud`] has many: each [`Client`] has a pinned key, a model shared for the two alone,
//! material, a ledger and a quota.
//!
//! What a user asks for in a session: which of its sets of material the cloud still has, then material, or
//! images, in any order ([`Visit`]); everything in these requests is public.
//!
//! Security: semi-honest, docs/one-cloud.md. Results reach a party that holds half of the secrets: their low
//! bits are dropped before they leave the cloud.

mod add;
mod clients;
mod daemon;
mod errand;
mod error;
mod event;
mod gate;
mod host;
#[cfg(test)]
mod hostile;
mod pace;
mod quota;
mod request;
mod session;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod user;
#[cfg(test)]
mod world;

pub use add::NewClient;
pub use clients::{Client, Clients};
pub use daemon::{Busy, Cloud, CloudEvent, Crowd};
pub use errand::{Brought, Errand, Errands, Goal, Ready};
pub use error::{CloudError, Denied, UserError};
pub use event::UserEvent;
pub use pace::Pace;
pub use request::{MAX_IMAGES, MAX_SETS, check_request};
pub use session::SessionReport;
pub use settings::Settings;
pub use user::{OwnImage, User, Visit};

use crate::crypto::rlwe::Profile;
use crate::material::pair::Exposure;
use crate::model::PublicModel;
use crate::network::NetworkError;
use crate::size::Size;

/// Results reach a party that holds half of the secrets, so products must be off by one as good as never (R8).
const PROFILE: Profile = Profile::Q104;

/// What the result of an image of a size adds at most to the divergence between what a user sees and what exact products
/// would show; `divergence_of` an advantage is what they may come to.
///
/// # Errors
/// [`NetworkError`] for a size that the model does not take.
pub fn exposure(public: &PublicModel, size: Size) -> Result<f64, NetworkError> {
    Ok(Exposure::of(public, size, PROFILE)?.divergence)
}
