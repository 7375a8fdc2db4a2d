//! The time as text, by the clock of the machine.

use jiff::Timestamp;

/// The time as RFC 3339 has it, in UTC, to the millisecond.
pub(super) fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::now;
    use jiff::Timestamp;

    /// A time that is read again, with all three digits.
    #[test]
    fn the_time_is_one_of_rfc_3339() {
        let text = now();
        assert_eq!(text.len(), "2026-12-31T23:59:59.007Z".len(), "{text}");
        assert!(text.ends_with('Z') && text.parse::<Timestamp>().is_ok(), "{text}");
    }
}
