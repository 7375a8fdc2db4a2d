//! The command lines of the two servers: `serve`, `prepare` and `erase`.

use super::Writing;
use crate::cli::batch::Part;
use crate::cli::keys::Unlock;
use crate::ids::Party;
use clap::{ArgGroup, Args};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Server: denoise shared images together with the other server.
///
/// One of the two listens, the other connects. The link is encrypted (TLS 1.3), and each server
/// proves its key to the other; others who connect are refused and cost no slot. The address
/// listened at is printed on standard error, so that port 0 takes a free one.
///
/// With a folder as --out it takes any number of images: those of which both servers have a share, in
/// the order of their ids. Results are called by the images' ids. An image that fails is told and
/// left out. Images whose results both servers have are passed over, so a run that was cut short is
/// simply started again.
///
/// With --watch and --json each line of standard output is one JSON document: what happens, when it
/// happens, and at the end the report.
#[derive(Debug, Args)]
#[command(mut_group("link", |group| group.required(true)))]
#[command(after_long_help = FLAGS_FROM_ELSEWHERE)]
pub(in crate::cli) struct Serve {
    #[command(flatten)]
    pub(in crate::cli) server: ServerSide,
    /// This server's shares of images; with a folder as --out also folders of them.
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub(in crate::cli) image: Vec<PathBuf>,
    /// This server's share of the denoised image, one for each --image; or a folder that exists.
    #[arg(long, value_name = "FILE|DIR", required = true)]
    pub(in crate::cli) out: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) part: Part,
    /// Go on and take shares as they come into the folders; wait for the other server when it goes
    /// away. An interrupt or SIGTERM ends this server after the image in work; a second one at once.
    #[arg(long)]
    pub(in crate::cli) watch: bool,
    /// With --watch: end when no image has come for so long.
    #[arg(long, value_name = "SECONDS", requires = "watch")]
    pub(in crate::cli) idle: Option<u64>,
    /// With --watch: tell after so long that the other server lacks its half of an image or of
    /// triples; 600 if not given.
    #[arg(long, value_name = "SECONDS", requires = "watch")]
    pub(in crate::cli) missing_after: Option<u64>,
    /// Warn when fewer slots are left for images of the size that was just denoised.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) warn_below: Option<u64>,
    /// Afterwards do what `erase` does: overwrite the material of spent slots. With --watch and a
    /// folder of triples also when a set is used up.
    #[arg(long)]
    pub(in crate::cli) erase_spent: bool,
    #[command(flatten)]
    pub(in crate::cli) common: Writing,
}

/// Server: overwrite material that must never be used again.
///
/// Overwrites, in triples with explicit material, what is left of the slots that the ledger says are spent, and gives
/// its space back to the disk; slots that are left stay usable. Overwrites and removes products
/// prepared for spent slots. The seeds in a file make every slot of it, and S1's file is nothing
/// but seeds: so a file is overwritten as a whole and removed once its last slot is spent. Old
/// copies that an SSD, a snapshot or a backup keeps are not reached: keep state and triples on
/// encrypted disks.
#[derive(Debug, Args)]
pub(in crate::cli) struct Erase {
    /// Which server this is: 0 or 1.
    #[arg(long, value_name = "0|1", value_parser = parse_party)]
    pub(in crate::cli) party: Party,
    /// Folder with this server's .key.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    /// This server's triples.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) triplets: PathBuf,
    /// Folder of the ledger of used slots; the platform's state folder if not given.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) state: Option<PathBuf>,
    /// Destroy the whole file, seeds included; refused if slots are left.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// With --all: destroy slots that are left too; nothing brings them back.
    #[arg(long, requires = "all")]
    pub(in crate::cli) unused_too: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Server: compute ahead of time what depends on no image.
///
/// Half of the multiplications of a slot need its material and the opened weights only. Their
/// results are kept in the state folder, one file a slot (4 bytes a neuron and patch in the 32-bit
/// ring), until `serve` uses the slot; `serve` works with or without them. The first time the two
/// servers must be connected, to open the masked weights; later neither --listen nor --connect is
/// needed.
#[derive(Debug, Args)]
#[command(after_long_help = FLAGS_FROM_ELSEWHERE)]
pub(in crate::cli) struct Prepare {
    #[command(flatten)]
    pub(in crate::cli) server: ServerSide,
    /// How many slots of each set, from the next free one on; all that are left if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) images: Option<u64>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// What the help of both servers' commands ends with.
const FLAGS_FROM_ELSEWHERE: &str = "Every flag may also stand in the environment, --erase-spent as \
    PPDENOISE_ERASE_SPENT=true, or in the file of --config, as erase-spent = true. The command line \
    comes first, then the environment, then the file.";

/// What every command of a server needs.
#[derive(Debug, Args)]
pub(in crate::cli) struct ServerSide {
    /// Which server this is: 0 or 1.
    #[arg(long, value_name = "0|1", value_parser = parse_party)]
    pub(in crate::cli) party: Party,
    /// Folder with this server's .key and the .pub of the other server, model-owner, gateway, dealer
    /// and receiver.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    #[command(flatten)]
    pub(in crate::cli) link: Link,
    /// This server's model share.
    #[arg(long, value_name = "PREFIX.s0|PREFIX.s1")]
    pub(in crate::cli) model: PathBuf,
    /// The model's public description; PREFIX.pub beside the model share if not given.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(in crate::cli) public: Option<PathBuf>,
    /// This server's triples: a file, a named pipe, or - for standard input; several sets for images
    /// of several sizes, or for one size after the other is used up. Server 0 overwrites the start
    /// of each slot that it uses in its file. With `serve --watch` at both servers a folder, into which
    /// new triples may come at any time.
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub(in crate::cli) triplets: Vec<PathBuf>,
    /// Folder of the ledger of used slots; the platform's state folder if not given. Never delete
    /// or restore it: it is what keeps slots from being used twice.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) state: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) threads: Threads,
    /// TOML file with flags that are not given here, one `flag = value` a line.
    #[arg(long, value_name = "FILE", env = "PPDENOISE_CONFIG")]
    pub(in crate::cli) config: Option<PathBuf>,
}

/// The connection to the other server.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("link").args(["listen", "connect"])))]
pub(in crate::cli) struct Link {
    /// Wait for the other server at this address.
    #[arg(help_heading = "Link to the other server", long, value_name = "HOST:PORT", value_parser = parse_address)]
    pub(in crate::cli) listen: Option<String>,
    /// Connect to the other server at this address.
    #[arg(help_heading = "Link to the other server", long, value_name = "HOST:PORT", value_parser = parse_peer)]
    pub(in crate::cli) connect: Option<String>,
    /// Seconds to wait for the other server to appear; `serve --watch` tells after them that it is not
    /// there, and waits on.
    #[arg(
        help_heading = "Link to the other server",
        long,
        default_value = "30",
        value_name = "SECONDS"
    )]
    pub(in crate::cli) wait: u64,
    /// Seconds the other server may stay silent.
    #[arg(help_heading = "Link to the other server", long, default_value = "300", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) timeout: u64,
    /// Neither encrypt nor authenticate the link to the other server: plain TCP, for measurements
    /// and tests on one machine. Both servers must be given it.
    #[arg(help_heading = "Link to the other server", long)]
    pub(in crate::cli) insecure: bool,
}

/// Compute threads; the results do not depend on their number.
#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct Threads {
    /// Compute threads; one for each core if not given. Results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(in crate::cli) threads: Option<u16>,
}

impl Threads {
    /// The number asked for, or that of the cores.
    pub(in crate::cli) fn number(self) -> NonZeroUsize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let asked = self.threads.and_then(|threads| NonZeroUsize::new(threads.into()));
        asked.unwrap_or_else(cores)
    }
}

pub(in crate::cli) fn parse_party(text: &str) -> Result<Party, String> {
    text.parse().ok().and_then(Party::from_index).ok_or_else(|| "expected 0 or 1".into())
}

/// HOST:PORT; whether there is such a host is seen when it is needed.
pub(in crate::cli) fn parse_address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match parts.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(_)) => Ok(text.into()),
        _ => Err("expected HOST:PORT, such as 127.0.0.1:7000".into()),
    }
}

/// As [`parse_address`], and nobody listens at port 0.
pub(in crate::cli) fn parse_peer(text: &str) -> Result<String, String> {
    match parse_address(text)? {
        address if address.ends_with(":0") => {
            Err("give the port that the other server listens at".into())
        }
        address => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_parties_are_parsed_or_refused() {
        assert!(parse_address("[::1]:0").is_ok() && parse_peer("host.example:7000").is_ok());
        for bad in ["localhost", "7000", ":7000", "host:", "host:70000", "host:-1"] {
            assert!(parse_address(bad).is_err() && parse_peer(bad).is_err(), "{bad}");
        }
        assert!(parse_peer("127.0.0.1:0").is_err());
        assert!(parse_party("2").is_err() && parse_party("0").is_ok());
    }
}
