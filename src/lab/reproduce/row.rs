//! The rows of the tables.

use crate::model::TanhPieces;

/// A row of the tables: a way to denoise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Row {
    /// Not denoised.
    Noisy,
    /// Exact tanh.
    Plaintext,
    /// Garbled circuits and the paper's tanh*.
    GcZheng,
    /// Garbled circuits and the refitted function.
    GcRefit,
    /// Masked lookup.
    Lut,
    /// SecureML's activation.
    SecureMl,
    /// The convolutional network in float32.
    Dncnn,
    /// The convolutional network by masked lookup.
    DncnnLut,
}

impl Row {
    /// Every row.
    pub(super) const ALL: [Row; 8] = [
        Row::Noisy,
        Row::Plaintext,
        Row::GcZheng,
        Row::GcRefit,
        Row::Lut,
        Row::SecureMl,
        Row::Dncnn,
        Row::DncnnLut,
    ];
    /// The rows of Tables 2 and 3, with a convolutional network.
    pub(super) const TABLES: [Row; 6] =
        [Row::Plaintext, Row::GcZheng, Row::GcRefit, Row::Lut, Row::Dncnn, Row::DncnnLut];

    /// Whether it is of the convolutional network.
    pub(super) fn is_dncnn(self) -> bool {
        matches!(self, Row::Dncnn | Row::DncnnLut)
    }

    /// The row in float32 that it is compared with.
    pub(super) fn plaintext(self) -> Row {
        if self.is_dncnn() { Row::Dncnn } else { Row::Plaintext }
    }

    /// Its name in tables and files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Row::Noisy => "noisy",
            Row::Plaintext => "plaintext",
            Row::GcZheng => "gc-zheng",
            Row::GcRefit => "gc-refit",
            Row::Lut => "lut",
            Row::SecureMl => "secureml",
            Row::Dncnn => "dncnn",
            Row::DncnnLut => "dncnn-lut",
        }
    }

    /// The row of a name.
    pub(super) fn from_name(name: &str) -> Option<Row> {
        Row::ALL.into_iter().find(|row| row.name() == name)
    }

    /// The function of its garbled circuits, if it has any.
    pub(super) fn piecewise(self) -> Option<TanhPieces> {
        match self {
            Row::GcZheng => Some(TanhPieces::Zheng),
            Row::GcRefit => Some(TanhPieces::Refit),
            _ => None,
        }
    }
}
