//! Whether a PNM file holds one picture of the samples that it allows, and nothing else.

use crate::{ImageError, ImageFormat};

const FORMAT: ImageFormat = ImageFormat::Pnm;

/// What follows the picture: another one, or bytes that nobody reads.
pub(crate) fn excess(rest: &[u8], bytes: u64) -> ImageError {
    match rest.trim_ascii_start() {
        [b'P', b'1'..=b'7', b, ..] if b.is_ascii_whitespace() => {
            ImageError::Several { format: FORMAT, what: "another follows the first".into() }
        }
        _ => ImageError::Trailing { format: FORMAT, bytes: bytes as usize },
    }
}

/// Refuses a whole file of several pictures, with bytes behind its picture, or with samples above what it says is the
/// largest. What cannot be read so far is left to the decoder, and so are files that end too early.
pub(crate) fn check(bytes: &[u8]) -> Result<(), ImageError> {
    let Some(file) = File::of(bytes) else { return Ok(()) };
    if file.text { file.check_text() } else { file.check_binary() }
}

struct File<'a> {
    /// Whether samples are numbers in text, and whether they are single digits.
    text: bool,
    bits: bool,
    width: usize,
    /// Bytes of a row, or its samples in text.
    row: usize,
    height: usize,
    channels: usize,
    most: u32,
    data: &'a [u8],
}

impl<'a> File<'a> {
    fn of(bytes: &'a [u8]) -> Option<File<'a>> {
        let (magic, rest) = bytes.split_at_checked(2)?;
        let mut at = Tokens(rest);
        let (text, bits, channels) = match magic {
            b"P1" => (true, true, 1),
            b"P2" => (true, false, 1),
            b"P3" => (true, false, 3),
            b"P4" => (false, true, 1),
            b"P5" => (false, false, 1),
            b"P6" => (false, false, 3),
            b"P7" => return File::of_pam(bytes),
            _ => return None,
        };
        let (width, height) = (at.number()? as usize, at.number()? as usize);
        let most = if bits { 1 } else { at.number()? };
        let samples = width.checked_mul(channels)?;
        let row = match (text, bits, most) {
            (false, true, _) => samples.div_ceil(8),
            (false, false, 256..) => samples.checked_mul(2)?,
            _ => samples,
        };
        Some(File { text, bits, width, row, height, channels, most, data: at.0 })
    }

    /// PAM: lines of a name and a number up to ENDHDR.
    fn of_pam(bytes: &'a [u8]) -> Option<File<'a>> {
        const END: &[u8] = b"\nENDHDR\n";
        let end = bytes.windows(END.len()).position(|part| part == END)?;
        let header = std::str::from_utf8(&bytes[..end]).ok()?;
        let number = |name: &str| {
            let rest = header.lines().find_map(|line| line.trim().strip_prefix(name))?;
            rest.trim().parse::<u32>().ok()
        };
        let [width, height, channels] = ["WIDTH", "HEIGHT", "DEPTH"].map(number);
        let (width, channels) = (width? as usize, channels? as usize);
        let most = number("MAXVAL")?;
        let row = width.checked_mul(channels)?.checked_mul(if most > 255 { 2 } else { 1 })?;
        let (height, data) = (height? as usize, &bytes[end + END.len()..]);
        Some(File { text: false, bits: false, width, row, height, channels, most, data })
    }

    fn check_binary(&self) -> Result<(), ImageError> {
        let Some(length) = self.row.checked_mul(self.height) else { return Ok(()) };
        if self.data.len() > length {
            let rest = &self.data[length..];
            return Err(excess(rest, rest.len() as u64));
        }
        let full = if self.most > 255 { u16::MAX.into() } else { u8::MAX.into() };
        if self.bits || self.most >= full {
            return Ok(());
        }
        let two = self.most > 255;
        let sample = |i: usize| {
            if two {
                u32::from(self.data[2 * i]) << 8 | u32::from(self.data[2 * i + 1])
            } else {
                self.data[i].into()
            }
        };
        let samples = self.data.len() / if two { 2 } else { 1 };
        (0..samples).try_for_each(|i| self.judge(i, sample(i)))
    }

    fn check_text(&self) -> Result<(), ImageError> {
        let Some(samples) = self.row.checked_mul(self.height) else { return Ok(()) };
        let mut at = Tokens(self.data);
        for i in 0..samples {
            let value = if self.bits { at.digit() } else { at.number() };
            match value {
                Some(value) => self.judge(i, value)?,
                // Too few, or none: the decoder says so.
                None => return Ok(()),
            }
        }
        let mut rest = at.0.trim_ascii();
        while rest.starts_with(b"#") {
            let end = rest.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(rest.len());
            rest = rest[end..].trim_ascii();
        }
        if rest.is_empty() { Ok(()) } else { Err(excess(rest, rest.len() as u64)) }
    }

    fn judge(&self, sample: usize, value: u32) -> Result<(), ImageError> {
        if value <= self.most {
            Ok(())
        } else {
            let (pixel, most) = (sample / self.channels, self.most);
            let (row, column) = (pixel / self.width, pixel % self.width);
            Err(ImageError::AboveMost { row, column, value, most })
        }
    }
}

/// The bytes that are left.
struct Tokens<'a>(&'a [u8]);

impl Tokens<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// A number and the one blank behind it; a comment goes to the end of its line, which ends no number.
    fn number(&mut self) -> Option<u32> {
        let (mut value, mut comment) = (None::<u32>, false);
        loop {
            match self.next() {
                None => return value,
                Some(b'\r' | b'\n') if comment => comment = false,
                Some(_) if comment => {}
                Some(b'#') => comment = true,
                Some(b) if b.is_ascii_whitespace() || b == 0x0b => {
                    if value.is_some() {
                        return value;
                    }
                }
                Some(digit @ b'0'..=b'9') => {
                    let digit = u32::from(digit - b'0');
                    value = Some(value.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                }
                Some(_) => return None,
            }
        }
    }

    /// A digit, which needs no blank behind it.
    fn digit(&mut self) -> Option<u32> {
        loop {
            match self.next()? {
                digit @ b'0'..=b'9' => return Some(u32::from(digit - b'0')),
                b if b.is_ascii_whitespace() => {}
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_hold_one_picture_of_allowed_samples() {
        let good: [&[u8]; 8] = [
            b"P1 3 2\n101 010\n",
            b"P2 3 2 7\n1 2 3 4 5 6 # end\n",
            b"P2 3 2 7\n1 2 3 4 5 6",
            b"P3 1 2 7\n1 2 3 4 5 6\n",
            b"P4 3 2\n\xa0\x40",
            b"P5 3 2 7\n\x01\x02\x03\x04\x05\x06",
            b"P5 1 2 300\n\x01\x02\x00\x04",
            b"P7\nWIDTH 3\nHEIGHT 1\nDEPTH 2\nMAXVAL 7\nTUPLTYPE x\nENDHDR\n\x01\x02\x03\x04\x05\x06",
        ];
        for file in good {
            assert!(check(file).is_ok(), "{file:?}");
            let again = [file, b"\n", file].concat();
            let error = check(&again).unwrap_err();
            if !file.contains(&b'#') && file.last() != Some(&b'6') {
                assert!(matches!(error, ImageError::Several { .. }), "{file:?} {error}");
            }
            if !matches!(file[1], b'1'..=b'3') {
                let longer = [file, b"\0"].concat();
                let error = check(&longer).unwrap_err();
                assert!(matches!(error, ImageError::Trailing { bytes: 1, .. }), "{error}");
            }
        }
        for file in [
            &b"P2 3 2 5\n1 2 3 4 5 6 "[..],
            b"P5 3 2 5\n\x01\x02\x03\x04\x05\x06",
            b"P1 3 2\n001002",
        ] {
            let error = check(file).unwrap_err();
            let last = matches!(error, ImageError::AboveMost { row: 1, column: 2, .. });
            assert!(last, "{error}");
        }
        assert!(check(b"P2 2 1 9\n1 2 3\n").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(kind in b'0'..=b'9', tail: Vec<u8>, numbers: [u8; 3]) {
            let [a, b, c] = numbers;
            let _ = check(&[b"P", &[kind][..], &tail].concat());
            let _ = check(&[format!("P{} {a} {b} {c}\n", kind as char).as_bytes(), &tail].concat());
        }
    }
}
