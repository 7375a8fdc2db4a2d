//! What the demonstration runs on where the files of the sources are not: an installed program can show
//! itself.

use crate::image::{GreyImage, ImageError, ImageFormat};
use crate::model::{FloatModel, ModelError, load_npz};
use std::io::Cursor;

/// Of fixtures/demo.
const IMAGE: &[u8] = include_bytes!("../../../fixtures/demo/camera-128.png");
/// Of fixtures/models.
pub(super) const MODEL: &[u8] = include_bytes!("../../../fixtures/models/tiny-9-5-24.npz");
/// What stands in a report for the model.
pub(super) const MODEL_NAME: &str = "tiny-9-5-24.npz (embedded)";
/// What stands in a report for the image.
pub(crate) const IMAGE_NAME: &str = "camera-128.png (embedded)";

/// A small picture, 128x128.
///
/// # Errors
/// None but a bug's.
pub(crate) fn image() -> Result<GreyImage, ImageError> {
    ImageFormat::Png.decode(IMAGE)?.into_grey()
}

/// A small model, `tiny-9-5-24`.
///
/// # Errors
/// None but a bug's.
pub(crate) fn model() -> Result<FloatModel, ModelError> {
    load_npz(Cursor::new(MODEL), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::Size;

    #[test]
    fn what_is_embedded_can_be_used() {
        let image = image().unwrap();
        assert_eq!((image.height(), image.width()), (128, 128));
        let model = model().unwrap();
        assert!(model.network.grid(Size::new(128, 128)).is_ok());
    }
}
