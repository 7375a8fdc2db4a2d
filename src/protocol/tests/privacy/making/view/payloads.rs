//! The four messages in which exact ReLUs are made, cut into payloads.

use super::Eyes;
use super::relus::{Half, Part, Payload};
use crate::numbers::fixed::low_mask;
use crate::numbers::relu::Lane;
use crate::wire::Tag;

/// A server's choices as transfers, beside the bits of rho.
struct Choices {
    masks: u32,
    f: u32,
    wrap: u32,
}

impl Half {
    fn choices(&self) -> Choices {
        let n = self.shape.bits();
        Choices { masks: n, f: n + self.masks(), wrap: n + self.masks() + 1 }
    }

    /// l - n.
    fn rest(&self) -> u32 {
        self.shape.ring_bits() - self.shape.bits()
    }

    /// One bit that the other server drew of each ReLU, as all ones or zero.
    fn theirs(&self, bit: u32) -> Vec<u64> {
        self.other.drawn.iter().map(|drawn| (drawn >> bit & 1).wrapping_neg()).collect()
    }

    /// Numbers of the other server, negative where its f is 1.
    fn turned(&self, numbers: &[u64]) -> Option<Vec<u64>> {
        let f = self.theirs(self.choices().f);
        Some(numbers.iter().zip(f).map(|(v, f)| (v ^ f).wrapping_sub(f)).collect())
    }

    /// What u_j multiplies at the other server, of four digits: u_1, v_3, v_3 u_1, v_4, v_4 u_1; u_1, u_2, u_1 u_2, v_4
    /// and its products with these.
    fn factors(&self, j: u32) -> Option<Vec<u64>> {
        assert_eq!(self.masks(), 3);
        let n = self.shape.bits();
        let products = self.other.products(&self.shape);
        let factors = self.other.masks.iter().zip(products).map(|(masks, products)| {
            let (u, v, of) = (masks >> n, masks >> (n + 3), |at: u32| products >> at);
            match j {
                2 => [u, v >> 1, of(5), v >> 2, of(8)]
                    .iter()
                    .rev()
                    .fold(0, |all, bit| all << 1 | bit & 1),
                _ => u & 3 | (of(0) & 1) << 2 | (v >> 2 & 1) << 3 | (of(8) & 7) << 4,
            }
        });
        Some(factors.collect())
    }

    /// The digits and the alarm's: lowest bit, bits, lane.
    fn vectors(&self) -> Vec<(u32, u32, Lane)> {
        let digits = self.shape.digits().iter().map(|digit| (digit.at, digit.bits, digit.lane));
        let n = self.shape.bits();
        digits
            .chain(self.shape.alarm.map(|(zone, lane)| (n - zone.bits, zone.bits, lane)))
            .collect()
    }
}

impl Eyes<'_, '_> {
    /// All payloads that came, by role.
    pub(super) fn payloads(&mut self, halves: &[Half; 2]) -> [Vec<Payload>; 2] {
        let [choosing, other] = halves;
        self.message();
        let mut first = vec![self.mask_products(choosing, 2)];
        let mut second = self.bits(other);
        second.push(self.mask_products(other, 2));
        self.message();
        let m = choosing.other.carries(&choosing.shape);
        let own = choosing.own.carries(&choosing.shape);
        first.push(self.take(choosing, "published wrap", (u32::MAX, false, 1), Some(m), own));
        first.push(self.mask_products(choosing, 3));
        second.push(self.mask_products(other, 3));
        self.message();
        second.extend(self.wrap(other));
        second.extend(self.times_f(other));
        self.message();
        first.extend(self.times_f(choosing));
        [first, second]
    }

    fn message(&mut self) {
        self.open(Tag::OtPayloads);
        self.ours.all();
    }

    fn take(
        &mut self,
        half: &Half,
        name: &str,
        (transfer, sums, width): (u32, bool, u32),
        hidden: Option<Vec<u64>>,
        own: Vec<u64>,
    ) -> Payload {
        let values = self.theirs.numbers(half.len(), width);
        Payload { name: name.into(), transfer, sums, width, values, hidden, own }
    }

    /// Products of masks, on this server's choice of u_j.
    fn mask_products(&mut self, half: &Half, j: u32) -> Payload {
        let width = if j == 2 { 5 } else { 7 };
        let transfer = half.choices().masks + j - 1;
        let own = half.own.products(&half.shape);
        let name = format!("products with u_{j}");
        self.take(half, &name, (transfer, false, width), half.factors(j), own)
    }

    /// Vectors, rho_l and M, on this server's bits of rho.
    fn bits(&mut self, half: &Half) -> Vec<Payload> {
        let (n, mut all) = (half.shape.bits(), Vec::new());
        for bit in 0..n {
            for (at, w, lane) in half.vectors() {
                let width = (1 << (w - 1)) - 1;
                if !(at..at + w).contains(&bit) || width == 0 {
                    continue;
                }
                // The other server's vector is one-hot before its first step.
                let one_hot = |drawn: &u64| 1 << ((drawn >> at & low_mask(w)) >> 1);
                let hidden = (bit == at).then(|| half.other.drawn.iter().map(one_hot).collect());
                let name = format!("step {} of vectors of {w} bits", bit - at);
                let own = half.own.lane(lane);
                all.push(self.take(half, &name, (bit, false, width), hidden, own));
            }
            let minus = Some(half.theirs(bit));
            all.push(if bit + 1 < n {
                let (width, own) = (n - 1 - bit, half.own.masks.clone());
                self.take(half, &format!("rho_l in {width} bits"), (bit, true, width), minus, own)
            } else {
                let (width, own) = (half.rest(), half.own.lane(half.shape.top));
                self.take(half, &format!("M in {width} bits"), (bit, true, width), minus, own)
            });
        }
        all
    }

    fn wrap(&mut self, half: &Half) -> Vec<Payload> {
        let (width, own) = (half.rest(), half.own.lane(half.shape.high));
        let m = half.other.carries(&half.shape);
        let transfer = (half.choices().wrap, true, width);
        vec![self.take(half, &format!("wrap in {width} bits"), transfer, Some(m), own)]
    }

    /// What multiplies this server's choice of f.
    fn times_f(&mut self, half: &Half) -> Vec<Payload> {
        let (transfer, rest, Part { f, f_rho, .. }) = (half.choices().f, half.rest(), &half.own);
        let mut all = Vec::new();
        if half.chooser {
            let minus = Some(half.theirs(transfer));
            all.push(self.take(half, "F", (transfer, true, 31), minus, f.clone()));
        }
        let [signed, top] = [half.other.signed(&half.shape), half.other.lane(half.shape.top)];
        let hidden = half.turned(&signed);
        all.push(self.take(half, "FR", (transfer, true, 32), hidden, f_rho.clone()));
        let (hidden, own) = (half.turned(&top), half.own.lane(half.shape.chosen_top));
        let name = format!("FM in {rest} bits");
        all.push(self.take(half, &name, (transfer, true, rest), hidden, own));
        all
    }
}
