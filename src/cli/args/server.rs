//! The command lines of the two servers: `serve`, `prepare` and `erase`.

use super::Writing;
use super::daemon::Watched;
use super::parse::{parse_address, parse_peer};
use crate::cli::batch::Part;
use crate::cli::keys::Unlock;
use crate::ids::Party;
use clap::{ArgGroup, Args};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Server: denoise shared images together with the other server.
///
/// One of the two servers listens, the other connects. The link is encrypted (TLS 1.3), and each server
/// proves its key to the other; anybody else who connects is refused and costs no slot. The address of
/// the listening server is printed on standard error, so that port 0 can be used to pick a free one.
///
/// With a folder as --out, any number of images is denoised: those of which both servers have a share,
/// in the order of their ids. Results are named by the ids of the images. An image that fails is
/// reported and skipped. Images whose results both servers already have are skipped too, so a run that
/// was cut short can simply be started again.
///
/// With --watch and --json, each line of standard output is one JSON document: one for each event, when
/// it happens, and the report at the end.
#[derive(Debug, Args)]
#[command(mut_group("link", |group| group.required(true)))]
#[command(mut_arg("status", |arg| arg.requires("watch")), mut_arg("metrics", |arg| arg.requires("watch")))]
#[command(mut_arg("heartbeat", |arg| arg.requires("watch")))]
#[command(after_long_help = FLAGS_FROM_ELSEWHERE)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) server: ServerSide,
    /// This server's shares of the images; with a folder as --out, also folders of shares.
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub(crate) image: Vec<PathBuf>,
    /// This server's share of the denoised image, one for each --image; or an existing folder.
    #[arg(long, value_name = "FILE|DIR", required = true)]
    pub(crate) out: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) part: Part,
    /// Keep running: denoise shares as they arrive in the folders, and wait for the other server when it
    /// goes away. An interrupt or SIGTERM ends this server once the image in work is finished; a second
    /// one ends it at once.
    #[arg(long)]
    pub(crate) watch: bool,
    /// With --watch: end when no image has arrived for this long.
    #[arg(long, value_name = "SECONDS", requires = "watch")]
    pub(crate) idle: Option<u64>,
    /// With --watch: report when the other server has lacked its half of an image or of triples for this
    /// long [default: 600]
    #[arg(long, value_name = "SECONDS", requires = "watch")]
    pub(crate) missing_after: Option<u64>,
    /// Warn when fewer than N slots are left for images of the size that was just denoised.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) warn_below: Option<u64>,
    /// At the end, overwrite the material of spent slots as `erase` does; with --watch and a folder of
    /// triples, also whenever a set is used up.
    #[arg(long)]
    pub(crate) erase_spent: bool,
    #[command(flatten)]
    pub(crate) watched: Watched,
    #[command(flatten)]
    pub(crate) common: Writing,
}

/// Server: overwrite material that must never be used again.
///
/// In triples with explicit material, the material of the slots that are spent according to the ledger
/// is overwritten and its space is given back to the disk; unused slots stay usable. Products that were
/// prepared for spent slots are overwritten and removed. The seeds in a file generate all of its slots,
/// and the file of server 1 consists of seeds only, so a file is overwritten as a whole and removed when
/// its last slot is spent. Old copies on an SSD, in a snapshot or in a backup are not reached: keep the
/// state folder and the triples on encrypted disks.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// Which server this is: 0 or 1.
    #[arg(long, value_name = "0|1", value_parser = parse_party)]
    pub(crate) party: Party,
    /// Folder with this server's .key.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// This server's triples.
    #[arg(long, value_name = "FILE")]
    pub(crate) triplets: PathBuf,
    /// State folder with the ledger of used slots [default: the platform's state folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Destroy the whole file with its seeds; refused if it has unused slots.
    #[arg(long)]
    pub(crate) all: bool,
    /// With --all: destroy the file even if it has unused slots; they cannot be recovered.
    #[arg(long, requires = "all")]
    pub(crate) unused_too: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Server: compute ahead of time whatever does not depend on an image.
///
/// Half of the multiplications for a slot need only its material and the opened weights. Their results
/// are kept in the state folder, in one file per slot (4 bytes per neuron and patch in the 32-bit ring),
/// until `serve` uses the slot; `serve` works with or without them. The first time, the two servers must
/// be connected in order to open the masked weights; later, neither --listen nor --connect is needed.
#[derive(Debug, Args)]
#[command(after_long_help = FLAGS_FROM_ELSEWHERE)]
pub(crate) struct Prepare {
    #[command(flatten)]
    pub(crate) server: ServerSide,
    /// Number of slots of each set to prepare, from the next free one on [default: all that are left]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) images: Option<u64>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the help of both servers' commands ends with.
const FLAGS_FROM_ELSEWHERE: &str = "Every flag can also be set in the environment (for --erase-spent, \
    PPDENOISE_ERASE_SPENT=true) or in the file of --config (erase-spent = true). The command line takes \
    precedence over the environment, and the environment over the file.";

/// What every command of a server needs.
#[derive(Debug, Args)]
pub(crate) struct ServerSide {
    /// Which server this is: 0 or 1.
    #[arg(long, value_name = "0|1", value_parser = parse_party)]
    pub(crate) party: Party,
    /// Folder with this server's .key and the .pub files of the other server, model-owner, gateway,
    /// dealer and receiver.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    #[command(flatten)]
    pub(crate) link: Link,
    /// This server's share of the model.
    #[arg(long, value_name = "PREFIX.s0|PREFIX.s1")]
    pub(crate) model: PathBuf,
    /// The model's public description [default: PREFIX.pub beside the model share]
    #[arg(long, value_name = "PREFIX.pub")]
    pub(crate) public: Option<PathBuf>,
    /// This server's triples: a file, a named pipe, or - for standard input. Give several sets for images
    /// of several sizes, or to continue with the next set when one is used up. Server 0 overwrites the
    /// start of each slot in its file when it uses the slot. If both servers run `serve --watch`, this may
    /// be a folder, into which new triples can be put at any time.
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub(crate) triplets: Vec<PathBuf>,
    /// State folder with the ledger of used slots [default: the platform's state folder]. Never delete or
    /// restore it: it keeps slots from being used twice.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// TOML file with further flags, one `flag = value` per line.
    #[arg(long, value_name = "FILE", env = "PPDENOISE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// The connection to the other server.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("link").args(["listen", "connect"])))]
pub(crate) struct Link {
    /// Wait for the other server at this address.
    #[arg(help_heading = "Link to the other server", long, value_name = "HOST:PORT", value_parser = parse_address)]
    pub(crate) listen: Option<String>,
    /// Connect to the other server at this address.
    #[arg(help_heading = "Link to the other server", long, value_name = "HOST:PORT", value_parser = parse_peer)]
    pub(crate) connect: Option<String>,
    /// Seconds to wait for the other server to appear. `serve --watch` then reports that it is not there
    /// and keeps waiting.
    #[arg(
        help_heading = "Link to the other server",
        long,
        default_value = "30",
        value_name = "SECONDS"
    )]
    pub(crate) wait: u64,
    /// Seconds for which the other server may stay silent.
    #[arg(help_heading = "Link to the other server", long, default_value = "300", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
    /// Use plain TCP between the servers, without encryption or authentication, for measurements and
    /// tests on one machine. Both servers must be given this flag.
    #[arg(help_heading = "Link to the other server", long)]
    pub(crate) insecure: bool,
}

/// Compute threads; the results do not depend on their number.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Threads {
    /// Compute threads [default: one per core]. Results do not depend on their number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

impl Threads {
    /// The number asked for, or that of the cores.
    pub(crate) fn number(self) -> NonZeroUsize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let asked = self.threads.and_then(|threads| NonZeroUsize::new(threads.into()));
        asked.unwrap_or_else(cores)
    }
}

pub(crate) fn parse_party(text: &str) -> Result<Party, String> {
    text.parse().ok().and_then(Party::from_index).ok_or_else(|| "expected 0 or 1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_parsed_or_refused() {
        assert!(parse_party("2").is_err() && parse_party("0").is_ok());
    }
}
