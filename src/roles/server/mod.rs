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
mod deliver;
mod erase;
mod error;
mod event;
mod inputs;
mod jobs;
mod link;
mod make;
mod meeting;
mod party;
mod prepare;
mod report;
mod run;
mod serve;
mod slot;
mod state;
mod stock;
mod task;
mod watch;

pub use agree::ImageList;
pub use batch::{Folders, Until, Watching};
pub use erase::{Erase, Extent};
pub use error::{InputError, InputErrors, ServerError, ServiceError};
pub use event::{PeerFacts, ServerEvent, ServerPhase, SetFound};
pub use inputs::{ServerFiles, description_beside};
pub use link::{Link, Meet, Peer};
pub use make::{Make, MakePaths};
pub use party::Server;
pub use prepare::{Prepare, PrepareReport, PreparedSlot};
pub use report::{EraseReport, ImageReport, MadeSet, MakeReport, PhaseReport, ServeReport};
pub use serve::{Images, Serve};

// What a cloud and its users do as servers.
pub(in crate::roles) use erase::erase;
pub(in crate::roles) use inputs::{Inputs, ServerKeys};
pub(in crate::roles) use make::{MakeInputs, MakeJob, WantedFile, make};
pub(in crate::roles) use party::Owner;
pub(in crate::roles) use run::{Job, run};
pub(in crate::roles) use state::claim_state;
pub(in crate::roles) use task::{Held, Round, Subject, Supply, Task};
