//! What a server keeps of a mask X that no dealer knows, in its state folder: `mask-ID`, its own secrets, and
//! `hint-ID`, the other server's hints.
//!
//! Rules of docs/protocols.md: secrets are drawn before any nonce is known ([`DrawnMask`], R6), both nonces are
//! written and synced before the first byte of a hint leaves, and a file that is not whole is removed: a new X
//! always has a new id (R2). Creation is locked, one process a folder ([`MaskStore::lock`]).

use super::{PayloadSize, PublicFacts, SEED_OP, random_seed, start_sealed};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::files::FormatError;
use crate::files::container::envelope::{ChunkKey, EnvelopeWriter, OpenFrom, SealTo, open_file};
use crate::files::container::header::{Hints, WeightMask};
use crate::files::keys::SecretKey;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::ids::Party;
use crate::ids::{Digest, Fingerprint, Role, WeightMaskId};
use crate::material::pair::linear::{
    HintPiece, HintSeed, Holder, LinearPlan, MaskName, MaskNonce, PeerHints,
};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// How the names begin.
const MASK: &str = "mask-";
const HINT: &str = "hint-";
/// Locked while masks are looked for, made and confirmed.
const LOCK: &str = "making";
/// Two seeds and two nonces.
const MASK_BYTES: usize = 2 * Seed::LEN + 2 * 32;

/// Whose masks they are: one model, one pair of servers, one state folder.
pub struct MaskStore<'a> {
    /// The state folder.
    pub state: &'a Path,
    /// The server whose folder it is.
    pub owner: &'a SecretKey,
    /// Which of the two it is.
    pub party: Party,
    /// The key of the other server.
    pub peer: Fingerprint,
    /// The model.
    pub public: &'a PublicFacts,
}

/// Secrets that were drawn while no nonce was known (R6). They become a mask once, or nothing.
///
/// ```
/// # use ppdenoise::internals::artefact::{DrawnMask, KeptMask, MaskStore};
/// # use ppdenoise::internals::material::pair::linear::MaskNonce;
/// fn once(drawn: DrawnMask, store: &MaskStore<'_>, nonces: [MaskNonce; 2]) -> KeptMask {
///     drawn.named(store, nonces)
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use ppdenoise::internals::artefact::{DrawnMask, KeptMask, MaskStore};
/// # use ppdenoise::internals::material::pair::linear::MaskNonce;
/// fn twice(drawn: DrawnMask, store: &MaskStore<'_>, nonces: [[MaskNonce; 2]; 2]) {
///     let [one, other] = nonces;
///     drawn.named(store, one);
///     drawn.named(store, other);
/// }
/// ```
pub struct DrawnMask {
    weight_mask: Seed,
    hint: Seed,
}

/// A server's share of a mask: what it is called, and its secrets.
pub struct KeptMask {
    name: MaskName,
    weight_mask: Seed,
    hint: Seed,
}

/// The other server's hints as they were kept.
pub(crate) struct KeptHints {
    /// The hints.
    pub peer: PeerHints,
    /// The digests of both servers' hints, S0's first.
    pub digests: [Digest; 2],
}

impl DrawnMask {
    /// Draws the seed of this server's share of X and that of its hints, for a store's model and peer.
    ///
    /// # Errors
    /// [`FormatError::Random`].
    pub(crate) fn draw(store: &MaskStore<'_>) -> Result<Self, FormatError> {
        Ok(Self::of(store, [random_seed()?, random_seed()?]))
    }

    /// Of fresh bytes and of all that the mask is for: two copies of one machine, whose operating systems give the same
    /// bytes, mask different models, and against different peers, differently.
    fn of(store: &MaskStore<'_>, fresh: [Seed; 2]) -> Self {
        let MaskStore { party, peer, public, .. } = store;
        let mut context = public.model_id.as_bytes().to_vec();
        context.extend(public.digest.as_bytes());
        context.extend(peer.as_bytes());
        context.push(party.index() as u8);
        let seed = |fresh: &Seed, number: usize| {
            fresh.derive(Domain::op(Purpose::MadeMask, number), &context)
        };
        DrawnMask { weight_mask: seed(&fresh[0], 0), hint: seed(&fresh[1], 1) }
    }

    /// The mask of these secrets and of both servers' nonces, S0's first.
    pub fn named(self, store: &MaskStore<'_>, nonces: [MaskNonce; 2]) -> KeptMask {
        let DrawnMask { weight_mask, hint } = self;
        KeptMask { name: store.name(nonces), weight_mask, hint }
    }
}

impl KeptMask {
    /// Its public name.
    pub(crate) fn name(&self) -> &MaskName {
        &self.name
    }

    pub(crate) fn id(&self) -> WeightMaskId {
        WeightMaskId::from_bytes(self.name.id)
    }

    /// The seed of this server's share of X, for a file of material.
    pub(crate) fn weight_mask(&self) -> Seed {
        copy(&self.weight_mask)
    }

    /// This server as holder of its share of X. Under another packing of the ops the secrets of the hints are
    /// others: they are derived from it.
    pub(crate) fn holder(&self, party: Party, plan: LinearPlan) -> Holder {
        let hint = HintSeed::new(copy(&self.hint));
        Holder::new(party, self.name.clone(), self.weight_mask(), hint, plan)
    }
}

fn copy(seed: &Seed) -> Seed {
    Seed::from_bytes(*seed.expose())
}

/// Held while masks are looked for, made and confirmed.
#[derive(Debug)]
pub(crate) struct MaskLock(#[expect(dead_code, reason = "held for its lock")] File);

impl MaskStore<'_> {
    /// Keeps other processes from drawing masks in this folder meanwhile: two at once could each confirm one,
    /// and remove the other's.
    ///
    /// # Errors
    /// [`FormatError::InUse`] if another process holds it.
    pub(crate) fn lock(&self) -> Result<MaskLock, FormatError> {
        let path = self.state.join(LOCK);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(|e| FormatError::io(&path, "create", e))?;
        match file.try_lock() {
            Ok(()) => Ok(MaskLock(file)),
            Err(TryLockError::WouldBlock) => Err(FormatError::InUse { file: path }),
            Err(TryLockError::Error(e)) => Err(FormatError::io(&path, "lock", e)),
        }
    }

    /// The latest mask for this model and these servers, if there is one. What is not whole, and what is older,
    /// is removed, and hints without a mask.
    ///
    /// # Errors
    /// [`FormatError`] if the folder cannot be read or a file stays.
    pub(crate) fn find(&self) -> Result<Option<KeptMask>, FormatError> {
        let mut found: Option<(SystemTime, KeptMask)> = None;
        for path in self.called(MASK)? {
            match self.open(&path)? {
                CandidateMask::OfAnother => {}
                // Its hints go with the others that have no mask.
                CandidateMask::Unusable => remove(&path)?,
                CandidateMask::Mask(time, mask) => {
                    let older = match found.take() {
                        Some((other, kept)) if other > time => {
                            found = Some((other, kept));
                            Some(mask)
                        }
                        other => {
                            found = Some((time, mask));
                            other.map(|(_, mask)| mask)
                        }
                    };
                    older.map_or(Ok(()), |mask| self.remove(mask.id()))?;
                }
            }
        }
        for hints in self.called(HINT)? {
            let name = hints.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let id = name.strip_prefix(HINT).unwrap_or_default();
            if !self.state.join(format!("{MASK}{id}")).exists() {
                remove(&hints)?;
            }
        }
        Ok(found.map(|(_, mask)| mask))
    }

    /// Makes a mask durable. Until this has returned nothing may leave that depends on its secrets.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub(crate) fn store(&self, mask: &KeptMask) -> Result<(), FormatError> {
        let fields = WeightMask {
            party: self.party,
            weight_mask_id: mask.id(),
            model_id: self.public.model_id,
            public_digest: self.public.digest,
            peer: self.peer,
        };
        let path = self.path(MASK, mask.id());
        let out = OutputFile::create(&path, Access::Secret, Overwrite::Never)?;
        let size = PayloadSize { bytes: MASK_BYTES as u64, chunks: 1 };
        let keys = SealTo { sender: self.owner, recipient: &self.owner.public() };
        let mut out = start_sealed(out, keys, size, fields)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(MASK_BYTES));
        bytes.extend_from_slice(mask.weight_mask.expose());
        bytes.extend_from_slice(mask.hint.expose());
        mask.name.nonces.iter().for_each(|nonce| bytes.extend_from_slice(&nonce.0));
        out.chunk(ChunkKey::ONLY, &mut bytes)?;
        out.finish()?.commit()
    }

    /// Removes a mask and its hints: the other server has another, so nothing will be made under it again.
    ///
    /// # Errors
    /// [`FormatError`] if a file stays.
    pub(crate) fn remove(&self, id: WeightMaskId) -> Result<(), FormatError> {
        remove(&self.path(HINT, id))?;
        remove(&self.path(MASK, id))
    }

    /// The other server's hints under a mask; nothing if they are not there or not usable, since they can be
    /// sent again.
    pub(crate) fn hints(&self, id: WeightMaskId, plan: &LinearPlan) -> Option<KeptHints> {
        let file = open_file(self.path(HINT, id)).ok()?;
        if *file.expect::<Hints>().ok()? != self.hint_fields(id, plan) {
            return None;
        }
        let mut file = file.unseal(self.keys(&self.owner.public())).ok()?;
        let mut peer = PeerHints::new(plan.clone());
        for (number, piece) in plan.hint_pieces().enumerate() {
            let length = piece.rows.len() * plan.profile().hint_bytes();
            let bytes = file.chunk(hint_key(number, &piece), length).ok()?;
            peer.add(&piece, &bytes).ok()?;
        }
        let bytes = file.chunk(ChunkKey::op(SEED_OP), 2 * Digest::LEN).ok()?;
        file.finish().ok()?;
        let (first, second) = bytes.split_first_chunk()?;
        let digests = [*first, *second.first_chunk()?].map(Digest::from_bytes);
        Some(KeptHints { peer, digests })
    }

    /// Starts keeping the other server's hints.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub(crate) fn keep_hints(
        &self,
        id: WeightMaskId,
        plan: &LinearPlan,
    ) -> Result<HintsWriter, FormatError> {
        let path = self.path(HINT, id);
        let out = OutputFile::create(&path, Access::Secret, Overwrite::Allow)?;
        let fields = self.hint_fields(id, plan);
        let size = PayloadSize {
            bytes: fields.hints * plan.profile().hint_bytes() as u64 + 2 * Digest::LEN as u64,
            chunks: plan.hint_pieces().count() as u64 + 1,
        };
        let keys = SealTo { sender: self.owner, recipient: &self.owner.public() };
        Ok(HintsWriter { out: start_sealed(out, keys, size, fields)?, written: 0 })
    }

    fn hint_fields(&self, id: WeightMaskId, plan: &LinearPlan) -> Hints {
        Hints {
            party: self.party,
            weight_mask_id: id,
            public_digest: self.public.digest,
            packing: Digest::from_bytes(plan.digest()),
            hints: plan.ops().iter().map(|op| op.outputs as u64).sum(),
        }
    }

    fn name(&self, nonces: [MaskNonce; 2]) -> MaskName {
        let own = self.owner.public().fingerprint();
        let servers = match self.party {
            Party::S0 => [own.as_bytes(), self.peer.as_bytes()],
            Party::S1 => [self.peer.as_bytes(), own.as_bytes()],
        };
        MaskName::of(
            *self.public.model_id.as_bytes(),
            self.public.digest.as_bytes(),
            servers,
            nonces,
        )
    }

    fn keys<'k>(&'k self, own: &'k crate::files::keys::PublicKey) -> OpenFrom<'k> {
        OpenFrom { recipient: self.owner, sender: own, role: Role::server(self.party) }
    }

    fn path(&self, start: &str, id: WeightMaskId) -> PathBuf {
        self.state.join(format!("{start}{id}"))
    }

    /// The files whose names begin so.
    fn called(&self, start: &str) -> Result<Vec<PathBuf>, FormatError> {
        let failed = |e| FormatError::io(self.state, "read", e);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.state).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with(start) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    fn open(&self, path: &Path) -> Result<CandidateMask, FormatError> {
        // A disk that fails is no reason to throw secrets away; a file that is no good is.
        match self.read(path) {
            Err(e @ FormatError::Io { .. }) => Err(e),
            Err(FormatError::Missing { .. }) => Ok(CandidateMask::OfAnother),
            Err(_) => Ok(CandidateMask::Unusable),
            Ok(found) => Ok(found),
        }
    }

    fn read(&self, path: &Path) -> Result<CandidateMask, FormatError> {
        let file = open_file(path)?;
        let fields = *file.expect::<WeightMask>()?;
        let expected = WeightMask {
            party: self.party,
            weight_mask_id: fields.weight_mask_id,
            model_id: self.public.model_id,
            public_digest: self.public.digest,
            peer: self.peer,
        };
        if fields != expected {
            return Ok(CandidateMask::OfAnother);
        }
        let mut file = file.unseal(self.keys(&self.owner.public()))?;
        let bytes = Zeroizing::new(file.chunk(ChunkKey::ONLY, MASK_BYTES)?);
        file.finish()?;
        let (parts, _) = bytes.as_chunks::<32>();
        let [weight_mask, hint, first, second] = parts else { return Ok(CandidateMask::Unusable) };
        let mask = KeptMask {
            name: self.name([MaskNonce(*first), MaskNonce(*second)]),
            weight_mask: Seed::from_bytes(*weight_mask),
            hint: Seed::from_bytes(*hint),
        };
        if mask.id() != fields.weight_mask_id || path != self.path(MASK, mask.id()) {
            return Ok(CandidateMask::Unusable);
        }
        let time = std::fs::metadata(path).and_then(|meta| meta.modified());
        Ok(CandidateMask::Mask(time.map_err(|e| FormatError::io(path, "read", e))?, mask))
    }
}

/// What a file called like a mask is.
enum CandidateMask {
    /// For another model or another server.
    OfAnother,
    /// Not whole, or not what its name says.
    Unusable,
    Mask(SystemTime, KeptMask),
}

fn remove(path: &Path) -> Result<(), FormatError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(|e| FormatError::io(path, "remove", e)),
    }
}

fn hint_key(number: usize, piece: &HintPiece) -> ChunkKey {
    ChunkKey { slot: 0, op: piece.index as u32, piece: number as u32 }
}

/// The other server's hints on their way into their file.
pub(crate) struct HintsWriter {
    out: EnvelopeWriter<OutputFile>,
    written: usize,
}

impl HintsWriter {
    /// Keeps a message of hints.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub(crate) fn add(&mut self, piece: &HintPiece, bytes: &[u8]) -> Result<(), FormatError> {
        let key = hint_key(self.written, piece);
        self.written += 1;
        self.out.chunk(key, &mut bytes.to_vec())
    }

    /// Completes the file with the digests of both servers' hints, S0's first.
    ///
    /// # Errors
    /// [`FormatError`] of the output.
    pub(crate) fn commit(mut self, digests: &[Digest; 2]) -> Result<(), FormatError> {
        let mut bytes: Vec<u8> = digests.iter().flat_map(|d| *d.as_bytes()).collect();
        self.out.chunk(ChunkKey::op(SEED_OP), &mut bytes)?;
        self.out.finish()?.commit()
    }
}

#[cfg(test)]
mod tests;
