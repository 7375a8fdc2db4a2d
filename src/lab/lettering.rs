//! Letters on pictures, in an embedded font: charts and captions look the same on every machine.

use super::picture::Picture;
use crate::size::Position;
use plotters::prelude::{BLACK, BitMapBackend, IntoDrawingArea, IntoTextStyle};
use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};
use std::sync::OnceLock;

/// The name that the plotting library knows the font by, once [`font`] was called.
pub(super) const FONT: &str = "sans";
const FONT_FILE: &[u8] = include_bytes!("../../fixtures/fonts/DejaVuSans-ascii.ttf");

/// Why letters cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LetteringError {
    /// The embedded font cannot be read.
    #[error("the embedded font is unreadable")]
    Font,
    /// The plotting library refuses.
    #[error("`{text}` cannot be drawn: {reason}")]
    Draw { text: String, reason: String },
}

/// Makes the embedded font known, once.
pub(super) fn font() -> Result<(), LetteringError> {
    static READY: OnceLock<bool> = OnceLock::new();
    let register = || register_font(FONT, FontStyle::Normal, FONT_FILE).is_ok();
    if *READY.get_or_init(register) { Ok(()) } else { Err(LetteringError::Font) }
}

/// Columns that a line takes in letters of so many pixels.
pub(super) fn width_of(text: &str, pixels: usize) -> Result<usize, LetteringError> {
    font()?;
    let font = FontDesc::new(FontFamily::Name(FONT), pixels as f64, FontStyle::Normal);
    let ((left, _), (right, _)) = font.layout_box(text).map_err(|e| refused(text, e))?;
    Ok(left.abs_diff(right) as usize)
}

/// Rows that a line takes in letters of so many pixels.
pub(super) fn line_height(pixels: usize) -> usize {
    pixels + pixels.div_ceil(8)
}

impl Picture {
    /// Writes a line in black, its left upper corner at a pixel.
    pub(super) fn write_line(
        &mut self,
        Position { row, column }: Position,
        pixels: usize,
        text: &str,
    ) -> Result<(), LetteringError> {
        font()?;
        let size = (self.width() as u32, self.height() as u32);
        let canvas = BitMapBackend::with_buffer(self.rgb_mut(), size).into_drawing_area();
        let style = (FONT, pixels as u32).into_text_style(&canvas).color(&BLACK);
        // The library puts the base line half a letter below the place that it is given.
        let place = (column as i32, (row + pixels.div_ceil(4)) as i32);
        let drawn = canvas.draw_text(text, &style, place);
        drawn.and_then(|()| canvas.present()).map_err(|e| refused(text, e))
    }
}

fn refused(text: &str, e: impl std::fmt::Display) -> LetteringError {
    LetteringError::Draw { text: text.into(), reason: e.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows and columns that hold ink.
    fn ink(text: &str) -> (Vec<usize>, Vec<usize>) {
        let mut picture = Picture::blank(40, 300).unwrap();
        picture.write_line(Position::new(10, 20), 16, text).unwrap();
        let dark = |row: &usize, column: &usize| picture.rgb()[3 * (row * 300 + column)] < 128;
        let rows = (0..40).filter(|row| (0..300).any(|column| dark(row, &column))).collect();
        let columns = (0..300).filter(|column| (0..40).any(|row| dark(&row, column))).collect();
        (rows, columns)
    }

    #[test]
    fn a_line_keeps_to_its_box() {
        assert_eq!(ink("").0, [] as [usize; 0]);
        for text in ["E", "plaintext 29.43 dB / 0.866", "gpqy"] {
            let (rows, columns) = ink(text);
            let (width, height) = (width_of(text, 16).unwrap(), line_height(16));
            assert!(rows[0] >= 10 && *rows.last().unwrap() < 10 + height, "{text}: {rows:?}");
            let [first, last] = [columns[0], *columns.last().unwrap()];
            assert!(first >= 19 && last <= 21 + width, "{text}: {width}, {first} to {last}");
            assert!(last - first + 5 > width, "{text}: {width}, {first} to {last}");
        }
        assert!(width_of("ii", 16).unwrap() < width_of("WW", 16).unwrap());
    }
}
