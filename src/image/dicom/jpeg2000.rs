//! JPEG 2000, by crate `hayro-jpeg2000`.
//!
//! The decoder takes memory for every block and precinct that the headers announce, before it looks
//! for their data. So the headers are read here first, those of tiles too: one size, that of the
//! frame, and no more blocks and precincts than such a frame has.

use super::super::ImageError;
use super::codestream::{check_tiles, segment};
use super::dataset::damaged;
use super::shape::Shape;
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

const CODESTREAM: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
/// The box that holds a codestream, where a writer left boxes around it.
const BOX: &[u8; 4] = b"jp2c";
/// The box that a file of boxes begins with.
const BOXES: &[u8; 8] = b"\0\0\0\x0cjP  ";
/// The most blocks and precincts of small frames; beyond, one for [`SAMPLES_A_BLOCK`].
const FEW_BLOCKS: usize = 1 << 14;
const SAMPLES_A_BLOCK: usize = 16;
const MAX_LEVELS: u8 = 32;

const COD: u8 = 0x52;
const COC: u8 = 0x53;
const POC: u8 = 0x5f;
const PPM: u8 = 0x60;
const PPT: u8 = 0x61;
const SOT: u8 = 0x90;
const SOD: u8 = 0x93;
const EOC: u8 = 0xd9;

/// The samples of one frame, of which `bits` count.
pub(super) fn decode(data: &[u8], shape: Shape, bits: u16) -> Result<Vec<u32>, ImageError> {
    let stream = codestream(data).ok_or(damaged("its JPEG 2000 stream has no codestream"))?;
    let signed = check(stream, shape)?;
    check_tiles(stream).map_err(damaged)?;
    let failed = |_| damaged("its JPEG 2000 stream cannot be decoded");
    let settings =
        DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(stream, &settings).map_err(failed)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(failed)?;
    let planes = decoded.components();
    let area = shape.area();
    if planes.len() != shape.samples || planes.iter().any(|p| p.samples().len() != area) {
        return Err(damaged("its JPEG 2000 stream does not make the picture"));
    }
    let mask = u32::MAX >> (32 - u32::from(bits));
    let sample = |i: usize| {
        let plane = &planes[i % shape.samples];
        // The decoder adds half the range to signed samples too.
        let most = f64::from(plane.bit_depth().min(32)).exp2() - 1.0;
        let value = f64::from(plane.samples()[i / shape.samples]).round().clamp(0.0, most);
        let zero = if signed { (most + 1.0) / 2.0 } else { 0.0 };
        (value - zero) as i64 as u32 & mask
    };
    Ok((0..area * shape.samples).map(sample).collect())
}

/// The codestream, without the boxes that some writers leave around it.
fn codestream(data: &[u8]) -> Option<&[u8]> {
    if !data.starts_with(BOXES) {
        return data.starts_with(&CODESTREAM).then_some(data);
    }
    let mut rest = data;
    loop {
        let (length, kind) = (rest.first_chunk::<4>()?, rest.get(4..8)?);
        let length = match u32::from_be_bytes(*length) as usize {
            // The last box may end with the file.
            0 => rest.len(),
            length => length,
        };
        let content = rest.get(8..length)?;
        if kind == BOX {
            return content.starts_with(&CODESTREAM).then_some(content);
        }
        rest = &rest[length..];
    }
}

/// Refuses headers that are not those of such a frame; tells whether its samples are signed.
fn check(stream: &[u8], shape: Shape) -> Result<bool, ImageError> {
    let damage = || damaged("the headers of its JPEG 2000 stream are damaged");
    let size = segment(stream, 2).ok_or_else(damage)?.1;
    let size = Size::of(size).ok_or_else(damage)?;
    let sides = [shape.columns, shape.rows, 0, 0].map(|v| v as u64);
    if size.area[..4] != sides || size.area[6..] != [0, 0] || size.components != shape.samples {
        return Err(damaged("its JPEG 2000 stream has another size"));
    }
    let (mut at, mut part_end) = (2, None);
    loop {
        if stream.get(at..at + 2) == Some(&[0xff, SOD]) {
            at = part_end.take().filter(|&end| end > at).ok_or_else(damage)?;
            match stream.get(at..at + 2) {
                None | Some([0xff, EOC]) => return Ok(size.signed),
                Some(_) => continue,
            }
        }
        let (marker, content) = segment(stream, at).ok_or_else(damage)?;
        match marker {
            COD => size.check_blocks(content, shape)?,
            // Of one component: its number and what else COD says.
            COC => {
                let style = content.get(1..).unwrap_or_default();
                let (flags, rest) = style.split_first().ok_or_else(damage)?;
                size.check_blocks(&[&[*flags, 0, 0, 0, 0], rest].concat(), shape)?;
            }
            POC | PPM | PPT => {
                let found = "in a JPEG 2000 stream with an order of its own".into();
                return Err(ImageError::Dicom { found });
            }
            SOT => {
                // Number, length of the part, which of how many.
                let length = content.get(2..6).ok_or_else(damage)?;
                let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
                part_end = Some(match length as usize {
                    0 => stream.len(),
                    length => at.saturating_add(length).min(stream.len()),
                });
            }
            _ => {}
        }
        at += 4 + content.len();
    }
}

/// What segment SIZ says (ISO/IEC 15444-1 A.5.1).
struct Size {
    /// Width and height, the same of the offset, of a tile, of its offset.
    area: [u64; 8],
    components: usize,
    signed: bool,
}

impl Size {
    fn of(segment: &[u8]) -> Option<Size> {
        let words = segment.get(2..34)?.chunks_exact(4);
        let mut area = [0; 8];
        for (to, word) in area.iter_mut().zip(words) {
            *to = u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        }
        let components = usize::from(u16::from_be_bytes([*segment.get(34)?, *segment.get(35)?]));
        let each = segment.get(36..36 + 3 * components)?;
        let depth = *each.first()?;
        // All of one depth, none at a lower resolution.
        let plain = each.chunks_exact(3).all(|c| c == [depth, 1, 1]);
        let tiles = area[4] > 0 && area[5] > 0;
        let signed = depth & 0x80 != 0;
        (plain && tiles && depth & 0x7f < 32).then_some(Size { area, components, signed })
    }

    /// Refuses more blocks than such a frame has.
    fn check_blocks(&self, style: &[u8], shape: Shape) -> Result<(), ImageError> {
        match self.blocks(style) {
            None => Err(damaged("the headers of its JPEG 2000 stream are damaged")),
            Some(blocks)
                if blocks
                    > FEW_BLOCKS.max(shape.area() * shape.samples / SAMPLES_A_BLOCK) as u64 =>
            {
                Err(damaged("its JPEG 2000 stream announces more blocks than it has"))
            }
            Some(_) => Ok(()),
        }
    }

    /// How many tiles, precincts and blocks there are with such a segment COD (A.6.1).
    fn blocks(&self, style: &[u8]) -> Option<u64> {
        let [width, height, _, _, tile_width, tile_height, ..] = self.area;
        let tile = [tile_width.min(width), tile_height.min(height)];
        let tiles = width.div_ceil(tile_width).checked_mul(height.div_ceil(tile_height))?;
        let levels = *style.get(5)?;
        let block = [*style.get(6)?, *style.get(7)?].map(|bits| u32::from(bits & 0xf) + 2);
        let precincts = style.get(10..).filter(|_| style[0] & 1 != 0);
        if levels > MAX_LEVELS {
            return None;
        }
        let mut count = 1u64;
        for level in 0..=levels {
            let precinct = match precincts {
                None => [15, 15],
                Some(sizes) => {
                    let both = *sizes.get(usize::from(level))?;
                    [u32::from(both & 0xf), u32::from(both >> 4)]
                }
            };
            let shrunk = u32::from(levels - level);
            let many = |side: u64, bits: u32| (side >> shrunk.min(63) >> bits) + 2;
            let within = |axis: usize| many(tile[axis], block[axis].min(precinct[axis]));
            let areas = many(tile[0], precinct[0]).checked_mul(many(tile[1], precinct[1]))?;
            count = count.checked_add(areas.checked_add(within(0).checked_mul(within(1))?)?)?;
        }
        tiles.checked_mul(count)?.checked_mul(self.components as u64)
    }
}
