//! The side-by-side picture: panels in a row, each above its two enlarged crops.

use super::error::LabError;
use super::lettering::{LetteringError, line_height, width_of};
use super::picture::Picture;
use crate::image::{GreyImage, ImageError, Rect, pick_crops};
use crate::size::{Position, Size};

/// One image of the picture and the words above it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel<'a> {
    /// For example `noisy 20.18 dB / 0.392`: printable ASCII; anything else is drawn as a box.
    pub caption: &'a str,
    /// Its plane, or red, green and blue.
    pub planes: &'a [GreyImage],
}

impl Panel<'_> {
    fn first(&self) -> Result<&GreyImage, ImageError> {
        self.planes.first().ok_or(ImageError::Planes { found: 0 })
    }
}

/// Pixels between panels, and around the picture.
const MARGIN: usize = 12;
/// Pixels between a panel and its crops, and between the crops.
const GAP: usize = 8;
/// Letters are so many pixels high at least.
const SMALLEST_TEXT: usize = 10;
/// Orange and blue, told apart by every kind of eye and on any grey.
const COLOURS: [[u8; 3]; 2] = [[240, 140, 0], [30, 150, 240]];

/// Draws panels of equal size in a row with captions, the crops outlined on each and enlarged below
/// it by the largest whole factor that lets the two stand side by side (at least 1).
///
/// # Errors
/// [`LabError::Image`]: no panels, images of different sizes, a crop outside them, or a picture with too many
/// pixels.
pub(crate) fn side_by_side(panels: &[Panel<'_>], crops: &[Rect; 2]) -> Result<Picture, LabError> {
    let first = panels.first().ok_or(ImageError::NoPanels)?.first()?;
    for (i, panel) in panels.iter().enumerate() {
        let expected = first.size();
        let other = panel.planes.iter().map(GreyImage::size).find(|&size| size != expected);
        if let Some(found) = other {
            return Err(ImageError::PanelSize { panel: i + 1, found, expected }.into());
        }
    }
    for crop in crops {
        first.crop(*crop)?;
    }
    let layout = Layout::new(panels, first.size(), crops)?;
    let mut picture = Picture::blank(layout.height, layout.width)?;
    for (i, panel) in panels.iter().enumerate() {
        layout.draw(&mut picture, MARGIN + i * (layout.column + MARGIN), panel, crops)?;
    }
    Ok(picture)
}

/// Draws panels as [`side_by_side`] does, with the two crops in which the clean image shows most.
///
/// # Errors
/// As [`side_by_side`]; [`ImageError::NoRoom`] for an image too small for two crops.
pub(crate) fn with_crops(clean: &GreyImage, panels: &[Panel<'_>]) -> Result<Picture, LabError> {
    let side = crop_side(clean.width()).min(clean.height() / 2).max(1);
    side_by_side(panels, &pick_crops(clean, side, side)?)
}

/// The side of a square crop that fills half a panel's width when enlarged four times.
fn crop_side(panel_width: usize) -> usize {
    (panel_width.saturating_sub(GAP) / 2 / 4).max(1)
}

/// Where things are, in pixels.
struct Layout {
    /// Of the letters.
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
    fn new(
        panels: &[Panel<'_>],
        Size { height: image_height, width: image_width }: Size,
        crops: &[Rect; 2],
    ) -> Result<Layout, LetteringError> {
        let (text, caption) = lettering(panels, image_width)?;
        let zooms = crops.map(|c| (image_width.saturating_sub(GAP) / 2 / c.width).max(1));
        let enlarged = |side: fn(&Rect) -> usize| [0, 1].map(|k| side(&crops[k]) * zooms[k]);
        let [left, right] = enlarged(|c| c.width);
        let column = image_width.max(left + GAP + right).max(caption);
        let image_top = MARGIN + line_height(text) + GAP;
        let crops_top = image_top + image_height + GAP;
        let [a, b] = enlarged(|c| c.height);
        Ok(Layout {
            text,
            zooms,
            column,
            image_top,
            crops_top,
            height: crops_top + a.max(b) + MARGIN,
            width: MARGIN + panels.len() * (column + MARGIN),
        })
    }

    fn draw(
        &self,
        picture: &mut Picture,
        left: usize,
        panel: &Panel<'_>,
        crops: &[Rect; 2],
    ) -> Result<(), LabError> {
        picture.write_line(Position::new(MARGIN, left), self.text, panel.caption)?;
        picture.paste(self.image_top, left, 1, panel.planes);
        for (k, crop) in crops.iter().enumerate() {
            let (top, at_left) = (self.image_top + crop.top, left + crop.left);
            picture.outline(Rect { top, left: at_left, ..*crop }, COLOURS[k]);
            let zoom = self.zooms[k];
            let width = crop.width * zoom;
            let at = if k == 0 { left } else { left + panel.first()?.width().max(width) - width };
            let at = if k == 1 { at.max(left + crops[0].width * self.zooms[0] + GAP) } else { at };
            let part = panel.planes.iter().map(|plane| plane.crop(*crop));
            picture.paste(self.crops_top, at, zoom, &part.collect::<Result<Vec<_>, _>>()?);
            let (top, height) = (self.crops_top, crop.height * zoom);
            picture.outline(Rect { top, left: at, height, width }, COLOURS[k]);
        }
        Ok(())
    }
}

/// The size of the letters, the larger the wider the images, and the width of the longest caption: not wider
/// than an image if there are letters small enough.
fn lettering(panels: &[Panel<'_>], width: usize) -> Result<(usize, usize), LetteringError> {
    let mut pixels = SMALLEST_TEXT + width / 32;
    loop {
        let widths = panels.iter().map(|panel| width_of(panel.caption, pixels));
        let longest = widths.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or(0);
        if longest <= width || pixels == SMALLEST_TEXT {
            return Ok((pixels, longest));
        }
        pixels -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

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
        let panel = Panel { caption: "E", planes: slice::from_ref(&image) };
        let p = side_by_side(&[panel, panel], &[rect(4, 6, 10), rect(20, 40, 13)]).unwrap();
        // Letters of 11 pixels on lines of 13, two panels of 60 columns, crops of 2 x 10 and 2 x 13.
        let line = 13;
        let expected = (12 + line + 8 + 40 + 8 + 26 + 12, 12 + 2 * (60 + 12));
        assert_eq!((p.height(), p.width()), expected);
        let (image_top, crops_top) = (12 + line + 8, 12 + line + 8 + 40 + 8);
        for left in [12, 84] {
            let caption = (12..12 + line).flat_map(|row| (0..60).map(move |column| (row, column)));
            let dark = caption.filter(|(row, column)| at(&p, *row, left + column)[0] < 128).count();
            assert!((15..60).contains(&dark), "{dark} dark pixels in an E");
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
    fn colours_are_drawn_as_they_are() {
        let planes = [3.0, 140.0, 255.0].map(|v| GreyImage::new(8, 16, vec![v; 128]).unwrap());
        let panel = Panel { caption: "E", planes: &planes };
        let p = side_by_side(&[panel], &[rect(0, 0, 4), rect(4, 8, 4)]).unwrap();
        // The frames around the crops hide some of it.
        let wanted = p.rgb().chunks(3).filter(|found| *found == [3, 140, 255]);
        assert!(wanted.count() > 32);
    }

    #[test]
    fn captions_shrink_to_their_image_and_no_further_than_can_be_read() {
        let (wide, narrow) = (ramp(20, 512), ramp(20, 30));
        let of = |caption, image: &GreyImage| {
            lettering(&[Panel { caption, planes: slice::from_ref(image) }], image.width())
        };
        assert_eq!(of("E", &wide).unwrap().0, 26);
        let (pixels, width) = of("plaintext 29.43 dB / 0.866, and more than that", &wide).unwrap();
        assert!(width <= 512 && (11..26).contains(&pixels), "{width} in letters of {pixels}");
        let (pixels, width) = of("plaintext", &narrow).unwrap();
        assert!(width > 30 && pixels == SMALLEST_TEXT, "{width} in letters of {pixels}");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_small_images_are_drawn() {
        let (a, b) = (ramp(20, 30), ramp(20, 31));
        let crops = [rect(0, 0, 5), rect(10, 10, 5)];
        let panel = |caption, image| Panel { caption, planes: slice::from_ref(image) };
        let panels = [panel("a", &a), panel("b", &b)];
        let none = side_by_side(&[], &crops);
        assert!(matches!(none, Err(LabError::Image(ImageError::NoPanels))));
        let text = side_by_side(&panels, &crops).unwrap_err().to_string();
        assert_eq!(text, "panel 2 is 20x31, the first is 20x30 (height x width)");
        let outside = side_by_side(&panels[..1], &[crops[0], rect(16, 0, 5)]);
        assert!(matches!(outside, Err(LabError::Image(ImageError::Crop { .. }))));
        let tiny = ramp(1, 1);
        let panel = panel("wide caption", &tiny);
        assert!(side_by_side(&[panel], &[rect(0, 0, 1); 2]).is_ok());
        assert_eq!((crop_side(512), crop_side(1)), (63, 1));
    }
}
