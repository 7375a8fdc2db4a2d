//! How many images a user may have denoised a day, and in all, and what their results may tell.
//!
//! The count is written and synced before the first slot of a request is taken, and nothing is given back: a
//! session that is cut counts. Days are those of the clock in UTC, and never go back.

use super::{CloudError, Denied};
use crate::files::FormatError;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::material::pair::divergence_of;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is read of the file: four numbers are shorter.
const MAX_LEN: u64 = 256;
const DAY: u64 = 24 * 3600;

/// A user's quota and the file of its count.
pub(super) struct Quota {
    pub(super) file: PathBuf,
    pub(super) a_day: u64,
    pub(super) in_all: Option<u64>,
    /// Bits of the advantage that all results together stay below; no end if none.
    pub(super) advantage_bits: Option<u32>,
}

/// Images that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// Days since 1970.
    day: u64,
    today: u64,
    in_all: u64,
    /// The sum of their divergences, in [`UNIT_BITS`].
    told: u128,
}

impl Count {
    /// From the line of a file.
    fn read(line: &str) -> Option<Count> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [day, today, in_all, told] = words[..] else { return None };
        let number = |word: &str| word.parse().ok();
        let (day, today, in_all) = (number(day)?, number(today)?, number(in_all)?);
        Some(Count { day, today, in_all, told: told.parse().ok()? })
    }
}

/// Divergences are counted in units of 2^-120, rounded up.
const UNIT_BITS: u32 = 120;

/// The day of the clock.
pub(super) fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY)
}

impl Quota {
    /// Images left on this day.
    ///
    /// # Errors
    /// [`CloudError::Format`] if the count cannot be read.
    pub(super) fn left(&self, day: u64) -> Result<u64, CloudError> {
        let count = self.count(day)?;
        let in_all = self.in_all.map_or(u64::MAX, |most| most.saturating_sub(count.in_all));
        Ok(self.a_day.saturating_sub(count.today).min(in_all))
    }

    /// Counts images, each of which adds a divergence of at most so many nats to what the user sees
    /// ([`super::exposure`]), durably, or refuses all of them. Divergences add up, and the advantage is the root of half of
    /// their sum: it is taken once, by comparing the sum with that of the limit.
    ///
    /// # Errors
    /// [`CloudError::Denied`] if fewer are left; [`CloudError::Format`].
    pub(super) fn take(&self, images: u64, divergence: f64, day: u64) -> Result<(), CloudError> {
        let count = self.count(day)?;
        let refuse = |limit: u64, used: u64, period| {
            let left = limit.saturating_sub(used);
            match images > left {
                true => Err(Denied::Quota { asked: images, left, limit, period }),
                false => Ok(()),
            }
        };
        refuse(self.a_day, count.today, "a day")?;
        self.in_all.map_or(Ok(()), |limit| refuse(limit, count.in_all, "in all"))?;
        let units = |divergence: f64| (divergence * f64::from(UNIT_BITS).exp2()).ceil() as u128;
        let each = units(divergence).max(1);
        if let Some(bits) = self.advantage_bits {
            let left = units(divergence_of(bits)).saturating_sub(count.told) / each;
            let left = u64::try_from(left).unwrap_or(u64::MAX);
            if images > left {
                return Err(Denied::Told { asked: images, left, bits }.into());
            }
        }
        let sum = |used: u64| used.saturating_add(images);
        let (today, in_all) = (sum(count.today), sum(count.in_all));
        let told = count.told.saturating_add(each.saturating_mul(images.into()));
        let mut out = OutputFile::create(&self.file, Access::Secret, Overwrite::Allow)?;
        let line = format!("{} {today} {in_all} {told}\n", count.day);
        out.write_all(line.as_bytes()).map_err(FormatError::from_writer)?;
        Ok(out.commit()?)
    }

    /// The count as of a day. A clock that was put back stays on the day of the count.
    fn count(&self, day: u64) -> Result<Count, FormatError> {
        let failed = |e| FormatError::io(&self.file, "read", e);
        let mut text = String::new();
        match File::open(&self.file) {
            Ok(file) => file.take(MAX_LEN).read_to_string(&mut text).map_err(failed)?,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Ok(Count { day, ..Count::default() });
            }
            Err(e) => return Err(failed(e)),
        };
        let no_count =
            || failed(io::Error::new(ErrorKind::InvalidData, "it is no count of images"));
        let count = Count::read(&text).ok_or_else(no_count)?;
        let today = if count.day >= day { count.today } else { 0 };
        Ok(Count { day: count.day.max(day), today, ..count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(dir: &tempfile::TempDir, in_all: Option<u64>) -> Quota {
        Quota { file: dir.path().join("used"), a_day: 5, in_all, advantage_bits: None }
    }

    #[test]
    fn a_day_has_its_images_and_no_clock_gives_more() {
        let dir = tempfile::tempdir().unwrap();
        let quota = quota(&dir, None);
        assert_eq!(quota.left(100).unwrap(), 5);
        quota.take(3, 0.0, 100).unwrap();
        let error = quota.take(3, 0.0, 100).unwrap_err().to_string();
        assert_eq!(error, "3 image(s) asked for, and 2 of 5 a day are left");
        quota.take(2, 0.0, 100).unwrap();
        assert_eq!(quota.left(100).unwrap(), 0);
        // The clock is put back: still the same day.
        assert!(quota.take(1, 0.0, 99).is_err());
        assert_eq!(quota.left(3).unwrap(), 0);
        quota.take(5, 0.0, 101).unwrap();
        // And on, and back again.
        assert!(quota.take(1, 0.0, 100).is_err() && quota.take(1, 0.0, 101).is_err());
    }

    #[test]
    fn there_may_be_an_end_to_all_days() {
        let dir = tempfile::tempdir().unwrap();
        let quota = quota(&dir, Some(7));
        quota.take(5, 0.0, 1).unwrap();
        assert_eq!(quota.left(2).unwrap(), 2);
        let error = quota.take(3, 0.0, 2).unwrap_err().to_string();
        assert_eq!(error, "3 image(s) asked for, and 2 of 7 in all are left");
        quota.take(2, 0.0, 2).unwrap();
        assert!(quota.take(1, 0.0, 3).is_err());
    }

    #[test]
    fn a_damaged_count_gives_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let quota = quota(&dir, None);
        for text in ["", "1 2 3", "1 2 3 x", "1 2 3 4 5", "-1 2 3 4"] {
            std::fs::write(&quota.file, text).unwrap();
            let error = quota.take(1, 0.0, 9).unwrap_err();
            assert!(
                matches!(error, CloudError::Format(FormatError::Io { .. })),
                "{text:?}: {error}"
            );
            assert!(quota.left(9).is_err());
        }
    }

    /// Divergences add up, not advantages: two images of 2^-41 and one of 2^-40 come to 2^-39, the divergence of an
    /// advantage of 2^-20, of which each of the two has 2^-21 alone. No day brings anything back.
    #[test]
    fn what_results_tell_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let quota = Quota { advantage_bits: Some(20), ..quota(&dir, None) };
        let bits = |n: i32| 2f64.powi(-n);
        quota.take(2, bits(41), 1).unwrap();
        let error = quota.take(3, bits(41), 2).unwrap_err().to_string();
        assert_eq!(
            error,
            "3 image(s) of this size asked for, and 2 are left until results may tell of the cloud's \
             secrets with an advantage of 2^-20"
        );
        quota.take(1, bits(40), 3).unwrap();
        assert!(quota.take(1, bits(119), 4).is_err() && quota.take(1, 0.0, 4).is_err());
        let free = Quota { advantage_bits: None, ..quota };
        free.take(1, 0.9, 5).unwrap();
    }
}
