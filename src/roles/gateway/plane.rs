//! One grey plane on its way to its shares.

use crate::artefact::{Channel, SharedScan, Tile, Turned};
use crate::image::{Depth, GreyImage, ImageFormat, Range};
use crate::model::Encoded;
use crate::roles::images::{CHANNELS, ImageLevels};
use std::path::Path;

/// An image that is shared.
#[derive(Clone, Copy)]
pub(super) struct PlaneSource<'a> {
    /// Its number among the images of the request.
    pub(super) number: usize,
    pub(super) file: &'a Path,
    /// What its note calls it.
    pub(super) name: &'a str,
    /// Whether it is a file, which no share may replace.
    pub(super) on_disk: bool,
    pub(super) format: ImageFormat,
    /// Which object it is, if it is DICOM.
    pub(super) scan: Option<&'a SharedScan>,
}

/// One grey image on its way to its shares: an image, a channel, a tile, or a channel of a tile; or one of their
/// orientations.
pub(super) struct Plane<'a> {
    pub(super) of: PlaneSource<'a>,
    pub(super) depth: Depth,
    /// Which of the file's values are black and white, where that is no matter of the depth alone.
    pub(super) range: Option<Range>,
    pub(super) grey: &'a GreyImage,
    pub(super) channel: Option<Channel>,
    pub(super) tile: Option<Tile>,
    pub(super) turned: Option<Turned>,
}

impl Plane<'_> {
    pub(super) fn colour(&self) -> Option<&'static str> {
        self.channel.map(|channel| CHANNELS[usize::from(channel.index)])
    }
}

/// A plane in fixed point.
pub(super) struct Ready {
    pub(super) levels: ImageLevels,
    pub(super) encoded: Encoded,
}
