//! How a daemon, `serve --watch` or `cloud`, is watched, and the command line of `status`.

use super::parse::parse_address;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Seconds between two heartbeat lines, unless it is said otherwise.
const HEARTBEAT: u64 = 900;
/// The heading of the flags.
const HEADING: &str = "Watching it";

/// How a daemon is watched.
#[derive(Debug, Args)]
pub(crate) struct Watched {
    /// Keep the state in this file as JSON, replaced as a whole: counts, slots, disk space, the last peer.
    /// `ppdenoise status FILE` reads it.
    #[arg(help_heading = HEADING, long, value_name = "FILE")]
    pub(crate) status: Option<PathBuf>,
    /// Answer GET /metrics at this address in the text format of Prometheus. Only loopback addresses are
    /// accepted; port 0 picks a free port. The address is printed on standard error.
    #[arg(help_heading = HEADING, long, value_name = "HOST:PORT", value_parser = parse_address)]
    pub(crate) metrics: Option<String>,
    /// Accept any address for --metrics. Whoever can reach it reads the counts: there is no encryption and
    /// no password.
    #[arg(help_heading = HEADING, long, requires = "metrics")]
    pub(crate) metrics_any_address: bool,
    /// Tell the state in one line this often, with --json as a JSON line; 0 for never [default: 900]
    #[arg(help_heading = HEADING, long, value_name = "SECONDS")]
    pub(crate) heartbeat: Option<u64>,
}

impl Watched {
    /// Between two lines; none if there are to be none.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        let seconds = self.heartbeat.unwrap_or(HEARTBEAT);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}

/// Show how a server that keeps running is, from the file of its --status.
///
/// Exit codes: 0 if it is alive and well; 1 if it has stopped or failed, or if the file is older than the
/// server promised in it; 3 if there is no such file, or it is no status file.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The file that `serve --watch --status` or `cloud --status` writes.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print what is in the file as a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}
