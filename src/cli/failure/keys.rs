//! What to do about keys that a role misses.

use super::{Code, Failure};
use crate::files::FormatError;
use crate::ids::Role;

/// A role's keys cannot be opened: it makes its own pair, and gets the public keys of `others`.
pub(super) fn of_role(e: FormatError, role: Role, others: &[Role]) -> Failure {
    let (file, folder) = match &e {
        FormatError::KeyFolderMissing { folder } => (None, folder),
        FormatError::KeyMissing { file, folder } => (file.file_name(), folder),
        _ => return e.into(),
    };
    let own = format!("{}.key", role.stem());
    let help = match file.and_then(|name| name.to_str()).filter(|name| *name != own) {
        Some(name) => format!(
            "get {name} from its owner, compare fingerprints, and copy it to '{}'",
            folder.display()
        ),
        None => {
            let others: Vec<String> =
                others.iter().map(|role| format!("{}.pub", role.stem())).collect();
            format!(
                "make the {role}'s pair with `ppdenoise keygen --role {} --out '{}'`, and get {} from \
                 their owners",
                role.stem(),
                folder.display(),
                others.join(" and ")
            )
        }
    };
    Failure::of(Code::Input, &e, Some(help))
}
