//! Whether a stream holds its whole picture: a decoder fills up with grey, or with what it decoded last,
//! and says nothing.
//!
//! The codes of all scans are gone through as a decoder does it, without making a picture of them. Every
//! scan has all its blocks and nothing behind them, restarts come where and in the order in which they
//! are due, each component has its scan, and a progressive picture is refined to the last bit. Takes time
//! by the bytes and the scans, which were counted, and 8 bytes a block of a progressive picture, once a
//! bit of each was found.

use super::layout::Layout;
use super::markers::{Markers, SOS};
use super::scan::{Kind, Member, Scan};
use super::tables::Tables;
use super::{Frame, Process};

const SCAN: &str = "its JPEG stream has a damaged scan";
const MISSING: &str = "its JPEG stream lacks the scan of a component";
const TWICE: &str = "its JPEG stream has two scans of a component";
const ORDER: &str = "its JPEG stream refines what it did not say before";
const UNREFINED: &str =
    "its JPEG stream is progressive and not refined to the last bit: scans are missing";

const WAVES: usize = 64;
/// The bits of a coefficient that were not said yet, before the first scan.
const ALL: u8 = u8::MAX;

/// Refuses a stream whose markers were read, and whose `frame` has no more pixels than a picture, if it
/// is not whole.
pub(super) fn check(stream: &[u8], frame: &Frame) -> Result<(), &'static str> {
    let mut markers = Markers::of(stream)?;
    let mut tables = Tables::default();
    let mut picture: Option<Picture> = None;
    while let Some((marker, segment)) = markers.step()? {
        match marker {
            0xc0..=0xc3 => picture = Some(Picture::of(Layout::of(frame, segment)?)),
            SOS => {
                let picture = picture.as_mut().ok_or(SCAN)?;
                let behind = picture.scan(frame, &tables, segment, markers.rest())?;
                markers.skip_to(behind);
            }
            _ => tables.read(marker, segment)?,
        }
    }
    picture.ok_or(SCAN)?.finish(frame.process)
}

/// What the scans so far have said.
struct Picture {
    layout: Layout,
    /// By component.
    said: Vec<Said>,
}

/// What was said of a component.
#[derive(Clone)]
struct Said {
    /// Of each coefficient, how many of the last bits are not said yet.
    left: [u8; WAVES],
    /// Of each block, the waves that are not zero.
    known: Vec<u64>,
}

impl Picture {
    fn of(layout: Layout) -> Picture {
        let said = Said { left: [ALL; WAVES], known: Vec::new() };
        Picture { said: vec![said; layout.components.len()], layout }
    }

    /// Goes through the scan of this segment, whose codes `data` begins with; gives what lies behind.
    fn scan<'a>(
        &mut self,
        frame: &Frame,
        tables: &Tables,
        segment: &[u8],
        data: &'a [u8],
    ) -> Result<&'a [u8], &'static str> {
        let (&count, rest) = segment.split_first().ok_or(SCAN)?;
        let (list, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or(SCAN)?;
        let &[first, last, both] = rest else { return Err(SCAN) };
        if list.is_empty() {
            return Err(SCAN);
        }
        let part = Part { first, last, high: both >> 4, low: both & 15 };
        let kind = kind(frame.process, part)?;
        let mut members = Vec::new();
        for pair in list.chunks_exact(2) {
            let member = self.member(kind, tables, pair[0], pair[1])?;
            if members.iter().any(|other: &Member<'_>| other.component == member.component) {
                return Err(TWICE);
            }
            members.push(member);
        }
        let mut known = match (kind, &members[..]) {
            (Kind::Waves { .. } | Kind::FinerWaves { .. }, [one]) => {
                self.mark(one.component, part)?;
                let alone = self.layout.components[one.component].alone;
                let said = &mut self.said[one.component];
                said.known.resize(alone, 0);
                std::mem::take(&mut said.known)
            }
            (Kind::Waves { .. } | Kind::FinerWaves { .. }, _) => return Err(SCAN),
            (Kind::Means { .. } | Kind::FinerMeans, _) => {
                for member in &members {
                    self.mark(member.component, Part { first: 0, last: 0, ..part })?;
                }
                Vec::new()
            }
            (Kind::Sequential | Kind::Lossless, _) => {
                for member in &members {
                    let left = &mut self.said[member.component].left;
                    if std::mem::replace(left, [0; WAVES]) != [ALL; WAVES] {
                        return Err(TWICE);
                    }
                }
                Vec::new()
            }
        };
        let scan = Scan { kind, members, bits: frame.bits };
        let behind = scan.walk(data, &self.layout, tables, &mut known)?;
        if !known.is_empty() {
            self.said[scan.members[0].component].known = known;
        }
        Ok(behind)
    }

    /// The component of this id with its tables, of which a scan of this kind has use for.
    fn member<'t>(
        &self,
        kind: Kind,
        tables: &'t Tables,
        id: u8,
        numbers: u8,
    ) -> Result<Member<'t>, &'static str> {
        let place = self.layout.components.iter().position(|component| component.id == id);
        let component = place.ok_or(SCAN)?;
        let means = matches!(kind, Kind::Sequential | Kind::Means { .. } | Kind::Lossless);
        let waves = matches!(kind, Kind::Sequential | Kind::Waves { .. } | Kind::FinerWaves { .. });
        let means = means.then(|| tables.code(0, numbers >> 4)).transpose()?;
        let waves = waves.then(|| tables.code(1, numbers & 15)).transpose()?;
        let number = usize::from(self.layout.components[component].steps);
        let step = match kind {
            Kind::Lossless => 0,
            _ => tables.steps.get(number).and_then(Option::as_ref).ok_or(SCAN)?[0],
        };
        Ok(Member { component, means, waves, step })
    }

    /// Notes that a progressive scan says these coefficients from the `high`th of the last bits down to
    /// the `low`th.
    fn mark(
        &mut self,
        component: usize,
        Part { first, last, high, low }: Part,
    ) -> Result<(), &'static str> {
        let left = &mut self.said[component].left;
        // A mean comes before all waves.
        if first > 0 && left[0] == ALL {
            return Err(ORDER);
        }
        let before = if high == 0 { ALL } else { high };
        let band = &mut left[usize::from(first)..=usize::from(last)];
        if band.iter().any(|&left| left != before) {
            return Err(ORDER);
        }
        band.fill(low);
        Ok(())
    }

    fn finish(self, process: Process) -> Result<(), &'static str> {
        let whole = self.said.iter().all(|said| said.left == [0; WAVES]);
        match process {
            _ if whole => Ok(()),
            Process::Progressive => Err(UNREFINED),
            _ => Err(MISSING),
        }
    }
}

/// Which part of the coefficients a scan says: from the first to the last of a block (Ss, Se of ISO 10918-1), and of them
/// the bits from `high` down to `low` (Ah, Al).
#[derive(Clone, Copy)]
struct Part {
    first: u8,
    last: u8,
    high: u8,
    low: u8,
}

/// What a scan of a process is by the part that it says.
fn kind(process: Process, part: Part) -> Result<Kind, &'static str> {
    let Part { first, last, high, low } = part;
    match process {
        // Some encoders write anything for coefficients that are all there.
        Process::Baseline | Process::Extended => return Ok(Kind::Sequential),
        Process::Lossless => return Ok(Kind::Lossless),
        Process::Progressive => {}
    }
    if low > 13 || high > 0 && high != low + 1 {
        return Err(SCAN);
    }
    let band = (usize::from(first), usize::from(last));
    match (band, high) {
        ((0, 0), 0) => Ok(Kind::Means { low: low.into() }),
        ((0, 0), _) => Ok(Kind::FinerMeans),
        ((first @ 1.., last @ ..WAVES), 0) if first <= last => Ok(Kind::Waves { first, last }),
        ((first @ 1.., last @ ..WAVES), _) if first <= last => Ok(Kind::FinerWaves { first, last }),
        _ => Err(SCAN),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Process, frame};
    use crate::ImageFormat;
    use proptest::prelude::*;

    macro_rules! fixture {
        ($name:literal) => {
            ($name, &include_bytes!(concat!("../../../fixtures/streams/", $name))[..])
        };
    }

    fn fixtures() -> Vec<(&'static str, &'static [u8])> {
        vec![
            fixture!("grey.jpg"),
            fixture!("restarts.jpg"),
            fixture!("optimised-420.jpg"),
            fixture!("colour-422.jpg"),
            fixture!("progressive.jpg"),
            fixture!("progressive-444.jpg"),
            fixture!("progressive-420.jpg"),
            fixture!("lossless-8.ljpg"),
            fixture!("lossless-12.ljpg"),
        ]
    }

    fn check(stream: &[u8]) -> Result<(), String> {
        let all = [Process::Baseline, Process::Extended, Process::Progressive, Process::Lossless];
        frame(ImageFormat::Jpeg, stream, &all).map(drop).map_err(|e| e.to_string())
    }

    fn ended(stream: &[u8]) -> Vec<u8> {
        [stream, &[0xff, 0xd9]].concat()
    }

    #[test]
    fn every_cut_is_refused_with_and_without_an_end() {
        for (name, stream) in fixtures() {
            assert_eq!(check(stream), Ok(()), "{name}");
            // Without its last marker only, and with it again, nothing is missing.
            for length in 0..stream.len() - 2 {
                assert!(check(&stream[..length]).is_err(), "{name}, {length} bytes");
                assert!(check(&ended(&stream[..length])).is_err(), "{name}, {length} and an end");
            }
        }
    }

    /// The places of these markers.
    fn places(stream: &[u8], marker: std::ops::RangeInclusive<u8>) -> Vec<usize> {
        let is = |pair: &[u8]| pair[0] == 0xff && marker.contains(&pair[1]);
        stream.windows(2).enumerate().filter(|(_, pair)| is(pair)).map(|(i, _)| i).collect()
    }

    #[test]
    fn restarts_out_of_order_are_refused() {
        let (_, stream) = fixture!("restarts.jpg");
        let restarts = places(stream, 0xd0..=0xd7);
        assert!(restarts.len() > 8);
        for place in &restarts {
            for marker in (0xd0..=0xd7).filter(|marker| *marker != stream[place + 1]) {
                let mut other = stream.to_vec();
                other[place + 1] = marker;
                assert!(check(&other).unwrap_err().contains("restart"), "{place}: {marker:x}");
            }
        }
        for pair in restarts.windows(2) {
            let without = [&stream[..pair[0]], &stream[pair[1]..]].concat();
            assert!(check(&without).is_err(), "without the part at {}", pair[0]);
            let twice = [&stream[..pair[1]], &stream[pair[0]..]].concat();
            assert!(check(&twice).is_err(), "the part at {} twice", pair[0]);
        }
    }

    #[test]
    fn a_progressive_picture_has_all_its_scans_in_order() {
        let (_, stream) = fixture!("progressive-444.jpg");
        let mut scans = places(stream, 0xda..=0xda);
        assert!(scans.len() > 8);
        scans.push(stream.len() - 2);
        for pair in scans.windows(2) {
            let without = [&stream[..pair[0]], &stream[pair[1]..]].concat();
            let words = check(&without).unwrap_err();
            assert!(!words.contains("damaged"), "{words}");
            let twice = [&stream[..pair[1]], &stream[pair[0]..]].concat();
            assert!(check(&twice).is_err());
        }
    }

    #[test]
    fn harmless_oddities_are_taken() {
        for (name, stream) in fixtures() {
            let (body, end) = stream.split_at(stream.len() - 2);
            let odd: [&[&[u8]]; 5] = [
                &[body, &[0xff, 0xff], end],
                &[body, &[0], end],
                &[body, &[0xff, 0], end],
                &[stream, &[1, 2, 3]],
                // A comment.
                &[body, &[0xff, 0xfe, 0, 3, 7], end],
            ];
            for parts in odd {
                assert_eq!(check(&parts.concat()), Ok(()), "{name}");
            }
            let more = [body, &[0x12, 0x34, 0x56], end].concat();
            assert!(check(&more).is_err(), "{name}");
        }
    }

    /// Nearly always a code, a block or a marker is wrong by them.
    #[test]
    fn overwritten_bytes_are_refused_where_the_stream_shows_them() {
        for (name, stream) in fixtures() {
            let codes = places(stream, 0xda..=0xda)[0] + 14;
            let mut random = 1u32;
            let mut refused = 0;
            let places: Vec<usize> = (codes..stream.len() - 42).collect();
            for &place in &places {
                let mut other = stream.to_vec();
                other[place..place + 40].fill_with(|| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (random >> 24) as u8
                });
                refused += usize::from(check(&other).is_err());
            }
            assert!(100 * refused >= 80 * places.len(), "{name}: {refused} of {}", places.len());
        }
    }

    /// The end marker that a file must have is there.
    #[test]
    fn files_are_looked_at() {
        let (_, stream) = fixture!("progressive.jpg");
        assert!(ImageFormat::Jpeg.decode(stream).is_ok());
        for percent in [30, 50, 70, 90] {
            let cut = ended(&stream[..stream.len() * percent / 100]);
            let words = ImageFormat::Jpeg.decode(&cut).unwrap_err().to_string();
            assert!(words.contains("its JPEG stream"), "{percent} %: {words}");
        }
    }

    proptest! {
        #[test]
        fn overwritten_bytes_never_panic(which in 0usize..9, at: prop::sample::Index, bytes: [u8; 32]) {
            let (_, stream) = fixtures()[which];
            let mut stream = stream.to_vec();
            let at = at.index(stream.len() - 32);
            stream[at..at + 32].copy_from_slice(&bytes);
            let _ = check(&stream);
        }
    }
}
