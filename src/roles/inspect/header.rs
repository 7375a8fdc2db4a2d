//! What the public header of a file says.

use super::Facts;
use crate::files::container::envelope::VERSION;
use crate::files::container::header::{Cipher, Header};
use crate::files::keys::KeyFolder;
use crate::ids::Fingerprint;
use serde_json::{Value, json};

/// The public fields of a header, in reading order.
pub(super) fn describe(header: &Header, names: Option<&KeyFolder>) -> Facts {
    let mut facts = Facts::new();
    facts.insert("kind".into(), json!(header.body.kind().to_string()));
    facts.insert("format_version".into(), json!(VERSION));
    facts.insert("protection".into(), json!(protection(header, names)));
    facts.insert("made_by_key".into(), json!(header.sender.to_string()));
    if let Some(recipient) = header.recipient {
        facts.insert("for_key".into(), json!(recipient.to_string()));
    }
    facts.insert("payload_bytes".into(), json!(header.payload_len));
    if let Value::Object(fields) = header.body.facts() {
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
