//! What a server sees while material is made, joined with its own file and with what `serve` opens later.
//!
//! Not declared uniform, because it is not: K1, the popcount of a one-hot share, which both servers take from
//! their own vectors; the parity of such a vector (odd at S0, even at S1): the fields below never hold all
//! of its bits in one bin; sums of what both sacrifice, which obey the relations; the lowest bit of a share
//! of a^2 next to the server's own a, which it is.

mod activations;
mod guesses;
mod payloads;
mod products;
mod relus;
mod rules;

use super::session::Slip;
use crate::crypto::garble::BlockStream;
use crate::crypto::prg::Seed;
use crate::ids::Party;
use crate::kernels::one_hot_words;
use crate::material::pair::linear::MaskName;
use crate::model::ActivationSpec;
use crate::network::Op;
use crate::numbers::packing;
use crate::numbers::ring;
use crate::protocol::tests::privacy::campaign::View;
use crate::protocol::tests::privacy::fields::{Fields, Opening, minus, openings, xor};
use crate::protocol::tests::privacy::tap::Record;
use crate::protocol::tests::world::World;
use crate::wire::Tag;
use std::collections::BTreeMap;
use std::ops::Range;

/// One server in a session in which material was made for some slots, and in those that used it.
pub(super) struct Seat<'a> {
    pub(super) party: Party,
    /// By slot.
    pub(super) worlds: Vec<&'a World>,
    pub(super) name: MaskName,
    pub(super) made: &'a View,
    /// Of the greeting, S0's first.
    pub(super) nonces: [[u8; 32]; 2],
    pub(super) served: Vec<&'a View>,
    /// From which both servers draw their bits, S0's first.
    pub(super) draws: [Seed; 2],
    pub(super) slip: Slip,
}

/// Numbers of one kind that were received, in order.
struct Run {
    name: String,
    width: u32,
    values: Vec<u64>,
}

/// All fields of the two sessions of a pair.
pub(super) fn look(seats: &[Seat<'_>; 2], fields: &mut Fields) {
    let runs = seats.each_ref().map(|seat| {
        let mut eyes = Eyes::new(seat, fields);
        eyes.session();
        eyes.runs
    });
    for runs in &runs {
        let mut before: BTreeMap<&str, &Run> = BTreeMap::new();
        for run in runs {
            fields.add(format!("{}, received", run.name), run.width, &run.values);
            if let Some(before) = before.insert(run.name.as_str(), run) {
                let both = xor(&before.values, &run.values);
                fields.add(format!("{}, xor of two in turn", run.name), run.width, &both);
            }
        }
    }
    for (a, b) in runs[0].iter().zip(&runs[1]) {
        let both = xor(&a.values, &b.values);
        fields.add(format!("{}, xor of two sessions", a.name), a.width, &both);
    }
}

/// Frames that went one way, read from the front.
struct Frames<'a> {
    records: std::slice::Iter<'a, Record>,
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    fn new(records: &'a [Record]) -> Self {
        Frames { records: records.iter(), rest: &[] }
    }

    /// The next frame; the one before must have been read to its end.
    fn open(&mut self, tag: Tag) {
        assert!(self.rest.is_empty(), "bytes before {tag:?} are in no field");
        let record = self.records.next().expect("another frame");
        assert_eq!(record.tag, tag);
        self.rest = &record.payload;
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (now, later) = self.rest.split_at(count);
        self.rest = later;
        now
    }

    fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    fn numbers(&mut self, count: usize, width: u32) -> Vec<u64> {
        let bytes = self.bytes(packing::packed_len(count, width).unwrap());
        packing::unpack(bytes, width, count).expect("no padding is set")
    }
}

/// The seat's looks at its frames.
struct Eyes<'a, 'f> {
    seat: &'a Seat<'a>,
    fields: &'f mut Fields,
    theirs: Frames<'a>,
    ours: Frames<'a>,
    runs: Vec<Run>,
    /// What both servers draw for exact ReLUs, in order.
    drawn: [BlockStream; 2],
    /// What `serve` opened, by slot, name and op.
    opened: Vec<BTreeMap<(&'static str, usize), Vec<u64>>>,
}

/// A batch's activations.
struct Place {
    slot: usize,
    op: usize,
    at: Range<usize>,
}

impl<'a, 'f> Eyes<'a, 'f> {
    fn new(seat: &'a Seat<'a>, fields: &'f mut Fields) -> Self {
        let opened = seat.worlds.iter().zip(&seat.served).map(|(world, view)| {
            let mut found = openings(world, seat.party, view);
            found.sort_by_key(|opening| opening.piece.at.start);
            let mut all: BTreeMap<_, Vec<u64>> = BTreeMap::new();
            for Opening { piece, opened, .. } in found {
                all.entry((piece.name, piece.op)).or_default().extend(opened);
            }
            all
        });
        let opened = opened.collect();
        let (theirs, ours) = (Frames::new(&seat.made.received), Frames::new(&seat.made.sent));
        let drawn = seat.draws.each_ref().map(relus::drawn);
        Eyes { seat, fields, theirs, ours, runs: Vec::new(), drawn, opened }
    }

    fn session(&mut self) {
        self.greeting();
        self.hints();
        let set_up = |records: &[Record]| -> Vec<Record> {
            records.iter().filter(|r| r.tag == Tag::EngineSetup).cloned().collect()
        };
        let View { sent, received, .. } = self.seat.made;
        let view = View { sent: set_up(sent), received: set_up(received), result: Vec::new() };
        self.fields.set_up(self.seat.worlds[0], self.seat.party, &view);
        for _ in 0..3 {
            self.pass(Tag::EngineSetup);
        }
        let network = &self.seat.worlds[0].model.public.network;
        for (op, spec, _) in network.activations() {
            self.sacrifice(op, spec);
        }
        self.ciphertexts();
        for slot in 0..self.seat.worlds.len() {
            let world = self.seat.worlds[slot];
            for batch in 0..world.layout.batches() {
                let rows = world.layout.batch(batch).rows;
                for (op, _) in world.layout.chunks(batch) {
                    let width = network.activations().find(|(at, ..)| *at == op).map(|a| a.2);
                    let at = rows.start * width.unwrap_or(0)..rows.end * width.unwrap_or(0);
                    let place = Place { slot, op, at };
                    match &network.ops()[op] {
                        Op::Activation(ActivationSpec::Lookup(table)) => {
                            self.lookups(&place, table)
                        }
                        Op::Activation(ActivationSpec::Piecewise(_)) => self.squares(&place),
                        Op::Activation(ActivationSpec::Exact(relu)) => {
                            self.relus(&place, &relu.shape::<u32>().unwrap());
                        }
                        _ => self.products(slot, batch, op),
                    }
                }
            }
        }
        assert!(self.theirs.rest.is_empty() && self.theirs.records.next().is_none());
    }

    fn open(&mut self, tag: Tag) {
        self.theirs.open(tag);
        self.ours.open(tag);
    }

    /// Frames whose bytes are public, or looked at elsewhere.
    fn pass(&mut self, tag: Tag) {
        self.open(tag);
        self.theirs.all();
        self.ours.all();
    }

    fn see(&mut self, name: &str, width: u32, values: Vec<u64>) {
        self.runs.push(Run { name: name.into(), width, values });
    }

    fn joint(&mut self, name: &str, width: u32, values: &[u64]) {
        self.fields.add(name.into(), width, values);
    }

    /// By two bits of a secret of the other server, the highest of `secret_width` and the lowest.
    fn classes(
        &mut self,
        name: &str,
        width: u32,
        seen: &[u64],
        (secret_width, secret): (u32, &[u64]),
    ) {
        for (what, bit) in [("highest", secret_width - 1), ("lowest", 0)] {
            let classes: Vec<u64> = secret.iter().map(|s| s >> bit & 1).collect();
            self.fields.by_class(format!("{name}'s {what} bit"), width, seen, &classes);
        }
    }

    /// Nonces and contributions to u; all else of the greeting is public.
    fn greeting(&mut self) {
        let party = self.seat.party;
        self.pass(Tag::Hello);
        let bits = |bytes: &[u8]| -> Vec<u64> {
            bytes.iter().flat_map(|b| (0..8).map(move |bit| u64::from(b >> bit & 1))).collect()
        };
        let [ours, theirs] = [party, party.other()].map(|p| bits(&self.seat.nonces[p.index()]));
        self.joint("nonce of the greeting, received xor sent", 1, &xor(&theirs, &ours));
        self.joint("nonce of the greeting, received", 1, &theirs);
        self.open(Tag::PairSetUp);
        let [theirs, ours] = [&mut self.theirs, &mut self.ours].map(|f| bits(f.bytes(32)));
        assert_eq!(
            (self.theirs.all(), self.ours.all()),
            (&[1][..], &[1][..]),
            "hints are asked for"
        );
        self.joint("contribution to u, received xor sent", 1, &xor(&theirs, &ours));
        self.joint("contribution to u, received", 1, &theirs);
    }

    fn sacrifice(&mut self, op: usize, spec: &ActivationSpec) {
        // Its making is that of all others, and too small for fields of its own.
        let rounds = match spec {
            ActivationSpec::Lookup(table) => table.hi as usize + 1,
            ActivationSpec::Piecewise(_) => 1,
            ActivationSpec::Exact(_) => 4,
        };
        for tag in std::iter::once(Tag::OtCorrections).chain(vec![Tag::OtPayloads; rounds]) {
            self.pass(tag);
        }
        self.open(Tag::Sacrifice);
        let theirs = self.theirs.all();
        self.ours.all();
        if let ActivationSpec::Exact(relu) = spec {
            return self.sacrificed_relus(theirs, &relu.shape::<u32>().unwrap());
        }
        let ActivationSpec::Lookup(table) = spec else {
            return self.joint("sacrificed numbers", 32, &words(theirs));
        };
        let (words_each, n) = (one_hot_words(table.hi), theirs.len());
        let count = n / (8 * words_each + 5 * 4);
        let (one_hot, numbers) = theirs.split_at(count * words_each * 8);
        let used = 8.min(1 << table.hi >> 3);
        let bytes = one_hot.chunks_exact(8).flat_map(|word| word[..used].iter());
        let bytes: Vec<u64> = bytes.map(|b| u64::from(*b)).collect();
        self.joint("sacrificed one-hot bytes", 8, &bytes);
        let numbers = words(numbers);
        let [keys, rho, masks] =
            [&numbers[..2 * count], &numbers[2 * count..3 * count], &numbers[3 * count..]];
        self.joint("sacrificed numbers", 32, &[keys, masks].concat());
        let halves: Vec<u64> = rho.iter().flat_map(|r| [r & 15, r >> 4 & 15]).collect();
        self.joint("sacrificed rho", 4, &halves);
        // What is opened under m later, if this were the m of the first slot.
        let world = self.seat.worlds[0];
        let own = slot_masks(world, self.seat.party, op, 0..count)[0].clone();
        let sacrificed = match self.seat.slip {
            Slip::SlotSacrificed => {
                slot_masks(world, self.seat.party.other(), op, 0..count)[0].clone()
            }
            _ => masks[..count].to_vec(),
        };
        let c = &self.opened[0][&("c", op)][..count];
        let left = minus(&minus(c, &own, 32), &sacrificed, 32);
        // The low bits and the high bits: few values.
        let parts = left.iter().flat_map(|v| (0..4).map(move |i| v >> (8 * i) & 255));
        self.joint("opened c, less what was sacrificed", 8, &parts.collect::<Vec<u64>>());
    }
}

/// Shares of m and m' of a slot.
fn slot_masks(world: &World, party: Party, op: usize, at: Range<usize>) -> [Vec<u64>; 2] {
    let mut both = [0; 2].map(|_| vec![0u32; at.len()]);
    let [value, slope] = &mut both;
    world.view(party).lookup_masks(op, at, 1).sum_masks(0, [value, slope]);
    both.map(|v| v.into_iter().map(u64::from).collect())
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let words: Vec<u32> = ring::from_le_bytes(bytes).unwrap();
    words.into_iter().map(u64::from).collect()
}
