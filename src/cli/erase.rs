//! `erase`: overwrites what was used up.

use super::args::server::Erase;
use super::failure::{Code, Failure};
use super::output::{Console, bytes, print_json};
use super::server_side::{own_ledger, state_folder};
use crate::files::FormatError;
use crate::files::keys::KeyFolder;
use crate::files::ledger::Ledger;
use crate::ids::Role;
use crate::roles::server::{EraseReport, Extent, Owner, ServiceError, erase};
use std::path::Path;

pub(super) fn run(args: &Erase, console: &mut Console) -> Result<(), Failure> {
    ensure_file(&args.triplets)?;
    let keys = KeyFolder::open(&args.keys)?;
    let key = args.unlock.secret(&keys, Role::server(args.party))?.public().fingerprint();
    let extent = match (args.all, args.force) {
        (false, _) => Extent::Spent,
        (true, false) => Extent::All,
        (true, true) => Extent::AllEvenIfLeft,
    };
    let state = state_folder(args.state.as_deref(), key)?;
    // A new ledger would say that nothing is spent.
    if !state.is_dir() {
        return Err(Failure::new(Code::Input, "the state folder does not exist").about(&state));
    }
    let mut ledger = own_ledger(&state, key)?;
    let owner = Owner { party: args.party, key };
    let report = erase(&args.triplets, owner, &mut ledger, extent)?;
    tell(&args.triplets, &report, console);
    if args.json {
        print_json("ppdenoise.erase.v1", &report)?;
    }
    Ok(())
}

/// Refuses a pipe, which keeps nothing that could be erased.
pub(super) fn ensure_file(path: &Path) -> Result<(), Failure> {
    let meta = std::fs::metadata(path).map_err(|e| FormatError::io(path, "open", e))?;
    if meta.is_file() {
        return Ok(());
    }
    let help = "name the file of triples; what came through a pipe is not kept";
    Err(Failure::new(Code::Usage, "nothing can be erased there").about(path).help(help))
}

/// Erases what a job has spent. Another job that still uses the file leaves it for the next time.
pub(super) fn after_a_job(
    path: &Path,
    owner: Owner,
    ledger: &mut Ledger,
    console: &Console,
) -> Result<Option<EraseReport>, Failure> {
    match erase(path, owner, ledger, Extent::Spent) {
        Ok(report) => {
            tell(path, &report, console);
            Ok(Some(report))
        }
        Err(ServiceError::Format(FormatError::InUse { .. })) => {
            console.note("nothing erased: another process works with the triples");
            Ok(None)
        }
        Err(e) => Err(e.into()),
    }
}

fn tell(path: &Path, report: &EraseReport, console: &Console) {
    let file = path.display();
    let EraseReport { slots, slots_spent, .. } = report;
    if report.file_removed {
        console.note(format!("'{file}' overwritten and removed, seeds included"));
    } else {
        console.note(format!(
            "{slots_spent} of {slots} slot(s) spent: {} overwritten in '{file}'; its seeds stay \
             while slots are left",
            bytes(report.bytes_erased),
        ));
    }
    if report.prepared_removed > 0 {
        console.note(format!("{} prepared file(s) overwritten", report.prepared_removed));
    }
}
