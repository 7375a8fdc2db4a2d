//! `reproduce`: the paper's tables and figures from other images.

mod compute;
mod estimate;
mod figures;
mod paper;
mod plan;
mod results;
pub(in crate::cli) mod row;
mod table;
mod tables;

use crate::cli::args::reproduce::Reproduce;

use super::failure::{Code, Failure};
use super::files::write_public;
use super::output::{Console, print_json, print_line};
use super::server_side::with_threads;
use crate::cli::args::reproduce::Target;
use crate::lab::bench::{Effort, Machine, operations};
use crate::lab::panel::Picture;
use crate::lab::plot;
use crate::lab::plot::{Chart, PlotError};
use compute::Laboratory;
use serde::Serialize;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Instant;

/// Sides of the images with `--quick`.
const QUICK_SIDE: usize = 128;

/// What a target comes to.
struct Report {
    markdown: String,
    csv: String,
    /// Drawn one above another as TARGET.png, each of `size` pixels.
    charts: Vec<Chart>,
    size: (u32, u32),
    /// Further pictures with their names.
    pictures: Vec<(String, Picture)>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    targets: Vec<Written>,
    seconds: f64,
}

/// The files of a target.
#[derive(Serialize)]
struct Written {
    target: &'static str,
    files: Vec<String>,
}

pub(super) fn run(args: &Reproduce, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    let targets = args.wanted();
    let mut lab = Laboratory::new(args, args.quick.then_some(QUICK_SIDE))?;
    let folder = |path: &Path| {
        std::fs::create_dir_all(path).map_err(|e| {
            Failure::new(Code::Failed, format!("the folder cannot be made: {e}")).about(path)
        })
    };
    folder(&args.out.join("images"))?;
    let _lock = lock(&args.out)?;
    // A target is written as soon as what it needs is there.
    let mut written = Vec::new();
    for &target in &targets {
        let cells = lab.plan.cells(&[target]);
        lab.fill(&cells, console)?;
        let report = report(target, &mut lab, args, console)?;
        let files = write(target, &report, &args.out)?;
        if !args.json {
            print_line(&format!("{}: {}", target.name(), files.join(", ")))?;
        }
        written.push(Written { target: target.name(), files });
    }
    let seconds = started.elapsed().as_secs_f64();
    console.note(format!("{} taken", estimate::words(seconds)));
    match args.json {
        true => print_json("ppdenoise.reproduce.v1", &Document { targets: written, seconds }),
        false => Ok(()),
    }
}

fn report(
    target: Target,
    lab: &mut Laboratory<'_>,
    args: &Reproduce,
    console: &mut Console,
) -> Result<Report, Failure> {
    match target {
        Target::Table2 => tables::table2(lab),
        Target::Table3 => tables::table3(lab),
        Target::Table4 => {
            console.phase("single operations (about half a minute)");
            let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
            let one = super::args::server::Threads { threads: Some(1) };
            let rows = with_threads(one, || Ok(operations(effort)))?;
            console.finish();
            Ok(tables::table4(&rows, &Machine::this(), args.quick))
        }
        Target::Fig2 => figures::fig2(lab),
        Target::Fig8 => figures::fig8(lab),
        // `wanted` leaves no other.
        Target::Fig12 | Target::All => figures::fig12(lab),
    }
}

/// Writes TARGET.md, TARGET.csv and the pictures; their names.
fn write(target: Target, report: &Report, out: &Path) -> Result<Vec<String>, Failure> {
    let name = target.name();
    let file = |suffix: &str| out.join(format!("{name}.{suffix}"));
    let mut names = vec![file("md"), file("csv")];
    let mut markdown = report.markdown.clone();
    if !report.charts.is_empty() {
        let picture = plot::draw(&report.charts, report.size)?;
        write_picture(&file("png"), &picture)?;
        names.push(file("png"));
        let link = format!("({name}.png)");
        if !markdown.contains(&link) {
            markdown.push_str(&format!("\n![{}]{link}\n", report.charts[0].title));
        }
    }
    for (name, picture) in &report.pictures {
        write_picture(&out.join(name), picture)?;
        names.push(out.join(name));
    }
    write_public(&file("csv"), report.csv.as_bytes())?;
    write_public(&file("md"), markdown.as_bytes())?;
    Ok(names.iter().map(|n| n.display().to_string()).collect())
}

fn write_picture(path: &Path, picture: &Picture) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    picture.write_png(&mut bytes).map_err(|e| Failure::from(e).about(path))?;
    write_public(path, &bytes)
}

/// The lines that every page with results begins with.
fn setting(lab: &Laboratory<'_>) -> String {
    let args = lab.args;
    let (interval, cells) = (args.interval, 1 << args.cell);
    let mut flags = format!("inputs up to {interval} network units, lut cells of 1/{cells}");
    if let Some(stride) = args.stride {
        flags.push_str(&format!(", stride {stride}"));
    }
    let quick = if args.quick {
        "\nA quick run: the middle 128x128 pixels of every fourth image only. Not for citing.\n"
    } else {
        ""
    };
    format!(
        "Model `{}`, {} images of `{}`; {flags}. Noise: white Gaussian, seed {}, in grey levels, \
         neither rounded nor clipped. PSNR and SSIM of the result rounded to 8 bits, over all \
         pixels.\n{quick}",
        args.model.display(),
        lab.subjects.len(),
        args.data.display(),
        args.seed
    )
}

/// Keeps a second run out of the folder, as long as it is held.
fn lock(out: &Path) -> Result<File, Failure> {
    let path = out.join(".lock");
    let failed = |e: std::io::Error| {
        Failure::new(Code::Failed, format!("cannot be locked: {e}")).about(&path)
    };
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new(Code::Usage, "another run is at work in this folder")
                .about(out)
                .help("wait for it, or give another --out"))
        }
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

impl From<PlotError> for Failure {
    fn from(e: PlotError) -> Self {
        Failure::new(Code::Failed, e.to_string())
    }
}
