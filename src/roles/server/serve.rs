//! Denoising, from a request to a report.

use super::inputs::{Inputs, ServerFiles, ServerKeys};
use super::link::Peer;
use super::report::ServeReport;
use super::session::{Job, run};
use super::stock::{ensure_file, erase};
use super::supply::{Batch, Folders, Named, Supply, Until};
use super::{Extent, Server, ServerError, ServerEvent, ServiceError};
use crate::files::container::header::ImageShare;
use crate::files::ledger::Ledger;
use crate::files::output::{Access, OutputFile, Overwrite, ensure_not_input};
use crate::files::{FormatError, Place};
use crate::roles::images;
use crate::roles::observer::Observer;
use crate::roles::threads::Threads;
use std::collections::HashSet;
use std::path::PathBuf;

/// What a server is to denoise.
#[derive(Clone, Debug)]
pub struct Serve {
    /// Its model and material.
    pub files: ServerFiles,
    /// The images, and where the results go.
    pub images: Images,
    /// Files beside the inputs that no result may replace.
    pub keep: Vec<PathBuf>,
    /// Whether the material of spent slots is overwritten afterwards.
    pub erase_spent: bool,
    /// With how many threads.
    pub threads: Threads,
}

/// Images of a job.
#[derive(Clone, Debug)]
pub enum Images {
    /// These, all or none: the other server must have the same. None may fail.
    Named {
        /// This server's shares, each with its result's file.
        files: Vec<(Place, Place)>,
        /// Whether results that are there are replaced.
        overwrite: Overwrite,
    },
    /// Those of folders of which both servers have a share. One that fails is left out.
    Folders(Folders),
}

impl Serve {
    /// A job with everything else as it is usual.
    pub fn new(files: ServerFiles, images: Images) -> Self {
        let (keep, erase_spent, threads) = (Vec::new(), false, Threads::Current);
        Serve { files, images, keep, erase_spent, threads }
    }

    /// A job of these images, each with its result's file.
    pub fn named<P: Into<Place>>(
        files: ServerFiles,
        images: impl IntoIterator<Item = (P, P)>,
    ) -> Self {
        let places = images.into_iter().map(|(image, out)| (image.into(), out.into()));
        let (files_of, overwrite) = (places.collect(), Overwrite::Never);
        Serve::new(files, Images::Named { files: files_of, overwrite })
    }

    /// What can be wrong with the request itself.
    #[expect(
        clippy::mutable_key_type,
        reason = "a folder in memory is told by which it is, not by its files"
    )]
    pub(super) fn check(&self) -> Result<(), ServerError> {
        if self.erase_spent {
            let mut triples = self.files.triples.iter().filter(|place| !place.is_dir());
            triples.try_for_each(ensure_file)?;
        }
        match &self.images {
            Images::Named { files, .. } => {
                let mut seen = HashSet::new();
                match files.iter().find(|(_, out)| !seen.insert(out.spelled())) {
                    Some((_, out)) => Err(ServerError::OneOutput { file: out.name().to_owned() }),
                    None => Ok(()),
                }
            }
            Images::Folders(Folders { images, shard, until: Until::Done, .. })
                if !shard.is_whole() =>
            {
                // Parts are drawn by ids, so one of many can be empty. Files that are no good are told
                // later.
                let places: Vec<Place> = images.iter().map(Place::from).collect();
                let shares = images::shares::<ImageShare>(&places).unwrap_or_default();
                let ours = shares.iter().any(|(_, s)| shard.takes_image(s.image_id));
                if shares.is_empty() || ours { Ok(()) } else { Err(ServerError::EmptyShard) }
            }
            Images::Folders(_) => Ok(()),
        }
    }

    /// Opens the results of images that are named. A folder that takes no file is told now as well.
    pub(super) fn outputs(&self) -> Result<Vec<OutputFile>, FormatError> {
        let ServerFiles { model, public, triples } = &self.files;
        match &self.images {
            Images::Named { files, overwrite } => {
                let inputs = [model, public].into_iter().chain(triples);
                let inputs = inputs.chain(files.iter().map(|(image, _)| image)).cloned();
                let inputs: Vec<Place> = inputs.chain(self.keep.iter().map(Place::from)).collect();
                let create = |(_, out): &(Place, Place)| {
                    ensure_not_input(out, &inputs)?;
                    OutputFile::create(out, Access::Secret, *overwrite)
                };
                files.iter().map(create).collect()
            }
            Images::Folders(folders) => {
                let result = folders.out.join("a result");
                OutputFile::create(&result, Access::Secret, Overwrite::Allow).map(|_| Vec::new())
            }
        }
    }

    fn supply(
        &self,
        inputs: &mut Inputs,
        outputs: Vec<OutputFile>,
        keys: &ServerKeys<'_>,
        ledger: &mut Ledger,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Box<dyn Supply>, ServerError> {
        let Images::Folders(folders) = &self.images else {
            inputs.check_slots(ledger, &inputs.named_sizes())?;
            return Ok(Box::new(Named::new(inputs, outputs)));
        };
        let mut batch = Batch::new(inputs.party, folders.clone());
        batch.scan(inputs, keys, observer)?;
        if batch.pending() == 0 {
            let place = folders.images.first().cloned().unwrap_or_default();
            return Err(ServerError::NoImages { place });
        }
        inputs.check_slots(ledger, &batch.sizes(keys))?;
        Ok(Box::new(batch))
    }
}

/// As [`Server::serve`].
pub(super) fn serve(
    server: &Server,
    request: &Serve,
    peer: Peer<'_>,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<ServeReport, ServerError> {
    request.check()?;
    let keys = server.keys()?;
    let way = server.way(peer)?;
    request.files.refuse_folders()?;
    let named: Vec<Place> = match &request.images {
        Images::Named { files, .. } => files.iter().map(|(image, _)| image.clone()).collect(),
        Images::Folders(_) => Vec::new(),
    };
    let inputs = Inputs::open(server.party, &keys, &request.files, &named);
    let mut inputs = inputs?;
    let outputs = request.outputs()?;
    let state = server.state()?;
    let mut ledger = server.ledger(&state)?;
    let mut supply = request.supply(&mut inputs, outputs, &keys, &mut ledger, observer)?;
    let mut linked = way.open(observer)?;
    let job = Job { keys: &keys, ledger: &mut ledger, state: &state };
    let work = || run(inputs, job, &mut *supply, linked.channel(), observer);
    let mut report = request.threads.run(work)??;
    // Closing waits for the other server's end; this one's report need not.
    drop(linked);
    observer.event((&report).into());
    if request.erase_spent {
        // `check` has found that all are files on the disk.
        for triples in request.files.triples.iter().filter_map(Place::path) {
            // Another job that still uses the file leaves it for the next time.
            match erase(triples, server.owner(), &mut ledger, Extent::Spent) {
                Ok(erased) => {
                    observer.event(ServerEvent::Erased {
                        file: triples.to_owned(),
                        report: erased.clone(),
                    });
                    report.erased.push(erased);
                }
                Err(ServerError::Service(ServiceError::Format(FormatError::InUse { .. }))) => {
                    observer.event(ServerEvent::NotErased(triples.to_owned()));
                }
                Err(e) => return Err(e),
            }
        }
    }
    Ok(report)
}
