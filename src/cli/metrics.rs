//! `metrics`: PSNR and SSIM.

use super::args::plain::Metrics;
use super::failure::Failure;
use super::files::{QualityReport, check_streams, read_raster, read_reference};
use super::output::{print_json, print_line};
use std::path::Path;

pub(super) fn run(args: &Metrics) -> Result<(), Failure> {
    check_streams(&[&args.reference, &args.image], Path::new(""), false)?;
    let (window, range) = (args.dicom.window, args.ranged.range);
    let reference = match range {
        None => read_raster(&args.reference, window)?,
        Some(_) => read_reference(&args.reference, window, range)?,
    };
    let image = read_reference(&args.image, window, reference.range())?;
    let quality = QualityReport::new(&reference, &image).map_err(|e| e.about(&args.image))?;
    if args.json {
        return print_json("ppdenoise.metrics.v1", &quality);
    }
    print_line(&quality.to_string())
}
