//! The paper's tables and figures from other images.

#[cfg(feature = "train")]
mod alternatives;
mod estimate;
mod figures;
mod icassp;
mod input;
mod laboratory;
mod paper;
mod plan;
mod results;
mod row;
mod table;
mod tables;

pub(crate) use input::{CleanImage, Trained};

use super::bench::{Effort, Machine, one_thread, operations};
use super::error::{LabError, io_error};
use super::observer::Observer;
use super::picture::Picture;
use super::pictures::{write_picture, write_report};
use super::plot::{self, Chart};
use crate::files::output::Access;
use crate::image::GreyImage;
use crate::material::Origin;
use crate::model::Cells;
use crate::size::Size;
use laboratory::Laboratory;
use schemars::JsonSchema;
use serde::Serialize;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Images that the networks of [`Target::Alternatives`] are trained on, at most.
pub(crate) const TRAINING_IMAGES: usize = 240;

/// Sides of the images of a quick run.
const QUICK_SIDE: usize = 128;

/// What is to be made, and of what.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// In this order.
    pub targets: Vec<Target>,
    /// Clean images; all of them.
    pub images: Vec<CleanImage>,
    /// Where they are from, for readers.
    pub data: PathBuf,
    /// The network on patches.
    pub model: Trained,
    /// The convolutional network; without one there are no rows of it.
    pub dncnn: Option<Trained>,
    /// Folder for tables, figures and results; created if missing.
    pub out: PathBuf,
    /// Noise levels of the tables in 8-bit grey levels.
    pub sigmas: Vec<f64>,
    /// Of the noise, the same for every image.
    pub seed: u64,
    /// Largest input magnitude in network units.
    pub interval: f64,
    /// Cells of the lookup's tables.
    pub cell: Cells,
    /// Pixels between patches; the model's own if not given. The model here has it already.
    pub stride: Option<usize>,
    /// Who makes the material of the rows that two servers compute.
    pub material: Origin,
    /// What the networks of [`Target::Alternatives`] are trained on; nothing else needs any.
    #[cfg_attr(
        not(feature = "train"),
        expect(dead_code, reason = "without it the target is refused")
    )]
    pub training: Vec<GreyImage>,
    /// In little time: the middle of every fourth image, a rough Table 4.
    pub quick: bool,
}

/// A table or figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// PSNR and SSIM of each image.
    Table2,
    /// Their averages.
    Table3,
    /// Single operations.
    Table4,
    /// tanh and its approximations.
    Fig2,
    /// Pictures with enlarged parts, 8 to 11 in the paper.
    Fig8,
    /// SecureML's activation.
    Fig12,
    /// The conference version: one cloud, Paillier and garbled circuits.
    Icassp,
    /// Pixel encryption and learned perturbation beside all of it; needs the feature `train`.
    Alternatives,
}

impl Target {
    /// Every target.
    pub(crate) const ALL: [Target; 8] = [
        Target::Table2,
        Target::Table3,
        Target::Table4,
        Target::Fig2,
        Target::Fig8,
        Target::Fig12,
        Target::Icassp,
        Target::Alternatives,
    ];

    /// Its name on the command line and of its files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::Table2 => "table2",
            Target::Table3 => "table3",
            Target::Table4 => "table4",
            Target::Fig2 => "fig2",
            Target::Fig8 => "fig8",
            Target::Fig12 => "fig12",
            Target::Icassp => "icassp",
            Target::Alternatives => "alternatives",
        }
    }
}

/// What was made of the paper's tables and figures.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// What was made, target after target.
    pub targets: Vec<Written>,
    /// Seconds for all of it.
    pub seconds: f64,
}

/// The files of a target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// The target: table2, fig2, and so on.
    pub target: &'static str,
    /// The files that were written: Markdown, CSV, pictures.
    pub files: Vec<String>,
}

/// What a target comes to.
struct Page {
    markdown: String,
    csv: String,
    /// Drawn one above another as TARGET.png, each of `size` pixels.
    charts: Vec<Chart>,
    size: Size,
    /// Further pictures with their names.
    pictures: Vec<(String, Picture)>,
}

/// Makes tables and figures. Finished results are kept in results.csv of the output folder and not computed
/// again. A target is written as soon as what it needs is there; `written` is told, and ends the work by an
/// error.
///
/// # Errors
/// Before any work: images that do not suit a model, [`LabError::NoTrainer`], training images that
/// are too small, [`LabError::Results`], [`LabError::Busy`], [`LabError::Foreign`]. Later: [`LabError::Unfit`],
/// [`LabError::Step`] for a process that fails, what `written` returns.
pub(crate) fn run<E: From<LabError>>(
    request: &Request,
    observer: &mut dyn Observer,
    mut written: impl FnMut(&Written) -> Result<(), E>,
) -> Result<Report, E> {
    let started = Instant::now();
    check(request)?;
    let mut lab = Laboratory::new(request, request.quick.then_some(QUICK_SIDE))?;
    let images = request.out.join("images");
    std::fs::create_dir_all(&images).map_err(io_error(&images, "the folder cannot be made"))?;
    let _lock = lock(&request.out)?;
    let mut targets = Vec::new();
    for &target in &request.targets {
        let entries = lab.plan.entries(&[target]);
        lab.fill(&entries, observer)?;
        let page = page(target, &mut lab, observer)?;
        let files = write(target, &page, &request.out)?;
        let files = Written { target: target.name(), files };
        written(&files)?;
        targets.push(files);
    }
    let seconds = started.elapsed().as_secs_f64();
    observer.note(&format!("{} taken", estimate::words(seconds)));
    Ok(Report { targets, seconds })
}

fn page(
    target: Target,
    lab: &mut Laboratory<'_>,
    observer: &mut dyn Observer,
) -> Result<Page, LabError> {
    match target {
        Target::Table2 => tables::table2(lab),
        Target::Table3 => tables::table3(lab),
        Target::Table4 => {
            observer.phase("single operations (about half a minute)");
            let quick = lab.request.quick;
            let effort = if quick { Effort::QUICK } else { Effort::FULL };
            let rows = one_thread(|| operations(effort))?;
            observer.pause();
            Ok(tables::table4(&rows, &Machine::this(), quick))
        }
        Target::Fig2 => figures::fig2(lab),
        Target::Fig8 => figures::fig8(lab),
        Target::Fig12 => figures::fig12(lab),
        Target::Icassp => icassp::page(lab, observer),
        #[cfg(feature = "train")]
        Target::Alternatives => alternatives::page(lab, observer),
        #[cfg(not(feature = "train"))]
        Target::Alternatives => Err(LabError::NoTrainer),
    }
}

/// Refuses what cannot be made, before any work.
fn check(request: &Request) -> Result<(), LabError> {
    if !request.targets.contains(&Target::Alternatives) {
        return Ok(());
    }
    #[cfg(feature = "train")]
    return alternatives::check(request);
    #[cfg(not(feature = "train"))]
    Err(LabError::NoTrainer)
}

/// Writes TARGET.md, TARGET.csv and the pictures; their names.
fn write(target: Target, page: &Page, out: &Path) -> Result<Vec<String>, LabError> {
    let name = target.name();
    let file = |suffix: &str| out.join(format!("{name}.{suffix}"));
    let mut names = vec![file("md"), file("csv")];
    let mut markdown = page.markdown.clone();
    if !page.charts.is_empty() {
        let picture = plot::draw(&page.charts, page.size)?;
        write_picture(&file("png"), &picture, Access::Public)?;
        names.push(file("png"));
        let link = format!("({name}.png)");
        if !markdown.contains(&link) {
            markdown.push_str(&format!("\n![{}]{link}\n", page.charts[0].title));
        }
    }
    for (name, picture) in &page.pictures {
        write_picture(&out.join(name), picture, Access::Public)?;
        names.push(out.join(name));
    }
    write_report(&file("csv"), page.csv.as_bytes())?;
    write_report(&file("md"), markdown.as_bytes())?;
    Ok(names.iter().map(|n| n.display().to_string()).collect())
}

/// The lines that every page with results begins with.
fn setting(lab: &Laboratory<'_>) -> String {
    let request = lab.request;
    let (interval, cells) = (request.interval, request.cell);
    let mut flags = format!("inputs up to {interval} network units, lut cells of {cells}");
    if let Some(stride) = request.stride {
        flags.push_str(&format!(", stride {stride}"));
    }
    let quick = if request.quick {
        "\nA quick run: the middle 128x128 pixels of every fourth image only. Not for citing.\n"
    } else {
        ""
    };
    format!(
        "Model `{}`, {} images of `{}`; {flags}. Noise: white Gaussian, seed {}, in grey levels, \
         neither rounded nor clipped. PSNR and SSIM of the result rounded to 8 bits, over all \
         pixels.\n{quick}",
        request.model.file.display(),
        lab.subjects.len(),
        request.data.display(),
        request.seed
    )
}

/// Keeps a second run out of the folder, as long as it is held.
fn lock(out: &Path) -> Result<File, LabError> {
    let path = out.join(".lock");
    let what = "cannot be locked";
    let file = File::create(&path).map_err(io_error(&path, what))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LabError::Busy { folder: out.into() }),
        Err(TryLockError::Error(e)) => Err(io_error(&path, what)(e)),
    }
}
