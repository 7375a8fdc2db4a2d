//! The side-by-side picture: panels in a row, each above its two enlarged crops.

use super::font;
use crate::image::{GreyImage, ImageError, Rect, checked_area};

use crate::image::write::whole::encode_rgb;
use std::io::Write;

/// One image of the picture and the words above it.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// For example `noisy 20.18 dB / 0.392`: ASCII letters, digits, space and `.:/-+()=,_*%`;
    /// anything else is drawn as a box.
    pub caption: &'a str,
    /// The image.
    pub image: &'a GreyImage,
}

/// A finished picture: 8-bit red, green and blue, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    height: usize,
    width: usize,
    rgb: Vec<u8>,
}

/// Pixels between panels, and around the picture.
const MARGIN: usize = 12;
/// Pixels between a panel and its crops, and between the crops.
const GAP: usize = 8;
/// Thickness of the outlines, which lie around the pixels they name.
const OUTLINE: usize = 2;
const WHITE: [u8; 3] = [255; 3];
const BLACK: [u8; 3] = [0; 3];
/// Orange and blue, told apart by every kind of eye and on any grey.
const COLOURS: [[u8; 3]; 2] = [[240, 140, 0], [30, 150, 240]];

/// Draws panels of equal size in a row with captions, the crops outlined on each and enlarged below
/// it by the largest whole factor that lets the two stand side by side (at least 1).
///
/// # Errors
/// No panels, images of different sizes, a crop outside them, or a picture with too many pixels.
pub fn side_by_side(panels: &[Panel<'_>], crops: &[Rect; 2]) -> Result<Picture, ImageError> {
    let first = panels.first().ok_or(ImageError::NoPanels)?.image;
    let size = |image: &GreyImage| (image.height(), image.width());
    for (i, p) in panels.iter().enumerate() {
        if size(p.image) != size(first) {
            let (found, expected) = (size(p.image), size(first));
            return Err(ImageError::PanelSize { panel: i + 1, found, expected });
        }
    }
    for crop in crops {
        first.crop(*crop)?;
    }
    let layout = Layout::new(panels, crops);
    let mut picture = Picture::blank(layout.height, layout.width)?;
    for (i, panel) in panels.iter().enumerate() {
        layout.draw(&mut picture, MARGIN + i * (layout.column + MARGIN), panel, crops)?;
    }
    Ok(picture)
}

/// The side of a square crop that fills half a panel's width when enlarged four times.
pub fn crop_side(panel_width: usize) -> usize {
    (panel_width.saturating_sub(GAP) / 2 / 4).max(1)
}

/// Where things are, in pixels.
struct Layout {
    /// Pixels a font pixel.
    text: usize,
    zooms: [usize; 2],
    /// Width of a panel with what belongs to it.
    column: usize,
    image_top: usize,
    crops_top: usize,
    height: usize,
    width: usize,
}

impl Layout {
    fn new(panels: &[Panel<'_>], crops: &[Rect; 2]) -> Layout {
        let (image_height, image_width) = (panels[0].image.height(), panels[0].image.width());
        let longest = panels.iter().map(|p| p.caption.chars().count()).max().unwrap_or(0);
        let line = (longest * (font::WIDTH + 1)).max(1);
        let text = (image_width / line).clamp(1, 1 + image_width / 256);
        let zooms = crops.map(|c| (image_width.saturating_sub(GAP) / 2 / c.width).max(1));
        let enlarged = |side: fn(&Rect) -> usize| [0, 1].map(|k| side(&crops[k]) * zooms[k]);
        let [left, right] = enlarged(|c| c.width);
        let column = image_width.max(left + GAP + right).max(line * text);
        let image_top = MARGIN + font::HEIGHT * text + GAP;
        let crops_top = image_top + image_height + GAP;
        let [a, b] = enlarged(|c| c.height);
        Layout {
            text,
            zooms,
            column,
            image_top,
            crops_top,
            height: crops_top + a.max(b) + MARGIN,
            width: MARGIN + panels.len() * (column + MARGIN),
        }
    }

    fn draw(
        &self,
        picture: &mut Picture,
        left: usize,
        panel: &Panel<'_>,
        crops: &[Rect; 2],
    ) -> Result<(), ImageError> {
        picture.write_text(MARGIN, left, self.text, panel.caption);
        picture.paste(self.image_top, left, 1, panel.image);
        for (k, crop) in crops.iter().enumerate() {
            let top_left = (self.image_top + crop.top, left + crop.left);
            picture.outline(top_left, (crop.height, crop.width), COLOURS[k]);
            let zoom = self.zooms[k];
            let width = crop.width * zoom;
            let at = if k == 0 { left } else { left + panel.image.width().max(width) - width };
            let at = if k == 1 { at.max(left + crops[0].width * self.zooms[0] + GAP) } else { at };
            picture.paste(self.crops_top, at, zoom, &panel.image.crop(*crop)?);
            picture.outline((self.crops_top, at), (crop.height * zoom, width), COLOURS[k]);
        }
        Ok(())
    }
}

impl Picture {
    /// A picture from its pixels: red, green, blue of each, row by row.
    ///
    /// # Errors
    /// [`ImageError::PixelCount`] unless there are 3 x `height` x `width` bytes; a side of 0 or too
    /// many pixels.
    pub fn from_rgb(height: usize, width: usize, rgb: Vec<u8>) -> Result<Picture, ImageError> {
        let pixels = checked_area(height, width)?;
        if rgb.len() != 3 * pixels {
            return Err(ImageError::PixelCount { height, width, found: rgb.len() / 3 });
        }
        Ok(Picture { height, width, rgb })
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Red, green, blue of each pixel, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Writes the picture as PNG, and flushes.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn write_png(&self, mut writer: impl Write) -> Result<(), ImageError> {
        encode_rgb(&self.rgb, self.height, self.width, &mut writer)?;
        writer.flush()?;
        Ok(())
    }

    fn blank(height: usize, width: usize) -> Result<Picture, ImageError> {
        Ok(Picture { height, width, rgb: WHITE.repeat(checked_area(height, width)?) })
    }

    /// Colours a pixel, if it is inside.
    fn set(&mut self, row: usize, column: usize, colour: [u8; 3]) {
        if row < self.height && column < self.width {
            let at = 3 * (row * self.width + column);
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }

    fn fill(&mut self, (top, left): (usize, usize), (height, width): (usize, usize), ink: [u8; 3]) {
        for row in top..top + height {
            for column in left..left + width {
                self.set(row, column, ink);
            }
        }
    }

    fn write_text(&mut self, top: usize, left: usize, scale: usize, text: &str) {
        for (i, c) in text.chars().enumerate() {
            let left = left + i * (font::WIDTH + 1) * scale;
            for row in 0..font::HEIGHT {
                for column in 0..font::WIDTH {
                    if font::is_ink(c, row, column) {
                        let at = (top + row * scale, left + column * scale);
                        self.fill(at, (scale, scale), BLACK);
                    }
                }
            }
        }
    }

    /// Draws the image with every pixel a `zoom` x `zoom` square.
    fn paste(&mut self, top: usize, left: usize, zoom: usize, image: &GreyImage) {
        for (i, level) in image.to_u8().into_iter().enumerate() {
            let (row, column) = (i / image.width(), i % image.width());
            self.fill((top + row * zoom, left + column * zoom), (zoom, zoom), [level; 3]);
        }
    }

    /// Draws a frame just outside a rectangle. Everything drawn lies [`MARGIN`] inside the picture.
    fn outline(
        &mut self,
        (top, left): (usize, usize),
        (height, width): (usize, usize),
        ink: [u8; 3],
    ) {
        let (t, l) = (top - OUTLINE, left - OUTLINE);
        let across = (OUTLINE, width + 2 * OUTLINE);
        let down = (height + 2 * OUTLINE, OUTLINE);
        self.fill((t, l), across, ink);
        self.fill((top + height, l), across, ink);
        self.fill((t, l), down, ink);
        self.fill((t, left + width), down, ink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(top: usize, left: usize, side: usize) -> Rect {
        Rect { top, left, height: side, width: side }
    }

    fn ramp(height: usize, width: usize) -> GreyImage {
        let level = |i: usize| (i % width + i / width) as f32;
        GreyImage::new(height, width, (0..height * width).map(level).collect()).unwrap()
    }

    fn at(p: &Picture, row: usize, column: usize) -> [u8; 3] {
        let i = 3 * (row * p.width() + column);
        [p.rgb()[i], p.rgb()[i + 1], p.rgb()[i + 2]]
    }

    #[test]
    fn panels_crops_and_outlines_are_where_they_belong() {
        let image = ramp(40, 60);
        let panel = Panel { caption: "E", image: &image };
        let p = side_by_side(&[panel, panel], &[rect(4, 6, 10), rect(20, 40, 13)]).unwrap();
        // Captions of 9 rows, two panels of 60 columns, crops of 2 x 10 and 2 x 13.
        assert_eq!((p.height(), p.width()), (12 + 9 + 8 + 40 + 8 + 26 + 12, 12 + 2 * (60 + 12)));
        let (image_top, crops_top) = (29, 77);
        for left in [12, 84] {
            assert_eq!(at(&p, 12, left), BLACK);
            assert_eq!(at(&p, 13, left + 1), WHITE);
            assert_eq!(at(&p, image_top, left), [0; 3]);
            assert_eq!(at(&p, image_top + 39, left + 59), [98; 3]);
            assert_eq!(at(&p, image_top + 4, left + 6), [10; 3]);
            assert_eq!(at(&p, image_top + 3, left + 5), COLOURS[0]);
            assert_eq!(at(&p, image_top + 33, left + 53), COLOURS[1]);
            assert_eq!(at(&p, crops_top + 19, left + 19), [28; 3]);
            assert_eq!(at(&p, crops_top + 20, left + 20), COLOURS[0]);
            assert_eq!(at(&p, crops_top, left + 60 - 26), [60; 3]);
            assert_eq!(at(&p, crops_top + 25, left + 59), [84; 3]);
        }
        let mut bytes = Vec::new();
        p.write_png(&mut bytes).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_small_images_are_drawn() {
        let (a, b) = (ramp(20, 30), ramp(20, 31));
        let crops = [rect(0, 0, 5), rect(10, 10, 5)];
        let panels = [Panel { caption: "a", image: &a }, Panel { caption: "b", image: &b }];
        assert!(matches!(side_by_side(&[], &crops), Err(ImageError::NoPanels)));
        let text = side_by_side(&panels, &crops).unwrap_err().to_string();
        assert_eq!(text, "panel 2 is (20, 31), the first is (20, 30) (height, width)");
        let outside = [crops[0], rect(16, 0, 5)];
        assert!(matches!(side_by_side(&panels[..1], &outside), Err(ImageError::Crop { .. })));
        let tiny = ramp(1, 1);
        let panel = Panel { caption: "wide caption", image: &tiny };
        assert!(side_by_side(&[panel], &[rect(0, 0, 1); 2]).is_ok());
        assert_eq!((crop_side(512), crop_side(1)), (63, 1));
    }
}
