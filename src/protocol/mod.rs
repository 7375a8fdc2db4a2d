//! The two servers' computation: mathematics joined to a channel.
//!
//! A network is evaluated batch by batch (a batch is a batch of patches). Everything between two
//! messages is a pure step of `batch`'s state machine; `session` owns the channel and keeps
//! several batches in flight, so that one computes while another's opening travels.
//!
//! May use: material, models and a [`crate::wire::Channel`]; no files.
//!
//! Security: two semi-honest servers that do not collude. Only masked values travel, each mask once; what a
//! peer sends is checked for its length and its place.
//!
//! Stability: none; nothing of it is in [`crate::api`].

mod alarm;
mod batch;
mod blind_alarm;
mod engine;
mod error;
mod gc;
mod handshake;
mod line;
mod lut;
mod mask_products;
mod opening;
mod ot_session;
mod pair;
mod pair_greeting;
mod pair_linear;
mod relu;
mod server_model;
mod session;
mod stock_greeting;
#[cfg(test)]
mod tests;

pub(crate) use alarm::{AlarmKeys, Factor};
pub(crate) use blind_alarm::BlindAlarm;
pub use engine::{ActivationBatch, Engine, Step};
pub(crate) use error::ProtocolError;
pub use error::SourceError;
pub(crate) use error::wrong_length;
#[cfg(feature = "cli")]
pub(crate) use gc::Side;
pub use gc::{GcEngine, GcSession};
pub(crate) use handshake::Agreement;
pub(crate) use handshake::listed;
pub use handshake::{Identity, SetFacts, greet};
pub(crate) use line::{field_for, measure as measure_line};
pub use lut::LutEngine;
pub(crate) use mask_products::MaskProducts;
pub(crate) use ot_session::OtSession;
pub use pair::PairSession;
pub(crate) use pair_greeting::{
    Common, HINTS, KnownMask, MakerIdentity, Parameters, WantedSet, confirm, greet_maker,
};
pub(crate) use pair_linear::{HintMessage, LinearSetUp, LinearShares, LinearWork, PairLinear};
pub use relu::{ReluEngine, ReluOp};
pub use server_model::{MaskedWeights, WeightSource};
pub(crate) use server_model::{ServerModel, weights_digest};
pub use session::{Image, MaterialSource, Sources, denoise};
pub use stock_greeting::Stock;
pub(crate) use stock_greeting::{InCommon, MAX_STOCK, StockedSet, compare_stock};
