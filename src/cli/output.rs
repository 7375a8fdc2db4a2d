//! What a command says: data on standard output, everything else on standard error.

use super::failure::{Code, Failure};
use super::shown;
use crate::ids::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Steps of a bar: fine enough to move smoothly.
const STEPS: u64 = 1000;
/// How often a phase shows that it goes on.
const TICK: Duration = Duration::from_millis(200);

/// Notes and progress on standard error.
pub(super) struct Console {
    quiet: bool,
    bar: Option<ProgressBar>,
    /// What is told only once.
    told: HashSet<String>,
}

impl Console {
    pub(super) fn new(quiet: bool) -> Self {
        Console { quiet, bar: None, told: HashSet::new() }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// One line on standard error, unless quiet.
    pub(super) fn note(&self, text: impl AsRef<str>) {
        if self.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text.as_ref())),
            None => say(text.as_ref()),
        }
    }

    /// The same, but only the first time.
    pub(super) fn note_once(&mut self, text: String) {
        if !self.told.contains(&text) {
            self.note(&text);
            self.told.insert(text);
        }
    }

    /// Begins a phase: one line; on a terminal a bar, or what stands for one until progress is told.
    pub(super) fn phase(&mut self, name: &str) {
        self.finish();
        if self.quiet {
            return;
        }
        if !std::io::stderr().is_terminal() {
            say(name);
            return;
        }
        let bar = ProgressBar::new_spinner().with_message(shown::one_line(name).to_string());
        let bar = bar.with_style(style("{spinner} {msg:28} {elapsed}"));
        // Drawn at once, and kept alive: a phase that waits for a process has no progress to tell.
        bar.tick();
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }

    /// The share of the phase that is done.
    pub(super) fn progress(&self, done: f64) {
        let Some(bar) = &self.bar else { return };
        if bar.length().is_none() {
            bar.set_length(STEPS);
            bar.set_style(style("{msg:28} {bar:32} {percent:>3} %  {elapsed} ({eta} left)"));
        }
        bar.set_position((done * STEPS as f64) as u64);
    }

    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// What `--json` prints.
pub(super) trait Report: Serialize {
    /// The name and version of its fields. They stand in one list, `schemas`.
    const SCHEMA: &'static str;
}

/// A report as it is written: `schema` first, then its fields.
#[derive(Serialize)]
pub(super) struct Document<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    report: &'a T,
}

impl<'a, T: Report> Document<'a, T> {
    pub(super) fn of(report: &'a T) -> Self {
        Document { schema: T::SCHEMA, report }
    }
}

/// Prints one JSON document on standard output.
pub(super) fn print_json(report: &impl Report) -> Result<(), Failure> {
    print_text(serde_json::to_string_pretty(&Document::of(report)))
}

/// As [`print_json`], in one line.
pub(super) fn print_json_line(report: &impl Report) -> Result<(), Failure> {
    print_text(serde_json::to_string(&Document::of(report)))
}

fn print_text(json: serde_json::Result<String>) -> Result<(), Failure> {
    let text =
        json.map_err(|e| Failure::new(Code::Failed, format!("the report cannot be written: {e}")))?;
    print_bytes(format!("{}\n", shown::json(&text)).as_bytes())
}

/// Prints a line on standard error. If nobody reads it any more, the work goes on: a script may
/// close the pipe once it has the address of a server. The line is one write, so that two processes
/// on one terminal do not mix theirs.
pub(super) fn say(text: &str) {
    say_lines(&shown::one_line(text));
}

/// Prints why something failed, and what to do.
pub(super) fn say_failure(failure: &Failure) {
    say_lines(&failure.to_string());
}

fn say_lines(text: &str) {
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Prints a line of data on standard output; a reader that has gone away is no failure.
pub(super) fn print_line(text: &str) -> Result<(), Failure> {
    print_bytes(format!("{}\n", shown::one_line(text)).as_bytes())
}

/// Writes data on standard output; a reader that has gone away is no failure.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Code::Failed, format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// A PSNR for JSON: infinity, for identical images, becomes null.
pub(super) fn finite(psnr_db: f64) -> Option<f64> {
    psnr_db.is_finite().then_some(psnr_db)
}

/// The peak resident memory of this process in bytes, where the platform tells.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Bytes in decimal units.
pub(super) fn bytes(count: u64) -> String {
    Bytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identical_images_have_no_finite_psnr() {
        assert_eq!(finite(f64::INFINITY), None);
        assert_eq!(finite(29.5), Some(29.5));
    }
}
