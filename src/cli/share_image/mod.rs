//! `share-image`: encode images for a model and split them between the servers.

mod tiles;

use super::args::ShareImage;
use super::batch::{
    CHANNELS, Failures, base_name, ensure_distinct, images, is_folder, restored_name,
};
use super::failure::{Code, Failure};
use super::files::{check_streams, overwrite, read_picture, read_public, with_suffix};
use super::levels::{Levels, Sigma, levels, tell_clamped, unfit};
use super::output::{Console, print_json};
use crate::artefact::{
    Channel, Note, Parties, PublicModelFile, SharedImage, Tile, write_image_shares,
};
use crate::files::FormatError;
use crate::files::keys::KeyFolder;
use crate::files::keys::PublicKey;
use crate::files::output::half_done::HalfDone;
use crate::files::output::{Access, OutputFile, commit_all, commit_part, ensure_not_input};
use crate::ids::{ImageId, Role};
use crate::image::{Depth, GreyImage, ImageFormat};
use crate::model::{Clamping, Encoded, Fit, Unfit, encode_image};
use serde::Serialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    /// One a share of an image or channel.
    images: Vec<Entry>,
    failed: Vec<super::batch::Failed>,
    /// Whether notes to the receiver go with them.
    notes: bool,
    /// The whole command less the start of the process.
    seconds: f64,
    /// Of these, reading and decoding the images' files.
    read_image_seconds: f64,
}

#[derive(Serialize)]
struct Entry {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'static str>,
    /// The part of the image that a tile answers for.
    #[serde(skip_serializing_if = "Option::is_none")]
    tile: Option<tiles::Part>,
    image_id: String,
    /// Of the two files, which end in .s0 and .s1.
    prefix: String,
    height: usize,
    width: usize,
    sigma: f64,
    pixels_clamped: usize,
}

pub(super) fn run(args: &ShareImage, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    let streams =
        args.image.iter().map(PathBuf::as_path).chain(args.unlock.passphrase_file.as_deref());
    check_streams(&streams.collect::<Vec<_>>(), &args.out, false)?;
    if args.tile.is_some() && args.met.sigma == Some(Sigma::Auto) {
        let text = "--sigma auto does not go with --tile: a noise level is told of the whole image, \
                    which is never there at once";
        let help = "estimate it on a part of the image, as `denoise --sigma auto` tells it";
        return Err(Failure::new(Code::Usage, text).help(help));
    }
    let keys = KeyFolder::open(&args.keys)?;
    let parties = args.unlock.parties(&keys, Role::Gateway)?;
    let receiver = receiver(&keys, console)?;
    let public = read_public(&args.model)?;
    let all = images(&args.image)?;
    let expected = |path: &PathBuf| {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or("");
        let format = ImageFormat::from_extension(extension).unwrap_or(ImageFormat::Png);
        restored_name(&base_name(path), format)
    };
    ensure_distinct(all.iter().map(|path| (expected(path), path.as_path())))?;
    let shard = args.part.shard();
    let files: Vec<(usize, &PathBuf)> =
        all.iter().enumerate().filter(|(i, _)| shard.takes(*i as u64)).collect();
    let mut sharing = Sharing {
        args,
        parties,
        receiver,
        public,
        several: all.len() > 1,
        entries: Vec::new(),
        half_done: Vec::new(),
        read_image_seconds: 0.0,
    };
    let mut failures = Failures::default();
    for &(i, file) in &files {
        match sharing.share(i, file, console) {
            Err(failure) if sharing.several => failures.note(file, &failure, console),
            other => other?,
        }
    }
    if args.common.json {
        let report = Report {
            images: sharing.entries,
            failed: failures.list.clone(),
            notes: sharing.receiver.is_some(),
            seconds: started.elapsed().as_secs_f64(),
            read_image_seconds: sharing.read_image_seconds,
        };
        print_json("ppdenoise.share-image.v2", &report)?;
    }
    failures.end(files.len())
}

/// The receiver's key, to which notes are sealed.
fn receiver(keys: &KeyFolder, console: &Console) -> Result<Option<PublicKey>, FormatError> {
    match keys.public(Role::Receiver) {
        Err(FormatError::KeyMissing { file, .. }) => {
            console.note(format!(
                "note: there is no '{}': names, formats and depths do not travel to the receiver",
                file.display()
            ));
            Ok(None)
        }
        other => other.map(Some),
    }
}

struct Sharing<'a> {
    args: &'a ShareImage,
    parties: Parties,
    receiver: Option<PublicKey>,
    public: PublicModelFile,
    several: bool,
    entries: Vec<Entry>,
    /// The files of the tiles so far.
    half_done: Vec<HalfDone>,
    read_image_seconds: f64,
}

/// One grey image on its way to its shares: an image, a channel, a tile, or a channel of a tile.
struct Plane<'a> {
    /// Its file's number among the files, name, format and depth.
    number: usize,
    file: &'a Path,
    format: ImageFormat,
    depth: Depth,
    grey: &'a GreyImage,
    channel: Option<Channel>,
    tile: Option<Tile>,
}

impl Plane<'_> {
    fn colour(&self) -> Option<&'static str> {
        self.channel.map(|channel| CHANNELS[usize::from(channel.index)])
    }
}

/// A plane in fixed point.
struct Ready {
    levels: Levels,
    encoded: Encoded,
}

impl Sharing<'_> {
    /// Shares image number `number`.
    fn share(&mut self, number: usize, file: &Path, console: &mut Console) -> Result<(), Failure> {
        let reading = Instant::now();
        let window = self.args.dicom.window;
        let (image, format) = match self.args.tile {
            None => read_picture(file, window)?,
            Some(side) => match self.tiles(number, file, side as usize, console)? {
                None => return Ok(()),
                Some(fits_one) => fits_one,
            },
        };
        self.read_image_seconds += reading.elapsed().as_secs_f64();
        if image.frames() > 1 {
            return self.frames(&tiles::Scan { number, file, format }, &image, console);
        }
        let depth = image.depth();
        let group = self.group(file, image.is_colour(), false)?;
        // All channels are judged before the first is written.
        let mut planes = Vec::new();
        for (index, grey) in image.planes().iter().enumerate() {
            let index = index as u8;
            let channel = image.is_colour().then_some(Channel { group, index });
            let plane = Plane { number, file, format, depth, grey, channel, tile: None };
            let ready = self.encode(&plane, console)?;
            self.judge(file, ready.encoded.fit, &ready.levels)?;
            planes.push((plane, ready));
        }
        for (plane, ready) in &planes {
            self.write(plane, ready, console)?;
            self.tell_clamped(ready.encoded.fit, &ready.levels, console);
        }
        Ok(())
    }

    /// A fresh id for what belongs together. Refuses colour unless it was asked for, and what could
    /// not be joined again.
    fn group(&self, file: &Path, colour: bool, tiles: bool) -> Result<ImageId, Failure> {
        if colour && !self.args.color {
            let failure = Failure::new(Code::Input, "the image is in colour; expected grayscale");
            let help = "add --color to share each channel, or convert it to grayscale first";
            return Err(failure.about(file).help(help));
        }
        if (colour || tiles) && self.receiver.is_none() {
            let text = match tiles {
                true => "an image of tiles needs a note, by which its tiles are joined again",
                false => "a colour image needs a note, by which its channels are joined again",
            };
            let help = "put the receiver's receiver.pub into the --keys folder";
            return Err(Failure::new(Code::Usage, text).about(file).help(help));
        }
        Ok(ImageId::random().map_err(FormatError::from)?)
    }

    /// One grey image in fixed point.
    fn encode(&self, plane: &Plane<'_>, console: &Console) -> Result<Ready, Failure> {
        let Plane { file, grey, .. } = *plane;
        let model = &self.public.model;
        let levels = levels(&self.args.met, (file, grey), model.sigma, model.units, console)?;
        Ok(Ready { encoded: encode_image(model, grey, &levels.map), levels })
    }

    /// Writes the shares of one grey image.
    fn write(
        &mut self,
        plane: &Plane<'_>,
        ready: &Ready,
        console: &Console,
    ) -> Result<(), Failure> {
        let Plane { file, grey, .. } = *plane;
        let Ready { levels, encoded: Encoded { pixels: encoded, fit } } = ready;
        let size = (grey.height(), grey.width());
        let model = &self.public.model;
        let grid = model.network.grid(size).map_err(|e| Failure::from(e).about(file))?;
        let id = ImageId::random().map_err(FormatError::from)?;
        let prefix = self.prefix(plane, id);
        let create = |suffix| {
            let path = with_suffix(&prefix, suffix);
            ensure_not_input(&path, &[file, &self.args.model])?;
            OutputFile::create(&path, Access::Secret, overwrite(self.args.common.force))
        };
        let outs = [create("s0")?, create("s1")?];
        let means = model.patch_means(encoded, &grid);
        let Plane { format, depth, channel, tile, .. } = *plane;
        let note =
            Note { name: base_name(file), format, depth, channel, tile, headers: Vec::new() };
        let shared = SharedImage {
            id,
            encoded,
            size,
            sigma: levels.sigma,
            levels: levels.map,
            means: &means,
            note: self.receiver.as_ref().map(|receiver| (&note, receiver)),
        };
        let outs = write_image_shares(&shared, &self.public, &self.parties, outs)?;
        match tile {
            Some(_) => commit_part(outs, &mut self.half_done)?,
            None => commit_all(outs)?,
        }
        if tile.is_none() {
            self.tell(plane, id, &prefix, console);
        }
        self.entries.push(Entry {
            file: file.display().to_string(),
            channel: plane.colour(),
            tile: tile.and_then(tiles::Part::of),
            image_id: id.to_string(),
            prefix: prefix.display().to_string(),
            height: size.0,
            width: size.1,
            sigma: levels.sigma,
            pixels_clamped: fit.clamped,
        });
        Ok(())
    }

    fn tell(&self, plane: &Plane<'_>, id: ImageId, prefix: &Path, console: &Console) {
        let which = match (self.several, plane.colour()) {
            (false, None) => String::new(),
            (_, colour) => {
                let colour = colour.map_or(String::new(), |c| format!(", {c}"));
                format!("{}{colour}: ", plane.file.display())
            }
        };
        console.note(format!("{which}image {id} shared as {}.s0, .s1", prefix.display()));
    }

    /// Where the shares go.
    fn prefix(&self, plane: &Plane<'_>, id: ImageId) -> PathBuf {
        let out = &self.args.out;
        if is_folder(out) {
            return out.join(id.to_string());
        }
        let mut name = out.as_os_str().to_owned();
        if self.several {
            name.push(format!("-{}", plane.number + 1));
        }
        if let Some(Tile { tiling, place: (row, column), .. }) = plane.tile {
            name.push(format!("-t{}", row * tiling.counts().1 + column + 1));
        }
        if let Some(colour) = plane.colour() {
            name.push(format!("-{colour}"));
        }
        name.into()
    }

    /// Refuses an image, or a channel of one, of which more had to be clamped than was asked for.
    fn judge(&self, file: &Path, fit: Fit, levels: &Levels) -> Result<(), Failure> {
        let (clamping, but) = match self.args.strict {
            true => (Clamping::Never, "leave --strict away"),
            false => (self.args.clamp.clamping(), "add --clamp to share what is left of them"),
        };
        let judged = fit.judge(clamping, &self.public.model, &levels.map);
        judged.map_err(|e| unfit(file, &e, &remedy(&e), but))
    }

    fn tell_clamped(&self, fit: Fit, levels: &Levels, console: &Console) {
        if fit.clamped > 0 {
            let e = fit.unfit(&self.public.model, &levels.map);
            tell_clamped(&e, &remedy(&e), console);
        }
    }
}

/// What would hold all of its pixels.
fn remedy(e: &Unfit) -> String {
    format!("share the model with `share-model --sigma-from {}`", e.needed)
}
