//! A server's job from files to files: check the inputs, meet the other server, agree on a slot,
//! denoise, write the result share.
//!
//! May use: every layer below roles.
//!
//! Security: a slot is marked as used before anything that depends on it leaves; inputs are checked before
//! anything is unsealed.

mod agree;
mod batch;
mod erase;
mod error;
mod inputs;
mod make;
mod party;
mod prepare;
mod report;
mod run;
mod slot;
mod state;
mod task;

pub use agree::ImageList;
pub use batch::{Batch, BatchPaths, Until};
pub use erase::{EraseReport, Extent, Owner, erase};
pub use error::{InputError, ServiceError};
pub use inputs::{InputPaths, Inputs, ServerKeys};
pub use make::{MadeSet, MakeInputs, MakeJob, MakePaths, MakeReport, WantedFile, make};
pub use party::Server;
pub use prepare::{PrepareReport, PreparedSlot, prepare};
pub use report::{ImageReport, PhaseReport, Report};
pub use run::{Job, run};
pub use state::claim_state;
pub use task::{Named, Round, Supply, Task};
