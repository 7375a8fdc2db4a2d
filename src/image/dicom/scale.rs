//! Between the values of a file and grey levels, both ways.

use super::super::ImageError;
use super::groups::{FileWindow, Function, Meaning, Rescale};
use super::{Colour, Picture};
use std::fmt;
use std::str::FromStr;

/// Which measured values (Hounsfield units in CT) black and white stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Window {
    /// Those of the file's own first window.
    OfFile,
    /// Those around a center.
    Around {
        /// The value that is shown as middle grey.
        center: f64,
        /// One more than the distance from black to white, at least 1; of a file whose function is LINEAR_EXACT
        /// the distance itself.
        width: f64,
    },
}

impl Window {
    /// Whether its numbers are those of a window.
    pub fn is_sound(self) -> bool {
        match self {
            Window::OfFile => true,
            Window::Around { center, width } => {
                center.is_finite() && width.is_finite() && width > 0.0
            }
        }
    }
}

/// As [`Window::from_str`] takes it.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::OfFile => f.write_str("file"),
            Window::Around { center, width } => write!(f, "{center},{width}"),
        }
    }
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
            Some((center, width)) if width > 0.0 => Ok(Window::Around { center, width }),
            Some(_) => Err("the width must be above 0".into()),
            None => Err("expected CENTER,WIDTH, such as 40,400, or `file`".into()),
        }
    }
}

/// The line from stored values to grey levels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// The values that the file's bits can hold.
    least: i64,
    greatest: i64,
    /// What black and white stand for, as stored values, whatever the rescaling: `black <= white`.
    black: f64,
    white: f64,
    /// Great values are dark: by MONOCHROME1, or by a slope below 0 under a window, not by both.
    inverted: bool,
    /// Whether a value is white where black and white are one.
    white_at_step: bool,
    /// Center and width of the window, if one was applied.
    pub(super) window: Option<(f64, f64)>,
    /// Whether the window is one of LINEAR_EXACT.
    pub(super) exact: bool,
}

impl Scale {
    /// That of a frame.
    pub(super) fn of_frame(scales: &[Scale], frame: usize) -> &Scale {
        &scales[frame.min(scales.len() - 1)]
    }

    /// One for all frames, or one for each.
    pub(super) fn of_frames(
        picture: &Picture<'_>,
        window: Option<Window>,
    ) -> Result<Vec<Scale>, ImageError> {
        let Some(window) = window else { return Ok(vec![Scale::whole(picture)]) };
        let useless = |reason| Err(ImageError::NoWindow { reason });
        if picture.colour != Colour::Grey {
            return useless("the DICOM image is in colour, which has no window");
        }
        if picture.table {
            return useless(
                "the DICOM file has a table of measured values (Modality LUT), which no window is applied to",
            );
        }
        let meanings = picture.groups.meanings(picture.meaning, picture.frames)?;
        let same = |part: fn(&Meaning) -> (Option<FileWindow>, Option<Function>)| {
            meanings.iter().all(|meaning| part(meaning) == part(&meanings[0]))
        };
        if !same(|m| (None, m.function))
            || window == Window::OfFile && !same(|m| (m.window, m.function))
        {
            let reason = "the frames of the DICOM file have different windows";
            return Err(ImageError::Window { reason });
        }
        let (center, width) = numbers(window, &meanings[0], picture.voi_table)?;
        let exact = meanings[0].function == Some(Function::Exact);
        let rescale = |meaning: &Meaning| {
            let rescale = meaning.rescale.unwrap_or(Rescale { slope: 1.0, intercept: 0.0 });
            Scale::windowed(picture, rescale, center, width, exact)
        };
        meanings.iter().map(rescale).collect()
    }

    /// All values that the bits can hold.
    fn whole(picture: &Picture<'_>) -> Scale {
        let span = 1i64 << picture.bits;
        let least = if picture.signed { -(span / 2) } else { 0 };
        let greatest = least + span - 1;
        let (black, white, inverted) = (least as f64, greatest as f64, picture.inverted);
        let (white_at_step, window, exact) = (false, None, false);
        Scale { least, greatest, black, white, inverted, white_at_step, window, exact }
    }

    fn windowed(
        picture: &Picture<'_>,
        rescale: Rescale,
        center: f64,
        width: f64,
        exact: bool,
    ) -> Result<Scale, ImageError> {
        let Rescale { slope, intercept } = rescale;
        if !(usable(slope) && slope.abs() >= 1e-12 && usable(intercept)) {
            return Err(super::damaged("its rescaling is not usable"));
        }
        // PS3.3 C.11.2.1.2.1: black up to c - 0.5 - (w - 1)/2, white above c - 0.5 + (w - 1)/2; of LINEAR_EXACT
        // (C.11.2.1.3.2) c - w/2 and c + w/2.
        let (middle, half) =
            if exact { (center, width / 2.0) } else { (center - 0.5, (width - 1.0) / 2.0) };
        let ends = [-half, half].map(|side| (middle + side - intercept) / slope);
        let (black, white) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        Ok(Scale {
            black,
            white,
            inverted: picture.inverted != (slope < 0.0),
            white_at_step: slope < 0.0,
            window: Some((center, width)),
            exact,
            ..Scale::whole(picture)
        })
    }

    /// The grey level of a stored value.
    pub(super) fn level(&self, value: i64) -> f32 {
        let value = value as f64;
        let part = if self.black < self.white {
            (value - self.black) / (self.white - self.black)
        } else {
            // A window of width 1 is a step.
            let is_white =
                if self.white_at_step { value >= self.black } else { value > self.black };
            f64::from(u8::from(is_white))
        };
        let part = part.clamp(0.0, 1.0);
        (255.0 * if self.inverted { 1.0 - part } else { part }) as f32
    }

    /// The stored value next to a grey level.
    pub(super) fn value(&self, level: f32) -> i64 {
        if self.white - self.black < NARROW {
            return self.nearest(level);
        }
        let part = (f64::from(level) / 255.0).clamp(0.0, 1.0);
        let part = if self.inverted { 1.0 - part } else { part };
        let value = (self.black + part * (self.white - self.black)).round();
        // A float to integer cast saturates.
        (value as i64).clamp(self.least, self.greatest)
    }

    /// The same where black and white are so close that a rounded value may be across.
    fn nearest(&self, level: f32) -> i64 {
        let [from, to] = [self.black.floor() - 1.0, self.white.ceil() + 1.0]
            .map(|value| (value as i64).clamp(self.least, self.greatest));
        let away = |value: &i64| (self.level(*value) - level.clamp(0.0, 255.0)).abs();
        let middle = ((self.black + self.white) / 2.0) as i64;
        // Of values that are alike the one next to the window.
        let candidates = (from..=to).min_by(|a, b| {
            away(a).total_cmp(&away(b)).then((a - middle).abs().cmp(&(b - middle).abs()))
        });
        candidates.unwrap_or(from)
    }
}

/// Stored values from black to white below which every one of them is looked at.
const NARROW: f64 = 4.0;

fn usable(value: f64) -> bool {
    value.is_finite() && value.abs() <= 1e12
}

/// Center and width, if the file's function of windows takes them.
fn numbers(window: Window, meaning: &Meaning, has_table: bool) -> Result<(f64, f64), ImageError> {
    let refused = |reason| Err(ImageError::Window { reason });
    let (center, width) = match (window, meaning.window) {
        (Window::Around { center, width }, _) => (center, width),
        (Window::OfFile, Some(FileWindow { center, width })) => match meaning.function {
            Some(Function::Sigmoid) => {
                return refused("the window of the DICOM file is a curve (SIGMOID)");
            }
            Some(Function::Unknown) => {
                return refused(
                    "the window of the DICOM file is of a function that is not read here",
                );
            }
            _ => (center, width),
        },
        (Window::OfFile, None) if has_table => {
            return refused("the DICOM file has a table of grey levels (VOI LUT) and no window");
        }
        (Window::OfFile, None) => return refused("the DICOM file has no window"),
    };
    let least = if meaning.function == Some(Function::Exact) { f64::MIN_POSITIVE } else { 1.0 };
    if usable(center) && usable(width) && width >= least {
        Ok((center, width))
    } else {
        refused(
            "the window is not usable: its width must be at least 1, or above 0 if the file's function is \
             LINEAR_EXACT",
        )
    }
}
