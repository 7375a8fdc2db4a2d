//! What commands over many images share: parts of the work, and failures that do not end the work on the
//! others.

use super::failure::{Code, Failure};
use super::output::{Console, say, say_failure};
use crate::roles::Shard;
pub(super) use crate::roles::images::{CHANNELS, is_folder};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// A part of the work on many images.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Part {
    /// Take only part K of N of the images, to spread the work over processes or machines.
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

/// What is told of a file that was found and passed over.
pub(super) fn no_picture(file: &Path, kind: &str) -> String {
    format!("note: '{}' is passed over: it holds no picture, it is {kind}", file.display())
}

/// What is told of subfolders.
pub(super) fn unsearched(folder: &Path, folders: usize) -> String {
    format!("note: {folders} subfolder(s) of '{}' were not searched", folder.display())
}

/// A file that failed while others did not.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Failed {
    /// The file.
    pub(super) file: String,
    /// Why it failed.
    pub(super) error: String,
    #[serde(skip)]
    code: Code,
}

/// The failures of a batch. The first of a kind is told when it happens, others like it in one line at the end;
/// where the end may be months away, each at once.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) list: Vec<Failed>,
    /// What was told, and the files that failed like it.
    told: Vec<(String, Vec<String>)>,
    at_once: bool,
}

/// Files that are named at the end of those that failed in one way.
const NAMED: usize = 4;

impl Failures {
    /// Each failure is told when it happens.
    pub(super) fn tell_each(&mut self) {
        self.at_once = true;
    }

    /// Takes a failure, which names its file, and goes on.
    pub(super) fn note(&mut self, file: &Path, failure: &Failure, console: &mut Console) {
        console.finish();
        let name = file.display().to_string();
        let why = failure.without(file);
        match self.told.iter_mut().find(|(told, _)| *told == why) {
            Some((_, more)) if !self.at_once => more.push(name.clone()),
            _ => {
                say_failure(failure);
                self.told.push((why, Vec::new()));
            }
        }
        let error = failure.message().to_string();
        self.list.push(Failed { file: name, error, code: failure.code() });
    }

    /// What failed before is done now.
    pub(super) fn mended(&mut self, file: &Path) {
        let file = file.display().to_string();
        self.list.retain(|failed| failed.file != file);
    }

    /// The end of a batch of `total`, after its report.
    pub(super) fn end(self, total: usize) -> Result<(), Failure> {
        let Some(code) = self.list.first().map(|failed| failed.code) else { return Ok(()) };
        for (why, more) in self.told.iter().filter(|(_, more)| !more.is_empty()) {
            let named: Vec<String> =
                more.iter().take(NAMED).map(|name| format!("'{name}'")).collect();
            let rest = more.len().saturating_sub(NAMED);
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            say(&format!("error: the same of {}{rest}: {why}", named.join(", ")));
        }
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
