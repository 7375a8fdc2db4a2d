//! Linear ops: hints, ciphertexts and shares of Z, next to U and V, which are opened later.

use super::{Eyes, words};
use crate::crypto::rlwe::Profile;
use crate::ids::Party;
use crate::material::pair::linear::{LinearPlan, batch_input};
use crate::material::weight_mask;
use crate::numbers::fixed::low_mask;
use crate::protocol::tests::privacy::fields::{minus, plus};
use crate::protocol::tests::privacy::making::linear::{
    COUNTED, Publics, ciphertexts, hints, spread,
};
use crate::protocol::tests::world::SIZE;
use crate::wire::Tag;
use std::collections::BTreeMap;

impl Eyes<'_, '_> {
    fn plan(&self) -> LinearPlan {
        LinearPlan::new(&self.seat.worlds[0].model.public, Profile::Q88).unwrap()
    }

    /// Who knows the model knows X of the other server once U is open: what is left hides nothing.
    pub(super) fn hints(&mut self) {
        let (party, plan, name) = (self.seat.party, self.plan(), self.seat.name.clone());
        for piece in plan.hint_pieces() {
            let op = &plan.ops()[piece.index];
            self.open(Tag::Hint);
            let [theirs, ours] = [self.theirs.all(), self.ours.all()].map(hints);
            let x = self.mask(party.other(), op.op, op.inputs * op.outputs);
            let public = Publics::new(&name, op, party.other());
            for (row, (hint, own)) in piece.rows.zip(theirs.iter().zip(&ours)) {
                let x = &x[row * op.inputs..][..op.inputs];
                let bare = minus(hint, &public.sum(op, x), 56);
                self.joint("hints, without X", 56, &bare);
                self.joint("hints, less its own", 56, &minus(hint, own, 56));
                let first = vec![u64::from(x[0]); hint.len()];
                self.classes("hints by an entry of X", 56, hint, (32, &first));
                self.see("hints", 56, hint.clone());
            }
        }
        for (op, linear) in self.seat.worlds[0].model.public.network.linears() {
            let own = self.mask(party, op, linear.weights());
            let opened = self.opened[0][&("U", op)].clone();
            let with = own.iter().zip(&opened).map(|(x, u)| (u64::from(*x) + u) & low_mask(32));
            let with: Vec<u64> = with.collect();
            self.joint("U, opened", 32, &opened);
            self.joint("U, opened, and its own X", 32, &with);
        }
    }

    fn mask(&self, party: Party, op: usize, count: usize) -> Vec<u32> {
        weight_mask(&self.seat.worlds[0].seeds[party.index()].weight_mask, op, count)
    }

    /// Ciphertexts of Y of the other server, which later is all that hides the input from this one.
    pub(super) fn ciphertexts(&mut self) {
        let (seat, plan) = (self.seat, self.plan());
        let party = seat.party;
        let network = &seat.worlds[0].model.public.network;
        let grids = network.grids(SIZE).unwrap();
        for op in plan.ops() {
            let grid = grids.iter().find(|grid| grid.stage.ops.contains(&op.op)).unwrap();
            let (mask, inputs) = match network.inner_mask(op.op) {
                None => {
                    let map = grid.stage.maps().next().unwrap();
                    (network.maps()[map].op, grid.reads[0].features())
                }
                Some(mask) => (mask, grid.rows() * op.inputs),
            };
            let views = |p| seat.worlds.iter().map(|w| w.view(p)).collect::<Vec<_>>();
            let maps = |p: Party| -> Vec<Vec<u32>> {
                views(p).iter().map(|v| v.input_mask(mask, 0..inputs)).collect()
            };
            let opened: Vec<Vec<u32>> = self.opened.iter().map(|o| input(o, mask)).collect();
            for part in op.parts(grid, seat.worlds.len()) {
                let [own, secret] =
                    [party, party.other()].map(|p| spread(op, &part, grid, &maps(p)));
                let right = batch_input(op, &part, network, grid, &views(party));
                assert!(own == *right, "what is hidden is put where the batch has it");
                let opened = spread(op, &part, grid, &opened);
                self.batch(op.pieces().count(), op.elements(), [&own, &secret, &opened]);
            }
        }
    }

    fn batch(&mut self, pieces: usize, elements: usize, [own, secret, opened]: [&[u32]; 3]) {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..pieces {
            self.open(Tag::Masks);
            theirs.extend(ciphertexts(self.theirs.all()));
            ours.extend(ciphertexts(self.ours.all()));
        }
        let used = COUNTED.min(secret.len() / elements);
        for (k, (b, own_b)) in theirs.iter().zip(&ours).enumerate() {
            let apart = b.less(own_b);
            self.joint("ciphertexts, less its own: high", 64, &apart.high);
            self.joint("ciphertexts, less its own: low", 20, &apart.low);
            if let Some(next) = theirs.get(k + 1) {
                let next = b.less(next);
                self.joint("ciphertexts, less the next: high", 64, &next.high);
                self.joint("ciphertexts, less the next: low", 20, &next.low);
            }
            self.see("ciphertexts, high", 64, b.high.clone());
            self.see("ciphertexts, low", 20, b.low.clone());
            if k == elements {
                break;
            }
            let column = |from: &[u32]| -> Vec<u64> {
                from.chunks_exact(elements).take(used).map(|row| u64::from(row[k])).collect()
            };
            let [own, secret, opened] = [own, secret, opened].map(column);
            // b + Delta (V + Y of its own) hides the input itself.
            let shift = |values: &[u64]| values.iter().map(|v| v << 32).collect::<Vec<u64>>();
            let hidden = plus(&plus(&b.high[..used], &shift(&own), 64), &shift(&opened), 64);
            self.joint("ciphertexts, with Y of its own and V", 64, &hidden);
            let bare = minus(&b.high[..used], &shift(&secret), 64);
            self.joint("ciphertexts, without Y", 64, &bare);
            self.classes("ciphertexts, high, by Y", 64, &b.high[..used], (32, &secret));
            self.classes("ciphertexts, low, by Y", 20, &b.low[..used], (32, &secret));
        }
    }

    /// Own shares of Z.
    pub(super) fn products(&mut self, slot: usize, batch: usize, op: usize) {
        let (party, world) = (self.seat.party, self.seat.worlds[slot]);
        let network = &world.model.public.network;
        let (_, linear) = network.linears().find(|(at, _)| *at == op).unwrap();
        let chunks = &world.chunks_made.as_ref().unwrap()[party.index()][batch];
        let z = words(&chunks.iter().find(|(at, _)| *at == op).unwrap().1);
        self.joint("share of Z", 32, &z);
        let x = self.mask(party.other(), op, linear.weights());
        let inputs = linear.weights() / linear.outputs;
        let first = (0..z.len()).map(|i| u64::from(x[i % linear.outputs * inputs]));
        self.classes("share of Z by an entry of X", 32, &z, (32, &first.collect::<Vec<u64>>()));
        // What the activation behind it gives is opened under its op.
        if let Some(v) = self.opened[slot].get(&("V", op + 1)).cloned() {
            let first = world.layout.batch(batch).rows.start * linear.outputs;
            self.joint("share of Z, less V", 32, &minus(&z, &v[first..][..z.len()], 32));
        }
    }
}

/// The opened V whose mask belongs to an op.
fn input(opened: &BTreeMap<(&'static str, usize), Vec<u64>>, op: usize) -> Vec<u32> {
    let found = opened.get(&("V of the image", op)).or_else(|| opened.get(&("V", op)));
    found.expect("every input is opened").iter().map(|v| *v as u32).collect()
}
