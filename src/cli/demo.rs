//! `demo`: the whole pipeline on one image, every step a process of its own.

use super::args::{Demo, Family, Material};
use super::failure::Failure;
use super::files::{OutputKind, QualityReport, read_image, write_output};
use super::output::{Console, bytes, print_json, print_line};
use super::pipeline::{Pipeline, fresh_work, path, remove_work, shared_machine};
use crate::image::{GreyImage, Raster, Rect, pick_crops};
use crate::lab::panel::{Panel, crop_side, side_by_side};
use crate::model::EngineKind;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

#[derive(Serialize)]
struct Report {
    image: String,
    model: String,
    sigma: f64,
    noisy: QualityReport,
    plaintext: QualityReport,
    secure: QualityReport,
    psnr_lost_db: f64,
    phases: Vec<PhaseRow>,
    server_bytes_both_directions: u64,
    /// Who made the material: made, by the servers; dealt, by a dealer.
    material: &'static str,
    material_bytes: u64,
    activations: u64,
    online_bytes_per_activation_both_directions: f64,
    peak_memory_bytes: [Option<u64>; 2],
}

#[derive(Serialize)]
struct PhaseRow {
    phase: &'static str,
    who: &'static str,
    seconds: f64,
    bytes: u64,
    what: &'static str,
}

pub(super) fn run(args: &Demo, console: &mut Console) -> Result<(), Failure> {
    let demo = Demonstration::new(args)?;
    let result = demo.run(args, console);
    if !args.keep {
        remove_work(&args.out.join("work"))?;
    }
    let report = result?;
    console.finish();
    if args.json {
        return print_json("ppdenoise.demo.v1", &report);
    }
    print_table(args, &report)
}

struct Demonstration {
    pipeline: Pipeline,
}

impl Demonstration {
    fn new(args: &Demo) -> Result<Self, Failure> {
        let work = args.out.join("work");
        fresh_work(&work)?;
        Ok(Demonstration { pipeline: Pipeline::new(&work)? })
    }

    fn run(&self, args: &Demo, console: &mut Console) -> Result<Report, Failure> {
        let (steps, mut phases) = (&self.pipeline, Vec::new());
        let out = |name: &str| args.out.join(name);
        let (original, noisy) = (out("original.png"), out("noisy.png"));
        let (plaintext, secure) = (out("plaintext.png"), out("secure.png"));
        let clean = middle(read_image(&args.image)?, args)?;
        super::files::write_image(&original, &clean)?;
        let sigma = args.sigma.to_string();
        let flags = quantise_flags(args);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();

        console.phase("adding noise");
        let seed = args.seed.to_string();
        steps.step(&[
            "add-noise",
            path(&original)?,
            "--sigma",
            &sigma,
            "--seed",
            &seed,
            "--out",
            path(&noisy)?,
        ])?;
        console.phase("denoising in plaintext");
        let model_file = args.model();
        let model = path(&model_file)?;
        let mut plain = vec![
            "denoise",
            path(&noisy)?,
            "--model",
            model,
            "--sigma",
            &sigma,
            "--json",
            "--force",
        ];
        if let Some(at) = flags.iter().position(|f| *f == "--stride") {
            plain.extend(&flags[at..at + 2]);
        }
        let seconds = steps.timed(&[&plain[..], &["--out", path(&plaintext)?]].concat())?.0;
        phases.push(row("plaintext", "one process", seconds, 0, "the same network in float32"));

        let at = |name: &str| steps.at(name);
        let (keys, shared_model, shared) = (at("keys"), at("model"), at("img"));
        console.phase("sharing the model");
        // Without a dealer nobody holds a dealer's key.
        let roles = ["model-owner", "gateway", "server0", "server1", "receiver"];
        let roles = roles.iter().flat_map(|role| ["--role", role]);
        let roles: Vec<&str> = match args.material() {
            Material::Made => roles.collect(),
            Material::Dealt => Vec::new(),
        };
        steps.step(&[&["keygen", "--out", &keys][..], &roles].concat())?;
        let share = ["share-model", model, "--keys", &keys, "--out", &shared_model];
        let seconds = steps.timed(&[&share[..], &flags].concat())?.0;
        phases.push(row(
            "share-model",
            "model owner",
            seconds,
            steps.size("model.s0"),
            "model share to S0, once",
        ));
        console.phase("sharing the image");
        let public = at("model.pub");
        let share = [
            "share-image",
            path(&noisy)?,
            "--keys",
            &keys,
            "--model",
            &public,
            "--sigma",
            &sigma,
            "--out",
            &shared,
        ];
        let clamp: &[&str] = if args.clamp.clamp { &["--clamp"] } else { &[] };
        let seconds = steps.timed(&[&share[..], clamp].concat())?.0;
        phases.push(row(
            "share-image",
            "gateway",
            seconds,
            steps.size("img.s0"),
            "image share to S0",
        ));
        console.phase("making triples");
        let size = format!("{}x{}", clean.height(), clean.width());
        phases.push(self.material(args.material(), (&keys, &public), &size)?);
        console.phase("denoising on shares");
        let reports = steps.servers("serve", &shared_machine(), Ok)?;
        let (setup, online) = (&reports[0]["setup"], &reports[0]["images"][0]["online"]);
        let seconds = |phase: &Value| phase["seconds"].as_f64().unwrap_or(0.0);
        phases.push(row(
            "serve, setup",
            "both servers",
            seconds(setup),
            exchanged(setup),
            "both directions, once a model",
        ));
        phases.push(row(
            "serve, online",
            "both servers",
            seconds(online),
            exchanged(online),
            "both directions",
        ));
        console.phase("reconstructing");
        let (den0, den1) = (at("den.s0"), at("den.s1"));
        let taken = steps
            .timed(&[
                "reconstruct",
                &den0,
                &den1,
                "--keys",
                &keys,
                "--out",
                path(&secure)?,
                "--force",
            ])?
            .0;
        phases.push(row(
            "reconstruct",
            "receiver",
            taken,
            steps.size("den.s0") + steps.size("den.s1"),
            "result shares",
        ));

        let [noisy, plaintext, secure] = [&noisy, &plaintext, &secure].map(|p| read_image(p));
        let images = [clean, noisy?, plaintext?, secure?];
        let quality = |i: usize| {
            let image = |i: usize| Raster::from(images[i].clone());
            QualityReport::new(&image(0), &image(i))
        };
        let activations = reports[0]["images"][0]["activations"].as_u64().unwrap_or(0);
        let both = online["bytes_sent"].as_u64().unwrap_or(0)
            + online["bytes_received"].as_u64().unwrap_or(0);
        let report = Report {
            image: args.image.display().to_string(),
            model: model_file.display().to_string(),
            sigma: args.sigma,
            noisy: quality(1)?,
            plaintext: quality(2)?,
            secure: quality(3)?,
            psnr_lost_db: quality(2)?.psnr_db() - quality(3)?.psnr_db(),
            server_bytes_both_directions: exchanged(online),
            material: args.material().name(),
            material_bytes: steps.size("trip.s0"),
            activations,
            online_bytes_per_activation_both_directions: both as f64 / activations.max(1) as f64,
            peak_memory_bytes: [0, 1].map(|i| reports[i]["peak_memory_bytes"].as_u64()),
            phases,
        };
        draw(&args.out.join("comparison.png"), &images, &report)?;
        Ok(report)
    }

    /// Has the material made, by whom was asked for.
    fn material(
        &self,
        material: Material,
        (keys, public): (&str, &str),
        size: &str,
    ) -> Result<PhaseRow, Failure> {
        let (steps, triples) = (&self.pipeline, self.pipeline.at("trip"));
        if material == Material::Dealt {
            let args = ["gen-triplets", "--keys", keys, "--model", public, "--size", size];
            let seconds = steps.timed(&[&args[..], &["--out", &triples]].concat())?.0;
            let bytes = steps.size("trip.s0");
            return Ok(row("gen-triplets", "dealer", seconds, bytes, "material to S0"));
        }
        let flags = [shared_machine(), vec!["--size".into(), size.into()]].concat();
        let [report, _] = steps.servers("gen-triplets", &flags, Ok)?;
        let seconds = report["seconds"].as_f64().unwrap_or(0.0);
        let bytes = exchanged(&report["setup"]) + exchanged(&report["sets"][0]);
        Ok(row("gen-triplets", "both servers", seconds, bytes, "both directions, nobody else"))
    }
}

/// Bytes in both directions; a server's traffic need not be symmetric: with gc S1 sends the tables.
fn exchanged(phase: &Value) -> u64 {
    let count = |key: &str| phase[key].as_u64().unwrap_or(0);
    count("bytes_sent") + count("bytes_received")
}

fn row(
    phase: &'static str,
    who: &'static str,
    seconds: f64,
    bytes: u64,
    what: &'static str,
) -> PhaseRow {
    PhaseRow { phase, who, seconds, bytes, what }
}

fn quantise_flags(args: &Demo) -> Vec<String> {
    let mut quantise = args.quantise.clone();
    if quantise.interval.is_none() {
        quantise.sigma_from.get_or_insert(args.sigma);
    }
    let mut flags = quantise.given();
    if let Some(stride) = args.quantise.stride {
        flags.extend(["--stride".into(), stride.to_string()]);
    }
    flags
}

/// The part of the image that the demo uses.
fn middle(image: GreyImage, args: &Demo) -> Result<GreyImage, Failure> {
    let default = match (args.quantise.engine(), args.family) {
        (EngineKind::Lut, Family::Mlp) => 0,
        (EngineKind::Lut, Family::Dncnn) | (EngineKind::Gc, Family::Mlp) => 256,
        (EngineKind::Gc, Family::Dncnn) => 64,
    };
    let side = args.crop.unwrap_or(default);
    let (height, width) = (image.height(), image.width());
    if side == 0 || (side >= height && side >= width) {
        return Ok(image);
    }
    let (h, w) = (side.min(height), side.min(width));
    Ok(image.crop(Rect { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w })?)
}

fn draw(out: &Path, images: &[GreyImage; 4], report: &Report) -> Result<(), Failure> {
    let caption =
        |name: &str, q: &QualityReport| format!("{name} {:.2} dB / {:.3}", q.psnr_db(), q.ssim());
    let captions = [
        "original".to_string(),
        caption("noisy", &report.noisy),
        caption("plaintext", &report.plaintext),
        caption("secure", &report.secure),
    ];
    let panels: Vec<Panel<'_>> =
        captions.iter().zip(images).map(|(caption, image)| Panel { caption, image }).collect();
    let side = crop_side(images[0].width()).min(images[0].height() / 2).max(1);
    let crops = pick_crops(&images[0], side, side)?;
    let mut bytes = Vec::new();
    side_by_side(&panels, &crops)?.write_png(&mut bytes)?;
    write_output(out, &bytes, OutputKind::picture(true))
}

fn print_table(args: &Demo, report: &Report) -> Result<(), Failure> {
    print_line(&format!(
        "{} with noise of {} grey levels, {}",
        report.image, report.sigma, report.model
    ))?;
    print_line("")?;
    for (name, q) in
        [("noisy", &report.noisy), ("plaintext", &report.plaintext), ("secure", &report.secure)]
    {
        print_line(&format!("{name:12} {q}"))?;
    }
    print_line(&format!("{:12} {:+.4} dB", "lost", report.psnr_lost_db))?;
    print_line("")?;
    for row in &report.phases {
        let amount = if row.bytes == 0 { String::new() } else { bytes(row.bytes) };
        print_line(&format!(
            "{:14} {:13} {:8.2} s {:>12}  {}",
            row.phase, row.who, row.seconds, amount, row.what
        ))?;
    }
    print_line("")?;
    print_line(&format!(
        "{} activations, {:.2} bytes each between the servers, both directions together",
        report.activations, report.online_bytes_per_activation_both_directions
    ))?;
    let memory: Vec<String> =
        report.peak_memory_bytes.iter().map(|m| m.map_or("?".into(), bytes)).collect();
    print_line(&format!("peak memory {} (S0), {} (S1)", memory[0], memory[1]))?;
    if args.material() == Material::Made {
        print_line("two servers, nobody else: they made their material themselves")?;
    }
    print_line(&format!("pictures in {}: comparison.png shows all", args.out.display()))
}
