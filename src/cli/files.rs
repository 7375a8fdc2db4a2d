//! Files and folders that several commands touch.

use super::failure::{Code, Failure};
use super::output::Console;
use crate::files::FormatError;
use crate::files::folder::files_in;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::image::dicom::Window;
use crate::image::metrics::Quality;
use crate::image::{GreyImage, ImageFormat, Range, Raster};
pub(super) use crate::roles::images::is_stream;
use crate::roles::images::{self, Chosen};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Reads an image, formats told apart by their first bytes, DICOM through the window if there is
/// one. Another format has no window, and is refused with one.
pub(super) fn read_raster(path: &Path, window: Option<Window>) -> Result<Raster, Failure> {
    read_picture(path, window).map(|(image, _)| image)
}

/// As [`read_raster`], with the format.
pub(super) fn read_picture(
    path: &Path,
    window: Option<Window>,
) -> Result<(Raster, ImageFormat), Failure> {
    Ok(images::read_picture(path, window)?)
}

/// As [`images::read_noisy`], without the format.
pub(super) fn read_noisy(
    path: &Path,
    chosen: Chosen,
    noise: Option<f64>,
) -> Result<Raster, Failure> {
    Ok(images::read_noisy(path, chosen, noise)?.0)
}

/// As [`images::read_reference`].
pub(super) fn read_reference(
    path: &Path,
    window: Option<Window>,
    range: Option<Range>,
) -> Result<Raster, Failure> {
    Ok(images::read_reference(path, window, range)?)
}

/// The PNGs of a folder, by name.
pub(super) fn pictures(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let help = "name a folder of 8-bit PNGs";
    let unreadable = |e: std::io::Error| {
        let text = format!("the folder of images cannot be read: {e}");
        Failure::new(Code::Input, text).about(folder).help(help)
    };
    let is_png = |path: &Path| {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
    };
    std::fs::read_dir(folder).map_err(unreadable)?;
    let files = files_in(folder, is_png)?;
    if files.is_empty() {
        let text = "there is no PNG in this folder";
        return Err(Failure::new(Code::Input, text).about(folder).help(help));
    }
    Ok(files)
}

/// Reads a grey image.
pub(super) fn read_image(path: &Path) -> Result<GreyImage, Failure> {
    read_raster(path, None)?.into_grey().map_err(|e| Failure::from(e).about(path))
}

/// Refuses a command line that wants standard input or standard output twice.
pub(super) fn check_streams(inputs: &[&Path], out: &Path, json: bool) -> Result<(), Failure> {
    if inputs.iter().filter(|path| is_stream(path)).count() > 1 {
        let text = "standard input is wanted twice";
        return Err(Failure::new(Code::Usage, text).help("give - for one file only"));
    }
    if json && is_stream(out) {
        let text = "--json and --out - both want standard output";
        return Err(Failure::new(Code::Usage, text).help("leave one of them out"));
    }
    Ok(())
}

/// Says that frames become one picture.
pub(super) fn tell_stacked(frames: usize, out: &Path, console: &Console) {
    let out = out.display();
    console.note(format!(
        "note: {frames} frames are written to '{out}' one below the other; DICOM keeps them apart"
    ));
}

/// Who may read an output, and what happens to a file that is there already.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputKind {
    access: Access,
    overwrite: Overwrite,
}

impl OutputKind {
    /// A report, or a model that its owner trained: replaced without asking, for it can be made again.
    pub(super) const REPORT: OutputKind =
        OutputKind { access: Access::Public, overwrite: Overwrite::Allow };

    /// A picture, which may be a patient's.
    pub(super) fn picture(force: bool) -> OutputKind {
        OutputKind { access: Access::Picture, overwrite: overwrite(force) }
    }

    /// Opens the unfinished file.
    pub(super) fn create(self, path: &Path) -> Result<OutputFile, FormatError> {
        OutputFile::create(path, self.access, self.overwrite)
    }
}

/// Writes a report.
pub(super) fn write_public(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_output(path, bytes, OutputKind::REPORT)
}

/// Writes an output that is in memory.
pub(super) fn write_output(path: &Path, bytes: &[u8], kind: OutputKind) -> Result<(), Failure> {
    let mut out = kind.create(path)?;
    out.write_all(bytes).map_err(FormatError::from_writer)?;
    Ok(out.commit()?)
}

/// Proves that an output can be written, before long work.
pub(super) fn check_writable(path: &Path, kind: OutputKind) -> Result<(), Failure> {
    if !is_stream(path) {
        kind.create(path)?;
    }
    Ok(())
}

/// What replaces what.
pub(super) fn overwrite(force: bool) -> Overwrite {
    if force { Overwrite::Allow } else { Overwrite::Never }
}

/// The text of a file.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, Failure> {
    let bytes = read_limited(open(path)?, path, limit + 1)?;
    if bytes.len() as u64 > limit {
        let text = format!("the file is longer than {limit} bytes");
        return Err(Failure::new(Code::Input, text).about(path));
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(Code::Input, "the file is no UTF-8 text").about(path))
}

/// PSNR and SSIM, for people.
pub(super) fn quality_text(quality: &Quality) -> String {
    format!("PSNR {:.3} dB, SSIM {:.4}", quality.psnr_db, quality.ssim)
}

/// Opens a file.
pub(super) fn open(path: &Path) -> Result<File, FormatError> {
    File::open(path).map_err(|e| FormatError::io(path, "open", e))
}

/// At most `limit` bytes of a source.
pub(super) fn read_limited(
    source: impl Read,
    name: &Path,
    limit: u64,
) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    let read = source.take(limit).read_to_end(&mut bytes);
    read.map_err(|e| FormatError::io(name, "read", e))?;
    Ok(bytes)
}
