//! Where a file is: on the disk, or in memory.

use super::FormatError;
use super::folder::{files_in, folder_of};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a file is, or is to be. Paths become places with `into`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// On the disk; `-` is standard input or output where a role takes it.
    Disk(PathBuf),
    /// In memory, under a name.
    Memory(Memory, PathBuf),
}

/// A folder in memory: files by their names, for a program whose inputs and outputs are not to touch a
/// disk. A clone is the same folder. A name that ends in `/`, or an empty one, stands for the folder of
/// all names that begin so.
///
/// As on the disk an output is there once it is complete, together with the others of its set.
///
/// Security: what one role hands to another is sealed here as it is on the disk. What is not, as the
/// images of a receiver, is not wiped. The ledger of a server is not kept here: what it has used must be
/// known after the process has ended.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Files>>);

type Files = BTreeMap<PathBuf, Arc<Vec<u8>>>;

impl Memory {
    /// An empty folder.
    pub fn new() -> Self {
        Memory::default()
    }

    /// The place of a file of this name, whether it is there or not.
    pub fn at(&self, name: impl Into<PathBuf>) -> Place {
        Place::Memory(self.clone(), name.into())
    }

    /// Puts a file here, in place of one of this name.
    pub fn put(&self, name: impl Into<PathBuf>, bytes: Vec<u8>) -> Place {
        let name = name.into();
        self.files().insert(name.clone(), Arc::new(bytes));
        self.at(name)
    }

    /// The bytes of a file, if it is there.
    pub fn get(&self, name: impl AsRef<Path>) -> Option<Arc<Vec<u8>>> {
        self.files().get(name.as_ref()).cloned()
    }

    /// Takes a file out, if it is there.
    pub fn take(&self, name: impl AsRef<Path>) -> Option<Vec<u8>> {
        let bytes = self.files().remove(name.as_ref())?;
        Some(Arc::unwrap_or_clone(bytes))
    }

    /// The names of all files, in their order.
    pub fn names(&self) -> Vec<PathBuf> {
        self.files().keys().cloned().collect()
    }

    /// As the naming of a file on the disk.
    pub(super) fn name(&self, name: &Path, bytes: Vec<u8>, replace: bool) -> io::Result<()> {
        let mut files = self.files();
        if !replace && files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        files.insert(name.to_owned(), Arc::new(bytes));
        Ok(())
    }

    /// A panic cannot leave a map of whole files half changed.
    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two are equal if they are one folder.
impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Memory {}

impl Hash for Memory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// Names without contents.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files().keys()).finish()
    }
}

impl Place {
    /// What it is called in errors and reports: the path, or the name.
    pub fn name(&self) -> &Path {
        match self {
            Place::Disk(path) => path,
            Place::Memory(_, name) => name,
        }
    }

    /// Its path, if it is on the disk.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Place::Disk(path) => Some(path),
            Place::Memory(..) => None,
        }
    }

    /// Whether it is standard input or output.
    pub fn is_stream(&self) -> bool {
        self.path() == Some(Path::new("-"))
    }

    /// Whether it stands for a folder: one that is on the disk, or a name in memory that is empty or ends
    /// in a slash.
    pub fn is_dir(&self) -> bool {
        match self {
            Place::Disk(path) => path.is_dir(),
            Place::Memory(_, name) => name.as_os_str().is_empty() || self.ends_in_slash(),
        }
    }

    /// Whether an output is meant as a folder: it is one, or ends in a slash.
    pub fn is_folder(&self) -> bool {
        self.is_dir() || self.ends_in_slash()
    }

    fn ends_in_slash(&self) -> bool {
        self.name().as_os_str().as_encoded_bytes().ends_with(b"/")
    }

    /// The file of this name in the folder that it is.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> Place {
        self.called(self.name().join(name))
    }

    /// With `.suffix` appended, in place of no part of the name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Place {
        let mut name = self.name().as_os_str().to_owned();
        name.push(".");
        name.push(suffix);
        self.called(name.into())
    }

    /// Another name, on the disk or in the same folder in memory.
    pub(crate) fn called(&self, name: PathBuf) -> Place {
        match self {
            Place::Disk(_) => Place::Disk(name),
            Place::Memory(folder, _) => Place::Memory(folder.clone(), name),
        }
    }

    /// The files of the folder that it is, as [`files_in`] tells those of one on the disk.
    ///
    /// # Errors
    /// As [`files_in`].
    pub(crate) fn files(&self, wanted: impl Fn(&Path) -> bool) -> Result<Vec<Place>, FormatError> {
        let (folder, inside) = match self {
            Place::Disk(path) => {
                let files = files_in(path, wanted)?;
                return Ok(files.into_iter().map(Place::Disk).collect());
            }
            Place::Memory(folder, name) => (folder, name),
        };
        let hidden = |name: &Path| {
            name.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
        };
        let mut names = folder.names();
        names.retain(|name| name.parent() == Some(inside) && !hidden(name) && wanted(name));
        Ok(names.into_iter().map(|name| folder.at(name)).collect())
    }

    /// One spelling of the place: on the disk the folder made canonical, where it exists.
    #[must_use]
    pub(crate) fn spelled(&self) -> Place {
        let Place::Disk(path) = self else { return self.clone() };
        match (folder_of(path).canonicalize(), path.file_name()) {
            (Ok(folder), Some(name)) => folder.join(name).into(),
            _ => self.clone(),
        }
    }
}

impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        Place::Disk(path)
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Place::Disk(path.clone())
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Place::Disk(path.to_owned())
    }
}

impl From<&Place> for Place {
    fn from(place: &Place) -> Self {
        place.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_files_and_folders() {
        let memory = Memory::new();
        for name in ["b.s1", "a.s0", "in/c.s0", ".hidden", "a.pub"] {
            assert_eq!(memory.put(name, vec![1]), memory.at(name));
        }
        let shares = |place: Place| -> Vec<PathBuf> {
            let share = |name: &Path| name.extension().is_some_and(|e| e == "s0" || e == "s1");
            let files = place.files(share).unwrap();
            files.iter().map(|place| place.name().to_owned()).collect()
        };
        assert_eq!(shares(memory.at("")), ["a.s0", "b.s1"].map(PathBuf::from));
        assert_eq!(shares(memory.at("in/")), [PathBuf::from("in/c.s0")]);
        assert!(memory.at("in/").is_dir() && memory.at("").is_dir() && !memory.at("in").is_dir());
        assert_eq!(memory.at("in/").join("c.s0"), memory.at("in/c.s0"));
        assert_eq!(memory.at("a").with_suffix("s0"), memory.at("a.s0"));
        assert_eq!(
            Place::from(Path::new("a.b")).with_suffix("s0").path(),
            Some(Path::new("a.b.s0"))
        );
        assert_eq!(memory.take("a.s0"), Some(vec![1]));
        assert_eq!((memory.take("a.s0"), memory.get("a.s0")), (None, None));
        assert_eq!(*memory.get("in/c.s0").unwrap(), [1]);
    }

    #[test]
    fn folders_are_told_apart_and_contents_are_not_told() {
        let (one, other) = (Memory::new(), Memory::new());
        assert!(one.at("a") == one.clone().at("a") && one.at("a") != other.at("a"));
        one.put("a.s0", b"shares".to_vec());
        assert_eq!(format!("{one:?}"), "{\"a.s0\"}");
    }

    #[test]
    fn places_on_the_disk_have_one_spelling() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        let [a, b] = ["a", "b/../a"].map(|name| Place::from(dir.path().join(name)));
        assert_ne!(a, b);
        assert_eq!(a.spelled(), b.spelled());
        assert_eq!(Place::from(Path::new("/nowhere/a")).spelled().name(), Path::new("/nowhere/a"));
    }
}
