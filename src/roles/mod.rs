//! The roles as a Rust program plays them: [`ModelOwner`], [`Gateway`], [`Dealer`], two [`Server`]s and a
//! [`Receiver`]; or, where one cloud serves users who take part, those of [`one_cloud`].
//!
//! What passes from role to role are files, sealed from their maker to their reader, the same that the
//! commands write, on the disk or in memory: wherever a request takes a [`Place`](crate::files::Place) a path will do.
//! On the disk are the keys, what a server must not forget (its state folder), and folders that are watched. What passes between the two servers goes through any [`Channel`](crate::wire::Channel): TCP under TLS
//! ([`crate::wire::connect`], [`crate::wire::Listener`], with [`Server::security`]), a pair within one
//! process ([`crate::wire::pair`]), or one of your own. The example is at the [root](crate) of the crate.
//!
//! Outputs are replaced only where a request says so, and no partial output is left. Every call waits for
//! its end on this thread; compute threads are those of the current `rayon` pool, or the request's own.
//!
//! May use: every layer below.
//!
//! Security: each role needs its own secret key and the others' public ones; nobody but the two servers is
//! assumed not to collude.
//!
//! Stability: all of it but training is in [`crate::api`].

mod calibrate;
mod dealer;
mod demand;
mod gateway;
pub mod images;
pub mod inspect;
mod keys;
mod level_note;
mod model_owner;
pub mod models;
mod observer;
pub mod one_cloud;
mod one_line;
mod plain;
mod plausible;
mod public_model;
mod range_alarm;
mod receiver;
#[cfg(feature = "cli")]
pub(crate) mod schema;
pub mod server;
mod settle;
mod shard;
mod shown;
mod stop;
mod threads;
#[cfg(feature = "train")]
pub(crate) mod training;
mod verify;

pub use calibrate::{
    Calibrate, CalibrateError, CalibrateEvent, CalibratedLayer, Calibration, Widened, calibrate,
};
pub use dealer::{Deal, Dealer, DealerError, DealerEvent, DealtSet};
pub use demand::{MaterialDemand, MaterialError, MaterialNote};
pub use gateway::{
    Gateway, GatewayError, GatewayEvent, Picture, ShareImages, ShareReport, SharedPlane,
};
pub use keys::{NewKeys, make_keys};
pub use level_note::LevelNote;
pub use model_owner::{
    ModelOwner, ModelOwnerError, ModelOwnerEvent, ShareModel, SharedLayer, SharedModel,
};
pub use observer::{Observer, Silent};
pub use one_line::in_one_line;
pub use plain::{Arithmetic, Denoise, Denoised, NoNoiseMap, PlainError, PlainEvent, denoise};
pub use plausible::{Implausibility, Plausibility};
pub use public_model::{PublicModelError, read_public};
pub use range_alarm::{Alarmed, OutOfRangeOnShares, RangeAlarm};
pub use receiver::{
    MeanQuality, Receiver, ReceiverError, ReceiverEvent, Reconstruct, ReconstructReport,
    Reconstructed, ResultOf,
};
pub use server::Server;
pub use settle::ImplausibleResult;
pub use shard::Shard;
pub use stop::Stop;
pub use threads::{Threads, ThreadsError};
pub use verify::{Verification, Verify, VerifyError, verify};
