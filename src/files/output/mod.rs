//! Output files that are complete or not there.

pub(crate) mod erase;
pub(crate) mod half_done;
mod unfinished;
pub(crate) mod words;

use crate::files::error::FormatError;
use crate::files::folder::folder_of;
use crate::files::output::half_done::{HalfDone, naming};
use crate::files::output::unfinished::Unfinished;
use crate::files::place::Place;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The most bytes that wait to be written together.
const BUFFER: usize = 1 << 16;

/// Who may read an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone: mode 0600.
    Secret,
    /// Whoever may read the file that it replaces, else its owner alone: a picture, which nobody but
    /// its owner can say is no secret.
    Picture,
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

/// An output without a name in its target's folder, or in memory. [`OutputFile::commit`] gives it its name;
/// dropped before that, it leaves nothing, and neither does a process that is killed. Where the
/// file system knows only files with names it has a temporary one, which a kill leaves.
#[derive(Debug)]
pub struct OutputFile {
    out: Unfinished,
    /// Small writes that wait. It grows when it is used: a job opens all its outputs at once.
    waiting: Vec<u8>,
    target: Place,
    overwrite: Overwrite,
    /// The temporary name, if it has one.
    temporary: Option<HalfDone>,
}

impl OutputFile {
    /// Opens the unfinished file.
    ///
    /// # Errors
    /// [`FormatError::Exists`], [`FormatError::FolderMissing`], [`FormatError::DiskFull`], or what
    /// the operating system says; also for a target that is no regular file.
    pub fn create(
        place: impl Into<Place>,
        access: Access,
        overwrite: Overwrite,
    ) -> Result<Self, FormatError> {
        let target = place.into();
        let out = match &target {
            Place::Disk(path) => Self::on_disk(path, access, overwrite)?,
            Place::Memory(folder, name) => {
                if overwrite == Overwrite::Never && folder.get(name).is_some() {
                    return Err(FormatError::Exists { file: name.clone() });
                }
                Unfinished::Memory(folder.clone(), Vec::new())
            }
        };
        let temporary = out.path().map(|path| HalfDone::new(&path.into()));
        Ok(OutputFile { out, waiting: Vec::new(), target, overwrite, temporary })
    }

    fn on_disk(
        path: &Path,
        access: Access,
        overwrite: Overwrite,
    ) -> Result<Unfinished, FormatError> {
        check_target(path, overwrite)?;
        let folder = folder_of(path);
        if !folder.is_dir() {
            return Err(FormatError::FolderMissing { file: path.to_owned(), folder });
        }
        let mode = match access {
            Access::Secret | Access::Picture => 0o600,
            Access::Public => 0o666,
        };
        let unwritable = |err| FormatError::io(path, "write", err);
        let out = Unfinished::create(&folder, mode).map_err(unwritable)?;
        if let (Access::Picture, Some(mode)) = (access, mode_of_file(path)) {
            out.set_mode(mode).map_err(unwritable)?;
        }
        Ok(out)
    }

    /// The name the file will have.
    pub fn target(&self) -> &Path {
        self.target.name()
    }

    /// Refuses to begin an output of `needed` bytes that would not fit the disk; memory is not measured.
    ///
    /// # Errors
    /// As [`ensure_space`].
    pub fn ensure_space(&self, needed: u64) -> Result<(), FormatError> {
        self.target.path().map_or(Ok(()), |path| ensure_space(path, needed))
    }

    /// Makes the contents durable and gives the file its name.
    ///
    /// # Errors
    /// [`FormatError::Exists`] if somebody else made the target meanwhile, and as
    /// [`OutputFile::create`].
    pub fn commit(self) -> Result<(), FormatError> {
        commit_all([self])
    }

    /// Makes the contents durable, without a name.
    ///
    /// # Errors
    /// As [`OutputFile::create`].
    pub fn settle(&mut self) -> Result<(), FormatError> {
        let settled = self.pass_on().and_then(|()| self.out.settle());
        settled.map_err(|err| self.failed(err))
    }

    /// Gives the file its name.
    fn name(self) -> Result<(), FormatError> {
        let OutputFile { out, target, overwrite, temporary, .. } = self;
        let named = out.name(target.name(), overwrite);
        drop(temporary);
        named.map_err(|err| commit_failed(target.name(), err))
    }

    fn failed(&self, err: io::Error) -> FormatError {
        commit_failed(self.target(), err)
    }

    /// Writes what waits.
    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// An error that names the target even after it passed through a writer's `io::Error`.
    fn named(&self, err: io::Error) -> io::Error {
        io::Error::new(err.kind(), FormatError::io(self.target(), "write", err))
    }
}

/// Makes the contents of a set of outputs durable and gives all of them their names; an end of the
/// process by a signal comes before all names or after them.
///
/// # Errors
/// As [`OutputFile::commit`]; the outputs before the one that failed keep their names.
pub(crate) fn commit_all(outs: impl IntoIterator<Item = OutputFile>) -> Result<(), FormatError> {
    commit(outs, |_| ())
}

/// As [`commit_all`], of outputs that are a part of a set: each is half done from the moment at which it
/// has its name. Before that a file of this name is an older one, which nothing may touch.
///
/// # Errors
/// As [`commit_all`].
pub(crate) fn commit_part(
    outs: impl IntoIterator<Item = OutputFile>,
    half_done: &mut Vec<HalfDone>,
) -> Result<(), FormatError> {
    commit(outs, |target| half_done.push(HalfDone::new(target)))
}

fn commit(
    outs: impl IntoIterator<Item = OutputFile>,
    mut named: impl FnMut(&Place),
) -> Result<(), FormatError> {
    let mut outs: Vec<OutputFile> = outs.into_iter().collect();
    outs.iter_mut().try_for_each(OutputFile::settle)?;
    // A signal waits until it is known which files have their names.
    let _naming = naming();
    outs.into_iter().try_for_each(|out| {
        let target = out.target.clone();
        out.name().inspect(|()| named(&target))
    })
}

fn commit_failed(target: &Path, err: io::Error) -> FormatError {
    match err.kind() {
        io::ErrorKind::NotFound => {
            FormatError::FolderMissing { file: target.to_owned(), folder: folder_of(target) }
        }
        _ => FormatError::io(target, "write", err),
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

/// Refuses an output that is one of the inputs, under whatever name.
///
/// # Errors
/// [`FormatError::SameFile`].
pub(crate) fn ensure_not_input<I: Clone + Into<Place>>(
    output: impl Into<Place>,
    inputs: &[I],
) -> Result<(), FormatError> {
    let output = output.into();
    let identity = |place: &Place| {
        let meta = fs::metadata(place.path()?).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    // An output that is not there yet cannot be an input.
    let out = identity(&output);
    let same = |input: Place| match output {
        Place::Disk(_) => out.is_some() && identity(&input) == out,
        Place::Memory(..) => input == output,
    };
    if inputs.iter().cloned().map(Into::into).any(same) {
        return Err(FormatError::SameFile { file: output.name().to_owned() });
    }
    Ok(())
}

/// The bytes that may still be written to the disk of `path`, or of its folder if `path` is not
/// there yet.
///
/// # Errors
/// What the operating system says.
pub(crate) fn free_space(path: &Path) -> Result<u64, FormatError> {
    let place = if path.exists() { path.to_owned() } else { folder_of(path) };
    let stat = rustix::fs::statvfs(&place)
        .map_err(|err| FormatError::io(&place, "ask for the free space of", err.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses to begin an output of `needed` bytes that would not fit.
///
/// # Errors
/// [`FormatError::NoSpace`]; as [`free_space`].
pub(crate) fn ensure_space(path: &Path, needed: u64) -> Result<(), FormatError> {
    let free = free_space(path)?;
    if free < needed {
        return Err(FormatError::NoSpace { file: path.to_owned(), needed, free });
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes durable that a file has this name, or that no file has it any more.
fn sync_name(path: &Path) -> io::Result<()> {
    sync_folder(&folder_of(path))
}

/// The permission bits of a file that would be replaced; a link's are nobody's.
fn mode_of_file(path: &Path) -> Option<u32> {
    let meta = fs::symlink_metadata(path).ok().filter(Metadata::is_file)?;
    Some(meta.permissions().mode() & 0o777)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::output::half_done::is_half_done;
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
    fn a_set_gets_its_names_together_or_keeps_what_is_there() {
        let dir = tempdir().unwrap();
        let out = |name: &str| {
            let path = dir.path().join(name);
            let mut out = OutputFile::create(&path, Access::Secret, Overwrite::Never).unwrap();
            out.write_all(name.as_bytes()).unwrap();
            out
        };
        commit_all([out("a"), out("b")]).unwrap();
        assert_eq!(names(dir.path()), ["a", "b"]);
        let (c, d) = (out("c"), out("d"));
        fs::write(dir.path().join("d"), b"theirs").unwrap();
        assert!(matches!(commit_all([c, d]), Err(FormatError::Exists { .. })));
        assert_eq!(fs::read(dir.path().join("d")).unwrap(), b"theirs");
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
    fn a_picture_keeps_the_mode_of_what_it_replaces() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let write = || {
            let out = OutputFile::create(&path, Access::Picture, Overwrite::Allow).unwrap();
            out.commit().unwrap();
            mode()
        };
        assert_eq!(write(), 0o600);
        for kept in [0o644, 0o640, 0o666, 0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
            assert_eq!(write(), kept);
        }
        // What a link leads to says nothing of the file in its place.
        let other = dir.path().join("b");
        fs::write(&other, b"").unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert_eq!(write(), 0o600);
    }

    /// A signal removes what is half done: an older file of the same name is not, until it is replaced.
    #[test]
    fn a_part_of_a_set_is_half_done_once_it_has_its_name() {
        let dir = tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        [&a, &b].into_iter().for_each(|path| fs::write(path, b"old").unwrap());
        let outs = [&a, &b].map(|path| {
            let mut out = OutputFile::create(path, Access::Secret, Overwrite::Allow).unwrap();
            out.write_all(b"new").unwrap();
            out
        });
        assert!(!is_half_done(&a) && !is_half_done(&b), "nothing has its name yet");
        // The second name is taken by what cannot be replaced.
        fs::remove_file(&b).unwrap();
        fs::create_dir(&b).unwrap();
        let mut half_done = Vec::new();
        assert!(commit_part(outs, &mut half_done).is_err());
        assert!(is_half_done(&a) && !is_half_done(&b) && half_done.len() == 1);
        half_done.drain(..).for_each(HalfDone::remove);
        assert!(!a.exists() && b.is_dir());
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
        let err = OutputFile::create(missing.join("a"), Access::Public, Overwrite::Never);
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
    }

    #[test]
    fn an_input_is_no_output() {
        let dir = tempdir().unwrap();
        let [a, b, link] = ["a", "b", "link"].map(|name| dir.path().join(name));
        fs::write(&a, b"").unwrap();
        fs::write(&b, b"").unwrap();
        std::os::unix::fs::symlink(&a, &link).unwrap();
        assert!(ensure_not_input(&a, &[&b]).is_ok());
        assert!(ensure_not_input(dir.path().join("new"), &[&a, &b]).is_ok());
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
