//! The greeting: weights that are bound to their mask, a handshake, and U, opened together.

use super::Job;
use crate::artefact::OpenedWeightsFile;
use crate::files::FormatError;
use crate::files::ledger::BoundWeights;
use crate::ids::{Digest, SessionId};
use crate::numbers::ring::Ring;
use crate::protocol::{
    Agreement, Identity, MaskedWeights, ProtocolError, ServerModel, greet, weights_digest,
};
use crate::roles::server::ServiceError;
use crate::roles::server::inputs::{Inputs, Set};
use crate::wire::Channel;

/// What the two servers have before the first image.
pub(in crate::roles::server) struct SetUp<R: Ring> {
    pub(super) model: ServerModel<R>,
    /// U, one vector a linear op.
    pub(in crate::roles::server) opened: Vec<Vec<R>>,
    pub(super) agreement: Agreement,
}

/// This server's weights, found to be those that X is bound to.
pub(in crate::roles::server) struct CheckedWeights<R: Ring> {
    masked: MaskedWeights<R>,
    /// U and its digest, if it was opened before and the state folder still has it.
    pub(in crate::roles::server) kept: Option<(Vec<Vec<R>>, Digest)>,
    /// The digest of the U that both servers once found to be the same.
    confirmed: Option<Digest>,
}

/// Reads this server's share of the weights and binds it to X, before anything leaves that depends on
/// it: a second model, description or share under one X is refused here.
pub(in crate::roles::server) fn begin<R: Ring>(
    inputs: &mut Inputs,
    job: &mut Job<'_>,
) -> Result<CheckedWeights<R>, ServiceError> {
    let triples = &inputs.sets[0].triples;
    let (mask, public) = (triples.fields().weight_mask_id, &inputs.public);
    let seed = &triples.seeds().weight_mask;
    let masked = MaskedWeights::new(inputs.party, public.model.clone(), &mut inputs.model, seed)?;
    let (model, description) = (public.facts.model_id, public.facts.digest);
    let weights = BoundWeights { model, description, half: masked.digest() };
    let confirmed = job.ledger.bind_weights(mask, weights)?;
    // What the ledger contradicts is passed over: U can be opened again.
    let kept = OpenedWeightsFile::new(job.state, public, mask).load();
    let kept = kept.filter(|(_, digest)| confirmed.is_none_or(|confirmed| confirmed == *digest));
    Ok(CheckedWeights { masked, kept, confirmed })
}

/// Handshake and opening of U.
pub(in crate::roles::server) fn set_up<R: Ring>(
    CheckedWeights { masked, kept: cached, confirmed }: CheckedWeights<R>,
    inputs: &Inputs,
    job: &mut Job<'_>,
    channel: &mut dyn Channel,
) -> Result<SetUp<R>, ServiceError> {
    let fields = *inputs.sets[0].triples.fields();
    let public = &inputs.public;
    let ours = Identity {
        party: inputs.party,
        server: job.keys.own.public().fingerprint(),
        nonce: SessionId::random().map_err(FormatError::from)?,
        model_id: public.facts.model_id,
        public_digest: public.facts.digest,
        weight_mask_id: fields.weight_mask_id,
        ring: fields.ring_bits,
        engine: public.model.engine.name().into(),
        sets: inputs.sets.iter().map(Set::facts).collect(),
        opened_weights: cached.as_ref().map(|(_, digest)| *digest),
    };
    let agreement = greet(&ours, channel)?;
    let (ours, theirs) = (public.facts.servers[inputs.party.other().index()], agreement.peer);
    if ours != theirs {
        let (what, ours, theirs) = ("the key of the other server", ours.short(), theirs.short());
        return Err(ProtocolError::Mismatch { what, ours, theirs }.into());
    }
    let cached = cached.filter(|_| agreement.weights_known).map(|(opened, _)| opened);
    let (model, opened) = masked.open(channel, cached)?;
    // Another U than before is refused before anything is sent that was computed with it. A first one
    // counts once both servers named its digest: what an unprotected link changed is opened again.
    if agreement.weights_known || confirmed.is_some() {
        job.ledger.bind_opened(fields.weight_mask_id, weights_digest(&opened))?;
    }
    if !agreement.weights_known {
        let kept = OpenedWeightsFile::new(job.state, public, fields.weight_mask_id);
        kept.store(&opened, job.keys.own.public().fingerprint())?;
    }
    Ok(SetUp { model, opened, agreement })
}
