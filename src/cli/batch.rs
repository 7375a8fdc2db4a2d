//! What commands over many images share: parts of the work, and failures that do not end the work on the
//! others.

use super::failure::{Code, Failure};
use super::output::{Console, say_failure};
use crate::roles::Shard;
pub(super) use crate::roles::images::{CHANNELS, is_folder};
use clap::Args;
use serde::Serialize;
use std::path::Path;

/// A part of the work on many images.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Part {
    /// Take one of N parts of the images only, for work that is spread over processes or machines.
    #[arg(help_heading = "Many images", long, value_name = "K/N", value_parser = parse_shard)]
    pub(super) shard: Option<Shard>,
}

impl Part {
    /// The part, all if none was asked for.
    pub(super) fn shard(self) -> Shard {
        self.shard.unwrap_or(Shard::WHOLE)
    }
}

/// K/N, K from 1 to N.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let parse = || {
        let (k, n) = text.split_once('/')?;
        let (k, count) = (k.parse::<u64>().ok()?, n.parse::<u64>().ok()?);
        (1..=count).contains(&k).then(|| Shard { index: k - 1, count })
    };
    parse().ok_or_else(|| "expected K/N with K from 1 to N, for instance 2/8".into())
}

/// A file that failed while others did not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failed {
    pub(super) file: String,
    pub(super) error: String,
    #[serde(skip)]
    code: Code,
}

/// The failures of a batch, each told when it happens.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) list: Vec<Failed>,
}

impl Failures {
    /// Tells a failure, which names its file, and goes on.
    pub(super) fn note(&mut self, file: &Path, failure: &Failure, console: &mut Console) {
        console.finish();
        say_failure(failure);
        let (file, error) = (file.display().to_string(), failure.message().to_string());
        self.list.push(Failed { file, error, code: failure.code() });
    }

    /// What failed before is done now.
    pub(super) fn mended(&mut self, file: &Path) {
        let file = file.display().to_string();
        self.list.retain(|failed| failed.file != file);
    }

    /// The end of a batch of `total`, after its report.
    pub(super) fn end(self, total: usize) -> Result<(), Failure> {
        let Some(code) = self.list.first().map(|failed| failed.code) else { return Ok(()) };
        let failed = self.list.len();
        let others = if failed < total { "; the others are done" } else { "" };
        Err(Failure::new(code, format!("{failed} of {total} failed{others}"))
            .help("see the messages above"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_parsed_or_refused() {
        assert_eq!(parse_shard("2/8"), Ok(Shard { index: 1, count: 8 }));
        assert_eq!(parse_shard("1/1"), Ok(Shard::WHOLE));
        assert!(
            ["", "0/2", "3/2", "1/0", "1", "a/b", "-1/2"].iter().all(|t| parse_shard(t).is_err())
        );
    }
}
