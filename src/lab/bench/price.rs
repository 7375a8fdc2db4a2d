//! What an activation, a multiply-add and a gathered value cost, by what runs of several models took.

use super::run::Run;
use schemars::JsonSchema;
use serde::Serialize;

/// Runs of one engine that prices are made of: as many as there are counts.
const FEWEST: usize = COUNTS;
const COUNTS: usize = 3;

/// Prices that explain the times of some runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Price {
    /// Engine of the runs, of which there are at least three.
    pub engine: &'static str,
    /// `online`, or `offline`: the time that a dealer or the slower server takes to make the
    /// material.
    pub phase: &'static str,
    /// Number of runs.
    pub runs: usize,
    /// Nanoseconds of an activation, by least squares over these runs.
    pub activation_ns: f64,
    /// Nanoseconds of a multiplication and addition.
    pub multiply_add_ns: f64,
    /// Nanoseconds of a value of a window.
    pub gathered_ns: f64,
    /// The most that these prices are off the time of a run, as a part of it.
    pub off: f64,
}

/// A run: its counts and its seconds.
type Point = ([f64; COUNTS], f64);

/// The prices of each engine that has runs enough; none below 0, the squares of what they are off, as parts of the
/// times, as small as can be.
pub(super) fn prices(runs: &[Run]) -> Vec<Price> {
    let mut engines: Vec<&str> = runs.iter().map(|run| run.engine).collect();
    engines.sort_unstable();
    engines.dedup();
    let of_engine = |engine: &'static str| {
        let own = || runs.iter().filter(move |run| run.engine == engine);
        let online = own().map(|run| (counts(run), run.online_seconds)).collect();
        let offline = own().map(|run| (counts(run), offline(run))).collect();
        [("online", online), ("offline", offline)]
            .into_iter()
            .filter_map(move |(phase, points)| price(engine, phase, points))
    };
    engines.into_iter().flat_map(of_engine).collect()
}

fn counts(run: &Run) -> [f64; COUNTS] {
    [run.activations, run.multiply_adds, run.gathered].map(|count| count as f64)
}

fn offline(run: &Run) -> f64 {
    let steps = run.steps.iter().filter(|step| step.phase == "offline");
    run.made.map_or_else(|| steps.map(|step| step.seconds).sum(), |made| made.seconds)
}

fn price(engine: &'static str, phase: &'static str, points: Vec<Point>) -> Option<Price> {
    let runs = points.len();
    if runs < FEWEST || points.iter().any(|(_, seconds)| *seconds <= 0.0) {
        return None;
    }
    let seconds = fit(&points)?;
    let off = |(counts, time): &Point| (dot(counts, &seconds) / time - 1.0).abs();
    let off = points.iter().map(off).fold(0.0, f64::max);
    let [activation_ns, multiply_add_ns, gathered_ns] = seconds.map(|price| 1e9 * price);
    Some(Price { engine, phase, runs, activation_ns, multiply_add_ns, gathered_ns, off })
}

fn dot(a: &[f64; COUNTS], b: &[f64; COUNTS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The best prices of 0 or more: those of the best of all choices of counts that have one. None if counts are in
/// proportion to one another, so that no run can say which of them it paid for.
fn fit(points: &[Point]) -> Option<[f64; COUNTS]> {
    let rows: Vec<[f64; COUNTS]> =
        points.iter().map(|(counts, time)| counts.map(|count| count / time)).collect();
    let left = |x: &[f64; COUNTS]| rows.iter().map(|row| (dot(row, x) - 1.0).powi(2)).sum::<f64>();
    const ALL: usize = (1 << COUNTS) - 1;
    solve(&rows, ALL)?;
    let choices = (1..=ALL).filter_map(|chosen| solve(&rows, chosen));
    let choices = choices.filter(|x| x.iter().all(|price| *price >= 0.0));
    choices.min_by(|a, b| left(a).total_cmp(&left(b)))
}

/// Least squares over the columns that are bits of `chosen`; the others are 0. None if columns are alike.
fn solve(rows: &[[f64; COUNTS]], chosen: usize) -> Option<[f64; COUNTS]> {
    let columns: Vec<usize> = (0..COUNTS).filter(|column| chosen >> column & 1 == 1).collect();
    // Columns of length 1, so that what is alike shows.
    let length = |c: usize| rows.iter().map(|row| row[c].powi(2)).sum::<f64>().sqrt();
    let lengths: Vec<f64> = columns.iter().map(|c| length(*c)).collect();
    if lengths.contains(&0.0) {
        return None;
    }
    let product = |f: &dyn Fn(&[f64; COUNTS]) -> f64| rows.iter().map(f).sum::<f64>();
    // The normal equations, each with its right side.
    let mut equations: Vec<Vec<f64>> = Vec::new();
    for (a, la) in columns.iter().zip(&lengths) {
        let sides = columns.iter().zip(&lengths);
        let mut own: Vec<f64> =
            sides.map(|(b, lb)| product(&|row| row[*a] / la * row[*b] / lb)).collect();
        own.push(product(&|row| row[*a] / la));
        equations.push(own);
    }
    let count = columns.len();
    for i in 0..count {
        let pivot = equations[i][i];
        if pivot < 1e-9 {
            return None;
        }
        equations[i].iter_mut().for_each(|v| *v /= pivot);
        let own = equations[i].clone();
        for (_, other) in equations.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            let factor = other[i];
            other.iter_mut().zip(&own).for_each(|(v, own)| *v -= factor * own);
        }
    }
    let mut x = [0.0; COUNTS];
    for ((column, length), equation) in columns.iter().zip(&lengths).zip(&equations) {
        x[*column] = equation[count] / length;
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(prices: [f64; COUNTS], off: &[f64]) -> Vec<Point> {
        let counts = [[1e6, 1e8, 1e7], [3e6, 1e9, 2e7], [2e6, 4e7, 3e6], [9e6, 3e9, 1.5e8]];
        let point = |(counts, off): (&[f64; COUNTS], &f64)| (*counts, dot(counts, &prices) * off);
        counts.iter().zip(off).map(point).collect()
    }

    #[test]
    fn prices_are_found_again() {
        let prices = [7e-9, 7e-11, 1e-9];
        let found = price("relu", "online", points(prices, &[1.0; 4])).unwrap();
        assert!((found.activation_ns - 7.0).abs() < 1e-4, "{found:?}");
        assert!((found.multiply_add_ns - 0.07).abs() < 1e-6, "{found:?}");
        assert!((found.gathered_ns - 1.0).abs() < 1e-4 && found.off < 1e-6, "{found:?}");
        let rough = price("relu", "online", points(prices, &[1.05, 0.95, 1.05, 0.95])).unwrap();
        assert!((0.001..0.06).contains(&rough.off), "{rough:?}");
    }

    /// What seems to cost less than nothing costs nothing; too few runs, or runs that are all alike, say nothing of
    /// each.
    #[test]
    fn prices_are_not_below_nothing() {
        let found = price("relu", "online", points([7e-9, 7e-11, -1e-10], &[1.0; 4])).unwrap();
        let all = [found.activation_ns, found.multiply_add_ns, found.gathered_ns];
        assert!(all.iter().all(|price| *price >= 0.0) && all[2] == 0.0, "{found:?}");
        assert_eq!(price("relu", "online", points([1e-9; COUNTS], &[1.0; 2])), None);
        let alike = vec![([1e6, 1e8, 1e7], 1.0); 3];
        assert_eq!(price("relu", "online", alike), None);
    }
}
