//! A shared model: `PREFIX.pub`, the public description; `PREFIX.s0`, S0's share; `PREFIX.s1`, a seed.

use super::error::ArtefactError;
use super::{
    Parties, PayloadSize, random_seed, read_elements, read_seeds, start_in_clear, start_sealed,
    verify_elements, write_elements, write_seeds,
};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::share;
use crate::files::container::envelope::{
    ChunkKey, Envelope, EnvelopeReader, OpenFrom, SealTo, open_file,
};
use crate::files::container::header;
use crate::files::container::header::ModelShare;
use crate::files::container::stream::Stream;
use crate::files::keys::PublicKey;
use crate::files::output::{OutputFile, commit_all};
use crate::files::{FormatError, Place};
use crate::ids::Party;
use crate::ids::{Digest, Fingerprint, ModelId, Role};
use crate::model::{LinearSpec, ModelError, PublicModel, QuantisedModel};
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::{SourceError, WeightSource};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Writes a model's public description and both shares; returns the model's fresh id.
///
/// Security: the shares are split by a fresh seed and sealed from the owner to their servers; the id is random, so that no two sharings ever
/// get the same weight mask.
///
/// # Errors
/// [`FormatError`] of the outputs; nothing is left behind.
pub(crate) fn write_model(
    model: &QuantisedModel,
    parties: &Parties,
    [public_out, s0_out, s1_out]: [OutputFile; 3],
) -> Result<ModelId, FormatError> {
    let model_id = ModelId::random()?;
    let mut json = model.public.to_json();
    let public_digest = Digest::of(&json);
    let body = |party| ModelShare {
        party,
        model_id,
        ring_bits: model.public.ring,
        public_digest,
        elements: model.public.elements() as u64,
    };
    let size = PayloadSize { bytes: json.len() as u64, chunks: 1 };
    let owner = parties.sender.public().fingerprint();
    let servers = parties.fingerprints();
    let described = header::PublicModel { model_id, servers };
    let mut out = start_in_clear(public_out, owner, size, described)?;
    out.chunk(ChunkKey::ONLY, &mut json)?;
    let public_out = out.finish()?;

    let seed = random_seed()?;
    let to_s0 = parties.to(Party::S0);
    let s0_out = match model.public.ring {
        RingBits::L32 => write_s0::<u32>(model, &seed, to_s0, s0_out, body(Party::S0)),
        RingBits::L64 => write_s0::<u64>(model, &seed, to_s0, s0_out, body(Party::S0)),
    }?;
    let (to_s1, size) = (parties.to(Party::S1), PayloadSize::seeds(1));
    let mut out = start_sealed(s1_out, to_s1, size, body(Party::S1))?;
    write_seeds(&mut out, [&seed])?;
    let s1_out = out.finish()?;
    commit_all([public_out, s0_out, s1_out])?;
    Ok(model_id)
}

fn write_s0<R: Ring>(
    model: &QuantisedModel,
    seed: &Seed,
    keys: SealTo<'_>,
    out: OutputFile,
    body: ModelShare,
) -> Result<OutputFile, FormatError> {
    let sizes = model.public.network.linears().map(|(_, l)| l.weights() + l.outputs);
    let size = sizes.map(PayloadSize::elements::<R>).fold(PayloadSize::default(), PayloadSize::and);
    let mut out = start_sealed(out, keys, size, body)?;
    for (op, layer) in model.network.linears() {
        let values = layer.weights.iter().chain(&layer.bias).map(|&v| R::from_i64(v));
        let values = Zeroizing::new(values.collect::<Vec<R>>());
        let mut stream = seed.stream(Domain::op(Purpose::ModelShare, op));
        write_elements(&mut out, op, &Zeroizing::new(share::split(&values, &mut stream)))?;
    }
    out.finish()
}

/// What `PREFIX.pub` says of itself beside the description. Nobody vouches for it: the file is in
/// clear, and anybody can make one.
#[derive(Clone, Debug)]
pub struct PublicFacts {
    /// The file.
    pub file: PathBuf,
    /// The model's id.
    pub model_id: ModelId,
    /// The digest of the description.
    pub digest: Digest,
    /// The key of who shared the model.
    pub model_owner: Fingerprint,
    /// The keys of the servers for which it was shared.
    pub servers: [Fingerprint; 2],
}

impl PublicFacts {
    /// Refuses a description that names another model owner.
    ///
    /// # Errors
    /// [`FormatError::WrongSender`].
    pub fn check_owner(&self, owner: &PublicKey) -> Result<(), FormatError> {
        let (expected, role) = (owner.fingerprint(), Role::ModelOwner);
        if self.model_owner == expected {
            return Ok(());
        }
        let (expected, found) = (expected.short(), self.model_owner.short());
        Err(FormatError::WrongSender { file: self.file.clone(), role, expected, found })
    }

    /// Refuses a description that names another key of this server.
    ///
    /// # Errors
    /// [`FormatError::SharedForOthers`].
    pub fn check_server(&self, party: Party, key: Fingerprint) -> Result<(), FormatError> {
        let (found, role) = (self.servers[party.index()], Role::server(party));
        if found == key {
            return Ok(());
        }
        let (expected, found) = (key.short(), found.short());
        Err(FormatError::SharedForOthers { file: self.file.clone(), role, expected, found })
    }
}

/// `PREFIX.pub` before its description is parsed: who knows the digest that it must have compares
/// first.
#[derive(Debug)]
pub(crate) struct UnparsedModelFile {
    /// What it says of itself.
    pub facts: PublicFacts,
    json: Vec<u8>,
}

impl UnparsedModelFile {
    /// Reads a description.
    ///
    /// # Errors
    /// [`FormatError`].
    pub(crate) fn read(place: impl Into<Place>) -> Result<Self, FormatError> {
        let file = open_file(place)?;
        let header::PublicModel { model_id, servers } = *file.expect::<header::PublicModel>()?;
        let name = file.name().to_owned();
        let (model_owner, length) = (file.header().sender, file.header().payload_len as usize);
        let mut file = file.in_clear()?;
        let json = file.chunk(ChunkKey::ONLY, length)?;
        file.finish()?;
        let (file, digest) = (name, Digest::of(&json));
        Ok(Self { facts: PublicFacts { file, model_id, digest, model_owner, servers }, json })
    }

    /// Parses and checks it.
    ///
    /// # Errors
    /// [`ModelError`] for a description that is not acceptable.
    pub(crate) fn parse(self) -> Result<PublicModelFile, ModelError> {
        let model = PublicModel::from_json(&self.json)?;
        Ok(PublicModelFile { facts: self.facts, model })
    }
}

/// A public description as read from `PREFIX.pub`.
#[derive(Clone, Debug)]
pub struct PublicModelFile {
    /// What the file says of itself.
    pub facts: PublicFacts,
    /// The description.
    pub model: PublicModel,
}

impl PublicModelFile {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// [`FormatError`], and [`ModelError`] for a description that is not acceptable.
    pub fn read(place: impl Into<Place>) -> Result<Self, ArtefactError> {
        Ok(UnparsedModelFile::read(place)?.parse()?)
    }
}

/// One server's share of a model, unsealed.
pub struct ModelShareFile {
    file: EnvelopeReader<Stream>,
    seed: Option<Seed>,
}

impl ModelShareFile {
    /// Unseals a share; a seed is read at once.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn unseal(file: Envelope<Stream>, keys: OpenFrom<'_>) -> Result<Self, FormatError> {
        let party = file.expect::<ModelShare>()?.party;
        let mut file = file.unseal(keys)?;
        let seed = match party {
            Party::S0 => None,
            Party::S1 => {
                let [seed] = read_seeds(&mut file)?;
                Some(seed)
            }
        };
        Ok(ModelShareFile { file, seed })
    }

    /// Checks every byte of a regular file ahead of its use.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn verify(&mut self, public: &PublicModel) -> Result<(), FormatError> {
        if self.seed.is_some() {
            return Ok(());
        }
        let ops = public.network.linears().map(|(op, l)| (op, l.weights() + l.outputs));
        verify_elements(&mut self.file, public.ring, ops, 0)
    }
}

/// Shares are read op after op, in the order of the file.
impl<R: Ring> WeightSource<R> for ModelShareFile {
    fn share(&mut self, op: usize, spec: &LinearSpec) -> Result<Vec<R>, SourceError> {
        let count = spec.weights() + spec.outputs;
        match &self.seed {
            Some(seed) => Ok(seed.stream(Domain::op(Purpose::ModelShare, op)).take(0, count)),
            None => Ok(read_elements(&mut self.file, op, count)?),
        }
    }
}
