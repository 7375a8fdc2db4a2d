//! `metrics`: PSNR and SSIM.

use super::args::plain::Metrics;
use super::failure::Failure;
use super::files::{check_streams, quality_text};
use super::output::{print_json, print_line};
use crate::image::metrics::quality;
use crate::roles::images::read_compared;
use std::path::Path;

pub(super) fn run(args: &Metrics) -> Result<(), Failure> {
    check_streams(&[&args.reference, &args.image], Path::new(""), false)?;
    let chosen = args.ranged.or(args.dicom);
    let [reference, image] = read_compared(&args.reference, &args.image, chosen)?;
    let quality = quality(&reference, &image);
    let quality = quality.map_err(|e| Failure::from(e).about(&args.image))?;
    if args.json {
        return print_json(&quality);
    }
    print_line(&quality_text(&quality))
}
