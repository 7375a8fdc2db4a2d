//! `metrics`: PSNR and SSIM.

use super::args::plain::Metrics;
use super::failure::Failure;
use super::files::{check_streams, quality_text, read_raster, read_reference};
use super::output::{print_json, print_line};
use crate::image::metrics::quality;
use std::path::Path;

pub(super) fn run(args: &Metrics) -> Result<(), Failure> {
    check_streams(&[&args.reference, &args.image], Path::new(""), false)?;
    let (window, range) = (args.dicom.window, args.ranged.range);
    let reference = match range {
        None => read_raster(&args.reference, window)?,
        Some(_) => read_reference(&args.reference, window, range)?,
    };
    let image = read_reference(&args.image, window, reference.range())?;
    let quality = quality(&reference, &image);
    let quality = quality.map_err(|e| Failure::from(e).about(&args.image))?;
    if args.json {
        return print_json(&quality);
    }
    print_line(&quality_text(&quality))
}
