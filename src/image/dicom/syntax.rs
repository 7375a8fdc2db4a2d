//! How a file and its pixel data are written (PS3.5 section 10).

use super::super::ImageError;
use super::super::jpeg::Process;
use super::dataset::{Coding, damaged};

/// A transfer syntax that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    coding: Coding,
    deflated: bool,
    /// Nothing where the samples lie in the file as they are.
    pub(super) packing: Option<Packing>,
}

/// How a picture is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    RunLengths,
    /// JPEG of one of the processes that DICOM still names: baseline (process 1, 8 bits), extended (2 and 4, 8 or
    /// 12 bits) or lossless (14, 2 to 16 bits).
    Jpeg(Process),
    JpegLs,
    Jpeg2000,
}

impl Syntax {
    /// The syntax with a UID.
    pub(super) fn from_uid(uid: &str) -> Result<Syntax, ImageError> {
        let packed = |packing| Syntax { packing: Some(packing), ..Syntax::plain(Coding::Explicit) };
        let known = uid.strip_prefix("1.2.840.10008.1.2");
        Ok(match known.unwrap_or("none") {
            "" => Syntax::plain(Coding::Implicit),
            ".1" => Syntax::plain(Coding::Explicit),
            ".1.99" => Syntax { deflated: true, ..Syntax::plain(Coding::Explicit) },
            ".2" => Syntax::plain(Coding::BigEndian),
            ".5" => packed(Packing::RunLengths),
            ".4.50" => packed(Packing::Jpeg(Process::Baseline)),
            ".4.51" => packed(Packing::Jpeg(Process::Extended)),
            // With any predictor, and with the first.
            ".4.57" | ".4.70" => packed(Packing::Jpeg(Process::Lossless)),
            ".4.80" | ".4.81" => packed(Packing::JpegLs),
            ".4.90" | ".4.91" => packed(Packing::Jpeg2000),
            _ if uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                return Err(ImageError::DicomSyntax { uid: uid.into() });
            }
            _ => return Err(damaged("the UID of its transfer syntax is none")),
        })
    }

    /// Without compression.
    pub(super) fn plain(coding: Coding) -> Syntax {
        Syntax { coding, deflated: false, packing: None }
    }

    /// The same, of elements that do not say the kinds of their values.
    pub(super) fn without_kinds(self) -> Syntax {
        Syntax { coding: Coding::Implicit, ..self }
    }

    pub(super) fn coding(self) -> Coding {
        self.coding
    }

    pub(super) fn is_deflated(self) -> bool {
        self.deflated
    }

    /// The UID of the syntax with the same headers and without compression.
    pub(super) fn plain_uid(self) -> &'static str {
        match self.coding {
            Coding::Implicit => "1.2.840.10008.1.2",
            Coding::Explicit => "1.2.840.10008.1.2.1",
            Coding::BigEndian => "1.2.840.10008.1.2.2",
        }
    }
}
