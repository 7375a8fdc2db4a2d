//! Output files that are complete or not there.

use crate::format::error::FormatError;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The most bytes that wait to be written together.
const BUFFER: usize = 1 << 16;

/// Who may read an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone: mode 0600.
    Secret,
    /// Whoever the user's mask allows.
    Public,
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and the output is refused.
    Never,
    /// It is replaced, at once and only by a complete output.
    Allow,
}

/// An output without a name in its target's folder. [`OutputFile::commit`] gives it its name;
/// dropped before that, it leaves nothing, and neither does a process that is killed. Where the
/// file system knows only files with names it has a temporary one, which a kill leaves.
#[derive(Debug)]
pub struct OutputFile {
    out: Unfinished,
    /// Small writes that wait. It grows when it is used: a job opens all its outputs at once.
    waiting: Vec<u8>,
    target: PathBuf,
    folder: PathBuf,
    overwrite: Overwrite,
}

#[derive(Debug)]
enum Unfinished {
    Unnamed(File),
    Named(NamedTempFile),
}

impl OutputFile {
    /// Opens the unfinished file.
    ///
    /// # Errors
    /// [`FormatError::Exists`], [`FormatError::FolderMissing`], [`FormatError::DiskFull`], or what
    /// the operating system says; also for a target that is no regular file.
    pub fn create(path: &Path, access: Access, overwrite: Overwrite) -> Result<Self, FormatError> {
        check_target(path, overwrite)?;
        let folder = folder_of(path);
        if !folder.is_dir() {
            return Err(FormatError::FolderMissing { file: path.to_owned(), folder });
        }
        let mode = match access {
            Access::Secret => 0o600,
            Access::Public => 0o666,
        };
        let unfinished = match unnamed_in(&folder, mode) {
            Some(file) => Unfinished::Unnamed(file),
            None => temporary_names()
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(&folder)
                .map(Unfinished::Named)
                .map_err(|err| FormatError::io(path, "write", err))?,
        };
        let (out, waiting) = (unfinished, Vec::new());
        Ok(OutputFile { out, waiting, target: path.to_owned(), folder, overwrite })
    }

    /// The name the file will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Makes the contents durable and gives the file its name.
    ///
    /// # Errors
    /// [`FormatError::Exists`] if somebody else made the target meanwhile, and as
    /// [`OutputFile::create`].
    pub fn commit(mut self) -> Result<(), FormatError> {
        let target = self.target.clone();
        let folder = self.folder.clone();
        let failed = |err: io::Error| match err.kind() {
            io::ErrorKind::NotFound => {
                FormatError::FolderMissing { file: target.clone(), folder: folder.clone() }
            }
            _ => FormatError::io(&target, "write", err),
        };
        self.pass_on().map_err(failed)?;
        self.out.finish(&self.target, &self.folder, self.overwrite).map_err(failed)?;
        sync_folder(&self.folder).map_err(failed)
    }

    /// Writes what waits.
    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// An error that names the target even after it passed through a writer's `io::Error`.
    fn named(&self, err: io::Error) -> io::Error {
        io::Error::new(err.kind(), FormatError::io(&self.target, "write", err))
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting.len() + bytes.len() > BUFFER {
            self.pass_on().map_err(|err| self.named(err))?;
        }
        if bytes.len() >= BUFFER {
            return self.out.write(bytes).map_err(|err| self.named(err));
        }
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on().and_then(|()| self.out.flush()).map_err(|err| self.named(err))
    }
}

impl Unfinished {
    fn finish(self, target: &Path, folder: &Path, overwrite: Overwrite) -> io::Result<()> {
        match (self, overwrite) {
            (Unfinished::Unnamed(file), Overwrite::Never) => {
                file.sync_all()?;
                name(&file, target)
            }
            (Unfinished::Unnamed(file), Overwrite::Allow) => {
                file.sync_all()?;
                match name(&file, target) {
                    Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                    other => return other,
                }
                // Only a rename replaces in one step, so it gets a temporary name for a moment.
                let named = temporary_names().make_in(folder, |path| name(&file, path))?;
                named.persist(target).map(|_| ()).map_err(|err| err.error)
            }
            (Unfinished::Named(file), overwrite) => {
                file.as_file().sync_all()?;
                let named = match overwrite {
                    Overwrite::Never => file.persist_noclobber(target),
                    Overwrite::Allow => file.persist(target),
                };
                named.map(|_| ()).map_err(|err| err.error)
            }
        }
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Unfinished::Unnamed(file) => file.write(bytes),
            Unfinished::Named(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Unfinished::Unnamed(file) => file.flush(),
            Unfinished::Named(file) => file.flush(),
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

/// Refuses an output that is one of the inputs, under whatever name.
///
/// # Errors
/// [`FormatError::SameFile`].
pub fn ensure_not_input(output: &Path, inputs: &[&Path]) -> Result<(), FormatError> {
    let identity = |meta: Metadata| (meta.dev(), meta.ino());
    // An output that is not there yet cannot be an input.
    let Ok(out) = fs::metadata(output).map(identity) else { return Ok(()) };
    let same = |input: &&Path| fs::metadata(input).map(identity).is_ok_and(|id| id == out);
    if inputs.iter().any(same) {
        return Err(FormatError::SameFile { file: output.to_owned() });
    }
    Ok(())
}

/// The bytes that may still be written to the disk of `path`, or of its folder if `path` is not
/// there yet.
///
/// # Errors
/// What the operating system says.
pub fn free_space(path: &Path) -> Result<u64, FormatError> {
    let place = if path.exists() { path.to_owned() } else { folder_of(path) };
    let stat = rustix::fs::statvfs(&place)
        .map_err(|err| FormatError::io(&place, "ask for the free space of", err.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses to begin an output of `needed` bytes that would not fit.
///
/// # Errors
/// [`FormatError::NoSpace`]; as [`free_space`].
pub fn ensure_space(path: &Path, needed: u64) -> Result<(), FormatError> {
    let free = free_space(path)?;
    if free < needed {
        return Err(FormatError::NoSpace { file: path.to_owned(), needed, free });
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn check_target(path: &Path, overwrite: Overwrite) -> Result<(), FormatError> {
    // The link itself counts: a dangling link is a name that is taken.
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    if overwrite == Overwrite::Never {
        return Err(FormatError::Exists { file: path.to_owned() });
    }
    // Renaming over a device, a pipe or a folder would destroy it, or fail after the work.
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
            Err(FormatError::Io { file: path.to_owned(), action: "replace", source })
        }
        _ => Ok(()),
    }
}

pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_left_without_a_commit() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let mut out = OutputFile::create(&path, Access::Secret, Overwrite::Never).unwrap();
        out.write_all(&[1; 100_000]).unwrap();
        assert!(!path.exists());
        drop(out);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_commit_leaves_the_target_alone_and_complete() {
        let dir = tempdir().unwrap();
        for (name, access) in [("s", Access::Secret), ("p", Access::Public)] {
            let path = dir.path().join(name);
            let mut out = OutputFile::create(&path, access, Overwrite::Never).unwrap();
            out.write_all(b"abc").unwrap();
            out.commit().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"abc");
        }
        assert_eq!(names(dir.path()), ["p", "s"]);
        let mode = fs::metadata(dir.path().join("s")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_existing_target_is_kept_or_replaced_whole() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"old").unwrap();
        let err = OutputFile::create(&path, Access::Public, Overwrite::Never).unwrap_err();
        assert!(matches!(err, FormatError::Exists { file } if file == path));
        let mut out = OutputFile::create(&path, Access::Public, Overwrite::Allow).unwrap();
        out.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        out.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_target_made_meanwhile_is_kept() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let out = OutputFile::create(&path, Access::Public, Overwrite::Never).unwrap();
        fs::write(&path, b"theirs").unwrap();
        assert!(matches!(out.commit(), Err(FormatError::Exists { file }) if file == path));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn folders_are_neither_made_nor_replaced() {
        let dir = tempdir().unwrap();
        let missing = dir.path().join("no");
        let err = OutputFile::create(&missing.join("a"), Access::Public, Overwrite::Never);
        assert!(matches!(err, Err(FormatError::FolderMissing { folder, .. }) if folder == missing));
        let err = OutputFile::create(dir.path(), Access::Public, Overwrite::Allow);
        assert!(matches!(err, Err(FormatError::Io { action: "replace", .. })));
    }

    #[test]
    fn a_full_disk_has_its_own_error() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let out = OutputFile::create(&path, Access::Public, Overwrite::Never).unwrap();
        let full = out.named(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        let err = FormatError::from_writer(full);
        assert!(matches!(&err, FormatError::DiskFull { file } if *file == path));
        assert!(err.help().is_some_and(|help| help.contains("space")));
    }

    #[test]
    fn an_input_is_no_output() {
        let dir = tempdir().unwrap();
        let [a, b, link] = ["a", "b", "link"].map(|name| dir.path().join(name));
        fs::write(&a, b"").unwrap();
        fs::write(&b, b"").unwrap();
        std::os::unix::fs::symlink(&a, &link).unwrap();
        assert!(ensure_not_input(&a, &[&b]).is_ok());
        assert!(ensure_not_input(&dir.path().join("new"), &[&a, &b]).is_ok());
        assert!(matches!(ensure_not_input(&a, &[&b, &a]), Err(FormatError::SameFile { .. })));
        assert!(matches!(ensure_not_input(&link, &[&a]), Err(FormatError::SameFile { .. })));
    }

    #[test]
    fn space_is_found_and_judged() {
        let dir = tempdir().unwrap();
        assert!(free_space(&dir.path().join("new")).unwrap() > 0);
        assert!(ensure_space(dir.path(), 1).is_ok());
        let err = ensure_space(dir.path(), u64::MAX).unwrap_err();
        assert!(matches!(err, FormatError::NoSpace { needed: u64::MAX, .. }));
    }
}
