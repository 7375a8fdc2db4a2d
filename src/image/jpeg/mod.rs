//! What a JPEG stream says of itself, marker by marker, before a decoder sees it (ITU-T T.81, annex B).
//!
//! A decoder goes through the whole picture once a scan, and a scan that adds nothing is a dozen
//! bytes: 25,000 of them in 320 KB kept one busy for minutes. It takes memory by the sizes of the
//! frame, and that by a process that nobody asked for if there is another than was announced. So the
//! frame and the number of scans are known first. Then the codes are gone through, since a decoder
//! completes what is missing and says nothing ([`whole`]).

pub(super) mod bits;
pub(super) mod huffman;
mod layout;
pub(super) mod markers;
mod scan;
pub(super) mod tables;
mod whole;

use super::{ImageError, ImageFormat, checked_area};
use crate::network::MAX_PIXELS;
use markers::{APP14, Markers, SOS};

/// How samples are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// 8 bits, each component in one scan.
    Baseline,
    /// The same with more tables and 12 bits.
    Extended,
    /// Refined scan by scan.
    Progressive,
    /// By prediction.
    Lossless,
}

impl Process {
    /// Those of photographs as cameras and programs store them.
    pub(super) const PHOTOGRAPHS: &[Process] =
        &[Process::Baseline, Process::Extended, Process::Progressive];

    /// The process of a frame's marker, with Huffman codes; nothing for those of which no decoder is
    /// here.
    fn of(marker: u8) -> Option<Process> {
        match marker {
            0xc0 => Some(Process::Baseline),
            0xc1 => Some(Process::Extended),
            0xc2 => Some(Process::Progressive),
            0xc3 => Some(Process::Lossless),
            _ => None,
        }
    }

    /// The most scans of a frame.
    fn most_scans(self, frame: Frame) -> usize {
        match self {
            Process::Progressive => MAX_SCANS.min(MAX_VISITS / (frame.height * frame.width)),
            _ => frame.components,
        }
    }
}

/// Programs write about ten scans of a progressive image; one of each coefficient of three components
/// stays below this.
const MAX_SCANS: usize = 256;
/// The most pixels, those of all scans together: 16 scans of the largest image.
const MAX_VISITS: usize = 16 * MAX_PIXELS;

/// The frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) process: Process,
    /// Bits of a sample.
    pub(super) bits: u8,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) components: usize,
    /// Whether three components are luminance and two differences, if the stream says so in Adobe's way.
    pub(super) turned: Option<bool>,
}

/// The one frame of a stream that holds its whole picture, of a process that is `allowed` and with no
/// more scans than it has use for.
///
/// # Errors
/// [`ImageError::Header`] of `format`, in which the stream is, and sizes that no picture has.
pub(super) fn frame(
    format: ImageFormat,
    stream: &[u8],
    allowed: &[Process],
) -> Result<Frame, ImageError> {
    let header = |reason| ImageError::Header { format, reason };
    let frame = walk(stream, allowed).map_err(header)?;
    checked_area(frame.height, frame.width)?;
    whole::check(stream, &frame).map_err(header)?;
    Ok(frame)
}

/// What lies behind the end of a stream whose markers are whole.
pub(super) fn behind(stream: &[u8]) -> Option<&[u8]> {
    let mut markers = Markers::of(stream).ok()?;
    while let Some((marker, _)) = markers.step().ok()? {
        if marker == SOS {
            markers.skip_codes();
        }
    }
    Some(markers.rest())
}

fn walk(stream: &[u8], allowed: &[Process]) -> Result<Frame, &'static str> {
    let mut markers = Markers::of(stream)?;
    let (mut frame, mut turned): (Option<Frame>, _) = (None, None);
    let mut scans = 0;
    while let Some((marker, segment)) = markers.step()? {
        match marker {
            // Tables of codes and of arithmetic coding, and an extension's reserved marker.
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf => {
                let process = Process::of(marker).filter(|process| allowed.contains(process));
                let process = process
                    .ok_or("its JPEG stream is of another process than can be expected here")?;
                if frame.replace(read_frame(process, segment)?).is_some() {
                    return Err("its JPEG stream has several frames");
                }
            }
            SOS => {
                let frame = frame.ok_or("its JPEG stream has a scan before its frame")?;
                scans += 1;
                if scans > frame.process.most_scans(frame) {
                    return Err("its JPEG stream has more scans than any picture needs");
                }
                markers.skip_codes();
            }
            APP14 if segment.starts_with(b"Adobe") => {
                turned = segment.get(11).map(|&turn| turn == 1);
            }
            _ => {}
        }
    }
    match (frame, scans) {
        (Some(frame), 1..) => Ok(Frame { turned, ..frame }),
        _ => Err("its JPEG stream has no picture"),
    }
}

fn read_frame(process: Process, segment: &[u8]) -> Result<Frame, &'static str> {
    const OTHER: &str = "its JPEG stream has a frame of another length than it says";
    let &[bits, h0, h1, w0, w1, components, ref list @ ..] = segment else { return Err(OTHER) };
    let side = |bytes| usize::from(u16::from_be_bytes(bytes));
    let (height, width) = (side([h0, h1]), side([w0, w1]));
    let components = usize::from(components);
    if list.len() != 3 * components {
        return Err(OTHER);
    }
    if height == 0 || width == 0 || components == 0 {
        return Err("its JPEG stream says no size");
    }
    Ok(Frame { process, bits, height, width, components, turned: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stream of these markers with their segments.
    fn stream(parts: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = vec![0xff, 0xd8];
        for (marker, segment) in parts {
            out.extend([0xff, *marker]);
            out.extend((segment.len() as u16 + 2).to_be_bytes());
            out.extend(*segment);
            if *marker == 0xda {
                out.extend([0x12, 0xff, 0x00, 0xff, 0xd3, 0x34]);
            }
        }
        out.extend([0xff, 0xff, 0xd9]);
        out
    }

    const GREY: &[u8] = &[8, 0, 5, 1, 0, 1, 1, 0x11, 0];
    const SCAN: &[u8] = &[1, 1, 0, 0, 63, 0];

    #[test]
    fn a_frame_is_found_behind_what_does_not_matter() {
        let noise: &[u8] = &[0xff, 0xda, 0xff, 0xc2, 0xff, 0xd9];
        let found = walk(
            &stream(&[(0xe1, noise), (0xfe, noise), (0xc0, GREY), (0xda, SCAN)]),
            &[Process::Baseline],
        );
        let process = Process::Baseline;
        let (bits, height, width, components, turned) = (8, 5, 256, 1, None);
        assert_eq!(found, Ok(Frame { process, bits, height, width, components, turned }));
        let adobe = |turn: u8| [&b"Adobe\0d\0\0\0\0"[..], &[turn]].concat();
        for (turn, expected) in [(0, Some(false)), (1, Some(true))] {
            let bytes = stream(&[(0xc0, GREY), (0xee, &adobe(turn)), (0xda, SCAN)]);
            assert_eq!(walk(&bytes, &[Process::Baseline]).unwrap().turned, expected);
        }
    }

    #[test]
    fn processes_that_were_not_announced_are_refused() {
        for marker in [0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc9, 0xca, 0xcb, 0xcf] {
            let bytes = stream(&[(marker, GREY), (0xda, SCAN)]);
            assert_eq!(walk(&bytes, Process::PHOTOGRAPHS).is_ok(), marker <= 0xc2, "{marker:x}");
            assert_eq!(walk(&bytes, &[Process::Lossless]).is_ok(), marker == 0xc3, "{marker:x}");
        }
        let twice = stream(&[(0xc0, GREY), (0xda, SCAN), (0xc2, GREY), (0xda, SCAN)]);
        assert!(walk(&twice, Process::PHOTOGRAPHS).unwrap_err().contains("several frames"));
    }

    #[test]
    fn scans_are_counted() {
        let scans = |marker: u8, count: usize| {
            let mut parts = vec![(marker, GREY)];
            parts.extend(std::iter::repeat_n((0xda, SCAN), count));
            walk(&stream(&parts), Process::PHOTOGRAPHS)
        };
        assert!(scans(0xc0, 1).is_ok() && scans(0xc2, MAX_SCANS).is_ok());
        for (marker, count) in [(0xc0, 2), (0xc1, 2), (0xc2, MAX_SCANS + 1)] {
            assert!(scans(marker, count).unwrap_err().contains("more scans"), "{marker:x}");
        }
        assert!(scans(0xc0, 0).unwrap_err().contains("no picture"));
        assert!(walk(&stream(&[(0xda, SCAN)]), Process::PHOTOGRAPHS).is_err());
    }

    /// 4096x8192 pixels are an eighth of the largest image, which may have 16 scans.
    #[test]
    fn the_scans_of_a_large_image_are_fewer() {
        let large: &[u8] = &[8, 0x10, 0, 0x20, 0, 1, 1, 0x11, 0];
        for (count, good) in [(128, true), (129, false)] {
            let mut parts = vec![(0xc2, large)];
            parts.extend(std::iter::repeat_n((0xda, SCAN), count));
            assert_eq!(walk(&stream(&parts), Process::PHOTOGRAPHS).is_ok(), good, "{count} scans");
        }
    }

    #[test]
    fn every_cut_is_found() {
        let bytes = stream(&[(0xdb, &[0; 65]), (0xc0, GREY), (0xda, SCAN)]);
        assert!(walk(&bytes, Process::PHOTOGRAPHS).is_ok());
        for length in 0..bytes.len() {
            assert!(walk(&bytes[..length], Process::PHOTOGRAPHS).is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = walk(&bytes, Process::PHOTOGRAPHS);
            let _ = walk(&[&[0xff, 0xd8, 0xff, 0xc0][..], &bytes].concat(), Process::PHOTOGRAPHS);
        }
    }
}
