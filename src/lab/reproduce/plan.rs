//! What must be known for a target: which image, noise, network and machinery.

use super::Target;
use super::row::Row;

/// What computed a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ran {
    /// No network at all.
    Nothing,
    /// One process, float32.
    Float,
    /// One process, the integers of the secure computation.
    Twin,
    /// Two servers.
    Servers,
}

impl Ran {
    /// Every kind.
    const ALL: [Ran; 4] = [Ran::Nothing, Ran::Float, Ran::Twin, Ran::Servers];

    /// Its name in tables and files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Ran::Nothing => "nothing",
            Ran::Float => "float32",
            Ran::Twin => "integer twin",
            Ran::Servers => "two servers",
        }
    }

    /// The kind of a name.
    pub(super) fn from_name(name: &str) -> Option<Ran> {
        Ran::ALL.into_iter().find(|ran| ran.name() == name)
    }
}

/// Which part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Area {
    /// All of it.
    Whole,
    /// A square in the middle with sides of so many pixels, where circuits and convolutions run for
    /// real.
    Middle(usize),
}

/// One result to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Index into the images.
    pub(super) image: usize,
    /// Noise in thousandths of a grey level, so that it can be compared.
    sigma_milli: u64,
    pub(super) area: Area,
    pub(super) row: Row,
    pub(super) ran: Ran,
}

impl Entry {
    /// A entry; `sigma` is from 0.01 to 1000.
    pub(super) fn new(image: usize, sigma: f64, area: Area, row: Row, ran: Ran) -> Entry {
        Entry { image, sigma_milli: (sigma * 1000.0).round() as u64, area, row, ran }
    }

    /// Noise in grey levels.
    pub(super) fn sigma(&self) -> f64 {
        self.sigma_milli as f64 / 1000.0
    }

    /// Whether the other result is of the same pixels and noise.
    pub(super) fn same_input(&self, other: &Entry) -> bool {
        let input = |c: &Entry| (c.image, c.sigma_milli, c.area);
        input(self) == input(other)
    }
}

/// The noise levels of the paper's figures 8 to 12.
pub(super) const FIGURE_SIGMAS: [f64; 2] = [15.0, 20.0];

/// The noise of the alternatives.
pub(super) const ALTERNATIVES_SIGMA: f64 = 25.0;
/// The rows that the alternatives stand beside.
pub(super) const ALTERNATIVES_ROWS: [Row; 4] = [Row::Noisy, Row::Plaintext, Row::GcZheng, Row::Lut];

/// What a run is about.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// How many images there are.
    pub(super) images: usize,
    /// The noise levels of the tables.
    pub(super) sigmas: Vec<f64>,
    /// The side of the part on which garbled circuits and convolutions run for real.
    pub(super) gc_side: usize,
    /// Whether there is a convolutional network.
    pub(super) dncnn: bool,
}

impl Plan {
    /// The rows of Tables 2 and 3.
    pub(super) fn rows(&self) -> Vec<Row> {
        Row::TABLES.into_iter().filter(|row| self.dncnn || !row.is_dncnn()).collect()
    }

    /// The images of figures 8 to 12: the first two.
    pub(super) fn figure_images(&self) -> std::ops::Range<usize> {
        0..self.images.min(2)
    }

    /// The images on whose middle the garbled circuits run for real: the first and the one at three
    /// quarters of the list.
    pub(super) fn gc_images(&self) -> Vec<usize> {
        let mut images = vec![0, 3 * self.images / 4];
        images.dedup();
        images
    }

    /// The noise level in the middle of the list.
    fn middle_sigma(&self) -> f64 {
        self.sigmas.get(self.sigmas.len() / 2).copied().unwrap_or_default()
    }

    /// Whether the pictures of this entry are kept for the figures.
    pub(super) fn is_pictured(&self, entry: &Entry) -> bool {
        entry.area == Area::Whole
            && entry.row != Row::Noisy
            && self.figure_images().contains(&entry.image)
            && FIGURE_SIGMAS.contains(&entry.sigma())
    }

    /// What a table shows of whole images.
    pub(super) fn table(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for image in 0..self.images {
            for &sigma in &self.sigmas {
                let entry = |row, ran| Entry::new(image, sigma, Area::Whole, row, ran);
                entries.push(entry(Row::Noisy, Ran::Nothing));
                entries.extend(self.rows().into_iter().map(|row| entry(row, usual(row))));
            }
        }
        entries
    }

    /// Where real servers run garbled circuits and convolutions, and the twin beside them;
    /// convolutions at one noise level.
    pub(super) fn for_real(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for image in self.gc_images() {
            for &sigma in &self.sigmas {
                let area = Area::Middle(self.gc_side);
                let entry = |row, ran| Entry::new(image, sigma, area, row, ran);
                entries.push(entry(Row::Plaintext, Ran::Float));
                let mut rows = vec![Row::GcZheng, Row::GcRefit];
                if self.dncnn && sigma == self.middle_sigma() {
                    entries.push(entry(Row::Dncnn, Ran::Float));
                    rows.push(Row::DncnnLut);
                }
                for row in rows {
                    entries.extend([Ran::Twin, Ran::Servers].map(|ran| entry(row, ran)));
                }
            }
        }
        entries
    }

    /// A row on every whole image at one noise level.
    pub(super) fn whole(&self, row: Row, sigma: f64) -> Vec<Entry> {
        let entry = |image| Entry::new(image, sigma, Area::Whole, row, usual(row));
        (0..self.images).map(entry).collect()
    }

    /// What figures 8 to 11 show, for one image and noise.
    pub(super) fn fig8(image: usize, sigma: f64) -> [Entry; 3] {
        [Row::Noisy, Row::Plaintext, Row::Lut]
            .map(|row| Entry::new(image, sigma, Area::Whole, row, usual(row)))
    }

    /// What figure 12 shows for one noise.
    pub(super) fn fig12(sigma: f64) -> [Entry; 5] {
        [Row::Noisy, Row::Plaintext, Row::SecureMl, Row::GcZheng, Row::Lut]
            .map(|row| Entry::new(0, sigma, Area::Whole, row, usual(row)))
    }

    /// Everything that a target needs, in the order in which it is best computed: an image at a
    /// time, what takes longest last.
    pub(super) fn entries(&self, targets: &[Target]) -> Vec<Entry> {
        let mut entries = Vec::new();
        if targets.iter().any(|t| matches!(t, Target::Table2 | Target::Table3)) {
            entries.extend(self.table());
            entries.extend(self.for_real());
        }
        if targets.contains(&Target::Fig8) {
            let images = self.figure_images();
            let all = images.flat_map(|i| FIGURE_SIGMAS.map(|sigma| Plan::fig8(i, sigma)));
            entries.extend(all.flatten());
        }
        if targets.contains(&Target::Fig12) {
            entries.extend(FIGURE_SIGMAS.into_iter().flat_map(Plan::fig12));
        }
        if targets.contains(&Target::Alternatives) {
            let rows = ALTERNATIVES_ROWS.into_iter();
            entries.extend(rows.flat_map(|row| self.whole(row, ALTERNATIVES_SIGMA)));
        }
        entries.sort();
        entries.dedup();
        entries
    }
}

/// What computes a row on whole images.
fn usual(row: Row) -> Ran {
    match row {
        Row::Noisy => Ran::Nothing,
        Row::Plaintext | Row::SecureMl | Row::Dncnn => Ran::Float,
        Row::GcZheng | Row::GcRefit | Row::DncnnLut => Ran::Twin,
        Row::Lut => Ran::Servers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(images: usize) -> Plan {
        Plan { images, sigmas: vec![15.0, 25.0], gc_side: 64, dncnn: true }
    }

    #[test]
    fn every_entry_is_asked_for_once_and_an_image_stays_together() {
        let every = [Target::Table2, Target::Table3, Target::Fig8, Target::Fig12];
        let entries = plan(12).entries(&every);
        let mut sorted = entries.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(entries, sorted);
        // Seven rows on 12 images; gc for real on two, and convolutions at one sigma; sigma 20 of the
        // figures: three rows of two images and two more of the first, and SecureML at 15.
        assert_eq!(entries.len(), 12 * 2 * 7 + 2 * (2 * 5 + 3) + (3 * 2 + 2) + 1);
        let images: Vec<usize> = entries.iter().map(|c| c.image).collect();
        assert!(images.is_sorted());
        assert_eq!(plan(12).gc_images(), [0, 9]);
        // Four rows at one noise level, which the tables have too.
        assert_eq!(plan(12).entries(&[Target::Alternatives]).len(), 12 * 4);
        let both = plan(12).entries(&[Target::Table2, Target::Alternatives]);
        assert_eq!(both, plan(12).entries(&[Target::Table2]));
    }

    #[test]
    fn few_images_are_enough() {
        assert_eq!((plan(1).gc_images(), plan(1).figure_images()), (vec![0], 0..1));
        assert_eq!(plan(1).entries(&[Target::Fig8]).len(), 2 * 3);
        assert!(plan(3).entries(&[Target::Table4, Target::Fig2]).is_empty());
    }

    #[test]
    fn names_come_back() {
        for row in Row::ALL {
            assert_eq!(Row::from_name(row.name()), Some(row));
        }
        for ran in Ran::ALL {
            assert_eq!(Ran::from_name(ran.name()), Some(ran));
        }
        assert_eq!((Row::from_name("best"), Ran::from_name("")), (None, None));
    }

    #[test]
    fn servers_run_every_lut_row_and_the_twin_never_poses_as_them() {
        for entry in plan(4).entries(&[Target::Table2, Target::Fig8, Target::Fig12]) {
            assert_eq!(
                entry.row == Row::Lut,
                entry.ran == Ran::Servers && entry.area == Area::Whole
            );
            if entry.ran == Ran::Servers && entry.row != Row::Lut {
                assert_eq!(entry.area, Area::Middle(64));
            }
        }
    }
}
