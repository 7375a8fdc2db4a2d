//! How wide the noise may be that one cloud adds to products, so that it stays below what rounding adds anyway
//! (docs/one-cloud.md, what rounding tells a user).

use super::public::PublicModel;
use crate::network::{Fold, Op};

/// The widest noise of a product: its four summands stay below 2^16 last places.
pub(crate) const MAX_FLOODING: u32 = 16;

/// Bits of what an activation drops that stay above a summand: the noises of both products then have an eighth of the
/// square of the unit that rounding keeps, times a third.
const BELOW_ROUNDING: u32 = 2;
/// The same for a result, of which fewer bits are dropped.
const BELOW_RESULT: u32 = 3;
/// One bit less for what reaches a rounding through a map, since other products do too.
const BESIDE_OTHERS: u32 = 1;

impl PublicModel {
    /// The width of the noise of every linear op, by op: 2^width last places of its products.
    ///
    /// What an activation drops allows for it, less for what is dropped later: a map that is added is shifted up, a map
    /// that is read is multiplied by weights, which are taken for 1.
    pub(super) fn flooding_widths(&self) -> Vec<(usize, u32)> {
        let network = &self.network;
        let (ops, maps, fracs) = (network.ops(), network.maps(), self.map_fracs());
        let result = self.result_width();
        let mut widths = Vec::new();
        // Of each map, the least that a stage behind it allows.
        let mut of_map = vec![None::<u32>; maps.len()];
        let allow = |of_map: &mut Vec<Option<u32>>, map: usize, width: u32| {
            let width = width.saturating_sub(BESIDE_OTHERS);
            of_map[map] = Some(of_map[map].map_or(width, |least| least.min(width)));
        };
        for (number, stage) in network.stages().iter().enumerate().rev() {
            let mut width = match of_map.get(number + 1) {
                Some(width) => width.unwrap_or(0),
                None => result,
            };
            for op in stage.ops.clone().rev() {
                match &ops[op] {
                    Op::Activation(spec) => {
                        let dropped = self.ring.bits().saturating_sub(spec.input_bits());
                        width = dropped.saturating_sub(BELOW_ROUNDING);
                    }
                    Op::Add(added) => added.iter().for_each(|&map| {
                        let up = self.shift(stage, op, map);
                        allow(&mut of_map, map, width.saturating_sub(up));
                    }),
                    Op::Linear(linear) => {
                        widths.push((op, width.min(MAX_FLOODING)));
                        let read = (op == stage.first_linear()).then(|| stage.maps());
                        for map in read.into_iter().flatten() {
                            let weights = linear.out_frac - fracs[map];
                            allow(&mut of_map, map, width.saturating_sub(weights));
                        }
                    }
                    Op::Gather(_) | Op::Shuffle(_) | Op::Residual | Op::Mean | Op::Fold(_) => {}
                }
            }
        }
        widths.reverse();
        widths
    }

    /// That of the last op: what a pixel collects of it stays below the bits that the cloud drops.
    fn result_width(&self) -> u32 {
        let stride = self.network.gather().stride as f64;
        let Fold { window, .. } = self.network.fold();
        let squares: f64 = window.iter().map(|&w| f64::from(w).powi(2)).sum();
        let gain = (squares.sqrt() / stride).max(1.0).log2().ceil() as u32;
        self.droppable_bits().saturating_sub(BELOW_RESULT + gain)
    }
}
