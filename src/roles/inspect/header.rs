//! What the public header of a file says.

use super::Facts;
use crate::files::container::envelope::VERSION;
use crate::files::container::header::{Body, Cipher, Header, Levels, PoissonNoise};
use crate::files::keys::KeyFolder;
use crate::ids::Fingerprint;
use serde_json::{Value, json};

/// The public fields of a header, in reading order.
pub(super) fn describe(header: &Header, names: Option<&KeyFolder>) -> Facts {
    let fields = match &header.body {
        Body::PublicModel(f) => json!({
            "model_id": f.model_id.to_string(),
            "for_server_keys": f.servers.map(|key| key.to_string()),
        }),
        Body::ModelShare(f) => json!({
            "server": f.party.index(),
            "model_id": f.model_id.to_string(),
            "public_digest": f.public_digest.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "elements": f.elements,
        }),
        Body::ImageShare(f) => json!({
            "server": f.party.index(),
            "image_id": f.image_id.to_string(),
            "model_id": f.model_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "patch_means": f.means,
            "note_bytes": f.note,
            "sigma": f.sigma,
            "scale_about": f.levels.scale_about,
            "noise": noise(&f.levels),
        }),
        Body::Triples(f) => json!({
            "server": f.party.index(),
            "set_id": f.set_id.to_string(),
            "weight_mask_id": f.weight_mask_id.to_string(),
            "model_id": f.model_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "slots": f.slots,
            "batch_rows": f.batch_rows,
            "origin": f.origin.to_string(),
        }),
        Body::Prepared(f) => json!({
            "server": f.party.index(),
            "set_id": f.set_id.to_string(),
            "slot": f.slot,
            "weight_mask_id": f.weight_mask_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "batch_rows": f.batch_rows,
        }),
        Body::ResultShare(f) => json!({
            "server": f.party.index(),
            "image_id": f.image_id.to_string(),
            "model_id": f.model_id.to_string(),
            "session_id": f.session_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "noise": noise(&f.decode.levels),
            "dropped_bits": f.decode.dropped_bits,
            "note_bytes": f.note,
        }),
        Body::OpenedWeights(f) => json!({
            "weight_mask_id": f.weight_mask_id.to_string(),
            "model_id": f.model_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "elements": f.elements,
        }),
        Body::WeightMask(f) => json!({
            "server": f.party.index(),
            "weight_mask_id": f.weight_mask_id.to_string(),
            "model_id": f.model_id.to_string(),
            "other_server_key": f.peer.to_string(),
        }),
        Body::Hints(f) => json!({
            "server": f.party.index(),
            "weight_mask_id": f.weight_mask_id.to_string(),
            "hints": f.hints,
        }),
        Body::PublicKey(f) => json!({ "role": f.role.stem() }),
        Body::SecretKey(f) => json!({ "role": f.role.stem() }),
    };
    let mut facts = Facts::new();
    facts.insert("kind".into(), json!(header.body.kind().to_string()));
    facts.insert("format_version".into(), json!(VERSION));
    facts.insert("protection".into(), json!(protection(header, names)));
    facts.insert("made_by_key".into(), json!(header.sender.to_string()));
    if let Some(recipient) = header.recipient {
        facts.insert("for_key".into(), json!(recipient.to_string()));
    }
    facts.insert("payload_bytes".into(), json!(header.payload_len));
    if let Value::Object(fields) = fields {
        facts.extend(fields);
    }
    facts
}

/// How the payload is protected, with the roles whose public keys are in `names`. The header says
/// so; only who opens the file knows.
fn protection(header: &Header, names: Option<&KeyFolder>) -> String {
    let name = |key: Fingerprint| match names.and_then(|names| names.role_of(key)) {
        Some(role) => format!("{key} ({role})"),
        None => key.to_string(),
    };
    match (header.cipher, header.recipient) {
        (Cipher::Sealed { .. }, Some(recipient)) => {
            format!("sealed to {} by {}", name(recipient), name(header.sender))
        }
        (Cipher::Locked(s), _) => format!(
            "locked with a passphrase: Argon2id, {} KiB, {} passes, {} lanes",
            s.memory_kib, s.passes, s.lanes
        ),
        _ => "none".into(),
    }
}

fn noise(levels: &Levels) -> String {
    match levels.poisson {
        None => "gaussian".into(),
        Some(PoissonNoise { gain, read_noise }) => {
            format!("poisson, gain {gain}, read noise {read_noise}")
        }
    }
}
