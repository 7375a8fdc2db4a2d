//! The one rule for secrets at rest: nobody but their owner reads or changes them.
//!
//! It holds for secret keys, files with passphrases, state folders and what is in those. A folder's
//! names tell nothing, so it may be listed; who could write to a state folder could take its ledger
//! away. What is public and decides what is done, as a cloud's users and their limits, is changed by
//! its owner alone.

use crate::files::error::FormatError;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Refuses a file that others than its owner may read or write, and a folder that they may write to.
/// Pipes, terminals and other devices keep nothing, so they are none of its business.
///
/// A file that an access control list opens to this user alone is private too: a service manager
/// hands passphrases over so.
///
/// # Errors
/// [`FormatError::Exposed`]; what the operating system says.
pub(crate) fn check_private(path: &Path) -> Result<(), FormatError> {
    let meta = fs::metadata(path).map_err(|err| FormatError::io(path, "read", err))?;
    let mode = meta.permissions().mode() & 0o777;
    let open = if meta.is_file() {
        mode & 0o077
    } else if meta.is_dir() {
        mode & 0o022
    } else {
        0
    };
    if open == 0 || (open & 0o007 == 0 && is_listed_alone(path)) {
        return Ok(());
    }
    Err(FormatError::Exposed { file: path.to_owned(), folder: meta.is_dir(), mode })
}

/// Refuses a file or folder that others may change: what is public may be read by all.
///
/// # Errors
/// [`FormatError::Changeable`], [`FormatError::OfAnother`]; what the operating system says.
pub(crate) fn check_own(path: &Path) -> Result<(), FormatError> {
    let meta = fs::metadata(path).map_err(|err| FormatError::io(path, "read", err))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o022 != 0 && (mode & 0o002 != 0 || !is_listed_alone(path)) {
        return Err(FormatError::Changeable { file: path.to_owned(), mode });
    }
    if !this_user().is_none_or(|user| may_own(meta.uid(), user)) {
        return Err(FormatError::OfAnother { file: path.to_owned(), owner: meta.uid() });
    }
    Ok(())
}

/// As [`check_own`], for a folder that nobody else may put another one in place of: others may not change the folder
/// that it lies in either, unless only owners take names away there, as in `/tmp`.
///
/// # Errors
/// As [`check_own`], of the folder or the one that it lies in.
pub(crate) fn check_own_place(folder: &Path) -> Result<(), FormatError> {
    check_own(folder)?;
    let failed = |err| FormatError::io(folder, "read", err);
    let whole = fs::canonicalize(folder).map_err(failed)?;
    let Some(parent) = whole.parent() else { return Ok(()) };
    let meta = fs::metadata(parent).map_err(|err| FormatError::io(parent, "read", err))?;
    let sticky = meta.permissions().mode() & 0o1000 != 0;
    // In a sticky folder of root's or this user's own, others cannot rename what is not theirs.
    if sticky && this_user().is_none_or(|user| may_own(meta.uid(), user)) {
        return Ok(());
    }
    check_own(parent)
}

/// Who runs this program; nothing where the system does not tell.
fn this_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|meta: Metadata| meta.uid())
}

/// Whether what belongs to `owner` is changed by nobody but `user`, and root, who may do so anyway.
fn may_own(owner: u32, user: u32) -> bool {
    owner == user || owner == 0
}

/// As [`check_private`], for a folder and everything in it.
///
/// # Errors
/// As [`check_private`], of the first that is open to others.
pub(crate) fn check_private_folder(folder: &Path) -> Result<(), FormatError> {
    check_private(folder)?;
    let failed = |err| FormatError::io(folder, "read", err);
    for entry in fs::read_dir(folder).map_err(failed)? {
        match check_private(&entry.map_err(failed)?.path()) {
            // Another process of this server may have removed it meanwhile.
            Err(FormatError::Missing { .. }) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Kinds of entries of an access control list, and its version (Linux, posix_acl_xattr.h).
const VERSION: u32 = 2;
const NAMED_USER: u16 = 0x02;
const GROUP: u16 = 0x04;
const NAMED_GROUP: u16 = 0x08;
const OTHERS: u16 = 0x20;

/// Whether there is a list, which makes the bits of the group those of all whom it names, and it names
/// this user alone.
fn is_listed_alone(path: &Path) -> bool {
    let mut list = [0; 1024];
    let length = rustix::fs::getxattr(path, "system.posix_acl_access", &mut list[..]);
    match (length.map_err(io::Error::from), this_user()) {
        (Ok(length), Some(user)) => names_only(&list[..length.min(list.len())], user),
        _ => false,
    }
}

/// Whether a list gives rights to its owner and this user only.
fn names_only(list: &[u8], user: u32) -> bool {
    let Some((version, entries)) = list.split_first_chunk::<4>() else { return false };
    let (entries, rest) = entries.as_chunks::<8>();
    let harmless = |&[k0, k1, r0, r1, i0, i1, i2, i3]: &[u8; 8]| {
        let rights = u16::from_le_bytes([r0, r1]);
        match u16::from_le_bytes([k0, k1]) {
            NAMED_USER => rights == 0 || u32::from_le_bytes([i0, i1, i2, i3]) == user,
            GROUP | NAMED_GROUP | OTHERS => rights == 0,
            // The owner, and the mask of all rights.
            _ => true,
        }
    };
    u32::from_le_bytes(*version) == VERSION && rest.is_empty() && entries.iter().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_and_folders_follow_one_rule() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("f"), dir.path().join("d"));
        fs::write(&file, b"secret").unwrap();
        fs::create_dir(&folder).unwrap();
        let cases = [
            (&file, &[0o777, 0o644, 0o640, 0o604, 0o620, 0o610][..], &[0o600, 0o400][..]),
            (&folder, &[0o777, 0o775, 0o757, 0o720, 0o702], &[0o700, 0o755, 0o500]),
        ];
        for (path, open, own) in cases {
            for &open in open {
                set(path, open);
                let err = check_private(path).unwrap_err();
                assert!(matches!(err, FormatError::Exposed { mode, .. } if mode == open), "{err}");
            }
            for &own in own {
                set(path, own);
                check_private(path).unwrap();
            }
        }
    }

    /// What is public may be read by all, and changed by its owner alone; so may the folder that it lies in.
    #[test]
    fn nobody_else_changes_or_replaces_what_is_public() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("d"), dir.path().join("d/f"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, b"public").unwrap();
        for (path, kept) in [(&folder, 0o755), (&file, 0o644)] {
            for open in [0o777, 0o775, 0o757, 0o666, 0o620, 0o602].map(|mode| mode | 0o400) {
                set(path, open);
                let err = check_own(path).unwrap_err();
                assert!(
                    matches!(err, FormatError::Changeable { mode, .. } if mode == open),
                    "{err}"
                );
            }
            set(path, kept);
            check_own(path).unwrap();
        }
        check_own_place(&folder).unwrap();
        for (open, sticky) in [(0o777, false), (0o770, false), (0o1777, true)] {
            set(dir.path(), open);
            match check_own_place(&folder) {
                Ok(()) => assert!(sticky, "{open:o}"),
                Err(FormatError::Changeable { file, .. }) => {
                    assert!(!sticky && file == fs::canonicalize(dir.path()).unwrap());
                }
                Err(other) => panic!("{other}"),
            }
        }
        set(dir.path(), 0o700);
        assert!(may_own(7, 7) && may_own(0, 7) && !may_own(7, 0) && !may_own(8, 7));
    }

    #[test]
    fn a_folder_is_as_private_as_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("one");
        fs::write(&inside, b"secret").unwrap();
        set(&inside, 0o640);
        let err = check_private_folder(dir.path()).unwrap_err();
        assert!(matches!(err, FormatError::Exposed { file, .. } if file == inside));
        set(&inside, 0o600);
        check_private_folder(dir.path()).unwrap();
        set(dir.path(), 0o777);
        let err = check_private_folder(dir.path()).unwrap_err();
        assert!(matches!(err, FormatError::Exposed { folder: true, .. }));
    }

    #[test]
    fn a_list_of_this_user_alone_is_private() {
        let list = |entries: &[(u16, u16, u32)]| {
            let mut bytes = VERSION.to_le_bytes().to_vec();
            for (kind, rights, id) in entries {
                bytes.extend([kind.to_le_bytes(), rights.to_le_bytes()].concat());
                bytes.extend(id.to_le_bytes());
            }
            bytes
        };
        let nobody = u32::MAX;
        let own = [
            (1, 4, nobody),
            (NAMED_USER, 4, 7),
            (GROUP, 0, nobody),
            (0x10, 4, nobody),
            (OTHERS, 0, nobody),
        ];
        assert!(names_only(&list(&own), 7));
        assert!(!names_only(&list(&own), 8), "another user");
        for (kind, id) in [(NAMED_USER, 9), (GROUP, nobody), (NAMED_GROUP, 9), (OTHERS, nobody)] {
            assert!(!names_only(&list(&[&own[..], &[(kind, 4, id)]].concat()), 7), "{kind}");
        }
        assert!(!names_only(&list(&own)[1..], 7) && !names_only(&[], 7));
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_listed_alone(dir.path()), "there is no list");
    }
}
