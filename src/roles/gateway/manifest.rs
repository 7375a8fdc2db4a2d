//! What a folder of shares was made of, so that sharing the same images again passes over them.
//!
//! Security: the list lies beside the shares and may travel with them. An entry is a keyed hash whose key stays at the
//! gateway, over the name and the bytes of a file and everything that its shares depend on: without the key nobody
//! can try out whether a picture is on the list. How many entries there are, and in which order they came, is all that
//! it tells.

use super::request::ShareImages;
use super::{Gateway, GatewayError};
use crate::files::FormatError;
use crate::image::dicom::Window;
use crate::roles::images::Noise;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file in the folder of shares; hidden, as what is no share.
pub(super) const FILE_NAME: &str = ".shared";
const HEADING: &str = "ppdenoise shared 1";
/// What the key of the hash is derived under.
const CONTEXT: &str = "ppdenoise list of shared images v1";
/// Bytes read at a time.
const PIECE: usize = 1 << 16;
/// Hexadecimal digits of an entry.
const ENTRY_LEN: usize = 32;
/// The longest list that is read: about two million images.
const MAX_LIST: u64 = 64 << 20;

/// The images that were shared into a folder.
pub(super) struct Manifest {
    path: PathBuf,
    /// Keyed, and with everything taken in that is the same for all images.
    start: blake3::Hasher,
    entries: HashSet<String>,
}

/// An image, as the list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry(String);

impl Manifest {
    /// The list of a folder; empty if there is none yet.
    ///
    /// # Errors
    /// [`FormatError`] if it cannot be read; [`GatewayError::ListTooLong`].
    pub(super) fn open(
        folder: &Path,
        gateway: &Gateway,
        request: &ShareImages<'_>,
    ) -> Result<Self, GatewayError> {
        let path = folder.join(FILE_NAME);
        let entries = match File::open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => HashSet::new(),
            Err(e) => return Err(FormatError::io(&path, "open", e).into()),
            Ok(file) => {
                let mut text = String::new();
                let read = file.take(MAX_LIST + 1).read_to_string(&mut text);
                if read.map_err(|e| FormatError::io(&path, "read", e))? as u64 > MAX_LIST {
                    let error = GatewayError::ListTooLong { limit: MAX_LIST };
                    return Err(error.about(&path));
                }
                entries(&text)
            }
        };
        let start = start(gateway, request);
        Ok(Manifest { path, start, entries })
    }

    /// The entry of a file as it is now, under the name that its note tells.
    ///
    /// # Errors
    /// [`FormatError`] if it cannot be read.
    pub(super) fn entry(&self, file: &Path, name: &str) -> Result<Entry, FormatError> {
        let failed = |e| FormatError::io(file, "read", e);
        let mut hasher = self.start.clone();
        part(&mut hasher, name.as_bytes());
        let mut source = File::open(file).map_err(|e| FormatError::io(file, "open", e))?;
        let mut piece = vec![0; PIECE];
        loop {
            match source.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => drop(hasher.update(&piece[..n])),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
        let mut hex = hasher.finalize().to_hex().to_string();
        hex.truncate(ENTRY_LEN);
        Ok(Entry(hex))
    }

    /// Whether an image was shared as it is now.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        self.entries.contains(&entry.0)
    }

    /// Adds an image whose shares have their names. What a crash cuts off is shared again the next time.
    ///
    /// # Errors
    /// [`FormatError`] if the list cannot be written.
    pub(super) fn add(&mut self, entry: Entry) -> Result<(), FormatError> {
        if !self.entries.insert(entry.0.clone()) {
            return Ok(());
        }
        let failed = |e| FormatError::io(&self.path, "write", e);
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(&self.path);
        let mut file = file.map_err(failed)?;
        // One write, so that parts of the work at the same time do not mix theirs. A line of its own, whatever a
        // crash has left before it.
        let new = file.metadata().map_err(failed)?.len() == 0;
        let heading = if new { format!("{HEADING}\n") } else { "\n".into() };
        let line = format!("{heading}{}\n", entry.0);
        file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)
    }
}

/// Whole entries of a list; the heading, empty lines and what a crash has cut off are none.
fn entries(text: &str) -> HashSet<String> {
    let is_entry =
        |line: &&str| line.len() == ENTRY_LEN && line.bytes().all(|b| b.is_ascii_hexdigit());
    text.lines().filter(is_entry).map(String::from).collect()
}

/// A field with its length, so that no two lists of fields are the same bytes.
fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

/// Everything but the file that shares depend on: whose keys, which model, which levels and parts.
fn start(gateway: &Gateway, request: &ShareImages<'_>) -> blake3::Hasher {
    let seed = gateway.parties.sender.prf_seed(CONTEXT);
    let mut hasher = blake3::Hasher::new_keyed(seed.expose());
    for key in gateway.parties.fingerprints() {
        part(&mut hasher, key.as_bytes());
    }
    let receiver = gateway.receiver.as_ref().ok().map(|key| *key.fingerprint().as_bytes());
    part(&mut hasher, receiver.as_ref().map_or(&[][..], |key| &key[..]));
    let facts = &request.public.facts;
    part(&mut hasher, facts.model_id.as_bytes());
    part(&mut hasher, facts.digest.as_bytes());
    let noise = match request.levels.noise {
        Noise::OfModel => "model".into(),
        Noise::Sigma(sigma) => format!("sigma {sigma}"),
        Noise::Estimated => "estimated".into(),
        Noise::Poisson(noise) => format!("poisson {noise:?}"),
    };
    let about = request.levels.scale_about.map_or(String::new(), |about| about.to_string());
    let window = request.window.map_or(String::new(), |window: Window| format!("{window:?}"));
    // How much may be clamped decides whether shares are made, not what they are.
    let cut = format!("{:?} {} {:?}", request.tile, request.colour, request.average);
    let range = request.range.map_or(String::new(), |range| range.to_string());
    for text in [noise, about, window, range, cut] {
        part(&mut hasher, text.as_bytes());
    }
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_list_is_read(text: String, cut in 0usize..80) {
            let entry = "0123456789abcdef0123456789abcdef";
            let good = format!("{HEADING}\n{entry}\n");
            prop_assert!(entries(&good).contains(entry));
            let _ = entries(&text);
            let torn = entries(&good[..cut.min(good.len())]);
            prop_assert!(torn.iter().all(|found| found == entry));
            // A line after a torn one is whole.
            let after = format!("{}\n{entry}\n", &good[..cut.min(good.len())]);
            prop_assert!(entries(&after).contains(entry));
        }
    }
}
