//! What a file says of the meaning of its values, frame by frame: at its top, or in the functional groups of enhanced
//! objects (PS3.3 C.7.6.16), those that all frames share and those of each.

use super::super::ImageError;
use super::dataset::{Coding, Element, Tag, damaged, elements, item_list};
use super::{CENTER, INTERCEPT, PictureElements, SLOPE, WIDTH};

pub(super) const SHARED: Tag = Tag(0x5200, 0x9229);
pub(super) const PER_FRAME: Tag = Tag(0x5200, 0x9230);
pub(super) const FUNCTION: Tag = Tag(0x0028, 0x1056);
const WINDOWS: Tag = Tag(0x0028, 0x9132);
const TRANSFORMS: Tag = Tag(0x0028, 0x9145);

/// From stored to measured values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rescale {
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

/// How the numbers of a window are meant (VOILUTFunction, PS3.3 C.11.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Linear,
    Exact,
    Sigmoid,
    Unknown,
}

/// A window that a file says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FileWindow {
    pub(super) center: f64,
    pub(super) width: f64,
}

/// What one level of a file says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Meaning {
    pub(super) rescale: Option<Rescale>,
    pub(super) window: Option<FileWindow>,
    pub(super) function: Option<Function>,
}

impl Meaning {
    /// What elements say that lie side by side.
    pub(super) fn of(found: &PictureElements<'_>) -> Result<Meaning, ImageError> {
        let (slope, intercept) = (found.decimal(SLOPE)?, found.decimal(INTERCEPT)?);
        let rescale = (slope.is_some() || intercept.is_some())
            .then(|| Rescale { slope: slope.unwrap_or(1.0), intercept: intercept.unwrap_or(0.0) });
        let window = found.decimal(CENTER)?.zip(found.decimal(WIDTH)?);
        let function = found.text(FUNCTION).filter(|name| !name.is_empty());
        Ok(Meaning {
            rescale,
            window: window.map(|(center, width)| FileWindow { center, width }),
            function: function.map(|name| match name {
                "LINEAR" => Function::Linear,
                "LINEAR_EXACT" => Function::Exact,
                "SIGMOID" => Function::Sigmoid,
                _ => Function::Unknown,
            }),
        })
    }

    /// What this level says, and what `below` says where it says nothing.
    fn or(self, below: Meaning) -> Result<Meaning, ImageError> {
        let two = |differ: bool| {
            if differ {
                Err(damaged("it says two rescalings or windows of one frame, which differ"))
            } else {
                Ok(())
            }
        };
        two(self.rescale.zip(below.rescale).is_some_and(|(a, b)| a != b))?;
        two(self.window.zip(below.window).is_some_and(|(a, b)| a != b))?;
        Ok(Meaning {
            rescale: self.rescale.or(below.rescale),
            window: self.window.or(below.window),
            function: self.function.or(below.function),
        })
    }
}

/// The functional groups of a file, which are read if a window needs them.
#[derive(Clone, Copy)]
pub(super) struct Groups<'a> {
    pub(super) shared: Option<Element<'a>>,
    pub(super) per_frame: Option<Element<'a>>,
    pub(super) coding: Coding,
}

impl Groups<'_> {
    /// Whether there are any.
    pub(super) fn exist(&self) -> bool {
        self.shared.is_some() || self.per_frame.is_some()
    }

    /// What is said of every frame: one entry if it is the same for all. `top` is what the file says outside of groups.
    pub(super) fn meanings(&self, top: Meaning, frames: usize) -> Result<Vec<Meaning>, ImageError> {
        let mut shared = Meaning::default();
        for item in self.items(self.shared)? {
            shared = meaning(item)?.or(shared)?;
        }
        let per_frame = self.items(self.per_frame)?;
        if per_frame.is_empty() {
            return Ok(vec![shared.or(top)?]);
        }
        if per_frame.len() != frames {
            return Err(damaged("it has not one item of functional groups for each frame"));
        }
        let of_frame = |item| meaning(item)?.or(shared)?.or(top);
        let mut all =
            per_frame.into_iter().map(of_frame).collect::<Result<Vec<_>, ImageError>>()?;
        if all.iter().all(|meaning| *meaning == all[0]) {
            all.truncate(1);
        }
        Ok(all)
    }

    fn items<'a>(&'a self, list: Option<Element<'a>>) -> Result<Vec<Item<'a>>, ImageError> {
        list.map_or(Ok(Vec::new()), |list| item_list(list, self.coding))
    }
}

/// The data set of an item, and how it is written.
type Item<'a> = (&'a [u8], Coding);

/// What a frame's item says.
fn meaning((item, coding): Item<'_>) -> Result<Meaning, ImageError> {
    let mut found = PictureElements { elements: Vec::new(), coding };
    for element in elements(item, coding) {
        let element = element?;
        if element.tag == WINDOWS || element.tag == TRANSFORMS {
            // The first, as of several windows.
            for (data, coding) in item_list(element, coding)?.into_iter().take(1) {
                for element in elements(data, coding) {
                    found.keep(element?);
                }
            }
        }
    }
    Meaning::of(&found)
}
