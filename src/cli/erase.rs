//! `erase`: overwrites what was used up.

use super::args::server::Erase;
use super::failure::Failure;
use super::output::{Console, print_json};
use super::server_side::erased;
use crate::roles::Server;
use crate::roles::server::{self, Extent};
use std::path::Path;

pub(super) fn run(args: &Erase, console: &mut Console) -> Result<(), Failure> {
    let extent = if !args.all {
        Extent::Spent
    } else if args.unused_too {
        Extent::AllEvenIfLeft
    } else {
        Extent::All
    };
    let ask = |file: &Path| args.unlock.passphrase(file);
    let server = Server::open(args.party, &args.keys, &ask, args.state.as_deref())?;
    let report = server.erase(&server::Erase { triples: args.triplets.clone(), extent })?;
    erased(&args.triplets, &report, console);
    if args.json {
        print_json(&report)?;
    }
    Ok(())
}
