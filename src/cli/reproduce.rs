//! `reproduce`: the paper's tables and figures from other images.

use super::args::reproduce::Reproduce;
use super::failure::{Code, Failure};
use super::files::{pictures, read_image};
use super::output::{Console, print_json, print_line};
use crate::image::GreyImage;
use crate::lab::LabError;
use crate::lab::reproduce::{
    CleanImage, Request, TRAINING_IMAGES, Target, Trained, run as reproduce,
};
use crate::roles::models::read_model;
use std::path::Path;

/// The convolutional model, if no other is named.
const DNCNN: &str = "fixtures/models/dncnn-s25.npz";

pub(super) fn run(args: &Reproduce, console: &mut Console) -> Result<(), Failure> {
    let request = request(args)?;
    let report = reproduce(&request, console, |written| {
        if args.json {
            Ok(())
        } else {
            print_line(&format!("{}: {}", written.target, written.files.join(", ")))
        }
    })?;
    if args.json { print_json(&report) } else { Ok(()) }
}

fn request(args: &Reproduce) -> Result<Request, Failure> {
    let training = training(args)?;
    let trained = |file: &Path, stride| -> Result<Trained, Failure> {
        Ok(Trained { file: file.into(), model: read_model(file, stride)? })
    };
    let model = trained(&args.model, args.stride)?;
    let fixture = Path::new(DNCNN);
    let dncnn = args.dncnn.as_deref().or(fixture.exists().then_some(fixture));
    let dncnn = dncnn.map(|file| trained(file, None)).transpose()?;
    let clean = |file: &std::path::PathBuf| -> Result<CleanImage, Failure> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(CleanImage { name, image: read_image(file)? })
    };
    Ok(Request {
        targets: args.wanted(),
        images: pictures(&args.data)?.iter().map(clean).collect::<Result<_, _>>()?,
        data: args.data.clone(),
        model,
        dncnn,
        out: args.out.clone(),
        sigmas: args.sigma.clone(),
        seed: args.seed,
        interval: args.interval,
        cell: args.cell,
        stride: args.stride,
        material: args.material,
        training,
        quick: args.quick,
    })
}

/// The images to train on, evenly chosen of those in the folder.
fn training(args: &Reproduce) -> Result<Vec<GreyImage>, Failure> {
    if !args.wanted().contains(&Target::Alternatives) {
        return Ok(Vec::new());
    }
    if cfg!(not(feature = "train")) {
        return Err(LabError::NoTrainer.into());
    }
    let Some(folder) = &args.train else {
        let text = "`alternatives` trains networks, and no folder of images to train on is given";
        let help = "name one with other grey PNGs than those of --data: --train DIR";
        return Err(Failure::new(Code::Usage, text).help(help));
    };
    let files = pictures(folder)?;
    let every = files.len().div_ceil(TRAINING_IMAGES);
    files.iter().step_by(every).map(|file| read_image(file)).collect()
}
