//! Whether a file is long enough for the size that it announces.

use crate::scan::tiling::check_scan;
use crate::{ImageError, ImageFormat, checked_area};
use ppdenoise_base::size::Size;

/// A byte of a file stands for at most so many pixels: the most that deflate makes of one.
pub(crate) const MAX_INFLATION: u64 = 1032;

/// Height times width, if the file is long enough to hold so many pixels.
pub(crate) fn plausible_area(
    format: ImageFormat,
    bytes: &[u8],
    height: usize,
    width: usize,
) -> Result<usize, ImageError> {
    let area = checked_area(height, width)?;
    plausible_scan(format, bytes.len() as u64, height, width)?;
    Ok(area)
}

/// Refuses a size that a file of `length` bytes cannot have, or that no scan has.
pub(crate) fn plausible_scan(
    format: ImageFormat,
    length: u64,
    height: usize,
    width: usize,
) -> Result<(), ImageError> {
    check_scan(Size::new(height, width))?;
    if length.saturating_mul(MAX_INFLATION) < (height * width) as u64 {
        return Err(ImageError::Truncated { format, bytes: length as usize });
    }
    Ok(())
}
