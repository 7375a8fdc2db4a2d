//! `verify`: whether two shares are those of an image.

use super::args::files::Verify;
use super::batch::CHANNELS;
use super::failure::{Code, Failure};
use super::files::{read_noisy, read_picture};
use super::output::{Console, print_json};
use crate::files::Place;
use crate::image::Orientation;
use crate::roles::{self, VerifyError, verify};
use std::path::Path;

pub(super) fn run(args: &Verify, console: &Console) -> Result<(), Failure> {
    let original = match args.ranged.range {
        None => read_picture(&args.original, args.dicom.window)?.0,
        Some(_) => read_noisy(&args.original, args.ranged.or(args.dicom), None)?,
    };
    let [first, second, model] = [&args.first, &args.second, &args.model].map(Place::from);
    let shares = [&first, &second];
    let request = roles::Verify { shares, model: &model, original: &original };
    let ask = |file: &Path| args.unlock.passphrase(file);
    let found = verify(&args.keys, &ask, &request).map_err(|e| match e {
        e @ (VerifyError::OtherSize { .. } | VerifyError::Image(_)) => {
            Failure::from(e).about(&args.original)
        }
        e => e.into(),
    })?;
    if args.json {
        print_json(&found)?;
    }
    let name = args.original.display();
    if found.equal {
        let colour = |index: u8| format!("the {} channel of ", CHANNELS[usize::from(index)]);
        let frame = |number: usize| format!("frame {number} of ");
        let which = [found.channel.map(colour), found.frame.map(frame)];
        let which = which.into_iter().flatten().collect::<String>();
        let turned = match found.orientation {
            Orientation::UPRIGHT => String::new(),
            orientation => format!(", in orientation {orientation}"),
        };
        console.note(format!("the shares are those of {which}'{name}'{turned}"));
        return Ok(());
    }
    let text = format!(
        "the shares are not those of '{name}': {} of {} pixels differ, by up to {:.3} grey levels",
        found.pixels_differing, found.pixels, found.largest_difference
    );
    let help = "share the image again, or name the image that was shared, with the --range or --window that it was \
                shared with";
    Err(Failure::new(Code::Failed, text).help(help))
}
