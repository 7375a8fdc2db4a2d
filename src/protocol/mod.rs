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

pub use alarm::{AlarmKeys, Factor};
pub use blind_alarm::BlindAlarm;
pub use engine::{ActivationBatch, Engine, Step};
pub(crate) use error::wrong_length;
pub use error::{ProtocolError, SourceError};
#[cfg(feature = "cli")]
pub(crate) use gc::Side;
pub use gc::{GcEngine, GcSession};
pub(crate) use handshake::listed;
pub use handshake::{Agreement, Identity, SetFacts, greet};
pub use line::{field_for, measure as measure_line};
pub use lut::LutEngine;
pub use mask_products::MaskProducts;
pub use ot_session::OtSession;
pub use pair::PairSession;
pub use pair_greeting::{
    Common, HINTS, KnownMask, MakerIdentity, Parameters, WantedSet, confirm, greet_maker,
};
pub use pair_linear::{HintMessage, LinearSetUp, LinearShares, LinearWork, PairLinear, WatchHints};
pub use relu::{ReluEngine, ReluOp, ReluState};
pub use server_model::{MaskedWeights, ServerModel, WeightSource, weights_digest};
pub use session::{Image, MaterialSource, Sources, denoise};
pub use stock_greeting::{InCommon, MAX_STOCK, Stock, StockedSet, compare_stock};
