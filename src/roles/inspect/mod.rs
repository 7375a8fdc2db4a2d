//! What a file is, whose, and what is left of it: from its public header, without a key; of a model its arrays'
//! names and shapes, of a key folder whose keys. Never a secret.

mod brought;
mod error;
mod header;
mod network;
mod picture;
#[cfg(feature = "cli")]
mod shape;

use super::images::is_stream;
use super::models::{Recognised, recognise};
use super::public_model::read_public;
use crate::files::container::envelope::{open_file, open_stream};
use crate::files::container::header::{Body, Cipher};
use crate::files::keys::{KeyEntry, KeyFolder};
use crate::files::ledger::Ledger;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub use error::InspectError;
#[cfg(feature = "cli")]
pub(crate) use shape::Shape;

/// Facts by name, in the order of their names: docs/json.md lists them.
pub type Facts = Map<String, Value>;

/// What is asked of files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inspect<'a> {
    /// A folder with public keys, by which the keys that files name are told.
    pub keys: Option<&'a Path>,
    /// A server's state folder: of triples it is told how many slots are left by its ledger.
    pub state: Option<&'a Path>,
}

/// Tells what files are, in their order.
///
/// # Errors
/// [`InspectError`], mostly about a file or folder.
pub fn inspect(files: &[&Path], request: &Inspect<'_>) -> Result<Vec<Facts>, InspectError> {
    let names = request.keys.map(KeyFolder::open).transpose()?;
    files.iter().map(|file| facts(file, request.state, names.as_ref())).collect()
}

/// Slots left of all triples for images of each size, of what [`inspect`] told with a state folder.
pub fn slots_by_size(files: &[Facts]) -> BTreeMap<String, u64> {
    let mut left = BTreeMap::new();
    for facts in files {
        let slots = facts.get("slots_left").and_then(Value::as_u64).unwrap_or_default();
        *left.entry(format!("{}x{}", facts["height"], facts["width"])).or_default() += slots;
    }
    left
}

fn facts(
    path: &Path,
    state: Option<&Path>,
    names: Option<&KeyFolder>,
) -> Result<Facts, InspectError> {
    let not_triples = || Err(InspectError::NotTriples.about(path));
    match recognise(path)? {
        Recognised::Model | Recognised::Image(_) if state.is_some() => return not_triples(),
        Recognised::Model => return brought::model(path),
        Recognised::Image(format) => return picture::facts(path, format),
        Recognised::Other => {}
    }
    if path.is_dir() {
        return if state.is_some() { not_triples() } else { folder(path) };
    }
    let header = if is_stream(path) {
        open_stream(path)?.header().clone()
    } else {
        open_file(path)?.header().clone()
    };
    let mut facts = header::describe(&header, names);
    // A pipe cannot be read again.
    if let (Body::PublicModel(_), false) = (&header.body, is_stream(path)) {
        network::describe(&read_public(path)?.model, &mut facts);
    }
    if let Some(dir) = state {
        let Body::Triples(triples) = &header.body else { return not_triples() };
        if !dir.is_dir() {
            return Err(InspectError::NoState.about(dir));
        }
        let used = Ledger::open(dir)?.next_slot(triples.set_id)?.min(triples.slots);
        facts.insert("slots_used".into(), json!(used));
        facts.insert("slots_left".into(), json!(triples.slots - used));
    }
    Ok(facts)
}

/// The keys of a folder: whose they are, and whether secret ones are locked; never a secret.
fn folder(path: &Path) -> Result<Facts, InspectError> {
    let keys = KeyFolder::open(path).and_then(|folder| folder.list());
    let keys = keys?;
    if keys.is_empty() {
        return Err(InspectError::NoKeys.about(path));
    }
    let mut facts = Facts::new();
    facts.insert("kind".into(), json!("key folder"));
    for KeyEntry { role, fingerprint, secret } in keys {
        let half = match secret {
            None => "public",
            Some(Cipher::Locked(_)) => "secret, locked with a passphrase",
            Some(_) => "secret, not locked",
        };
        let name = format!("{}.{}", role.stem(), if secret.is_some() { "key" } else { "pub" });
        facts.insert(name, json!(format!("{fingerprint} {half}")));
    }
    Ok(facts)
}
