//! Ranges that are wider than photographs ask for, as far as the picture stays as good.
//!
//! Pictures that are no photographs reach further in a network, often many times. Wider ranges make wider cells, which
//! photographs pay for; so ranges go towards what such pictures reach only as far as a budget allows.

use serde::Serialize;

/// By how much at most ranges are widened, step by step.
const FACTORS: [f64; 7] = [1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0];

/// How far ranges were widened.
#[derive(Clone, Debug, Serialize)]
pub struct Widened {
    /// The PSNR that may be lost in the mean of the images at each noise level, dB.
    pub budget_db: f64,
    /// Each range is what pictures that are no photographs reach in it, but at most so many times what the images reach.
    pub factor: f64,
    /// Outputs of layers whose range holds all that was seen.
    pub whole: usize,
    /// Outputs of layers.
    pub outputs: usize,
    /// What was tried, least first.
    pub tried: Vec<TriedFactor>,
}

/// What is lost with ranges that are so many times wider at most.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TriedFactor {
    /// How many times.
    pub factor: f64,
    /// The largest mean loss of a noise level, dB; null if the model does not fit its integers then.
    pub worst_level_db: Option<f64>,
}

/// Wider ranges.
pub(super) struct WiderRanges {
    /// What each output of each layer is taken to reach.
    pub(super) extremes: Vec<Vec<f64>>,
    /// How that was found.
    pub(super) found: Widened,
}

/// What the images reach, or what patterns do if that is more, but at most `factor` times as much.
fn widened(seen: &[Vec<f64>], reached: &[Vec<f64>], factor: f64) -> Vec<Vec<f64>> {
    let of_layer = |(seen, reached): (&Vec<f64>, &Vec<f64>)| {
        let one = |(seen, reached): (&f64, &f64)| seen.max(reached.min(factor * seen));
        seen.iter().zip(reached).map(one).collect()
    };
    seen.iter().zip(reached).map(of_layer).collect()
}

/// Widens what images reach (`seen`) towards what patterns do (`reached`); `worst_loss` is what is lost with such ranges
/// at the noise level where it is most.
pub(super) fn widen<E>(
    (seen, reached): (&[Vec<f64>], &[Vec<f64>]),
    budget_db: f64,
    mut worst_loss: impl FnMut(&[Vec<f64>]) -> Result<Option<f64>, E>,
) -> Result<WiderRanges, E> {
    let (mut best, mut kept, mut tried) = (1.0, seen.to_vec(), Vec::new());
    for factor in FACTORS {
        let wider = widened(seen, reached, factor);
        if wider == kept {
            // No output reaches further.
            break;
        }
        let worst_level_db = worst_loss(&wider)?;
        tried.push(TriedFactor { factor, worst_level_db });
        if worst_level_db.is_none_or(|loss| loss > budget_db) {
            break;
        }
        (best, kept) = (factor, wider);
    }
    let pairs = || kept.iter().flatten().zip(reached.iter().flatten());
    let whole = pairs().filter(|(range, reached)| range >= reached).count();
    let found = Widened { budget_db, factor: best, whole, outputs: pairs().count(), tried };
    Ok(WiderRanges { extremes: kept, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_widened_while_the_budget_lasts_and_only_where_something_reaches() {
        let (seen, reached) = ([vec![1.0, 2.0], vec![0.0]], [vec![9.0, 1.0], vec![0.0]]);
        let run = |budget: f64, possible: f64| {
            let wider = widen::<()>((&seen, &reached), budget, |wider| {
                assert_eq!((wider[0][1], &wider[1][..]), (2.0, &[0.0][..]));
                Ok((wider[0][0] <= possible).then_some(wider[0][0] / 100.0))
            });
            wider.map(|wider| (wider.extremes, wider.found)).unwrap()
        };
        let (ranges, widened) = run(0.018, 9.0);
        assert_eq!((ranges[0][0], widened.factor, widened.tried.len()), (1.75, 1.75, 4));
        assert_eq!((widened.whole, widened.outputs), (2, 3));
        assert_eq!(run(1.0, 9.0).1.factor, 4.0);
        assert_eq!(run(1.0, 1.6).1.factor, 1.5);
        let none = run(0.0, 9.0);
        assert_eq!((none.0, none.1.factor), (seen.to_vec(), 1.0));
        // What is reached is enough.
        let just = [vec![1.3, 0.0], vec![0.0]];
        let near = widen::<()>((&seen, &just), 1.0, |_| Ok(Some(0.0)));
        let WiderRanges { extremes: ranges, found: widened } = near.unwrap_or_else(|()| panic!());
        assert_eq!((ranges[0][0], widened.tried.len(), widened.whole), (1.3, 2, 3));
    }
}
