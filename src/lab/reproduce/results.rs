//! The results that are there already: one CSV file, rewritten whole after every new one.

use super::plan::Ran;
use super::row::Row;
use super::table::csv_lines;
use crate::lab::error::LabError;
use crate::lab::pictures::write_report;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const HEADER: [&str; 10] =
    ["key", "sigma", "area", "row", "ran", "psnr_db", "ssim", "clamped_pixels", "seconds", "image"];

/// What was found for one image, noise and row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Of everything the figures depend on: a result under another key is of another question.
    pub(super) key: String,
    pub(super) image: String,
    pub(super) sigma: f64,
    /// The pixels it is about, rows x columns.
    pub(super) area: String,
    pub(super) row: Row,
    pub(super) ran: Ran,
    pub(super) psnr_db: f64,
    pub(super) ssim: f64,
    /// Pixels outside the input interval.
    pub(super) clamped: usize,
    /// Of computing it.
    pub(super) seconds: f64,
}

/// The file and what is in it.
pub(super) struct Results {
    file: PathBuf,
    found: Vec<Found>,
    by_key: HashMap<String, usize>,
}

impl Results {
    /// What an earlier run left, or nothing. Lines that are no results are not read, so that an
    /// edited file costs time at worst.
    pub(super) fn open(file: &Path) -> Result<Results, LabError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(LabError::Results { file: file.into(), source }),
        };
        let mut results =
            Results { file: file.to_path_buf(), found: Vec::new(), by_key: HashMap::new() };
        text.lines().skip(1).filter_map(parse).for_each(|found| results.insert(found));
        Ok(results)
    }

    /// A result, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&Found> {
        self.by_key.get(key).map(|&i| &self.found[i])
    }

    /// Adds a result and saves all.
    pub(super) fn add(&mut self, found: Found) -> Result<(), LabError> {
        self.insert(found);
        let mut text = csv_lines([HEADER]);
        text.push_str(&csv_lines(self.found.iter().map(fields)));
        write_report(&self.file, text.as_bytes())
    }

    fn insert(&mut self, found: Found) {
        match self.by_key.get(&found.key) {
            Some(&i) => self.found[i] = found,
            None => {
                self.by_key.insert(found.key.clone(), self.found.len());
                self.found.push(found);
            }
        }
    }
}

fn fields(f: &Found) -> [String; 10] {
    [
        f.key.clone(),
        f.sigma.to_string(),
        f.area.clone(),
        f.row.name().into(),
        f.ran.name().into(),
        format!("{:.6}", f.psnr_db),
        format!("{:.6}", f.ssim),
        f.clamped.to_string(),
        format!("{:.3}", f.seconds),
        f.image.clone(),
    ]
}

/// A line by itself, so that a torn one costs no other: names have no line breaks.
fn parse(line: &str) -> Option<Found> {
    // The reader takes an open quote for closed at the end.
    if line.matches('"').count() % 2 == 1 {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    let record = reader.records().next()?.ok().filter(|record| record.len() == HEADER.len())?;
    let mut fields = record.iter();
    let mut next = || fields.next();
    let found = Found {
        key: next()?.to_string(),
        sigma: next()?.parse().ok()?,
        area: next()?.to_string(),
        row: Row::from_name(next()?)?,
        ran: Ran::from_name(next()?)?,
        psnr_db: next()?.parse().ok()?,
        ssim: next()?.parse().ok()?,
        clamped: next()?.parse().ok()?,
        seconds: next()?.parse().ok()?,
        image: next()?.to_string(),
    };
    let numbers = [found.sigma, found.ssim, found.seconds];
    (!found.psnr_db.is_nan() && numbers.iter().all(|v| v.is_finite())).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(found: &Found) -> String {
        csv_lines([fields(found)])
    }

    fn found(key: &str, image: &str, psnr_db: f64) -> Found {
        Found {
            key: key.into(),
            image: image.into(),
            sigma: 15.5,
            area: "512x512".into(),
            row: Row::GcRefit,
            ran: Ran::Twin,
            psnr_db,
            ssim: 0.875,
            clamped: 3,
            seconds: 1.25,
        }
    }

    #[test]
    fn results_are_there_again_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.csv");
        let mut results = Results::open(&file).unwrap();
        assert_eq!(results.get("k1"), None);
        let all = [
            found("k1", "plain", 30.125),
            found("k2", "with, comma and \"quotes\"", 29.5),
            found("k3", "same", f64::INFINITY),
        ];
        for f in &all {
            results.add(f.clone()).unwrap();
        }
        results.add(found("k1", "plain", 31.0)).unwrap();
        let again = Results::open(&file).unwrap();
        assert_eq!(again.get("k1"), Some(&found("k1", "plain", 31.0)));
        assert_eq!(again.get("k2"), Some(&all[1]));
        assert_eq!(again.get("k3"), Some(&all[2]));
        assert_eq!(again.found.len(), 3);
        let lines = std::fs::read_to_string(&file).unwrap();
        assert!(lines.starts_with(&format!(
            "{}\nk1,15.5,512x512,gc-refit,integer twin,31.000000,",
            HEADER.join(",")
        )));
    }

    #[test]
    fn torn_and_foreign_lines_are_not_results() {
        let whole = line(&found("k", "a", 30.0));
        let whole = whole.trim_end();
        assert!(parse(whole).is_some());
        // Any shorter line is torn, but for the name at its end.
        let name_starts = whole.rfind(',').unwrap();
        for end in 0..name_starts {
            assert_eq!(parse(&whole[..end]), None, "{}", &whole[..end]);
        }
        for (from, to) in [("30.0", "NaN"), ("gc-refit", "gc"), ("twin", "guess"), ("0.875", "inf")]
        {
            assert_eq!(parse(&whole.replace(from, to)), None, "{to}");
        }
        assert_eq!(parse(&whole.replace(",a", ",\"a")), None);
    }

    #[test]
    fn a_file_that_is_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.csv");
        std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
        assert!(Results::open(&file).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_or_passed_over(text: String, at: usize, with in "[,\\\"a0.-]{0,4}") {
            let _ = parse(&text);
            let mut good = line(&found("k1", "with, comma", 30.0));
            let at = at % good.len();
            good.replace_range(at..=at, &with);
            let _ = parse(&good);
        }
    }
}
