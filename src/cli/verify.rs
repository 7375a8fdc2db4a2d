//! `verify`: whether two shares are those of an image.

use super::args::files::Verify;
use super::batch::CHANNELS;
use super::failure::{Code, Failure};
use super::files::read_picture;
use super::output::{Console, print_json};
use crate::files::Place;
use crate::roles::{self, Verification, VerifyError, verify};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Report<'a> {
    image_id: &'a str,
    equal: bool,
    /// Of a colour image, the one that was compared.
    channel: Option<&'static str>,
    pixels_differing: usize,
    patch_means_differing: usize,
    /// In grey levels.
    largest_difference: f64,
}

pub(super) fn run(args: &Verify, console: &Console) -> Result<(), Failure> {
    let (original, _) = read_picture(&args.original, None)?;
    let [first, second, model] = [&args.first, &args.second, &args.model].map(Place::from);
    let shares = [&first, &second];
    let request = roles::Verify { shares, model: &model, original: &original };
    let ask = |file: &Path| args.unlock.passphrase(file);
    let found = verify(&args.keys, &ask, &request).map_err(|e| match e {
        e @ VerifyError::OtherSize { .. } => Failure::from(e).about(&args.original),
        e => e.into(),
    })?;
    let channel = found.channel.map(|channel| CHANNELS[channel]);
    if args.json {
        let Verification { image_id, equal, .. } = &found;
        let Verification { pixels_differing, patch_means_differing, largest_difference, .. } =
            found;
        let report = Report {
            image_id,
            equal: *equal,
            channel,
            pixels_differing,
            patch_means_differing,
            largest_difference,
        };
        print_json("ppdenoise.verify.v1", &report)?;
    }
    let name = args.original.display();
    if found.equal {
        let which = channel.map_or(String::new(), |channel| format!("the {channel} channel of "));
        console.note(format!("the shares are those of {which}'{name}'"));
        return Ok(());
    }
    let text = format!(
        "the shares are not those of '{name}': {} of {} pixels differ, by up to {:.3} grey levels",
        found.pixels_differing, found.pixels, found.largest_difference
    );
    let help = "share the image again, or name the image that was shared";
    Err(Failure::new(Code::Failed, text).help(help))
}
