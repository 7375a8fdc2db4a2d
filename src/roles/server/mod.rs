//! A server's jobs from files to files. [`Server::serve`]: check the inputs, meet the other server, agree on a
//! slot, denoise, write the result share. [`Server::prepare`], [`Server::make`] and [`Server::erase`] are for
//! the material that it uses up.
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
mod jobs;
mod link;
mod make;
mod party;
mod prepare;
mod report;
mod run;
mod serve;
mod slot;
mod state;
mod task;

pub use agree::ImageList;
pub use batch::{Folders, Until};
pub use erase::{Erase, Extent};
pub use error::{InputError, ServiceError};
pub use inputs::{ServerFiles, description_beside};
pub use link::{Link, Meet, Peer};
pub use make::{MadeSet, Make, MakeReport};
pub use party::Server;
pub use prepare::{Prepare, PrepareReport, PreparedSlot};
pub use report::{EraseReport, ImageReport, PhaseReport, Report};
pub use serve::{Images, Serve};
