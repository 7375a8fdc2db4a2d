//! `share-image`: encode images for a model and split them between the servers.

use super::args::ShareImage;
use super::batch::{
    CHANNELS, Failures, base_name, ensure_distinct, images, is_folder, restored_name,
};
use super::failure::{Code, Failure};
use super::files::{check_streams, overwrite, read_picture, read_public, with_suffix};
use super::levels::levels;
use super::output::{Console, print_json};
use crate::artefact::{Channel, Note, Parties, PublicModelFile, SharedImage, write_image_shares};
use crate::format::keys::KeyFolder;
use crate::format::output::{Access, OutputFile, ensure_not_input};
use crate::format::{FormatError, ImageId, PublicKey, Role};
use crate::image::{GreyImage, ImageFormat, Raster};
use crate::model::LevelMap;
use crate::roles::encode;
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
    read_image_seconds: f64,
}

impl Sharing<'_> {
    /// Shares image number `i`.
    fn share(&mut self, i: usize, file: &Path, console: &Console) -> Result<(), Failure> {
        let reading = Instant::now();
        let (image, format) = read_picture(file, self.args.dicom.window)?;
        self.read_image_seconds += reading.elapsed().as_secs_f64();
        if !image.is_colour() {
            return self.plane(i, (file, format), &image, 0, None, console);
        }
        if !self.args.color {
            let failure = Failure::new(Code::Input, "the image is in colour; expected grayscale");
            let help = "add --color to share each channel, or convert it to grayscale first";
            return Err(failure.about(file).help(help));
        }
        if self.receiver.is_none() {
            let text = "a colour image needs a note, by which its channels are joined again";
            let help = "put the receiver's receiver.pub into the --keys folder";
            return Err(Failure::new(Code::Usage, text).about(file).help(help));
        }
        let group = ImageId::random().map_err(FormatError::from)?;
        for index in 0..CHANNELS.len() {
            let channel = Channel { group, index: index as u8 };
            self.plane(i, (file, format), &image, index, Some(channel), console)?;
        }
        Ok(())
    }

    fn plane(
        &mut self,
        i: usize,
        (file, format): (&Path, ImageFormat),
        image: &Raster,
        plane: usize,
        channel: Option<Channel>,
        console: &Console,
    ) -> Result<(), Failure> {
        let grey = &image.planes()[plane];
        let size = (grey.height(), grey.width());
        let model = &self.public.model;
        let grid = model.network.grid(size).map_err(|e| Failure::from(e).about(file))?;
        let levels = levels(&self.args.met, (file, grey), model.sigma, model.units, console)?;
        let (encoded, clamped) = encode(model, grey, &levels.map);
        self.judge_clamped(file, grey, &levels.map, clamped, console)?;
        let id = ImageId::random().map_err(FormatError::from)?;
        let colour = channel.map(|channel| CHANNELS[usize::from(channel.index)]);
        let prefix = self.prefix(i, colour, id);
        let create = |suffix| {
            let path = with_suffix(&prefix, suffix);
            ensure_not_input(&path, &[file, &self.args.model])?;
            OutputFile::create(&path, Access::Secret, overwrite(self.args.common.force))
        };
        let outs = [create("s0")?, create("s1")?];
        let means = model.patch_means(&encoded, &grid);
        let (name, depth, headers) = (base_name(file), image.depth(), Vec::new());
        let note = Note { name, format, depth, channel, headers };
        let shared = SharedImage {
            id,
            encoded: &encoded,
            size,
            sigma: levels.sigma,
            levels: levels.map,
            means: &means,
            note: self.receiver.as_ref().map(|receiver| (&note, receiver)),
        };
        write_image_shares(&shared, &self.public, &self.parties, outs)?;
        let which = match (self.several, colour) {
            (false, None) => String::new(),
            (_, colour) => format!(
                "{}{}: ",
                file.display(),
                colour.map_or(String::new(), |c| format!(", {c}"))
            ),
        };
        console.note(format!("{which}image {id} shared as {}.s0, .s1", prefix.display()));
        self.entries.push(Entry {
            file: file.display().to_string(),
            channel: colour,
            image_id: id.to_string(),
            prefix: prefix.display().to_string(),
            height: size.0,
            width: size.1,
            sigma: levels.sigma,
            pixels_clamped: clamped,
        });
        Ok(())
    }

    /// Where the shares go.
    fn prefix(&self, i: usize, colour: Option<&str>, id: ImageId) -> PathBuf {
        let out = &self.args.out;
        if is_folder(out) {
            return out.join(id.to_string());
        }
        let mut name = out.as_os_str().to_owned();
        if self.several {
            name.push(format!("-{}", i + 1));
        }
        if let Some(colour) = colour {
            name.push(format!("-{colour}"));
        }
        name.into()
    }

    fn judge_clamped(
        &self,
        file: &Path,
        image: &GreyImage,
        levels: &LevelMap,
        clamped: usize,
        console: &Console,
    ) -> Result<(), Failure> {
        if clamped == 0 {
            return Ok(());
        }
        let text = format!(
            "{clamped} of {} pixels lie outside the model's input interval of +-{}",
            image.pixels().len(),
            self.public.model.input.interval
        );
        let wider = wider(image, levels);
        if self.args.strict {
            let help = format!("{wider}, or leave --strict away");
            return Err(Failure::new(Code::Input, text).about(file).help(help));
        }
        console.note(format!("note: {text}; they were clamped, which costs quality: {wider}"));
        Ok(())
    }
}

/// What would hold all pixels of an image.
pub(super) fn wider(image: &GreyImage, levels: &LevelMap) -> String {
    let reach = |&grey: &f32| levels.to_units(f64::from(grey)).abs();
    let most = image.pixels().iter().map(reach).fold(0.0, f64::max);
    format!("share the model with --interval {}", (2.0 * most).ceil() / 2.0)
}
