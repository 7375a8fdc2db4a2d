//! ZIP archives of arrays, as NumPy and PyTorch write them.

use std::io::{Read, Seek};
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;

/// Opens an archive that begins where the file does. Where one begins is not to be guessed: PyTorch writes ends of two
/// kinds, and with a name of 21 letters the guess falls on the second entry.
pub(super) fn open<T: Read + Seek>(file: T) -> ZipResult<ZipArchive<T>> {
    ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, file)
}
