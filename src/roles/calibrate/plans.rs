//! In which order tables become coarser.
//!
//! The error that a table leaves is proportional to the square of its cells' width, and errors of different tables
//! add up, so that halving the cells of table i from 2^b adds 3 harm_i 4^-b to the squared error of a picture and
//! saves a number of bytes proportional to count_i 2^b. The table with the least harm for what it saves is next.

/// The least harm that is believed, against the mean: what is measured may be below 0 by chance.
const LEAST_HARM: f64 = 1e-3;

/// What is known of a network's tables.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// Values that go through each, in any unit.
    pub(super) counts: Vec<f64>,
    /// log2 of the cells of each at step 0.
    pub(super) bits: Vec<u32>,
    /// By how much the squared error of a picture grows, in parts of it, by the cells of step 0.
    pub(super) harms: Vec<f64>,
}

impl Tables {
    /// All plans from the coarsest to the finest: each is a step of 0 .. `steps` for every table, and is one step
    /// of one table finer than the plan before it. A step finer has twice as many cells.
    pub(super) fn plans(&self, steps: usize) -> Vec<Vec<usize>> {
        let mean = self.harms.iter().sum::<f64>() / self.harms.len() as f64;
        let least = (LEAST_HARM * mean).max(f64::MIN_POSITIVE);
        // log2 of harm over what is saved, by halving the cells of step 0.
        let rates = self.harms.iter().zip(&self.counts).zip(&self.bits);
        let rates = rates.map(|((h, n), bits)| (h.max(least) / n).log2() - f64::from(*bits));
        let mut plan = vec![steps - 1; self.harms.len()];
        let mut order: Vec<(f64, usize)> = rates
            .enumerate()
            .flat_map(|(i, rate)| (1..steps).map(move |step| (rate - 3.0 * step as f64, i)))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut plans = vec![plan.clone()];
        for (_, table) in order {
            plan[table] -= 1;
            plans.push(plan.clone());
        }
        plans.reverse();
        plans
    }

    /// What a plan is expected to lose, dB.
    pub(super) fn expected_loss(&self, plan: &[usize]) -> f64 {
        let part = |(harm, step): (&f64, &usize)| harm.max(0.0) * 0.25f64.powi(*step as i32);
        10.0 * (1.0 + self.harms.iter().zip(plan).map(part).sum::<f64>()).log10()
    }
}

/// The lowest of `steps` whose loss is within the budget, where it falls from step to step; `first` is a guess. A
/// step without a loss is not possible, nor are those above it.
pub(super) fn fewest_within<E>(
    steps: usize,
    first: usize,
    budget: f64,
    mut loss: impl FnMut(usize) -> Result<Option<f64>, E>,
) -> Result<Option<usize>, E> {
    // All below `low` lose too much; `high` is within, or all from there on are impossible.
    let (mut low, mut high, mut found) = (0, steps, None);
    let (mut at, mut leap) = (first.min(steps - 1), 1);
    while low < high {
        let is_within = match loss(at)? {
            Some(loss) if loss <= budget => {
                (high, found) = (at, Some(at));
                true
            }
            Some(_) => {
                low = at + 1;
                false
            }
            None => {
                high = at;
                true
            }
        };
        // Away from the guess in growing leaps until the border is between two steps, then by halves.
        at = match is_within {
            true if low == 0 => high.saturating_sub(leap),
            false if high == steps => (low - 1 + leap).min(steps - 1),
            _ => low + (high - low) / 2,
        };
        leap *= 2;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tables() -> impl Strategy<Value = Tables> {
        let table = (1.0..100.0f64, 4..8u32, -0.01..1.0f64);
        proptest::collection::vec(table, 1..8).prop_map(|tables| Tables {
            counts: tables.iter().map(|table| table.0).collect(),
            bits: tables.iter().map(|table| table.1).collect(),
            harms: tables.iter().map(|table| table.2).collect(),
        })
    }

    proptest! {
        /// Each plan is one step of one table finer than the one before; the first is the coarsest, the last the
        /// finest that there is.
        #[test]
        fn plans_grow_by_one_step_at_a_time(tables in tables(), steps in 1usize..6) {
            let plans = tables.plans(steps);
            prop_assert!(plans[0].iter().all(|step| *step == 0));
            prop_assert!(plans[plans.len() - 1].iter().all(|step| *step == steps - 1));
            for pair in plans.windows(2) {
                let sums = [0, 1].map(|i: usize| pair[i].iter().sum::<usize>());
                prop_assert_eq!(sums[0] + 1, sums[1]);
                prop_assert!(pair[0].iter().zip(&pair[1]).all(|(a, b)| a <= b));
                prop_assert!(tables.expected_loss(&pair[0]) >= tables.expected_loss(&pair[1]));
            }
        }

        /// No plan is both expected to lose less and smaller: what the order is for.
        #[test]
        fn no_other_plan_is_better(tables in tables(), at: usize, other in proptest::collection::vec(0usize..5, 8)) {
            let plans = tables.plans(5);
            let plan = &plans[at % plans.len()];
            let believed = Tables { harms: tables.harms.iter().map(|h| h.max(1e-3)).collect(), ..tables.clone() };
            let plans = believed.plans(5);
            let plan = plans.iter().find(|p| p.iter().sum::<usize>() == plan.iter().sum::<usize>()).unwrap();
            let size = |plan: &[usize]| -> f64 {
                let of = |((n, bits), step): ((&f64, &u32), &usize)| n * f64::from(1u32 << (*bits as usize + step));
                believed.counts.iter().zip(&believed.bits).zip(plan).map(of).sum()
            };
            let other = &other[..plan.len()];
            let (lost, expected) = (believed.expected_loss(other), believed.expected_loss(plan));
            prop_assert!(lost >= expected * (1.0 - 1e-9) || size(other) >= size(plan) * (1.0 - 1e-9),
                "{:?} against {:?}", other, plan);
        }

        /// Of losses that fall the fewest cells are found from any guess; of any losses, cells within the budget.
        #[test]
        fn the_fewest_within_are_found(
            mut losses in proptest::collection::vec(0.0..1.0f64, 1..40),
            first: usize, budget in 0.0..1.0f64, falling: bool, possible: usize,
        ) {
            if falling {
                losses.sort_by(|a, b| b.total_cmp(a));
            }
            let possible = possible % (losses.len() + 1);
            let mut asked = 0;
            let loss = |step: usize| {
                asked += 1;
                Ok::<_, ()>((step < possible).then(|| losses[step]))
            };
            let found = fewest_within(losses.len(), first % losses.len(), budget, loss).unwrap();
            prop_assert!(found.is_none_or(|at| at < possible && losses[at] <= budget));
            prop_assert!(asked <= 14, "{asked}");
            if falling {
                prop_assert_eq!(found, losses[..possible].iter().position(|loss| *loss <= budget));
            }
        }
    }
}
