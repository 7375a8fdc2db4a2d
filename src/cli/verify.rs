//! `verify`: whether two shares are those of an image.

use super::args::Verify;
use super::batch::CHANNELS;
use super::failure::{Code, Failure};
use super::files::{read_picture, read_public};
use super::output::{Console, print_json};
use crate::artefact::{ImagePair, PublicModelFile, level_map, open_image_pair};
use crate::files::FormatError;
use crate::files::keys::KeyFolder;
use crate::ids::Role;
use crate::image::GreyImage;
use crate::model::encode_image;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    image_id: String,
    equal: bool,
    /// Of a colour image, the one that was compared.
    channel: Option<&'static str>,
    pixels_differing: usize,
    patch_means_differing: usize,
    /// In grey levels.
    largest_difference: f64,
}

pub(super) fn run(args: &Verify, console: &Console) -> Result<(), Failure> {
    let keys = KeyFolder::open(&args.keys)?;
    let secret = |role| -> Result<_, FormatError> { args.unlock.secret(&keys, role) };
    let servers = [secret(Role::Server0)?, secret(Role::Server1)?];
    let public = read_public(&args.model)?;
    let (original, _) = read_picture(&args.original, None)?;
    let paths = [args.first.as_path(), args.second.as_path()];
    let pair = open_image_pair(paths, &servers, &keys.public(Role::Gateway)?)?;
    let fields = &pair.fields;
    if fields.public_digest != public.facts.digest {
        let (found, expected) = (fields.model_id.short(), public.facts.model_id.short());
        let text = format!("is for the model {found}, expected {expected}");
        let help = "name the public description that the image was shared for with --model";
        return Err(Failure::new(Code::Input, text).about(&args.first).help(help));
    }
    let size = (fields.height as usize, fields.width as usize);
    if (original.height(), original.width()) != size {
        let text = format!("the shared image is {}x{}, this one another", size.0, size.1);
        let help =
            "name the image that was shared; of a tile, the part that it holds, cut out of it";
        return Err(Failure::new(Code::Input, text).about(&args.original).help(help));
    }
    // A share does not say which channel it is; the note does, to the receiver.
    let judged = original.planes().iter().map(|plane| judge(&pair, &public, plane));
    let judged = judged.collect::<Result<Vec<_>, _>>()?.into_iter().enumerate();
    let best = judged.min_by_key(|(_, report)| report.pixels_differing);
    let Some((plane, mut report)) = best else { return Ok(()) };
    report.channel = original.is_colour().then(|| CHANNELS[plane]);
    let which =
        report.channel.map_or(String::new(), |channel| format!("the {channel} channel of "));
    if args.json {
        print_json("ppdenoise.verify.v1", &report)?;
    }
    let name = args.original.display();
    if report.equal {
        console.note(format!("the shares are those of {which}'{name}'"));
        return Ok(());
    }
    let text = format!(
        "the shares are not those of '{name}': {} of {} pixels differ, by up to {:.3} grey levels",
        report.pixels_differing,
        pair.pixels.len(),
        report.largest_difference
    );
    let help = "share the image again, or name the image that was shared";
    Err(Failure::new(Code::Failed, text).help(help))
}

/// The shared values beside those that `share-image` makes of the image.
fn judge(pair: &ImagePair, public: &PublicModelFile, image: &GreyImage) -> Result<Report, Failure> {
    let model = &public.model;
    let map = level_map(&pair.fields.levels, model.units);
    let grid = model.network.grid((image.height(), image.width()))?;
    let expected = encode_image(model, image, &map).pixels;
    let means = model.patch_means(&expected, &grid);
    let differing = |a: &[i64], b: &[i64]| {
        a.len().abs_diff(b.len()) + a.iter().zip(b).filter(|(x, y)| x != y).count()
    };
    let grey = |v: i64| map.to_grey(crate::numbers::fixed::decode(v, pair.fields.frac_bits));
    let differences = pair.pixels.iter().zip(&expected).map(|(&a, &b)| (grey(a) - grey(b)).abs());
    let (pixels_differing, patch_means_differing) =
        (differing(&pair.pixels, &expected), differing(&pair.means, &means));
    Ok(Report {
        image_id: pair.fields.image_id.to_string(),
        equal: pixels_differing + patch_means_differing == 0,
        channel: None,
        pixels_differing,
        patch_means_differing,
        largest_difference: differences.fold(0.0, f64::max),
    })
}
