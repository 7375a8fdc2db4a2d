//! What a server that makes material is given: its model share and the description, nothing of whose weights it
//! needs.

use crate::artefact::{ModelShareFile, PublicModelFile, UnparsedModelFile};
use crate::crypto::rlwe::Profile;
use crate::files::Place;
use crate::files::container::envelope::{OpenFrom, open_file};
use crate::files::container::header::ModelShare;
use crate::files::keys::{PublicKey, SecretKey};
use crate::ids::Party;
use crate::ids::{Fingerprint, Role};
use crate::material::pair::linear::LinearPlan;
use crate::model::RESULT_BITS;
use crate::roles::server::{InputError, ServerError};

/// Where the inputs are.
#[derive(Clone, Debug)]
pub struct MakePaths {
    /// This server's model share.
    pub model: Place,
    /// The model's public description.
    pub public: Place,
}

impl MakePaths {
    /// A server's share, and the description.
    pub fn new(model: impl Into<Place>, public: impl Into<Place>) -> Self {
        MakePaths { model: model.into(), public: public.into() }
    }
}

/// Inputs that fit one another.
#[derive(Debug)]
pub(in crate::roles) struct MakeInputs {
    pub(super) party: Party,
    /// The key of the other server.
    pub(super) peer: Fingerprint,
    pub(super) public: PublicModelFile,
}

impl MakeInputs {
    /// Opens and compares them, with the keys of the other server and of the model owner: the description must be the one that the sealed share names, which every byte
    /// of the share proves to be the model owner's.
    ///
    /// # Errors
    /// [`ServiceError::Input`][crate::roles::server::ServiceError::Input]; [`LinearError`][crate::material::pair::linear::LinearError] for a model in the ring of 64 bits, [`ServerError::TooCoarse`]
    /// for one whose results cannot lose enough bits.
    pub(in crate::roles) fn open(
        party: Party,
        own: &SecretKey,
        [peer, model_owner]: [&PublicKey; 2],
        paths: &MakePaths,
    ) -> Result<Self, ServerError> {
        let inputs = Self::read(party, own, [peer, model_owner], paths)?;
        let model = &inputs.public.model;
        LinearPlan::new(model, Profile::Q88)?;
        let (dropped, expected) = (model.dropped_bits(), RESULT_BITS);
        if dropped < expected {
            return Err(ServerError::TooCoarse { dropped, expected });
        }
        Ok(inputs)
    }

    /// The same, for material of one cloud, where the receiver is one of the two servers, and products have the cloud's noise.
    ///
    /// # Errors
    /// [`ServerError::ForTwoServers`] for a model that was shared without room for noise.
    pub(in crate::roles) fn for_one_cloud(self) -> Result<Self, ServerError> {
        let network = &self.public.model.network;
        let flooded = network.linears().all(|(_, linear)| linear.flooding.is_some());
        if flooded { Ok(self) } else { Err(ServerError::ForTwoServers) }
    }

    fn read(
        party: Party,
        own: &SecretKey,
        [peer, model_owner]: [&PublicKey; 2],
        paths: &MakePaths,
    ) -> Result<Self, InputError> {
        let public = UnparsedModelFile::read(&paths.public)?;
        let model = open_file(&paths.model)?;
        let (file, share) = (paths.model.name().to_owned(), *model.expect::<ModelShare>()?);
        let (found, expected) = (share.party.index(), party.index());
        if found != expected {
            return Err(InputError::WrongParty { file, found, expected });
        }
        let facts = &public.facts;
        facts.check_owner(model_owner)?;
        facts.check_server(party, own.public().fingerprint())?;
        facts.check_server(party.other(), peer.fingerprint())?;
        let keys = OpenFrom { recipient: own, sender: model_owner, role: Role::ModelOwner };
        model.check_keys(keys)?;
        let both = [
            ("the model", share.model_id.short(), facts.model_id.short()),
            ("the model description", share.public_digest.short(), facts.digest.short()),
        ];
        for (what, found, expected) in both {
            if found != expected {
                return Err(InputError::Mismatch { file, what, found, expected });
            }
        }
        let peer = peer.fingerprint();
        let reason =
            |e| InputError::Description { file: paths.public.name().to_owned(), reason: e };
        let public = public.parse().map_err(|e| reason(Box::new(e)))?;
        let (found, expected) = (share.elements, public.model.elements() as u64);
        if found != expected {
            let (found, expected) = (found.to_string(), expected.to_string());
            let what = "a number of weights of";
            return Err(InputError::Mismatch { file, what, found, expected });
        }
        ModelShareFile::unseal(model, keys)?.verify(&public.model)?;
        Ok(MakeInputs { party, peer, public })
    }

    /// The public description.
    pub(in crate::roles) fn public(&self) -> &PublicModelFile {
        &self.public
    }
}
