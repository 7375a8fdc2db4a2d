//! Denoising images as they come, session after session: the other server may go and come back, material and public
//! keys may change. What a session computes with is settled at its start; when it changes, the session ends between
//! two images and another one begins.

mod meeting;
mod watched;

use super::inputs::{Inputs, ServerFiles, ServerKeys};
use super::link::Peer;
use super::report::ServeReport;
use super::serve::Serve;
use super::session::{Around, Job, run_on};
use super::stock::{Shelf, erase};
use super::supply::{Batch, Folders, Supply, Watching};
use super::{Extent, Server, ServerError, ServerEvent, ServiceError, Standing};
use crate::files::ledger::Ledger;
use crate::files::{FormatError, Place};
use crate::ids::Fingerprint;
use crate::protocol::{InCommon, ProtocolError, compare_stock};
use crate::roles::observer::Observer;
use crate::size::Size;
use crate::wire::Channel;
use meeting::{Meeting, may_return};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use watched::Watched;

/// How often it is looked whether the job is over while nothing can be done.
const TICK: Duration = Duration::from_millis(100);
/// How often both servers tell what they have while they have no material in common.
const AGAIN: Duration = Duration::from_secs(1);

/// As [`Server::serve`], of folders that are watched.
pub(super) fn serve(
    server: &Server,
    request: &Serve,
    folders: &Folders,
    watching: &Watching,
    peer: Peer<'_>,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<ServeReport, ServerError> {
    request.check()?;
    let keys = server.keys()?;
    let way = server.way(peer)?;
    let mut shift = Shift::begin(server, request, folders, watching, &keys, observer)?;
    let mut meeting = Meeting::begin(way, observer)?;
    while let Some(mut linked) = meeting.wait(&mut || shift.batch.is_over(), observer)? {
        let done = shift.report.images.len();
        match shift.session(linked.channel(), observer) {
            Ok(()) if shift.batch.is_over() || !meeting.can_come_again() => break,
            Ok(()) => meeting.ended(),
            // What came through a pipe has been read.
            Err(e) if is_lost(&e) && meeting.can_come_again() && !shift.has_pipes() => {
                meeting.lost(e, shift.report.images.len() > done, observer);
            }
            Err(e) => return Err(e),
        }
    }
    // Who is asked to end while it waits has not failed.
    if shift.report.sessions == 0
        && !shift.batch.stopped()
        && let Some(error) = meeting.missed()
    {
        return Err(error);
    }
    shift.batch.tell_lonely(Duration::ZERO, observer);
    observer.event((&shift.report).into());
    if request.erase_spent {
        for triples in shift.triples() {
            shift.erase(&triples, true, observer)?;
        }
    }
    Ok(shift.report)
}

/// Whether the other server is gone, and may come back.
fn is_lost(error: &ServerError) -> bool {
    match error {
        ServerError::Service(ServiceError::Protocol(ProtocolError::Net(e))) => may_return(e),
        _ => false,
    }
}

/// A job over its sessions.
struct Shift<'a> {
    server: &'a Server,
    request: &'a Serve,
    watching: &'a Watching,
    state: PathBuf,
    ledger: Ledger,
    batch: Batch,
    /// Where triples are folders.
    shelf: Option<Shelf>,
    /// The keys that were in the folder at the last session.
    keys: [Option<Fingerprint>; 4],
    /// Sizes of images of which it was told that they wait for material.
    starving: HashSet<Size>,
    /// What was told last of what is before it.
    standing: Standing,
    report: ServeReport,
}

impl<'a> Shift<'a> {
    /// Checks everything that can be checked without the other server.
    fn begin(
        server: &'a Server,
        request: &'a Serve,
        folders: &Folders,
        watching: &'a Watching,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Self, ServerError> {
        let triples = &request.files.triples;
        let shelf = triples.iter().any(Place::is_dir);
        let shelf = shelf.then(|| Shelf::new(server.owner(), triples)).transpose()?;
        let refilled = shelf.is_some();
        let inputs = open(server, request, keys, refilled)?;
        request.outputs()?;
        let state = server.state()?;
        let ledger = server.ledger(&state)?;
        let mut shift = Shift {
            server,
            request,
            watching,
            state,
            ledger,
            batch: Batch::new(server.party, folders.clone()),
            shelf,
            keys: keys.names(),
            starving: HashSet::new(),
            standing: Standing::default(),
            report: ServeReport {
                engine: inputs.public.model.engine.name(),
                ..ServeReport::default()
            },
        };
        shift.batch.scan(&inputs, keys, observer)?;
        let slots_left = match &mut shift.shelf {
            Some(shelf) => {
                shelf.scan(&inputs, keys, &mut shift.ledger, observer)?;
                shelf.slots_by_size(&mut shift.ledger)?
            }
            None => {
                inputs.check_any_slot(&mut shift.ledger)?;
                inputs.slots_by_size(&mut shift.ledger)?
            }
        };
        let waiting = shift.batch.sizes(keys).len() as u64;
        tell_standing(Standing { waiting, slots_left }, &mut shift.standing, observer);
        Ok(shift)
    }

    /// Whether material comes through a pipe, which serves one session only.
    fn has_pipes(&self) -> bool {
        let triples = &self.request.files.triples;
        triples.iter().filter_map(Place::path).any(|path| !path.is_file() && !path.is_dir())
    }

    /// All files of triples on the disk.
    fn triples(&self) -> Vec<PathBuf> {
        match &self.shelf {
            Some(shelf) => shelf.files(),
            None => {
                let files = self.request.files.triples.iter().filter_map(Place::path);
                files.map(Path::to_owned).collect()
            }
        }
    }

    /// One session, to its end.
    fn session(
        &mut self,
        channel: &mut dyn Channel,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<(), ServerError> {
        let (server, request) = (self.server, self.request);
        let keys = server.keys()?;
        self.take_keys(&keys, observer);
        self.batch.resume();
        let mut inputs = open(server, request, &keys, self.shelf.is_some())?;
        if self.shelf.is_some() {
            self.erase_used_up(&inputs, &keys, observer)?;
        }
        let common = if self.shelf.is_some() {
            match self.stock(&mut inputs, &keys, channel, observer)? {
                Some(common) => common,
                None => return Ok(()),
            }
        } else {
            InCommon::default()
        };
        let fed: HashSet<_> = inputs.sets.iter().map(super::inputs::Set::size).collect();
        self.starving.retain(|size| !fed.contains(size));
        let mut ledger = server.ledger(&self.state)?;
        let mut supply = Watched {
            server,
            patience: self.watching.missing_after,
            batch: &mut self.batch,
            shelf: self.shelf.as_mut(),
            ledger: &mut ledger,
            keys: self.keys,
            elsewhere: common.elsewhere,
            starving: &mut self.starving,
            standing: &mut self.standing,
            renews: false,
            looked: Instant::now(),
        };
        let job = Job { keys: &keys, ledger: &mut self.ledger, state: &self.state };
        let report = &mut self.report;
        let around = Around { supply: &mut supply, channel, report, observer };
        let work = || run_on(inputs, job, around);
        Ok(request.threads.run(work)??)
    }

    /// What other keys make of files that are known is found out anew.
    fn take_keys(&mut self, keys: &ServerKeys<'_>, observer: &mut dyn Observer<ServerEvent>) {
        if self.keys == keys.names() {
            return;
        }
        self.keys = keys.names();
        self.batch.forget_files();
        if let Some(shelf) = &mut self.shelf {
            shelf.forget();
        }
        observer.event(ServerEvent::KeysChanged);
    }

    /// Exchanges with the other server what both have until they have something in common, and opens that; nothing
    /// if the job is over, or keys have changed.
    fn stock(
        &mut self,
        inputs: &mut Inputs,
        keys: &ServerKeys<'_>,
        channel: &mut dyn Channel,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Option<InCommon>, ServerError> {
        let Some(shelf) = &mut self.shelf else { return Ok(None) };
        loop {
            shelf.scan(inputs, keys, &mut self.ledger, observer)?;
            let common =
                compare_stock(&shelf.offer(inputs), channel).map_err(ServiceError::from)?;
            shelf.agreed(&common);
            if !common.sets.is_empty() {
                for set in &common.sets {
                    let file = shelf.file_of(*set).unwrap_or_default();
                    match inputs.set(keys, &file) {
                        Ok(opened) => inputs.sets.push(opened),
                        // It is being erased, or was taken away this moment: the next session does without it.
                        Err(error) => {
                            shelf.forget();
                            observer.event(ServerEvent::SetRefused { file, error });
                            return Ok(None);
                        }
                    }
                }
                return Ok(Some(common));
            }
            self.batch.scan(inputs, keys, observer)?;
            let waiting = self.batch.waiting(keys);
            tell_starving(&waiting, &mut self.starving, observer);
            let slots_left = shelf.slots_by_size(&mut self.ledger)?;
            let waiting = waiting.values().sum();
            tell_standing(Standing { waiting, slots_left }, &mut self.standing, observer);
            let until = Instant::now() + AGAIN;
            while Instant::now() < until {
                observer.alive();
                if self.batch.is_over() {
                    return Ok(None);
                }
                std::thread::sleep(TICK);
            }
            shelf.changed(inputs, keys, &mut self.ledger, self.watching.missing_after, observer)?;
            if self.server.keys().is_ok_and(|now| now.names() != self.keys) {
                return Ok(None);
            }
        }
    }

    /// Overwrites and removes sets that are used up, if that is asked for.
    fn erase_used_up(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<(), ServerError> {
        if let Some(shelf) = &mut self.shelf {
            shelf.scan(inputs, keys, &mut self.ledger, observer)?;
        }
        if self.request.erase_spent {
            for file in self.triples() {
                self.erase(&file, false, observer)?;
            }
        }
        Ok(())
    }

    /// Overwrites what is spent of a file of triples; the report has it if this is the end of the job.
    fn erase(
        &mut self,
        file: &Path,
        last: bool,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<(), ServerError> {
        match erase(file, self.server.owner(), &mut self.ledger, Extent::Spent) {
            Ok(erased) => {
                if last || erased.slots_erased > 0 || erased.file_removed {
                    observer.event(ServerEvent::Erased {
                        file: file.to_owned(),
                        report: erased.clone(),
                    });
                }
                if last || erased.file_removed {
                    self.report.erased.push(erased);
                }
            }
            // Another job that still uses the file leaves it for the next time.
            Err(ServerError::Service(ServiceError::Format(FormatError::InUse { .. }))) => {
                observer.event(ServerEvent::NotErased(file.to_owned()));
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// The inputs of a session, without material if that comes from folders.
fn open(
    server: &Server,
    request: &Serve,
    keys: &ServerKeys<'_>,
    refilled: bool,
) -> Result<Inputs, ServerError> {
    let ServerFiles { model, public, triples } = request.files.clone();
    let triples = if refilled { Vec::new() } else { triples };
    let files = ServerFiles { model, public, triples };
    let inputs = Inputs::open(server.party, keys, &files, &[])?;
    Ok(Inputs { refilled, ..inputs })
}

/// Tells what is before the server, if that is not what was told last.
fn tell_standing(now: Standing, told: &mut Standing, observer: &mut dyn Observer<ServerEvent>) {
    if now != *told {
        told.clone_from(&now);
        observer.event(ServerEvent::Standing(now));
    }
}

/// Tells of sizes of which images wait, once each.
fn tell_starving(
    waiting: &BTreeMap<Size, u64>,
    told: &mut HashSet<Size>,
    observer: &mut dyn Observer<ServerEvent>,
) {
    for (&size, &images) in waiting {
        if told.insert(size) {
            observer.event(ServerEvent::NoMaterial { size, images });
        }
    }
}
