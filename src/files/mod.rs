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
pub(crate) mod container;
pub(crate) mod error;
pub(crate) mod folder;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod output;
pub(crate) mod place;
pub(crate) mod private;

pub use error::FormatError;
pub use place::{Memory, Place};
