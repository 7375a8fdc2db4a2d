//! Which way of taking the layers is meant: the one that denoises, if no other denoises as well.

use super::ImportError;
use super::published::Published;
use super::ways::{Interpretation, Net, Predicts};
use crate::model::trial::{Picture, Try, margin};

/// What two PSNRs differ by at least, in dB, for one to be better.
const EVEN_DB: f64 = 0.1;
/// How many tries a message names.
const SHOWN: usize = 4;

/// The best of some tries, for a message.
pub(super) fn best(tries: &[Try]) -> String {
    let mut order: Vec<&Try> = tries.iter().collect();
    order.sort_by(|a, b| b.psnr_db.total_cmp(&a.psnr_db));
    let shown: Vec<String> = order.iter().take(SHOWN).map(|t| t.to_string()).collect();
    let more = order.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    shown.join("; ") + &more
}

/// All ways, and what each makes of a noisy picture.
pub(super) struct Trials {
    pub(super) ways: Vec<Interpretation>,
    pub(super) tries: Vec<Try>,
    pub(super) noisy_db: f64,
    sigma: f64,
}

impl Trials {
    /// Tries every way. What a network gives is computed once for all that may be made of it.
    pub(super) fn of(
        ways: Vec<Interpretation>,
        net: Net<'_>,
        sigma: f64,
        progress: &mut dyn FnMut(f64),
    ) -> Result<Trials, ImportError> {
        let all = ways.len() as f64;
        let mut trials = Trials { ways: Vec::new(), tries: Vec::new(), noisy_db: f64::NAN, sigma };
        let mut picture = None;
        let mut gave: Option<(Interpretation, Vec<f32>)> = None;
        for (tried, way) in ways.into_iter().enumerate() {
            progress(tried as f64 / all);
            // With a mean shift the network is another one if it gives the noise.
            let plain = if way.mean_shift {
                way
            } else {
                Interpretation { predicts: Predicts::Image, ..way }
            };
            if gave.as_ref().is_none_or(|(of, _)| *of != plain) {
                let model = plain.model(net, sigma)?;
                if picture.is_none() {
                    picture = Some(Picture::for_model(&model, sigma)?);
                }
                let Some(picture) = &picture else { continue };
                let within = &mut |done| progress((tried as f64 + done) / all);
                gave = Some((plain, picture.denoised(&model, within)?));
            }
            let (Some(picture), Some((_, net))) = (&picture, &gave) else { continue };
            let grey = if plain.predicts == way.predicts {
                net.clone()
            } else {
                made_of(net, picture.noisy(), &way)?
            };
            trials.tries.push(Try { what: way.to_string(), psnr_db: picture.db_of(grey) });
            trials.ways.push(way);
            trials.noisy_db = picture.noisy_db;
        }
        Ok(trials)
    }

    /// The best, if it denoises and nothing else is as good. A network that is named and shaped like a `published`
    /// one is taken for it among equals. Of ranges more is asked: weights without biases are the same function in
    /// all that have one 0, and small biases make few dB of difference.
    pub(super) fn chosen(&self, published: Option<Published>) -> Result<usize, ImportError> {
        let db = |i: &usize| self.tries[*i].psnr_db;
        let useless = || ImportError::Useless {
            sigma: self.sigma,
            noisy_db: self.noisy_db,
            tries: self.tries.clone(),
        };
        let mut order: Vec<usize> = (0..self.tries.len()).collect();
        // The more usual of two that are the same comes first.
        order.sort_by(|a, b| db(b).total_cmp(&db(a)));
        let best = *order.first().ok_or_else(useless)?;
        let denoises = db(&best) > self.noisy_db + margin(self.sigma);
        if !denoises {
            return Err(useless());
        }
        let range = self.ways[best].range;
        order.retain(|i| {
            let same = self.ways[*i].range == range;
            db(i) >= db(&best) - if same { EVEN_DB } else { margin(self.sigma) }
        });
        let is_published = |i: &usize| published.is_some_and(|p| p.is(&self.ways[*i]));
        if order.iter().any(is_published) {
            order.retain(is_published);
        }
        let flags = self.flags(&order);
        if flags.is_empty() {
            return order.into_iter().min().ok_or_else(useless);
        }
        let tries = order.iter().map(|i| self.tries[*i].clone()).collect();
        Err(ImportError::Undecided { tries, flags })
    }

    /// What would decide among these ways. Nothing can for the order of a patch's pixels and a mean shift: of those
    /// the more usual is taken.
    fn flags(&self, among: &[usize]) -> Vec<&'static str> {
        let differs = |same: &dyn Fn(&Interpretation, &Interpretation) -> bool| {
            among.iter().any(|i| !same(&self.ways[*i], &self.ways[among[0]]))
        };
        let all: [(bool, &str); 4] = [
            (differs(&|a, b| a.activation == b.activation), "--activation"),
            (differs(&|a, b| a.range == b.range), "--range"),
            (differs(&|a, b| a.predicts == b.predicts), "--predicts"),
            (differs(&|a, b| a.dilated == b.dilated), "--family"),
        ];
        all.iter().filter(|(differs, _)| *differs).map(|(_, flag)| *flag).collect()
    }
}

/// The picture, of what the network gives as grey levels of a picture.
fn made_of(net: &[f32], noisy: &[f32], way: &Interpretation) -> Result<Vec<f32>, ImportError> {
    let black = way.zero()? as f32;
    let picture = |(net, x): (&f32, &f32)| match way.predicts {
        Predicts::Image => *net,
        Predicts::Noise => x - (net - black),
        Predicts::Correction => x + (net - black),
    };
    Ok(net.iter().zip(noisy).map(picture).collect())
}
