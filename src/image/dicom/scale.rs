//! Between the values of a file and grey levels, both ways.

use super::super::ImageError;
use super::{Colour, Picture};
use std::str::FromStr;

/// The least width of a window.
const LEAST_WIDTH: f64 = 1.01;

/// Which measured values (Hounsfield units in CT) black and white stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Window {
    /// Those of the file's own first window.
    OfFile,
    /// Those around a center.
    Around {
        /// The value that is shown as middle grey.
        center: f64,
        /// One more than the distance from black to white; at least 1.01.
        width: f64,
    },
}

impl FromStr for Window {
    type Err = String;

    /// `CENTER,WIDTH`, or `file`.
    fn from_str(text: &str) -> Result<Window, String> {
        if text == "file" {
            return Ok(Window::OfFile);
        }
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
        let pair = text.split_once(',').and_then(|(c, w)| number(c).zip(number(w)));
        match pair {
            Some((center, width)) if width >= LEAST_WIDTH => Ok(Window::Around { center, width }),
            Some(_) => Err(format!("the width must be at least {LEAST_WIDTH}")),
            None => Err("expected CENTER,WIDTH, such as 40,400, or `file`".into()),
        }
    }
}

/// The line from stored values to grey levels.
pub(super) struct Scale {
    /// The values that the file's bits can hold.
    least: i64,
    greatest: i64,
    /// What black and white stand for, as stored values: `black < white`, whatever the rescaling.
    black: f64,
    white: f64,
    /// Great values are dark: by MONOCHROME1, or by a slope below 0 under a window, not by both.
    inverted: bool,
    /// Center and width of the window, if one was applied.
    pub(super) window: Option<(f64, f64)>,
}

impl Scale {
    pub(super) fn new(picture: &Picture<'_>, window: Option<Window>) -> Result<Scale, ImageError> {
        let span = 1i64 << picture.bits;
        let least = if picture.signed { -(span / 2) } else { 0 };
        let greatest = least + span - 1;
        let (center, width) = match (window, picture.window) {
            (None, _) => {
                let (black, white) = (least as f64, greatest as f64);
                let inverted = picture.inverted;
                return Ok(Scale { least, greatest, black, white, inverted, window: None });
            }
            (Some(Window::Around { center, width }), _) => (center, width),
            (Some(Window::OfFile), Some(window)) => window,
            (Some(Window::OfFile), None) => {
                return Err(ImageError::Window { reason: "the DICOM file has no window" });
            }
        };
        if picture.colour != Colour::Grey {
            return Err(ImageError::Window {
                reason: "the DICOM image is in colour, which has no window",
            });
        }
        if picture.table {
            let reason =
                "the DICOM file has a table of measured values, which no window is applied to";
            return Err(ImageError::Window { reason });
        }
        let usable = |v: f64| v.is_finite() && v.abs() <= 1e12;
        if !(usable(center) && usable(width) && width >= LEAST_WIDTH) {
            let reason = "the window is not usable: its width must be at least 1.01";
            return Err(ImageError::Window { reason });
        }
        let slope = picture.slope;
        if !(usable(slope) && slope.abs() >= 1e-12 && usable(picture.intercept)) {
            return Err(super::damaged("its rescaling is not usable"));
        }
        // PS3.3 C.11.2.1.2.1: black up to c - 0.5 - (w - 1)/2, white above c - 0.5 + (w - 1)/2.
        let end =
            |side: f64| (center - 0.5 + side * (width - 1.0) / 2.0 - picture.intercept) / slope;
        let ends = (end(-1.0), end(1.0));
        let (black, white) = (ends.0.min(ends.1), ends.0.max(ends.1));
        if white - black < 1e-3 {
            let reason = "the window is much narrower than the step between two values";
            return Err(ImageError::Window { reason });
        }
        Ok(Scale {
            least,
            greatest,
            black,
            white,
            inverted: picture.inverted != (slope < 0.0),
            window: Some((center, width)),
        })
    }

    /// The grey level of a stored value.
    pub(super) fn level(&self, value: i64) -> f32 {
        let part = (value as f64 - self.black) / (self.white - self.black);
        let part = part.clamp(0.0, 1.0);
        (255.0 * if self.inverted { 1.0 - part } else { part }) as f32
    }

    /// The stored value next to a grey level.
    pub(super) fn value(&self, level: f32) -> i64 {
        let part = (f64::from(level) / 255.0).clamp(0.0, 1.0);
        let part = if self.inverted { 1.0 - part } else { part };
        let value = (self.black + part * (self.white - self.black)).round();
        // A float to integer cast saturates.
        (value as i64).clamp(self.least, self.greatest)
    }
}
