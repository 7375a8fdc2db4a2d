//! Amounts of data as people read them.

use std::fmt;

/// So many bytes; shown in decimal units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GB", 1e9), ("MB", 1e6), ("KB", 1e3)];
        match units.iter().find(|(_, size)| self.0 as f64 >= *size) {
            Some((unit, size)) => write!(f, "{:.2} {unit}", self.0 as f64 / size),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_units() {
        for (count, expected) in [
            (999, "999 bytes"),
            (1_000, "1.00 KB"),
            (655_360_000, "655.36 MB"),
            (3_500_000_000, "3.50 GB"),
        ] {
            assert_eq!(Bytes(count).to_string(), expected);
        }
    }
}
