//! A server's material: the sets in its folders, what is computed of them ahead, what two servers make, and how what
//! is spent is erased.

mod erase;
mod make;
mod prepare;
mod shelf;

pub(in crate::roles) use erase::erase;
pub use erase::{Erase, Extent};
pub(super) use erase::{ensure_file, run as run_erase};
pub(super) use make::run as run_make;
pub use make::{Make, MakePaths};
pub(in crate::roles) use make::{MakeInputs, MakeJob, WantedFile, make};
pub(super) use prepare::prepare;
pub use prepare::{Prepare, PrepareReport, PreparedSlot};
pub(super) use shelf::Shelf;
