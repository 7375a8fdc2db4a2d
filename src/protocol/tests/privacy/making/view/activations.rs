//! Lookups and square pairs: every payload, next to the server's file and to what is opened later.

use super::{Eyes, Place, slot_masks, words};
use crate::ids::Party;
use crate::kernels::one_hot_words;
use crate::material::pair::lookup::Shape;
use crate::numbers::fixed::low_mask;
use crate::numbers::packing;
use crate::numbers::ring;
use crate::numbers::slope_table::SlopeTable;
use crate::protocol::tests::privacy::fields::{minus, plus, xor};
use crate::protocol::tests::privacy::making::session::Slip;
use crate::wire::Tag;

impl Eyes<'_, '_> {
    pub(super) fn lookups(&mut self, place: &Place, table: &SlopeTable) {
        let (party, world, n) = (self.seat.party, self.seat.worlds[place.slot], place.at.len());
        let shape = Shape { hi: table.hi, lo: table.lo, ring_bits: 32 };
        let file = |p| File::read(world.made_chunk(p, place.op, &place.at).unwrap(), n, shape);
        let (own, other) = (file(party), file(party.other()));
        let rho = plus(&own.rho, &other.rho, shape.bits());
        let opened = |name| self.opened[place.slot][&(name, place.op)][place.at.clone()].to_vec();
        let [x, c, e] = ["x + rho", "c", "e"].map(opened);
        let slopes = slot_masks(world, party, place.op, place.at.clone())[1].clone();
        let secret = (shape.bits(), &rho[..]);
        self.corrections();
        self.levels(shape, &own, secret);
        self.low_bits(shape, [&e, &slopes], secret);
        let signs = self.theirs.numbers(n, 1);
        self.signs(signs, [&own, &other], secret);
        self.keys([&own.k2, &own.k3], [&e, &c], secret);
        self.own(&own, &rho, (&x, shape));
    }

    /// The one-hot vector bit by bit, and at S0 what turns the bits into a number.
    fn levels(&mut self, shape: Shape, own: &File, secret: (u32, &[u64])) {
        let n = own.rho.len();
        for level in 1..shape.hi {
            self.open(Tag::OtPayloads);
            self.ours.all();
            for k in 0..one_hot_words(level) {
                let bits = 64.min(1 << level);
                let width = if k + 1 == one_hot_words(level) { bits - 1 } else { bits };
                let word = self.theirs.numbers(n, width);
                let vector: Vec<u64> = own.word(k).map(|word| word & low_mask(width)).collect();
                let name = format!("level {level}, word {k}");
                self.joint(&format!("{name}, xor its own"), width, &xor(&word, &vector));
                self.classes(&format!("{name} by rho"), width, &word, secret);
                self.see(&name, width, word);
            }
            if self.seat.party == Party::S1 {
                continue;
            }
            let width = shape.hi - level;
            let number = self.theirs.numbers(n, width);
            let high: Vec<u64> = own.rho.iter().map(|r| r >> shape.lo & low_mask(width)).collect();
            let name = format!("{width} bits of level {level}");
            let apart = minus(&number, &high, width);
            self.joint(&format!("{name}, less its own rho"), width, &apart);
            self.classes(&format!("{name} by rho"), width, &number, secret);
            self.see(&name, width, number);
        }
    }

    /// N and the low bits as numbers, next to the e that is opened later and to this server's m'.
    fn low_bits(&mut self, shape: Shape, [e, slopes]: [&[u64]; 2], secret: (u32, &[u64])) {
        self.open(Tag::OtPayloads);
        self.ours.all();
        let n = e.len();
        for t in 0..shape.lo {
            let width = 32 - t;
            let product = self.theirs.numbers(n, width);
            let (name, mask) = (format!("product of low bit {t}"), low_mask(width));
            let cut = |v: &[u64]| v.iter().map(|v| v & mask).collect::<Vec<u64>>();
            self.joint(&format!("{name}, less e"), width, &minus(&product, &cut(e), width));
            let both = minus(&minus(&product, &cut(e), width), &cut(slopes), width);
            self.joint(&format!("{name}, less e and its own m'"), width, &both);
            self.classes(&format!("{name} by rho"), width, &product, secret);
            self.see(&name, width, product);
            if self.seat.party == Party::S0 {
                let number = self.theirs.numbers(n, width - 1);
                self.classes(&format!("number of low bit {t} by rho"), width - 1, &number, secret);
                self.see(&format!("number of low bit {t}"), width - 1, number);
            }
        }
    }

    /// Products by signs: K2 and K3, next to the e and c that are opened later.
    fn keys(&mut self, own: [&[u64]; 2], opened: [&[u64]; 2], secret: (u32, &[u64])) {
        self.open(Tag::OtPayloads);
        self.ours.all();
        for (name, (key, opened)) in ["K2", "K3"].into_iter().zip(own.into_iter().zip(opened)) {
            let value = self.theirs.numbers(key.len(), 32);
            let (payload, share) = (format!("payload of {name}"), format!("share of {name}"));
            self.joint(&format!("{payload}, less its own"), 32, &minus(&value, key, 32));
            for (name, values) in [(&payload, &value[..]), (&share, key)] {
                let apart = minus(values, opened, 32);
                self.joint(&format!("{name}, less what is opened"), 32, &apart);
                self.classes(&format!("{name} by rho"), 32, values, secret);
            }
            self.joint(&share, 32, key);
            self.see(&payload, 32, value);
        }
    }

    /// What the other server publishes of its signs: bits under choices of its own.
    fn signs(&mut self, seen: Vec<u64>, [own, other]: [&File; 2], rho: (u32, &[u64])) {
        let seen = if self.seat.slip == Slip::BareSigns { other.signs() } else { seen };
        self.joint("published signs, xor its own signs", 1, &xor(&seen, &own.signs()));
        self.fields.by_class("published signs by the signs".into(), 1, &seen, &other.signs());
        self.classes("published signs by rho", 1, &seen, rho);
        // Of whoever has guessed rho: whether its own vector has the bit there.
        let bits = own.bit_at(rho.1);
        self.joint("published signs, xor its own sign and its bit at rho", 1, &{
            xor(&xor(&seen, &own.signs()), &bits)
        });
        self.see("published signs", 1, seen);
    }

    /// The server's file, next to what is opened of it.
    fn own(&mut self, own: &File, rho: &[u64], (x, shape): (&[u64], Shape)) {
        let (bits, width) = (shape.bits(), 64.min(1 << shape.hi));
        for k in 0..own.words {
            let word: Vec<u64> = own.word(k).collect();
            self.joint("one-hot vectors", width, &word);
            self.classes("one-hot vectors by rho", width, &word, (bits, rho));
        }
        self.joint("one-hot bit at rho", 1, &own.bit_at(rho));
        let name = format!("share of rho of {bits} bits");
        self.joint(&name, bits, &own.rho);
        self.joint(&format!("{name}, and x + rho"), bits, &plus(&own.rho, x, bits));
        self.classes(&format!("{name} by rho"), bits, &own.rho, (bits, rho));
    }

    pub(super) fn corrections(&mut self) {
        self.open(Tag::OtCorrections);
        let [theirs, ours] = [self.theirs.all(), self.ours.all()]
            .map(|bytes| packing::unpack::<u64>(bytes, 64, bytes.len() / 8).expect("whole blocks"));
        self.joint("corrections, received xor sent", 64, &xor(&theirs, &ours));
        self.see("corrections", 64, theirs);
    }

    pub(super) fn squares(&mut self, place: &Place) {
        let (party, world) = (self.seat.party, self.seat.worlds[place.slot]);
        let chunk = |p| words(world.made_chunk(p, place.op, &place.at).unwrap());
        let root = |p| -> Vec<u64> {
            let roots: Vec<u32> = world.view(p).square_root(place.op, place.at.clone());
            roots.into_iter().map(u64::from).collect()
        };
        // Those elements for which this server chooses.
        let ours =
            |v: &[u64]| -> Vec<u64> { v.iter().skip(party.index()).step_by(2).copied().collect() };
        let opened = self.opened[place.slot][&("x - a", place.op)][place.at.clone()].to_vec();
        let (square, secret) = (chunk(party), root(party.other()));
        self.corrections();
        self.open(Tag::OtPayloads);
        self.ours.all();
        let (here, open) = (ours(&secret), ours(&opened));
        for bit in 0..31 {
            let width = 31 - bit;
            let product = self.theirs.numbers(here.len(), width);
            let cut: Vec<u64> = open.iter().map(|v| v & low_mask(width)).collect();
            let name = format!("product of bit {bit}");
            self.joint(&format!("{name}, less x - a"), width, &minus(&product, &cut, width));
            self.classes(&format!("{name} by a"), width, &product, (32, &here));
            self.see(&name, width, product);
        }
        self.joint("share of a^2", 32, &square);
        self.joint("share of a^2, less x - a", 32, &minus(&square, &opened, 32));
        self.classes("share of a^2 by a", 32, &square, (32, &secret));
    }
}

/// A server's made chunk of a batch.
struct File {
    one_hot: Vec<u64>,
    words: usize,
    lo: u32,
    k2: Vec<u64>,
    k3: Vec<u64>,
    rho: Vec<u64>,
}

impl File {
    fn read(chunk: &[u8], count: usize, shape: Shape) -> Self {
        let words_each = one_hot_words(shape.hi);
        let (one_hot, keys) = chunk.split_at(count * words_each * 8);
        let keys = words(keys);
        let part = |i: usize| keys[i * count..(i + 1) * count].to_vec();
        File {
            one_hot: ring::from_le_bytes(one_hot).unwrap(),
            words: words_each,
            lo: shape.lo,
            k2: part(0),
            k3: part(1),
            rho: part(2),
        }
    }

    fn word(&self, k: usize) -> impl Iterator<Item = u64> {
        self.one_hot.iter().skip(k).step_by(self.words).copied()
    }

    /// Bit 1 of the popcounts.
    fn signs(&self) -> Vec<u64> {
        let ones = |v: &[u64]| v.iter().map(|w| w.count_ones()).sum::<u32>();
        self.one_hot.chunks_exact(self.words).map(|v| u64::from(ones(v) >> 1 & 1)).collect()
    }

    fn bit_at(&self, rho: &[u64]) -> Vec<u64> {
        let bit = |(vector, rho): (&[u64], &u64)| {
            let at = (rho >> self.lo) as usize;
            vector[at / 64] >> (at % 64) & 1
        };
        self.one_hot.chunks_exact(self.words).zip(rho).map(bit).collect()
    }
}
