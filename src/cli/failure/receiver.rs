//! What to do when results cannot be put together.

use super::keys::of_role;
use super::{Code, Failure};
use crate::ids::Role;
use crate::roles::ReceiverError;

/// Whose public keys the receiver needs.
const SERVERS: [Role; 2] = [Role::Server0, Role::Server1];

impl From<ReceiverError> for Failure {
    fn from(e: ReceiverError) -> Self {
        use ReceiverError as E;
        let (code, help) = match e {
            E::About { file, error } => return Failure::from(*error).about(&file),
            E::OfScan { origin, error } => return Failure::from(*error).of_scan(&origin),
            E::Keys(e) => return of_role(e, Role::Receiver, &SERVERS),
            E::Format(e) => return e.into(),
            E::Picture(e) => return e.into(),
            E::Image(e) => return e.into(),
            E::Artefact(e) => return e.into(),
            E::Metrics(e) => return e.into(),
            E::Implausible(e) => return e.into(),
            E::OutOfRangeOnShares(e) => return e.into(),
            E::NoResults => {
                (Code::Input, "`ppdenoise serve` writes them, as files ending in .s0 or .s1")
            }
            E::Copy { .. } => (Code::Input, "give each share once"),
            E::DenoisedTwice { .. } => {
                (Code::Input, "give the results of one run, or put them in another folder")
            }
            E::HalfMissing { .. } => {
                (Code::Input, "get it from that server, or denoise the image again")
            }
            E::ChannelsMissing { .. } => (Code::Input, "give the shares of all three channels"),
            E::OrientationsMissing { .. } => (
                Code::Input,
                "give the results of all shares that `share-image --average` made of it; denoise those that are \
                 missing",
            ),
            E::TilesDiffer | E::OrientationsDiffer => {
                (Code::Input, "share the image again, and denoise those shares")
            }
            E::TilesMissing { .. } => {
                (Code::Input, "give the results of all tiles; denoise those that are missing")
            }
            E::Part { .. } => {
                (Code::Usage, "give the shares of all of them, or an --out file for this one")
            }
            E::OneFile { .. } => (Code::Usage, "give a folder that exists as --out"),
            E::FramesForOneFile { .. } => (
                Code::Usage,
                "give a folder that exists as --out, for a picture of each frame; or the DICOM file that was \
                 shared as --like, and an --out that ends in .dcm",
            ),
            E::NoOriginal { .. } => (
                Code::Input,
                "give the folder that holds the DICOM files that were shared, unchanged",
            ),
            E::OtherHeader { .. } => (
                Code::Input,
                "name the very DICOM file that was shared, or the folder that holds it, with --like",
            ),
            E::OtherWindow { .. } => (Code::Usage, "leave --window away: that of sharing is used"),
            E::OneName { .. } => (
                Code::Usage,
                "put their results together one after the other, each into a folder of its own; --like FOLDER \
                 takes those whose files are in that folder",
            ),
            E::NoReference { .. } => {
                (Code::Input, "give a folder with a clean image for every result, of the same name")
            }
            E::NotCompared { .. } => {
                (Code::Usage, "leave --reference away, and compare parts of it with `metrics`")
            }
            E::TilesToStream => (Code::Usage, "give a file or a folder as --out"),
            E::OriginalUnused => {
                return Failure::new(Code::Usage, "--like goes with a DICOM file")
                    .help("name the output with .dcm, or leave --like away");
            }
            E::OriginalsForOneFile => {
                return Failure::new(Code::Usage, "--like names a folder, and --out does not")
                    .help("give a folder that exists as --out, or one DICOM file as --like");
            }
        };
        Failure::of(code, &e, Some(help.into()))
    }
}
