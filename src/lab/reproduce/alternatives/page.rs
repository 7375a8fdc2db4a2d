//! The report: one table for whoever has to choose, the attacks behind it, and their CSV.

use super::choice;
use super::measured::{Figures, Measured};
use crate::lab::error::LabError;
use crate::lab::reproduce::plan::ALTERNATIVES_SIGMA as SIGMA;
use crate::lab::reproduce::table::{Table, both};

/// Markdown and CSV.
pub(super) fn page(measured: &Measured) -> Result<(String, String), LabError> {
    let mut figures = Figures::new();
    let sections = [
        choice::section(measured, &mut figures)?,
        encryption(measured, &mut figures),
        perturbation(measured, &mut figures),
        digits(measured, &mut figures),
    ];
    let (lab, machine) = (measured.lab, &measured.machine);
    let request = lab.request;
    let quick = if request.quick {
        "\nA quick run: small images, hardly trained networks. Not for citing.\n"
    } else {
        ""
    };
    let markdown = format!(
        "# The alternatives: pixel encryption and learned perturbation\n\n\
         Means over all images of `{}`, {} in number, at sigma {SIGMA}, noise from seed {}, neither rounded nor \
         clipped. PSNR in dB / SSIM. \
         Images that networks are trained on: {}. {}, {} cores; load average {}.\n{quick}\n{}\n\
         ## What the cloud sees\n\n![what the cloud sees of an image]({})\n",
        request.data.display(),
        lab.subjects.len(),
        request.seed,
        request.training.len().min(measured.effort.images),
        machine.cpu.as_deref().unwrap_or("unknown processor"),
        machine.logical_cores,
        machine.load_average.as_deref().unwrap_or("unknown"),
        sections.join("\n"),
        measured.figure,
    );
    Ok((markdown, figures.0.csv()))
}

fn encryption(measured: &Measured, figures: &mut Figures) -> String {
    let (judged, images) = (&measured.judged, measured.lab.subjects.len());
    let mut table = Table::new(&["who", "what", "PSNR / SSIM"], 2);
    let rows = [
        ("user", "the layers trained on plain patches, plain images", "plain", judged.plain),
        (
            "user",
            "the same without adaptation on encrypted images, decrypted",
            "unadapted",
            judged.unadapted,
        ),
        ("user", "trained on encrypted patches, decrypted: the result", "result", judged.result),
        (
            "cloud",
            "folded at mid grey and denoised, against the folded picture",
            "distance",
            judged.distance,
        ),
        ("cloud", "the same as the picture, on the better side", "structure", judged.structure),
        (
            "cloud",
            "a network trained under other keys to say the picture",
            "guessed",
            judged.guessed,
        ),
    ];
    for (who, what, name, quality) in rows {
        table.row([who.into(), what.into(), both(quality.psnr_db, quality.ssim)]);
        figures.quality("encryption", name, "", quality);
    }
    let (held, tried) = judged.commuting;
    figures.add("encryption", "distances", "images_kept", judged.kept as f64);
    figures.add("encryption", "moves", "commuting", held as f64);
    figures.add("encryption", "moves", "tried", tried as f64);
    let training = measured.training.map(|seconds| format!("{seconds:.0}"));
    format!(
        "## Pixel encryption\n\nThe distances from mid grey are the same before and after to the last bit: {} of \
         {images}. Flips and shifts of an encrypted image are the encryption under the moved key: {held} of {tried}. \
         Three images as the channels of a coloured one: the sorted distances of every pixel survive the shuffle, {}. \
         Trained in {} s: plain, adapted, attack; {} steps each.\n\n{}",
        judged.kept,
        if judged.colours { "yes" } else { "NO" },
        training.join(", "),
        measured.effort.steps,
        table.markdown()
    )
}

fn perturbation(measured: &Measured, figures: &mut Figures) -> String {
    let head = [
        "allowed, grey levels",
        "weight",
        "added, rms",
        "the user's result",
        "an attack afterwards",
        "trained in, s",
    ];
    let mut table = Table::new(&head, 0);
    for played in &measured.pictures {
        let numbers = [
            played.setting.strength.to_string(),
            played.setting.weight.to_string(),
            format!("{:.1}", played.added),
        ];
        let found = [played.result, played.attack].map(|q| both(q.psnr_db, q.ssim));
        table.row(numbers.into_iter().chain(found).chain([format!("{:.0}", played.seconds)]));
        let name = played.name();
        figures.add("perturbation", &name, "added_rms", played.added);
        figures.quality("perturbation", &name, "result", played.result);
        figures.quality("perturbation", &name, "attack", played.attack);
    }
    format!(
        "## Learned perturbation of pictures\n\nThe cloud's answer is the picture, so it is an attack itself; the \
         other is a network of the same layers, trained from new on the finished local network.\n\n{}",
        table.markdown()
    )
}

fn digits(measured: &Measured, figures: &mut Figures) -> String {
    let head = [
        "desired",
        "undesired",
        "added",
        "desired, right",
        "undesired, right, an attack afterwards",
    ];
    let mut table = Table::new(&head, 3);
    for played in &measured.digits {
        let setting = played.setting;
        let (desired, undesired) = (setting.desired.name(), setting.undesired.name());
        let shown = [played.desired, played.undesired].map(|v| format!("{:.1} %", 100.0 * v));
        let words = [desired.to_string(), undesired.into(), setting.name.into()];
        table.row(words.into_iter().chain(shown));
        let name = format!("{desired} desired, {}", setting.name);
        figures.add("digits", &name, "desired_right", played.desired);
        figures.add("digits", &name, "undesired_right", played.undesired);
    }
    format!(
        "## Learned perturbation of digits\n\nThe last 500 of 1,797 images, which nothing was trained on. Guessing \
         is right for 10 % of digits, 20 % for who knows the parity, and 50 % of parities.\n\n{}",
        table.markdown()
    )
}
