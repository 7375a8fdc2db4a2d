//! Tweaks: each is handed out once a session.

use super::GarbleError;

/// What a tweak is for. A number is never reused for another purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum TweakDomain {
    /// The halves of AND gates.
    Gate = 1,
    /// Pads from oblivious transfers in which S0 is the sender.
    PadFromS0 = 2,
    /// Pads from oblivious transfers in which S1 is the sender.
    PadFromS1 = 3,
}

/// A number that selects one function of the hash family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tweak(u128);

impl Tweak {
    /// The tweak as the number that is mixed into the hash key.
    pub fn number(self) -> u128 {
        self.0
    }

    /// A tweak outside any session, for measuring and testing the hash alone.
    pub fn detached(number: u64) -> Self {
        Tweak(u128::from(number))
    }
}

/// Hands out the tweaks of one purpose in order. It can neither be reset nor cloned; both parties
/// keep theirs in step by taking the same numbers in the same order.
#[derive(Debug)]
pub struct TweakCounter {
    domain: TweakDomain,
    next: u64,
}

impl TweakCounter {
    /// The next `count` tweaks.
    ///
    /// # Errors
    /// [`GarbleError::TweaksExhausted`] after 2^64 tweaks.
    pub fn take(&mut self, count: u64) -> Result<TweakRange, GarbleError> {
        let start = self.next;
        self.next = start.checked_add(count).ok_or(GarbleError::TweaksExhausted)?;
        Ok(TweakRange { domain: self.domain, start, end: self.next })
    }

    /// How many tweaks were handed out.
    pub fn taken(&self) -> u64 {
        self.next
    }
}

/// Consecutive tweaks, consumed by the one batch that uses them.
#[derive(Debug)]
pub struct TweakRange {
    domain: TweakDomain,
    start: u64,
    end: u64,
}

impl TweakRange {
    /// How many tweaks there are.
    pub fn count(&self) -> u64 {
        self.end - self.start
    }

    /// Takes the first `count` tweaks out of the range.
    ///
    /// # Errors
    /// [`GarbleError::TweaksExhausted`] if there are fewer.
    pub fn split(&mut self, count: u64) -> Result<TweakRange, GarbleError> {
        if count > self.count() {
            return Err(GarbleError::TweaksExhausted);
        }
        let (domain, start) = (self.domain, self.start);
        self.start += count;
        Ok(TweakRange { domain, start, end: self.start })
    }

    /// The same tweaks for the other of a sender's two pads, which is a hash of the point moved by
    /// delta.
    pub(crate) fn for_moved_points(&self) -> TweakRange {
        TweakRange { domain: self.domain, start: self.start, end: self.end }
    }
}

impl IntoIterator for TweakRange {
    type Item = Tweak;
    type IntoIter = TweakIter;

    fn into_iter(self) -> TweakIter {
        TweakIter(self)
    }
}

/// The tweaks of a range, in order.
#[derive(Debug)]
pub struct TweakIter(TweakRange);

impl Iterator for TweakIter {
    type Item = Tweak;

    fn next(&mut self) -> Option<Tweak> {
        if self.0.start == self.0.end {
            return None;
        }
        let number = u128::from(self.0.start) | (self.0.domain as u128) << 96;
        self.0.start += 1;
        Some(Tweak(number))
    }
}

/// Every tweak counter of a session; made together with the session's hash, never alone
/// ([`super::hash::Hasher::session`]).
#[derive(Debug)]
pub struct SessionTweaks {
    /// For AND gates: two a gate and batch.
    pub gates: TweakCounter,
    /// For pads from oblivious transfers in which S0 is the sender.
    pub pads_from_s0: TweakCounter,
    /// For pads from oblivious transfers in which S1 is the sender.
    pub pads_from_s1: TweakCounter,
}

impl SessionTweaks {
    pub(super) fn new() -> Self {
        let counter = |domain| TweakCounter { domain, next: 0 };
        SessionTweaks {
            gates: counter(TweakDomain::Gate),
            pads_from_s0: counter(TweakDomain::PadFromS0),
            pads_from_s1: counter(TweakDomain::PadFromS1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_tweak_is_handed_out_twice() {
        let mut session = SessionTweaks::new();
        let mut seen = HashSet::new();
        for count in [1, 54, 0, 7, 300] {
            for counter in
                [&mut session.gates, &mut session.pads_from_s0, &mut session.pads_from_s1]
            {
                let range = counter.take(count).unwrap();
                assert_eq!(range.count(), count);
                assert_eq!(range.into_iter().filter(|t| !seen.insert(t.number())).count(), 0);
            }
        }
        assert_eq!(seen.len(), 3 * 362);
        assert_eq!(session.gates.taken(), 362);
    }

    #[test]
    fn a_range_is_handed_out_in_parts() {
        let mut session = SessionTweaks::new();
        let whole = session.gates.take(9).unwrap();
        let numbers: Vec<u128> =
            SessionTweaks::new().gates.take(9).unwrap().into_iter().map(Tweak::number).collect();
        let mut rest = whole;
        let parts = [4, 0, 5].map(|n| rest.split(n).unwrap());
        let split = parts.into_iter().flatten().map(Tweak::number);
        assert_eq!(split.collect::<Vec<_>>(), numbers);
        assert_eq!(rest.split(1).unwrap_err(), GarbleError::TweaksExhausted);
    }

    #[test]
    fn an_exhausted_counter_says_so_and_stays_where_it_is() {
        let mut session = SessionTweaks::new();
        session.gates.take(u64::MAX - 1).unwrap();
        assert_eq!(session.gates.take(2).unwrap_err(), GarbleError::TweaksExhausted);
        assert_eq!(session.gates.take(1).unwrap().count(), 1);
        assert_eq!(session.gates.take(1).unwrap_err(), GarbleError::TweaksExhausted);
    }
}
