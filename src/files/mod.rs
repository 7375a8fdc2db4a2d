//! Files of this program: containers, keys, the ledger of used slots, outputs.
//!
//! May use: the layers below it for what headers name (ids, ring, parameters of a model) and for generators.
//! What a payload means is the business of the layer that writes it ([`crate::artefact`]); its bytes are raw
//! little-endian.
//!
//! Security: files come from anyone and are checked before memory is taken for them; contents are sealed
//! from their maker to their reader; secret files are readable by their owner alone.
//!
//! Stability: none but of the names that [`crate::api`] has.

mod busy;
pub mod container;
pub mod error;
pub mod folder;
pub mod keys;
pub mod ledger;
pub mod output;
pub mod place;
pub mod private;

pub use error::FormatError;
pub use place::{Memory, Place};
