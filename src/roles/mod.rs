//! The roles as a Rust program plays them: [`ModelOwner`], [`Gateway`], [`Dealer`], two [`Server`]s and a
//! [`Receiver`].
//!
//! What passes from role to role are files, sealed from their maker to their reader, the same that the
//! commands write. What passes between the two servers goes through any [`Channel`]: TCP under TLS
//! ([`crate::wire::connect`], [`crate::wire::Listener`], with [`Server::security`]), a pair within one
//! process ([`crate::wire::pair`]), or one of your own. The example is at the [root](crate) of the crate.
//!
//! Outputs are never replaced, and no partial output is left. Every call waits for its end on this
//! thread; compute threads are those of the current `rayon` pool.
//!
//! May use: every layer below.
//!
//! Security: each role needs its own secret key and the others' public ones; nobody but the two servers is
//! assumed not to collude.

pub mod server;

use crate::artefact::{
    Customer, PairError, Parties, PublicModelFile, SharedImage, TripleJob, Unguarded, reconstruct,
    write_image_shares, write_model,
};
use crate::files::FormatError;
use crate::files::container::AskPassphrase;
use crate::files::keys::generate;
use crate::files::keys::{KeyFolder, PublicKey, SecretKey};
use crate::files::ledger::{Ledger, LedgerError};
use crate::files::output::{Access, OutputFile, Overwrite, commit_all, ensure_space};
use crate::ids::Party;
use crate::ids::{ImageId, ModelId, Role, TripleSetId};
use crate::image::{GreyImage, ImageError};
use crate::model::{
    Clamping, Encoded, FloatModel, LevelMap, ModelError, QuantiseOptions, Unfit, encode_image,
    quantise,
};
use crate::network::NetworkError;
use crate::protocol::SourceError;
use crate::roles::server::{
    ImageReport, InputError, InputPaths, Inputs, Job, Named, Observer, Phase, Report, ServerKeys,
    ServiceError, claim_state, run,
};
use crate::wire::{Channel, NetError, Security, TlsKeys};
use std::path::{Path, PathBuf};

/// Why a role could not do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// A file or key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model and the image's size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A server's inputs, every one that is no good.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Inputs(Vec<InputError>),
    /// The ledger of used slots.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The joint computation.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The keys of the link.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Two result shares that do not belong together.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// An image with levels that the model was not shared for.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// Material or a description.
    #[error(transparent)]
    Source(SourceError),
    /// Not one output for each image.
    #[error("{images} images but {outs} outputs")]
    Outputs {
        /// Images.
        images: usize,
        /// Outputs.
        outs: usize,
    },
    /// More material than any disk holds.
    #[error("that is more material than any disk holds")]
    TooMuchMaterial,
}

impl From<SourceError> for RoleError {
    fn from(e: SourceError) -> Self {
        let e = match e.downcast::<FormatError>() {
            Ok(e) => return RoleError::Format(*e),
            Err(e) => e,
        };
        match e.downcast::<PairError>() {
            Ok(e) => RoleError::Pair(*e),
            Err(e) => RoleError::Source(e),
        }
    }
}

/// Makes a pair of keys, not locked, for every role in one folder. For tests: in production each
/// party makes its own pair and gets the public keys of the others (docs/keys.md).
///
/// # Errors
/// [`RoleError::Format`], also if there are keys already.
pub fn make_keys(folder: &Path) -> Result<(), RoleError> {
    generate(folder, &Role::ALL, None, Overwrite::Never)?;
    Ok(())
}

/// A model's public description, `PREFIX.pub`.
///
/// # Errors
/// [`RoleError::Format`], [`RoleError::Source`].
pub fn read_public(path: &Path) -> Result<PublicModelFile, RoleError> {
    Ok(PublicModelFile::read(path)?)
}

/// Splits models between the servers.
#[derive(Debug)]
pub struct ModelOwner(Parties);

impl ModelOwner {
    /// The model owner whose key folder this is; `ask` is for the passphrase of a locked key, see
    /// [`crate::files::container::no_passphrase`].
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, RoleError> {
        Ok(ModelOwner(parties(keys, Role::ModelOwner, ask)?))
    }

    /// Quantises a model and writes `PREFIX.pub`, `PREFIX.s0` and `PREFIX.s1`.
    ///
    /// Security: the two shares are sealed to their servers; the description is public and says what
    /// docs/threat-model.md lists.
    ///
    /// # Errors
    /// [`RoleError::Model`] if no range can be guaranteed, [`RoleError::Format`].
    pub fn share(
        &self,
        model: &FloatModel,
        options: &QuantiseOptions,
        prefix: &Path,
    ) -> Result<ModelId, RoleError> {
        let quantised = quantise(model, options)?;
        let outs = [
            create(prefix, "pub", Access::Public)?,
            create(prefix, "s0", Access::Secret)?,
            create(prefix, "s1", Access::Secret)?,
        ];
        Ok(write_model(&quantised, &self.0, outs)?)
    }
}

/// Splits images between the servers.
#[derive(Debug)]
pub struct Gateway(Parties);

impl Gateway {
    /// As [`ModelOwner::open`].
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, RoleError> {
        Ok(Gateway(parties(keys, Role::Gateway, ask)?))
    }

    /// Encodes an image with Gaussian noise of `sigma` 8-bit grey levels for a model and writes
    /// `PREFIX.s0` and `PREFIX.s1`. Returns its id and how many pixels lay outside the model's input
    /// interval and were clamped: at most 1 %.
    ///
    /// Security: size and sigma are public.
    ///
    /// # Errors
    /// [`RoleError::Network`] for an image smaller than a patch, [`RoleError::Unfit`] for one that the
    /// model was not shared for, [`RoleError::Format`].
    pub fn share(
        &self,
        image: &GreyImage,
        sigma: f64,
        public: &PublicModelFile,
        prefix: &Path,
    ) -> Result<(ImageId, usize), RoleError> {
        let model = &public.model;
        let size = (image.height(), image.width());
        let grid = model.network.grid(size)?;
        let levels = LevelMap::new(model.units, model.sigma / sigma);
        let Encoded { pixels: encoded, fit } = encode_image(model, image, &levels);
        fit.judge(Clamping::Few, model, &levels)?;
        let means = model.patch_means(&encoded, &grid);
        let outs = [create(prefix, "s0", Access::Secret)?, create(prefix, "s1", Access::Secret)?];
        let (id, note) = (ImageId::random().map_err(FormatError::from)?, None);
        let means = &means[..];
        let shared = SharedImage { id, encoded: &encoded, size, sigma, levels, means, note };
        commit_all(write_image_shares(&shared, public, &self.0, outs)?)?;
        Ok((id, fit.clamped))
    }
}

/// Makes correlated randomness, from public shapes only.
#[derive(Debug)]
pub struct Dealer(Customer);

impl Dealer {
    /// As [`ModelOwner::open`]; the folder is that of one customer: a model owner and two servers.
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, RoleError> {
        let model_owner = KeyFolder::open(keys)?.public(Role::ModelOwner)?;
        Ok(Dealer(Customer { parties: parties(keys, Role::Dealer, ask)?, model_owner }))
    }

    /// Makes triples for `images` images of a size (rows, columns) and writes `PREFIX.s0` and
    /// `PREFIX.s1`. Each slot serves one image once. The model must have been shared by this customer's
    /// model owner for its servers.
    ///
    /// Cost: S0's file is large (docs/benchmarks.md); its size is compared with the free disk first.
    ///
    /// # Errors
    /// [`RoleError::Network`], [`RoleError::TooMuchMaterial`], [`RoleError::Format`].
    pub fn deal(
        &self,
        public: &PublicModelFile,
        size: (usize, usize),
        images: u64,
        prefix: &Path,
    ) -> Result<TripleSetId, RoleError> {
        let job = TripleJob::new(self.0.commission(public)?, size, images, None)?;
        let (s0, s1) =
            (create(prefix, "s0", Access::Secret)?, create(prefix, "s1", Access::Secret)?);
        ensure_space(s0.target(), job.s0_bytes().ok_or(RoleError::TooMuchMaterial)?)?;
        let (set, s0) = job.write(s0, s1, false, &mut |_| ())?;
        s0.commit()?;
        Ok(set)
    }
}

/// One of the two servers.
#[derive(Debug)]
pub struct Server {
    party: Party,
    keys: ServerKeys,
    peer: PublicKey,
    state: PathBuf,
}

impl Server {
    /// A server with its key folder and its state folder, which is made if missing and must never be
    /// copied, restored or shared: it keeps slots from being used twice.
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(
        party: Party,
        keys: &Path,
        ask: &AskPassphrase<'_>,
        state: &Path,
    ) -> Result<Self, RoleError> {
        let folder = KeyFolder::open(keys)?;
        let keys = ServerKeys::of(&folder, folder.secret(Role::server(party), ask)?)?;
        let peer = folder.public(Role::server(party.other()))?;
        Ok(Server { party, keys, peer, state: state.into() })
    }

    /// What protects a TCP link to the other server: TLS 1.3 with both servers' keys.
    ///
    /// # Errors
    /// [`RoleError::Net`] if both servers have one key.
    pub fn security(&self) -> Result<Security, RoleError> {
        let keys = TlsKeys::new(self.keys.own.signing_seed(), &self.peer.verifying())?;
        Ok(Security::Tls(keys))
    }

    /// Denoises the shared images of `files` together with the other server, which does the same at
    /// the other end of `channel`, with its files of the same images in the same order. `outs` are the
    /// result shares, one an image.
    ///
    /// Security: the channel must keep others from reading and changing what passes, and each server
    /// must know that the other is at its end; a slot is marked in the ledger before anything is sent
    /// under it, and who has its material overwrites its head in the triples, which it should be able to write: `observer`
    /// is told where it is not. Semi-honest: docs/threat-model.md.
    ///
    /// # Errors
    /// [`RoleError::Outputs`]; [`RoleError::Inputs`] before anything is sent; [`RoleError::Format`] for an output that
    /// exists; [`RoleError::Ledger`]; [`RoleError::Service`], after which marked slots are spent.
    pub fn denoise(
        &self,
        files: &InputPaths,
        outs: &[PathBuf],
        channel: &mut dyn Channel,
        observer: &mut dyn Observer,
    ) -> Result<Report, RoleError> {
        if files.images.len() != outs.len() {
            return Err(RoleError::Outputs { images: files.images.len(), outs: outs.len() });
        }
        let mut inputs = Inputs::open(self.party, &self.keys, files).map_err(RoleError::Inputs)?;
        let out = |path: &PathBuf| OutputFile::create(path, Access::Secret, Overwrite::Never);
        let outputs = outs.iter().map(out).collect::<Result<_, _>>()?;
        let mut ledger = Ledger::open(&self.state)?;
        claim_state(&self.state, self.keys.own.public().fingerprint())?;
        inputs.check_slots(&mut ledger, &inputs.named_sizes())?;
        let mut images = Named::new(&mut inputs, outputs);
        let job = Job { keys: &self.keys, ledger: &mut ledger, state: &self.state };
        Ok(run(inputs, job, &mut images, channel, observer)?)
    }
}

/// An [`Observer`] that is told and says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn unguarded(&mut self, _: &Path, _: Unguarded) {}
    fn phase(&mut self, _: Phase) {}
    fn progress(&mut self, _: f64) {}
    fn done(&mut self, _: &ImageReport) {}
    fn failed(&mut self, _: &Path, _: ServiceError) {}
}

/// Puts result shares together.
#[derive(Debug)]
pub struct Receiver {
    key: SecretKey,
    servers: [PublicKey; 2],
}

impl Receiver {
    /// As [`ModelOwner::open`].
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, RoleError> {
        let folder = KeyFolder::open(keys)?;
        let key = folder.secret(Role::Receiver, ask)?;
        let servers = [folder.public(Role::Server0)?, folder.public(Role::Server1)?];
        Ok(Receiver { key, servers })
    }

    /// The denoised image of two result shares, in any order; grey levels are neither rounded nor
    /// clipped.
    ///
    /// # Errors
    /// [`RoleError::Pair`] if they do not belong together, [`RoleError::Format`].
    pub fn reconstruct(&self, shares: [&Path; 2]) -> Result<GreyImage, RoleError> {
        let result = reconstruct(shares, &self.key, &self.servers)?;
        let pixels = result.grey.iter().map(|&grey| grey as f32).collect();
        Ok(GreyImage::new(result.size.0, result.size.1, pixels)?)
    }
}

fn parties(keys: &Path, maker: Role, ask: &AskPassphrase<'_>) -> Result<Parties, FormatError> {
    let folder = KeyFolder::open(keys)?;
    let servers = [folder.public(Role::Server0)?, folder.public(Role::Server1)?];
    Ok(Parties { sender: folder.secret(maker, ask)?, servers })
}

fn create(prefix: &Path, suffix: &str, access: Access) -> Result<OutputFile, FormatError> {
    let mut name = prefix.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    OutputFile::create(Path::new(&name), access, Overwrite::Never)
}
