//! Making material, from a request to a report.

use super::{MakeInputs, MakeJob, MakePaths, MakeReport, WantedFile, make};
use crate::artefact::MadeJob;
use crate::crypto::rlwe::Profile;
use crate::files::Place;
use crate::files::output::{Access, OutputFile, Overwrite, ensure_not_input};
use crate::material::Origin;
use crate::roles::demand::{MaterialDemand, MaterialError, MaterialNote, prefix};
use crate::roles::observer::Observer;
use crate::roles::server::{Peer, Server, description_beside};
use crate::roles::server::{ServerError, ServerEvent};
use crate::roles::threads::Threads;
use std::num::NonZeroU32;

/// What two servers are to make; both must ask for the same.
#[derive(Clone, Debug)]
pub struct Make {
    /// This server's model share.
    pub model: Place,
    /// The model's public description.
    pub public: Place,
    /// How much.
    pub wanted: MaterialDemand,
    /// Patches a batch; what suits the model if not given.
    pub batch: Option<usize>,
    /// Prefix of this server's files, `PREFIX.s0` or `PREFIX.s1`; of several sizes `PREFIX-512x512.s0`
    /// and so on.
    pub out: Place,
    /// Whether files that are there are replaced.
    pub overwrite: Overwrite,
    /// With how many threads.
    pub threads: Threads,
    /// Mbit/s that the line to the other server carries each way; measured where neither says it.
    pub line: Option<NonZeroU32>,
}

impl Make {
    /// A job with everything else as it is usual: the description beside the share.
    pub fn new(model: impl Into<Place>, wanted: MaterialDemand, out: impl Into<Place>) -> Self {
        let (model, out) = (model.into(), out.into());
        let (public, overwrite) = (description_beside(&model), Overwrite::Never);
        Make {
            model,
            public,
            wanted,
            batch: None,
            out,
            overwrite,
            threads: Threads::Current,
            line: None,
        }
    }

    /// The sets that are wanted, with their outputs; whether the disk can take them is seen first.
    fn files(
        &self,
        server: &Server,
        inputs: &MakeInputs,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Vec<WantedFile>, ServerError> {
        let wanted = self.wanted.by_size(inputs.public(), observer)?;
        let (several, mut total) = (wanted.len() > 1, 0u64);
        let mut files = Vec::new();
        for (&size, &slots) in &wanted {
            let job = MadeJob::new(inputs.public(), size, slots, self.batch)?;
            let bytes = job.bytes().ok_or(MaterialError::TooMuch)?;
            total = total.checked_add(bytes).ok_or(MaterialError::TooMuch)?;
            let suffix = format!("s{}", server.party.index());
            let place = prefix(&self.out, size, several).with_suffix(&suffix);
            ensure_not_input(&place, &[&self.model, &self.public])?;
            let out = OutputFile::create(place, Access::Secret, self.overwrite)?;
            let planned = MaterialNote::Planned { origin: Origin::Made, size, slots, bytes };
            observer.event(planned.into());
            files.push(WantedFile { job, out });
        }
        if let Some(first) = files.first() {
            first.out.ensure_space(total)?;
        }
        Ok(files)
    }
}

/// As [`Server::make`].
pub(in crate::roles::server) fn run(
    server: &Server,
    request: &Make,
    peer: Peer<'_>,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<Option<MakeReport>, ServerError> {
    let (own, keys) = (&server.own, [server.peer()?, server.model_owner()?]);
    let way = server.way(peer)?;
    let paths = MakePaths::new(&request.model, &request.public);
    let inputs = MakeInputs::open(server.party, own, [&keys[0], &keys[1]], &paths)?;
    let files = request.files(server, &inputs, observer)?;
    if files.is_empty() {
        return Ok(None);
    }
    let state = server.state()?;
    // The ledger is the first thing in a state folder.
    server.ledger(&state)?;
    let mut linked = way.open(observer)?;
    let job = MakeJob { own, state: &state, profile: Profile::Q88, line: request.line };
    let work = || make(&inputs, &job, files, linked.channel(), observer);
    Ok(Some(request.threads.run(work)??))
}
