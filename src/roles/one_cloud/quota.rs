//! How many slots a user may have made a day, and in all, and what they may tell.
//!
//! A slot serves one image at most, and is charged when it is made: before the cloud answers, durably
//! ([`crate::files::ledger::Ledger::charge`]). Nothing is given back: what is thrown away or cut counts. Days are those
//! of the clock in UTC, and never go back.

use super::Denied;
use crate::files::ledger::Count;
use crate::material::pair::divergence_of;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 3600;

/// A user's quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) a_day: u64,
    pub(super) in_all: Option<u64>,
    /// Bits of the advantage that all slots together stay below; no end if none.
    pub(super) advantage_bits: Option<u32>,
}

/// Divergences are counted in units of 2^-120, rounded up.
const UNIT_BITS: u32 = 120;

/// The day of the clock.
pub(super) fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY)
}

impl Quota {
    /// Slots left on this day.
    pub(super) fn left(&self, count: Count, day: u64) -> u64 {
        let count = on(count, day);
        let in_all = self.in_all.map_or(u64::MAX, |most| most.saturating_sub(count.in_all));
        self.a_day.saturating_sub(count.today).min(in_all)
    }

    /// The count with so many slots more, each of which adds a divergence of at most so many nats to what the user sees
    /// ([`super::exposure`]). Divergences add up, and the advantage is the root of half of their sum: it is taken once,
    /// by comparing the sum with that of the limit.
    ///
    /// # Errors
    /// [`Denied::Quota`], [`Denied::Told`] if fewer are left.
    pub(super) fn take(
        &self,
        count: Count,
        slots: u64,
        divergence: f64,
        day: u64,
    ) -> Result<Count, Denied> {
        let count = on(count, day);
        let refuse = |limit: u64, used: u64, period| {
            let left = limit.saturating_sub(used);
            if slots > left {
                Err(Denied::Quota { asked: slots, left, limit, period })
            } else {
                Ok(())
            }
        };
        refuse(self.a_day, count.today, "a day")?;
        self.in_all.map_or(Ok(()), |limit| refuse(limit, count.in_all, "in all"))?;
        let units = |divergence: f64| (divergence * f64::from(UNIT_BITS).exp2()).ceil() as u128;
        let each = units(divergence).max(1);
        if let Some(bits) = self.advantage_bits {
            let left = units(divergence_of(bits)).saturating_sub(count.told) / each;
            let left = u64::try_from(left).unwrap_or(u64::MAX);
            if slots > left {
                return Err(Denied::Told { asked: slots, left, bits });
            }
        }
        let sum = |used: u64| used.saturating_add(slots);
        let told = count.told.saturating_add(each.saturating_mul(slots.into()));
        Ok(Count { day: count.day, today: sum(count.today), in_all: sum(count.in_all), told })
    }
}

/// The count as of a day. A clock that was put back stays on the day of the count.
fn on(count: Count, day: u64) -> Count {
    let today = if count.day >= day { count.today } else { 0 };
    Count { day: count.day.max(day), today, ..count }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(in_all: Option<u64>) -> Quota {
        Quota { a_day: 5, in_all, advantage_bits: None }
    }

    /// Takes slots or not.
    fn take(quota: &Quota, count: &mut Count, slots: u64, divergence: f64, day: u64) -> String {
        match quota.take(*count, slots, divergence, day) {
            Ok(more) => {
                *count = more;
                String::new()
            }
            Err(denied) => denied.to_string(),
        }
    }

    #[test]
    fn a_day_has_its_slots_and_no_clock_gives_more() {
        let (quota, mut count) = (quota(None), Count::default());
        assert_eq!(quota.left(count, 100), 5);
        let mut take = |slots, day| take(&quota, &mut count, slots, 0.0, day);
        assert_eq!(take(3, 100), "");
        assert_eq!(take(3, 100), "3 slot(s) asked for, and 2 of 5 a day are left");
        assert_eq!(take(2, 100), "");
        // The clock is put back: still the same day.
        assert_ne!(take(1, 99), "");
        assert_eq!(take(5, 101), "");
        // And on, and back again.
        assert_ne!(take(1, 100), "");
        assert_ne!(take(1, 101), "");
        assert_eq!((quota.left(count, 3), quota.left(count, 102)), (0, 5));
    }

    #[test]
    fn there_may_be_an_end_to_all_days() {
        let (quota, mut count) = (quota(Some(7)), Count::default());
        assert_eq!(take(&quota, &mut count, 5, 0.0, 1), "");
        assert_eq!(quota.left(count, 2), 2);
        let refused = "3 slot(s) asked for, and 2 of 7 in all are left";
        assert_eq!(take(&quota, &mut count, 3, 0.0, 2), refused);
        assert_eq!(take(&quota, &mut count, 2, 0.0, 2), "");
        assert_ne!(take(&quota, &mut count, 1, 0.0, 3), "");
    }

    /// Divergences add up, not advantages: two slots of 2^-41 and one of 2^-40 come to 2^-39, the divergence of an
    /// advantage of 2^-20, of which each of the two has 2^-21 alone. No day brings anything back.
    #[test]
    fn what_slots_tell_has_an_end() {
        let quota = Quota { advantage_bits: Some(20), ..quota(None) };
        let mut count = Count::default();
        let bits = |n: i32| 2f64.powi(-n);
        assert_eq!(take(&quota, &mut count, 2, bits(41), 1), "");
        assert_eq!(
            take(&quota, &mut count, 3, bits(41), 2),
            "3 slot(s) for images of this size asked for, and 2 are left until results may tell of the cloud's \
             secrets with an advantage of 2^-20"
        );
        assert_eq!(take(&quota, &mut count, 1, bits(40), 3), "");
        assert_ne!(take(&quota, &mut count, 1, bits(119), 4), "");
        assert_ne!(take(&quota, &mut count, 1, 0.0, 4), "");
        let free = Quota { advantage_bits: None, ..quota };
        assert_eq!(take(&free, &mut count, 1, 0.9, 5), "");
    }
}
