//! The codes of one scan, unit by unit (ITU-T T.81, F.2, G.2 and H.2).

use super::bits::{Bits, LEFT_OVER};
use super::huffman::{Code, NO_CODE};
use super::layout::Layout;
use super::tables::Tables;

const RANGE: &str = "its JPEG stream has a block brighter or darker than any picture";
const WAVES: usize = 64;

/// What the codes of a scan say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole blocks.
    Sequential,
    /// Their means, without so many last bits.
    Means { low: u32 },
    /// A bit more of their means.
    FinerMeans,
    /// Some waves of them.
    Waves { first: usize, last: usize },
    /// A bit more of these waves.
    FinerWaves { first: usize, last: usize },
    /// Differences of samples.
    Lossless,
}

/// A component of a scan.
pub(super) struct Member<'t> {
    /// Its place in the frame.
    pub(super) component: usize,
    /// The codes of its means, and of its waves, where the scan has such.
    pub(super) means: Option<&'t Code>,
    pub(super) waves: Option<&'t Code>,
    /// The step of its means.
    pub(super) step: u16,
}

/// A scan whose codes are gone through.
pub(super) struct Scan<'t> {
    pub(super) kind: Kind,
    pub(super) members: Vec<Member<'t>>,
    /// Bits of a sample.
    pub(super) bits: u8,
}

impl Scan<'_> {
    /// Goes through the codes at the beginning of `data`; gives what lies behind them. `known` says which
    /// waves of each block are not zero, of a scan of waves.
    pub(super) fn walk<'a>(
        &self,
        data: &'a [u8],
        layout: &Layout,
        tables: &Tables,
        known: &mut [u64],
    ) -> Result<&'a [u8], &'static str> {
        let parts: Vec<usize> = match &self.members[..] {
            [_] => vec![1],
            several => several.iter().map(|m| layout.components[m.component].in_group).collect(),
        };
        let groups = match &self.members[..] {
            [one] => layout.components[one.component].alone,
            _ => layout.groups,
        };
        let mut bits = Bits::of(data);
        let mut state = State::default();
        for group in 0..groups {
            if tables.restart > 0 && group > 0 && group % tables.restart == 0 {
                state.end()?;
                bits.restart(group / tables.restart - 1)?;
                state = State::default();
            }
            for (place, (member, &units)) in self.members.iter().zip(&parts).enumerate() {
                for _ in 0..units {
                    let known = known.get_mut(group);
                    self.unit(member, &mut bits, &mut state, place, known)?;
                }
            }
        }
        state.end()?;
        // A last restart has nothing behind it, but some encoders write it.
        if tables.restart > 0 && groups % tables.restart == 0 {
            let mut after = Bits::of(bits.end()?);
            if after.restart(groups / tables.restart - 1).is_ok() {
                return after.end();
            }
        }
        bits.end()
    }

    fn unit(
        &self,
        member: &Member<'_>,
        bits: &mut Bits<'_>,
        state: &mut State,
        place: usize,
        known: Option<&mut u64>,
    ) -> Result<(), &'static str> {
        let means = || member.means.ok_or(NO_CODE);
        let waves = || member.waves.ok_or(NO_CODE);
        match (self.kind, known) {
            (Kind::Sequential, _) => {
                self.mean(means()?, member.step, 0, bits, &mut state.means[place])?;
                block(waves()?, bits)
            }
            (Kind::Means { low }, _) => {
                self.mean(means()?, member.step, low, bits, &mut state.means[place])
            }
            (Kind::FinerMeans, _) => bits.take(1).map(drop),
            (Kind::Waves { first, last }, Some(known)) => {
                state.waves(waves()?, first, last, bits, known)
            }
            (Kind::FinerWaves { first, last }, Some(known)) => {
                state.finer_waves(waves()?, first, last, bits, known)
            }
            (Kind::Waves { .. } | Kind::FinerWaves { .. }, None) => Err(LEFT_OVER),
            (Kind::Lossless, _) => match means()?.symbol(bits)? {
                category @ 0..=16 => bits.difference(category).map(drop),
                _ => Err(NO_CODE),
            },
        }
    }

    /// The mean of a block: the difference from the one before it.
    fn mean(
        &self,
        code: &Code,
        step: u16,
        low: u32,
        bits: &mut Bits<'_>,
        mean: &mut i64,
    ) -> Result<(), &'static str> {
        let category = code.symbol(bits)?;
        if category > 15 {
            return Err(NO_CODE);
        }
        *mean += i64::from(bits.difference(category)?);
        // Eight times what the middle is from white; rounding may add as much again.
        let most = 1i64 << (self.bits + 3);
        if (*mean << low).abs() * i64::from(step) <= most { Ok(()) } else { Err(RANGE) }
    }
}

/// What lasts from block to block.
#[derive(Default)]
struct State {
    means: [i64; 4],
    /// Blocks without further waves.
    run: u32,
}

impl State {
    /// No run may reach beyond the last block.
    fn end(&self) -> Result<(), &'static str> {
        if self.run == 0 { Ok(()) } else { Err(LEFT_OVER) }
    }

    fn waves(
        &mut self,
        code: &Code,
        first: usize,
        last: usize,
        bits: &mut Bits<'_>,
        known: &mut u64,
    ) -> Result<(), &'static str> {
        if self.run > 0 {
            self.run -= 1;
            return Ok(());
        }
        let mut k = first;
        while k <= last {
            let symbol = code.symbol(bits)?;
            let (zeros, category) = (symbol >> 4, symbol & 15);
            match (zeros, category) {
                (15, 0) => k += 16,
                (run, 0) => {
                    self.run = (1 << run) - 1 + bits.take(run.into())?;
                    return Ok(());
                }
                (zeros, category) => {
                    k += usize::from(zeros);
                    if k > last {
                        return Err(NO_CODE);
                    }
                    bits.difference(category)?;
                    *known |= 1 << k;
                    k += 1;
                }
            }
        }
        if k == last + 1 { Ok(()) } else { Err(NO_CODE) }
    }

    fn finer_waves(
        &mut self,
        code: &Code,
        first: usize,
        last: usize,
        bits: &mut Bits<'_>,
        known: &mut u64,
    ) -> Result<(), &'static str> {
        let before = *known;
        let mut k = first;
        while k <= last && self.run == 0 {
            let symbol = code.symbol(bits)?;
            let (mut zeros, category) = (symbol >> 4, symbol & 15);
            match (zeros, category) {
                (15, 0) => {}
                (run, 0) => {
                    self.run = (1 << run) + bits.take(run.into())?;
                    break;
                }
                (_, 1) => bits.take(1).map(drop)?,
                _ => return Err(NO_CODE),
            }
            // Up to the wave behind so many that are zero; the others on the way have a bit each.
            while k <= last {
                if before >> k & 1 != 0 {
                    bits.take(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if k > last {
                return Err(NO_CODE);
            }
            *known |= u64::from(category) << k;
            k += 1;
        }
        if self.run > 0 {
            let left = if k < WAVES { before >> k << k } else { 0 };
            let left = (left << (WAVES - 1 - last)).count_ones();
            for taken in (0..left).step_by(16) {
                bits.take((left - taken).min(16))?;
            }
            self.run -= 1;
        }
        Ok(())
    }
}

/// The waves of a whole block.
fn block(code: &Code, bits: &mut Bits<'_>) -> Result<(), &'static str> {
    let mut k = 1;
    while k < WAVES {
        let symbol = code.symbol(bits)?;
        match (symbol >> 4, symbol & 15) {
            (0, 0) => return Ok(()),
            (15, 0) => k += 16,
            (_, 0) => return Err(NO_CODE),
            (zeros, category) => {
                k += usize::from(zeros) + 1;
                bits.difference(category)?;
            }
        }
    }
    if k == WAVES { Ok(()) } else { Err(NO_CODE) }
}
