//! How long it will take.

use super::plan::{Entry, Ran};
use super::row::Row;
use crate::model::FloatModel;
use std::time::Instant;

/// Seconds for a multiply-add and for an activation, with processes and dealer, as two cores of an
/// EPYC took them: the first guess, which the time taken corrects.
fn rates(entry: &Entry) -> (f64, f64) {
    match (entry.ran, entry.row) {
        (Ran::Nothing, _) => (0.0, 0.0),
        (Ran::Float, _) => (5e-11, 5e-9),
        (Ran::Twin, _) => (5e-11, 2e-8),
        (Ran::Servers, Row::Lut) => (1.5e-10, 4e-7),
        (Ran::Servers, _) => (1.5e-10, 2.5e-6),
    }
}

/// Seconds that a entry may take.
pub(super) fn guess(entry: &Entry, model: &FloatModel, patches: usize) -> f64 {
    let products: usize = model.network.linears().map(|(_, l)| l.weights.len()).sum();
    let outputs: Vec<usize> = model.network.linears().map(|(_, l)| l.bias.len()).collect();
    let activations: usize = outputs.iter().rev().skip(1).sum();
    let (product, activation) = rates(entry);
    patches as f64 * (products as f64 * product + activations as f64 * activation)
}

/// The time that is left: the guess for the rest, in the proportion that held so far.
pub(super) struct Estimate {
    started: Instant,
    left: f64,
    done: f64,
}

impl Estimate {
    /// Before any work, `total` guessed seconds.
    pub(super) fn new(total: f64) -> Estimate {
        Estimate { started: Instant::now(), left: total, done: 0.0 }
    }

    /// Work of so many guessed seconds is done.
    pub(super) fn done(&mut self, guess: f64) {
        self.left -= guess;
        self.done += guess;
    }

    /// In words.
    pub(super) fn left(&self) -> String {
        format!(
            "about {}",
            words(corrected(self.left, self.done, self.started.elapsed().as_secs_f64()))
        )
    }
}

/// The guess for the rest, corrected as soon as a tenth of a minute of guessed work is done.
fn corrected(left: f64, done: f64, taken: f64) -> f64 {
    if done > 6.0 { left * taken / done } else { left }
}

/// Seconds for people.
pub(super) fn words(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_corrects_the_guess() {
        assert_eq!(corrected(100.0, 0.0, 30.0), 100.0);
        assert_eq!(corrected(100.0, 50.0, 25.0), 50.0);
        let mut estimate = Estimate::new(30.0);
        assert_eq!(estimate.left(), "about 30 s");
        estimate.done(5.0);
        assert_eq!(estimate.left(), "about 25 s");
        assert_eq!([12.4, 600.0, 9000.0].map(words), ["12 s", "10 min", "2.5 h"]);
    }
}
