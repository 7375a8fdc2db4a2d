//! Ranges that are wider than photographs ask for.
//!
//! Pictures that are no photographs reach further in a network, often many times. A calibrated range holds them with
//! a part of the margin that it leaves photographs.

use serde::Serialize;

/// What pictures that are no photographs reach counts as a half: with the margin of exact ReLUs, 4, they reach half of
/// their range, from where on the range alarm may be raised.
const PART: f64 = 0.5;

/// How far ranges were widened for pictures that are no photographs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Widened {
    /// Outputs of layers whose range is wider than the images ask for.
    pub wider: usize,
    /// Outputs of layers.
    pub outputs: usize,
    /// How many times wider at most.
    pub most: f64,
}

/// Widens what images reach (`seen`) for what patterns do (`reached`).
pub(super) fn widen(seen: &mut [Vec<f64>], reached: &[Vec<f64>]) -> Widened {
    let mut found = Widened { wider: 0, outputs: 0, most: 1.0 };
    for (seen, reached) in seen.iter_mut().flatten().zip(reached.iter().flatten()) {
        let asked = PART * reached;
        found.outputs += 1;
        if asked > *seen {
            found.wider += 1;
            found.most = found.most.max(asked / seen.max(f64::MIN_POSITIVE));
            *seen = asked;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_widened_where_patterns_reach_further_than_twice_the_images() {
        let mut seen = [vec![1.0, 2.0], vec![0.0, 3.0]];
        let reached = [vec![9.0, 4.0], vec![0.0, 7.5]];
        let found = widen(&mut seen, &reached);
        assert_eq!(seen, [vec![4.5, 2.0], vec![0.0, 3.75]]);
        assert_eq!(found, Widened { wider: 2, outputs: 4, most: 4.5 });
        assert_eq!(widen(&mut seen, &reached), Widened { wider: 0, outputs: 4, most: 1.0 });
    }
}
