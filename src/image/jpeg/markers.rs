//! The markers of JPEG and JPEG-LS streams, one after the other (ITU-T T.81, annex B).

pub(crate) const SOI: u8 = 0xd8;
pub(crate) const EOI: u8 = 0xd9;
/// A scan, whose codes lie behind its segment.
pub(crate) const SOS: u8 = 0xda;
/// The restart interval.
pub(crate) const DRI: u8 = 0xdd;
/// Says of itself whether it is Adobe's.
pub(crate) const APP14: u8 = 0xee;

const CUT: &str = "its JPEG stream is cut off";

/// A stream, read marker by marker. Takes no memory.
pub(crate) struct Markers<'a> {
    rest: &'a [u8],
}

impl<'a> Markers<'a> {
    /// Behind the marker with which a stream begins.
    ///
    /// # Errors
    /// What is wrong, as of all its functions: bytes that begin with another.
    pub(crate) fn of(stream: &'a [u8]) -> Result<Self, &'static str> {
        let rest = stream.strip_prefix(&[0xff, SOI]).ok_or("its JPEG stream has no beginning")?;
        Ok(Markers { rest })
    }

    /// The next marker that has a segment, and what it holds; nothing at the end of the picture. Behind a
    /// scan's follow its codes, which [`Markers::skip_codes`] passes.
    pub(crate) fn step(&mut self) -> Result<Option<(u8, &'a [u8])>, &'static str> {
        loop {
            match self.marker()? {
                EOI => return Ok(None),
                // No length follows: of a restart outside a scan, and what stands for itself.
                0x01 | 0xd0..=0xd7 => {}
                SOI => return Err("its JPEG stream begins twice"),
                marker => return Ok(Some((marker, self.segment()?))),
            }
        }
    }

    /// What lies behind the last marker's segment: of a scan, its codes.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Passes over the codes of a scan: up to a marker that is no restart.
    pub(crate) fn skip_codes(&mut self) {
        let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
        // Without an end the next step finds that there is none.
        let end = self.rest.windows(2).position(is_end).unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }

    /// Passes over what is left of a scan of which `rest` was not read.
    pub(crate) fn skip_to_end_of(&mut self, rest: &'a [u8]) {
        self.rest = rest;
        self.skip_codes();
    }

    /// Goes on at `behind`, which lies behind the codes of a scan.
    pub(super) fn skip_to(&mut self, behind: &'a [u8]) {
        self.rest = behind;
    }

    /// The next marker, behind any number of bytes that fill up.
    fn marker(&mut self) -> Result<u8, &'static str> {
        loop {
            match *self.rest {
                [0xff, 0xff, ..] => self.rest = &self.rest[1..],
                [0xff, 0x00, ..] => return Err("its JPEG stream has codes outside a scan"),
                [0xff, marker, ref behind @ ..] => {
                    self.rest = behind;
                    return Ok(marker);
                }
                [] | [0xff] => return Err(CUT),
                _ => return Err("its JPEG stream has something else than a marker"),
            }
        }
    }

    /// What belongs to a marker; its length counts itself.
    fn segment(&mut self) -> Result<&'a [u8], &'static str> {
        let (&length, behind) = self.rest.split_first_chunk::<2>().ok_or(CUT)?;
        let length = usize::from(u16::from_be_bytes(length)).checked_sub(2).ok_or(CUT)?;
        let (segment, behind) = behind.split_at_checked(length).ok_or(CUT)?;
        self.rest = behind;
        Ok(segment)
    }
}
