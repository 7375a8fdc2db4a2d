//! A server's input files: opened, and checked against one another before any connection.

use super::ServiceError;
use crate::artefact::{ImageShareFile, ModelShareFile, PublicModelFile, TripleFile};
use crate::correlation::MaterialLayout;
use crate::format::header::Header;
use crate::format::ledger::Ledger;
use crate::format::{Digest, Fingerprint, FormatError, ModelId};
use crate::party::Party;
use crate::protocol::SourceError;
use crate::ring::RingBits;
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
    /// Made for another key.
    #[error("'{file}' is for the server key {found}, this server's key is {expected}")]
    WrongKey {
        /// The file.
        file: PathBuf,
        /// The fingerprint in the file.
        found: String,
        /// This server's.
        expected: String,
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
            InputError::WrongKey { .. } => {
                Some("share again with this server's public key in --keys".into())
            }
            InputError::Mismatch { .. } => Some(
                "share the image and make the triples for this model's .pub and this size".into(),
            ),
        }
    }
}

impl Inputs {
    /// Opens and compares all inputs and checks every byte of the shares, but of the material only
    /// the seeds; reports what is wrong with each file at once.
    ///
    /// # Errors
    /// At least one [`InputError`].
    pub fn open(
        party: Party,
        key: Fingerprint,
        paths: &InputPaths,
    ) -> Result<Inputs, Vec<InputError>> {
        let mut errors = Vec::new();
        let public = note(&mut errors, read_public(&paths.public));
        let model = note(&mut errors, ModelShareFile::open(&paths.model));
        let triples = note(&mut errors, TripleFile::open(&paths.triples));
        let mut images: Vec<_> = paths
            .images
            .iter()
            .filter_map(|path| note(&mut errors, ImageShareFile::open(path)))
            .collect();
        let (Some(public), Some(mut model), Some(triples), true) =
            (public, model, triples, images.len() == paths.images.len())
        else {
            return Err(errors);
        };
        let mut check = Check { party, key, public: &public, errors: &mut errors };
        check.model(&paths.model, &model);
        check.triples(&paths.triples, &triples);
        for (path, image) in paths.images.iter().zip(&images) {
            check.image(path, image, &triples);
        }
        if errors.is_empty() {
            note(&mut errors, model.verify(&public.model));
            images.iter_mut().for_each(|image| {
                note(&mut errors, image.verify());
            });
        }
        let fields = triples.fields();
        let size = (fields.height as usize, fields.width as usize);
        let layout = MaterialLayout::new(&public.model, size, fields.tile_rows as usize)
            .map_err(|e| InputError::Description { file: paths.triples.clone(), reason: e.into() });
        match (note(&mut errors, layout), errors.is_empty()) {
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

struct Check<'a> {
    party: Party,
    key: Fingerprint,
    public: &'a PublicModelFile,
    errors: &'a mut Vec<InputError>,
}

impl Check<'_> {
    fn model(&mut self, path: &Path, model: &ModelShareFile) {
        match model.fields() {
            Err(e) => self.errors.push(e.into()),
            Ok(f) => {
                self.for_us(path, f.party, model.header());
                let elements = (f.elements, self.public.model.elements() as u64);
                let mut facts = self.model_facts(&f.model_id, &f.public_digest).to_vec();
                facts.push(fact("a number of weights of", elements.0, elements.1));
                self.same(path, facts);
            }
        }
    }

    fn triples(&mut self, path: &Path, triples: &TripleFile) {
        let f = triples.fields();
        self.for_us(path, f.party, triples.header());
        let mut facts = self.model_facts(&f.model_id, &f.public_digest).to_vec();
        facts.push(self.ring(f.ring_bits));
        // A pipe's header could ask for any amount of memory otherwise.
        let (rows, most) =
            (f.tile_rows as usize, MaterialLayout::max_tile_rows(&self.public.model));
        if rows > most {
            facts.push(("batches in patches of", rows.to_string(), format!("at most {most}")));
        }
        self.same(path, facts);
    }

    fn image(&mut self, path: &Path, image: &ImageShareFile, triples: &TripleFile) {
        let (f, t) = (image.fields(), triples.fields());
        self.for_us(path, f.party, image.header());
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
        self.same(path, facts);
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

    fn for_us(&mut self, path: &Path, party: Party, header: &Header) {
        let file = path.to_path_buf();
        if party != self.party {
            let (found, expected) = (party.index(), self.party.index());
            self.errors.push(InputError::WrongParty { file, found, expected });
        } else if header.recipient != Some(self.key) {
            let found = header.recipient.map_or("of nobody".into(), |f| f.short());
            self.errors.push(InputError::WrongKey { file, found, expected: self.key.short() });
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
