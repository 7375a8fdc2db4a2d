//! The time as text, by the clock of the machine.

use jiff::Timestamp;

/// The time as RFC 3339 has it, in UTC, to the millisecond.
pub(super) fn now() -> String {
    text_of(milliseconds())
}

/// Milliseconds since 1970.
pub(super) fn milliseconds() -> u64 {
    Timestamp::now().as_millisecond().try_into().unwrap_or_default()
}

/// That time as [`now`] has it.
pub(super) fn text_of(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", time.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        assert_eq!(text_of(7), "1970-01-01T00:00:00.007Z");
        assert_eq!(text_of(1_798_761_599_000), "2026-12-31T23:59:59.000Z");
        assert_eq!(text_of(u64::MAX).len(), now().len());
        assert!(now().parse::<Timestamp>().is_ok());
    }
}
