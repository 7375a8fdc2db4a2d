//! A server's input files: opened, and checked against one another before any connection.

use super::ServiceError;
use crate::artefact::{ImageShareFile, ModelShareFile, PublicModelFile, TripleFile};
use crate::correlation::MaterialLayout;
use crate::format::envelope::{Envelope, OpenFrom, open_file, open_stream};
use crate::format::header::{ImageShare, ModelShare, Part, Triples};
use crate::format::ledger::Ledger;
use crate::format::{Digest, FormatError, ModelId, PublicKey, Role, SecretKey};
use crate::party::Party;
use crate::protocol::SourceError;
use crate::ring::RingBits;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the inputs are.
#[derive(Clone, Debug)]
pub struct InputPaths {
    /// This server's model share.
    pub model: PathBuf,
    /// The model's public description.
    pub public: PathBuf,
    /// This server's triples.
    pub triples: PathBuf,
    /// This server's shares of the images.
    pub images: Vec<PathBuf>,
}

/// A server's own key and those of the others, whose files it takes or who takes its own.
#[derive(Debug)]
pub struct ServerKeys {
    /// This server's.
    pub own: SecretKey,
    /// Who makes model shares.
    pub model_owner: PublicKey,
    /// Who makes image shares.
    pub gateway: PublicKey,
    /// Who makes triples.
    pub dealer: PublicKey,
    /// Who gets results.
    pub receiver: PublicKey,
}

impl ServerKeys {
    fn from(&self, role: Role) -> OpenFrom<'_> {
        let sender = match role {
            Role::ModelOwner => &self.model_owner,
            Role::Gateway => &self.gateway,
            _ => &self.dealer,
        };
        OpenFrom { recipient: &self.own, sender, role }
    }
}

/// Inputs that fit one another.
pub struct Inputs {
    pub(super) party: Party,
    pub(super) public: PublicModelFile,
    pub(super) model: ModelShareFile,
    pub(super) triples: TripleFile,
    pub(super) images: Vec<ImageShareFile>,
    pub(super) layout: MaterialLayout,
}

/// Why an input is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file itself is no good.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The description is no good.
    #[error("'{file}': {reason}")]
    Description {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: SourceError,
    },
    /// Made for the other server.
    #[error("'{file}' is for server {found}, this is server {expected}")]
    WrongParty {
        /// The file.
        file: PathBuf,
        /// Its party.
        found: usize,
        /// This server's.
        expected: usize,
    },
    /// Made for something else.
    #[error("'{file}' is for {what} {found}, expected {expected}")]
    Mismatch {
        /// The file.
        file: PathBuf,
        /// What differs.
        what: &'static str,
        /// In the file.
        found: String,
        /// In the files before it.
        expected: String,
    },
}

impl InputError {
    /// What to do next.
    pub fn help(&self) -> Option<String> {
        match self {
            InputError::Format(e) => e.help(),
            InputError::Description { .. } => {
                Some("copy PREFIX.pub beside the model share, or name it with --public".into())
            }
            InputError::WrongParty { expected, .. } => {
                Some(format!("give the file that ends in .s{expected}, or another --party"))
            }
            InputError::Mismatch { .. } => Some(
                "share the image and make the triples for this model's .pub and this size".into(),
            ),
        }
    }
}

impl Inputs {
    /// Opens and compares all inputs, unseals them and checks every byte of the shares, but of the
    /// material only the seeds; reports what is wrong with each file at once.
    ///
    /// Security: model shares must be the model owner's, image shares the gateway's, triples the
    /// dealer's, all made for this server.
    ///
    /// # Errors
    /// At least one [`InputError`].
    pub fn open(
        party: Party,
        keys: &ServerKeys,
        paths: &InputPaths,
    ) -> Result<Inputs, Vec<InputError>> {
        let mut errors = Vec::new();
        let public = note(&mut errors, read_public(&paths.public));
        let model = note(&mut errors, headed::<ModelShare, _>(open_file(&paths.model)));
        let triples = note(&mut errors, headed::<Triples, _>(open_stream(&paths.triples)));
        let images: Vec<_> = paths
            .images
            .iter()
            .filter_map(|path| note(&mut errors, headed::<ImageShare, _>(open_file(path))))
            .collect();
        let (Some(public), Some(model), Some(triples), true) =
            (public, model, triples, images.len() == paths.images.len())
        else {
            return Err(errors);
        };
        // What headers say is compared first: it names the mistake. That they say the truth is seen
        // when the files are unsealed.
        let mut check = Check { party, keys, public: &public, errors: &mut errors };
        check.model(&model);
        check.triples(&triples);
        images.iter().for_each(|image| check.image(image, &triples.1));
        if !errors.is_empty() {
            return Err(errors);
        }
        let owner = keys.from(Role::ModelOwner);
        let mut model = note(&mut errors, ModelShareFile::unseal(model.0, owner));
        let triples = note(&mut errors, TripleFile::unseal(triples.0, keys.from(Role::Dealer)));
        let mut unsealed = Vec::new();
        for (image, _) in images {
            let gateway = keys.from(Role::Gateway);
            unsealed.extend(note(&mut errors, ImageShareFile::unseal(image, gateway)));
        }
        if let Some(model) = &mut model {
            note(&mut errors, model.verify(&public.model));
        }
        unsealed.iter_mut().for_each(|image| {
            note(&mut errors, image.verify());
        });
        let (Some(model), Some(triples), true) = (model, triples, errors.is_empty()) else {
            return Err(errors);
        };
        let fields = triples.fields();
        let size = (fields.height as usize, fields.width as usize);
        let layout = MaterialLayout::new(&public.model, size, fields.tile_rows as usize)
            .map_err(|e| InputError::Description { file: paths.triples.clone(), reason: e.into() });
        let images = unsealed;
        let layout = note(&mut errors, layout);
        if let (Some(layout), true) = (&layout, errors.is_empty()) {
            note(&mut errors, triples.check_material(layout));
        }
        match (layout, errors.is_empty()) {
            (Some(layout), true) => Ok(Inputs { party, public, model, triples, images, layout }),
            _ => Err(errors),
        }
    }

    /// Refuses triples of which this server's ledger leaves too few slots for the images, before
    /// any connection.
    ///
    /// # Errors
    /// [`ServiceError::NoSlotLeft`], [`ServiceError::TooFewSlots`], [`ServiceError::Ledger`].
    pub fn check_slots(&self, ledger: &mut Ledger) -> Result<(), ServiceError> {
        let set = self.triples.fields().set_id;
        let left = self.slots().saturating_sub(ledger.next_slot(set)?);
        match self.images.len() as u64 {
            _ if left == 0 => {
                Err(ServiceError::NoSlotLeft { slots: self.slots(), set: set.short() })
            }
            images if images > left => {
                Err(ServiceError::TooFewSlots { left, images, set: set.short() })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a slot whose material was erased: it was spent, whatever the ledger says now.
    pub(super) fn has_material(&self, slot: u64) -> Result<(), ServiceError> {
        if self.triples.is_erased(slot)? {
            return Err(ServiceError::SlotErased {
                slot,
                set: self.triples.fields().set_id.short(),
            });
        }
        Ok(())
    }

    /// Slots of the triple set.
    pub fn slots(&self) -> u64 {
        self.triples.fields().slots
    }

    /// The public description.
    pub fn public(&self) -> &PublicModelFile {
        &self.public
    }
}

fn note<T, E: Into<InputError>>(errors: &mut Vec<InputError>, result: Result<T, E>) -> Option<T> {
    result.map_err(|e| errors.push(e.into())).ok()
}

fn read_public(path: &Path) -> Result<PublicModelFile, InputError> {
    PublicModelFile::read(path).map_err(|e| match e.downcast::<FormatError>() {
        Ok(e) => InputError::Format(*e),
        Err(reason) => InputError::Description { file: path.into(), reason },
    })
}

/// A file whose header is read, and the fields of its kind.
type Headed<T, R> = (Envelope<R>, T);

fn headed<T: Part + Copy, R: Read>(
    file: Result<Envelope<R>, FormatError>,
) -> Result<Headed<T, R>, FormatError> {
    let file = file?;
    let fields = *file.expect::<T>()?;
    Ok((file, fields))
}

struct Check<'a> {
    party: Party,
    keys: &'a ServerKeys,
    public: &'a PublicModelFile,
    errors: &'a mut Vec<InputError>,
}

impl Check<'_> {
    fn model<R: Read>(&mut self, (file, f): &Headed<ModelShare, R>) {
        self.for_us(file, f.party, Role::ModelOwner);
        let elements = (f.elements, self.public.model.elements() as u64);
        let mut facts = self.model_facts(&f.model_id, &f.public_digest).to_vec();
        facts.push(fact("a number of weights of", elements.0, elements.1));
        self.same(file.name(), facts);
    }

    fn triples<R: Read>(&mut self, (file, f): &Headed<Triples, R>) {
        self.for_us(file, f.party, Role::Dealer);
        let mut facts = self.model_facts(&f.model_id, &f.public_digest).to_vec();
        facts.push(self.ring(f.ring_bits));
        // A pipe's header could ask for any amount of memory otherwise.
        let (rows, most) =
            (f.tile_rows as usize, MaterialLayout::max_tile_rows(&self.public.model));
        if rows > most {
            facts.push(("batches in patches of", rows.to_string(), format!("at most {most}")));
        }
        self.same(file.name(), facts);
    }

    fn image<R: Read>(&mut self, (file, f): &Headed<ImageShare, R>, t: &Triples) {
        self.for_us(file, f.party, Role::Gateway);
        let mut facts = self.model_facts(&f.model_id, &f.public_digest).to_vec();
        facts.push(self.ring(f.ring_bits));
        let frac_bits = self.public.model.input.frac_bits;
        facts.push(fact("a number of fraction bits of", f.frac_bits, frac_bits));
        let network = &self.public.model.network;
        // An image that the model cannot take is refused for its size.
        let rows = network.grid((f.height as usize, f.width as usize)).map_or(0, |g| g.rows());
        let means = if network.adds_mean() { rows as u64 } else { 0 };
        facts.push(fact("a number of patch means of", f.means, means));
        if (f.height, f.width) != (t.height, t.width) {
            let (found, expected) =
                (format!("{}x{}", f.height, f.width), format!("{}x{}", t.height, t.width));
            facts.push(("images of the size", found, format!("{expected}, that of the triples")));
        }
        self.same(file.name(), facts);
    }

    /// What every file says of the model.
    fn model_facts(&self, id: &ModelId, digest: &Digest) -> [Fact; 2] {
        let public = self.public;
        [
            fact("the model", id.short(), public.model_id.short()),
            fact("the model description", digest.short(), public.digest.short()),
        ]
    }

    fn ring(&self, found: RingBits) -> Fact {
        fact("a ring of bits", found.bits(), self.public.model.ring.bits())
    }

    fn for_us<R: Read>(&mut self, file: &Envelope<R>, party: Party, maker: Role) {
        if party != self.party {
            let (found, expected) = (party.index(), self.party.index());
            let file = file.name().to_path_buf();
            self.errors.push(InputError::WrongParty { file, found, expected });
        } else {
            note(self.errors, file.check_keys(self.keys.from(maker)));
        }
    }

    /// Notes the first fact that differs: the others follow from it.
    fn same(&mut self, path: &Path, facts: Vec<Fact>) {
        let differing = facts.into_iter().find(|(_, found, expected)| found != expected);
        if let Some((what, found, expected)) = differing {
            let file = path.to_path_buf();
            self.errors.push(InputError::Mismatch { file, what, found, expected });
        }
    }
}

/// What, found and expected.
type Fact = (&'static str, String, String);

fn fact<T: ToString>(what: &'static str, found: T, expected: T) -> Fact {
    (what, found.to_string(), expected.to_string())
}
