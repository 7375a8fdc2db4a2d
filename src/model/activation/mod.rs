//! Activations: what each one is, how each engine evaluates it, and what is public of it.
//!
//! [`Activation`] says which one a network has; everything that depends on that is in its file, behind [`Rules`]. How an
//! engine evaluates one is behind `Evaluation`, a file for each engine; a [`Method`] is what the owner chose of that.
//! [`ActivationSpec`] is an activation in integers, as a public description has it; what is asked of each engine's is
//! behind `Integers`.
//!
//! May use: piecewise functions, tables and exact ReLUs of `numbers`. Pure.
//!
//! Security: all of it is public, but for the ranges that calibration saw, which are not here.

mod cells;
mod circuits;
mod comparisons;
mod engine;
mod evaluation;
mod exact_relu;
mod function;
mod integers;
mod leaky;
mod lookups;
mod method;
mod relu;
mod rules;
mod spec;
mod tanh;

pub use cells::Cells;
pub use engine::EngineKind;
pub(super) use engine::made_error;
pub(super) use evaluation::{Evaluation, InputRange};
pub(crate) use exact_relu::ExactRelu;
pub use function::Activation;
pub(crate) use leaky::Leaky;
pub use method::Method;
pub(crate) use rules::Circuit;
pub use spec::ActivationSpec;
pub use tanh::TanhPieces;
