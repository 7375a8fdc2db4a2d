//! Files without a name, or with a temporary one where the system knows no others, or in memory.

use crate::files::folder::folder_of;
use crate::files::output::{Overwrite, sync_name};
use crate::files::place::Memory;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// The contents of an output before it has its name.
#[derive(Debug)]
pub(in crate::files) enum Unfinished {
    Unnamed(File),
    Named(NamedTempFile),
    /// For a folder in memory.
    Memory(Memory, Vec<u8>),
}

impl Unfinished {
    /// Opens one in a folder, with these permission bits at most.
    pub(in crate::files) fn create(folder: &Path, mode: u32) -> io::Result<Unfinished> {
        if let Some(file) = unnamed_in(folder, mode) {
            return Ok(Unfinished::Unnamed(file));
        }
        let permissions = Permissions::from_mode(mode);
        temporary_names().permissions(permissions).tempfile_in(folder).map(Unfinished::Named)
    }

    /// Gives it these permission bits, whatever the user's mask.
    pub(in crate::files) fn set_mode(&self, mode: u32) -> io::Result<()> {
        let permissions = Permissions::from_mode(mode);
        match self {
            Unfinished::Unnamed(file) => file.set_permissions(permissions),
            Unfinished::Named(file) => file.as_file().set_permissions(permissions),
            Unfinished::Memory(..) => Ok(()),
        }
    }

    /// Its temporary name, if it has one.
    pub(in crate::files) fn path(&self) -> Option<&Path> {
        match self {
            Unfinished::Named(file) => Some(file.path()),
            Unfinished::Unnamed(_) | Unfinished::Memory(..) => None,
        }
    }

    /// Makes the contents durable.
    pub(in crate::files) fn settle(&self) -> io::Result<()> {
        match self {
            Unfinished::Unnamed(file) => file.sync_all(),
            Unfinished::Named(file) => file.as_file().sync_all(),
            Unfinished::Memory(..) => Ok(()),
        }
    }

    /// Gives it its name, durably.
    pub(in crate::files) fn name(self, target: &Path, overwrite: Overwrite) -> io::Result<()> {
        match (self, overwrite) {
            (Unfinished::Memory(files, bytes), _) => {
                return files.name(target, bytes, overwrite == Overwrite::Allow);
            }
            (Unfinished::Unnamed(file), Overwrite::Never) => name(&file, target),
            (Unfinished::Unnamed(file), Overwrite::Allow) => match name(&file, target) {
                // Only a rename replaces in one step, so it gets a temporary name for a moment.
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                    let named =
                        temporary_names().make_in(folder_of(target), |path| name(&file, path))?;
                    named.persist(target).map(|_| ()).map_err(|err| err.error)
                }
                other => other,
            },
            (Unfinished::Named(file), Overwrite::Never) => {
                file.persist_noclobber(target).map(|_| ()).map_err(|err| err.error)
            }
            (Unfinished::Named(file), Overwrite::Allow) => {
                file.persist(target).map(|_| ()).map_err(|err| err.error)
            }
        }?;
        sync_name(target)
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Unfinished::Unnamed(file) => file.write(bytes),
            Unfinished::Named(file) => file.write(bytes),
            Unfinished::Memory(_, all) => all.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Unfinished::Unnamed(file) => file.flush(),
            Unfinished::Named(file) => file.flush(),
            Unfinished::Memory(..) => Ok(()),
        }
    }
}

fn temporary_names() -> tempfile::Builder<'static, 'static> {
    let mut names = tempfile::Builder::new();
    names.prefix(".ppdenoise-").suffix(".part");
    names
}

/// Where a process finds its open files by number; a name is given through it.
#[cfg(target_os = "linux")]
const OPEN_FILES: &str = "/proc/self/fd";

/// A file without a name, where the system and the file system of `folder` have such.
#[cfg(target_os = "linux")]
fn unnamed_in(folder: &Path, mode: u32) -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};
    if !Path::new(OPEN_FILES).is_dir() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    // Whatever the reason, the attempt with a name succeeds or says why not.
    open(folder, flags, Mode::from_raw_mode(mode)).ok().map(File::from)
}

#[cfg(target_os = "linux")]
fn name(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd;
    let open = format!("{OPEN_FILES}/{}", file.as_raw_fd());
    Ok(linkat(CWD, open.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn unnamed_in(_: &Path, _: u32) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn name(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
