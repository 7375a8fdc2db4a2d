//! Whose state folder it is: two servers that shared one would take each other's slots.

use super::ServiceError;
use crate::files::FormatError;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::ids::Fingerprint;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The file that names the owner.
const FILE_NAME: &str = "server";
/// What is read of that file: a fingerprint and its newline are shorter.
const MAX_LEN: u64 = 256;

/// Makes an existing state folder this server's own, or finds that it is.
///
/// # Errors
/// [`ServiceError::StateOfAnother`]; [`ServiceError::Format`] if the folder cannot be used.
pub(in crate::roles) fn claim_state(
    folder: &Path,
    server: Fingerprint,
) -> Result<(), ServiceError> {
    let path = folder.join(FILE_NAME);
    let expected = server.to_string();
    match OutputFile::create(&path, Access::Secret, Overwrite::Never) {
        Ok(mut out) => {
            writeln!(out, "{expected}").map_err(FormatError::from_writer)?;
            match out.commit() {
                // Another process of somebody made it meanwhile.
                Err(FormatError::Exists { .. }) => {}
                other => return Ok(other?),
            }
        }
        Err(FormatError::Exists { .. }) => {}
        Err(e) => return Err(e.into()),
    }
    let failed = |e| FormatError::io(&path, "read", e);
    let mut found = String::new();
    let file = File::open(&path).map_err(failed)?;
    file.take(MAX_LEN).read_to_string(&mut found).map_err(failed)?;
    if found.trim_end() == expected {
        return Ok(());
    }
    let found = found.trim_end().chars().filter(|c| !c.is_control()).take(32).collect();
    Err(ServiceError::StateOfAnother { folder: folder.into(), found, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = [1, 2].map(|v| Fingerprint::from_bytes([v; Fingerprint::LEN]));
        claim_state(dir.path(), a).unwrap();
        claim_state(dir.path(), a).unwrap();
        let error = claim_state(dir.path(), b).unwrap_err();
        assert!(error.to_string().contains(&a.to_string()), "{error}");
        assert!(matches!(error, ServiceError::StateOfAnother { .. }));
        claim_state(dir.path(), a).unwrap();
    }
}
