//! What is opened of exact ReLUs that the servers made, the server's file, and what follows for whoever guesses x.

use super::Eyes;
use super::relus::{Half, Part};
use crate::numbers::fixed::low_mask;
use crate::protocol::tests::privacy::fields::{minus, xor};

/// What is opened of an element; the server's own part may be taken away.
struct Opened {
    z: u64,
    masked: u64,
    c: u64,
}

impl Opened {
    /// c, the top and the lowest bit of z, and a masked bit.
    fn joined(&self, n: u32, bit: u32) -> u64 {
        self.c | (self.z >> (n - 1)) << 1 | (self.z & 1) << 2 | (self.masked >> bit & 1) << 3
    }
}

impl Part {
    /// All that is fresh of an element: bits of rho, choices of u and f, v, and the top bit of the share of rho_l.
    fn fresh(&self, half: &Half) -> Vec<u64> {
        let (n, masks) = (half.shape.bits(), half.masks());
        let drawn = n + masks + 1;
        let word = |((drawn_bits, shares), carry): ((&u64, &u64), u64)| {
            let v = shares >> (n + masks) & low_mask(masks);
            drawn_bits & low_mask(drawn) | v << drawn | carry << (drawn + masks)
        };
        self.drawn.iter().zip(&self.masks).zip(self.carries(&half.shape)).map(word).collect()
    }
}

impl Eyes<'_, '_> {
    pub(super) fn guesses(&mut self, prefix: &str, half: &Half) {
        self.fresh(prefix, half);
        self.openings(prefix, half);
        self.relu_file(prefix, half);
    }

    /// What the other server drew: z, c and the masked bits tell it to whoever guesses x. No bit says anything of
    /// another, nor of this server's.
    fn fresh(&mut self, prefix: &str, half: &Half) {
        let width = half.shape.bits() + 2 * half.masks() + 2;
        let [own, other] = [&half.own, &half.other].map(|part| part.fresh(half));
        for bit in 0..width {
            let ones: Vec<u64> = other.iter().map(|v| (v >> bit & 1).wrapping_neg()).collect();
            let by = |values: &[u64], mask: u64| {
                let ones: Vec<u64> = ones.iter().map(|ones| ones & mask).collect();
                xor(values, &ones)
            };
            let name = |whose| format!("{prefix}{whose} bits by bit {bit} of {width}");
            let all = low_mask(width);
            self.joint(&name("the other's"), width, &by(&other, all & !(1 << bit)));
            self.joint(&name("its own"), width, &by(&own, all));
        }
    }

    fn openings(&mut self, prefix: &str, half: &Half) {
        let (n, bits) = (half.shape.bits(), half.shape.opened_bits());
        let opened = |i: usize| Opened { z: half.z[i], masked: half.masked[i], c: half.c[i] };
        let without = |i: usize| {
            let (opened, masks) = (opened(i), half.own.masks[i] >> n);
            Opened {
                z: opened.z ^ half.own.drawn[i] & low_mask(n),
                masked: opened.masked ^ masks & low_mask(bits),
                c: opened.c ^ masks >> bits & 1,
            }
        };
        let x = (n, &minus(&half.z, &half.rho(), n)[..]);
        let all = 0..half.len();
        for bit in 0..bits {
            let name = format!("{prefix}c, ends of z and masked bit {bit}");
            let joined: Vec<u64> = all.clone().map(|i| opened(i).joined(n, bit)).collect();
            self.seen(&name, 4, &joined, x);
            let joined: Vec<u64> = all.clone().map(|i| without(i).joined(n, bit)).collect();
            self.seen(&format!("{name}, without its own"), 4, &joined, x);
        }
        let with_v = all.clone().map(|i| half.v[i] >> 28 ^ opened(i).joined(n, 0));
        self.seen(&format!("{prefix}V, xor c, z and e"), 4, &with_v.collect::<Vec<u64>>(), x);
        // Of a small x the other's share of rho_l is nearly z_l less the own one.
        let low = half.own.low(&half.shape);
        let tops = all.map(|i| {
            let share = (half.z[i] & low_mask(n - 1)).wrapping_sub(low[i]) & low_mask(n);
            without(i).z >> (n - 1) | share >> (n - 2) << 1
        });
        let name = format!("{prefix}top of z, and of z_l less its share of rho_l");
        self.seen(&name, 3, &tops.collect::<Vec<u64>>(), x);
    }

    /// Numbers that are opened, alike for every x.
    fn seen(&mut self, name: &str, width: u32, values: &[u64], x: (u32, &[u64])) {
        self.joint(name, width, values);
        self.classes(&format!("{name} by x"), width, values, x);
    }

    /// The server's file, next to rho and V.
    fn relu_file(&mut self, prefix: &str, half: &Half) {
        let (shape, own, rho) = (&half.shape, &half.own, half.rho());
        let (n, rest) = (shape.bits(), shape.ring_bits() - shape.bits());
        let mut parts: Vec<(String, u32, Vec<u64>)> = vec![
            (format!("R over {n} bits"), rest, own.lane(shape.high)),
            (format!("M in {rest} bits"), rest, own.lane(shape.top)),
            (format!("FM in {rest} bits"), rest, own.lane(shape.chosen_top)),
            ("F".into(), 32, own.f.clone()),
            ("FR".into(), 32, own.f_rho.clone()),
            ("F, less V".into(), 32, minus(&own.f, &half.v, 32)),
            ("FR, less V".into(), 32, minus(&own.f_rho, &half.v, 32)),
            ("products".into(), shape.product_count(), own.products(shape)),
            (format!("masks and rho of {n} bits"), n + shape.opened_bits() + 1, own.masks.clone()),
        ];
        for digit in shape.digits() {
            let bits = digit.lane.bits;
            parts.push((format!("vectors of {bits} bits"), bits, own.lane(digit.lane)));
        }
        parts.extend(shape.alarm.map(|(_, lane)| ("alarm".into(), lane.bits, own.lane(lane))));
        for (name, width, values) in parts {
            self.joint(&format!("{prefix}share: {name}"), width, &values);
            self.classes(&format!("{prefix}share: {name}, by rho"), width, &values, (n, &rho));
        }
    }
}
