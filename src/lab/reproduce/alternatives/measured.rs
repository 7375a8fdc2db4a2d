//! What the page is made of, and its figures for programs.

use super::digits;
use super::networks::Effort;
use super::pictures::Played;
use super::pixels::Judged;
use super::systems::Costs;
use crate::image::metrics::Quality;
use crate::lab::bench::Machine;
use crate::lab::reproduce::laboratory::Laboratory;
use crate::lab::reproduce::table::Table;
use crate::size::Size;

/// Everything that the page is made of.
pub(super) struct Measured<'a, 'b> {
    pub(super) lab: &'a Laboratory<'b>,
    pub(super) effort: Effort,
    pub(super) machine: Machine,
    /// Of the image that time and bytes are of.
    pub(super) size: Size,
    pub(super) judged: Judged,
    /// Seconds of training the plain denoiser, the adapted one and the attack.
    pub(super) training: [f64; 3],
    pub(super) pictures: Vec<Played>,
    pub(super) digits: Vec<digits::Played>,
    pub(super) clear: Clear,
    pub(super) costs: Costs,
    /// The file of the figure.
    pub(super) figure: String,
}

/// Seconds for an image in the clear.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clear {
    pub(super) plaintext: f64,
    pub(super) small: f64,
    pub(super) encrypted: f64,
    pub(super) perturbed: f64,
}

/// The CSV of the page.
pub(super) struct Figures(pub(super) Table);

impl Figures {
    /// Without lines.
    pub(super) fn new() -> Figures {
        Figures(Table::new(&["section", "row", "quantity", "value"], 3))
    }

    pub(super) fn add(&mut self, section: &str, row: &str, quantity: &str, value: f64) {
        self.0.row([section.into(), row.into(), quantity.into(), value.to_string()]);
    }

    pub(super) fn quality(&mut self, section: &str, row: &str, what: &str, quality: Quality) {
        let name = |measure: &str| match what {
            "" => measure.to_string(),
            what => format!("{what}_{measure}"),
        };
        self.add(section, row, &name("psnr_db"), quality.psnr_db);
        self.add(section, row, &name("ssim"), quality.ssim);
    }
}
