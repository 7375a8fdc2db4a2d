//! From what a server saw to fields of numbers that must be uniform whatever the secrets are.
//!
//! For an opening of a secret s under a mask k = k_0 + k_1 the server has its own share s_0 + k_0
//! (or s_0 - k_0), the other's, and k_0. Everything linear that it can make of them is a shift by
//! what it knows of one of four: the received share, the opened value, the opened value without its
//! own mask (s + k_1), and without twice its own mask, which is the secret if both servers have the
//! same seed. Differences between batches, layers and the two sessions of a pair are uniform as long as
//! no mask serves twice.

use super::campaign::View;
use super::stats::Field;
use super::wire::{Mask, Piece, pieces, values};
use crate::crypto::prg::Purpose;
use crate::ids::Party;
use crate::kernels::one_hot_words;
use crate::model::ActivationSpec;
use crate::network::LinearShape;
use crate::numbers::fixed::low_mask;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::protocol::tests::world::{PARTIES, SIZE, World};
use std::collections::BTreeMap;

/// Fields by name.
#[derive(Default)]
pub(super) struct Fields {
    /// Must be uniform.
    pub(super) uniform: BTreeMap<String, Field>,
    /// The openings by a bit of the secret: the two must look alike.
    pub(super) by_secret: BTreeMap<String, [Field; 2]>,
}

/// An opening from the view of one server, or a run of other numbers (`sent` and `secret` are empty).
pub(super) struct Opening {
    pub(super) piece: Piece,
    batch: u32,
    received: Vec<u64>,
    sent: Vec<u64>,
    pub(super) opened: Vec<u64>,
    own_mask: Vec<u64>,
    secret: Vec<u64>,
}

impl Opening {
    fn name(&self) -> String {
        match self.piece.op {
            0 => self.piece.name.to_string(),
            op => format!("{} of op {op}", self.piece.name),
        }
    }

    /// The opened value less `times` the own mask.
    fn without(&self, times: u64) -> Vec<u64> {
        if self.piece.is_xored() {
            let odd = self.own_mask.iter().map(|k| k * (times & 1));
            return xor(&self.opened, &odd.collect::<Vec<u64>>());
        }
        let sign = self.piece.mask.map_or(0, Mask::sign).wrapping_mul(times);
        let masks = self.own_mask.iter();
        let less =
            self.opened.iter().zip(masks).map(|(o, k)| o.wrapping_sub(sign.wrapping_mul(*k)));
        less.map(|v| v & low_mask(self.piece.width)).collect()
    }
}

impl Fields {
    pub(super) fn add(&mut self, name: String, width: u32, values: &[u64]) {
        self.uniform.entry(name).or_insert_with(|| Field::new(width)).push(values);
    }

    /// What the set-up of a session of garbled circuits showed.
    pub(super) fn set_up(&mut self, world: &World, party: Party, view: &View) {
        for (ours, theirs) in view.sent.iter().zip(&view.received) {
            let place = (theirs.tag, theirs.batch, theirs.nth);
            for piece in pieces(world, party.other(), place, theirs.payload.len()) {
                let received = values(&piece, &theirs.payload);
                let sent = values(&piece, &ours.payload);
                self.add(piece.name.into(), piece.width, &received);
                let both = xor(&received, &sent);
                self.add(format!("{}, received xor sent", piece.name), piece.width, &both);
            }
        }
    }

    /// What the two sessions of a pair showed.
    pub(super) fn pair<R: Ring>(&mut self, worlds: &[World; 2], party: Party, views: [&View; 2]) {
        let openings = [0, 1].map(|i| openings(&worlds[i], party, views[i]));
        for i in [0, 1] {
            self.session(&openings[i]);
            self.own::<R>(&worlds[i], party, views[i]);
        }
        for (a, b) in openings[0].iter().zip(&openings[1]) {
            let width = a.piece.width;
            let name = |what| format!("{}, {what} of two sessions", a.name());
            let (what, differences) = match a.piece.mask {
                None => ("xor", xor(&a.received, &b.received)),
                Some(_) => ("difference", apart(&a.piece, &b.opened, &a.opened, width)),
            };
            self.add(name(what), width, &differences);
        }
        let shares = [0, 1].map(|i| image_share::<R>(&worlds[i], party));
        let differences = minus(&shares[1], &shares[0], R::BITS);
        self.add("image share, difference of two sessions".into(), R::BITS, &differences);
        // Made material is at both, and looked at with the session in which it was made.
        if party == Party::S0 && worlds[0].chunks_made.is_none() {
            self.material::<R>(&worlds[0]);
        }
    }

    /// The openings of one session.
    fn session(&mut self, openings: &[Opening]) {
        for opening in openings {
            let (name, width) = (opening.name(), opening.piece.width);
            self.add(format!("{name}, received"), width, &opening.received);
            if opening.piece.mask.is_some() {
                self.add(format!("{name}, opened"), width, &opening.opened);
                self.add(format!("{name}, known part"), width, &opening.without(1));
                self.add(format!("{name}, under equal masks"), width, &opening.without(2));
                self.by_secret(opening);
            }
            match opening.piece.mask {
                // y = V + Y and x = (x + rho) - rho, the server's own shares.
                Some(Mask::Input) if opening.piece.name == "V" => {
                    let own = plus(&opening.sent, &opening.own_mask, width);
                    self.add(format!("{name}, own share of the activation"), width, &own);
                }
                Some(Mask::Lookup) => {
                    let own = minus(&opening.sent, &opening.own_mask, width);
                    self.add(format!("{name}, own share of x"), width, &own);
                }
                _ => {}
            }
            self.neighbours(opening, openings);
        }
    }

    /// Against the next batch and the next layer.
    fn neighbours(&mut self, a: &Opening, openings: &[Opening]) {
        let next_layer = |b: &&Opening| b.piece.op > a.piece.op && b.batch == a.batch;
        let next_batch = |b: &&Opening| b.piece.op == a.piece.op && b.batch == a.batch + 1;
        let alike = || openings.iter().filter(|b| b.piece.name == a.piece.name);
        // Weights come in one frame an op: no batches, and layers of other shapes.
        let weights = a.piece.mask == Some(Mask::Weights);
        let found = [("batches", alike().find(next_batch)), ("layers", alike().find(next_layer))];
        for (what, b) in found.into_iter().filter(|_| !weights) {
            let Some(b) = b else { continue };
            let width = a.piece.width.min(b.piece.width);
            let both = match a.piece.mask {
                None => xor(&b.received, &a.received),
                Some(_) => apart(&a.piece, &b.opened, &a.opened, width),
            };
            let name = format!("{}, difference of {what}", a.name());
            let low: Vec<u64> = both.iter().map(|v| v & low_mask(width)).collect();
            self.add(name, width, &low);
        }
    }

    /// Numbers where a bit of a secret is 0 and 1: the two classes must look alike.
    pub(super) fn by_class(&mut self, name: String, width: u32, seen: &[u64], classes: &[u64]) {
        assert_eq!(seen.len(), classes.len(), "{name}");
        let fields = self.by_secret.entry(name);
        let fields = fields.or_insert_with(|| [Field::new(width), Field::new(width)]);
        for class in [0, 1] {
            let of_class = seen.iter().zip(classes).filter(|(_, c)| **c == class);
            let of_class: Vec<u64> = of_class.map(|(v, _)| *v).collect();
            fields[class as usize].push(&of_class);
        }
    }

    /// The opened values where the secret's sign, and its lowest bit, are 0 and 1.
    fn by_secret(&mut self, opening: &Opening) {
        let width = opening.piece.width;
        for (what, bit) in [("sign", width - 1), ("lowest bit", 0)] {
            for (kind, seen) in [("opened", &opening.opened), ("received", &opening.received)] {
                let name = format!("{}, {kind} by the secret's {what}", opening.name());
                let classes: Vec<u64> = opening.secret.iter().map(|s| s >> bit & 1).collect();
                self.by_class(name, width, seen, &classes);
            }
        }
    }

    /// What the server has of its own: shares of model and image, and of the result.
    fn own<R: Ring>(&mut self, world: &World, party: Party, view: &View) {
        self.add("image share".into(), R::BITS, &image_share::<R>(world, party));
        for (op, linear) in world.model.network.linears() {
            let values = [&linear.weights[..], &linear.bias[..]].concat();
            let share: Vec<R> = world.share_of(party, op, &values, Purpose::ModelShare);
            let share: Vec<u64> = share.into_iter().map(Ring::to_u64).collect();
            assert_eq!(share.len(), linear.outputs() * (linear.inputs() + 1));
            self.add("model share".into(), R::BITS, &share);
        }
        // A pixel's sum is a multiple of the public weights' common power of two: what is above it.
        let network = &world.model.public.network;
        let grid = network.grid(SIZE).unwrap();
        let mut weights = vec![0u64; grid.pixels()];
        let ones = vec![0u8; grid.rows() * network.linears().last().unwrap().1.outputs];
        grid.fold(0..grid.rows(), &ones, &network.fold().window, &mut weights, |all, w, _| {
            *all |= u64::from(w);
        });
        let power = weights.iter().map(|w| w.trailing_zeros()).max().unwrap();
        let odd = view.result.iter().zip(&weights);
        let odd: Vec<u64> =
            odd.map(|(v, w)| v >> w.trailing_zeros() & low_mask(R::BITS - power)).collect();
        self.add("result share".into(), R::BITS - power, &odd);
    }

    /// S0's explicit material of a slot.
    fn material<R: Ring>(&mut self, world: &World) {
        let dealer = world.dealer::<R>();
        let network = &world.model.public.network;
        let mut before: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for batch in 0..world.layout.batches() {
            for (op, bytes) in world.chunks(&dealer, batch) {
                let spec = network.activations().find(|(at, ..)| *at == op);
                let Some((_, ActivationSpec::Lookup(table), width)) = spec else {
                    self.add(format!("product or square of op {op}"), R::BITS, &read::<R>(&bytes));
                    continue;
                };
                let at = world.layout.batch(batch).rows;
                let at = at.start * width..at.end * width;
                let words = one_hot_words(table.hi);
                let (one_hot, keys) = bytes.split_at(8 * words * at.len());
                let one_hot = read::<u64>(one_hot);
                let keys = read::<R>(keys);
                for (i, keys) in keys.chunks(at.len()).enumerate() {
                    self.add(format!("K{} of op {op}", i + 1), R::BITS, keys);
                }
                let rho = PARTIES
                    .map(|p| Mask::Lookup.share(world, p, op, at.clone(), table.input_bits()));
                let rho = plus(&rho[0], &rho[1], table.input_bits());
                let sign = |(i, rho): (usize, &u64)| {
                    let position = (rho >> table.lo) as usize;
                    one_hot[i * words + position / 64] >> (position % 64) & 1
                };
                let signs: Vec<u64> = rho.iter().enumerate().map(sign).collect();
                self.add(format!("one-hot bit at rho of op {op}"), 1, &signs);
                if let Some(before) = before.get(&op) {
                    let name = format!("one-hot vectors of op {op}, xor of batches");
                    self.add(name, 64, &xor(before, &one_hot));
                }
                self.add(format!("one-hot vectors of op {op}"), 64, &one_hot);
                before.insert(op, one_hot);
            }
        }
    }
}

/// All pieces that a server received, with what it knows of them.
pub(super) fn openings(world: &World, party: Party, view: &View) -> Vec<Opening> {
    let mut ours: BTreeMap<(&str, usize, usize), Vec<u64>> = BTreeMap::new();
    for record in &view.sent {
        let place = (record.tag, record.batch, record.nth);
        for piece in pieces(world, party, place, record.payload.len()) {
            let sent = values(&piece, &record.payload);
            ours.insert((piece.name, piece.op, piece.at.start), sent);
        }
    }
    let mut openings = Vec::new();
    for record in &view.received {
        let place = (record.tag, record.batch, record.nth);
        for piece in pieces(world, party.other(), place, record.payload.len()) {
            let received = values(&piece, &record.payload);
            let none = Vec::new;
            let mut opening = Opening {
                batch: record.batch,
                received,
                sent: none(),
                opened: none(),
                own_mask: none(),
                secret: none(),
                piece,
            };
            if let Some(mask) = opening.piece.mask {
                let (op, at, width) = (opening.piece.op, &opening.piece.at, opening.piece.width);
                let share = |party| mask.share(world, party, op, at.clone(), width);
                let both = together(&opening.piece, &share(Party::S0), &share(Party::S1), width);
                opening.own_mask = share(party);
                opening.sent = ours[&(opening.piece.name, op, at.start)].clone();
                opening.opened = together(&opening.piece, &opening.received, &opening.sent, width);
                opening.secret = match mask.sign() {
                    1 => apart(&opening.piece, &opening.opened, &both, width),
                    _ => plus(&opening.opened, &both, width),
                };
            }
            openings.push(opening);
        }
    }
    openings
}

fn image_share<R: Ring>(world: &World, party: Party) -> Vec<u64> {
    let share: Vec<R> = world.share_of(party, 0, &world.image, Purpose::ImageShare);
    share.into_iter().map(Ring::to_u64).collect()
}

fn read<R: Ring>(bytes: &[u8]) -> Vec<u64> {
    ring::from_le_bytes::<R>(bytes).unwrap().into_iter().map(Ring::to_u64).collect()
}

pub(super) fn xor(a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

/// The sum of shares of a piece's numbers.
fn together(piece: &Piece, a: &[u64], b: &[u64], width: u32) -> Vec<u64> {
    if piece.is_xored() { xor(a, b) } else { plus(a, b, width) }
}

/// Their difference.
fn apart(piece: &Piece, a: &[u64], b: &[u64], width: u32) -> Vec<u64> {
    if piece.is_xored() { xor(a, b) } else { minus(a, b, width) }
}

pub(super) fn plus(a: &[u64], b: &[u64], width: u32) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| a.wrapping_add(*b) & low_mask(width)).collect()
}

pub(super) fn minus(a: &[u64], b: &[u64], width: u32) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| a.wrapping_sub(*b) & low_mask(width)).collect()
}
