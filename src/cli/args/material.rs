//! The command line of who makes material, a dealer or both servers: `gen-triplets`.

use super::Writing;
use super::parse::parse_sizes;
use super::server::{Link, Threads, parse_party};
use crate::cli::batch::Part;
use crate::cli::keys::Unlock;
use crate::ids::Party;
use crate::material::Origin;
use crate::size::Size;
use clap::Args;
use clap::builder::PossibleValue;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Dealer, or both servers: make the material (triples) for a model and for image sizes.
///
/// The dealer writes PREFIX.s0 and PREFIX.s1, each sealed to its server; for several sizes it writes a
/// set for each, such as PREFIX-512x512.s0. It needs public shapes only. Each slot serves one image,
/// once.
///
/// With --party, a server makes the material together with the other server, which runs the same
/// command at the same time; no dealer is needed. Each server writes its own file, sealed to itself:
/// server 0 writes PREFIX.s0 and server 1 writes PREFIX.s1. Both files get their names when both are
/// complete.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |arg| arg.requires("party")))]
#[command(mut_arg("connect", |arg| arg.requires("party")))]
#[command(mut_arg("wait", |arg| arg.requires("party")))]
#[command(mut_arg("timeout", |arg| arg.requires("party")))]
#[command(mut_arg("insecure", |arg| arg.requires("party")))]
pub(crate) struct GenTriplets {
    /// Make the material without a dealer; says which server this is: 0 or 1.
    #[arg(long, value_name = "0|1", value_parser = parse_party, requires = "link")]
    pub(crate) party: Option<Party>,
    #[command(flatten)]
    pub(crate) link: Link,
    /// Folder with dealer.key, the servers' .pub files and model-owner.pub; with --party, with this
    /// server's .key, the other server's .pub and model-owner.pub.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// The model's public description; with --party, this server's share of the model.
    #[arg(long, value_name = "PREFIX.pub|PREFIX.s0|PREFIX.s1")]
    pub(crate) model: PathBuf,
    /// With --party: the model's public description [default: PREFIX.pub beside the model share]
    #[arg(long, value_name = "FILE", requires = "party")]
    pub(crate) public: Option<PathBuf>,
    /// With --party: this server's state folder, which keeps the mask of the weights and the other
    /// server's hints for the next run [default: the platform's state folder]
    #[arg(long, value_name = "DIR", requires = "party")]
    pub(crate) state: Option<PathBuf>,
    /// With --party: how many Mbit/s the line to the other server carries each way. The slower it is, the
    /// fewer bytes are sent, for more computing. The lower number counts if both servers are given one;
    /// if neither is, they measure it.
    #[arg(long, value_name = "MBIT", requires = "party")]
    pub(crate) line: Option<NonZeroU32>,
    /// Size of the images in rows x columns, with the number of images of this size if it differs from
    /// --images; repeat for several sizes.
    #[arg(long, value_name = "HEIGHTxWIDTH[:N]", value_parser = parse_sizes, num_args = 1.., required_unless_present = "for_shares")]
    pub(crate) size: Vec<(Size, Option<u64>)>,
    /// Make exactly what these shared images need, which their public headers say: image shares of either
    /// server, or folders of them.
    #[arg(long = "for", value_name = "SHARE|DIR", num_args = 1.., conflicts_with_all = ["size", "images"])]
    pub(crate) for_shares: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) part: Part,
    /// Number of images of each size to make material for.
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) images: u64,
    /// Patches in a batch, which the servers take through the network together; if not given, a number
    /// that suits the model. Memory and message sizes grow with it; results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) batch: Option<u32>,
    /// Prefix of the two files, or with --party of this server's file. For the dealer, - writes the file
    /// of server 0 to standard output, for a pipe, and needs --s1.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) out: PathBuf,
    /// File for server 1's triples, when server 0's go to standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "party")]
    pub(crate) s1: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
    #[command(flatten)]
    pub(crate) common: Writing,
}

impl clap::ValueEnum for Origin {
    fn value_variants<'a>() -> &'a [Self] {
        &[Origin::Made, Origin::Dealt]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Origin::Made => "made",
            Origin::Dealt => "dealt",
        }))
    }
}
