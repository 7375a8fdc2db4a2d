//! Objects that hold no picture: reports, plans, presentation states and the like.

use super::super::ImageError;
use super::dataset::{Tag, elements};
use super::file::File;
use super::{CLASS, PIXELS, ROWS, text};

/// Of group 2: the class of the object.
const META_CLASS: Tag = Tag(0x0002, 0x0002);
const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
/// What follows for classes of images: X-ray, CT, ultrasound, MR, secondary capture, nuclear medicine, visible light,
/// PET.
const IMAGES: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "12", "13", "20", "77", "128"];

/// What an object of a DICOM file is that is sound and holds no picture; nothing for one that holds a picture, or
/// ought to and is damaged.
pub fn without_picture(bytes: &[u8]) -> Option<&'static str> {
    let file = File::open(bytes).ok()?;
    for element in elements(&file.data, file.coding()) {
        let tag = element.ok()?.tag;
        if tag == ROWS || tag.0 == PIXELS.0 {
            return None;
        }
    }
    // One whose class is an image's, or that has none, lost its picture.
    let class = class(&file);
    let images = class.strip_prefix(STORAGE).and_then(|storage| storage.split('.').next());
    let lost = class.is_empty() || images.is_some_and(|number| IMAGES.contains(&number));
    (!lost).then(|| kind(&file))
}

/// Why a file without pixel data has no picture.
pub(super) fn refused(file: &File<'_>) -> ImageError {
    if elements(&file.data, file.coding()).any(|e| e.is_ok_and(|e| e.tag == ROWS)) {
        super::damaged("it holds no pixel data")
    } else {
        ImageError::NoPicture { kind: kind(file) }
    }
}

/// The class of the object, as the file or its group 2 says it; empty if neither does.
fn class(file: &File<'_>) -> String {
    let of_data = file.find(CLASS).ok().flatten().and_then(text);
    let of_meta = || {
        let meta = elements(file.meta, super::Coding::Explicit).filter_map(Result::ok);
        meta.filter(|element| element.tag == META_CLASS).find_map(text)
    };
    of_data.or_else(of_meta).unwrap_or("").to_owned()
}

fn kind(file: &File<'_>) -> &'static str {
    let class = class(file);
    if class == "1.2.840.10008.1.3.10" {
        return "a DICOMDIR";
    }
    let storage = class.strip_prefix(STORAGE).unwrap_or("");
    match storage.split('.').next().unwrap_or("") {
        "11" => "a presentation state",
        "9" => "a waveform",
        "66" => "raw data, a registration or the like",
        "88" => "a structured report",
        "104" => "a document",
        "481" => match storage {
            "481.3" => "a structure set",
            "481.5" | "481.8" => "a plan",
            _ => "an object of radiotherapy",
        },
        _ => "an object of another kind",
    }
}
