//! The tables of a stream, as they stand when a scan begins (ITU-T T.81, B.2.4).

use super::huffman::{Code, USUAL};

const DHT: u8 = 0xc4;
const DQT: u8 = 0xdb;
const DRI: u8 = 0xdd;
const APP0: u8 = 0xe0;

/// Coefficients of a block.
const BLOCK: usize = 64;

const DAMAGED: &str = "its JPEG stream has a damaged table";

/// The tables so far.
#[derive(Default)]
pub(crate) struct Tables {
    /// By class (means, waves) and number.
    codes: [[Option<Code>; 4]; 2],
    /// The steps of a block's coefficients by number, the mean's first, in the order of a stream.
    pub(crate) steps: [Option<[u16; BLOCK]>; 4],
    /// Units between two restarts, 0 without.
    pub(crate) restart: usize,
}

impl Tables {
    /// Takes what a segment defines; passes over those that define nothing.
    pub(crate) fn read(&mut self, marker: u8, segment: &[u8]) -> Result<(), &'static str> {
        match marker {
            DHT => self.read_codes(segment).ok_or(DAMAGED),
            DQT => self.read_steps(segment).ok_or(DAMAGED),
            DRI => {
                let interval = segment.try_into().map_err(|_| DAMAGED)?;
                self.restart = u16::from_be_bytes(interval).into();
                Ok(())
            }
            // A picture of a film, which may leave the usual codes out.
            APP0 if segment.starts_with(b"AVI1\0") => {
                for (head, counts, symbols) in USUAL {
                    let code = &mut self.codes[usize::from(head >> 4)][usize::from(head & 15)];
                    *code = code.take().or_else(|| Code::new(counts, symbols));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The code of a class and number.
    pub(crate) fn code(&self, class: usize, number: u8) -> Result<&Code, &'static str> {
        let found = self.codes[class].get(usize::from(number)).and_then(Option::as_ref);
        found.ok_or("its JPEG stream has a scan before its table of codes")
    }

    fn read_codes(&mut self, mut rest: &[u8]) -> Option<()> {
        while let Some((&head, behind)) = rest.split_first() {
            let (counts, behind) = behind.split_first_chunk::<16>()?;
            let all = counts.iter().map(|&n| usize::from(n)).sum();
            let (symbols, behind) = behind.split_at_checked(all)?;
            let class = self.codes.get_mut(usize::from(head >> 4))?;
            *class.get_mut(usize::from(head & 15))? = Some(Code::new(*counts, symbols)?);
            rest = behind;
        }
        Some(())
    }

    fn read_steps(&mut self, mut rest: &[u8]) -> Option<()> {
        while let Some((&head, behind)) = rest.split_first() {
            let width = match head >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let (values, behind) = behind.split_at_checked(BLOCK * width)?;
            let mut steps = [0; BLOCK];
            for (step, value) in steps.iter_mut().zip(values.chunks_exact(width)) {
                *step = value.iter().fold(0, |sum, &b| sum << 8 | u16::from(b));
            }
            *self.steps.get_mut(usize::from(head & 15))? = Some(steps);
            rest = behind;
        }
        Some(())
    }
}
