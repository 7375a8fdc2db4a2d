//! A server's jobs from files to files. [`Server::serve`]: check the inputs, meet the other server, agree on a
//! slot, denoise, write the result share. [`Server::prepare`], [`Server::make`] and [`Server::erase`] are for
//! the material that it uses up.
//!
//! May use: every layer below roles.
//!
//! Security: a slot is marked as used before anything that depends on it leaves; inputs are checked before
//! anything is unsealed.

mod error;
mod event;
mod inputs;
mod jobs;
mod link;
mod party;
mod report;
mod serve;
mod session;
mod state;
mod stock;
mod supply;
mod watch;

pub use error::{InputError, InputErrors, ServerError, ServiceError};
pub use event::{PeerFacts, ServerEvent, ServerPhase, SetFound, Standing};
pub use inputs::{ServerFiles, description_beside};
pub use link::{Link, Meet, Peer};
pub use party::Server;
pub use report::{EraseReport, ImageReport, MadeSet, MakeReport, PhaseReport, ServeReport};
pub use serve::{Images, Serve};
pub use session::ImageList;
pub use stock::{Erase, Extent, Make, MakePaths, Prepare, PrepareReport, PreparedSlot};
pub use supply::{Folders, Until, Watching};

// What a cloud and its users do as servers.
pub(super) use inputs::{Inputs, ServerKeys};
pub(super) use party::Owner;
pub(super) use session::{Job, run};
pub(super) use state::claim_state;
pub(super) use stock::{MakeInputs, MakeJob, WantedFile, erase, make};
pub use supply::OwnResult;
pub(super) use supply::{AgreedImage, MemoryShare, Round, Supply, Task};
