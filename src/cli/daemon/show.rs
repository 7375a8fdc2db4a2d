//! `status`: how a daemon is, from its file.

use super::state::{Doing, Status};
use super::text;
use crate::cli::args::daemon::Status as Args;
use crate::cli::clock;
use crate::cli::failure::{Code, Failure};
use crate::cli::files::read_text;
use crate::cli::output::{Report, print_json, print_line};
use serde::Deserialize;
use std::path::Path;

/// The most bytes of a status: some thousand sizes.
const MAX_LEN: u64 = 1 << 20;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let status = read(&args.file)?;
    let now = clock::milliseconds() / 1000;
    if args.json {
        print_json(&status)?
    } else {
        print(&status, now)?
    }
    judge(&status, now).map_err(|failure| failure.about(&args.file))
}

/// Reads a status.
pub(super) fn read(file: &Path) -> Result<Status, Failure> {
    #[derive(Deserialize)]
    struct Schema {
        schema: String,
    }
    let text = read_text(file, MAX_LEN).map_err(|failure| {
        failure.help(
            "give the file that `serve --watch --status FILE` or `cloud --status FILE` writes",
        )
    })?;
    let other = |what: String| {
        let text = format!("this is no status of a server: {what}");
        let help =
            "give the file that `serve --watch --status FILE` or `cloud --status FILE` writes";
        Failure::new(Code::Input, text).about(file).help(help)
    };
    match serde_json::from_str::<Schema>(&text) {
        Ok(found) if found.schema == Status::SCHEMA => {}
        Ok(found) => {
            return Err(other(format!(
                "its schema is '{}', expected {}",
                found.schema,
                Status::SCHEMA
            )));
        }
        Err(e) => return Err(other(e.to_string())),
    }
    serde_json::from_str(&text).map_err(|e| other(e.to_string()))
}

fn print(status: &Status, now: u64) -> Result<(), Failure> {
    let Status { command, party, version, process, started, .. } = status;
    print_line(&format!(
        "{command}, party {party}, version {version}, process {process}, since {started}: {}",
        text::doing(status)
    ))?;
    print_line(&format!(
        "written {} s ago, {}; the next one is due within {} s of that",
        now.saturating_sub(status.unix_time),
        status.time,
        status.next_within_seconds
    ))?;
    for line in [text::images(status), text::slots(status), text::disk(status), text::peer(status)]
    {
        print_line(&line)?;
    }
    Ok(())
}

/// Whether the daemon is alive and well, by the clock of the reader.
pub(super) fn judge(status: &Status, now: u64) -> Result<(), Failure> {
    let seconds = status.next_within_seconds;
    match status.state {
        Doing::Stopped => {
            return Err(Failure::failed(format!(
                "the server has stopped, as it was asked to, at {}",
                status.time
            )));
        }
        Doing::Failed => {
            let code = status.exit_code.unwrap_or(1);
            let text = format!("the server has failed, at {}, with exit code {code}", status.time);
            return Err(Failure::failed(text).help("its last line on standard error says why"));
        }
        _ => {}
    }
    let age = now.saturating_sub(status.unix_time);
    if age > seconds {
        let text = format!(
            "written {age} s ago, where the server promised to write again within {seconds} s: it hangs or was killed, or \
             its disk is full"
        );
        return Err(
            Failure::failed(text).help("look at the process and at its last lines, and restart it")
        );
    }
    if status.unix_time.saturating_sub(now) > seconds {
        let text = format!(
            "written at {}, which is later than this machine's clock: it tells nothing",
            status.time
        );
        return Err(Failure::failed(text).help("set the clocks of both machines"));
    }
    Ok(())
}
