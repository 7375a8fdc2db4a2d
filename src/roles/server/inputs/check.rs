//! What headers of a server's files must say, compared before anything is unsealed.

use super::{Headed, InputError, ServerKeys, Sharer, note};
use crate::artefact::PublicFacts;
use crate::files::container::envelope::Envelope;
use crate::files::container::header::{ImageShare, ModelShare, Triples};
use crate::ids::Party;
use crate::ids::{Digest, ModelId};
use crate::material::MaterialLayout;
use crate::model::PublicModel;
use crate::numbers::ring::RingBits;
use crate::size::Size;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// Compares what headers say of their maker, their reader and their model, which needs no parsed
/// description, and notes what differs.
pub(in crate::roles::server) struct OwnerCheck<'a> {
    pub(in crate::roles::server) party: Party,
    pub(in crate::roles::server) keys: &'a ServerKeys<'a>,
    pub(in crate::roles::server) facts: &'a PublicFacts,
    pub(in crate::roles::server) errors: &'a mut Vec<InputError>,
}

impl OwnerCheck<'_> {
    /// The description's own header: nobody vouches for it, but a mistake is named.
    pub(in crate::roles::server) fn public(&mut self) {
        note(self.errors, self.facts.check_owner(&self.keys.model_owner));
        let own = self.keys.own.public().fingerprint();
        note(self.errors, self.facts.check_server(self.party, own));
    }

    pub(in crate::roles::server) fn model<R: Read>(&mut self, (file, f): &Headed<ModelShare, R>) {
        if self.is_ours(file, f.party) {
            note(self.errors, file.check_keys(self.keys.from(Sharer::ModelOwner)));
        }
        self.same_model(file, &f.model_id, &f.public_digest);
    }

    pub(in crate::roles::server) fn triples<R: Read>(&mut self, (file, f): &Headed<Triples, R>) {
        if self.is_ours(file, f.party) {
            let own = self.keys.own.public();
            match self.keys.triples(f.party, f.origin, &own) {
                Some(from) => {
                    note(self.errors, file.check_keys(from));
                }
                None => self.errors.push(InputError::NoDealer { file: file.name().into() }),
            }
        }
        self.same_model(file, &f.model_id, &f.public_digest);
    }

    pub(in crate::roles::server) fn image<R: Read>(&mut self, (file, f): &Headed<ImageShare, R>) {
        if self.is_ours(file, f.party) {
            note(self.errors, file.check_keys(self.keys.from(Sharer::Gateway)));
        }
        self.same_model(file, &f.model_id, &f.public_digest);
    }

    /// Refuses the second file of one id.
    pub(in crate::roles::server) fn distinct<T, R: Read>(
        &mut self,
        what: &'static str,
        files: &[Headed<T, R>],
        id: impl Fn(&T) -> [u8; 16],
    ) {
        let mut seen: HashMap<[u8; 16], &Path> = HashMap::new();
        for (file, fields) in files {
            if let Some(first) = seen.insert(id(fields), file.name()) {
                let (file, first) = (file.name().to_owned(), first.to_owned());
                self.errors.push(InputError::Repeated { file, what, first });
            }
        }
    }

    fn same_model<R: Read>(&mut self, file: &Envelope<R>, id: &ModelId, digest: &Digest) {
        let facts = self.facts;
        let facts = [
            fact("the model", id.short(), facts.model_id.short()),
            fact("the model description", digest.short(), facts.digest.short()),
        ];
        differing(self.errors, file.name(), facts);
    }

    /// Whether the file is for this server's party; notes it if not.
    fn is_ours<R: Read>(&mut self, file: &Envelope<R>, party: Party) -> bool {
        let ours = party == self.party;
        if !ours {
            let (found, expected) = (party.index(), self.party.index());
            let file = file.name().to_path_buf();
            self.errors.push(InputError::WrongParty { file, found, expected });
        }
        ours
    }
}

/// Compares headers with the description, and notes what differs.
pub(in crate::roles::server) struct ShapeCheck<'a> {
    pub(in crate::roles::server) model: &'a PublicModel,
    pub(in crate::roles::server) errors: &'a mut Vec<InputError>,
}

impl ShapeCheck<'_> {
    pub(in crate::roles::server) fn model<R: Read>(&mut self, (file, f): &Headed<ModelShare, R>) {
        let elements = (f.elements, self.model.elements() as u64);
        let facts = [fact("a number of weights of", elements.0, elements.1)];
        differing(self.errors, file.name(), facts);
    }

    pub(in crate::roles::server) fn triples<R: Read>(&mut self, sets: &[Headed<Triples, R>]) {
        for set in sets {
            self.set(set, &sets[0].1);
        }
    }

    fn set<R: Read>(&mut self, (file, f): &Headed<Triples, R>, first: &Triples) {
        let masks = (f.weight_mask_id.short(), first.weight_mask_id.short());
        let mut facts = vec![self.ring(f.ring_bits), fact("the weight mask", masks.0, masks.1)];
        // A pipe's header could ask for any amount of memory otherwise.
        let (rows, most) = (f.batch_rows as usize, MaterialLayout::max_batch_rows(self.model));
        if rows > most {
            facts.push(("batches in patches of", rows.to_string(), format!("at most {most}")));
        }
        differing(self.errors, file.name(), facts);
    }

    /// `sizes` are those that there are triples for, where any are needed.
    pub(in crate::roles::server) fn image<R: Read>(
        &mut self,
        (file, f): &Headed<ImageShare, R>,
        sizes: Option<&[Size]>,
    ) {
        let frac_bits = self.model.input.frac_bits;
        let mut facts = vec![
            self.ring(f.ring_bits),
            fact("a number of fraction bits of", f.frac_bits, frac_bits),
        ];
        let network = &self.model.network;
        // An image that the model cannot take is refused for its size.
        let rows = network.grid(f.size()).map_or(0, |g| g.rows());
        let means = if network.adds_mean() { rows as u64 } else { 0 };
        facts.push(fact("a number of patch means of", f.means, means));
        let known = self.errors.len();
        differing(self.errors, file.name(), facts);
        let size = f.size();
        if let Some(sizes) =
            sizes.filter(|sizes| !sizes.contains(&size) && self.errors.len() == known)
        {
            let names: Vec<String> = sizes.iter().map(Size::to_string).collect();
            let (file, expected) = (file.name().to_path_buf(), names.join(" or "));
            self.errors.push(InputError::NoMaterial { file, size, expected });
        }
    }

    fn ring(&self, found: RingBits) -> Fact {
        fact("a ring of bits", found.bits(), self.model.ring.bits())
    }
}

/// Notes the first fact that differs: the others follow from it.
fn differing(errors: &mut Vec<InputError>, path: &Path, facts: impl IntoIterator<Item = Fact>) {
    let differing = facts.into_iter().find(|(_, found, expected)| found != expected);
    if let Some((what, found, expected)) = differing {
        let file = path.to_path_buf();
        errors.push(InputError::Mismatch { file, what, found, expected });
    }
}

/// What, found and expected.
type Fact = (&'static str, String, String);

fn fact<T: ToString>(what: &'static str, found: T, expected: T) -> Fact {
    (what, found.to_string(), expected.to_string())
}
