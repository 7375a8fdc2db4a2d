//! The DICOM object that was shared.

use crate::image::dicom::{Origin, Window};

/// Which DICOM object was shared, and how its values became grey levels.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedScan {
    /// The object, in whose header alone the result belongs.
    pub origin: Origin,
    /// The window, as it was asked for.
    pub window: Option<Window>,
}

/// A [`SharedScan`] as it is written: study, series, instance, digest; the window, none for that of the file.
pub(super) type ScanFields = ([String; 3], [u8; Origin::DIGEST], Option<Option<(f64, f64)>>);

impl SharedScan {
    pub(super) fn fields(&self) -> ScanFields {
        let Origin { study, series, instance, header } = self.origin.clone();
        let window = self.window.map(|window| match window {
            Window::OfFile => None,
            Window::Around { center, width } => Some((center, width)),
        });
        ([study, series, instance], header, window)
    }

    /// Nothing for UIDs that are none, and for a window that none could ask for.
    pub(super) fn of(fields: ScanFields) -> Option<SharedScan> {
        let ([study, series, instance], header, window) = fields;
        let window = window.map(|window| match window {
            None => Window::OfFile,
            Some((center, width)) => Window::Around { center, width },
        });
        let sound = window.is_none_or(Window::is_sound);
        let origin = Origin { study, series, instance, header };
        (sound && origin.is_sound()).then_some(SharedScan { origin, window })
    }
}
