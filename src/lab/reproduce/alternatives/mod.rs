//! What a user gets without secret sharing: pixel encryption and learned perturbation, measured beside what this
//! program does.
//!
//! Two works stand for them. Sirichotedumrong, Maekawa, Kinoshita, Kiya, "Privacy-preserving deep neural networks with
//! pixel-based image encryption considering data augmentation in the encrypted domain" (ICIP 2019): every pixel is
//! negated or not, training and test images have independent keys, an adaptation network of 1x1 convolutions stands in
//! front. Xia, Hua, Tong, Xiong, Zhong, "A privacy-preserving scheme for convolutional neural network-based
//! applications in mobile cloud" (ICME 2020): a small local network perturbs the image pixel by pixel, trained together
//! with the cloud's so that a desired task stays good and an undesired one becomes worse.
//!
//! Our reading, for only what their abstracts say was at hand: denoising as the task; the generator, and a bit for
//! every channel ([`encryption`]); how the perturbation is bounded, its loss and its networks ([`game`]); all layers
//! and recipes ([`networks`]); every attack. Nothing here is a claim about their figures.
//!
//! # Who sees what
//!
//! Under pixel encryption the cloud gets |v - 127.5| of every pixel for nothing ([`attack`]), and what a network
//! trained on public images makes of the rest ([`pixels`]). Under perturbation it gets what its own network and an
//! attacker's recover ([`pictures`], [`digits`]).
//!
//! Security: none is promised; what is told are the attacks that were tried.

mod attack;
mod choice;
mod digits;
mod encryption;
mod game;
mod measured;
mod networks;
mod page;
mod pictures;
mod pixels;
mod systems;

use super::laboratory::Laboratory;
use super::plan::ALTERNATIVES_SIGMA as SIGMA;
use super::{Page, Request};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::image::{GreyImage, add_gaussian};
use crate::lab::bench::Machine;
use crate::lab::error::LabError;
use crate::lab::observer::Observer;
use crate::lab::panel::{Panel, with_crops};
use crate::lab::picture::Picture;
use crate::lab::pictures::middle;
use crate::model::FloatModel;
use crate::size::Size;
use measured::{Clear, Measured};
use networks::{Effort, adapted, corpus, denoise, recipe};
use std::slice::from_ref;
use std::time::Instant;

/// Sides of the image that time and bytes are of, of a whole run and a quick one.
const SIDES: [usize; 2] = [128, 48];
/// Side of the panels of the figure.
const PANEL: usize = 224;

fn effort(request: &Request) -> Effort {
    if request.quick { Effort::QUICK } else { Effort::FULL }
}

/// Refuses, before any work, training images that are too small.
pub(super) fn check(request: &Request) -> Result<(), LabError> {
    let effort = effort(request);
    let recipe = recipe(adapted(effort.channels, effort.depth), &effort, 0);
    corpus(&request.training, &effort).patches(&recipe, 0)?;
    Ok(())
}

/// Trains, attacks and measures everything, and makes the page.
pub(super) fn page(lab: &Laboratory<'_>, observer: &mut dyn Observer) -> Result<Page, LabError> {
    let (request, effort) = (lab.request, effort(lab.request));
    let clean: Vec<&GreyImage> = lab.subjects.iter().map(|subject| &subject.clean).collect();
    let pixels = pixels::Networks::train(&request.training, &effort, observer)?;
    observer.phase("encrypted images");
    let judged = pixels.judge(&clean, request.seed, observer)?;
    let mut pictures = Vec::new();
    for setting in pictures::SETTINGS {
        let pictures::Setting { strength, weight } = setting;
        observer.phase(&format!("pictures, up to {strength} grey levels, weight {weight}"));
        let (training, seed) = (&request.training, request.seed);
        pictures.push(pictures::play(setting, training, &clean, &effort, seed, observer)?);
    }
    let mut digits = Vec::new();
    for setting in &digits::SETTINGS {
        let desired = setting.desired.name();
        observer.phase(&format!("digits, {desired} desired, {}", setting.name));
        digits.push(digits::play(setting, &effort, observer)?);
    }
    let image = middle(clean[0], SIDES[usize::from(request.quick)])?;
    let clear = clear(&image, &request.model.model, &pixels, &pictures)?;
    let costs = systems::costs(request, &image, observer)?;
    let (name, figure) = figure(lab, &pixels, &pictures)?;
    let size = image.size();
    let machine = Machine::this();
    let measured = Measured {
        lab,
        effort,
        machine,
        size,
        judged,
        training: pixels.seconds,
        pictures,
        digits,
        clear,
        costs,
        figure: name.clone(),
    };
    let (markdown, csv) = page::page(&measured)?;
    let pictures = vec![(name, figure)];
    Ok(Page { markdown, csv, charts: vec![], size: Size::square(0), pictures })
}

/// Seconds of what is computed in the clear on an image, by whoever does it.
fn clear(
    image: &GreyImage,
    model: &FloatModel,
    pixels: &pixels::Networks,
    pictures: &[pictures::Played],
) -> Result<Clear, LabError> {
    fn timed<T>(work: impl FnOnce() -> Result<T, LabError>) -> Result<f64, LabError> {
        let started = Instant::now();
        work()?;
        Ok(started.elapsed().as_secs_f64())
    }
    let noisy = add_gaussian(image, SIGMA, 1)?;
    let key = pixels::Networks::key(0, image.size());
    let Some(played) = pictures.first() else { return Ok(Clear::default()) };
    Ok(Clear {
        plaintext: timed(|| denoise(model, &noisy))?,
        small: timed(|| denoise(&pixels.plain, &noisy))?,
        encrypted: timed(|| {
            let answer = denoise(&pixels.adapted, &key.encrypt_grey(&noisy)?)?;
            Ok(key.decrypt_grey(&answer)?)
        })?,
        perturbed: timed(|| played.networks.result(&noisy))?,
    })
}

/// What the cloud sees of one image: the one at three quarters of the list, in its middle.
fn figure(
    lab: &Laboratory<'_>,
    pixels: &pixels::Networks,
    played: &[pictures::Played],
) -> Result<(String, Picture), LabError> {
    let number = lab.plan.gc_images().pop().unwrap_or_default();
    let clean = &lab.subjects[number].clean;
    let noisy = add_gaussian(clean, SIGMA, lab.request.seed)?;
    let key = pixels::Networks::key(number, clean.size());
    let seen = pixels.see(&noisy, &key)?;
    let mut panels = vec![
        ("picture", clean.clone()),
        ("noisy", noisy.clone()),
        ("encrypted", seen.sent),
        ("folded", seen.folded),
        ("guessed", seen.guessed),
        ("decrypted", seen.result),
    ];
    if let Some(played) = played.last() {
        let sent = played.networks.sent(&noisy)?;
        let [_, attack] = played.networks.answers(&sent)?;
        panels.extend([("perturbed", sent), ("attacked", attack)]);
    }
    panels.push(("a share", share(clean)?));
    let panels: Vec<(&str, GreyImage)> = panels
        .into_iter()
        .map(|(caption, image)| Ok((caption, middle(&image, PANEL)?)))
        .collect::<Result<_, LabError>>()?;
    let shown: Vec<Panel<'_>> =
        panels.iter().map(|(caption, image)| Panel { caption, planes: from_ref(image) }).collect();
    Ok(("alternatives-seen.png".into(), with_crops(&middle(clean, PANEL)?, &shown)?))
}

/// What a server has of an image: its share, of which the highest 8 bits of each pixel are shown. This one is server
/// 1's, for which the image is not even needed.
fn share(image: &GreyImage) -> Result<GreyImage, LabError> {
    let mut stream = Seed::from_bytes([9; 32]).stream(Domain::of(Purpose::ImageShare));
    let words: Vec<u32> = stream.take(0, image.pixels().len());
    let pixels = words.into_iter().map(|word| (word >> 24) as f32).collect();
    Ok(GreyImage::new(image.height(), image.width(), pixels)?)
}
