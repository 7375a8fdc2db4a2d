//! A server's input files: opened, and checked against one another before any connection.

mod check;

use super::error::{InputError, InputErrors, ServerError, ServiceError};
use crate::artefact::{
    ImageShareFile, ModelShareFile, PublicModelFile, TripleFile, Unguarded, UnparsedModelFile,
};
use crate::files::container::envelope::{Envelope, OpenFrom, open_file, open_stream};
use crate::files::container::header::{ImageShare, ModelShare, Part, Triples};
use crate::files::keys::KeyFolder;
use crate::files::keys::{PublicKey, SecretKey};
use crate::files::ledger::{Ledger, LedgerError};
use crate::files::{FormatError, Place};
use crate::ids::Party;
use crate::ids::{Fingerprint, ImageId, Role};
use crate::material::{MaterialLayout, Origin};
use crate::model::RESULT_BITS;
use crate::protocol::{SetFacts, StockedSet};
use crate::size::Size;
use check::{OwnerCheck, ShapeCheck};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The files that a server computes with, whatever the image.
#[derive(Clone, Debug)]
pub struct ServerFiles {
    /// This server's model share.
    pub model: Place,
    /// The model's public description.
    pub public: Place,
    /// This server's sets of triples: files or pipes. Of what is in memory used slots are not overwritten:
    /// others may have copies of it.
    pub triples: Vec<Place>,
}

impl ServerFiles {
    /// With the description that is called as the model share is, `PREFIX.pub`.
    pub fn new(
        model: impl Into<Place>,
        triples: impl IntoIterator<Item = impl Into<Place>>,
    ) -> Self {
        let (model, triples) = (model.into(), triples.into_iter().map(Into::into).collect());
        ServerFiles { public: description_beside(&model), model, triples }
    }

    /// Refuses folders of triples, which only a server that watches looks into.
    ///
    /// # Errors
    /// [`ServerError::FolderOfTriples`].
    pub(super) fn refuse_folders(&self) -> Result<(), ServerError> {
        match self.triples.iter().find(|place| place.is_dir()) {
            Some(folder) => Err(ServerError::FolderOfTriples { folder: folder.name().to_owned() }),
            None => Ok(()),
        }
    }
}

/// `PREFIX.pub`, beside a model share.
pub fn description_beside(model: impl Into<Place>) -> Place {
    let model = model.into();
    model.called(model.name().with_extension("pub"))
}

/// A server's own key and those of the others, whose files it takes or who takes its own.
#[derive(Debug)]
pub(in crate::roles) struct ServerKeys<'a> {
    /// This server's.
    pub(super) own: &'a SecretKey,
    /// Who makes model shares.
    model_owner: PublicKey,
    /// Who makes image shares.
    gateway: PublicKey,
    /// Who deals triples; a server whose triples are all made by the two servers needs none.
    dealer: Option<PublicKey>,
    /// Who gets results.
    pub(super) receiver: PublicKey,
}

/// Who makes a server's shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharer {
    ModelOwner,
    Gateway,
}

impl<'k> ServerKeys<'k> {
    /// Whose keys these are: which change when one is rotated.
    pub(super) fn names(&self) -> [Option<Fingerprint>; 4] {
        let name = |key: &PublicKey| Some(key.fingerprint());
        let dealer = self.dealer.as_ref().and_then(name);
        [name(&self.model_owner), name(&self.gateway), dealer, name(&self.receiver)]
    }

    /// The keys of a server's folder; `own` is its secret key from there.
    ///
    /// # Errors
    /// [`FormatError::KeyMissing`] for any but the dealer's, and those of any file.
    pub(super) fn of(folder: &KeyFolder, own: &'k SecretKey) -> Result<Self, FormatError> {
        Ok(ServerKeys {
            own,
            model_owner: folder.public(Role::ModelOwner)?,
            gateway: folder.public(Role::Gateway)?,
            dealer: folder.public_if_any(Role::Dealer)?,
            receiver: folder.public(Role::Receiver)?,
        })
    }

    /// The keys of a server whose gateway and receiver is one user.
    pub(in crate::roles) fn with_user(
        own: &'k SecretKey,
        model_owner: PublicKey,
        user: PublicKey,
    ) -> Self {
        ServerKeys { own, model_owner, gateway: user, dealer: None, receiver: user }
    }

    pub(super) fn from(&self, sharer: Sharer) -> OpenFrom<'_> {
        let (sender, role) = match sharer {
            Sharer::ModelOwner => (&self.model_owner, Role::ModelOwner),
            Sharer::Gateway => (&self.gateway, Role::Gateway),
        };
        OpenFrom { recipient: self.own, sender, role }
    }

    /// From whom this server takes triples of this origin: a dealt set from the dealer, a made one
    /// from nobody but itself. `own` is its own public key. Nothing if a key is missing.
    pub(super) fn triples<'a>(
        &'a self,
        party: Party,
        origin: Origin,
        own: &'a PublicKey,
    ) -> Option<OpenFrom<'a>> {
        let (sender, role) = match origin {
            Origin::Dealt => (self.dealer.as_ref()?, Role::Dealer),
            Origin::Made => (own, Role::server(party)),
        };
        Some(OpenFrom { recipient: self.own, sender, role })
    }
}

/// Inputs that fit one another.
pub(in crate::roles) struct Inputs {
    pub(super) party: Party,
    pub(in crate::roles) public: PublicModelFile,
    pub(super) model: ModelShareFile,
    /// In the order in which they are used, all under one weight mask. At least one, once a session begins.
    pub(super) sets: Vec<Set>,
    /// More sets may come while the server runs: images of sizes without any wait for theirs.
    pub(super) refilled: bool,
    /// The images that were named.
    pub(super) named: Vec<(PathBuf, ImageShareFile)>,
}

/// A set of triples, for images of one size.
pub(super) struct Set {
    pub(super) triples: TripleFile,
    pub(super) layout: MaterialLayout,
}

impl Set {
    pub(super) fn size(&self) -> Size {
        self.triples.fields().size()
    }
}

impl Inputs {
    /// Opens and compares all inputs, unseals them and checks every byte of the shares, but of the
    /// material only the seeds; reports what is wrong with each file at once.
    ///
    /// Security: model shares must be the model owner's, image shares the gateway's, dealt triples the
    /// dealer's, made ones this server's own; all made for this server.
    ///
    /// # Errors
    /// [`InputErrors`], at least one.
    pub(in crate::roles) fn open(
        party: Party,
        keys: &ServerKeys<'_>,
        paths: &ServerFiles,
        named: &[Place],
    ) -> Result<Inputs, InputErrors> {
        let mut errors = Vec::new();
        let public = note(&mut errors, UnparsedModelFile::read(&paths.public));
        let model = note(&mut errors, headed::<ModelShare, _>(open_file(&paths.model)));
        let triples: Vec<_> = paths
            .triples
            .iter()
            .filter_map(|path| note(&mut errors, headed::<Triples, _>(open_stream(path))))
            .collect();
        let images: Vec<_> = named
            .iter()
            .filter_map(|path| note(&mut errors, headed::<ImageShare, _>(open_file(path))))
            .collect();
        let (Some(public), Some(model), true) = (public, model, errors.is_empty()) else {
            return Err(InputErrors(errors));
        };
        // What headers say is compared first: it names the mistake. That they say the truth is seen
        // when the files are unsealed. The description, which anybody can make, is parsed only if its
        // digest is the one that the shares name.
        let mut check = OwnerCheck { party, keys, facts: &public.facts, errors: &mut errors };
        check.public();
        check.model(&model);
        triples.iter().for_each(|set| check.triples(set));
        images.iter().for_each(|image| check.image(image));
        check.distinct("set of triples", &triples, |t| *t.set_id.as_bytes());
        check.distinct("image", &images, |i| *i.image_id.as_bytes());
        if !errors.is_empty() {
            return Err(InputErrors(errors));
        }
        let public = public.parse().map_err(|e| {
            InputErrors(vec![InputError::Description {
                file: paths.public.name().to_owned(),
                reason: Box::new(e),
            }])
        })?;
        let sizes: Vec<_> = triples.iter().map(|(_, t)| t.size()).collect();
        let mut check = ShapeCheck { model: &public.model, errors: &mut errors };
        check.model(&model);
        check.triples(&triples);
        images.iter().for_each(|image| check.image(image, Some(&sizes)));
        if !errors.is_empty() {
            return Err(InputErrors(errors));
        }
        let owner = keys.from(Sharer::ModelOwner);
        let mut model = note(&mut errors, ModelShareFile::unseal(model.0, owner));
        let mut unsealed = Vec::new();
        let own = keys.own.public();
        for (file, fields) in triples {
            // `Belongs` has found that there is such a key.
            let Some(from) = keys.triples(party, fields.origin, &own) else { continue };
            unsealed.extend(note(&mut errors, TripleFile::unseal(file, from)));
        }
        let mut named = Vec::new();
        for (image, _) in images {
            let path = image.name().to_owned();
            let share = ImageShareFile::unseal(image, keys.from(Sharer::Gateway));
            named.extend(note(&mut errors, share).map(|share| (path, share)));
        }
        if let Some(model) = &mut model {
            note(&mut errors, model.verify(&public.model));
        }
        named.iter_mut().for_each(|(_, image)| {
            note(&mut errors, image.verify());
        });
        let mut sets = Vec::new();
        for triples in unsealed {
            sets.extend(note(&mut errors, Set::new(triples, &public)));
        }
        sets.sort_by_key(|set| set.triples.fields().set_id);
        match (model, errors.is_empty()) {
            (Some(model), true) => {
                Ok(Inputs { party, public, model, sets, refilled: false, named })
            }
            _ => Err(InputErrors(errors)),
        }
    }

    /// Opens a share of an image, compares what its header says with the other inputs, and has its
    /// first chunk prove the header: nobody but the gateway made it. `done` tells for which images
    /// there is a result already: those need no triples of their size.
    ///
    /// # Errors
    /// The first [`InputError`].
    pub(super) fn image(
        &self,
        keys: &ServerKeys<'_>,
        path: &Path,
        done: impl FnOnce(ImageId) -> bool,
    ) -> Result<ImageShareFile, InputError> {
        let image = headed::<ImageShare, _>(open_file(path))?;
        let sizes: Vec<_> = self.sets.iter().map(Set::size).collect();
        let sizes = (!self.refilled && !done(image.1.image_id)).then_some(&sizes[..]);
        let mut errors = Vec::new();
        let (party, PublicModelFile { facts, model }) = (self.party, &self.public);
        OwnerCheck { party, keys, facts, errors: &mut errors }.image(&image);
        ShapeCheck { model, errors: &mut errors }.image(&image, sizes);
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        let mut share = ImageShareFile::unseal(image.0, keys.from(Sharer::Gateway))?;
        share.authenticate()?;
        Ok(share)
    }

    /// Opens a set of triples, compares it with the other inputs and unseals its seeds, as [`Inputs::open`] does.
    ///
    /// # Errors
    /// The first [`InputError`].
    pub(super) fn set(&self, keys: &ServerKeys<'_>, path: &Path) -> Result<Set, InputError> {
        let set = headed::<Triples, _>(open_stream(path))?;
        let mut errors = Vec::new();
        let (party, PublicModelFile { facts, model }) = (self.party, &self.public);
        OwnerCheck { party, keys, facts, errors: &mut errors }.triples(&set);
        ShapeCheck { model, errors: &mut errors }.triples(std::slice::from_ref(&set));
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        let (own, (file, fields)) = (keys.own.public(), set);
        let from = keys.triples(party, fields.origin, &own);
        let from = from.ok_or_else(|| InputError::NoDealer { file: path.to_owned() })?;
        Set::new(TripleFile::unseal(file, from)?, &self.public)
    }

    /// Sizes of the images that were named.
    pub(super) fn named_sizes(&self) -> Vec<Size> {
        self.named.iter().map(|(_, share)| share.fields().size()).collect()
    }

    /// Refuses triples of which this server's ledger leaves too few slots for images of these sizes,
    /// before any connection.
    ///
    /// # Errors
    /// [`ServiceError::NoSlotLeft`], [`ServiceError::TooFewSlots`], [`ServiceError::Ledger`].
    pub(super) fn check_slots(
        &self,
        ledger: &mut Ledger,
        images: &[Size],
    ) -> Result<(), ServiceError> {
        let sizes: BTreeSet<_> = images.iter().collect();
        for &size in sizes {
            let wanted = images.iter().filter(|image| **image == size).count() as u64;
            let of_size = || self.sets.iter().filter(|set| set.size() == size);
            let left = self.slots_left_for(size, ledger)?;
            let slots = of_size().map(|set| set.triples.fields().slots).sum();
            let names: Vec<_> = of_size().map(|set| set.triples.fields().set_id.short()).collect();
            let set = names.join(", ");
            if left == 0 {
                return Err(ServiceError::NoSlotLeft { slots, set, size });
            }
            if wanted > left {
                return Err(ServiceError::TooFewSlots { left, images: wanted, set, size });
            }
        }
        Ok(())
    }

    /// Slots that this server's ledger leaves, over all sets.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub(super) fn slots_left(&self, ledger: &mut Ledger) -> Result<u64, LedgerError> {
        self.sets.iter().map(|set| slots_left(set, ledger)).sum()
    }

    /// As [`Inputs::slots_left`], for images of one size.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub(super) fn slots_left_for(
        &self,
        size: Size,
        ledger: &mut Ledger,
    ) -> Result<u64, LedgerError> {
        let of_size = self.sets.iter().filter(|set| set.size() == size);
        of_size.map(|set| slots_left(set, ledger)).sum()
    }

    /// As [`Inputs::slots_left`], for each size that a set is for.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub(super) fn slots_by_size(
        &self,
        ledger: &mut Ledger,
    ) -> Result<BTreeMap<Size, u64>, LedgerError> {
        let mut left = BTreeMap::new();
        for set in &self.sets {
            *left.entry(set.size()).or_default() += slots_left(set, ledger)?;
        }
        Ok(left)
    }

    /// Refuses triples without any slot left.
    ///
    /// # Errors
    /// [`ServiceError::NoSlotLeft`], [`ServiceError::Ledger`].
    pub(super) fn check_any_slot(&self, ledger: &mut Ledger) -> Result<(), ServiceError> {
        let sizes: BTreeSet<_> = self.sets.iter().map(Set::size).collect();
        if self.slots_left(ledger)? == 0 {
            return self.check_slots(ledger, &sizes.into_iter().collect::<Vec<_>>());
        }
        Ok(())
    }

    /// Takes the material of a slot for this process. Refuses a slot whose material was taken or
    /// erased: it was spent, whatever the ledger says now.
    pub(super) fn take_material(&self, set: usize, slot: u64) -> Result<(), ServiceError> {
        let triples = &self.sets[set].triples;
        if !triples.take(slot)? {
            let set = triples.fields().set_id.short();
            return Err(ServiceError::SlotGone { slot, set });
        }
        Ok(())
    }

    /// Files of material in which used slots stay, since they cannot be overwritten.
    pub(super) fn unguarded(&self) -> impl Iterator<Item = (&Path, Unguarded)> {
        let sets = self.sets.iter().map(|set| &set.triples);
        sets.filter_map(|triples| Some((triples.path(), triples.unguarded()?)))
    }
}

impl Set {
    /// What the handshake tells of it.
    pub(super) fn facts(&self) -> SetFacts {
        let fields = self.triples.fields();
        SetFacts {
            set_id: fields.set_id,
            size: self.size(),
            slots: fields.slots,
            batch_rows: fields.batch_rows,
            origin: fields.origin,
        }
    }

    /// What the other server is told of it, whichever slots are left.
    pub(super) fn stocked(&self) -> StockedSet {
        let mask = self.triples.fields().weight_mask_id;
        StockedSet { facts: self.facts(), mask, next: 0 }
    }

    /// Compares what a set announces with what its slots need.
    fn new(triples: TripleFile, public: &PublicModelFile) -> Result<Set, InputError> {
        let fields = triples.fields();
        let size = fields.size();
        let layout =
            MaterialLayout::new(&public.model, size, fields.batch_rows as usize, fields.origin)
                .map_err(|e| InputError::Description {
                    file: triples.path().to_owned(),
                    reason: Box::new(e.into()),
                })?;
        triples.check_material(&layout)?;
        let (dropped, expected) = (public.model.dropped_bits(), RESULT_BITS);
        if fields.origin == Origin::Made && dropped < expected {
            let file = triples.path().to_owned();
            return Err(InputError::TooCoarse { file, dropped, expected });
        }
        Ok(Set { triples, layout })
    }
}

fn slots_left(set: &Set, ledger: &mut Ledger) -> Result<u64, LedgerError> {
    let fields = set.triples.fields();
    Ok(fields.slots.saturating_sub(ledger.next_slot(fields.set_id)?))
}

pub(super) fn note<T, E: Into<InputError>>(
    errors: &mut Vec<InputError>,
    result: Result<T, E>,
) -> Option<T> {
    result.map_err(|e| errors.push(e.into())).ok()
}

/// A file whose header is read, and the fields of its kind.
pub(super) type Headed<T, R> = (Envelope<R>, T);

fn headed<T: Part + Copy, R: Read>(
    file: Result<Envelope<R>, FormatError>,
) -> Result<Headed<T, R>, FormatError> {
    let file = file?;
    let fields = *file.expect::<T>()?;
    Ok((file, fields))
}
